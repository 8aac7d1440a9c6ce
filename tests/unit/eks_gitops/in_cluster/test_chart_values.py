"""Checks the Helm values of each release against its chart and CRD, because Helm ignores unknown keys silently."""

import json
from collections.abc import Iterator

import pytest

from tests.chart_values import SHARED, published, unlike
from tests.template import Json, Template

CRD = SHARED / "schemas" / "aws-load-balancer-controller" / "elbv2.k8s.aws_ingressclassparams.yaml"
STACKS = ("ap-northeast-2-dev-gitops", "ap-northeast-2-prod-gitops", "us-gov-west-1-dev-gitops")

# The published values file of each chart, and the paths below which any key is valid, with the reason.
CHARTS = {
    "argo-cd_release": (
        "argo-cd-10.1.1.yaml",
        {
            "configs.cm": "copied to the ConfigMap argocd-cm",
            "configs.params": "copied to the ConfigMap argocd-cmd-params-cm",
            "extraObjects": "complete Kubernetes objects",
            "global.podAnnotations": "annotations can have any name",
            "global.topologySpreadConstraints": "copied to the field of the Pods",
            "server.ingress.annotations": "annotations can have any name",
            "server.ingress.aws.serviceAnnotations": "annotations can have any name",
            **{
                f"redis-ha.{name}": "a value of the chart's dependency redis-ha, which is not in the values file"
                for name in (
                    "haproxy.init",
                    "haproxy.resources",
                    "init",
                    "redis.resources",
                    "sentinel",
                    "splitBrainDetection",
                )
            },
            **{
                f"{component}.resources": "copied to the field of the containers"
                for component in ("applicationSet", "controller", "notifications", "redis", "repoServer", "server")
            },
        },
    ),
    "aws-load-balancer-controller_release": (
        "aws-load-balancer-controller-3.5.0.yaml",
        {
            "defaultTags": "tags can have any name",
            "ingressClassParams.spec": "copied to the spec of IngressClassParams, which is checked with its CRD below",
            "podDisruptionBudget": "copied to the spec of the PodDisruptionBudget",
            "resources": "copied to the field of the container",
            "serviceAccount.annotations": "annotations can have any name",
            "topologySpreadConstraints": "copied to the field of the Pods",
        },
    ),
    "root-application_project_release": ("argocd-apps-2.0.5.yaml", {"projects": "projects by name"}),
    "root-application_root_release": ("argocd-apps-2.0.5.yaml", {"applications": "applications by name"}),
}

# The default in the chart is an empty string, but a number or a percentage is documented.
NUMBERS_BY_THEIR_DOCUMENTATION = frozenset(
    f"{name}.pdb.minAvailable" for name in ("applicationSet", "repoServer", "server")
)


@pytest.fixture(scope="module")
def stacks(platform: dict[str, Template], alternative: dict[str, Template]) -> dict[str, Template]:
    return {**platform, **alternative}


def _values(stack: Template, release: str = "argo-cd_release") -> Json:
    (text,) = stack.resources("helm_release")[release]["values"]
    values: Json = json.loads(text)
    return values


@pytest.mark.parametrize("release", CHARTS)
@pytest.mark.parametrize("stack", STACKS)
def test_chart_has_every_key_with_the_same_type(stacks: dict[str, Template], stack: str, release: str) -> None:
    file, free = CHARTS[release]
    theirs = published(SHARED / "data" / "chart-values" / file)
    assert list(unlike(_values(stacks[stack], release), theirs, free, NUMBERS_BY_THEIR_DOCUMENTATION)) == []


