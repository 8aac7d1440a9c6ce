#!/usr/bin/env bash
# Checks what a pipeline checks, on this machine: stacks, manifests and workflows.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/validate.sh [OPTION...]

Options are those of: python -m operations validate --help
Example: scripts/validate.sh
USAGE
}

case "${1:-}" in -h | --help) usage && exit ;; esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations validate "$@"
