"""The key `oidc.config` of Argo CD for each kind of identity provider."""

import json

import pytest

from eks_gitops.in_cluster.argo_cd_config import OIDC_PROVIDERS, ArgoCdConfig, OidcConfig
from eks_gitops.in_cluster.argo_cd_values import values
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from tests.template import Json

SSO = {
    "cognito": OidcConfig(
        issuer="https://cognito-idp.ap-northeast-2.amazonaws.com/ap-northeast-2_Ab12Cd34E",
        client_id="4cl1ent",
        cli_client_id="3cl1",
    ),
    "entra-id": OidcConfig(
        provider="entra-id",
        issuer="https://login.microsoftonline.com/3f2504e0-4f89-41d3-9a0c-0305e82c3301/v2.0",
        client_id="84ce98d1-e359-4f3b-85af-985b458de3c6",
    ),
    "google": OidcConfig(
        provider="google",
        issuer="https://accounts.google.com",
        client_id="123456789012-a1b2c3.apps.googleusercontent.com",
    ),
    "okta": OidcConfig(
        provider="okta",
        issuer="https://your-company.okta.com/oauth2/aus9abcdefgABCDEFGd7",
        client_id="0oa9abcdefgh123AB5d7",
        cli_client_id="0oa9abcdefgh123AB5d8",
    ),
    "other": OidcConfig(provider="other", issuer="https://id.your-company.com/realms/main", client_id="argocd"),
}


def _login(sso: OidcConfig) -> Json:
    ingress = IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/16",))
    config = ArgoCdConfig(
        chart_version="10.4.1",
        domain="argocd.your-domain.com",
        availability="single-node",
        ingress=ingress,
        sso=sso,
    )
    login: Json = json.loads(values(config, certificate_arn="arn", tags={})["configs"]["cm"]["oidc.config"])
    return login


def test_every_provider_is_tested() -> None:
    assert SSO.keys() == OIDC_PROVIDERS.keys()


@pytest.mark.parametrize("provider", SSO)
def test_login_has_the_issuer_the_client_and_a_reference_to_its_secret(provider: str) -> None:
    login = _login(SSO[provider])
    assert (login["issuer"], login["clientID"]) == (SSO[provider].issuer, SSO[provider].client_id)
    assert login["clientSecret"] == "$oidc.clientSecret"


@pytest.mark.parametrize(
    ("provider", "scopes", "claims"),
    [
        ("cognito", ["openid", "email", "profile"], None),
        ("entra-id", ["openid", "email", "profile"], {"groups": {"essential": True}}),
        ("google", ["openid", "email", "profile"], None),
        ("okta", ["openid", "email", "profile", "groups"], {"groups": {"essential": True}}),
        ("other", ["openid", "email", "profile", "groups"], {"groups": {"essential": True}}),
    ],
)
def test_groups_are_requested_as_the_provider_has_them(provider: str, scopes: list[str], claims: Json | None) -> None:
    login = _login(SSO[provider])
    assert login["requestedScopes"] == scopes
    assert login.get("requestedIDTokenClaims") == claims


@pytest.mark.parametrize("provider", SSO)
def test_the_command_line_has_its_own_client_only_if_it_is_set(provider: str) -> None:
    assert _login(SSO[provider]).get("cliClientID") == SSO[provider].cli_client_id
