"""Preflight: every check once as it should be, and once as it should not; AWS answers from stubs."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from operations.clients import aws as aws_client
from operations.errors import OperationError
from operations.output.report import Status
from operations.preflight import names as preflight_names
from operations.preflight import offers, preflight
from operations.preflight import quotas as preflight_quotas
from operations.preflight import state as preflight_state
from operations.preflight import tools as preflight_tools
from operations.preflight.check import Line
from operations.terraform.stacks import Kind, Stack, State
from tests.stacks import make_stack

REGION = "ap-northeast-2"
Answer = tuple[str, str, dict[str, Any] | str]
Aws = Callable[..., Any]


@cache
def _client(service: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION)  # noqa: S106
    return session.client(service)


@pytest.fixture
def aws() -> Iterator[Aws]:
    """Clients that give these answers in this order: service, operation, and the answer or the code of an error."""
    stubbers: dict[str, Stubber] = {}

    def answering(*answers: Answer) -> Callable[[str], Any]:
        for service, operation, answer in answers:
            if service not in stubbers:
                stubbers[service] = Stubber(_client(service))
                stubbers[service].activate()
            if isinstance(answer, str):
                stubbers[service].add_client_error(operation, answer)
            else:
                stubbers[service].add_response(operation, answer)
        return _client

    yield answering
    for stubber in stubbers.values():
        stubber.assert_no_pending_responses()
        stubber.deactivate()


class Stacks:
    """Makes stacks of these resources, each resource `(type, name, arguments)`."""

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
            "terraform": {"required_version": ">= 1.11, < 2"},
            "provider": {"kubernetes": [{}]},
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


# --- the whole --------------------------------------------------------------------------------------------------------


def test_one_check_does_not_take_down_the_others() -> None:
    def denied() -> Iterator[Line]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeVpcs")

    def broken() -> Iterator[Line]:
        raise KeyError("any")

    (warned,) = preflight._asked("quota", denied)
    (failed,) = preflight._asked("names", broken)
    assert (warned.subject, warned.outcome) == ("quota", "warning")
    assert (failed.subject, failed.outcome) == ("names", "failed")
    assert "test_preflight.py" in failed.message


def test_worst_stands_first_and_decides_the_status() -> None:
    passed, warning, failed = (Line("a", outcome, "") for outcome in ("passed", "warning", "failed"))
    assert preflight._preflight_report([passed]).status is Status.FINE
    assert preflight._preflight_report([passed, warning]).status is Status.ATTENTION
    report = preflight._preflight_report([passed, warning, failed])
    assert (report.status, report.title) == (Status.ERROR, "1 failed, 1 warning, 1 passed")
    assert [row[0] for row in report.tables[0].rows] == ["failed", "warning", "passed"]


def test_without_credentials_the_rest_is_told_all_the_same(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(_: str, **_of: object) -> boto3.Session:
        raise OperationError("of account 123456789012; the stack may only be applied to 210987654321")

    monkeypatch.setattr(aws_client, "session", nobody)
    report = preflight.preflight([stack()], [], tmp_path)
    subjects = {line["subject"]: line["outcome"] for line in report.data["checks"]}
    assert subjects["ap-northeast-2: credentials"] == "failed"
    assert {"settings", "terraform", "node", "cdktf"} <= subjects.keys()


def test_placeholders_are_told_with_their_files() -> None:
    (line,) = preflight.settings(["stacks/owner.py: organisation: 'your-org'"])
    assert line.outcome == "failed"
    assert line.message.endswith("synthesize again:\nstacks/owner.py: organisation: 'your-org'")
    assert _outcomes(preflight.settings([])) == ["passed"]


# --- tools ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the next program prints."""

    def say(text: str) -> None:
        monkeypatch.setattr(preflight_tools, "_printed", lambda *_: text)

    return say


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("1.11.4", "passed"), ("1.11.0", "passed"), ("1.14.0-beta1", "passed"), ("1.10.5", "failed"), ("2.0.0", "failed")],
)
def test_terraform_is_as_the_stacks_demand(
    stack: Stacks, says: Callable[[str], None], version: str, outcome: str
) -> None:
    says(json.dumps({"terraform_version": version}))
    assert _outcomes(preflight_tools.terraform([stack()])) == [outcome]


