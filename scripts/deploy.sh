#!/usr/bin/env bash
# Deploys stacks: synthesizes them, plans each after those that it reads from, and asks before it applies.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/deploy.sh [STACK...] [OPTION...]

Deploys the stacks of these names or globs; all of them if none is named.
Options are those of: python -m operations deploy --help
Example: scripts/deploy.sh ap-northeast-2-shared 'ap-northeast-2-dev*'
USAGE
}

case "${1:-}" in -h | --help) usage && exit ;; esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations deploy "$@"
