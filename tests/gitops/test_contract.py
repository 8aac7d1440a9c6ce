"""What Terraform makes in AWS and what Git names in the cluster are the same things."""

import main
from stacks.loading import load
from tests import ROOT
from tests.gitops.tree import Json, Renderer, components, documents, read
from tests.template import Template

# Where a component's values name the service account that AWS gives the role to.
SERVICE_ACCOUNTS = {
    "external-dns": ("serviceAccount", "name"),
    "external-secrets": ("serviceAccount", "name"),
    "karpenter": ("serviceAccount", "name"),
    "kyverno": ("admissionController", "rbac", "serviceAccount", "name"),
}


def _account(component: str) -> object:
    value: object = read(ROOT / "management" / component / "values.yaml")
    for key in SERVICE_ACCOUNTS[component]:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def test_roles_are_given_to_the_accounts_that_components_run_as(
    platform: dict[str, Template], renderer: Renderer
) -> None:
    given = {
        (one["namespace"], one["service_account"])
        for stack in platform.values()
        for one in stack.resources("aws_eks_pod_identity_association").values()
    } | {("kube-system", "karpenter")}  # no environment has chosen Karpenter yet
    namespaces = {component.name: component.settings["namespace"] for component in components()}
    for component in SERVICE_ACCOUNTS:
        assert (namespaces[component], _account(component)) in given, component
    made = renderer.kustomize(ROOT / "management" / "database-users" / "manifests")
    (account,) = (one for one in made if one["kind"] == "ServiceAccount")
    assert (account["metadata"]["namespace"], account["metadata"]["name"]) in given


def test_every_role_by_an_annotation_has_its_parameter() -> None:
    """With IRSA a service account names its role; the annotation goes to the account that the values name."""
    for component in components():
        if component.name in SERVICE_ACCOUNTS:
            *parts, _ = SERVICE_ACCOUNTS[component.name]
            name = ".".join([*parts, "annotations", r"eks\.amazonaws\.com/role-arn"])
            wanted = {"name": name, "annotation": "platform/irsa-roles", "key": component.name}
            assert wanted in component.settings["parameters"], component.name


def _karpenter(kind: str) -> Json:
    name = {"EC2NodeClass": "node-class", "NodePool": "node-pool"}[kind]
    (manifest,) = documents((ROOT / "management" / "karpenter" / "manifests" / f"{name}.yaml").read_text())
    spec: Json = manifest["spec"]
    return spec


def test_karpenter_finds_the_private_subnets_and_no_others(shared: Template) -> None:
    (term,) = _karpenter("EC2NodeClass")["subnetSelectorTerms"]
    found = {
        name
        for name, subnet in shared.resources("aws_subnet").items()
        if all(key in subnet["tags"] and value in ("*", subnet["tags"][key]) for key, value in term["tags"].items())
    }
    assert found
    assert found == {name for name in shared.resources("aws_subnet") if "private" in name}


def test_karpenter_makes_as_many_nodes_as_the_address_plan_holds() -> None:
    limit = int(_karpenter("NodePool")["limits"]["nodes"])
    _, regions = load(main.REGIONS)
    chosen = [one.settings.karpenter for region in regions for one in region.environments]
    assert all(karpenter is None or karpenter.max_nodes == limit for karpenter in chosen)


def test_nodes_of_karpenter_keep_their_credentials_and_data_to_themselves() -> None:
    node = _karpenter("EC2NodeClass")
    assert (node["metadataOptions"]["httpTokens"], node["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert all(device["ebs"]["encrypted"] for device in node["blockDeviceMappings"])
    (image,) = node["amiSelectorTerms"]
    assert not image["alias"].endswith("@latest")