@pytest.mark.parametrize(
    ("version", "outcome"), [("v20.20.2\n", "passed"), ("v22.1.0\n", "passed"), ("v24.0.0\n", "failed")]
)
def test_node_is_one_that_the_command_line_runs_on(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(version)
    assert _outcomes(preflight_tools.node()) == [outcome]


@pytest.mark.parametrize(("version", "outcome"), [("0.21.0", "passed"), ("0.20.9", "failed"), (None, "failed")])
def test_cdktf_is_of_the_version_that_synthesized(
    stack: Stacks, tmp_path: Path, version: str | None, outcome: str
) -> None:
    if version:
        package = tmp_path / "node_modules/cdktf-cli/package.json"
        package.parent.mkdir(parents=True)
        package.write_text(json.dumps({"version": version}))
    assert _outcomes(preflight_tools.cdktf([stack()], tmp_path)) == [outcome]


@pytest.mark.parametrize(
    ("version", "outcome"), [("v1.36.3", "passed"), ("v1.35.0-eks-1", "passed"), ("v1.33.0", "warning")]
)
def test_kubectl_is_near_the_clusters(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(json.dumps({"clientVersion": {"gitVersion": version}}))
    assert _outcomes(preflight_tools.kubectl(["1.36"], needed=True)) == [outcome]


@pytest.mark.parametrize(("version", "outcome"), [("aws-cli/2.31.1 Python", "passed"), ("aws-cli/1.44.0 P", "warning")])
def test_aws_is_the_maintained_one(says: Callable[[str], None], version: str, outcome: str) -> None:
    says(version)
    assert _outcomes(preflight_tools.aws(needed=True)) == [outcome]


@pytest.mark.parametrize(("needed", "outcome"), [(True, "failed"), (False, "warning")])
def test_what_only_in_cluster_stacks_need_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, *, needed: bool, outcome: str
) -> None:
    monkeypatch.setenv("PATH", "")
    assert _outcomes(preflight_tools.kubectl([], needed=needed)) == [outcome]
    assert _outcomes(preflight_tools.aws(needed=needed)) == [outcome]


def test_a_program_that_fails_or_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationError, match="failed: oh no"):
        preflight_tools._printed("sh", "-c", "echo oh no >&2; exit 1")
    monkeypatch.setattr(preflight_tools, "_SECONDS", 0.1)
    with pytest.raises(OperationError, match=r"no answer in 0\.1 seconds"):
        preflight_tools._printed("sleep", "5")


def test_programs_are_those_that_the_stacks_need(stack: Stacks, tmp_path: Path) -> None:
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
    ids=["fine", "without versions", "missing", "of somebody else"],
)
def test_state_bucket(aws: Aws, stack: Stacks, answers: list[Answer], outcome: str) -> None:
    assert _outcomes(preflight_state.bucket([stack()], aws(*answers))) == [outcome]


def test_backend_makes_the_bucket_and_needs_none(aws: Aws, stack: Stacks) -> None:
    assert _outcomes(preflight_state.bucket([stack(kind="backend")], aws())) == []


def test_locks_name_who_holds_them_since_when_and_the_way_out(aws: Aws, stack: Stacks) -> None:
    held = {"ID": "6f1c", "Who": "minji@laptop", "Created": "2026-01-01T00:00:00Z", "Operation": "OperationTypeApply"}
    (line,) = preflight_state.locks([stack()], aws(("s3", "get_object", _body(held))))
    assert line.outcome == "failed"
    assert "minji@laptop holds the lock for apply, since 2026-01-01T00:00:00Z" in line.message
    assert line.message.endswith("force-unlock 6f1c")


def test_a_lock_of_the_lock_table_is_one_too(aws: Aws, stack: Stacks) -> None:
    locked = stack(state=State("state", "key", REGION, "locks", f"{REGION}-backend"))
    row = {"Item": {"Info": {"S": json.dumps({"ID": "6f1c", "Who": "minji@laptop"})}}}
    clients = aws(("s3", "get_object", "NoSuchKey"), ("dynamodb", "get_item", row))
    (line,) = preflight_state.locks([locked], clients)
    assert (line.outcome, line.message.split(" for ")[0]) == ("failed", "minji@laptop holds the lock")


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket"])
def test_no_lock_is_held(aws: Aws, stack: Stacks, code: str) -> None:
    assert _outcomes(preflight_state.locks([stack()], aws(("s3", "get_object", code)))) == ["passed"]


