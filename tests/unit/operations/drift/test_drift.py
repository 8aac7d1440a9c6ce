"""Separating drift from pending changes, in plans as `terraform show -json` prints them; the report of `drift`."""

import io
import json
import os
import threading
import time
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from operations.clients import aws as aws_client
from operations.drift import drift, untracked
from operations.drift.drift import Finding, Seen
from operations.drift.ignored import Ignored
from operations.drift.waiting import Waiting
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack, State
from tests.stacks import TRUST, make_stack
from tests.unit.operations.deploy.fake_terraform import FakeTerraform

_STACK = "ap-northeast-2-dev"


def _change(address: str, *actions: str, **change: Any) -> dict[str, Any]:
    rest = {"before": {}, "after": {}, "after_unknown": {}, **change}
    return {"address": address, "type": address.partition(".")[0], "change": {"actions": list(actions), **rest}}


def _separate(
    drifted: list[dict[str, Any]], changes: list[dict[str, Any]], **document: Any
) -> tuple[list[Finding], list[str]]:
    return drift.drift_and_pending(Plan(_STACK, {"resource_drift": drifted, "resource_changes": changes, **document}))


def test_a_change_that_an_apply_would_revert_is_drift() -> None:
    found = _change("aws_kms_key.key", "update", before={"rotation": True}, after={"rotation": False})
    back = _change("aws_kms_key.key", "update", before={"rotation": False}, after={"rotation": True})
    ((finding,), pending) = _separate([found], [back])
    assert (finding.kind, finding.name, finding.attributes) == ("changed", "aws_kms_key.key", ["rotation"])
    assert finding.details == ["rotation: true -> false"]
    assert pending == []


def test_a_deleted_resource_is_drift() -> None:
    gone = _change("aws_route.out", "delete", before={"id": "r"}, after=None)
    ((finding,), pending) = _separate([gone], [_change("aws_route.out", "create", before=None)])
    assert (finding.kind, finding.name, pending) == ("deleted", "aws_route.out", [])


def test_a_deleted_resource_that_was_also_removed_in_git_is_not_drift() -> None:
    deleted = _change("aws_route.out", "delete", before={"id": "r"}, after=None)
    assert _separate([deleted], []) == ([], [])


def test_a_change_in_git_is_pending_and_not_drift() -> None:
    change = _change("aws_kms_key.key", "update", before={"days": 7}, after={"days": 30})
    assert _separate([], [change]) == ([], ["update aws_kms_key.key"])


def test_a_change_in_git_is_pending_if_only_other_attributes_differ() -> None:
    """The provider reads empty tags as absent, which is noise on a resource that Git changes."""
    noise = _change("aws_kms_key.key", "update", before={"tags": None}, after={"tags": {}})
    change = _change("aws_kms_key.key", "update", before={"days": 7}, after={"days": 30})
    assert _separate([noise], [change]) == ([], ["update aws_kms_key.key"])


def test_a_change_that_no_apply_would_revert_is_not_drift() -> None:
    noise = _change("aws_db_instance.main", "update", before={"restorable": "8:00"}, after={"restorable": "9:00"})
    assert _separate([noise], []) == ([], [])


def test_an_attribute_that_grants_access_is_drift_even_if_terraform_ignores_it() -> None:
    opened = _change("aws_secretsmanager_secret.user", "update", before={"policy": ""}, after={"policy": "anyone"})
    ((finding,), _) = _separate([opened], [])
    assert finding.attributes == ["policy"]


