"""The settings of Argo CD: domain, allowed networks, single sign-on, availability and tuning."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import StrictBool

from eks_gitops.config import Config, Count, DomainName, Problem, matching
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.values import open_to_all
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
    client_id: Annotated[
        str, matching(r"[a-z0-9]{1,128}", "not the ID of an app client; use lower-case letters and digits")
    ]


class TuningConfig(Config):
    """Concurrency and reconciliation interval of Argo CD. The defaults suit several hundred Applications."""

    status_processors: Count = 20
    operation_processors: Count = 10
    kubectl_parallelism: Count = 20
    repo_server_timeout_seconds: Count = 180
    repo_server_parallelism: Count = 10
    reconciliation_seconds: Count = 120
    reconciliation_jitter_seconds: Count = 60


class ArgoCdConfig(Config):
    """Argo CD, available at `domain` through its own load balancer.

    `availability` determines the replicas, the Redis setup, the disruption budgets and the spread over zones.
    `local_admin` enables the local administrator account, which must be disabled once `sso` is set.
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
        for index in open_to_all(cidrs):
            message = "opens Argo CD to the internet with one password; list your networks, or set sso"
            yield Problem(f"ingress.allowed_cidrs[{index}]", cidrs[index], message)
