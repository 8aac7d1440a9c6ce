"""Every preflight check, once passing and once failing. AWS answers from botocore stubs."""

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from operations.clients import aws as aws_client
from operations.clients.aws import OtherAccountError
from operations.errors import OperationError
from operations.output.report import Status
from operations.preflight import connections, databases, offers, preflight
from operations.preflight import existing as preflight_existing
from operations.preflight import quotas as preflight_quotas
from operations.preflight import state as preflight_state
from operations.preflight import tools as preflight_tools
from operations.preflight.check import Clients, Line, Outcome
from operations.terraform.stacks import Kind, Stack, State
from tests import ROOT
from tests.stacks import REGION, make_stack
from tests.stubbed_aws import Answer, stubs

Aws = Callable[..., Any]


@pytest.fixture
def aws() -> Iterator[Aws]:
    """AWS clients that return these answers in order: service, operation, and the response or an error code."""
    with stubs() as answering:
        yield answering


class Stacks:
    """Creates stacks with these resources, each given as `(type, name, arguments)`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *resources: tuple[str, str, dict[str, Any]], kind: Kind = "environment", **more: Any) -> Stack:
        directory = self._folder / kind
        directory.mkdir()
        by_kind: dict[str, dict[str, Any]] = {}
        for type_, resource, arguments in resources:
            by_kind.setdefault(type_, {})[resource] = arguments
        document = {
            "//": {"metadata": {"version": "0.21.0"}},
            "terraform": {"backend": {"s3": {}}, "required_version": ">= 1.11, < 2"},
            "provider": {"aws": [{"region": REGION}], "kubernetes": [{}]},
            "resource": by_kind,
        }
        (directory / "cdk.tf.json").write_text(json.dumps(document))
        return make_stack(directory=directory, kind=kind, account_id="210987654321", **more)


@pytest.fixture
def stack(tmp_path: Path) -> Stacks:
    return Stacks(tmp_path)


def _outcomes(lines: Iterable[Line]) -> list[str]:
    return [line.outcome for line in lines]


def _state(*addresses: str) -> dict[str, Any]:
    resources = [
        {"mode": "managed", "type": kind, "name": name} for kind, name in (address.split(".") for address in addresses)
    ]
    return _body({"resources": resources})


def _body(document: Any) -> dict[str, Any]:
    content = json.dumps(document).encode()
    return {"Body": StreamingBody(io.BytesIO(content), len(content))}


# --- all checks -------------------------------------------------------------------------------------------------------


def test_a_failed_check_does_not_stop_the_others() -> None:
    def denied() -> Iterator[Line]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeVpcs")

    def broken() -> Iterator[Line]:
        raise KeyError("any")

    (warned,) = preflight._run_check("quota", denied)
    (failed,) = preflight._run_check("names", broken)
    assert (warned.subject, warned.outcome) == ("quota", "warning")
    assert (failed.subject, failed.outcome) == ("names", "failed")
    assert "test_preflight.py" in failed.message


def test_the_worst_result_is_first_and_determines_the_status() -> None:
    passed, warning, failed = (Line("a", outcome, "") for outcome in ("passed", "warning", "failed"))
    assert preflight._preflight_report([passed]).status is Status.FINE
    assert preflight._preflight_report([passed, warning]).status is Status.ATTENTION
    report = preflight._preflight_report([passed, warning, failed])
    assert (report.status, report.title) == (Status.ERROR, "1 failed, 1 warning, 1 passed")
    assert [row[0] for row in report.tables[0].rows] == ["failed", "warning", "passed"]


@pytest.mark.parametrize("failed", ["session", "client"])
def test_without_credentials_the_other_checks_still_run(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: str
) -> None:
    def no_credentials(_: str, **_of: object) -> boto3.Session:
        raise OperationError("of account 123456789012; the stack may only be applied to 210987654321")

    def no_client(*_: object) -> None:
        raise OperationError("dev: eks: the AWS SDK cannot use its settings (Invalid endpoint: garbage)")

    session = no_credentials if failed == "session" else lambda *_, **_of: Mock(client=no_client)
    monkeypatch.setattr(aws_client, "session", session)
    report = preflight.preflight([stack()], [], tmp_path)
    subjects = {line["subject"]: line["outcome"] for line in report.data["checks"]}
    assert subjects["ap-northeast-2: credentials"] == "failed"
    assert {"settings", "terraform", "node", "cdktf"} <= subjects.keys()


def test_an_account_whose_credentials_are_not_there_is_a_warning_beside_one_that_is_checked(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def session(name: str, *, account_id: str, **_: object) -> boto3.Session:
        if account_id != valid:
            raise OtherAccountError(f"{name}: the credentials belong to account {valid}")
        return Mock()

    monkeypatch.setattr(aws_client, "session", session)
    monkeypatch.setattr(preflight, "_of_region", lambda *_: ())
    dev = stack()
    stacks = [dev, replace(dev, name="ap-northeast-2-prod", account="production", account_id="111111111111")]

    def outcomes() -> dict[str, str]:
        checks = preflight.preflight(stacks, [], tmp_path).data["checks"]
        named = {line["subject"].partition(": credentials"): line["outcome"] for line in checks}
        return {name: outcome for (name, found, _), outcome in named.items() if found}

    valid = dev.account_id
    assert outcomes() == {"ap-northeast-2": "passed", "ap-northeast-2-production": "warning"}
    valid = "222222222222"
    assert outcomes() == {"ap-northeast-2": "failed", "ap-northeast-2-production": "failed"}


def test_placeholders_are_reported_with_their_files() -> None:
    (line,) = preflight.settings(["stacks/owner.py: organisation: 'your-org'"])
    assert line.outcome == "failed"
    assert line.message.endswith("synthesize again:\nstacks/owner.py: organisation: 'your-org'")
    assert _outcomes(preflight.settings([])) == ["passed"]


# --- tools ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets the output of the next program."""

    def say(text: str) -> None:
        monkeypatch.setattr(preflight_tools, "_printed", lambda *_: text)

    return say


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("Terraform v1.11.4", "passed: Terraform 1.11.4 satisfies >= 1.11, < 2"),
        ("Terraform v1.11.0", "passed: Terraform 1.11.0 satisfies"),
        ("Terraform v1.14.0-beta1", "passed: Terraform 1.14.0-beta1 satisfies"),
        ("Terraform v1.10.5", "failed: Terraform 1.10.5: the stacks require >= 1.11, < 2; install such a version"),
        ("Terraform v2.0.0", "failed: Terraform 2.0.0: the stacks require"),
        ("OpenTofu v1.12.6", "passed: OpenTofu 1.12.6 satisfies >= 1.12, < 2"),
        ("OpenTofu v1.11.4", "failed: OpenTofu 1.11.4: the stacks require >= 1.12, < 2; install such a version"),
    ],
)
def test_terraform_and_opentofu_have_a_version_of_their_own_range(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", str(_printing(tmp_path / "any", f"{version}\non linux_amd64")))
    (line,) = preflight_tools.terraform([stack()])
    assert f"{line.outcome}: {line.message}".startswith(said)


def _printing(file: Path, text: str) -> Path:
    """A program that prints this text."""
    file.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("version", "outcome"), [("v20.20.2\n", "warning"), ("v22.1.0\n", "passed"), ("v24.0.0\n", "failed")]
)
def test_node_supports_the_cdktf_cli(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(version)
    assert _outcomes(preflight_tools.node()) == [outcome]


@pytest.mark.parametrize(
    ("name", "version", "outcome"),
    [
        ("cdktf-cli", "0.21.0", "passed"),
        ("cdktf-cli", "0.20.9", "failed"),
        ("cdktf-cli", "0.24.0", "failed"),
        ("cdktn-cli", "0.24.0", "passed"),
        ("cdktn-cli", "0.20.9", "failed"),
        ("other-cli", "0.21.0", "failed"),
    ],
)
def test_the_command_line_fits_the_library(
    stack: Stacks, tmp_path: Path, name: str, version: str, outcome: str
) -> None:
    package = tmp_path / "node_modules" / name / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text(json.dumps({"version": version}))
    assert _outcomes(preflight_tools.cdktf([stack()], tmp_path)) == [outcome]


@pytest.mark.parametrize(
    ("version", "outcome"), [("v1.36.3", "passed"), ("v1.35.0-eks-1", "passed"), ("v1.33.0", "warning")]
)
def test_kubectl_is_within_one_minor_version(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(json.dumps({"clientVersion": {"gitVersion": version}}))
    assert _outcomes(preflight_tools.kubectl(["1.36"], needed=True)) == [outcome]


@pytest.mark.parametrize(("version", "outcome"), [("aws-cli/2.31.1 Python", "passed"), ("aws-cli/1.44.0 P", "warning")])
def test_aws_cli_is_version_2(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(version)
    assert _outcomes(preflight_tools.aws(needed=True)) == [outcome]


@pytest.mark.parametrize(("needed", "outcome"), [(True, "failed"), (False, "warning")])
def test_programs_that_only_in_cluster_stacks_need_are_optional(
    monkeypatch: pytest.MonkeyPatch, *, needed: bool, outcome: str
) -> None:
    monkeypatch.setenv("PATH", "")
    assert _outcomes(preflight_tools.kubectl([], needed=needed)) == [outcome]
    assert _outcomes(preflight_tools.aws(needed=needed)) == [outcome]


def test_reports_a_program_that_fails_or_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationError, match=r"failed: oh no; try it, and correct what it says$"):
        preflight_tools._printed("sh", "-c", "echo Traceback: >&2; echo oh no >&2; exit 1")
    with pytest.raises(OperationError, match="failed: status 3; try it"):
        preflight_tools._printed("sh", "-c", "exit 3")
    monkeypatch.setattr(preflight_tools, "_SECONDS", 0.1)
    with pytest.raises(OperationError, match=r"not finished after 0\.1 seconds"):
        preflight_tools._printed("sleep", "5")


def test_checks_every_program(stack: Stacks, tmp_path: Path) -> None:
    cluster = ("aws_eks_cluster", "cluster", {"version": "1.36"})
    names = [name for name, _ in preflight_tools.checks([stack(cluster, kind="in-cluster")], tmp_path)]
    assert names == ["terraform", "node", "cdktf", "kubectl", "aws"]


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([("s3", "head_bucket", {}), ("s3", "get_bucket_versioning", {"Status": "Enabled"})], "passed"),
        ([("s3", "head_bucket", {}), ("s3", "get_bucket_versioning", {})], "failed"),
        ([("s3", "head_bucket", "404")], "failed"),
        ([("s3", "head_bucket", "403")], "failed"),
    ],
    ids=["fine", "not versioned", "missing", "access denied"],
)
def test_state_bucket(aws: Aws, stack: Stacks, answers: list[Answer], outcome: str) -> None:
    assert _outcomes(preflight_state.bucket([stack()], aws(*answers))) == [outcome]