def test_a_change_that_follows_from_drift_is_reported_with_it() -> None:
    found = _change("aws_launch_template.main", "update", before={"latest_version": 1}, after={"latest_version": 2})
    follows = _change("aws_eks_node_group.main", "update", before={"launch": "1"}, after={"launch": "2"})
    further = _change("aws_thing.main", "update", before={"group": "1"}, after={"group": "2"})
    expressions = {
        "aws_eks_node_group.main": {"launch": [{"version": {"references": ["aws_launch_template.main"]}}]},
        "aws_thing.main": {"group": {"references": ["aws_eks_node_group.main.id", "aws_eks_node_group.main"]}},
    }
    resources = [{"address": address, "expressions": arguments} for address, arguments in expressions.items()]
    ((finding,), pending) = _separate(
        [found],
        [follows, further],
        relevant_attributes=[{"resource": "aws_launch_template.main", "attribute": ["latest_version"]}],
        configuration={"root_module": {"resources": resources}},
    )
    assert finding.name == "aws_launch_template.main"
    assert finding.details[1:] == [
        "also planned: update aws_eks_node_group.main",
        "also planned: update aws_thing.main",
    ]
    assert pending == []


def test_a_sensitive_value_is_not_shown() -> None:
    marks = {"before_sensitive": {"password": True}}
    found = _change("aws_db.db", "update", before={"password": "a"}, after={"password": "b"}, **marks)
    back = _change("aws_db.db", "update", before={"password": "b"}, after={"password": "a"})
    ((finding,), _) = _separate([found], [back])
    assert finding.details == ["password: changed (sensitive value)"]


def test_only_the_parts_that_differ_are_shown_also_in_policies() -> None:
    before = {"vpc": [{"cidrs": [], "public": False}], "policy": '{"Action": ["a", "b"], "Effect": "Deny"}'}
    after = {"vpc": [{"cidrs": ["0.0.0.0/0"], "public": True}], "policy": '{"Action": ["a", "b"], "Effect": "Allow"}'}
    marks = {"before_sensitive": {"vpc": [{"cidrs": []}]}, "after_sensitive": {"vpc": [{"cidrs": [False]}]}}
    found = _change("aws_eks_cluster.c", "update", before=before, after=after, **marks)
    ((finding,), _) = _separate([found], [_change("aws_eks_cluster.c", "update", before=after, after=before)])
    assert finding.details == [
        'policy: Effect "Deny" -> "Allow"',
        'vpc: [0].cidrs [] -> null; [0].cidrs[0] null -> "0.0.0.0/0"; [0].public false -> true',
    ]


def _ignored(finding: str, until: date = date(2026, 6, 1), attributes: tuple[str, ...] = ()) -> Ignored:
    return Ignored("ap-northeast-2-*", finding, "minji", "on trial", until, attributes)


def _seen() -> dict[str, Seen]:
    changed = Finding(_STACK, "changed", "aws_db.db", ["a", "b"], ["engine_version", "public"])
    return {_STACK: Seen(drift=[changed, Finding(_STACK, "added", "aws_vpc.vpc: subnet subnet-1")])}


def _report(*entries: Ignored, seen: dict[str, Seen] | None = None) -> Any:
    return drift.report(_seen() if seen is None else seen, entries, [], date(2026, 1, 1))


def test_drift_needs_attention_and_has_a_table_for_each_stack() -> None:
    report = _report()
    assert (report.title, report.status) == ("drift: 2 findings in 1 of 1 stack", Status.ATTENTION)
    (section,) = report.tables
    assert section.title == f"{_STACK}: drift"
    assert [finding["name"] for finding in report.data["stacks"][_STACK]["drift"]] == [
        "aws_db.db",
        "aws_vpc.vpc: subnet subnet-1",
    ]


def test_the_report_lists_what_is_not_checked() -> None:
    report = _report(seen={_STACK: Seen()})
    assert (report.title, report.status) == ("no drift in 1 stack", Status.FINE)
    assert "the values of secrets" in report.notes[0]


def test_pending_changes_are_reported_and_are_not_drift() -> None:
    report = _report(seen={_STACK: Seen(pending=["update aws_kms_key.key"])})
    assert report.status == Status.FINE
    assert report.tables[0].rows[0][:2] == ["not applied yet", "update aws_kms_key.key"]


