"""Names in the manifests in Git match the resources that Terraform creates."""

import json
import shutil
import subprocess
from pathlib import Path

from tests import ROOT
from tests.gitops.tree import Json, Renderer, components, documents, read, sets
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
    own_platform: dict[str, Template], renderer: Renderer
) -> None:
    associated = {
        (one["namespace"], one["service_account"])
        for stack in own_platform.values()
        for one in stack.resources("aws_eks_pod_identity_association").values()
    } | {("kube-system", "karpenter")}  # no environment has Karpenter enabled yet
    namespaces = {component.name: component.settings["namespace"] for component in components()}
    for component in SERVICE_ACCOUNTS:
        assert (namespaces[component], _account(component)) in associated, component
    manifests = renderer.kustomize(ROOT / "management" / "database-users" / "manifests")
    (account,) = (one for one in manifests if one["kind"] == "ServiceAccount")
    assert (account["metadata"]["namespace"], account["metadata"]["name"]) in associated


def test_every_application_is_tried_again_in_the_same_way() -> None:
    """tests/cluster/test_retries.py shows with one of them that it works."""
    retries = [one["spec"]["template"]["spec"]["syncPolicy"]["retry"] for one in sets()]
    assert len(retries) > 1
    assert retries == [retries[0]] * len(retries)
    for one in sets():
        assert one["spec"]["templatePatch"].count('name: {{ now | date "2006-01-02T15" }}\n') == 1


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
    of_the_vpc = {"karpenter.sh/discovery": "gitops-vpc"}  # which a patch sets
    found = {
        name
        for name, subnet in shared.resources("aws_subnet").items()
        if all(subnet["tags"].get(key) == value for key, value in {**term["tags"], **of_the_vpc}.items())
    }
    assert found
    assert found == {name for name in shared.resources("aws_subnet") if "private" in name}


def test_settings_reach_the_objects_of_karpenter(
    alternative: dict[str, Template], helm: Path, kustomize: Path, tmp_path: Path
) -> None:
    """Helm renders the patches of the ApplicationSet, because both use Go templates with the functions of Sprig."""
    secret = alternative["us-gov-west-1-dev-gitops"].resources("kubernetes_secret_v1")["cluster-secret"]
    (karpenter,) = [component for component in components() if component.name == "karpenter"]
    place = {"basename": "karpenter", "path": "management/karpenter"}
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: patches, version: 1.0.0}")
    (tmp_path / "values.yaml").write_text(json.dumps({**karpenter.settings, **secret, "path": place}))
    patches = documents((ROOT / "management/bootstrap/components.yaml").read_text())[0]["spec"]["templatePatch"]
    (tmp_path / "templates" / "patches.yaml").write_text(f"{{{{- with .Values }}}}\n{patches}\n{{{{- end }}}}\n")
    (rendered,) = documents(_output(helm, "template", tmp_path))
    chart, manifests = rendered["spec"]["sources"]
    assert {"name": "settings.enableZonalShift", "value": "true", "forceString": True} in chart["helm"]["parameters"]

    shutil.copytree(karpenter.folder / "manifests", tmp_path / "manifests")
    (tmp_path / "kustomization.yaml").write_text(
        json.dumps({"resources": ["manifests"], "patches": manifests["kustomize"]["patches"]})
    )
    specs = {one["kind"]: one["spec"] for one in documents(_output(kustomize, "build", tmp_path))}
    node, pool = specs["EC2NodeClass"], specs["NodePool"]
    assert node["subnetSelectorTerms"][0]["tags"]["karpenter.sh/discovery"] == "gitops-vpc"
    assert node["tags"]["Environment"] == "dev"
    assert set(node["tags"]) == {"CostCenter", "Environment", "ManagedBy", "Owner", "Project", "Region"}
    assert pool["limits"] == {"cpu": 100, "nodes": 20}
    values = {one["key"]: one["values"] for one in pool["template"]["spec"]["requirements"]}
    assert values["kubernetes.io/arch"] == ["amd64", "arm64"]
    assert values["karpenter.sh/capacity-type"] == ["spot", "on-demand"]


def _output(program: Path, command: str, folder: Path) -> str:
    done = subprocess.run([program, command, folder], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nodes_of_karpenter_have_protected_metadata_and_encrypted_disks() -> None:
    node = _karpenter("EC2NodeClass")
    assert (node["metadataOptions"]["httpTokens"], node["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert all(device["ebs"]["encrypted"] for device in node["blockDeviceMappings"])
    (image,) = node["amiSelectorTerms"]
    assert not image["alias"].endswith("@latest")