def test_a_state_bucket_that_cannot_be_checked_is_a_warning(aws: Aws, stack: Stacks) -> None:
    stacks, clients = [stack()], aws(("s3", "head_bucket", "InternalError"))
    (line,) = preflight._run_check("state", lambda: preflight_state.bucket(stacks, clients))
    assert (line.subject, line.outcome) == ("state", "warning")
    assert line.message.startswith("could not be checked: An error occurred (InternalError)")


def test_the_backend_stack_needs_no_state_bucket(aws: Aws, stack: Stacks) -> None:
    assert _outcomes(preflight_state.bucket([stack(kind="backend")], aws())) == []


def test_a_lock_is_reported_with_its_owner_and_the_remedy(aws: Aws, stack: Stacks) -> None:
    held = {"ID": "6f1c", "Who": "minji@laptop", "Created": "2026-01-01T00:00:00Z", "Operation": "OperationTypeApply"}
    (line,) = preflight_state.locks([stack()], aws(("s3", "get_object", _body(held))))
    assert line.outcome == "failed"
    assert "minji@laptop holds the lock for apply, since 2026-01-01T00:00:00Z" in line.message
    assert line.message.endswith("force-unlock 6f1c, then: make recover STACK=environment")


def test_a_state_that_could_not_be_saved_is_reported(aws: Aws, stack: Stacks) -> None:
    unsaved = stack()
    unsaved.directory.mkdir(exist_ok=True)
    (unsaved.directory / "errored.tfstate").touch()
    line, locks = preflight_state.locks([unsaved], aws(("s3", "get_object", "NoSuchKey")))
    assert (line.subject, line.outcome, locks.outcome) == (f"state of {unsaved.name}", "failed", "passed")
    assert "state push errored.tfstate" in line.message


