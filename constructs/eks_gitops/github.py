"""GithubOidcProvider: the OIDC provider with which GitHub workflows assume roles, without stored credentials."""

from typing import Annotated

from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from constructs import Construct

from eks_gitops.config import Config, Count, matching
from eks_gitops.iam import Statement
from eks_gitops.location import Location

_HOST = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"


class GithubRepository(Config):
    """A GitHub repository, with its name and owner and their numeric IDs, which do not change on a rename.

    `gh api repos/OWNER/NAME --jq '.owner.id, .id'` prints `owner_id` and `id`.
    """

    owner: Annotated[
        str,
        matching(
            r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", "not a valid GitHub user or organization name; write it as in its URL"
        ),
    ]
    """The user or organization, as in the URL. Trust policies of roles contain it; a change takes effect when they are
    deployed."""
    owner_id: Count
    """The numeric ID of the owner. Tokens of repositories that were created or renamed since 2026-07-15 contain it;
    with a wrong ID, their workflows assume no role."""
    name: Annotated[
        str,
        matching(
            r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}(?<!\.git)", "not a valid repository name; omit the owner and .git"
        ),
    ]
    """The name of the repository, without its owner. Trust policies contain it, as they do `owner`."""
    id: Count
    """The numeric ID of the repository, which the same tokens contain."""

    def subjects(self, context: str) -> list[str]:
        """The possible `sub` claims of a token for `context`, such as `environment:dev`.

        Repositories that were created or renamed since 2026-07-15 send the form with IDs, older ones the other form.
        Source: https://docs.github.com/actions/reference/security/oidc
        """
        return [
            f"repo:{self.owner}/{self.name}:{context}",
            f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}:{context}",
        ]


class GithubOidcProvider(Construct):
    """The account's identity provider for GitHub Actions. An account can have only one, which all regions use."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        IamOpenidConnectProvider(self, "provider", url=f"https://{_HOST}", client_id_list=[_AUDIENCE])


def github_provider_arn(location: Location) -> str:
    """The ARN of the account's identity provider for GitHub Actions."""
    return location.arn("iam", f"oidc-provider/{_HOST}")


def github_trust(location: Location, subjects: list[str]) -> Statement:
    """Trust for exactly these `sub` claims. A wildcard would let other repositories assume the role."""
    return Statement(
        actions=["sts:AssumeRoleWithWebIdentity"],
        principals={"Federated": [github_provider_arn(location)]},
        conditions={"StringEquals": {f"{_HOST}:aud": _AUDIENCE, f"{_HOST}:sub": sorted(subjects)}},
    )
