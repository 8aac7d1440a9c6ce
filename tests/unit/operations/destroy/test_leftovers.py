"""Finding the resources that remain of a destroyed environment."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest

from eks_gitops.controller_tags import controller_tags
from operations.clients.aws import paginate
from operations.destroy import leftovers
from operations.destroy.leftovers import Environment, Leftover, kind_of
from operations.local.emulator_process import Emulator
from operations.terraform.stacks import Cluster, Existing, ExistingKey
from tests.stacks import make_further_stack, make_stack

DEV = Environment(
    tags={"Environment": "dev", "Project": "gitops-platform", "Region": "ap-northeast-2"},
    cluster=Cluster("gitops-cluster-dev", controller_tags("gitops-cluster-dev")),
    log_groups=[],
    iam_path="/ap-northeast-2/dev/",
)


@pytest.mark.parametrize(
    "tags",
    [
        {**DEV.tags, "Name": "ap-northeast-2-dev-efs"},
        {"kubernetes.io/cluster/gitops-cluster-dev": "owned"},
        {"elbv2.k8s.aws/cluster": "gitops-cluster-dev"},
        {"cluster.k8s.amazonaws.com/name": "gitops-cluster-dev"},
    ],
)
def test_owns_what_terraform_or_a_controller_tagged(tags: dict[str, str]) -> None:
    assert DEV.owns(tags)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"Environment": "dev"},  # of another project
        {**DEV.tags, "Region": "us-west-2"},
        {"kubernetes.io/cluster/gitops-cluster-prod": "owned"},
        {"elbv2.k8s.aws/cluster": "gitops-cluster-prod"},
    ],
)
def test_does_not_own_resources_with_other_tags(tags: dict[str, str]) -> None:
    assert not DEV.owns(tags)


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:kms:ap-northeast-2:123456789012:key/1", "kms:key"),
        ("arn:aws:rds:ap-northeast-2:123456789012:snapshot:main-final", "rds:snapshot"),
        ("arn:aws:s3:::bucket", "s3"),
        ("arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/eks/dev/cluster", "logs:log-group"),
    ],
)
def test_kind_is_read_from_the_arn(arn: str, kind: str) -> None:
    assert kind_of(arn) == kind


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as running:
        yield running


_accounts = itertools.count(111111111111)


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session in a new account. The tagging API lists nothing."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(next(_accounts)))
    _list_tagged(monkeypatch)
    return boto3.Session(region_name="ap-northeast-2")


def _list_tagged(monkeypatch: pytest.MonkeyPatch, **tagged: Sequence[str]) -> None:
    """Let the tagging API list these ARNs, by region."""

    def answer(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        if operation == "get_resources":
            return iter([{"ResourceARN": arn} for arn in tagged.get(client.meta.region_name.replace("-", "_"), ())])
        return paginate(client, operation, key, **arguments)

    monkeypatch.setattr(leftovers, "paginate", answer)


def _found(aws: boto3.Session, owner: Environment = DEV, gone: Sequence[str] = ()) -> dict[str, Leftover]:
    """The resources that are found, by id."""
    found = leftovers.find_leftovers(aws, owner, gone)
    assert len({one.id_ for one in found}) == len(found)
    return {one.id_: one for one in found}


_ISSUER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/1"
_ZONE = "arn:aws:route53:::hostedzone/Z1"
_QUEUE = "arn:aws:sqs:ap-northeast-2:123456789012:karpenter"


def test_finds_resources_of_global_services(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = "arn:aws:sqs:us-east-1:123456789012:another"
    _list_tagged(monkeypatch, ap_northeast_2=[_QUEUE], us_east_1=[_ISSUER, _ZONE, elsewhere])
    assert _found(aws).keys() == {_QUEUE, _ISSUER, _ZONE}


def test_a_resource_that_two_regions_list_is_reported_once(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = "arn:aws:s3:::dev-backups"
    _list_tagged(monkeypatch, ap_northeast_2=[bucket], us_east_1=[bucket])
    assert _found(aws).keys() == {bucket}


def test_what_no_stack_creates_is_no_leftover(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform created it and then forgot it: it still has the tags."""
    key = "arn:aws:kms:ap-northeast-2:123456789012:key/1"
    repository = "arn:aws:ecr:ap-northeast-2:123456789012:repository/hello"
    stack = make_stack(existing=Existing(key=ExistingKey(key, []), repositories=[repository]))
    _list_tagged(monkeypatch, ap_northeast_2=[_QUEUE, key, repository])
    assert _found(aws, replace(DEV, existing=stack.existing.arns)).keys() == {_QUEUE}


