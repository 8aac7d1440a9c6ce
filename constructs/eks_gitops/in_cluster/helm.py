"""HelmRelease: a chart at a pinned version with JSON values. Terraform waits until its resources are ready."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_helm.release import Release
from constructs import Construct

from eks_gitops.versions import Chart


class HelmRelease(Construct):
    """A Helm release that waits for its resources, and that is uninstalled if its first installation fails.

    `timeout_seconds` applies to installation, upgrade and uninstallation. An uninstallation uses the wait settings in
    the Terraform state.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        chart: Chart,
        values: Mapping[str, Any],
        *,
        namespace: str,
        name: str | None = None,
        timeout_seconds: int = 600,
        depends_on: Sequence[ITerraformDependable] = (),
    ) -> None:
        super().__init__(scope, id_)
        self.resource = Release(
            self,
            "release",
            name=name or chart.name,
            namespace=namespace,
            create_namespace=False,
            repository=chart.repository,
            chart=chart.name,
            version=chart.version,
            values=[json.dumps(values, sort_keys=True)],
            max_history=5,
            atomic=True,
            wait=True,
            wait_for_jobs=True,
            timeout=timeout_seconds,
            depends_on=list(depends_on),
        )
