"""The settings of Argo CD: domain, allowed networks, single sign-on, availability and tuning."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

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


Issuer = Annotated[
    str,
    matching(
        r"https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*",
        "not the URL of an issuer; write https://<host>/<path>, without a slash at the end",
    ),
]
"""The URL of an OpenID Connect issuer, without a slash at the end."""
ClientId = Annotated[
    str,
    matching(r"[A-Za-z0-9._:/@+-]{1,255}", "not a client ID; use 1 to 255 letters, digits and ._:/@+-"),
]
"""The ID of a client of an OpenID Connect provider. Argo CD would take one with a `$` for a reference to a secret."""


class OidcProvider(NamedTuple):
    """What Argo CD needs to know of a kind of identity provider, and what its issuers and client IDs look like."""

    name: str
    """The text of the login button."""
    issuer: str
    issuer_remedy: str
    client_id: str
    client_id_remedy: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    groups_claim: bool = False
    """Whether to request the claim `groups`. Cognito always adds its own claim, and Google has none."""


_GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_WITH_GROUPS = ("openid", "email", "profile", "groups")
OIDC_PROVIDERS = {
    "cognito": OidcProvider(
        "Cognito",
        # Source: `UserPoolIdType` of Cognito in botocore 1.43; the ID starts with the region
        r"https://cognito-idp\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?=.{1,55}$)\1_[A-Za-z0-9]+",
        "not the issuer of a Cognito user pool; write https://cognito-idp.<region>.amazonaws.com/<user pool id>",
        r"[a-z0-9]{1,128}",
        "not the ID of an app client; use lower-case letters and digits",
    ),
    "entra-id": OidcProvider(
        "Microsoft Entra ID",
        # Not `common` or `organizations`, with which users of every tenant could log in. The national clouds:
        # https://learn.microsoft.com/en-us/entra/identity-platform/authentication-national-cloud
        rf"https://login\.(microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn)/{_GUID}/v2\.0",
        "not the issuer of one Entra ID tenant; write https://login.microsoftonline.com/<tenant id>/v2.0",
        _GUID,
        "not the ID of an app registration; write its application ID, a GUID in lower case",
        groups_claim=True,
    ),
    "google": OidcProvider(
        "Google",
        r"https://accounts\.google\.com",
        "not the issuer of Google; write https://accounts.google.com",
        r"[a-z0-9-]{1,100}\.apps\.googleusercontent\.com",
        "not the ID of an OAuth client of Google; write <id>.apps.googleusercontent.com",
    ),
    "okta": OidcProvider(
        "Okta",
        r"https://[a-z0-9-]+\.(okta|oktapreview|okta-emea)\.com(/oauth2/[A-Za-z0-9]+)?",
        "not the issuer of Okta; write https://<name>.okta.com/oauth2/<server id>, or choose the provider other",
        r"[A-Za-z0-9]{1,100}",
        "not the ID of an app integration; use letters and digits",
        scopes=_WITH_GROUPS,
        groups_claim=True,
    ),
    "other": OidcProvider("SSO", ".*", "", ".*", "", scopes=_WITH_GROUPS, groups_claim=True),
}
"""The kinds of identity providers.

Source: docs/operator-manual/user-management/{index,google,microsoft,okta}.md of Argo CD 3.5.0.
"""


class OidcConfig(Config):
    """Single sign-on with OpenID Connect. The client secret is `oidc.clientSecret` of `argocd-secret`."""

    provider: Literal["cognito", "entra-id", "google", "okta", "other"] = "cognito"
    """The identity provider: Amazon Cognito, Microsoft Entra ID, Google Workspace, Okta, or another one that has the
    scope and the claim `groups`. It determines the scopes and claims that Argo CD requests."""
    issuer: Issuer
    """The URL of the issuer: of the Cognito user pool, the Entra ID tenant, or the authorization server of Okta."""
    client_id: ClientId
    """The client of the provider for Argo CD, which has a secret. Its callback is `https://<domain>/auth/callback`."""
    cli_client_id: ClientId | None = None
    """A public client, without a secret, for `argocd login --sso`. Its callback is
    `http://localhost:8085/auth/callback`. With None, the command line uses `client_id`, which Entra ID permits."""

    def problems(self) -> Iterator[Problem]:
        """An issuer or a client ID that the provider does not have, or one client for two purposes."""
        provider = OIDC_PROVIDERS[self.provider]
        if re.fullmatch(provider.issuer, self.issuer) is None:
            yield Problem("issuer", self.issuer, provider.issuer_remedy)
        for field in ("client_id", "cli_client_id"):
            client = getattr(self, field)
            if client is not None and re.fullmatch(provider.client_id, client) is None:
                yield Problem(field, client, provider.client_id_remedy)
        if self.cli_client_id == self.client_id:
            message = "is the client with the secret; create a public client, or leave it out"
            yield Problem("cli_client_id", self.cli_client_id, message)


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
            yield Problem(
                "sso", None, "no login method; set it to your provider, or set local_admin to True until then"
            )
        if self.sso is not None and self.local_admin:
            yield Problem("local_admin", True, "sso replaces the local administrator; set it to False")
        cidrs = self.ingress.allowed_cidrs if self.ingress.scheme == "internet-facing" and self.sso is None else ()
        opened = list(open_to_all(cidrs))
        for index in opened:
            message = "opens Argo CD to the internet with one password; list your networks, or set sso"
            yield Problem(f"ingress.allowed_cidrs[{index}]", cidrs[index], message)
        yield from too_large("ingress.allowed_cidrs", () if opened else cidrs)
