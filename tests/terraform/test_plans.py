"""A plan that is not read because its events have no changes is the same as the plan that Terraform shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform

pytestmark = pytest.mark.terraform

_ONE = {"terraform_data": {"one": {"input": "first"}}}
_CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "nothing": ({"resource": _ONE}, True),
    "a changed argument": ({"resource": {"terraform_data": {"one": {"input": "second"}}}}, False),
    "a new output": ({"resource": _ONE, "output": {"kept": {"value": "a"}, "new": {"value": "b"}}}, False),
    "a removed output": ({"resource": _ONE, "output": {}}, False),
    "a moved resource": (
        {
            "resource": {"terraform_data": {"two": {"input": "first"}}},
            "moved": [{"from": "terraform_data.one", "to": "terraform_data.two"}],
        },
        False,
    ),
    "an imported resource": (
        {
            "resource": {"terraform_data": {"one": {"input": "first"}, "two": {}}},
            "import": [{"to": "terraform_data.two", "id": "an-id"}],
        },
        False,
    ),
    "a forgotten resource": (
        {"removed": [{"from": "terraform_data.one", "lifecycle": {"destroy": False}}]},
        False,
    ),
}


@pytest.mark.parametrize("case", _CASES)
def test_a_plan_has_the_same_changes_and_hash_as_the_one_that_terraform_shows(tmp_path: Path, case: str) -> None:
    configuration, is_empty = _CASES[case]
    terraform = Terraform(tmp_path, log=tmp_path / "log")
    output = {"kept": {"value": "a"}}
    (tmp_path / "main.tf.json").write_text(json.dumps({"resource": _ONE, "output": output}))
    terraform.run("init")
    terraform.run("apply", "-auto-approve")

    blocks = {name: block for name, block in {"output": output, **configuration}.items() if block}
    (tmp_path / "main.tf.json").write_text(json.dumps(blocks))
    streamed = terraform.stream_plan(tmp_path / "plan", tmp_path / "log", lambda _: None)
    plan = Plan("dev", streamed)
    shown = Plan("dev", json.loads(terraform.output("show", "-json", str(tmp_path / "plan"))))
    assert (streamed == {}) == is_empty
    assert plan.is_empty == is_empty
    assert (plan.hash, plan.changes, plan.outputs) == (shown.hash, shown.changes, shown.outputs)
