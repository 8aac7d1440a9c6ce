"""Synthesizing the stacks: `main.py` is run only if something that it reads has changed since the last time.

`python -m operations.terraform.synthesis [FOLDER]` is `operations synth` without the command line application, which
takes longer to import than the check whether anything has changed; `main.py` runs in the same process.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from operations.clients import process
from operations.errors import OperationError
from operations.output.report import counted
from operations.terraform import recorder
from operations.terraform.stacks import read_stacks


def synthesize(output: Path, *, force: bool = False) -> str | None:
    """Write every stack into `output`, unless a synthesis would write the same; `force` synthesizes in any case.

    Returns:
        The input that has changed; None if nothing was done.

    Raises:
        OperationError: if the settings are invalid, after their errors were printed, or as `main` does.
    """
    _check(output)
    changed = recorder.difference(output)
    if changed is None and not force:
        return None
    module = ("-m", recorder.__name__, output)
    if process.run_shown(sys.executable, *module, environment={**os.environ, **_variables(output)}):
        raise OperationError("the stacks were not synthesized; see above")
    _remove_former_stacks(output)
    return changed or "--force"


def warnings(output: Path) -> Iterator[str]:
    """The warnings about the stacks in `output`, each with its stack."""
    stacks = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["stacks"]
    for name, stack in stacks.items():
        for annotation in stack["annotations"]:
            yield f"{name}: {annotation['message']}"


def listing(output: Path) -> Iterator[str]:
    """The stacks in `output` as lines of text, each after the stacks that it depends on."""
    found = read_stacks(output)
    width = max((len(stack.name) for stack in found), default=0)
    for stack in found:
        reads = f"  reads {', '.join(stack.dependencies)}" if stack.dependencies else ""
        yield f"{stack.name:{width}}  {counted(sum(1 for _ in stack.resources()), 'resource'):>13}{reads}"


def main(output: Path) -> None:
    """Synthesize into `output` if an input has changed, and print the warnings and the stacks.

    Raises:
        OperationError: if that is impossible here: without `main.py` or Node, or into the folder of the repository.
    """
    _check(output)
    if recorder.difference(output) is None:
        print(f"{output} is up to date")
    else:
        os.environ.update(_variables(output))
        recorder.record(output)
        _remove_former_stacks(output)
    yellow, plain = ("\033[33m", "\033[0m") if sys.stderr.isatty() else ("", "")
    for warning in warnings(output):
        print(f"{yellow}warning: {warning}{plain}", file=sys.stderr)
    print(*listing(output), sep="\n")


def _check(output: Path) -> None:
    if not Path("main.py").is_file():
        raise OperationError(f"{Path.cwd()}: has no main.py; run this in the folder of the repository")
    if Path.cwd().resolve().is_relative_to(output.resolve()):
        raise OperationError(f"{output}: contains the repository; choose a folder of its own, such as cdktf.out")
    process.find("node")
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise OperationError(f"{output}: cannot be written: {error.strerror}; choose another folder") from error


def _variables(output: Path) -> dict[str, str]:
    """The environment variables of a synthesis."""
    return {"CDKTF_OUTDIR": str(output), "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"}


def _remove_former_stacks(output: Path) -> None:
    """Remove the folders of stacks that no longer exist; one that holds a state is kept."""
    known = {path.parent for path in (output / "stacks").glob("*/cdk.tf.json")}
    names = set(json.loads((output / "manifest.json").read_text(encoding="utf-8"))["stacks"])
    for folder in known:
        if folder.name not in names and not any(folder.glob("*.tfstate*")):
            shutil.rmtree(folder)


if __name__ == "__main__":
    try:
        parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=main.__doc__)
        parser.add_argument("output", nargs="?", type=Path, default=Path("cdktf.out"))
        main(parser.parse_args().output)
        sys.stdout.flush()
    except OperationError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.stdout = None  # else Python writes to it again at the end
        sys.exit(f"error: {error.filename or 'standard output'}: {error.strerror}; free space, or write elsewhere")
