"""What a role can do at the most that was made under a permissions boundary, whatever its policies say."""

import json

import pytest

from tests.policies import Role
from tests.template import Template

IAM = "arn:aws:iam::123456789012"
BOUNDARY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-dev-boundary"
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]})


@pytest.fixture(scope="module")
def unlimited(shared: Template) -> Role:
    """A role with every permission, under the boundary of dev."""
    role = Role(shared, "apply-dev_role")
    role.inline, role.managed = [EVERYTHING], []
    return role


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateRole", f"{IAM}:role/ap-northeast-2/dev/any"),
        ("iam:PutRolePermissionsBoundary", f"{IAM}:role/ap-northeast-2/dev/any"),
    ],
)
def test_roles_are_made_with_the_same_boundary_alone(unlimited: Role, action: str, resource: str) -> None:
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
        ("iam:CreateUser", f"{IAM}:user/somebody"),
        ("iam:CreateLoginProfile", f"{IAM}:user/somebody"),
        ("iam:DeleteOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com"),
        ("sts:AssumeRole", f"{IAM}:role/ap-northeast-2/delivery/ap-northeast-2-prod-apply"),
        ("organizations:LeaveOrganization", "*"),
        ("cloudtrail:StopLogging", "arn:aws:cloudtrail:ap-northeast-2:123456789012:trail/any"),
        ("rds:DeleteDBInstance", "arn:aws:rds:us-east-1:123456789012:db:any"),
    ],
)
def test_no_policy_opens_this(unlimited: Role, action: str, resource: str) -> None:
    assert not unlimited.may(action, resource, **{"iam:PermissionsBoundary": BOUNDARY})
