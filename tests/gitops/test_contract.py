"""Names in the manifests in Git match the resources that Terraform creates."""

from tests import ROOT
from tests.gitops.tree import Json, Renderer, components, documents, read
from tests.template import Template

# The path of the service account in the values of each component with an IAM role.
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


def test_pod_identity_associations_match_the_service_accounts(
    platform: dict[str, Template], renderer: Renderer
) -> None:
    associated = {
        (one["namespace"], one["service_account"])
        for stack in platform.values()
        for one in stack.resources("aws_eks_pod_identity_association").values()
    } | {("kube-system", "karpenter")}  # no environment has Karpenter enabled yet
    namespaces = {component.name: component.settings["namespace"] for component in components()}
    for component in SERVICE_ACCOUNTS:
        assert (namespaces[component], _account(component)) in associated, component
    manifests = renderer.kustomize(ROOT / "management" / "database-users" / "manifests")
    (account,) = (one for one in manifests if one["kind"] == "ServiceAccount")
    assert (account["metadata"]["namespace"], account["metadata"]["name"]) in associated


def test_every_irsa_role_has_its_parameter() -> None:
    """With IRSA, the service account in the values must be annotated with its role."""
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


def test_karpenter_discovers_only_the_private_subnets(shared: Template) -> None:
    (term,) = _karpenter("EC2NodeClass")["subnetSelectorTerms"]
    found = {
        name
        for name, subnet in shared.resources("aws_subnet").items()
        if all(key in subnet["tags"] and value in ("*", subnet["tags"][key]) for key, value in term["tags"].items())
    }
    assert found
    assert found == {name for name in shared.resources("aws_subnet") if "private" in name}


def test_node_limit_of_karpenter_is_set_by_the_settings() -> None:
    (karpenter,) = [component for component in components() if component.name == "karpenter"]
    path, annotation = "/spec/limits/nodes", "platform/karpenter-max-nodes"
    patch = {"kind": "NodePool", "name": "default", "path": path, "annotation": annotation}
    assert patch in karpenter.settings["patches"]
    assert "nodes" in _karpenter("NodePool")["limits"]  # which the patch replaces


def test_nodes_of_karpenter_have_protected_metadata_and_encrypted_disks() -> None:
    node = _karpenter("EC2NodeClass")
    assert (node["metadataOptions"]["httpTokens"], node["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert all(device["ebs"]["encrypted"] for device in node["blockDeviceMappings"])
    (image,) = node["amiSelectorTerms"]
    assert not image["alias"].endswith("@latest")