def test_finds_roles_under_the_path_of_the_environment(aws: boto3.Session) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}
    dev, _ = (
        aws.client("iam").create_role(
            Path=f"/ap-northeast-2/{environment}/",
            RoleName=environment,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )["Role"]["Arn"]
        for environment in ("dev", "prod")
    )
    assert _found(aws) == {dev: Leftover("iam:role", dev, 0)}


def _tags(tags: Mapping[str, str]) -> Any:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _tagged(kind: str, environment: str = "dev") -> Any:
    return [{"ResourceType": kind, "Tags": _tags({**DEV.tags, "Environment": environment})}]


def test_finds_ec2_resources_with_their_cost(aws: boto3.Session) -> None:
    ec2 = aws.client("ec2")
    owned: Any = [{"ResourceType": "volume", "Tags": _tags({"kubernetes.io/cluster/gitops-cluster-dev": "owned"})}]
    zone = "ap-northeast-2a"
    volume = ec2.create_volume(AvailabilityZone=zone, Size=100, TagSpecifications=owned)["VolumeId"]
    ec2.create_volume(AvailabilityZone=zone, Size=100, TagSpecifications=_tagged("volume", "prod"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=_tagged("vpc"))["Vpc"]["VpcId"]
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=_tagged("elastic-ip"))["AllocationId"]
    ec2.allocate_address(Domain="vpc", TagSpecifications=_tagged("elastic-ip", "prod"))
    found = _found(aws)
    assert {id_: (one.kind, one.monthly) for id_, one in found.items()} == {
        volume: ("volume", pytest.approx(9)),
        vpc: ("VPC", 0),
        address: ("address", 4),
    }


def test_finds_instances_that_are_not_terminated(aws: boto3.Session) -> None:
    ec2 = aws.client("ec2")

    def run(environment: str) -> str:
        options: Any = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}
        tags = _tagged("instance", environment)
        return str(ec2.run_instances(**options, TagSpecifications=tags)["Instances"][0]["InstanceId"])

    running, terminated, _ = run("dev"), run("dev"), run("prod")
    ec2.terminate_instances(InstanceIds=[terminated])
    found = {id_: one for id_, one in _found(aws).items() if one.kind == "instance"}
    assert found == {running: Leftover("instance", running, 60)}


def test_finds_load_balancers_of_the_cluster(aws: boto3.Session) -> None:
    """DescribeTags takes at most 20 ARNs, so there are more."""
    ec2, elb = aws.client("ec2"), aws.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]

    def create(name: str, cluster: str) -> str:
        tags = _tags({"elbv2.k8s.aws/cluster": cluster})
        return str(
            elb.create_load_balancer(Name=name, Subnets=[subnet], Tags=tags)["LoadBalancers"][0]["LoadBalancerArn"]
        )

    for number in range(20):
        create(f"other-{number}", "gitops-cluster-prod")
    own = create("own", "gitops-cluster-dev")
    kind = "elasticloadbalancing:loadbalancer"
    assert {id_: one for id_, one in _found(aws).items() if one.kind == kind} == {own: Leftover(kind, own, 17)}


def test_finds_a_log_group_that_was_created_again_without_tags(aws: boto3.Session) -> None:
    logs, name = aws.client("logs"), "/aws/eks/gitops-cluster-dev/cluster"
    for group in (name, f"{name}-of-another"):
        logs.create_log_group(logGroupName=group)
    found = _found(aws, replace(DEV, log_groups=[name, "/missing"]))
    assert found.keys() == {name}
    assert found[name] == Leftover("log group", name, None)


