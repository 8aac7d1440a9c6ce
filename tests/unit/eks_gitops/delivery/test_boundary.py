"""The maximum permissions of a role with a permissions boundary, for any policies of the role."""

import json

import pytest

from eks_gitops.delivery.boundary import statements
from eks_gitops.dns import LONGEST_DOMAIN
from eks_gitops.iam import policy_document
from eks_gitops.location import Location
from tests import iam_data
from tests.policies import Role
from tests.template import Template

ACCOUNT = "123456789012"
CLUSTER = "gitops-cluster-dev"
IAM = f"arn:aws:iam::{ACCOUNT}"
BOUNDARY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-dev-boundary"
STATES = "arn:aws:s3:::your-org-terraform-state-ap-northeast-2"
LONGEST_ZONE_ID = 32  # Source: `ResourceId` of Route 53 in botocore 1.43
BY_WILDCARD = {
    "backup:ListIndexedRecoveryPointsForSearch",  # a read that AWS publishes as a change
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "shield:CreateProtection",
    "shield:DeleteProtection",
    "waf-regional:AssociateWebACL",
    "waf-regional:DisassociateWebACL",
}
"""The changes that the boundary permits by a wildcard in their names, besides those of Amazon S3."""
BY_WILDCARD_OF = {
    "dev": {
        *BY_WILDCARD,
        "route53:ChangeResourceRecordSets",
        "route53:ChangeTagsForResource",
        "route53:DeleteHostedZone",
        "route53:UpdateHostedZoneComment",
    },
    "shared": BY_WILDCARD,
}
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]})


def _under_boundary_of_dev(shared: Template) -> Role:
    """A role whose policies allow everything, with the boundary of dev."""
    role = Role(shared, "apply-dev_role")
    role.inline, role.managed = [EVERYTHING], []
    return role


@pytest.fixture(scope="module")
def unlimited(shared: Template) -> Role:
    return _under_boundary_of_dev(shared)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", f"{IAM}:role/ap-northeast-2/dev/any"),
        ("iam:PutRolePermissionsBoundary", f"{IAM}:role/ap-northeast-2/dev/any"),
    ],
)
def test_roles_can_be_created_only_with_the_same_boundary(unlimited: Role, action: str, resource: str) -> None:
    assert unlimited.may(action, resource, tags={}, **{"iam:PermissionsBoundary": BOUNDARY})
    assert not unlimited.may(action, resource, tags={}, **{"iam:PermissionsBoundary": BOUNDARY.replace("dev", "prod")})
    assert not unlimited.may(action, resource, tags={})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:DeleteRolePermissionsBoundary", f"{IAM}:role/ap-northeast-2/dev/any"),
        ("iam:PutRolePolicy", f"{IAM}:role/ap-northeast-2/delivery/ap-northeast-2-prod-apply"),
        ("iam:PutRolePolicy", f"{IAM}:role/ap-northeast-2/prod/ap-northeast-2-prod-node"),
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:CreateUser", f"{IAM}:user/alice"),
        ("iam:CreateLoginProfile", f"{IAM}:user/alice"),
        ("iam:DeleteOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com"),
        ("sts:AssumeRole", f"{IAM}:role/ap-northeast-2/delivery/ap-northeast-2-prod-apply"),
        ("organizations:LeaveOrganization", "*"),
        ("cloudtrail:StopLogging", "arn:aws:cloudtrail:ap-northeast-2:123456789012:trail/any"),
        ("rds:DeleteDBInstance", "arn:aws:rds:us-east-1:123456789012:db:any"),
        ("s3:GetObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate"),
        ("s3:PutObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate"),
        ("s3:PutObject", f"{STATES}/ap-northeast-2/shared/terraform.tfstate"),
        ("s3:PutBucketPolicy", STATES),
        ("s3:PutBucketPolicy", "arn:aws:s3:::your-org-ap-northeast-2-prod-backups"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::your-org-ap-northeast-2-dev-backups/argo-cd/export"),
        ("backup:DeleteRecoveryPoint", "arn:aws:rds:ap-northeast-2:123456789012:snapshot:awsbackup:job-1"),
        (
            "backup:DeleteBackupVaultLockConfiguration",
            "arn:aws:backup:ap-northeast-2:123456789012:backup-vault:ap-northeast-2-dev-data",
        ),
    ],
)
def test_boundary_denies(unlimited: Role, action: str, resource: str) -> None:
    assert not unlimited.may(action, resource, tags={}, **{"iam:PermissionsBoundary": BOUNDARY})


