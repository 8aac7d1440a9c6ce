#!/usr/bin/env bash
# Destroys stacks in reverse order, what runs in their clusters first, and then looks for anything that is left.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/destroy.sh STACK... [OPTION...]

Destroys the stacks of these names or globs, after you typed the environment's name.
Options are those of: python -m operations destroy --help
Example: scripts/destroy.sh 'ap-northeast-2-dev*'
USAGE
}

case "${1:-}" in
  -h | --help) usage && exit ;;
  '') usage >&2 && exit 1 ;; # never everything because nothing was named
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
make synth
exec .venv/bin/python -m operations destroy "$@"