def test_changes_that_wait_for_a_maintenance_window_are_reported_and_are_not_drift() -> None:
    waits = Waiting("aws_db_instance.db", "multi_az False -> True", "waits for the maintenance window", is_all=True)
    report = _report(seen={_STACK: Seen(waiting=[waits])})
    assert (report.title, report.status) == ("no drift in 1 stack", Status.FINE)
    assert report.tables[0].title == f"{_STACK}: pending"
    assert report.tables[0].rows == [
        ["applied, waits", "aws_db_instance.db", "multi_az False -> True\nwaits for the maintenance window"]
    ]
    assert report.data["stacks"][_STACK]["waiting"][0]["address"] == "aws_db_instance.db"


@pytest.mark.parametrize(
    ("seen", "title"),
    [
        ([Seen(errors=["AccessDenied"])], "drift unknown; 1 stack could not be checked"),
        (
            [Seen(errors=["AccessDenied"]), Seen(errors=["AccessDenied"])],
            "drift unknown; 2 stacks could not be checked",
        ),
        ([Seen(), Seen(), Seen(errors=["AccessDenied"])], "no drift in 2 stacks; 1 stack could not be checked"),
        ([Seen()], "no drift in 1 stack"),
    ],
)
def test_the_headline_counts_only_stacks_that_were_checked(seen: list[Seen], title: str) -> None:
    assert _report(seen={f"stack-{number}": one for number, one in enumerate(seen)}).title == title


def test_a_stack_that_could_not_be_checked_is_an_error() -> None:
    report = _report(seen={_STACK: Seen(errors=["AccessDenied"]), "other": Seen()})
    assert (report.title, report.status) == ("no drift in 1 stack; 1 stack could not be checked", Status.ERROR)


def test_ignored_findings_are_shown_and_are_not_drift() -> None:
    report = _report(_ignored("aws_vpc.vpc: subnet subnet-1"), _ignored("aws_db.db"))
    assert report.status == Status.FINE
    assert [row[0] for row in report.tables[0].rows] == ["ignored", "ignored"]
    assert all("minji: on trial, until 2026-06-01" in row[2] for row in report.tables[0].rows)
    assert report.data["stacks"][_STACK]["ignored"][0]["ignored"] == "minji: on trial, until 2026-06-01"


def test_an_ignored_attribute_does_not_hide_others() -> None:
    assert len(_report(_ignored("aws_db.db", attributes=("engine_version",))).tables[0].rows) == 2
    report = _report(_ignored("aws_db.db", attributes=("engine_version", "public")))
    assert [finding["name"] for finding in report.data["stacks"][_STACK]["ignored"]] == ["aws_db.db"]


def test_expired_and_unused_entries_are_reported() -> None:
    report = _report(_ignored("aws_db.db", until=date(2025, 12, 31)), _ignored("aws_gone.gone"))
    assert report.status == Status.ATTENTION
    assert report.notes[:2] == (
        "drift-ignored.toml: ap-northeast-2-* aws_db.db: until 2025-12-31: expired, so the finding is reported again",
        "drift-ignored.toml: ap-northeast-2-* aws_gone.gone: matches no finding; remove it",
    )


def test_entries_for_stacks_that_were_not_checked_are_not_reported_as_unused() -> None:
    assert _report(_ignored("aws_db.db"), seen={"us-west-2-dev": Seen()}).notes == drift.LOSSES


class _Terraform:
    """Counts the plans that run in parallel. All plans are empty."""

    running, most, lock = 0, 0, threading.Lock()

    def __init__(self, _: Path) -> None:
        pass

    def stream_plan(self, *_: object, **_options: object) -> dict[str, Any]:
        with self.lock:
            _Terraform.running += 1
            _Terraform.most = max(_Terraform.most, _Terraform.running)
        time.sleep(0.05)
        with self.lock:
            _Terraform.running -= 1
        return {}


def _drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, parallelism: int = 1) -> Report:
    monkeypatch.setattr(drift, "Terraform", _Terraform)
    _Terraform.most = 0
    stacks = [make_stack(directory=tmp_path, name=name) for name in names]
    return drift.drift(stacks, stacks, [], Progress(), parallelism=parallelism, logs=tmp_path / "logs")