@pytest.mark.parametrize(
    ("action", "resource", "environments"),
    [
        ("ec2:TerminateInstances", "ec2:ap-northeast-2:123456789012:instance/i-1", {"dev"}),
        ("ec2:RunInstances", "ec2:ap-northeast-2:123456789012:subnet/subnet-1", {"dev", "shared", "backend"}),
        ("eks:DeleteCluster", "eks:ap-northeast-2:123456789012:cluster/any", {"dev"}),
        ("eks:DescribeCluster", "eks:ap-northeast-2:123456789012:cluster/any", {"dev"}),
        ("ecr:BatchGetImage", "ecr:ap-northeast-2:123456789012:repository/any", {"dev", "shared", "backend"}),
        ("ecr:DeleteRepository", "ecr:ap-northeast-2:123456789012:repository/any", {"dev"}),
        ("elasticfilesystem:ClientMount", "elasticfilesystem:ap-northeast-2:123456789012:file-system/fs-1", {"dev"}),
        ("iam:TagOpenIDConnectProvider", "iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.any", {"dev"}),
        ("kms:Decrypt", "kms:ap-northeast-2:123456789012:key/1", {"dev", "shared", "backend"}),
        ("kms:ScheduleKeyDeletion", "kms:ap-northeast-2:123456789012:key/1", {"dev"}),
        ("rds:DeleteDBInstance", "rds:ap-northeast-2:123456789012:db:any", {"dev"}),
    ],
)
@pytest.mark.parametrize("environment", ["dev", "shared", "backend", "prod", "staging"])
def test_resources_with_the_tag_of_another_environment_are_denied(
    unlimited: Role, action: str, resource: str, environments: set[str], environment: str
) -> None:
    tags = {"Environment": environment}
    assert unlimited.may(action, f"arn:aws:{resource}", tags=tags) is (environment in environments)


@pytest.mark.parametrize(
    ("action", "resource", "tag", "own"),
    [
        ("ec2:RunInstances", "ec2:ap-northeast-2:123456789012:security-group/sg-1", "aws:eks:cluster-name", CLUSTER),
        ("ec2:TerminateInstances", "ec2:ap-northeast-2:123456789012:instance/i-1", "aws:eks:cluster-name", CLUSTER),
        (
            "secretsmanager:GetSecretValue",
            "secretsmanager:ap-northeast-2:123456789012:secret:rds!db-1",
            "aws:rds:primaryDBInstanceArn",
            f"arn:aws:rds:ap-northeast-2:{ACCOUNT}:db:ap-northeast-2-dev-bubblepool",
        ),
    ],
)
def test_resources_that_aws_tags_for_another_environment_are_denied(
    unlimited: Role, action: str, resource: str, tag: str, own: str
) -> None:
    """The security group of a cluster, its nodes and the secret of a database have no tag `Environment`."""
    assert unlimited.may(action, f"arn:aws:{resource}", tags={tag: own})
    assert not unlimited.may(action, f"arn:aws:{resource}", tags={tag: own.replace("dev", "prod")})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("backup:CopyIntoBackupVault", "backup:us-west-2:123456789012:backup-vault:copies"),
        ("rds:CopyDBSnapshot", "rds:us-west-2:123456789012:snapshot:awsbackup:copyjob-1"),
        ("kms:CreateGrant", "kms:us-west-2:123456789012:key/1"),
    ],
)
def test_backups_can_be_copied_to_another_region(unlimited: Role, action: str, resource: str) -> None:
    assert unlimited.may(action, f"arn:aws:{resource}", tags={})
    assert not unlimited.may(action, f"arn:aws:{resource.replace(ACCOUNT, '210987654321')}", tags={})


@pytest.mark.parametrize(
    ("secret", "tag", "own"),
    [
        ("rds!db-1", "aws:rds:primaryDBInstanceArn", "db:us-gov-west-1-dev-orders"),
        ("rds!cluster-1", "aws:rds:primaryDBClusterArn", "cluster:us-gov-west-1-dev-shop"),
    ],
)
def test_with_aurora_master_passwords_of_other_environments_are_denied_as_well(
    alternative: dict[str, Template], secret: str, tag: str, own: str
) -> None:
    role = _under_boundary_of_dev(alternative["us-gov-west-1-shared"])

    def may(database: str) -> bool:
        tags = {tag: f"arn:aws-us-gov:rds:us-gov-west-1:{ACCOUNT}:{database}"}
        arn = f"arn:aws-us-gov:secretsmanager:us-gov-west-1:{ACCOUNT}:secret:{secret}"
        return role.may("secretsmanager:GetSecretValue", arn, tags={**tags, "aws:secretsmanager:owningService": "rds"})

    assert may(own)
    assert not may(own.replace("dev", "prod"))
    unmanaged = f"arn:aws-us-gov:secretsmanager:us-gov-west-1:{ACCOUNT}:secret:us-gov-west-1/dev/shop/database"
    assert role.may("secretsmanager:GetSecretValue", unmanaged, tags={})


