"""What an environment may do to resources of others, asked for every published action that changes a resource.

The questions are generated: each action of a service in use, for each kind of resource that has tags in a condition.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import pytest

from tests import iam_data
from tests.policies import Role
from tests.template import Template

SERVICES = (
    "acm", "backup", "dynamodb", "ec2", "ecr", "eks", "elasticfilesystem", "elasticloadbalancing", "events", "iam",
    "kms", "logs", "rds", "s3", "secretsmanager", "sqs", "ssm", "wafv2",
)  # fmt: skip
ENVIRONMENTS = ("dev", "prod", "shared", "staging")
OWNERS = (*ENVIRONMENTS, "backend")
RECORDS = "route53:ChangeResourceRecordSets"
ZONE_OF_THE_PLATFORM, OTHER_ZONE = "arn:aws:route53:::hostedzone/PLATFORM", "arn:aws:route53:::hostedzone/OTHER"
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]})

USES_OF_SHARED = {
    "dynamodb:DeleteItem",  # own locks
    "dynamodb:PutItem",
    "ec2:CreateFleet",  # in a subnet
    "ec2:CreateNetworkInterface",
    "ec2:CreateSecurityGroup",  # in the VPC
    "ec2:RunInstances",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "wafv2:AssociateWebACL",
    "wafv2:DisassociateWebACL",
}
"""The only actions other than reads that an environment may take on a resource of the shared or backend stack."""

BY_ADMINISTRATORS = {
    "backup:DeleteBackupVaultLockConfiguration",
    "backup:DeleteRecoveryPoint",
    "backup:UpdateRecoveryPointLifecycle",
    "iam:CreateRole",  # allowed only with the boundary, which test_boundary.py asks
    "iam:DeleteRolePermissionsBoundary",
    "iam:PutRolePermissionsBoundary",
}
"""Actions that the boundary denies on an environment's own resources, too."""


class Question(NamedTuple):
    """An action on a resource that is named for its owner and has its tag, or that of AWS."""

    action: iam_data.Action
    resource: str
    tags: Mapping[str, str]
    is_tagged_by: bool
    """Whether the request can set a tag of the resource."""

    def allowed(self, role: Role, environment: str, tags: Mapping[str, str] | None = None) -> bool:
        """Whether `role` may do it, in a request that sets the tag of its environment if it can.

        `tags` are those that the resource has by then, if others than its own.
        """
        context = {"aws:RequestTag/Environment": environment} if self.is_tagged_by else {}
        return role.may(self.action.name, self.resource, tags=self.tags if tags is None else tags, **context)


def _questions(owner: str) -> Iterator[Question]:
    """Every change of a resource that has tags, except of resources that are being created."""
    yield from _changes(SERVICES, owner, {"Environment": owner})


def _changes(services: Sequence[str], owner: str, tags: Mapping[str, str]) -> Iterator[Question]:
    for service in services:
        for action in iam_data.actions(service).values():
            for arn, keys in action.resources:
                if action.changes and "aws:ResourceTag/*" in keys:
                    yield Question(action, _named(arn, owner), tags, "aws:RequestTag/*" in keys)


def _of_aws(owner: str) -> Iterator[Question]:
    """The same for what AWS creates and tags, such as a cluster's security group and nodes, and master passwords."""
    database = f"arn:aws:rds:ap-northeast-2:123456789012:db:ap-northeast-2-{owner}-any"
    of_ec2 = _changes(["ec2"], owner, {"aws:eks:cluster-name": f"gitops-cluster-{owner}"})
    yield from (one for one in of_ec2 if not re.search(":(subnet|vpc)/", one.resource))  # of the shared stack
    yield from _changes(["secretsmanager"], owner, {"aws:rds:primaryDBInstanceArn": database})


def _named(arn: str, owner: str) -> str:
    """The ARN of a resource of the region that has the name of its owner in all variable parts."""
    _, _, service, region, account, resource = arn.split(":", maxsplit=5)
    name = f"ap-northeast-2-{owner}-any"
    if service == "iam":
        resource = resource.replace("*", f"ap-northeast-2/{owner}/{name}", 1)
    return ":".join(
        (
            "arn:aws",
            service,
            "ap-northeast-2" if region else "",
            "123456789012" if account else "",
            resource.replace("*", name),
        )
    )