@pytest.mark.parametrize("parallelism", [1, 2])
def test_limits_the_plans_that_run_in_parallel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallelism: int
) -> None:
    monkeypatch.setattr(drift, "_add_untracked", lambda *_: [])
    assert _drift(tmp_path, monkeypatch, "abcdef", parallelism).status == Status.FINE
    assert _Terraform.most == parallelism


def test_no_stack_is_clean_if_aws_cannot_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise open drift issues would be closed without a check."""

    def session(_: str, **_of: object) -> None:
        raise OperationError("no credentials")

    monkeypatch.setattr(aws_client, "session", session)
    report = _drift(tmp_path, monkeypatch, "ab")
    assert [one["errors"] for one in report.data["stacks"].values()] == [
        ["resources in no Terraform state: no credentials"]
    ] * 2
    assert report.status == Status.ERROR


def test_aws_is_not_called_for_in_cluster_stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "Terraform", _Terraform)
    monkeypatch.setattr(aws_client, "session", lambda *_, **__: pytest.fail("AWS was called"))
    (tmp_path / "cdk.tf.json").write_text('{"terraform": {"backend": {"s3": {}}}}')
    stacks = [make_stack(directory=tmp_path, kind="in-cluster")]
    assert drift.drift(stacks, stacks, [], Progress(), parallelism=1, logs=tmp_path).status is Status.FINE


@pytest.mark.parametrize(
    ("cores", "gibibytes", "jobs"), [(8, 3, 3), (2, 16, 2), (2, 0.5, 1)], ids=["memory", "cores", "at least one"]
)
def test_plans_that_run_in_parallel_depend_on_cores_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, gibibytes: float, jobs: int
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 99999999 kB\nMemAvailable: {gibibytes * 1024 * 1024:.0f} kB\n")
    monkeypatch.setattr(drift, "Path", lambda _: meminfo)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert drift.jobs() == jobs


def test_without_proc_half_of_the_memory_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "Path", lambda _: tmp_path / "missing")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 2 * 1024 * 1024, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert drift.jobs() == 4


# --- with a fake `terraform` and an emulated AWS ----------------------------------------------------------------------


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    return FakeTerraform(tmp_path, monkeypatch)


@pytest.fixture
def bucket(aws: boto3.Session) -> str:
    """A state bucket for one test."""
    name = f"{uuid.uuid4()}-state"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
    return name


def _put_state(aws: boto3.Session, bucket: str, stack: str, kind: str, **attributes: str) -> None:
    """Write a state with one resource."""
    resource = {"mode": "managed", "type": kind, "name": "role", "instances": [{"attributes": attributes}]}
    aws.client("s3").put_object(Bucket=bucket, Key=f"{stack}.tfstate", Body=json.dumps({"resources": [resource]}))


@pytest.fixture
def role(aws: boto3.Session, bucket: str) -> str:
    """The role of the stack `dev`, which is in its state."""
    iam = aws.client("iam")
    iam.create_role(RoleName=bucket, AssumeRolePolicyDocument=TRUST)
    _put_state(aws, bucket, "dev", "aws_iam_role", name=bucket)
    return bucket


_ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW]})


def _in_bucket(bucket: str, name: str = "dev") -> State:
    return State(bucket, f"{name}.tfstate", "ap-northeast-2", None, "backend")


def _check(tmp_path: Path, stacks: list[Stack], every: list[Stack] | None = None) -> Report:
    progress = Progress(Console(file=io.StringIO()))
    return drift.drift(stacks, every or stacks, [], progress, parallelism=1, logs=tmp_path / "logs")


def _apply(stack: Stack) -> None:
    """Apply the stack with the fake."""
    runner = Terraform(stack.directory)
    runner.output("plan", f"-out={stack.directory}/plan")
    runner.output("apply", f"{stack.directory}/plan")


def _findings(report: Report) -> dict[str, list[str]]:
    return {name: [finding["name"] for finding in one["drift"]] for name, one in report.data["stacks"].items()}


def test_one_report_has_the_drift_of_plans_untracked_additions_and_pending_changes(
    tmp_path: Path, terraform: FakeTerraform, aws: boto3.Session, role: str
) -> None:
    state = _in_bucket(role)
    _apply(terraform.stack("dev", {"aws_kms_key.key": {"rotation": True}}, state=state))
    terraform.change("dev", "aws_kms_key.key", rotation=False)
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="extra", PolicyDocument=_POLICY)
    dev = terraform.stack("dev", {"aws_kms_key.key": {"rotation": True}, "aws_eip.new": {}}, state=state)
    report = _check(tmp_path, [dev])
    assert report.status is Status.ATTENTION
    assert sorted(_findings(report)["dev"]) == ["aws_iam_role.role: inline policy extra", "aws_kms_key.key"]
    assert report.data["stacks"]["dev"]["pending"] == ["create aws_eip.new"]
    (plan,) = [call for call in terraform.calls if call.startswith("dev: plan -json")]
    assert "-lock=false" in plan


def test_stacks_that_were_not_chosen_are_not_checked_but_their_resources_are_known(
    tmp_path: Path, terraform: FakeTerraform, aws: boto3.Session, role: str
) -> None:
    dev, prod = (terraform.stack(name, {}, state=_in_bucket(role, name)) for name in ("dev", "prod"))
    aws.client("iam").put_role_policy(RoleName=role, PolicyName="of-prod", PolicyDocument=_POLICY)
    assert _findings(_check(tmp_path, [prod], [dev, prod])) == {"prod": []}
    assert _findings(_check(tmp_path, [dev], [dev, prod])) == {"dev": ["aws_iam_role.role: inline policy of-prod"]}
    _put_state(aws, role, "prod", "aws_iam_role_policy", role=role, name="of-prod")
    assert _findings(_check(tmp_path, [dev], [dev, prod])) == {"dev": []}


def test_a_held_lock_is_noted(tmp_path: Path, terraform: FakeTerraform, aws: boto3.Session, bucket: str) -> None:
    lock = {"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "today"}
    aws.client("s3").put_object(Bucket=bucket, Key="dev.tfstate.tflock", Body=json.dumps(lock))
    report = _check(tmp_path, [terraform.stack("dev", {}, state=_in_bucket(bucket))])
    note = "dev: locked by minji@laptop since today: the findings may come from a running apply"
    assert (report.status, report.notes[0]) == (Status.FINE, note)


def test_a_failed_plan_is_an_error_and_the_other_stacks_are_checked(
    tmp_path: Path, terraform: FakeTerraform, aws: boto3.Session, bucket: str
) -> None:
    assert aws.region_name == "ap-northeast-2"
    stacks = [
        terraform.stack("dev", {"aws_vpc.vpc": {"plan_error": "AccessDenied"}}, state=_in_bucket(bucket)),
        terraform.stack("prod", {}, state=_in_bucket(bucket, "prod")),
    ]
    report = _check(tmp_path, stacks)
    assert report.status is Status.ERROR
    assert {name: (one["status"], one["errors"]) for name, one in report.data["stacks"].items()} == {
        "dev": ("error", ["dev: AccessDenied\nwith aws_vpc.vpc"]),
        "prod": ("clean", []),
    }


def test_a_failed_check_for_additions_is_an_error_of_its_stack(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    def list_role_policies(*_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListRolePolicies")

    monkeypatch.setitem(untracked._CHECKS, "aws_iam_role", (list_role_policies,))
    report = _check(tmp_path, [terraform.stack("dev", {}, state=_in_bucket(role))])
    (error,) = report.data["stacks"]["dev"]["errors"]
    assert error.startswith("aws_iam_role.role: An error occurred (AccessDenied)")