def test_every_release_is_checked(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        assert set(stacks[stack].resources("helm_release")) == set(CHARTS)


@pytest.mark.parametrize(
    ("ours", "errors"),
    [
        ({"a": {"b": True, "c": 1}, "free": {"any": "thing"}, "unset": "text"}, []),
        ({"a": {"x": True}}, ["a.x: no such key"]),
        ({"a": {"b": "true"}}, ["a.b: str, not bool"]),
        ({"a": {"c": True}}, ["a.c: bool, not int"]),
        ({"a": []}, ["a: list, not dict"]),
        ({"free": "text"}, ["free: str, not dict"]),
    ],
)
def test_comparison_finds_unknown_keys_and_wrong_types(ours: Json, errors: list[str]) -> None:
    theirs: Json = {"a": {"b": False, "c": 2}, "free": {}, "unset": None}
    assert list(unlike(ours, theirs, {"free": "for this test"})) == errors


@pytest.mark.parametrize("stack", STACKS)
def test_argo_cd_settings_have_the_types_of_the_chart(stacks: dict[str, Template], stack: str) -> None:
    theirs = published(SHARED / "data" / "chart-values" / "argo-cd-10.1.1.yaml")["configs"]["cm"]
    ours = _values(stacks[stack])["configs"]["cm"]
    known = set(ours) & set(theirs)
    assert {"admin.enabled", "resource.exclusions", "timeout.reconciliation"} <= known
    assert {key: type(ours[key]) for key in known} == {key: type(theirs[key]) for key in known}


# IngressClassParams


def _objects(stack: Template, kind: str) -> list[Json]:
    return [thing for thing in _values(stack)["extraObjects"] if thing["kind"] == kind]


_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}


def _unknown(value: object, schema: Json, path: str = "spec") -> Iterator[str]:
    """The errors of `value` against the schema of a CRD: unknown or missing fields, wrong types or enum values."""
    if type(value) is not _TYPES[schema["type"]]:
        yield f"{path}: not of the type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {schema['enum']}"
    if isinstance(value, dict):
        yield from (f"{path}.{field}: not set" for field in schema.get("required", []) if field not in value)
        any_field = dict.fromkeys(value, schema.get("additionalProperties", {}))
        properties: dict[str, Json] = schema.get("properties", any_field)
        yield from (f"{path}.{field}: no such field" for field in value if field not in properties)
        for field in value.keys() & properties.keys():
            yield from _unknown(value[field], properties[field], f"{path}.{field}")
    if isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unknown(below, schema["items"], f"{path}[{index}]")


