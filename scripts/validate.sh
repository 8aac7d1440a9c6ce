#!/usr/bin/env bash
# Runs the checks of the pipelines on this machine: stacks, style, manifests and workflows.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/validate.sh [STACK...] [OPTION...]

Checks stacks, style, manifests and workflows.
For the options see: python -m operations validate --help
Example: scripts/validate.sh
USAGE
}

case "${1:-}" in -h | --help) usage && exit ;; esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations validate "$@"
