#!/usr/bin/env bash
# Deploys stacks: synthesizes them, plans each after the stacks that it depends on, and asks before it applies.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/deploy.sh [STACK...] [OPTION...]

Deploys the stacks that match these names or glob patterns; all stacks if omitted.
For the options see: python -m operations deploy --help
Example: scripts/deploy.sh ap-northeast-2-shared 'ap-northeast-2-dev*'
USAGE
}

case "${1:-}" in -h | --help) usage && exit ;; esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations deploy "$@"
