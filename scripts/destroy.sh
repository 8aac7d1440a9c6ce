#!/usr/bin/env bash
# Destroys stacks in reverse order, clears their clusters first, and finds remaining resources.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/destroy.sh STACK... [OPTION...]

Destroys the stacks that match these names or glob patterns, after confirmation.
For the options see: python -m operations destroy --help
Example: scripts/destroy.sh 'ap-northeast-2-dev*'
USAGE
}

case "${1:-}" in
  -h | --help) usage && exit ;;
  '') usage >&2 && exit 1 ;; # without arguments, nothing must be destroyed
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations destroy "$@"
