"""`recover` with a fake `terraform`; `tests/e2e/test_recover.py` recovers real stacks."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from operations.deploy import deploy, recover
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.state import existing
from operations.terraform.stacks import Stack
from tests.stacks import make_stack
from tests.unit.operations.deploy.fake_terraform import FakeTerraform, Resources

pytestmark = pytest.mark.slow

_VPC: Resources = {"aws_vpc.it": {"cidr_block": "10.0.0.0/16"}}
_BOTH: Resources = {**_VPC, "aws_subnet.it": {"cidr_block": "10.0.0.0/24"}}


class Aws:
    """What exists: import IDs by type. A subnet is found after the VPC, as its ID is not known before."""

    def __init__(self, **ids: list[str]) -> None:
        self.ids = ids
        self.asked: list[str] = []

    def find(self, account: object, kind: str, values: Mapping[str, Any], *, by_name: bool) -> list[str]:
        assert not by_name
        assert isinstance(account, existing.Account)
        assert "cidr_block" in values
        self.asked.append(kind)
        if kind == "aws_subnet" and self.asked.count("aws_vpc") and self.asked.count(kind) == 1:
            return []
        return self.ids.get(kind, [])


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    monkeypatch.setattr(Stack, "aws_session", lambda _: boto3.Session(region_name="ap-northeast-2"))
    return FakeTerraform(tmp_path, monkeypatch)


def _stack(terraform: FakeTerraform, wanted: Resources, actual: Resources, **more: Any) -> Stack:
    stack = terraform.stack("dev", wanted, **more)
    by_kind: dict[str, dict[str, Any]] = {}
    for address in wanted:
        kind, _, name = address.partition(".")
        by_kind.setdefault(kind, {})[name] = {}
    document = {
        "terraform": {"backend": {"s3": {}}},
        "provider": {"aws": [{"region": "ap-northeast-2"}]},
        "resource": by_kind,
    }
    (stack.directory / "cdk.tf.json").write_text(json.dumps(document))
    (stack.directory / "actual.json").write_text(json.dumps(actual))
    return stack


def _recover(tmp_path: Path, stack: Stack, **options: Any) -> Report:
    chosen = {"applies_unreviewed": True, "logs": tmp_path / "logs", **options}
    progress = Progress(Console(file=io.StringIO()))
    return deploy.deploy([stack], {"dev": set()}, deploy.Options(is_recovery=True, **chosen), progress, " ".join)


def test_what_exists_is_imported_and_what_is_missing_is_created(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existing, "find", Aws(aws_vpc=["vpc-1"], aws_subnet=["subnet-1"]).find)
    wanted: Resources = {**_BOTH, "aws_acm_certificate_validation.it": {}, "aws_eip.it": {"cidr_block": ""}}
    stack = _stack(terraform, wanted, _BOTH)
    report = _recover(tmp_path, stack)
    assert (report.status, report.title) == (Status.FINE, "recover: 1 applied")
    assert report.data["stacks"]["dev"]["imported"] == {"aws_subnet.it": "subnet-1", "aws_vpc.it": "vpc-1"}
    assert [table.rows for table in report.tables if table.title == "Imported"] == [
        [["dev", "aws_subnet.it", "subnet-1"], ["dev", "aws_vpc.it", "vpc-1"]]
    ]
    assert terraform.state("dev") == terraform.actual("dev") == wanted
    assert not (stack.directory / "imports.tf.json").exists()
    assert _recover(tmp_path, stack).title == "recover: 1 unchanged"


@pytest.mark.parametrize(
    ("actual", "refused"),
    [
        (
            {"id": "vpc-2"},
            (
                "replace aws_vpc.it: forced by id; "
                "recover with the settings of the last apply, then deploy the change; if they have not changed, "
                "what it depends on exists twice in AWS: delete the one that is not in use"
            ),
        ),
    ],
)
def test_a_plan_that_loses_resources_is_refused(
    tmp_path: Path,
    terraform: FakeTerraform,
    monkeypatch: pytest.MonkeyPatch,
    actual: dict[str, str],
    refused: str,
) -> None:
    monkeypatch.setattr(existing, "find", Aws(aws_vpc=["vpc-1"]).find)
    stack = _stack(terraform, _VPC, {"aws_vpc.it": actual})
    report = _recover(tmp_path, stack, is_guarded=False)
    assert report.status is Status.ATTENTION
    assert report.data["stacks"]["dev"]["what"] == refused
    assert terraform.actual("dev") == {"aws_vpc.it": actual}


def _interrupted(terraform: FakeTerraform) -> Stack:
    """A stack whose VPC exists and is in the state, but whose creation was interrupted; its subnet is lost."""
    stack = _stack(terraform, _BOTH, _BOTH)
    (stack.directory / "state.json").write_text(json.dumps(_VPC))
    (stack.directory / "tainted.json").write_text('["aws_vpc.it"]')
    return stack


@pytest.mark.parametrize("has_terminal", [True, False])
def test_what_exists_is_kept_although_its_creation_did_not_end(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, *, has_terminal: bool
) -> None:
    monkeypatch.setattr(existing, "find", Aws(aws_subnet=["subnet-1"]).find)
    questions: list[tuple[str, str]] = []

    def ask(question: str, shown: str) -> bool:
        questions.append((question, shown))
        return True

    stack = _interrupted(terraform)
    options = {"applies_unreviewed": False, "ask": ask} if has_terminal else {}
    report = _recover(tmp_path, stack, lock_timeout="10m", **options)
    assert report.data["stacks"]["dev"]["imported"] == {"aws_subnet.it": "subnet-1"}
    assert terraform.state("dev") == terraform.actual("dev") == _BOTH
    assert "dev: untaint -lock-timeout=10m aws_vpc.it -no-color" in terraform.calls
    kept = ("dev: these exist, but their creation did not end; they are kept as they are", "aws_vpc.it")
    assert questions[:1] == ([kept] if has_terminal else [])


@pytest.mark.parametrize("ask", [None, lambda *_: False])
def test_without_a_yes_the_refusal_names_the_command_that_keeps_a_resource(
    tmp_path: Path, terraform: FakeTerraform, ask: deploy.Ask | None
) -> None:
    stack = _interrupted(terraform)
    report = _recover(tmp_path, stack, applies_unreviewed=False, ask=ask, is_guarded=False)
    assert report.status is Status.ATTENTION
    assert report.data["stacks"]["dev"]["what"] == (
        "replace aws_vpc.it: tainted by a failed apply; "
        f"if it works, keep it: terraform -chdir={stack.directory} untaint 'aws_vpc.it'"
    )
    assert not [call for call in terraform.calls if call.startswith(("dev: untaint", "dev: apply"))]


def test_a_plan_is_applied_after_confirmation(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existing, "find", Aws(aws_vpc=["vpc-1"]).find)
    stack = _stack(terraform, _VPC, _VPC)
    report = _recover(tmp_path, stack, applies_unreviewed=False, ask=lambda *_: False)
    assert report.data["stacks"]["dev"]["what"] == "the plan was not reviewed, and was declined"


def test_two_that_cannot_be_told_apart_are_refused(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existing, "find", Aws(aws_vpc=["vpc-1", "vpc-2"]).find)
    report = _recover(tmp_path, _stack(terraform, _VPC, _VPC))
    assert report.data["stacks"]["dev"]["what"] == (
        "aws_vpc.it: vpc-1, vpc-2: 2 exist with its name or tags; delete those that are not in use"
    )


def test_a_type_that_cannot_be_found_is_refused(tmp_path: Path, terraform: FakeTerraform) -> None:
    stack = _stack(terraform, {"aws_lambda_function.it": {}}, {})
    assert _recover(tmp_path, stack).data["stacks"]["dev"]["what"] == (
        "aws_lambda_function.it: aws_lambda_function: recover does not know how to find it; if it exists: "
        f"terraform -chdir={stack.directory} import aws_lambda_function.it ID"
    )


def test_a_stack_of_kubernetes_objects_is_refused(tmp_path: Path, terraform: FakeTerraform) -> None:
    stack = _stack(terraform, {}, {}, kind="in-cluster")
    assert _recover(tmp_path, stack).data["stacks"]["dev"]["what"] == (
        f"dev: not a stack of AWS resources; import its objects: terraform -chdir={stack.directory} import ADDRESS ID"
    )


def test_an_error_of_aws_is_reported(tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> list[str]:
        raise OperationError("abc: the bucket is owned by another account; choose another name")

    monkeypatch.setattr(existing, "find", denied)
    report = _recover(tmp_path, _stack(terraform, _VPC, _VPC))
    assert report.data["stacks"]["dev"]["what"].startswith("abc: the bucket is owned by another account")


def _deploy(tmp_path: Path, stack: Stack) -> Report:
    options = deploy.Options(applies_unreviewed=True, logs=tmp_path / "logs")
    return deploy.deploy([stack], {"dev": set()}, options, Progress(Console(file=io.StringIO())), " ".join)


_FAILED: Resources = {**_VPC, "aws_eip.it": {"cidr_block": "", "apply_error": "LimitExceeded"}}


@pytest.mark.parametrize("is_listed", [True, False])
def test_after_an_apply_without_success_a_deploy_creates_nothing_that_exists(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, *, is_listed: bool
) -> None:
    assert _deploy(tmp_path, _stack(terraform, _FAILED, {})).status is Status.ERROR
    stack = _stack(terraform, _VPC, {})
    (stack.directory / "state.json").write_text("{}")

    def find(*_: object, **__: object) -> list[str]:
        if is_listed:
            return ["vpc-1"]
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeVpcs")

    monkeypatch.setattr(existing, "find", find)
    report = _deploy(tmp_path, stack)
    if not is_listed:
        assert report.title == "deploy: 1 applied"
        return
    assert report.title == "deploy: 1 refused"
    assert report.data["stacks"]["dev"]["what"] == (
        "aws_vpc.it exists, but is not in the state: vpc-1\n"
        "an earlier apply did not succeed; do this first: make recover STACK=dev"
    )
    (stack.directory / "actual.json").write_text(json.dumps(_VPC))
    assert _recover(tmp_path, stack).title == "recover: 1 applied"
    (stack.directory / "state.json").write_text("{}")
    monkeypatch.setattr(existing, "find", lambda *_, **__: pytest.fail("it looks although the last apply succeeded"))
    assert _deploy(tmp_path, stack).title == "deploy: 1 applied"


def test_what_is_in_the_state_is_not_lost(terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a second key with the same tags, which the settings ask for."""
    stack = _stack(terraform, _VPC, {})
    monkeypatch.setattr(existing, "find", lambda *_, **__: ["vpc-1", "vpc-2"])
    held = {"mode": "managed", "type": "aws_vpc", "values": {"id": "vpc-1"}}
    change = {"address": "aws_vpc.it", "type": "aws_vpc", "name": "it", "change": {"actions": ["create"], "after": {}}}
    document = {"prior_state": {"values": {"root_module": {"resources": [held]}}}, "resource_changes": [change]}
    assert recover.lost(stack, document) == [("aws_vpc.it", "vpc-2")]


def test_a_record_in_another_account_is_not_looked_for(tmp_path: Path) -> None:
    """The account of the stack does not have its zone."""
    provider = {"alias": "domain", "region": "ap-northeast-2", "assume_role": [{"role_arn": "arn"}]}
    record = {"provider": "aws.domain"}
    configuration = {
        "terraform": {"backend": {"s3": {}}},
        "provider": {"aws": [{"region": "ap-northeast-2"}, provider]},
        "resource": {"aws_route53_record": {"delegation": record}},
    }
    (tmp_path / "cdk.tf.json").write_text(json.dumps(configuration))
    values = {"zone_id": "Z1", "name": "dev.example.com", "type": "NS"}
    entry = {"type": "aws_route53_record", "name": "delegation", "change": {"after": values}}
    assert recover.ids(make_stack(directory=tmp_path), Mock(side_effect=AssertionError), entry) == []