def test_a_lock_in_the_lock_table_is_reported(aws: Aws, stack: Stacks) -> None:
    locked = stack(state=State("state", "key", REGION, "locks", f"{REGION}-backend"))
    row = {"Item": {"Info": {"S": json.dumps({"ID": "6f1c", "Who": "minji@laptop"})}}}
    clients = aws(("s3", "get_object", "NoSuchKey"), ("dynamodb", "get_item", row))
    (line,) = preflight_state.locks([locked], clients)
    assert (line.outcome, line.message.split(" for ")[0]) == ("failed", "minji@laptop holds the lock")


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket"])
def test_no_lock_is_held(aws: Aws, stack: Stacks, code: str) -> None:
    assert _outcomes(preflight_state.locks([stack()], aws(("s3", "get_object", code)))) == ["passed"]


def test_a_state_that_cannot_be_read_is_not_treated_as_empty(aws: Aws, stack: Stacks) -> None:
    new = preflight_state.NewResources([stack()], aws(("s3", "get_object", "AccessDenied")))
    with pytest.raises(ClientError):
        list(new.resources("aws_vpc"))


# --- existing resources -----------------------------------------------------------------------------------------------

ROLE = {"Path": "/", "RoleName": "a", "RoleId": "A" * 16, "Arn": "a" * 20, "CreateDate": datetime.now(UTC)}
IAM_ROLE = ("aws_iam_role", "it", {"name": "a"})


def _existing(aws: Aws, stack: Stack, *answers: Answer) -> list[Line]:
    clients = aws(*answers)
    ((_, check),) = preflight_existing.checks([stack], preflight_state.NewResources([stack], clients), clients)
    return list(check())


def test_a_resource_that_does_not_exist_passes(aws: Aws, stack: Stacks) -> None:
    answers: list[Answer] = [("s3", "get_object", "NoSuchKey"), ("iam", "get_role", "NoSuchEntity")]
    (line,) = _existing(aws, stack(IAM_ROLE), *answers)
    assert line == Line("resources of ap-northeast-2-dev", "passed", "1 to create, none of them exists")


def test_a_resource_that_exists_but_is_in_no_state_fails(aws: Aws, stack: Stacks) -> None:
    answers: list[Answer] = [("s3", "get_object", "NoSuchKey"), ("iam", "get_role", {"Role": ROLE})]
    (line,) = _existing(aws, stack(IAM_ROLE), *answers)
    assert line == Line(
        "ap-northeast-2-dev: aws_iam_role.it",
        "failed",
        "a exists, but is in no Terraform state; after a killed deploy: make recover STACK=ap-northeast-2-dev; "
        "if others made it: make adopt STACK=ap-northeast-2-dev; otherwise delete it, or choose another name",
    )


def test_resources_in_the_state_are_not_looked_for(aws: Aws, stack: Stacks) -> None:
    answer = ("s3", "get_object", _state("aws_iam_role.it"))
    assert _outcomes(_existing(aws, stack(IAM_ROLE), answer)) == ["passed"]


def test_resources_of_a_resource_that_was_found_are_found(aws: Aws, stack: Stacks) -> None:
    """The order of a configuration is the one of the names of types, in which a policy can be before its role."""
    tags = [{"Key": name, "Value": value} for name, value in stack_tags.items()]
    route = {"route_table_id": "${aws_route_table.it.id}", "destination_cidr_block": "0.0.0.0/0"}
    one = stack(("aws_route", "it", route), ("aws_route_table", "it", {"tags": {"Name": "public"}}))
    tables = {"RouteTables": [{"RouteTableId": "rtb-1", "Tags": [*tags, {"Key": "Name", "Value": "public"}]}]}
    routes = {"RouteTables": [{"Routes": [{"DestinationCidrBlock": "0.0.0.0/0"}]}]}
    answers: list[Answer] = [("s3", "get_object", "NoSuchKey"), ("ec2", "describe_route_tables", tables)]
    lines = _existing(aws, one, *answers, ("ec2", "describe_route_tables", routes))
    assert [line.message.split(" exists")[0] for line in lines] == ["rtb-1", "rtb-1_0.0.0.0/0"]


stack_tags = {"Environment": "dev", "Project": "gitops-platform", "Region": REGION}


def test_references_to_resources_in_the_state_are_known(aws: Aws, stack: Stacks) -> None:
    state = _body(
        {
            "resources": [
                {
                    "mode": "managed", "type": "aws_eks_cluster", "name": "it",
                    "instances": [{"attributes": {"vpc_config": [{"cluster_security_group_id": "sg-2"}], "id": None}}],
                }
            ]
        }
    )  # fmt: skip
    other = _body({"outputs": {"group": {"value": "sg-1"}}})
    rule = {
        "security_group_id": "${data.terraform_remote_state.shared.outputs.group}",
        "referenced_security_group_id": "${aws_eks_cluster.it.vpc_config[0].cluster_security_group_id}",
        "ip_protocol": "-1",
    }
    one = stack(
        ("aws_eks_cluster", "it", {"name": "gitops"}),
        ("aws_vpc_security_group_ingress_rule", "it", rule),
        ("aws_iam_role_policy", "it", {"role": "${aws_iam_role.it.name}", "name": "b", "policy": "${aws_x.y.z}"}),
        ("aws_iam_instance_profile", "it", {"name": "${aws_eks_cluster.it.id}${aws_eks_cluster.it.none[1]}"}),
        IAM_ROLE,
    )
    remote = {"shared": {"config": {"bucket": "state", "key": "shared.tfstate"}}}
    one.configuration["data"] = {"terraform_remote_state": remote}
    found = {"SecurityGroupRuleId": "sgr-1", "IsEgress": False, "IpProtocol": "-1"}
    rules = {"SecurityGroupRules": [{**found, "ReferencedGroupInfo": {"GroupId": "sg-2"}}]}
    policy = {"RoleName": "a", "PolicyName": "b", "PolicyDocument": "{}"}
    answers: list[Answer] = [
        ("s3", "get_object", state), ("s3", "get_object", other),
        ("ec2", "describe_security_group_rules", rules), ("iam", "get_role_policy", policy),
        ("iam", "get_role", "NoSuchEntity"),
    ]  # fmt: skip
    lines = _existing(aws, one, *answers)
    assert [line.message.split(" exists")[0] for line in lines] == ["sgr-1", "a:b"]