def test_a_state_that_cannot_be_read_is_no_empty_one(aws: Aws, stack: Stacks) -> None:
    new = preflight_state.NewResources([stack()], aws(("s3", "get_object", "AccessDenied")))
    with pytest.raises(ClientError):
        list(new.resources("aws_vpc"))


# --- names ------------------------------------------------------------------------------------------------------------

FREE: dict[str, tuple[dict[str, str], list[Answer]]] = {
    "aws_cloudwatch_log_group": ({"name": "/aws/a"}, [("logs", "describe_log_groups", {"logGroups": []})]),
    "aws_db_instance": ({"identifier": "a"}, [("rds", "describe_db_instances", "DBInstanceNotFound")]),
    "aws_ecr_repository": ({"name": "shop"}, [("ecr", "describe_repositories", "RepositoryNotFoundException")]),
    "aws_eks_cluster": ({"name": "a"}, [("eks", "describe_cluster", "ResourceNotFoundException")]),
    "aws_iam_openid_connect_provider": (
        {"url": "https://token.example.com"},
        [("iam", "list_open_id_connect_providers", {"OpenIDConnectProviderList": []})],
    ),
    "aws_iam_role": ({"name": "a"}, [("iam", "get_role", "NoSuchEntity")]),
    "aws_kms_alias": ({"name": "alias/a"}, [("kms", "describe_key", "NotFoundException")]),
    "aws_s3_bucket": ({"bucket": "abc"}, [("s3", "head_bucket", "404")]),
    "aws_secretsmanager_secret": ({"name": "a"}, [("secretsmanager", "describe_secret", "ResourceNotFoundException")]),
}
ROLE = {"Path": "/", "RoleName": "a", "RoleId": "A" * 16, "Arn": "a" * 20, "CreateDate": datetime.now(UTC)}
TAKEN: dict[str, list[Answer]] = {
    "aws_cloudwatch_log_group": [("logs", "describe_log_groups", {"logGroups": [{"logGroupName": "/aws/a"}]})],
    "aws_db_instance": [("rds", "describe_db_instances", {})],
    "aws_ecr_repository": [("ecr", "describe_repositories", {})],
    "aws_eks_cluster": [("eks", "describe_cluster", {})],
    "aws_iam_openid_connect_provider": [
        (
            "iam",
            "list_open_id_connect_providers",
            {"OpenIDConnectProviderList": [{"Arn": "arn:aws:iam::210987654321:oidc-provider/token.example.com"}]},
        )
    ],
    "aws_iam_role": [("iam", "get_role", {"Role": ROLE})],
    "aws_kms_alias": [("kms", "describe_key", {"KeyMetadata": {"KeyId": "1"}})],
    "aws_s3_bucket": [("s3", "head_bucket", {})],
    "aws_secretsmanager_secret": [("secretsmanager", "describe_secret", {})],
}


def _names(aws: Aws, stack: Stacks, kind: str, *answers: Answer, known: tuple[str, ...] = ()) -> list[Line]:
    stacks = [stack((kind, "it", FREE[kind][0]))]
    clients = aws(("s3", "get_object", _state(*known)), *answers)
    ((_, check),) = preflight_names.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    return list(check())


def test_every_type_with_a_name_has_its_cases() -> None:
    assert FREE.keys() == TAKEN.keys() == preflight_names._KINDS.keys()


@pytest.mark.parametrize("kind", FREE)
def test_a_free_name_passes(aws: Aws, stack: Stacks, kind: str) -> None:
    assert _outcomes(_names(aws, stack, kind, *FREE[kind][1])) == ["passed"]


@pytest.mark.parametrize("kind", TAKEN)
def test_a_name_that_exists_and_is_in_no_state_fails(aws: Aws, stack: Stacks, kind: str) -> None:
    (line,) = _names(aws, stack, kind, *TAKEN[kind])
    assert line.outcome == "failed"
    assert f"import {kind}.it ID" in line.message


