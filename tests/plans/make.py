"""Records the plans of `cases.py` again: `python -m tests.plans.make`. Takes a few minutes.

Real Terraform applies the base to the emulated AWS once, and plans every case from there. Only the changes of each plan
are stored, and the node groups that stay.
"""

import copy
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from operations.local import aws_provider
from operations.local.emulator_process import Emulator
from operations.terraform.runner import Terraform
from tests.plans.cases import BASE, CASES, FIRST, Case

_FOLDER = Path(__file__).parent


def main() -> None:
    """Write the plan file of every case."""
    with tempfile.TemporaryDirectory() as name, Emulator(Path(name) / "emulator.log") as emulator:
        folder = Path(name)
        os.environ.update(emulator.environment)
        log = folder / "log"
        terraform = Terraform(folder, log)
        _configure(folder, CASES[FIRST])
        terraform.run("init", "-input=false")
        for case in [FIRST, *(case for case in sys.argv[1:] or CASES if case != FIRST)]:
            _configure(folder, CASES[case])
            document = terraform.stream_plan(folder / "plan", log, lambda _: None, "-refresh=false")
            (_FOLDER / f"{case}.json").write_text(json.dumps(_kept(document), sort_keys=True) + "\n")
            print(case)
            if case == FIRST:
                terraform.run("apply", "-auto-approve", "-input=false")


def _configure(folder: Path, case: Case) -> None:
    resources = copy.deepcopy(BASE)
    for address, arguments in case.changes.items():
        if arguments is None:
            del resources[address]
        else:
            resources[address] = resources.get(address, {}) | arguments
    nested: dict[str, dict[str, Any]] = {}
    for address, arguments in resources.items():
        kind, _, name = address.partition(".")
        nested.setdefault(kind, {})[name] = arguments
    provider = {"source": "hashicorp/aws", "version": aws_provider.version()}
    configuration = {"terraform": {"required_providers": {"aws": provider}}, "provider": {"aws": {}}}
    (folder / "cdk.tf.json").write_text(json.dumps(configuration | {"resource": nested}))


def _kept(document: dict[str, Any]) -> dict[str, Any]:
    changes = [
        entry
        for entry in document.get("resource_changes", [])  # an empty plan is not shown
        if entry["change"]["actions"] != ["no-op"] or entry["type"] == "aws_eks_node_group"
    ]
    return {"format_version": document.get("format_version", "1.2"), "resource_changes": changes}


if __name__ == "__main__":
    main()