def _unlimited(shared: Template, environment: str) -> Role:
    """A role with every permission, below the boundary of an environment."""
    role = Role(shared, f"apply-{environment}_role")
    role.inline, role.managed = [EVERYTHING], []
    return role


def _without_boundary(shared: Template, environment: str) -> Role:
    role = Role(shared, f"apply-{environment}_role")
    role.boundary = None
    return role


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """The number of questions of each kind, which are printed after the last test."""
    asked: Counter[str] = Counter()
    yield asked
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        kinds = "; ".join(f"{number:,} {kind}" for kind, number in asked.items())
        print(f"\n{sum(asked.values()):,} questions for {len(PAIRS)} pairs of environments: {kinds}")


PAIRS = [(environment, owner) for environment, owner in product(ENVIRONMENTS, OWNERS) if environment != owner]


OF_CLUSTERS = [pair for pair in PAIRS if pair[1] not in ("backend", "shared")]
"""The pairs whose second environment has a cluster and databases."""


@pytest.mark.parametrize(("environment", "owner"), PAIRS)
def test_no_role_of_an_environment_can_change_what_others_own(
    shared: Template, asked: Counter[str], environment: str, owner: str
) -> None:
    questions = list(_questions(owner))
    role = _unlimited(shared, environment)
    allowed = {question.action.name for question in questions if question.allowed(role, environment)}
    assert allowed <= (USES_OF_SHARED if owner in ("backend", "shared") else set())
    assert len(questions) > 500
    asked["changes by any role"] += len(questions)


@pytest.mark.slow
@pytest.mark.parametrize(("environment", "owner"), PAIRS)
def test_no_apply_role_can_change_what_others_own_even_without_its_boundary(
    shared: Template, asked: Counter[str], environment: str, owner: str
) -> None:
    questions = list(_questions(owner))
    role = _without_boundary(shared, environment)
    allowed = [question for question in questions if question.allowed(role, environment)]
    assert {question.action.name for question in allowed} <= USES_OF_SHARED
    assert not [question for question in allowed if ":security-group/" in question.resource]
    asked["changes by apply roles without boundary"] += len(questions)


@pytest.mark.parametrize(("environment", "owner"), OF_CLUSTERS)
def test_nothing_that_aws_made_for_another_environment_can_be_changed_or_joined(
    shared: Template, asked: Counter[str], environment: str, owner: str
) -> None:
    """Such as starting a node in the security group of another cluster, and reading another master password."""
    questions = list(_of_aws(owner))
    for role in (_unlimited(shared, environment), _without_boundary(shared, environment)):
        assert not [question for question in questions if question.allowed(role, environment)]
    joined = {question.action.name for question in questions if ":security-group/" in question.resource}
    assert {"ec2:CreateNetworkInterface", "ec2:ModifyNetworkInterfaceAttribute", "ec2:RunInstances"} <= joined
    asked["changes of what AWS made"] += 2 * len(questions)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_boundary_permits_everything_on_own_resources(shared: Template, environment: str) -> None:
    role = _unlimited(shared, environment)
    in_region = [
        question
        for question in _questions(environment)
        if question.resource.startswith(f"arn:aws:{question.action.service}:ap-northeast-2:")
        and question.action.service not in ("dynamodb", "s3")  # only the lock table and own buckets
    ]
    denied = {question.action.name for question in in_region if not question.allowed(role, environment)}
    assert denied <= BY_ADMINISTRATORS, sorted(denied - BY_ADMINISTRATORS)


def test_every_service_in_use_is_asked(shared: Template) -> None:
    role = _unlimited(shared, "dev")
    assert role.boundary is not None
    (boundary,) = [
        policy["policy"] for name, policy in shared.resources("aws_iam_policy").items() if name == "boundary-dev_policy"
    ]
    services = {
        action.partition(":")[0]
        for statement in json.loads(boundary)["Statement"]
        if statement["Effect"] == "Allow" and statement["Resource"] != ["*"]
        for action in statement["Action"]
    }
    without_tags = {"eks-auth", "route53"}  # a service without changes, and one whose resources have no tags in IAM
    assert services - set(SERVICES) == without_tags
    changes = [action for action in iam_data.actions("eks-auth").values() if action.changes]
    zones = [
        action
        for action in iam_data.actions("route53").values()
        if any("aws:ResourceTag/*" in resource.keys for resource in action.resources)
    ]
    assert (changes, zones) == ([], [])