def test_what_the_state_knows_is_not_asked_for(aws: Aws, stack: Stacks) -> None:
    assert _outcomes(_names(aws, stack, "aws_iam_role", known=("aws_iam_role.it",))) == ["passed"]


def test_a_bucket_of_somebody_else_fails(aws: Aws, stack: Stacks) -> None:
    (line,) = _names(aws, stack, "aws_s3_bucket", ("s3", "head_bucket", "403"))
    assert line == Line("ap-northeast-2-dev: abc", "failed", "a bucket of somebody else; choose another name")


def test_a_bucket_of_another_region_fails(aws: Aws, stack: Stacks) -> None:
    (line,) = _names(aws, stack, "aws_s3_bucket", ("s3", "head_bucket", "PermanentRedirect"))
    assert (line.subject, line.outcome) == ("ap-northeast-2-dev: abc", "failed")
    assert line.message.startswith("a bucket of another region; ")


def test_a_name_that_may_not_be_asked_for_is_not_free_and_the_next_is_asked_for(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(*(("aws_iam_role", name, {"name": name}) for name in ("hidden", "taken")))]
    answers = [("iam", "get_role", "AccessDenied"), TAKEN["aws_iam_role"][0]]
    clients = aws(("s3", "get_object", "NoSuchKey"), *answers)
    ((_, check),) = preflight_names.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    hidden, taken = check()
    assert (hidden.subject, hidden.outcome) == ("ap-northeast-2-dev: hidden", "warning")
    assert hidden.message.startswith("could not be checked: ")
    assert (taken.subject, taken.outcome) == ("ap-northeast-2-dev: taken", "failed")


