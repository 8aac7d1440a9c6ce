"""GithubOidcProvider: what lets workflows of named repositories assume roles without a stored key."""

from typing import Annotated

from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from constructs import Construct

from eks_gitops.config import Config, Count, matching
from eks_gitops.iam import Statement
from eks_gitops.location import Location

_HOST = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"


class GithubRepository(Config):
    """A GitHub repository, by its names and by the numbers that stay when it is renamed.

    `gh api repos/OWNER/NAME --jq '.owner.id, .id'` prints `owner_id` and `id`.
    """

    owner: Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}", "not the name of a GitHub user or organisation")]
    owner_id: Count
    name: Annotated[str, matching(r"[A-Za-z0-9._-]{1,100}", "not a repository's name; leave its owner out")]
    id: Count

    def subjects(self, context: str) -> list[str]:
        """The `sub` claims of a token in `context`, such as `environment:dev`.

        Repositories made or renamed since 2026-07-15 send the form with ids, older ones the form without.
        Source: https://docs.github.com/actions/reference/security/oidc
        """
        return [
            f"repo:{self.owner}/{self.name}:{context}",
            f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}:{context}",
        ]


class GithubOidcProvider(Construct):
    """The account's identity provider for GitHub Actions. An account has one: every other region uses its ARN."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        IamOpenidConnectProvider(self, "provider", url=f"https://{_HOST}", client_id_list=[_AUDIENCE])


def github_trust(location: Location, subjects: list[str]) -> Statement:
    """Trust of exactly these `sub` claims; a wildcard among them would open the role to strangers."""
    return Statement(
        actions=["sts:AssumeRoleWithWebIdentity"],
        principals={"Federated": [location.arn("iam", f"oidc-provider/{_HOST}")]},
        conditions={"StringEquals": {f"{_HOST}:aud": _AUDIENCE, f"{_HOST}:sub": sorted(subjects)}},
    )
