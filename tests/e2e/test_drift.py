"""`drift` on the deployed region: first without findings, then with all changes of `tamperings.py` and no others."""

import re
from typing import Any

import boto3
import pytest

from operations.drift.drift import LOSSES
from tests.e2e import tamperings
from tests.e2e.region import Region, operations, reported
from tests.e2e.tamperings import Known, without_hash

pytestmark = pytest.mark.e2e

_TAMPERED = ("backend", "shared", "dev")
_IDS = re.compile(r"\b(?:acl|sg|sgr|subnet|vpce)-[0-9a-f]+\b", re.IGNORECASE)


def _drift(*names: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the report."""
    return reported("drift", *[f"ap-northeast-2-{name}" for name in names])


def _found(report: dict[str, Any]) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {
        (
            stack.removeprefix("ap-northeast-2-"),
            finding["kind"],
            _IDS.sub("ID", without_hash(finding["name"])),
            tuple(finding["attributes"]),
        )
        for stack, entry in report["stacks"].items()
        for finding in entry["drift"]
    }


def test_exactly_the_changes_outside_of_terraform_are_found(region: Region, aws: boto3.Session) -> None:
    """Three runs: a new region is clean, a changed one has drift, and a deploy reverts it."""
    status, report = _drift("backend", "shared", "dev", "staging", "prod")
    assert (status, _found(report)) == (0, set()), report
    assert {entry["status"] for entry in report["stacks"].values()} == {"clean"}

    known = Known(aws, region.stacks)
    done = [(tampering, tampering.act()) for group in tamperings.EVERY for tampering in group(aws, known)]
    expected = {(t.environment, t.kind, t.name, t.attributes) for t, _ in done if t.kind}
    assert len(expected) >= 25
    status, report = _drift(*_TAMPERED)
    assert _found(report) == expected
    assert status == 2
    assert {name: entry["pending"] for name, entry in report["stacks"].items() if entry["pending"]} == {}
    assert LOSSES[0] in report["notes"]

    for tampering, result in done:
        if tampering.undo:
            tampering.undo(result)
    operations("deploy", *[f"ap-northeast-2-{name}" for name in _TAMPERED], "--yes")
    status, report = _drift(*_TAMPERED)
    assert (status, _found(report)) == (0, set()), report