def test_a_resource_of_another_region_is_not_looked_for(aws: Aws, stack: Stacks) -> None:
    one = stack(("aws_iam_role", "it", {"name": "a", "provider": "aws.us-west-2"}))
    one.configuration["provider"]["aws"].append({"region": "us-west-2", "alias": "us-west-2"})
    assert _outcomes(_existing(aws, one, ("s3", "get_object", "NoSuchKey"))) == ["passed"]


def test_a_bucket_of_another_account_fails(aws: Aws, stack: Stacks) -> None:
    one = stack(("aws_s3_bucket", "it", {"bucket": "abc"}))
    (line,) = _existing(aws, one, ("s3", "get_object", "NoSuchKey"), ("s3", "head_bucket", "403"))
    message = "abc: the bucket is owned by another account; choose another name"
    assert line == Line("ap-northeast-2-dev: aws_s3_bucket.it", "failed", message)


def test_a_bucket_in_another_region_is_looked_for_because_names_are_global(aws: Aws, stack: Stacks) -> None:
    one = stack(("aws_s3_bucket", "it", {"bucket": "abc", "provider": "aws.us-west-2"}))
    one.configuration["provider"]["aws"].append({"region": "us-west-2", "alias": "us-west-2"})
    (line,) = _existing(aws, one, ("s3", "get_object", "NoSuchKey"), ("s3", "head_bucket", "403"))
    assert line.message == "abc: the bucket is owned by another account; choose another name"


def test_access_denied_for_one_resource_is_a_warning_and_the_next_one_is_looked_for(aws: Aws, stack: Stacks) -> None:
    one = stack(*(("aws_iam_role", name, {"name": name}) for name in ("hidden", "taken")))
    answers: list[Answer] = [("iam", "get_role", "AccessDenied"), ("iam", "get_role", {"Role": ROLE})]
    hidden, taken = _existing(aws, one, ("s3", "get_object", "NoSuchKey"), *answers)
    assert (hidden.subject, hidden.outcome) == ("ap-northeast-2-dev: aws_iam_role.hidden", "warning")
    assert hidden.message.startswith("could not be checked: ")
    assert (taken.subject, taken.outcome) == ("ap-northeast-2-dev: aws_iam_role.taken", "failed")


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [([], "passed"), ([{"destinations": [{"region": "us-west-2", "registryId": "123456789012"}]}], "failed")],
)
def test_a_replication_configuration_of_others_is_not_taken_over(
    aws: Aws, stack: Stacks, rules: list[Any], outcome: str
) -> None:
    stacks = [stack(("aws_ecr_replication_configuration", "it", {}))]
    registry = {"registryId": "123456789012", "replicationConfiguration": {"rules": rules}}
    clients = aws(("s3", "get_object", "NoSuchKey"), ("ecr", "describe_registry", registry))
    _, replication = preflight_existing.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    (line,) = replication[1]()
    assert (line.subject, line.outcome) == ("replication of images", outcome)
    assert ("already replicates to us-west-2" in line.message) == bool(rules)


# --- quotas -----------------------------------------------------------------------------------------------------------


def _limit(value: float) -> Answer:
    return ("service-quotas", "get_service_quota", {"Quota": {"Value": value}})


