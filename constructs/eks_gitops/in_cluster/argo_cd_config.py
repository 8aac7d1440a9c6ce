"""The settings of Argo CD: its address, who reaches it, single sign-on, availability and tuning."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import StrictBool

from eks_gitops.config import Config, Count, DomainName, Problem, matching
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.versions import ARGO_CD_CHARTS

WebAclArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[\w-]+/[\w-]+",
        "not a regional web ACL's ARN, arn:aws:wafv2:<region>:<account id>:regional/webacl/<name>/<id>",
    ),
]
"""The ARN of a web ACL of AWS WAF that may stand before a load balancer."""


class OidcConfig(Config):
    """Single sign-on by Amazon Cognito. Its client secret lies in `argocd-secret` as `oidc.cognito.clientSecret`."""

    issuer: Annotated[
        str,
        matching(
            r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9-]+_[A-Za-z0-9]+",
            "not a Cognito user pool's issuer, https://cognito-idp.<region>.amazonaws.com/<user pool id>",
        ),
    ]
    client_id: Annotated[str, matching(r"[a-z0-9]{1,128}", "not an app client's id: lower-case letters and digits")]


class TuningConfig(Config):
    """How much Argo CD does at once, and how often it looks. The defaults suit some hundred applications."""

    status_processors: Count = 20
    operation_processors: Count = 10
    kubectl_parallelism: Count = 20
    repo_server_timeout_seconds: Count = 180
    repo_server_parallelism: Count = 10
    reconciliation_seconds: Count = 120
    reconciliation_jitter_seconds: Count = 60


class ArgoCdConfig(Config):
    """Argo CD, reached at `domain` through a load balancer of its own.

    `availability` decides replicas, Redis, disruption budgets and the spread over zones, all at once. The local
    administrator exists only until `sso` takes its place.
    """

    chart_version: str
    domain: DomainName
    availability: Literal["single-node", "high-availability"]
    ingress: IngressClassConfig
    web_acl_arn: WebAclArn | None = None
    sso: OidcConfig | None = None
    local_admin: StrictBool = False
    tuning: TuningConfig = TuningConfig()

    def problems(self) -> Iterator[Problem]:
        """A chart that nobody knows, nobody who could log in, and an Argo CD open to the world without SSO."""
        if self.chart_version not in ARGO_CD_CHARTS:
            known = ", ".join(ARGO_CD_CHARTS)
            message = f"no Kubernetes range is known for it; choose one of {known}, or add its row to versions.py"
            yield Problem("chart_version", self.chart_version, message)
        if self.sso is None and not self.local_admin:
            yield Problem("sso", None, "nobody could log in; name the user pool, or set local_admin to True until then")
        if self.sso is not None and self.local_admin:
            yield Problem("local_admin", True, "the local administrator ends where SSO begins; set it to False")
        for index, cidr in enumerate(self.ingress.allowed_cidrs):
            if cidr.prefixlen == 0 and self.ingress.scheme == "internet-facing" and self.sso is None:
                message = "opens Argo CD to the world behind one password; name your networks, or set sso"
                yield Problem(f"ingress.allowed_cidrs[{index}]", cidr, message)
