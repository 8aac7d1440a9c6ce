"""The guard on recorded plans of real Terraform, and its overrides."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.guard import guard
from operations.guard.guard import Override
from operations.output.report import Status
from operations.terraform.plans import Plan
from tests import ROOT
from tests.plans.cases import CASES

_PLANS = ROOT / "tests" / "plans"
_TODAY = date(2026, 1, 31)
_KEY = Override("destroyed-key", "aws_kms_key.key", "minji", "replaced by the key of the organisation", _TODAY)


def _plan(case: str) -> Plan:
    return Plan(case, json.loads((_PLANS / f"{case}.json").read_text()))


@pytest.mark.parametrize("case", CASES)
def test_finds_exactly_the_expected_hits_of_a_recorded_plan(case: str) -> None:
    found = {(finding.address, finding.rule): "" for finding in guard.findings(_plan(case))}
    for finding in guard.findings(_plan(case)):
        found[finding.address, finding.rule] += f"{finding.why}\n"
    assert found.keys() == {(address, rule) for address, rule, _ in CASES[case].expected}
    for address, rule, why in CASES[case].expected:
        assert why in found[address, rule]


def test_every_recorded_plan_is_a_case() -> None:
    assert {file.stem for file in _PLANS.glob("*.json")} == set(CASES)


def test_only_losses_and_what_aws_rejects_is_refused() -> None:
    for case in CASES:
        for finding in guard.findings(_plan(case)):
            refused = {"loses-data-or-identity", "no-nodes", "rejected-by-aws"}
            assert finding.is_refused == (finding.rule in refused or case == "fewer-zones")
            assert finding.remedy


def test_an_override_allows_its_address() -> None:
    (finding,) = guard.findings(_plan("destroyed-key"), [_KEY])
    assert not finding.is_refused
    assert finding.verdict == "overridden by minji until 2026-01-31"


def test_an_override_of_another_stack_has_no_effect() -> None:
    other = Override("another", _KEY.address, _KEY.who, _KEY.why, _KEY.until)
    (finding,) = guard.findings(_plan("destroyed-key"), [other])
    assert finding.is_refused


def test_an_override_that_a_plan_does_not_need_is_an_error() -> None:
    file = _PLANS / "nothing.json"
    unused = Override("nothing", "aws_kms_key.key", "minji", "why", _TODAY)
    with pytest.raises(OperationError, match=r"nothing aws_kms_key.key: not used by the plan; remove it$"):
        guard.guard([file], [unused])


def test_an_override_of_a_stack_without_a_plan_is_no_error() -> None:
    assert guard.guard([_PLANS / "nothing.json"], [_KEY]).status is Status.FINE


@pytest.mark.parametrize(
    ("case", "allowed", "status", "title"),
    [
        ("nothing", [], Status.FINE, "guard: no findings in 1 plan"),
        ("destroyed-key", [], Status.ATTENTION, "guard: 1 refused"),
        ("destroyed-key", [_KEY], Status.FINE, "guard: 1 overridden"),
        ("weaker-key", [], Status.ATTENTION, "guard: 2 for review"),
    ],
)
def test_reports(case: str, allowed: list[Override], status: Status, title: str) -> None:
    report = guard.guard([_PLANS / f"{case}.json"], allowed)
    assert (report.status, report.title) == (status, title)
    assert [finding["stack"] for finding in report.data["findings"]] == [case] * len(report.data["findings"])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"resource_changes": null}', '{"resource_changes": [{"address": "a"}]}']
)
def test_rejects_a_file_that_is_not_a_plan(tmp_path: Path, content: str) -> None:
    (tmp_path / "dev.json").write_text(content)
    problem = r"(not valid JSON \(line 1, column 1\)|not a plan)"
    with pytest.raises(
        OperationError, match=rf"dev\.json: {problem}; give it what `terraform show -json PLAN` prints$"
    ):
        guard.guard([tmp_path / "dev.json"], [])


def test_rejects_a_plan_of_an_unsupported_terraform_version(tmp_path: Path) -> None:
    change: dict[str, Any] = {"actions": ["create", "forget"], "before": None, "after": {}}
    document = {"resource_changes": [{"address": "aws_vpc.vpc", "type": "aws_vpc", "change": change}]}
    (tmp_path / "dev.json").write_text(json.dumps(document))
    with pytest.raises(
        OperationError, match=r"aws_vpc.vpc: \['create', 'forget'\]: unknown actions; use the Terraform"
    ):
        guard.guard([tmp_path / "dev.json"], [])


def _overrides(folder: Path, **fields: Any) -> list[Override]:
    entry = {"stack": "dev", "address": "aws_vpc.vpc", "who": "minji", "why": "moves", "until": "2026-01-31", **fields}
    lines = [
        f"{name} = {value}" if name == "until" else f'{name} = "{value}"' for name, value in entry.items() if value
    ]
    (folder / "guard-overrides.toml").write_text("\n".join(["[[override]]", *lines]))
    return guard.overrides(folder / "guard-overrides.toml", _TODAY)


def test_an_override_is_valid_on_its_last_day(tmp_path: Path) -> None:
    assert _overrides(tmp_path) == [Override("dev", "aws_vpc.vpc", "minji", "moves", _TODAY)]


def test_without_a_file_there_are_no_overrides(tmp_path: Path) -> None:
    assert guard.overrides(tmp_path / "guard-overrides.toml", _TODAY) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"until": "2026-01-30"}, "until: 2026-01-30: expired; remove it, or have it reviewed again"),
        ({"until": '"2026-02-01"'}, "until: '2026-02-01': write a date without quotes, such as 2026-01-31"),
        ({"who": ""}, "who: None: write a non-empty string"),
        ({"ticket": "1"}, "'ticket': unknown field; remove it"),
    ],
)
def test_rejects_invalid_and_expired_overrides(tmp_path: Path, fields: dict[str, str], message: str) -> None:
    with pytest.raises(OperationError) as raised:
        _overrides(tmp_path, **fields)
    assert str(raised.value).endswith(f"guard-overrides.toml: override 1 (dev aws_vpc.vpc): {message}")


def test_rejects_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "guard-overrides.toml").write_text("[override")
    with pytest.raises(OperationError, match=r"; write it as TOML$"):
        guard.overrides(tmp_path / "guard-overrides.toml", _TODAY)


def test_rejects_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "guard-overrides.toml").write_bytes(b"\xff")
    with pytest.raises(OperationError, match=r"; write it as TOML$"):
        guard.overrides(tmp_path / "guard-overrides.toml", _TODAY)


def test_an_override_of_a_stack_that_does_not_exist_is_an_error() -> None:
    assert guard.unknown({"destroyed-key"}, [_KEY]) == []
    (problem,) = guard.unknown({"dev"}, [_KEY])
    assert problem.endswith("destroyed-key aws_kms_key.key: no such stack; fix the name or remove it")


def test_rejects_an_unknown_table(tmp_path: Path) -> None:
    (tmp_path / "guard-overrides.toml").write_text("[[overrides]]")
    with pytest.raises(OperationError, match=r"'overrides': unknown table; write \[\[override\]\]$"):
        guard.overrides(tmp_path / "guard-overrides.toml", _TODAY)


def test_rejects_a_single_table(tmp_path: Path) -> None:
    (tmp_path / "guard-overrides.toml").write_text("[override]")
    with pytest.raises(OperationError, match=r"\[override\]: write \[\[override\]\]$"):
        guard.overrides(tmp_path / "guard-overrides.toml", _TODAY)