def test_finds_a_budget_that_remains(aws: boto3.Session) -> None:
    budgets = Mock()
    budgets.exceptions.NotFoundException = KeyError
    budgets.describe_budget.side_effect = [{}, KeyError]
    session = Mock(wraps=aws, region_name=aws.region_name)
    session.client = lambda service, **how: budgets if service == "budgets" else aws.client(service, **how)
    owner = replace(DEV, budgets=[("123456789012", "kept"), ("123456789012", "gone")])
    assert _found(session, owner) == {"kept": Leftover("budget", "kept", 0)}


def test_the_ownership_records_of_external_dns_are_found(aws: boto3.Session) -> None:
    route53 = aws.client("route53")
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="test")["HostedZone"]["Id"]
    for name, cluster in (("shop", "gitops-cluster-dev"), ("web", "gitops-cluster-dev-2")):
        value = f'"heritage=external-dns,external-dns/owner={cluster},external-dns/resource=ingress/{name}/web"'
        record: Any = {
            "Name": f"cname-{name}.example.com",
            "Type": "TXT",
            "TTL": 60,
            "ResourceRecords": [{"Value": value}],
        }
        change: Any = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=change)
    assert _found(aws).keys() == {"cname-shop.example.com. TXT"}
    assert _found(aws, replace(DEV, cluster=None)).keys() == set()


def test_keys_that_are_pending_deletion_are_not_reported(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    kms = aws.client("kms")
    kept, deleted = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.schedule_key_deletion(KeyId=deleted, PendingWindowInDays=7)
    _list_tagged(monkeypatch, ap_northeast_2=[kept, deleted])
    found = _found(aws)
    assert found.keys() == {kept}
    assert found[kept] == Leftover("kms:key", kept, 1)


def test_destroyed_resources_that_the_tagging_api_still_lists_are_not_reported(
    aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _list_tagged(monkeypatch, ap_northeast_2=[_QUEUE])
    assert _found(aws, gone=[_QUEUE]).keys() == set()


def test_final_snapshots_are_marked_as_kept_on_purpose(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = "arn:aws:rds:ap-northeast-2:123456789012:snapshot:main-final"
    _list_tagged(monkeypatch, ap_northeast_2=[snapshot, _QUEUE])
    found = _found(aws)
    assert {id_: one.is_kept for id_, one in found.items()} == {snapshot: True, _QUEUE: False}


def test_an_environment_is_identified_by_the_log_groups_in_its_stack(tmp_path: Path) -> None:
    group = {"name": "/aws/eks/gitops-cluster-dev/cluster"}
    budget = {"account_id": "123456789012", "name": "ap-northeast-2-dev-cost"}
    resources = {
        "aws_cloudwatch_log_group": {"cluster": group},
        "aws_vpc": {"vpc": {}},
        "aws_budgets_budget": {"budget": budget},
    }
    document = {"terraform": {"backend": {"s3": {}}}, "resource": resources}
    (tmp_path / "cdk.tf.json").write_text(json.dumps(document))
    expected = replace(DEV, log_groups=[group["name"]], budgets=[("123456789012", "ap-northeast-2-dev-cost")])
    assert leftovers.environment(make_stack(directory=tmp_path)) == expected


def test_roles_of_the_first_cluster_do_not_remain_of_a_further_one(aws: boto3.Session, tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {}}}}))
    owner = leftovers.environment(make_further_stack(tmp_path))
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}
    _, further = (
        aws.client("iam").create_role(
            Path="/ap-northeast-2/dev/",
            RoleName=f"ap-northeast-2-dev-{name}",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )["Role"]["Arn"]
        for name in ("cluster", "blue-cluster")
    )
    assert _found(aws, owner) == {further: Leftover("iam:role", further, 0)}


def test_a_further_cluster_owns_what_has_its_tag(tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {}}}}))
    owner = leftovers.environment(make_further_stack(tmp_path))
    assert owner.owns({**DEV.tags, "Cluster": "blue"})
    assert owner.owns({"elbv2.k8s.aws/cluster": "gitops-cluster-dev-blue"})
    assert not owner.owns(DEV.tags)
    assert not owner.owns({"elbv2.k8s.aws/cluster": "gitops-cluster-dev"})
