"""Synthesizing the stacks: `main.py` is run only if something that it reads has changed since the last time."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from operations.clients import process
from operations.errors import OperationError
from operations.terraform import recorder

_PLAIN = {"JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"}


def synthesize(output: Path, *, force: bool = False) -> str | None:
    """Write every stack into `output`, unless a synthesis would write the same; `force` synthesizes in any case.

    Returns:
        The input that has changed; None if nothing was done.

    Raises:
        OperationError: if the settings are invalid; the errors were printed.
    """
    changed = recorder.difference(output)
    if changed is None and not force:
        return None
    output.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **_PLAIN, "CDKTF_OUTDIR": str(output)}
    module = ("-m", recorder.__name__, output)
    if process.run_shown(sys.executable, *module, environment=environment):
        raise OperationError("the stacks were not synthesized; see above")
    _remove_former_stacks(output)
    return changed or "--force"


def warnings(output: Path) -> Iterator[str]:
    """The warnings about the stacks in `output`, each with its stack."""
    stacks = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["stacks"]
    for name, stack in stacks.items():
        for annotation in stack["annotations"]:
            yield f"{name}: {annotation['message']}"


def _remove_former_stacks(output: Path) -> None:
    """Remove the folders of stacks that no longer exist; one that holds a state is kept."""
    known = {path.parent for path in (output / "stacks").glob("*/cdk.tf.json")}
    names = set(json.loads((output / "manifest.json").read_text(encoding="utf-8"))["stacks"])
    for folder in known:
        if folder.name not in names and not any(folder.glob("*.tfstate*")):
            shutil.rmtree(folder)