IN_USE: dict[str, Answer] = {
    "aws_vpc": ("ec2", "describe_vpcs", {"Vpcs": [{}, {}, {}]}),
    "aws_eip": ("ec2", "describe_addresses", {"Addresses": [{}, {}, {}]}),
    "aws_eks_cluster": ("eks", "list_clusters", {"clusters": ["a", "b", "c"]}),
    "aws_db_instance": ("rds", "describe_db_instances", {"DBInstances": [{}, {}, {}]}),
    "aws_rds_cluster": ("rds", "describe_db_clusters", {"DBClusters": [{}, {}, {}]}),
    "aws_rds_cluster_instance": ("rds", "describe_db_instances", {"DBInstances": [{}, {}, {}]}),
    "aws_efs_file_system": (
        "efs",
        "describe_file_systems",
        {
            "FileSystems": [
                {
                    "OwnerId": "210987654321", "CreationToken": "a", "FileSystemId": "fs-12345678", "CreationTime": 0,
                    "LifeCycleState": "available", "NumberOfMountTargets": 0, "SizeInBytes": {"Value": 0},
                    "PerformanceMode": "generalPurpose", "Tags": [],
                }
            ]
            * 3
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("limit", "outcome"), [(10, "passed"), (5, "passed"), (4, "warning"), (3, "failed")])
@pytest.mark.parametrize("kind", IN_USE)
def test_a_quota_counts_existing_and_added_resources(
    aws: Aws, stack: Stacks, kind: str, limit: int, outcome: str
) -> None:
    stacks = [stack((kind, "it", {}))]
    clients = aws(("s3", "get_object", "NoSuchKey"), IN_USE[kind], _limit(limit))
    ((_, check),) = preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    (line,) = check()
    assert line.outcome == outcome
    assert f"3 in use, 1 added, {limit} allowed" in line.message
    assert ("aws service-quotas request-service-quota-increase" in line.message) is (outcome != "passed")


def test_a_quota_that_was_never_increased_has_the_default_value(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_vpc", "it", {}))]
    clients = aws(
        ("s3", "get_object", _state("aws_vpc.it")),
        IN_USE["aws_vpc"],
        ("service-quotas", "get_service_quota", "NoSuchResourceException"),
        ("service-quotas", "get_aws_default_service_quota", {"Quota": {"Value": 3}}),
    )
    ((_, check),) = preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert list(check()) == [Line("quota of VPCs", "passed", "3 in use, 0 added, 3 allowed")]


def test_a_quota_that_cannot_be_read_is_a_warning(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_vpc", "it", {}))]
    clients = aws(
        ("s3", "get_object", "NoSuchKey"),
        IN_USE["aws_vpc"],
        ("service-quotas", "get_service_quota", "AccessDeniedException"),
    )
    ((subject, check),) = preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert _outcomes(preflight._run_check(subject, check)) == ["warning"]


@pytest.mark.parametrize(("limit", "outcome"), [(8, "passed"), (4, "failed")])
def test_nat_gateways_are_checked_in_the_zone_with_the_most(aws: Aws, stack: Stacks, limit: int, outcome: str) -> None:
    stacks = [
        stack(
            ("aws_subnet", "a", {"availability_zone": f"{REGION}a"}),
            ("aws_nat_gateway", "a", {"subnet_id": "${aws_subnet.a.id}"}),
            (
                "aws_nat_gateway",
                "regional",
                {
                    "availability_mode": "regional",
                    "availability_zone_address": [{"availability_zone": f"{REGION}{zone}"} for zone in "ab"],
                },
            ),
        )
    ]
    regional = [{"AvailabilityZone": f"{REGION}{zone}", "AllocationId": zone} for zone in "ab"]
    gateways = [
        *({"SubnetId": "subnet-1", "State": state} for state in ("available", "pending", "deleted")),
        {"AvailabilityMode": "regional", "State": "available", "NatGatewayAddresses": regional},
    ]
    clients = aws(
        ("s3", "get_object", "NoSuchKey"),
        ("ec2", "describe_subnets", {"Subnets": [{"SubnetId": "subnet-1", "AvailabilityZone": f"{REGION}a"}]}),
        ("ec2", "describe_nat_gateways", {"NatGateways": gateways}),
        _limit(limit),
    )
    (line,) = preflight_quotas.nat_gateways(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert (line.subject, line.outcome) == (f"quota of NAT gateways in {REGION}a", outcome)
    assert f"3 in use, 2 added, {limit} allowed" in line.message


@pytest.mark.parametrize(
    ("limits", "outcome"), [([100, 100], "passed"), ([20, 20], "warning"), ([10], "warning"), ([9], "failed")]
)
def test_vcpus_are_counted_by_family_at_desired_and_maximum_size(
    aws: Aws, stack: Stacks, limits: list[int], outcome: str
) -> None:
    group = {
        "instance_types": ["t3.medium", "t3.small"],
        "capacity_type": "ON_DEMAND",
        "scaling_config": {"desired_size": 3, "max_size": 10, "min_size": 2},
    }
    stacks = [stack(("aws_eks_node_group", "main", group))]
    running = [
        {"InstanceType": "m7i.large", "CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 2}},
        {"InstanceType": "m7i.large", "InstanceLifecycle": "spot"},
        {"InstanceType": "g5.large", "CpuOptions": {"CoreCount": 8, "ThreadsPerCore": 2}},
    ]
    types = [{"InstanceType": name, "VCpuInfo": {"DefaultVCpus": 2}} for name in group["instance_types"]]
    clients = aws(
        ("s3", "get_object", "NoSuchKey"),
        ("ec2", "describe_instance_types", {"InstanceTypes": types}),
        ("ec2", "describe_instances", {"Reservations": [{"Instances": running}]}),
        *map(_limit, limits),
    )
    (line,) = preflight_quotas.vcpus(preflight_state.NewResources(stacks, clients), clients)
    assert (line.subject, line.outcome) == ("quota of vCPUs (L-1216C47A)", outcome)
    assert "4 in use, 6 added" in line.message or "4 in use, 20 added" in line.message


def test_existing_node_groups_add_no_vcpus(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_eks_node_group", "main", {}))]
    clients = aws(("s3", "get_object", _state("aws_eks_node_group.main")))
    assert not list(preflight_quotas.vcpus(preflight_state.NewResources(stacks, clients), clients))


@pytest.mark.parametrize(
    ("instance_type", "spot", "code"),
    [
        ("m7i.large", False, "L-1216C47A"),
        ("t3.medium", True, "L-34B43A08"),
        ("g5.xlarge", False, "L-DB2E81BA"),
        ("p5.48xlarge", True, "L-7212CCBC"),
        ("inf2.xlarge", False, "L-1945791B"),
        ("trn1.2xlarge", False, "L-2C3B7624"),
        ("x2gd.large", False, "L-7295265B"),
        ("is4gen.large", False, "L-1216C47A"),
    ],
)
def test_each_instance_family_has_its_quota(instance_type: str, code: str, *, spot: bool) -> None:
    assert preflight_quotas._code(instance_type, spot=spot) == code


def test_only_quotas_of_resources_in_the_stacks_are_checked(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_nat_gateway", "a", {}), ("aws_eks_node_group", "main", {}))]
    names = [name for name, _ in preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, aws()), aws())]
    assert names == ["quota of NAT gateways", "quota of vCPUs"]


# --- the region -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "outcome", "message"),
    [
        ([("t3.medium", "a"), ("t3.medium", "b")], "passed", "offered in"),
        ([("t3.medium", "a"), ("t3.small", "b")], "passed", "offered in"),
        ([("t3.medium", "a"), ("t3.small", "a")], "failed", "not offered in ap-northeast-2b"),
        ([("t3.medium", "a"), ("t3.medium", "b")][:0], "failed", "not offered in this region"),
    ],
)
def test_instance_types_are_offered_in_every_zone(
    aws: Aws, offered: list[tuple[str, str]], outcome: str, message: str
) -> None:
    found = [{"InstanceType": name, "Location": f"{REGION}{zone}"} for name, zone in offered]
    clients = aws(("ec2", "describe_instance_type_offerings", {"InstanceTypeOfferings": found}))
    types = sorted({name for name, _ in offered}) or ["t3.medium"]
    (line,) = offers.instance_types("main", types, [f"{REGION}a", f"{REGION}b"], clients)
    assert line.outcome == outcome
    assert message in line.message


OPTION = {"EngineVersion": "17.4", "StorageType": "gp3", "MultiAZCapable": True}


@pytest.mark.parametrize("version", ["17", "17.4"])
@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        ([OPTION], "passed"),
        ([], "failed"),
        ([{**OPTION, "EngineVersion": "16.4"}], "failed"),
        ([{**OPTION, "StorageType": "io1"}], "failed"),
        ([{**OPTION, "MultiAZCapable": False}], "failed"),
    ],
)
def test_a_database_class_must_be_offered_with_the_settings_of_the_database(
    aws: Aws, options: list[dict[str, Any]], outcome: str, version: str
) -> None:
    database = {
        "identifier": "a", "engine": "postgres", "engine_version": version, "instance_class": "db.m7g.large",
        "storage_type": "gp3", "multi_az": True,
    }  # fmt: skip
    clients = aws(("rds", "describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": options}))
    assert _outcomes(offers.database_class(database, clients)) == [outcome]


@pytest.mark.parametrize(("offered", "outcome"), [("8.4.7", "passed"), ("8.0.42", "failed")])
def test_a_database_class_of_mysql_must_be_offered_with_its_major_version(aws: Aws, offered: str, outcome: str) -> None:
    database = {
        "identifier": "a", "engine": "mysql", "engine_version": "8.4", "instance_class": "db.m7g.large",
        "storage_type": "gp3", "multi_az": True,
    }  # fmt: skip
    options = {"OrderableDBInstanceOptions": [{**OPTION, "EngineVersion": offered}]}
    clients = aws(("rds", "describe_orderable_db_instance_options", options))
    assert _outcomes(offers.database_class(database, clients)) == [outcome]


@pytest.mark.parametrize(("offered", "outcome"), [("8.0.mysql_aurora.3.10.4", "passed"), ("5.7.12", "failed")])
def test_a_class_of_aurora_must_be_offered_with_its_major_version(aws: Aws, offered: str, outcome: str) -> None:
    cluster = {"cluster_identifier": "a", "engine": "aurora-mysql", "engine_version": "8.0"}
    options = {"OrderableDBInstanceOptions": [{"EngineVersion": offered}]}
    clients = aws(("rds", "describe_orderable_db_instance_options", options))
    assert _outcomes(offers.aurora_class(cluster, "db.r8g.large", clients)) == [outcome]


def _database(**more: Any) -> Answer:
    """A deployed database that runs 16.13."""
    database = {
        "Engine": "postgres", "EngineVersion": "16.13", "DBInstanceStatus": "available", "BackupRetentionPeriod": 7,
        "LatestRestorableTime": datetime.now(UTC) - timedelta(minutes=5), "PendingModifiedValues": {}, **more,
    }  # fmt: skip
    return ("rds", "describe_db_instances", {"DBInstances": [database]})


_TARGETS: Answer = (
    "rds",
    "describe_db_engine_versions",
    {"DBEngineVersions": [{"ValidUpgradeTarget": [{"EngineVersion": name} for name in ("16.14", "17.9", "17.10")]}]},
)


def _engine(aws: Aws, version: str, *answers: Answer, upgrades: bool = False) -> list[tuple[str, str]]:
    database: dict[str, Any] = {"identifier": "shop", "engine_version": version}
    database |= {"allow_major_version_upgrade": True} if upgrades else {}
    return [(line.outcome, line.message) for line in databases.engine_version(database, aws(*answers))]


def test_the_version_of_a_new_database_is_not_checked(aws: Aws) -> None:
    assert _engine(aws, "17", ("rds", "describe_db_instances", "DBInstanceNotFound")) == []
    with pytest.raises(ClientError):
        _engine(aws, "17", ("rds", "describe_db_instances", "AccessDenied"))


def _cluster(aws: Aws, version: str, *answers: Answer) -> list[tuple[str, str]]:
    cluster = {"cluster_identifier": "shop", "engine_version": version, "allow_major_version_upgrade": True}
    return [(line.outcome, line.message) for line in databases.engine_version(cluster, aws(*answers))]


def test_a_new_cluster_of_aurora_is_not_checked_and_one_in_use_is_upgraded_to_an_offered_version(aws: Aws) -> None:
    assert _cluster(aws, "18.4", ("rds", "describe_db_clusters", "DBClusterNotFoundFault")) == []
    found = {
        "Engine": "aurora-postgresql", "EngineVersion": "17.9", "Status": "available", "BackupRetentionPeriod": 7,
        "LatestRestorableTime": datetime.now(UTC),
    }  # fmt: skip
    running: Answer = ("rds", "describe_db_clusters", {"DBClusters": [found]})
    targets = {"DBEngineVersions": [{"ValidUpgradeTarget": [{"EngineVersion": "18.4"}]}]}
    ((outcome, message),) = _cluster(aws, "18.4", running, ("rds", "describe_db_engine_versions", targets))
    assert (outcome, message.partition(";")[0]) == ("passed", "will be upgraded from 17.9 to 18.4")


def test_a_database_runs_a_minor_version_of_the_settings(aws: Aws) -> None:
    assert _engine(aws, "16", _database()) == [("passed", "runs 16.13")]


def test_an_upgrade_that_is_done_is_removed_from_the_settings(aws: Aws) -> None:
    message = "runs 16.13: the upgrade is done; remove major_upgrade_to, and deploy"
    assert _engine(aws, "16.9", _database(), upgrades=True) == [("warning", message)]


def test_the_version_of_a_database_cannot_be_lowered(aws: Aws) -> None:
    message = (
        "runs 16.13, but the settings say 15: RDS cannot lower a version; "
        'set engine_version="16", or restore a snapshot: docs/runbook/databases.md'
    )
    assert _engine(aws, "15", _database()) == [("failed", message)]


@pytest.mark.parametrize(
    ("version", "targets"), [("17", "17.9, 17.10"), ("18", "none, first upgrade to another version than 18")]
)
def test_an_upgrade_must_be_permitted_in_the_settings(aws: Aws, version: str, targets: str) -> None:
    message = (
        f"runs 16.13, but the settings say {version}; if an upgrade is intended, set major_upgrade_to "
        f"(possible: {targets}), and follow docs/runbook/databases.md"
    )
    assert _engine(aws, version, _database(), _TARGETS) == [("failed", message)]


def test_a_database_can_be_upgraded(aws: Aws) -> None:
    ((outcome, message),) = _engine(aws, "17.9", _database(), _TARGETS, upgrades=True)
    assert outcome == "passed"
    assert message.startswith("will be upgraded from 16.13 to 17.9; can be restored to 20")


def test_a_major_version_of_mysql_has_two_numbers(aws: Aws) -> None:
    running = _database(Engine="mysql", EngineVersion="8.0.42")
    names = [{"EngineVersion": name} for name in ("8.0.46", "8.4.9", "8.4.10")]
    targets: Answer = ("rds", "describe_db_engine_versions", {"DBEngineVersions": [{"ValidUpgradeTarget": names}]})
    assert _engine(aws, "8.0", running) == [("passed", "runs 8.0.42")]
    ((outcome, message),) = _engine(aws, "8.4", running, targets)
    assert outcome == "failed"
    assert "set major_upgrade_to (possible: 8.4.9, 8.4.10)" in message
    ((outcome, message),) = _engine(aws, "8.4.9", running, targets, upgrades=True)
    assert (outcome, message.partition(";")[0]) == ("passed", "will be upgraded from 8.0.42 to 8.4.9")


_OLD_BACKUP = datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize(
    ("version", "database", "reason"),
    [
        ("17.6", {}, "RDS cannot upgrade 16.13 to 17.6; possible: 17.9, 17.10"),
        ("18.4", {}, "RDS cannot upgrade 16.13 to 18.4; possible: none"),
        ("17.9", {"DBInstanceStatus": "modifying"}, "its status is modifying; wait until it is available"),
        ("17.9", {"BackupRetentionPeriod": 0}, "without automated backups RDS takes no snapshot"),
        ("17.9", {"LatestRestorableTime": _OLD_BACKUP}, "it can be restored to"),
    ],
)
def test_what_prevents_an_upgrade_is_found(aws: Aws, version: str, database: dict[str, Any], reason: str) -> None:
    ((outcome, message),) = _engine(aws, version, _database(**database), _TARGETS, upgrades=True)
    assert outcome == "failed"
    assert message.startswith(reason)


def test_an_upgrade_also_applies_what_waits(aws: Aws) -> None:
    waits = {"MultiAZ": True, "DBInstanceClass": "db.m7g.large"}
    warned, passed = _engine(aws, "17.9", _database(PendingModifiedValues=waits), _TARGETS, upgrades=True)
    message = "the upgrade also applies what waits for the maintenance window: DBInstanceClass, MultiAZ"
    assert (warned, passed[0]) == (("warning", message), "passed")


def _versions(status: str = "STANDARD_SUPPORT", *, days: int = 300) -> Answer:
    end = datetime.now(UTC) + timedelta(days=days)
    known = [{"clusterVersion": "1.36", "versionStatus": status, "endOfStandardSupportDate": end}]
    return ("eks", "describe_cluster_versions", {"clusterVersions": known})


RUNS_NOWHERE: Answer = ("eks", "describe_cluster", "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (_versions(), "passed"),
        (_versions(days=30), "warning"),
        (_versions("EXTENDED_SUPPORT", days=-30), "failed"),
        (("eks", "describe_cluster_versions", {"clusterVersions": []}), "failed"),
    ],
)
def test_a_cluster_version_must_be_in_standard_support(aws: Aws, answer: Answer, outcome: str) -> None:
    assert _outcomes(offers.cluster_version("a", "1.36", aws(answer, RUNS_NOWHERE))) == [outcome]


@pytest.mark.parametrize(
    ("running", "outcomes"),
    [
        ("1.36", ["passed"]),
        ("1.35", ["passed", "passed"]),
        ("1.34", ["passed", "failed"]),
        ("1.37", ["passed", "failed"]),
    ],
)
def test_a_cluster_can_be_upgraded_by_one_minor_version_only(aws: Aws, running: str, outcomes: list[str]) -> None:
    clients = aws(_versions(), ("eks", "describe_cluster", {"cluster": {"version": running}}))
    assert _outcomes(offers.cluster_version("a", "1.36", clients)) == outcomes


def test_access_denied_to_a_cluster_does_not_mean_that_it_is_missing(aws: Aws) -> None:
    with pytest.raises(ClientError):
        list(offers.cluster_version("a", "1.36", aws(_versions(), ("eks", "describe_cluster", "AccessDenied"))))


@pytest.mark.parametrize(
    ("default", "outcome", "remedy"),
    [
        (True, "passed", ""),
        (False, "failed", "v1: not offered for Kubernetes 1.36; set addons.versions to one of DescribeAddonVersions"),
    ],
)
def test_an_add_on_version_must_be_offered(aws: Aws, default: bool, outcome: str, remedy: str) -> None:  # noqa: FBT001
    compatibilities = [{"clusterVersion": "1.36", "defaultVersion": default}]
    offer = {"addonVersion": "v1" if default else "v2", "compatibilities": compatibilities}
    answer = {"addons": [{"addonName": "coredns", "addonVersions": [offer]}]}
    clients = aws(("eks", "describe_addon_versions", answer))
    (line,) = offers.addon_version("it", {"addon_name": "coredns", "addon_version": "v1"}, "1.36", clients)
    assert (line.subject, line.outcome) == ("it", outcome)
    assert not remedy or line.message == remedy


def test_checks_each_node_group_database_cluster_and_pinned_add_on(aws: Aws, stack: Stacks) -> None:
    made = stack(
        ("aws_subnet", "a", {"availability_zone": f"{REGION}a"}),
        ("aws_eks_node_group", "main", {"node_group_name_prefix": "main-", "instance_types": ["t3.medium"]}),
        ("aws_db_instance", "a", {"identifier": "shop"}),
        ("aws_rds_cluster", "b", {"cluster_identifier": "stock"}),
        *[
            (
                "aws_rds_cluster_instance",
                f"b{number}",
                {"cluster_identifier": "${aws_rds_cluster.b.id}", "instance_class": "db.r8g.large"},
            )
            for number in (1, 2)
        ],
        ("aws_eks_cluster", "cluster", {"name": "gitops-cluster-dev", "version": "1.36"}),
        ("aws_eks_addon", "coredns", {"addon_name": "coredns", "addon_version": "v1"}),
        ("aws_eks_addon", "vpc-cni", {"addon_name": "vpc-cni"}),
    )
    names = [name for name, _ in offers.checks([made], aws())]
    assert names == [
        "node group main of ap-northeast-2-dev",
        "database shop",
        "version of database shop",
        "version of database stock",
        "database stock",
        "cluster gitops-cluster-dev",
        "add-on coredns of ap-northeast-2-dev",
    ]


class _Unreachable(boto3.Session):
    """A session whose services do not respond."""

    def client(self, service_name: str, **_: Any) -> Any:  # type: ignore[override]
        made: Any = super().client
        return made(service_name, endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1}))


