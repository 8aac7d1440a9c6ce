"""The title of every report that counts something, with none, one and two of them."""

import ast
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from operations import ami_releases, validate
from operations.ami_releases import Pin
from operations.backup import backup
from operations.clients import aws
from operations.cost import price_list
from operations.delivery import manifests
from operations.deploy import deploy, plan, reviewed
from operations.deploy.plan import Selection
from operations.destroy import destroy
from operations.destroy.leftovers import Leftover
from operations.drift import drift, issues
from operations.drift.drift import Finding, Seen
from operations.guard import guard
from operations.output.report import Report
from operations.preflight import preflight
from operations.preflight.check import Line
from operations.repository import all_or_nothing, revision, stack_differences
from operations.scanner import scanner
from operations.scanner.scanner import Failure
from operations.state import restore
from operations.terraform.plans import Plan
from operations.upgrade import upgrade
from operations.upgrade.cluster import Change
from operations.validate import Step
from tests import ROOT
from tests.stacks import make_stack

NAMES = ("a", "b")
STACKS = [make_stack(name=name) for name in NAMES]
PLACE = Mock(cluster="c", url="s3://b/k")


def _lines(number: int) -> list[Line]:
    return [Line(name, outcome, "") for outcome in ("failed", "warning", "passed") for name in NAMES[:number]]


def _drift(clean: int, unread: int = 0, findings: int = 0) -> Report:
    drifted = Seen(drift=[Finding("x", "changed", f"a.{number}", ()) for number in range(findings)])
    seen = {f"clean-{number}": Seen() for number in range(clean)}
    seen |= {f"unread-{number}": Seen(errors=["x"]) for number in range(unread)}
    return drift.report(seen | ({"drifted": drifted} if findings else {}), [], [], date(2026, 1, 1))


