"""The policies of management/policies, judged by Kyverno itself: `kyverno/<policy>` has what passes and what fails.

They are tested as prod has them. Image signatures cannot be verified here, where no registry and no Sigstore is
reached: of `signed-images` this shows which images are asked about, that each needs its digest, and that nothing passes
while nobody can be asked.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.gitops.tree import Json, Overlay, Renderer, documents, overlays, read

TESTS = Path(__file__).parent / "kyverno"
POLICIES = ROOT / "management" / "policies"
NAMES = sorted(file.stem for file in (POLICIES / "base").glob("*.yaml") if "kind: any" not in file.read_text())
NAMES.remove("kustomization")

# Nothing of Git is a pod: these ask about what the cluster makes of it.
_OF_PODS_ALONE = {"default-deny", "pod-security-level", "signed-images"}


def _policies(renderer: Renderer, environment: str) -> list[Json]:
    return renderer.kustomize(POLICIES / "overlays" / environment)


def test_every_policy_has_its_tests() -> None:
    assert sorted(path.name for path in TESTS.iterdir()) == NAMES
    for name in NAMES:
        results = read(TESTS / name / "kyverno-test.yaml")["results"]
        assert {"pass", "fail"} <= {result["result"] for result in results if result["policy"] == name}


@pytest.mark.parametrize("name", NAMES)
def test_policy_judges_as_its_tests_say(name: str, kyverno: Path, renderer: Renderer, tmp_path: Path) -> None:
    shutil.copytree(TESTS / name, tmp_path / name)
    (tmp_path / "policies").mkdir()
    for policy in _policies(renderer, "prod"):
        (tmp_path / "policies" / f"{policy['metadata']['name']}.yaml").write_text(yaml.safe_dump(policy))
    done = subprocess.run(
        [kyverno, "test", tmp_path / name, "--remove-color", "--detailed-results"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = sum(len(result["resources"]) for result in read(TESTS / name / "kyverno-test.yaml")["results"])
    found = re.search(r"Test Summary: (\d+) tests? passed and 0 tests? failed", done.stdout)
    assert found, done.stdout
    assert int(found[1]) >= expected, done.stdout  # the CLI lists a name once for each kind that bears it


@pytest.mark.parametrize("overlay", overlays(), ids=lambda overlay: overlay.namespace)
def test_services_pass_what_prod_enforces(overlay: Overlay, kyverno: Path, renderer: Renderer, tmp_path: Path) -> None:
    """As the cluster gets them: with a registry before the image's name, and the secret's key in its place."""
    prefix = f"ap-northeast-2/{overlay.folder.name}/"
    manifests = renderer.overlay(overlay)
    for manifest in manifests:
        manifest["metadata"].setdefault("namespace", overlay.namespace)  # Argo CD does, where a chart does not
    text = yaml.safe_dump_all(manifests, width=10000)
    text = re.sub(rf"image: {overlay.service}:", f"image: registry.example/{overlay.service}:", text)
    text = text.replace("key: placeholder", f"key: {prefix}{overlay.settings['database']}/database")
    (tmp_path / "manifests.yaml").write_text(text)
    annotations = {
        "platform/image-registry": "registry.example",
        "platform/secret-prefix": f"{prefix}{overlay.service}/",
        "platform/database-secret": f"{prefix}{overlay.settings['database']}/database",
    }
    labels = {"kubernetes.io/metadata.name": overlay.namespace}
    namespace = {"metadata": {"name": overlay.namespace, "labels": labels, "annotations": annotations}}
    values = {"apiVersion": "cli.kyverno.io/v1alpha1", "kind": "Values", "metadata": {"name": "values"}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({**values, "namespaces": [namespace]}))
    judging = [policy for policy in _policies(renderer, "prod") if policy["metadata"]["name"] not in _OF_PODS_ALONE]
    (tmp_path / "policies.yaml").write_text(yaml.safe_dump_all(judging))
    done = subprocess.run(
        [
            *(kyverno, "apply", tmp_path / "policies.yaml", "--remove-color"),
            *("--resource", tmp_path / "manifests.yaml", "--values-file", tmp_path / "values.yaml"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    found = re.search(r"pass: (\d+), fail: 0, warn: 0, error: 0", done.stdout)
    assert found, done.stdout + done.stderr
    assert int(found[1]) >= len({"image-references", "resources", "ingress-class"}), done.stdout


def test_dev_reports_and_the_others_refuse(renderer: Renderer) -> None:
    modes = {
        environment: {
            (tuple(policy["spec"]["validationActions"]), policy["spec"]["failurePolicy"])
            for policy in _policies(renderer, environment)
        }
        for environment in ("dev", "staging", "prod")
    }
    refuse = {(("Deny",), "Fail")}
    assert modes == {"dev": {(("Audit", "Warn"), "Ignore")}, "staging": refuse, "prod": refuse}


def test_every_policy_leaves_out_the_same_namespaces(renderer: Renderer) -> None:
    """Policies that share a webhook overwrite each other's selector in Kyverno 1.19.0."""
    selectors = [policy["spec"]["matchConstraints"]["namespaceSelector"] for policy in _policies(renderer, "prod")]
    assert len(selectors) == len(NAMES)
    assert all(selector == selectors[0] for selector in selectors)


def test_only_the_control_plane_and_argo_cd_are_left_out_by_name(renderer: Renderer) -> None:
    """Every other namespace of the platform is a component's, and its label says so."""
    selector = _policies(renderer, "prod")[0]["spec"]["matchConstraints"]["namespaceSelector"]
    component, name = selector["matchExpressions"]
    assert component == {"key": "platform/component", "operator": "DoesNotExist"}
    assert name == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system", "kube-public", "kube-node-lease", "argocd"],
    }
    (namespace,) = documents((ROOT / "management/service-namespace/base/namespace.yaml").read_text())
    assert "platform/component" not in namespace["metadata"]["labels"]


def test_signer_is_the_workflow_of_this_repository_that_builds_services() -> None:
    (patch,) = read(ROOT / "management/policies/component.yaml")["patches"]
    assert patch["annotation"] == "platform/repository-name"
    signer = re.compile(patch["format"] % "your-org/platform")
    workflow = "https://github.com/your-org/platform/.github/workflows/build-service.yaml"
    for reviewed in ("refs/heads/main", "refs/tags/v1.2.3", "0123456789abcdef0123456789abcdef01234567"):
        assert signer.search(f"{workflow}@{reviewed}")
    for other in (
        f"{workflow}@refs/pull/7/merge",
        f"{workflow}@refs/heads/feature",
        "https://github.com/your-org/bubblepool/.github/workflows/build-service.yaml@refs/heads/main",
        "https://github.com/your-org/platform-evil/.github/workflows/build-service.yaml@refs/heads/main",
        "https://github.com/your-org/platform/.github/workflows/other.yaml@refs/heads/main",
    ):
        assert not signer.search(other)


def test_what_policies_read_stands_on_every_namespace_of_a_service(renderer: Renderer) -> None:
    (namespace,) = documents((ROOT / "management/service-namespace/base/namespace.yaml").read_text())
    text = yaml.safe_dump_all(_policies(renderer, "prod"), width=10000)
    read_there = set(re.findall(r"annotations\[\?'+(platform/[\w-]+)'+\]", text))
    assert len(read_there) == 3
    assert read_there <= namespace["metadata"]["annotations"].keys()
