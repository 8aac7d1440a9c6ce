"""`make cdktn-check`: synthesizes the app with CDK Terrain, the successor of CDKTF, and compares the stacks.

- With the command line of CDK Terrain and the app as it is, every file must be the same.
- With the library of CDK Terrain, in a copy whose imports are renamed, the stacks may differ only in what
  `differences.toml` lists with a reason. Nothing that is in the state or read by another stack may differ.
- With the packages of the providers loaded whole (`CDKTF_EAGER_PROVIDERS`), the library must write the same files.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import ROOT
from tests.cdktn.compare import Difference, differences, documents, problems, read_reviewed
from tests.cdktn.rename import rename
from tests.e2e.clone import copy_into

PYTHON = ROOT / ".cdktn/bin/python"
_CLI = ROOT / ".cdktn/node_modules/.bin/cdktn"


def main() -> None:
    """Run the three comparisons, and exit with what is wrong."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cdktf = synthesized(folder / "cdktf", ROOT, (sys.executable, "main.py"))
        cli = synthesized(folder / "cli", ROOT, (_CLI, "synth", "--output", folder / "cli"))
        wrong = _different_files("the command line of CDK Terrain", cdktf, cli)

        copy = folder / "copy"
        copy_into(copy)
        print(f"{len(rename(copy))} files with imports of CDKTF are renamed", flush=True)
        library = synthesized(folder / "cdktn", copy, (PYTHON, "main.py"))
        found = list(differences(documents(cdktf), documents(library)))
        wrong += problems(found, read_reviewed(), documents(cdktf))

        whole = synthesized(folder / "whole", copy, (PYTHON, "main.py"), {"CDKTF_EAGER_PROVIDERS": "1"})
        wrong += _different_files("CDK Terrain with packages that are loaded whole", library, whole)
    print("the library: what differs, in how many files", *_summary(found), sep="\n")
    if wrong:
        sys.exit("\n".join(["CDK Terrain:", *(f"  {line}" for line in wrong)]))
    print(
        "CDK Terrain writes the same stacks, but for the reviewed differences; all addresses and backends are the same"
    )


def synthesized(output: Path, folder: Path, command: Sequence[object], more: Mapping[str, str] = {}) -> Path:
    """Synthesize with the constructs and the settings of `folder`, and print how long it took."""
    output.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "CDKTF_EAGER_PROVIDERS"},
        "CDKTF_OUTDIR": str(output),
        "CI": "1",  # the command line prints no progress
        "PYTHONPATH": str(folder / "constructs"),
        **more,
    }
    started = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{output.name}: {done.stdout}{done.stderr}")
    print(f"{output.name}: synthesized in {time.perf_counter() - started:.0f} s", flush=True)
    return output


def _different_files(what: str, expected: Path, written: Path) -> list[str]:
    """The files of a synthesis that another one has not written in the same way."""
    one, other = (
        {str(file.relative_to(output)): file.read_bytes() for file in output.rglob("*") if file.is_file()}
        for output in (expected, written)
    )
    changed = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    print(f"{what}: {len(one)} files, {len(changed)} of them differ", flush=True)
    return [f"{what}: {name}: is not the same" for name in changed]


def _summary(found: Sequence[Difference]) -> list[str]:
    """Each place that differs, with the number of the documents in which it does."""
    return [f"  {path}: {number}" for path, number in Counter(".".join(one.path) for one in found).items()]


if __name__ == "__main__":
    main()
