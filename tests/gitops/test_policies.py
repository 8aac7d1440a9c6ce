"""Tests the policies of management/policies with Kyverno. `kyverno/<policy>` has resources that pass and that fail.

The policies are tested as in prod. Image signatures cannot be verified here, because no registry and no Sigstore is
reachable. For `signed-images`, the tests show which images are verified, that each needs a digest, and that no image
passes if its signature cannot be verified.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from operations.delivery import publish
from tests import ROOT
from tests.gitops.tree import Json, Overlay, Renderer, documents, overlays, read

TESTS = Path(__file__).parent / "kyverno"
POLICIES = ROOT / "management" / "policies"
NAMES = sorted(file.stem for file in (POLICIES / "base").glob("*.yaml") if "kind: any" not in file.read_text())
NAMES.remove("kustomization")

# Git has no Pods: these policies apply only to Pods that controllers create.
_ONLY_FOR_PODS = {"default-deny", "pod-security-level", "signed-images"}


def _policies(renderer: Renderer, environment: str) -> list[Json]:
    return renderer.kustomize(POLICIES / "overlays" / environment)


def test_every_policy_has_tests() -> None:
    assert sorted(path.name for path in TESTS.iterdir()) == NAMES
    for name in NAMES:
        results = read(TESTS / name / "kyverno-test.yaml")["results"]
        assert {"pass", "fail"} <= {result["result"] for result in results if result["policy"] == name}


@pytest.mark.parametrize("name", NAMES)
def test_policy_passes_its_tests(name: str, kyverno: Path, renderer: Renderer, tmp_path: Path) -> None:
    shutil.copytree(TESTS / name, tmp_path / name)
    (tmp_path / "policies").mkdir()
    for policy in _policies(renderer, "prod"):
        (tmp_path / "policies" / f"{policy['metadata']['name']}.yaml").write_text(
            yaml.dump(policy, Dumper=yaml.CSafeDumper)
        )
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
    assert int(found[1]) >= expected, done.stdout  # the CLI lists a name once for each kind with this name


@pytest.mark.parametrize("overlay", overlays(), ids=lambda overlay: overlay.namespace)
def test_services_pass_the_policies_of_prod(
    overlay: Overlay, kyverno: Path, renderer: Renderer, tmp_path: Path
) -> None:
    """The manifests are changed as Argo CD does: with a registry in the image and the key of the secret."""
    prefix = f"ap-northeast-2/{overlay.folder.name}/"
    manifests = renderer.overlay(overlay)
    for manifest in manifests:
        manifest["metadata"].setdefault("namespace", overlay.namespace)  # set by Argo CD if the chart does not
    text = yaml.dump_all(manifests, Dumper=yaml.CSafeDumper, width=10000)
    text = re.sub(rf"image: {overlay.service}:", f"image: registry.example/{overlay.service}:", text)
    text = text.replace("key: placeholder", f"key: {prefix}{overlay.settings['database']}/database")
    (tmp_path / "manifests.yaml").write_text(text)
    annotations = {
        "platform/host": f"{overlay.service}.{overlay.folder.name}.example.com",
        "platform/image-registry": "registry.example",
        "platform/secret-prefix": f"{prefix}{overlay.service}/",
        "platform/database-secret": f"{prefix}{overlay.settings['database']}/database",
    }
    labels = {"kubernetes.io/metadata.name": overlay.namespace}
    namespace = {"metadata": {"name": overlay.namespace, "labels": labels, "annotations": annotations}}
    values = {"apiVersion": "cli.kyverno.io/v1alpha1", "kind": "Values", "metadata": {"name": "values"}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({**values, "namespaces": [namespace]}))
    applied = [policy for policy in _policies(renderer, "prod") if policy["metadata"]["name"] not in _ONLY_FOR_PODS]
    (tmp_path / "policies.yaml").write_text(yaml.dump_all(applied, Dumper=yaml.CSafeDumper))
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
    assert int(found[1]) >= len(
        {"image-references", "resources", "ingress-class", "ingress-hosts", "service-addresses"}
    ), done.stdout


def test_policies_audit_in_dev_and_deny_in_other_environments(renderer: Renderer) -> None:
    modes = {
        environment: {
            (tuple(policy["spec"]["validationActions"]), policy["spec"]["failurePolicy"])
            for policy in _policies(renderer, environment)
        }
        for environment in ("dev", "staging", "prod")
    }
    deny = {(("Deny",), "Fail")}
    assert modes == {"dev": {(("Audit", "Warn"), "Ignore")}, "staging": deny, "prod": deny}


def test_every_policy_has_the_same_namespace_selector(renderer: Renderer) -> None:
    """Policies that share a webhook overwrite each other's selector in Kyverno 1.19.0."""
    selectors = [policy["spec"]["matchConstraints"]["namespaceSelector"] for policy in _policies(renderer, "prod")]
    assert len(selectors) == len(NAMES)
    assert all(selector == selectors[0] for selector in selectors)


def test_only_control_plane_and_argo_cd_namespaces_are_excluded_by_name(renderer: Renderer) -> None:
    """All other namespaces of the platform belong to components, and have their label."""
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


def test_signer_is_the_build_workflow_of_this_repository() -> None:
    (patch,) = read(ROOT / "management/policies/component.yaml")["patches"]
    assert patch["annotation"] == "platform/repository-name"
    assert patch["format"] == publish.SIGNER
    signer = re.compile(patch["format"] % "your-org/platform")
    workflow = "https://github.com/your-org/platform/.github/workflows/build-service.yaml"
    for reviewed in ("refs/heads/main", "refs/tags/v1.2.3"):
        assert signer.search(f"{workflow}@{reviewed}")
    for other in (
        f"{workflow}@refs/pull/7/merge",
        f"{workflow}@refs/heads/feature",
        f"{workflow}@refs/heads/v1.2.3",
        f"{workflow}@refs/tags/v1.2.3-rc.1",
        f"{workflow}@0123456789abcdef0123456789abcdef01234567",
        "https://github.com/your-org/bubblepool/.github/workflows/build-service.yaml@refs/heads/main",
        "https://github.com/your-org/platform-evil/.github/workflows/build-service.yaml@refs/heads/main",
        "https://github.com/your-org/platform/.github/workflows/other.yaml@refs/heads/main",
    ):
        assert not signer.search(other)


def test_service_namespaces_have_every_annotation_that_policies_read(renderer: Renderer) -> None:
    (namespace,) = documents((ROOT / "management/service-namespace/base/namespace.yaml").read_text())
    text = yaml.dump_all(_policies(renderer, "prod"), Dumper=yaml.CSafeDumper, width=10000)
    annotations = set(re.findall(r"annotations\[\?'+(platform/[\w-]+)'+\]", text))
    assert len(annotations) == 4
    assert annotations <= namespace["metadata"]["annotations"].keys()
