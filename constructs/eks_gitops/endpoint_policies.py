"""Policies of VPC endpoints: whose requests pass through them.

Nothing is granted by them: a request also needs the permissions of its role.
Source: https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
"""

from typing import Annotated

from eks_gitops.config import matching
from eks_gitops.iam import Conditions, Statement, policy_document
from eks_gitops.location import Location

EndpointPrincipals = Annotated[
    str,
    # Source: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html
    matching(
        r"any|account|o-[a-z0-9]{10,32}", "write any, account, or the ID of your organization, such as o-a1b2c3d4e5"
    ),
]
"""`any`, `account` or the ID of an organization in AWS Organizations."""


def interface_policy(location: Location, principals: EndpointPrincipals) -> str | None:
    """The policy of an interface endpoint; None is AWS's default, which allows everything."""
    if principals == "any":
        return None
    return policy_document(*_own(location, principals))


def s3_policy(location: Location, principals: EndpointPrincipals) -> str | None:
    """The policy of the gateway endpoint of S3. It also allows what nodes download without credentials of the account.

    Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-setting-up-s3-gateway (layers
    of images) and https://docs.aws.amazon.com/linux/al2023/ug/repos-s3-vpc-endpoint.html (packages).
    """
    if principals == "any":
        return None
    buckets = (f"prod-{location.region}-starport-layer-bucket", f"al2023-repos-{location.region}-de612dc2")
    return policy_document(
        *_own(location, principals),
        Statement(
            sid="ImagesAndPackages",
            actions=["s3:GetObject"],
            resources=[location.arn("s3", f"{bucket}/*") for bucket in buckets],
            principals="*",
        ),
    )


def _own(location: Location, principals: EndpointPrincipals) -> list[Statement]:
    """Requests with credentials of the account or organization, and those of AWS services.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    conditions: dict[str, Conditions] = {
        "Own": {
            "StringEquals": {"aws:PrincipalAccount": location.account_id}
            if principals == "account"
            else {"aws:PrincipalOrgID": principals}
        },
        "ServicesOfAws": {"Bool": {"aws:PrincipalIsAWSService": "true"}},
    }
    return [
        Statement(sid=sid, actions=["*"], resources=["*"], principals="*", conditions=only)
        for sid, only in conditions.items()
    ]
