"""RootApplication: the only Application that Terraform creates. It deploys everything else from Git."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from cdktf import ITerraformDependable, TerraformResource
from constructs import Construct

from eks_gitops.config import matching
from eks_gitops.in_cluster.cluster_connection import ClusterConnection
from eks_gitops.in_cluster.helm import HelmRelease
from eks_gitops.versions import ARGOCD_APPS_CHART

PROJECT = "platform"
PATH = "management/bootstrap"

_SERVER = "https://kubernetes.default.svc"
_FINALIZER = "resources-finalizer.argocd.argoproj.io"
_TIMEOUT_SECONDS = 900

Revision = Annotated[
    str,
    matching(
        r"(?!HEAD$)(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9][A-Za-z0-9._/-]{0,199}(?<![./])",
        "not a branch or tag; write main, or a tag such as v1.2.0",
    ),
]
"""A branch or tag of the GitOps repository. `HEAD` is rejected, because the default branch can change.

Source: https://git-scm.com/docs/git-check-ref-format
"""


class RootApplication(Construct):
    """The AppProject `platform` and, in a separate Helm release, the root Application.

    In a single release, the AppProject would be uninstalled first, and the Application, which needs it to delete its
    resources, would hang. Helm no longer tracks a release whose uninstallation timed out. The guard between the two
    releases therefore prevents a second destroy from uninstalling Argo CD while Applications still exist.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        repository_url: str,
        revision: str,
        environment: str,
        production: bool,
        spokes: Mapping[str, bool] | None = None,
        namespace: str,
        connection: ClusterConnection,
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        """`spokes` are the other environments to whose clusters Argo CD deploys, each with whether it is production."""
        super().__init__(scope, id_)
        project = HelmRelease(
            self,
            "project",
            ARGOCD_APPS_CHART,
            {"projects": {PROJECT: _project(repository_url, namespace)}},
            name="project",
            namespace=namespace,
            depends_on=depends_on,
        )
        guard = self._guard(connection, [*depends_on, project.resource])
        values = {
            "repositoryURL": repository_url,
            "environments": [
                {"name": environment, "production": production},
                # Of a spoke, the Secret has the name of the environment as that of the cluster.
                *[{"name": one, "production": theirs, "cluster": one} for one, theirs in (spokes or {}).items()],
            ],
        }
        HelmRelease(
            self,
            "root",
            ARGOCD_APPS_CHART,
            {"applications": {"root": _application(values, revision, namespace)}},
            name="root",
            namespace=namespace,
            timeout_seconds=_TIMEOUT_SECONDS,
            depends_on=[guard],
        )

    def _guard(self, connection: ClusterConnection, depends_on: Sequence[ITerraformDependable]) -> TerraformResource:
        """A terraform_data resource (CDKTF 0.21 has no class for it) that fails on destroy while Applications exist."""
        guard = TerraformResource(self, "guard", terraform_resource_type="terraform_data", depends_on=list(depends_on))
        guard.add_override("input", connection.shell_input)
        script = f"""set -eu
{connection.shell_kubectl}
kind=$(kubectl get crd applications.argoproj.io --ignore-not-found --output=name)
if [ -z "$kind" ]; then exit 0; fi
left=$(kubectl get applications.argoproj.io --all-namespaces --output=name)
if [ -n "$left" ]; then
  echo "Applications still exist: Argo CD must not go before them." >&2
  echo "Wait, or delete them with: kubectl --namespace argocd delete applications.argoproj.io --all" >&2
  echo "$left" >&2
  exit 1
fi
"""
        guard.add_override("provisioner", [{"local-exec": {"when": "destroy", "command": script}}])
        return guard


def _project(repository_url: str, namespace: str) -> dict[str, object]:
    """The AppProject of the root Application: it permits Argo CD's own kinds in Argo CD's namespace only."""
    kinds = ("AppProject", "Application", "ApplicationSet")
    return {
        "namespace": namespace,
        "description": "What bootstraps the cluster; nothing else belongs to it",
        "finalizers": [_FINALIZER],
        "sourceRepos": [repository_url],
        "destinations": [{"server": _SERVER, "namespace": namespace}],
        "clusterResourceWhitelist": [],
        "namespaceResourceWhitelist": [{"group": "argoproj.io", "kind": kind} for kind in kinds],
    }


def _application(values: Mapping[str, object], revision: str, namespace: str) -> dict[str, object]:
    return {
        "namespace": namespace,
        "finalizers": [_FINALIZER],
        "project": PROJECT,
        "source": {
            "repoURL": values["repositoryURL"],
            "targetRevision": revision,
            "path": PATH,
            # What the AppProjects in Git permit depends on the URL of the repository, which each owner sets, and on the
            # names of the environments, which are in the settings alone.
            "helm": {"valuesObject": values},
        },
        "destination": {"server": _SERVER, "namespace": namespace},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["ServerSideApply=true"],
            # Limited, because Argo CD deletes nothing during an operation. A retry takes the newest commit.
            "retry": {
                "limit": 10,
                "refresh": True,
                "backoff": {"duration": "10s", "factor": 2, "maxDuration": "1m"},
            },
        },
    }