def test_every_check_fails_if_aws_does_not_respond(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _Unreachable(aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION)  # noqa: S106
    monkeypatch.setattr(aws_client, "session", lambda _, **_of: session)
    report = preflight.preflight([stack(("aws_vpc", "it", {}))], [], tmp_path)
    outcomes = {line["subject"]: line["outcome"] for line in report.data["checks"]}
    assert outcomes[f"{REGION}: credentials"] == "passed"
    assert outcomes[f"{REGION}: state"] == outcomes[f"{REGION}: quota of VPCs"] == "failed"


# --- connections of the VPC -------------------------------------------------------------------------------------------

_STS = {
    "ServiceName": f"com.amazonaws.{REGION}.sts",
    "AvailabilityZones": [f"{REGION}a", f"{REGION}b"],
    "VpcEndpointPolicySupported": True,
}
_BY_HAND = (
    "account 111122223333 accepts attachments by hand, and until then the routes fail: "
    "deploy, let them accept the attachment, and deploy again"
)
_GATEWAY, _PEERING = "tgw-0123456789abcdef0", "pcx-0123456789abcdef0"


@pytest.mark.parametrize(
    ("services", "outcome", "message"),
    [
        ([_STS], "passed", f"offered in {REGION}a, {REGION}b"),
        ([], "failed", "not offered in this region; remove it from vpc.interface_endpoints"),
        (
            [{**_STS, "AvailabilityZones": [f"{REGION}a"]}],
            "failed",
            f"not offered in {REGION}b; remove it from vpc.interface_endpoints, or the zone",
        ),
        (
            [{**_STS, "VpcEndpointPolicySupported": False}],
            "failed",
            "accepts no policy; remove it from vpc.interface_endpoints, or set vpc.endpoint_principals to any",
        ),
    ],
)
def test_interface_endpoints_are_offered_in_every_zone(
    aws: Aws, stack: Stacks, services: list[dict[str, Any]], outcome: Outcome, message: str
) -> None:
    sts = {"vpc_endpoint_type": "Interface", "service_name": _STS["ServiceName"], "policy": "{}"}
    shared = stack(
        ("aws_vpc_endpoint", "s3", {"vpc_endpoint_type": "Gateway", "service_name": "s3"}),
        ("aws_vpc_endpoint", "sts", sts),
        *(("aws_subnet", zone, {"availability_zone": f"{REGION}{zone}"}) for zone in "ab"),
        kind="shared",
    )
    clients = aws(("ec2", "describe_vpc_endpoint_services", {"ServiceDetails": services}))
    ((subject, check),) = connections.checks([shared], clients)
    assert subject == "interface endpoints"
    assert list(check()) == [Line("interface endpoint sts", outcome, message)]


@pytest.mark.parametrize(
    ("found", "outcome", "message"),
    [
        ([{"State": "available", "OwnerId": "210987654321"}], "passed", "available"),
        (
            [{"State": "pending", "OwnerId": "210987654321"}],
            "failed",
            "is pending; wait until it is available",
        ),
        (
            [],
            "failed",
            "does not exist in this region, or is not shared with this account; share it with AWS RAM",
        ),
        (
            [
                {
                    "State": "available",
                    "OwnerId": "111122223333",
                    "Options": {"AutoAcceptSharedAttachments": "disable"},
                }
            ],
            "warning",
            _BY_HAND,
        ),
    ],
)
def test_a_transit_gateway_is_available(
    aws: Aws, stack: Stacks, found: list[dict[str, Any]], outcome: Outcome, message: str
) -> None:
    shared = stack(
        ("aws_ec2_transit_gateway_vpc_attachment", "one", {"transit_gateway_id": _GATEWAY}),
        ("aws_route", "one", {"transit_gateway_id": _GATEWAY, "destination_cidr_block": "10.9.0.0/16"}),
        kind="shared",
    )
    ((_, check),) = connections.checks([shared], aws(("ec2", "describe_transit_gateways", {"TransitGateways": found})))
    assert list(check()) == [Line(f"transit gateway {_GATEWAY}", outcome, message)]


@pytest.mark.parametrize(
    ("codes", "outcome", "message"),
    [
        (["active"], "passed", "active, leads to 10.8.0.0/16, 10.9.0.0/16"),
        (
            ["pending-acceptance"],
            "failed",
            f"not accepted: aws ec2 accept-vpc-peering-connection --vpc-peering-connection-id {_PEERING}",
        ),
        (["expired"], "failed", "is expired; create it again, and correct vpc.connections"),
        ([], "failed", "does not exist in this region; correct vpc.connections"),
    ],
)
def test_a_peering_connection_is_active(
    aws: Aws, stack: Stacks, codes: list[str], outcome: Outcome, message: str
) -> None:
    routes = [
        ("aws_route", f"{zone}{number}", {"vpc_peering_connection_id": _PEERING, "destination_cidr_block": network})
        for zone in "ab"
        for number, network in enumerate(["10.9.0.0/16", "10.8.0.0/16"])
    ]
    answer = {"VpcPeeringConnections": [{"Status": {"Code": code}} for code in codes]}
    clients = aws(("ec2", "describe_vpc_peering_connections", answer))
    ((_, check),) = connections.checks([stack(*routes, kind="shared")], clients)
    assert list(check()) == [Line(f"peering connection {_PEERING}", outcome, message)]


def test_there_is_a_client_for_every_service_that_finds_what_exists() -> None:
    """Such as CodeBuild, for runners that are in the settings but not in the state yet."""
    source = (ROOT / "operations/state/existing.py").read_text(encoding="utf-8")
    services = set(re.findall(r'account\.(?:all|get)\(\s*"([a-z0-9-]+)"', source))
    assert {"codebuild", "ec2", "efs"} <= services
    assert services <= set(Clients._SERVICES)