@pytest.mark.parametrize("aurora", [False, True])
@pytest.mark.parametrize("region", ["ap-southeast-5", "us-gov-west-1", "cn-northwest-1"])
def test_boundary_is_within_the_size_limit_of_managed_policies_with_the_longest_names(
    region: str, *, aurora: bool
) -> None:
    location = Location(account_id=ACCOUNT, region=region, environment="e" * 21)  # limited by the longest role name
    zone = location.arn("route53", f"hostedzone/{'Z' * LONGEST_ZONE_ID}")
    policy = policy_document(*statements(location, ["c" * 100], "d" * LONGEST_DOMAIN, zone, aurora=aurora))
    assert len(policy.replace(" ", "")) <= 6_144


@pytest.mark.parametrize("region", ["ap-southeast-5", "us-gov-west-1", "cn-northwest-1"])
def test_the_boundary_of_shared_is_within_the_limit_with_everything_that_is_optional(region: str) -> None:
    location = Location(account_id=ACCOUNT, region=region, environment="shared")
    policy = policy_document(
        *statements(location, [], None, None, access_host=True, runners=True, cost_tags=True, aurora=True)
    )
    assert len(policy.replace(" ", "")) <= 6_144


def _of_another_service(action: str, arns: list[str]) -> set[str]:
    """Those of `arns` that belong to another service than the action, and which it can nevertheless act on."""
    service = action.partition(":")[0]
    return {arn for arn in arns if arn.split(":")[2] != service and _has_type(action, arn)}


def test_statements_of_several_services_permit_no_action_on_the_resources_of_another(shared: Template) -> None:
    """They are as strict as one statement for each service, except the first one: `<service>:*` in the region."""
    boundary = shared.document("aws_iam_policy.boundary-dev_policy")
    _, *limited = [one for one in boundary["Statement"] if one["Effect"] == "Allow" and one["Resource"] != ["*"]]
    several = [one for one in limited if len({action.partition(":")[0] for action in one["Action"]}) > 1]
    assert len(several) >= 4
    for one in several:
        for action in one["Action"]:
            assert not _of_another_service(action, one["Resource"]), action


@pytest.mark.parametrize("environment", ["dev", "shared"])
def test_wildcards_in_names_of_actions_permit_no_more_changes_than_names_would(
    shared: Template, environment: str
) -> None:
    """Of the published actions, a wildcard permits only these changes, unless it is for a whole service."""
    boundary = shared.document(f"aws_iam_policy.boundary-{environment}_policy")
    permitted = {
        action.name
        for one in boundary["Statement"]
        if one["Effect"] == "Allow"
        for pattern in one["Action"]
        if "*" in pattern and not pattern.endswith(":*")
        for action in iam_data.matching(pattern)
        if action.changes and (one["Resource"] == ["*"] or any(_has_type(action.name, arn) for arn in one["Resource"]))
    }
    assert {name for name in permitted if not name.startswith("s3:")} == BY_WILDCARD_OF[environment]


def _partition(region: str) -> str:
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _request(action: str, resource: str, region: str) -> str:
    """A resource to request for `action`, for a statement that contains `resource`."""
    service = action.partition(":")[0]
    if resource == "*" and not all(known.resources for known in iam_data.matching(action)):
        return "*"
    if resource != "*" and not resource.startswith("${"):
        return resource.replace(":*:*:", f":{region}:{ACCOUNT}:")
    partition = _partition(region)
    return {
        "iam": f"arn:{partition}:iam::{ACCOUNT}:role/{region}/dev/any",
        "route53": f"arn:{partition}:route53:::hostedzone/any",
    }.get(service, f"arn:{partition}:{service}:{region}:{ACCOUNT}:any/any")


def _has_type(action: str, resource: str) -> bool:
    """Whether the resource is of a type of the action; a statement may contain the actions of several services."""
    types = [kind for known in iam_data.matching(action) for kind in known.resources]
    return any(iam_data.overlap(kind.arn, resource) for kind in types)


@pytest.mark.parametrize("region", ["ap-northeast-2", "us-gov-west-1"])
def test_boundary_allows_everything_that_the_policies_of_roles_allow(
    platform: dict[str, Template], alternative: dict[str, Template], region: str
) -> None:
    stacks = {**platform, **alternative}
    bound = _under_boundary_of_dev(stacks[f"{region}-shared"])
    template = stacks[f"{region}-dev"]
    roles = [Role(template, name) for name in template.resources("aws_iam_role")]
    delivery = [Role(stacks[f"{region}-shared"], name) for name in ("apply-dev_role", "backup-dev_role")]
    asked = {
        (action, _request(action, resource, region))
        for role in (*roles, *delivery)
        for statement in role.statements
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        for resource in statement["Resource"]
        if resource == "*" or resource.startswith("${") or _has_type(action, resource)
        if role in roles or any(known.changes for known in iam_data.matching(action))
    }
    boundary = f"arn:{_partition(region)}:iam::{ACCOUNT}:policy/{region}/delivery/{region}-dev-boundary"
    denied = [
        request
        for request in sorted(asked)
        if not bound.may(*request, tags={}, **{"iam:PermissionsBoundary": boundary})
    ]
    assert denied == [], "\n".join(" on ".join(request) for request in denied)