def test_a_name_that_is_known_after_the_apply_is_left_out(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_iam_role", "it", {"name": "${aws_eks_cluster.cluster.name}"}))]
    clients = aws(("s3", "get_object", "NoSuchKey"))
    ((_, check),) = preflight_names.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert _outcomes(check()) == ["passed"]


# --- quotas -----------------------------------------------------------------------------------------------------------


def _limit(value: float) -> Answer:
    return ("service-quotas", "get_service_quota", {"Quota": {"Value": value}})


IN_USE: dict[str, Answer] = {
    "aws_vpc": ("ec2", "describe_vpcs", {"Vpcs": [{}, {}, {}]}),
    "aws_eip": ("ec2", "describe_addresses", {"Addresses": [{}, {}, {}]}),
    "aws_eks_cluster": ("eks", "list_clusters", {"clusters": ["a", "b", "c"]}),
    "aws_db_instance": ("rds", "describe_db_instances", {"DBInstances": [{}, {}, {}]}),
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
def test_quota_counts_what_is_there_and_what_is_added(
    aws: Aws, stack: Stacks, kind: str, limit: int, outcome: str
) -> None:
    stacks = [stack((kind, "it", {}))]
    clients = aws(("s3", "get_object", "NoSuchKey"), IN_USE[kind], _limit(limit))
    ((_, check),) = preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    (line,) = check()
    assert line.outcome == outcome
    assert f"3 in use, 1 added, {limit} allowed" in line.message
    assert ("aws service-quotas request-service-quota-increase" in line.message) is (outcome != "passed")


def test_a_quota_that_was_never_raised_is_the_default(aws: Aws, stack: Stacks) -> None:
    stacks = [stack(("aws_vpc", "it", {}))]
    clients = aws(
        ("s3", "get_object", _state("aws_vpc.it")),
        IN_USE["aws_vpc"],
        ("service-quotas", "get_service_quota", "NoSuchResourceException"),
        ("service-quotas", "get_aws_default_service_quota", {"Quota": {"Value": 3}}),
    )
    ((_, check),) = preflight_quotas.checks(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert list(check()) == [Line("quota of VPCs", "passed", "3 in use, 0 added, 3 allowed")]


@pytest.mark.parametrize(("limit", "outcome"), [(5, "passed"), (2, "failed")])
def test_fullest_zone_decides_about_nat_gateways(aws: Aws, stack: Stacks, limit: int, outcome: str) -> None:
    stacks = [
        stack(
            ("aws_subnet", "a", {"availability_zone": f"{REGION}a"}),
            ("aws_nat_gateway", "a", {"subnet_id": "${aws_subnet.a.id}"}),
        )
    ]
    gateways = [{"SubnetId": "subnet-1", "State": state} for state in ("available", "pending", "deleted")]
    clients = aws(
        ("s3", "get_object", "NoSuchKey"),
        ("ec2", "describe_subnets", {"Subnets": [{"SubnetId": "subnet-1", "AvailabilityZone": f"{REGION}a"}]}),
        ("ec2", "describe_nat_gateways", {"NatGateways": gateways}),
        _limit(limit),
    )
    (line,) = preflight_quotas.nat_gateways(stacks, preflight_state.NewResources(stacks, clients), clients)
    assert (line.subject, line.outcome) == (f"quota of NAT gateways in {REGION}a", outcome)
    assert f"2 in use, 1 added, {limit} allowed" in line.message


@pytest.mark.parametrize(
    ("limits", "outcome"), [([100, 100], "passed"), ([20, 20], "warning"), ([10], "warning"), ([9], "failed")]
)
def test_vcpus_are_those_of_the_family_as_desired_and_at_most(
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


def test_node_groups_that_run_add_no_vcpus(aws: Aws, stack: Stacks) -> None:
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
def test_each_family_has_its_quota(instance_type: str, code: str, *, spot: bool) -> None:
    assert preflight_quotas._code(instance_type, spot=spot) == code


def test_quotas_are_those_of_what_the_stacks_hold(aws: Aws, stack: Stacks) -> None:
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
def test_class_of_a_database_is_offered_for_what_it_needs(
    aws: Aws, options: list[dict[str, Any]], outcome: str
) -> None:
    database = {
        "identifier": "a", "engine": "postgres", "engine_version": "17", "instance_class": "db.m7g.large",
        "storage_type": "gp3", "multi_az": True,
    }  # fmt: skip
    clients = aws(("rds", "describe_orderable_db_instance_options", {"OrderableDBInstanceOptions": options}))
    assert _outcomes(offers.database_class(database, clients)) == [outcome]


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
def test_version_of_a_cluster_is_in_standard_support(aws: Aws, answer: Answer, outcome: str) -> None:
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
def test_a_cluster_goes_up_one_version_at_a_time_and_never_down(aws: Aws, running: str, outcomes: list[str]) -> None:
    clients = aws(_versions(), ("eks", "describe_cluster", {"cluster": {"version": running}}))
    assert _outcomes(offers.cluster_version("a", "1.36", clients)) == outcomes


def test_a_cluster_that_may_not_be_asked_for_is_not_absent(aws: Aws) -> None:
    with pytest.raises(ClientError):
        list(offers.cluster_version("a", "1.36", aws(_versions(), ("eks", "describe_cluster", "AccessDenied"))))


def test_region_is_asked_for_each_group_database_and_cluster(aws: Aws, stack: Stacks) -> None:
    made = stack(
        ("aws_subnet", "a", {"availability_zone": f"{REGION}a"}),
        ("aws_eks_node_group", "main", {"node_group_name": "main", "instance_types": ["t3.medium"]}),
        ("aws_db_instance", "a", {"identifier": "shop"}),
        ("aws_eks_cluster", "cluster", {"name": "gitops-cluster-dev", "version": "1.36"}),
    )
    names = [name for name, _ in offers.checks([made], aws())]
    assert names == ["node group main of ap-northeast-2-dev", "database shop", "cluster gitops-cluster-dev"]


class _Unreachable(boto3.Session):
    """A session of which no service answers."""

    def client(self, service_name: str, **_: Any) -> Any:  # type: ignore[override]
        made: Any = super().client
        return made(service_name, endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1}))


def test_every_check_of_a_region_says_where_aws_does_not_answer(
    stack: Stacks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = _Unreachable(aws_access_key_id="any", aws_secret_access_key="any", region_name=REGION)  # noqa: S106
    monkeypatch.setattr(aws_client, "session", lambda _, **_of: session)
    report = preflight.preflight([stack(("aws_vpc", "it", {}))], [], tmp_path)
    outcomes = {line["subject"]: line["outcome"] for line in report.data["checks"]}
    assert outcomes[f"{REGION}: credentials"] == "passed"
    assert outcomes[f"{REGION}: state"] == outcomes[f"{REGION}: quota of VPCs"] == "failed"
