"""The settings of Argo CD: domain, allowed networks, single sign-on, availability and tuning."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import StrictBool

from eks_gitops.config import Config, Count, DomainName, Problem, matching
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.values import open_to_all, too_large
from eks_gitops.versions import ARGO_CD_CHARTS

WebAclArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[A-Za-z0-9_-]{1,128}/[0-9a-f-]{1,36}",
        "not the ARN of a regional web ACL; write arn:aws:wafv2:<region>:<account id>:regional/webacl/<name>/<id>",
    ),
]
"""The ARN of a regional AWS WAF web ACL, which can be associated with a load balancer.

Source: `EntityName` and `EntityId` of WAF in botocore 1.43.
"""


class OidcConfig(Config):
    """Single sign-on with Amazon Cognito. The client secret is `oidc.cognito.clientSecret` of `argocd-secret`."""

    issuer: Annotated[
        str,
        matching(
            # Source: `UserPoolIdType` of Cognito in botocore 1.43; the ID starts with the region
            r"https://cognito-idp\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?=.{1,55}$)\1_[A-Za-z0-9]+",
            "not the issuer of a Cognito user pool; write https://cognito-idp.<region>.amazonaws.com/<user pool id>",
        ),
    ]
    """The URL of the Cognito user pool."""
    client_id: Annotated[
        str, matching(r"[a-z0-9]{1,128}", "not the ID of an app client; use lower-case letters and digits")
    ]
    """The app client of the user pool for Argo CD."""


class TuningConfig(Config):
    """Concurrency and reconciliation interval of Argo CD. The defaults suit several hundred Applications."""

    status_processors: Count = 20
    """Applications that the controller compares with Git at the same time."""
    operation_processors: Count = 10
    """Applications that the controller syncs at the same time."""
    kubectl_parallelism: Count = 20
    """The most `kubectl` operations that the controller runs at the same time."""
    repo_server_timeout_seconds: Count = 180
    """Seconds that the controller and the API server wait for rendered manifests."""
    repo_server_parallelism: Count = 10
    """Manifests that each repository server renders at the same time. More need more memory."""
    reconciliation_seconds: Count = 120
    """Seconds between two checks of Git for changes."""
    reconciliation_jitter_seconds: Count = 60
    """The most seconds that are added to the interval at random, so that not all Applications are checked at once."""


class ArgoCdConfig(Config):
    """Argo CD, available at `domain` through its own load balancer."""

    chart_version: str
    """The version of the Helm chart `argo-cd`, which determines that of Argo CD. A change upgrades it."""
    domain: DomainName
    """The host of Argo CD, one level below the environment's zone, such as `argocd.dev.platform.your-domain.com`.
    External DNS creates its record."""
    availability: Literal["single-node", "high-availability"]
    """Determines the replicas, the Redis setup, the disruption budgets and the spread over zones."""
    ingress: IngressClassConfig
    """Argo CD's own load balancer: the IngressClass `argo-cd`."""
    web_acl_arn: WebAclArn | None = None
    """An existing web ACL of AWS WAF that protects the load balancer, or None."""
    sso: OidcConfig | None = None
    """Single sign-on, or None. Without it, Argo CD must not be open to the internet."""
    local_admin: StrictBool = False
    """Enables the local administrator account, which must be disabled once `sso` is set."""
    tuning: TuningConfig = TuningConfig()
    """Concurrency and intervals."""

    def problems(self) -> Iterator[Problem]:
        """An unknown chart version, not exactly one login method, or Argo CD open to the internet without SSO."""
        if self.chart_version not in ARGO_CD_CHARTS:
            known = ", ".join(ARGO_CD_CHARTS)
            message = f"its Kubernetes versions are unknown; choose one of {known}, or add it to versions.py"
            yield Problem("chart_version", self.chart_version, message)
        if self.sso is None and not self.local_admin:
            yield Problem("sso", None, "no login method; set it to a user pool, or set local_admin to True until then")
        if self.sso is not None and self.local_admin:
            yield Problem("local_admin", True, "sso replaces the local administrator; set it to False")
        cidrs = self.ingress.allowed_cidrs if self.ingress.scheme == "internet-facing" and self.sso is None else ()
        opened = list(open_to_all(cidrs))
        for index in opened:
            message = "opens Argo CD to the internet with one password; list your networks, or set sso"
            yield Problem(f"ingress.allowed_cidrs[{index}]", cidrs[index], message)
        yield from too_large("ingress.allowed_cidrs", () if opened else cidrs)