def _compared(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        stacks = [SimpleNamespace(name=name, configuration={}) for name in NAMES[:number]]
        patch.setattr(stack_differences, "read_stacks", lambda _: stacks)
        patch.setattr(stack_differences, "read_configurations", lambda _: {})
        patch.setattr(revision, "is_same_synthesis", lambda *_: False)
        patch.setattr(revision, "synthesized_at", lambda _: nullcontext(Path()))
        patch.setattr(revision, "differing", lambda *_: dict.fromkeys(NAMES[:number], "changed"))
        return stack_differences.compare(Path(), "main")


def _pins(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ami_releases, "_pins", lambda _: [Pin("s", "f", "g", "1", "1")] * number)
        return ami_releases.pin([make_stack()], Path())


def _versions(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "versions", lambda *_: ([], number))
        return restore.show_versions(Mock(), make_stack(name="s"))


def _backups(number: int) -> Report:
    version = {"VersionId": "1", "LastModified": date(2026, 1, 1), "Size": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "paginate", lambda *_, **__: [version] * number)
        return backup.versions(PLACE)


def _issues(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(issues, "_read_drift", lambda _: dict.fromkeys(NAMES[:number]))
        patch.setattr(issues, "gh", Mock())
        patch.setattr(issues, "_open_issues", dict)
        patch.setattr(issues, "_act", lambda *_: "opened")
        return issues.follow([Path()])


def _plans(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "_read_plan", lambda _: Plan("s", {}))
        return guard.guard([Path()] * number, [])


def _scanned(number: int) -> Report:
    failures = [Failure("p", name, "CKV_1", "n") for name in NAMES[:number]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "_checked", lambda *_: (Counter({"p": number}), failures))
        patch.setattr(scanner, "read_json", lambda *_: {"planned_values": {}})
        return scanner.scan([Path("p.json")], [], ["p"])


def _validated(number: int) -> Report:
    steps = [Step(name, outcome, 0) for outcome in ("failed", "skipped", "passed") for name in NAMES[:number]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "_steps", lambda *_: steps)
        return validate.validate([], [], Path("nowhere"), Mock())


def _planned(number: int) -> Report:
    chosen = Selection(STACKS[:number], {name: set() for name in NAMES})
    failed = dict.fromkeys(NAMES[:number], "failed")
    return plan._plan_report(chosen, {}, failed, {}, [])


def _destroyed(number: int) -> Report:
    left = {"dev": [Leftover("volume", name, 1) for name in NAMES[:number]]}
    return destroy._destroy_report(dict.fromkeys(NAMES[:number], "destroyed"), {}, left, [], None)


def _deployed(number: int) -> Report:
    results = {name: deploy._Result("applied", "") for name in NAMES[:number]}
    return deploy._deploy_report(results, deploy.Options(), " ".join)


def _joined(number: int) -> Report:
    listed: dict[str, Any] = {"base": None, "removed": [], "stacks": dict.fromkeys(map(str, range(number)), "new")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list.json"
        file.write_text(json.dumps(listed))
        return reviewed.join(file, [])


def _prices(number: int) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_get", "_objects", "_address", "to_toml"):
            patch.setattr(price_list, name, Mock())
        patch.setattr(price_list, "_read", lambda *_: {"x": {("USD", Mock())}})
        patch.setattr(all_or_nothing, "write_files", Mock())
        return price_list.write(NAMES[:number], "", Path(), date(2026, 1, 1))


def _reviewed(number: int) -> Report:
    entries = {name: {"plan": "1 to add", "hash": "1"} for name in NAMES[:number]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reviewed, "_deploys", lambda *_: ([], []))
        return reviewed._reviewed_report(entries, STACKS, Path())


TITLES: dict[str, tuple[Callable[[int], Report], tuple[str, str, str]]] = {
    "ami_releases.pin": (
        _pins,
        ("0 of 0 node groups with a newer AMI", "0 of 1 node group with a newer AMI",
         "0 of 2 node groups with a newer AMI"),
    ),
    "backup.versions": (
        _backups,
        ("c: 0 backups of Argo CD", "c: 1 backup of Argo CD", "c: 2 backups of Argo CD"),
    ),
    "deploy._deploy_report": (_deployed, ("deploy: no stack", "deploy: 1 applied", "deploy: 2 applied")),
    "destroy._destroy_report": (
        _destroyed,
        (
            "destroyed 0 of 0 stacks",
            "destroyed 1 of 1 stack; 1 remaining resource, about $1 a month",
            "destroyed 2 of 2 stacks; 2 remaining resources, about $2 a month",
        ),
    ),
    "drift.report": (_drift, ("no drift in 0 stacks", "no drift in 1 stack", "no drift in 2 stacks")),
    "drift.report with unread stacks": (
        lambda number: _drift(1, number),
        (
            "no drift in 1 stack",
            "no drift in 1 stack; 1 stack could not be checked",
            "no drift in 1 stack; 2 stacks could not be checked",
        ),
    ),
    "drift.report with only unread stacks": (
        lambda number: _drift(0, number),
        (
            "no drift in 0 stacks",
            "drift unknown; 1 stack could not be checked",
            "drift unknown; 2 stacks could not be checked",
        ),
    ),
    "drift.report with findings": (
        lambda number: _drift(1, 1, number),
        (
            "no drift in 1 stack; 1 stack could not be checked",
            "drift: 1 finding in 1 of 3 stacks; 1 stack could not be checked",
            "drift: 2 findings in 1 of 3 stacks; 1 stack could not be checked",
        ),
    ),
    "guard.guard": (
        _plans,
        ("guard: no findings in 0 plans", "guard: no findings in 1 plan", "guard: no findings in 2 plans"),
    ),
    "issues.follow": (_issues, ("no issue changed", "1 issue changed", "2 issues changed")),
    "manifests._manifests_report": (
        lambda number: manifests._manifests_report({"dev": dict.fromkeys(NAMES[:number], "")}, [], []),
        ("no manifest changes", "1 application with changes in dev", "2 applications with changes in dev"),
    ),
    "manifests._manifests_report with unrendered applications": (
        lambda number: manifests._manifests_report({}, [*NAMES[:number]], []),
        (
            "no manifest changes",
            "manifest changes unknown; 1 application could not be rendered",
            "manifest changes unknown; 2 applications could not be rendered",
        ),
    ),
    "plan.listing": (
        lambda number: plan.listing(Selection(STACKS[:number], {})),
        ("0 stacks to plan", "1 stack to plan", "2 stacks to plan"),
    ),
    "plan._plan_report": (
        _planned,
        (
            "0 of 0 stacks with changes",
            "0 of 1 stack with changes; 1 error",
            "0 of 2 stacks with changes; 2 errors",
        ),
    ),
    "preflight._preflight_report": (
        lambda number: preflight._preflight_report(_lines(number)),
        ("0 failed, 0 warnings, 0 passed", "1 failed, 1 warning, 1 passed", "2 failed, 2 warnings, 2 passed"),
    ),
    "price_list.write": (
        _prices,
        (
            "the prices of 0 regions written",
            "the prices of 1 region written",
            "the prices of 2 regions written",
        ),
    ),
    "restore.show_versions": (
        _versions,
        ("s: 0 versions of its state", "s: 1 version of its state", "s: 2 versions of its state"),
    ),
    "reviewed.join": (_joined, ("0 of 0 stacks planned", "0 of 1 stack planned", "0 of 2 stacks planned")),
    "reviewed._reviewed_report": (_reviewed, ("no stack to deploy", "1 stack to deploy", "2 stacks to deploy")),
    "scanner.scan": (
        _scanned,
        (
            "checkov: 0 passed, 0 failed, 0 with a reason",
            "checkov: 1 passed, 1 failed, 0 with a reason",
            "checkov: 2 passed, 2 failed, 0 with a reason",
        ),
    ),
    "stack_differences.compare": (
        _compared,
        (
            "0 of 0 stacks changed since main",
            "1 of 1 stack changed since main",
            "2 of 2 stacks changed since main",
        ),
    ),
    "upgrade._upgrade_report": (
        lambda number: upgrade._upgrade_report(Change("c", "1.35", "1.36"), _lines(number), "", ""),
        (
            "c: Kubernetes 1.35 -> 1.36: 0 failed, 0 warnings, 0 passed",
            "c: Kubernetes 1.35 -> 1.36: 1 failed, 1 warning, 1 passed",
            "c: Kubernetes 1.35 -> 1.36: 2 failed, 2 warnings, 2 passed",
        ),
    ),
    "validate.validate": (
        _validated,
        ("0 failed, 0 skipped, 0 passed", "1 failed, 1 skipped, 1 passed", "2 failed, 2 skipped, 2 passed"),
    ),
}  # fmt: skip

OTHERS = {
    # Titles without a number.
    "comments.comment", "promotion.set_image", "publish.publish", "pull_requests._unchanged", "pull_requests.propose",
    "restore._difference", "reviewed.accept", "reviewed.refusals", "update._report",
    # A sum of money.
    "cost.cost",
    # The number of objects in an export, which must be one; tests/unit/operations/backup has their titles.
    "backup._difference_report", "backup.backup",
}  # fmt: skip


@pytest.mark.parametrize("name", TITLES)
def test_a_title_counts_none_one_and_two(name: str) -> None:
    make, titles = TITLES[name]
    assert tuple(make(number).title for number in range(3)) == titles


def test_every_report_has_its_titles_here() -> None:
    found = set()
    for file in (ROOT / "operations").rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef) and any(map(_makes_a_report, ast.walk(function))):
                found.add(f"{file.stem}.{function.name}")
    assert found == {name.partition(" ")[0] for name in TITLES} | OTHERS


def _makes_a_report(node: Any) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Report"