@pytest.mark.parametrize("stack", STACKS)
def test_ingress_class_params_match_their_crd(stacks: dict[str, Template], stack: str) -> None:
    definition = published(CRD)["spec"]
    (version,) = definition["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    (params,) = _objects(stacks[stack], "IngressClassParams")
    assert params["apiVersion"] == f"{definition['group']}/{version['name']}"
    assert list(_unknown(params["spec"], schema)) == []
    of_services = _values(stacks[stack], "aws-load-balancer-controller_release")["ingressClassParams"]["spec"]
    assert list(_unknown(of_services, schema)) == []


@pytest.mark.parametrize("stack", STACKS)
def test_load_balancers_use_all_subnets_of_their_scheme(stacks: dict[str, Template], stack: str) -> None:
    (params,) = _objects(stacks[stack], "IngressClassParams")
    of_services = _values(stacks[stack], "aws-load-balancer-controller_release")["ingressClassParams"]["spec"]
    tags = {"internal": "kubernetes.io/role/internal-elb", "internet-facing": "kubernetes.io/role/elb"}
    for spec in (params["spec"], of_services):
        assert spec["subnets"] == {"tags": {tags[spec["scheme"]]: ["1"]}}


def test_ingress_class_of_argo_cd_references_its_params(stacks: dict[str, Template]) -> None:
    for name in STACKS:
        (params,), (ingress_class,) = (_objects(stacks[name], kind) for kind in ("IngressClassParams", "IngressClass"))
        assert ingress_class["spec"]["controller"] == "ingress.k8s.aws/alb"
        assert ingress_class["spec"]["parameters"] == {
            "apiGroup": "elbv2.k8s.aws",
            "kind": "IngressClassParams",
            "name": params["metadata"]["name"],
        }
        ingress = _values(stacks[name])["server"]["ingress"]
        assert ingress["ingressClassName"] == ingress_class["metadata"]["name"]


def test_argo_cd_has_a_separate_load_balancer_and_networks(stacks: dict[str, Template]) -> None:
    prod = stacks["ap-northeast-2-prod-gitops"]
    (params,) = _objects(prod, "IngressClassParams")
    services = _values(prod, "aws-load-balancer-controller_release")["ingressClassParams"]
    assert params["metadata"]["name"] != services["name"]
    assert (params["spec"]["scheme"], params["spec"]["inboundCIDRs"]) == ("internal", ["10.0.0.0/16"])
    assert (services["spec"]["scheme"], services["spec"]["inboundCIDRs"]) == ("internet-facing", ["0.0.0.0/0"])
    # One load balancer for all services, and a separate one for Argo CD that no other Ingress can join.
    assert services["spec"]["group"] == {"name": "ap-northeast-2-prod"}
    assert "group" not in params["spec"]


def test_webhook_of_the_controller_ignores_the_params_of_argo_cd(stacks: dict[str, Template]) -> None:
    """Its selector excludes objects with this label. Otherwise Argo CD could not be installed before it is ready."""
    for stack in STACKS:
        (params,) = _objects(stacks[stack], "IngressClassParams")
        assert params["metadata"]["labels"] == {"app.kubernetes.io/name": "aws-load-balancer-controller"}


def test_web_acl_is_set_only_if_chosen(stacks: dict[str, Template]) -> None:
    (without,) = _objects(stacks["ap-northeast-2-dev-gitops"], "IngressClassParams")
    (chosen,) = _objects(stacks["us-gov-west-1-dev-gitops"], "IngressClassParams")
    assert "wafv2AclArn" not in without["spec"]
    assert chosen["spec"]["wafv2AclArn"].startswith("arn:aws-us-gov:wafv2:")


# Values that depend on the settings


@pytest.mark.parametrize(
    ("stack", "enabled"),
    [
        ("ap-northeast-2-dev-gitops", False),
        ("ap-northeast-2-prod-gitops", True),
        ("us-gov-west-1-dev-gitops", True),
    ],
)
def test_availability_sets_replicas_redis_budgets_and_spread(
    stacks: dict[str, Template], stack: str, *, enabled: bool
) -> None:
    values = _values(stacks[stack])
    assert values["redis-ha"]["enabled"] is enabled
    assert values["repoServer"]["autoscaling"]["enabled"] is enabled
    assert values["repoServer"]["autoscaling"]["minReplicas"] == 2
    assert [values[name]["replicas"] for name in ("applicationSet", "server")] == [2 if enabled else 1] * 2
    assert values["controller"]["replicas"] == 1
    for name in ("applicationSet", "repoServer", "server"):
        assert values[name]["pdb"] == {"enabled": enabled, "minAvailable": 1 if enabled else ""}
    zones = [spread["topologyKey"] for spread in values["global"]["topologySpreadConstraints"]]
    assert zones == (["topology.kubernetes.io/zone"] if enabled else [])
    assert values["redis-ha"].get("topologySpreadConstraints", {"enabled": False}) == {"enabled": enabled}


def test_every_component_has_requests_and_limits_of_memory_and_disk(stacks: dict[str, Template]) -> None:
    values = _values(stacks["ap-northeast-2-prod-gitops"])
    components = ["applicationSet", "controller", "notifications", "redis", "repoServer", "server"]
    of_redis = ["haproxy", "init", "redis", "sentinel", "splitBrainDetection"]
    found = [values[name]["resources"] for name in components]
    found += [values["redis-ha"][name]["resources"] for name in of_redis]
    found.append(values["redis-ha"]["haproxy"]["init"]["resources"])
    for resources in found:
        assert sorted(resources["requests"]) == ["cpu", "ephemeral-storage", "memory"]
        assert sorted(resources["limits"]) == ["ephemeral-storage", "memory"]


def test_load_balancer_controller_runs_only_in_aws(stacks: dict[str, Template]) -> None:
    found = {}
    for stack in STACKS:
        values = _values(stacks[stack], "aws-load-balancer-controller_release")
        found[stack] = (values["replicaCount"], values["webhookConfig"]["ingressValdationFailurePolicy"])
    assert found == {
        "ap-northeast-2-dev-gitops": (2, "Fail"),
        "ap-northeast-2-prod-gitops": (2, "Fail"),
        "us-gov-west-1-dev-gitops": (0, "Ignore"),  # it has a kubeconfig
    }


def test_load_balancer_controller_has_a_disruption_budget_and_is_spread_over_zones(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        values = _values(stacks[stack], "aws-load-balancer-controller_release")
        assert values["podDisruptionBudget"] == {"maxUnavailable": 1}
        (spread,) = values["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["maxSkew"]) == ("topology.kubernetes.io/zone", 1)
        assert spread["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "aws-load-balancer-controller"}


def test_ui_and_cli_of_argo_cd_share_one_host(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        values = _values(stacks[stack])
        ingress = values["server"]["ingress"]
        assert values["configs"]["params"]["server.insecure"] is True
        assert json.loads(ingress["annotations"]["alb.ingress.kubernetes.io/listen-ports"]) == [
            {"HTTP": 80},
            {"HTTPS": 443},
        ]
        assert ingress["annotations"]["alb.ingress.kubernetes.io/ssl-redirect"] == "443"
        assert (ingress["controller"], ingress["aws"]["backendProtocolVersion"]) == ("aws", "GRPC")
        assert ingress["aws"]["serviceAnnotations"] == {
            "alb.ingress.kubernetes.io/healthcheck-path": "/grpc.health.v1.Health/Check",
            "alb.ingress.kubernetes.io/success-codes": "0",
        }


def test_sso_replaces_the_local_administrator(stacks: dict[str, Template]) -> None:
    settings = _values(stacks["us-gov-west-1-dev-gitops"])["configs"]["cm"]
    assert settings["admin.enabled"] is False
    assert json.loads(settings["oidc.config"]) == {
        "name": "Cognito",
        "issuer": "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_Ab12Cd34E",
        "clientID": "4cl1ent",
        "clientSecret": "$oidc.clientSecret",
        "requestedScopes": ["openid", "email", "profile"],
    }


def test_local_administrator_is_enabled_without_sso(stacks: dict[str, Template]) -> None:
    settings = _values(stacks["ap-northeast-2-prod-gitops"])["configs"]["cm"]
    assert settings["admin.enabled"] is True
    assert "oidc.config" not in settings


def test_chart_does_not_create_rbac_and_notifications(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        values = _values(stacks[stack])
        assert values["configs"]["rbac"] == {"create": False}
        assert values["notifications"]["cm"] == values["notifications"]["secret"] == {"create": False}


def test_crds_are_kept_when_argo_cd_is_uninstalled(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        assert _values(stacks[stack])["crds"] == {"install": True, "keep": True}


def test_chart_does_not_create_the_redis_password(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        assert _values(stacks[stack])["redisSecretInit"] == {"enabled": False}


def test_load_balancer_controller_is_upgraded_without_breaking_webhooks(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        values = _values(stacks[stack], "aws-load-balancer-controller_release")
        assert values["keepTLSSecret"] is True
        assert values["enableServiceMutatorWebhook"] is False


def test_load_balancer_controller_is_annotated_with_its_role_only_for_irsa(stacks: dict[str, Template]) -> None:
    annotations = {
        stack: _values(stacks[stack], "aws-load-balancer-controller_release")["serviceAccount"]["annotations"]
        for stack in STACKS
    }
    assert annotations["ap-northeast-2-dev-gitops"] == annotations["ap-northeast-2-prod-gitops"] == {}
    (role,) = annotations["us-gov-west-1-dev-gitops"].items()
    assert role[0] == "eks.amazonaws.com/role-arn"
    assert "aws_iam_rolecontrollers_aws-load-balancer-controller_rolearn" in role[1]


def test_values_are_sorted(stacks: dict[str, Template]) -> None:
    for stack in STACKS:
        for release in stacks[stack].resources("helm_release").values():
            (text,) = release["values"]
            assert text == json.dumps(json.loads(text), sort_keys=True)