def _changes_of(zone: str, role: Role, name: str) -> set[str]:
    """The changes of Route 53 that a role may make without a resource or to a zone, there to NS records of a name."""
    changes = [action.name for action in iam_data.actions("route53").values() if action.changes]
    records = {f"{RECORDS}NormalizedRecordNames": name, f"{RECORDS}RecordTypes": "NS"}
    return {
        action
        for action in changes
        for on in (zone, "*")
        if role.may(action, on, tags={}, **(records if action == RECORDS else {}))
    }


@pytest.fixture(scope="module")
def with_zone(shared: Template) -> Template:
    """The shared stack in which the zone of the platform has an ARN."""
    return Template(json.dumps(shared.json).replace("${aws_route53_zone.dns_zone.arn}", ZONE_OF_THE_PLATFORM))


@pytest.mark.parametrize("environment", ["dev", "prod", "staging"])
def test_no_role_of_an_environment_can_change_the_zone_of_the_platform_except_its_own_records(
    with_zone: Template, environment: str
) -> None:
    for role in (_unlimited(with_zone, environment), Role(with_zone, f"apply-{environment}_role")):
        own = f"{environment}.platform.your-domain.com"
        assert _changes_of(ZONE_OF_THE_PLATFORM, role, own) == {RECORDS, "route53:CreateHostedZone"}
        for other in {*OWNERS, "www"} - {environment}:
            name = f"{other}.platform.your-domain.com"
            assert _changes_of(ZONE_OF_THE_PLATFORM, role, name) == {"route53:CreateHostedZone"}
        assert _changes_of(ZONE_OF_THE_PLATFORM, role, "platform.your-domain.com") == {"route53:CreateHostedZone"}


@pytest.mark.parametrize("environment", ["dev", "prod", "staging"])
def test_an_environment_can_delete_zones_without_the_records_of_others(with_zone: Template, environment: str) -> None:
    """IAM cannot limit deletion to zones by name or tag. Route 53 deletes only zones without records."""
    on_zones = {f"route53:{name}" for name in ("ChangeTagsForResource", "DeleteHostedZone", "UpdateHostedZoneComment")}
    for role in (_unlimited(with_zone, environment), Role(with_zone, f"apply-{environment}_role")):
        own = f"any.{environment}.platform.your-domain.com"
        assert _changes_of(OTHER_ZONE, role, own) == {RECORDS, "route53:CreateHostedZone", *on_zones}
        for other in set(OWNERS) - {environment}:
            for name in (f"{other}.platform.your-domain.com", f"any.{other}.platform.your-domain.com"):
                assert _changes_of(OTHER_ZONE, role, name) == {"route53:CreateHostedZone", *on_zones}


@pytest.mark.parametrize(
    ("environment", "owner"),
    [pytest.param(*pair, marks=[] if pair == ("dev", "prod") else pytest.mark.slow) for pair in PAIRS],
)
def test_no_resource_of_others_can_be_tagged_and_then_destroyed(
    shared: Template, asked: Counter[str], environment: str, owner: str
) -> None:
    """First each action that sets or removes tags, then each change of the resource with the tags it would have.

    Most of these changes would be allowed then, so tagging must not be.
    """
    unlimited, apply = _unlimited(shared, environment), _without_boundary(shared, environment)
    marked = list(_of_aws(owner)) if (environment, owner) in OF_CLUSTERS else []
    questions = [*_questions(owner), *marked]
    would_be_allowed, services = 0, set()
    for tagging in (question for question in questions if "Tagging" in question.action.levels):
        services.add(tagging.action.service)
        after = {key: value for key, value in tagging.tags.items() if key.startswith("aws:")}  # nobody removes these
        after |= {"Environment": environment} if tagging.is_tagged_by else {}
        changes = [question for question in questions if question[1:3] == tagging[1:3]]
        for role in (unlimited, apply):
            assert not tagging.allowed(role, environment), tagging
            would_be_allowed += sum(change.allowed(role, environment, after) for change in changes)
            asked["retaggings, each with the changes after it"] += 1 + len(changes)
    assert services == set(SERVICES)
    assert would_be_allowed > 500
