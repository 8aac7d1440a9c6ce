"""RepositoryCredential: Argo CD's access to a private GitOps repository, before External Secrets is installed."""

from typing import Annotated, Literal

from cdktf import TerraformStack
from cdktf_cdktf_provider_kubernetes.secret_v1 import SecretV1, SecretV1Metadata
from constructs import Construct

from eks_gitops.config import Config, Count, matching
from eks_gitops.github import GithubRepository

_KEYS = {
    "github-app": ("githubAppID", "githubAppInstallationID", "githubAppPrivateKey"),
    "deploy-key": ("sshPrivateKey",),
}


class RepositoryCredentialConfig(Config):
    """A secret in Secrets Manager: a JSON object with the keys that Argo CD expects.

    For a GitHub App, these are `githubAppID`, `githubAppInstallationID` and `githubAppPrivateKey`; for a deploy key,
    `sshPrivateKey`.
    """

    kind: Literal["github-app", "deploy-key"]
    """How Argo CD authenticates. It clones with SSH if it is a deploy key, else with HTTPS."""
    secret_name: Annotated[
        str,
        # Source: `CreateSecretRequest` of Secrets Manager in botocore 1.43
        matching(r"[A-Za-z0-9/_+=.@-]{1,512}", "not the name of a secret; use 1 to 512 letters, digits and /_+=.@-"),
    ]
    """The secret in Secrets Manager. The delivery roles may read only this secret, so a change also changes the stack
    `shared`."""
    revision: Count = 1
    """Increase it after a change of the secret: only then does Terraform write it again."""


def repository_url(repository: GithubRepository, credential: RepositoryCredentialConfig | None) -> str:
    """The URL that Argo CD clones: SSH with a deploy key, HTTPS otherwise."""
    path = f"{repository.owner}/{repository.name}.git"
    if credential is not None and credential.kind == "deploy-key":
        return f"git@github.com:{path}"
    return f"https://github.com/{path}"


class RepositoryCredential(Construct):
    """The repository Secret of Argo CD. Its content is stored neither in the plan nor in the Terraform state."""

    def __init__(
        self, scope: Construct, id_: str, config: RepositoryCredentialConfig, *, namespace: str, url: str
    ) -> None:
        super().__init__(scope, id_)
        name = "gitops_repository"
        TerraformStack.of(self).add_override(
            f"ephemeral.aws_secretsmanager_secret_version.{name}", {"secret_id": config.secret_name}
        )
        secret = f"ephemeral.aws_secretsmanager_secret_version.{name}.secret_string"
        self.resource = SecretV1(
            self,
            "secret",
            metadata=SecretV1Metadata(
                name="gitops-repository",
                namespace=namespace,
                labels={"argocd.argoproj.io/secret-type": "repository"},
            ),
            data_wo={
                "type": "git",
                "url": url,
                **{key: f'${{tostring(jsondecode({secret})["{key}"])}}' for key in _KEYS[config.kind]},
            },
            data_wo_revision=config.revision,
        )
