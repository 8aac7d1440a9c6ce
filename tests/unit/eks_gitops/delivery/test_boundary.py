"""The maximum permissions of a role with a permissions boundary, for any policies of the role."""

import json
from fnmatch import fnmatchcase

import pytest

from eks_gitops.delivery.boundary import WITHOUT_RESOURCE
from tests.policies import Role
from tests.template import Template

ACCOUNT = "123456789012"
IAM = f"arn:aws:iam::{ACCOUNT}"
BOUNDARY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-dev-boundary"
STATES = "arn:aws:s3:::your-org-terraform-state-ap-northeast-2"
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
    assert unlimited.may(action, resource, **{"iam:PermissionsBoundary": BOUNDARY})
    assert not unlimited.may(action, resource, **{"iam:PermissionsBoundary": BOUNDARY.replace("dev", "prod")})
    assert not unlimited.may(action, resource)


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
    assert not unlimited.may(action, resource, **{"iam:PermissionsBoundary": BOUNDARY})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ec2:TerminateInstances", "ec2:ap-northeast-2:123456789012:instance/i-1"),
        ("eks:DeleteCluster", "eks:ap-northeast-2:123456789012:cluster/any"),
        ("elasticfilesystem:ClientMount", "elasticfilesystem:ap-northeast-2:123456789012:file-system/fs-1"),
        ("kms:Decrypt", "kms:ap-northeast-2:123456789012:key/1"),
        ("rds:DeleteDBInstance", "rds:ap-northeast-2:123456789012:db:any"),
        ("secretsmanager:GetSecretValue", "secretsmanager:ap-northeast-2:123456789012:secret:any"),
    ],
)
@pytest.mark.parametrize(
    ("environment", "allowed"), [("dev", True), ("shared", True), ("prod", False), ("staging", False)]
)
def test_resources_with_the_tag_of_another_environment_are_denied(
    unlimited: Role, action: str, resource: str, environment: str, *, allowed: bool
) -> None:
    tag = {"aws:ResourceTag/Environment": environment}
    assert unlimited.may(action, f"arn:aws:{resource}", **tag) is allowed


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("backup:CopyIntoBackupVault", "backup:us-west-2:123456789012:backup-vault:copies"),
        ("rds:CopyDBSnapshot", "rds:us-west-2:123456789012:snapshot:awsbackup:copyjob-1"),
        ("kms:CreateGrant", "kms:us-west-2:123456789012:key/1"),
    ],
)
def test_backups_can_be_copied_to_another_region(unlimited: Role, action: str, resource: str) -> None:
    assert unlimited.may(action, f"arn:aws:{resource}")
    assert not unlimited.may(action, f"arn:aws:{resource.replace(ACCOUNT, '210987654321')}")


def _request(action: str, resource: str, region: str) -> str:
    """A resource to request for `action`, for a statement that contains `resource`."""
    service = action.partition(":")[0]
    if resource == "*" and any(fnmatchcase(action, known) for known in WITHOUT_RESOURCE):
        return "*"
    if resource != "*" and not resource.startswith("${"):
        return resource.replace(":*:*:", f":{region}:{ACCOUNT}:")
    partition = "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return {
        "iam": f"arn:{partition}:iam::{ACCOUNT}:role/{region}/dev/any",
        "route53": f"arn:{partition}:route53:::hostedzone/any",
    }.get(service, f"arn:{partition}:{service}:{region}:{ACCOUNT}:any/any")


@pytest.mark.parametrize("region", ["ap-northeast-2", "us-gov-west-1"])
def test_boundary_allows_everything_that_the_policies_of_roles_allow(
    platform: dict[str, Template], alternative: dict[str, Template], region: str
) -> None:
    stacks = {**platform, **alternative}
    bound = _under_boundary_of_dev(stacks[f"{region}-shared"])
    template = stacks[f"{region}-dev"]
    asked = {
        (action, _request(action, resource, region))
        for name in template.resources("aws_iam_role")
        for statement in Role(template, name).statements
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    denied = [request for request in sorted(asked) if not bound.may(*request)]
    assert denied == []
