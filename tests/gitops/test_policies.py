"""Tests the policies of management/policies with Kyverno. `kyverno/<policy>` has resources that pass and that fail.

The policies are tested as they are enforced. Image signatures cannot be verified here, because no registry and no
Sigstore is reachable. For `signed-images`, the tests show which images are verified, that each needs a digest, and that
no image passes if its signature cannot be verified.
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

_DATABASE = "platform/database-secret"

# Git has no Pods: these policies apply only to Pods that controllers create.
_ONLY_FOR_PODS = {"default-deny", "pod-security-level", "signed-images"}


def _policies(renderer: Renderer, overlay: str) -> list[Json]:
    return renderer.kustomize(POLICIES / "overlays" / overlay)


def test_every_policy_has_tests() -> None:
    assert sorted(path.name for path in TESTS.iterdir()) == NAMES
    for name in NAMES:
        results = read(TESTS / name / "kyverno-test.yaml")["results"]
        assert {"pass", "fail"} <= {result["result"] for result in results if result["policy"] == name}


def test_policies_pass_their_tests(kyverno: Path, renderer: Renderer, tmp_path: Path) -> None:
    shutil.copytree(TESTS, tmp_path, dirs_exist_ok=True)
    (tmp_path / "policies").mkdir()
    for policy in _policies(renderer, "enforce"):
        (tmp_path / "policies" / f"{policy['metadata']['name']}.yaml").write_text(
            yaml.dump(policy, Dumper=yaml.CSafeDumper)
        )
    done = _run(kyverno, "test", tmp_path, "--remove-color", "--detailed-results")
    assert done.returncode == 0, done.stdout + done.stderr
    results = [result for name in NAMES for result in read(TESTS / name / "kyverno-test.yaml")["results"]]
    found = re.search(r"Test Summary: (\d+) tests? passed and 0 tests? failed", done.stdout)
    assert found, done.stdout
    # The CLI lists a name once for each kind with this name.
    assert int(found[1]) >= sum(len(result["resources"]) for result in results), done.stdout


@pytest.mark.slow
def test_services_pass_the_policies_of_prod(kyverno: Path, renderer: Renderer, tmp_path: Path) -> None:
    namespaces = [_namespace(overlay) for overlay in overlays()]
    values = {"apiVersion": "cli.kyverno.io/v1alpha1", "kind": "Values", "metadata": {"name": "values"}}
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({**values, "namespaces": namespaces}))
    (tmp_path / "manifests.yaml").write_text("---\n".join(_as_deployed(overlay, renderer) for overlay in overlays()))
    applied = [policy for policy in _policies(renderer, "enforce") if policy["metadata"]["name"] not in _ONLY_FOR_PODS]
    (tmp_path / "policies.yaml").write_text(yaml.dump_all(applied, Dumper=yaml.CSafeDumper))
    done = _run(
        *(kyverno, "apply", tmp_path / "policies.yaml", "--remove-color", "--detailed-results"),
        *("--resource", tmp_path / "manifests.yaml", "--values-file", tmp_path / "values.yaml"),
    )
    found = re.search(r"pass: (\d+), fail: 0, warn: 0, error: 0", done.stdout)
    assert found, done.stdout + done.stderr
    policies = {"image-references", "resources", "ingress-class", "ingress-hosts", "service-addresses"}
    assert int(found[1]) >= len(policies) * len(namespaces), done.stdout


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True)


def _as_deployed(overlay: Overlay, renderer: Renderer) -> str:
    """The manifests, changed as Argo CD does: with a registry in the image and the key of the secret."""
    manifests = renderer.overlay(overlay)
    for manifest in manifests:
        manifest["metadata"].setdefault("namespace", overlay.namespace)  # set by Argo CD if the chart does not
    text = yaml.dump_all(manifests, Dumper=yaml.CSafeDumper, width=10000)
    text = re.sub(rf"image: {overlay.service}:", f"image: registry.example/{overlay.service}:", text)
    return text.replace("key: placeholder", f"key: {_namespace(overlay)['metadata']['annotations'][_DATABASE]}")


def _namespace(overlay: Overlay) -> Json:
    """The namespace of a service, with the annotations that Argo CD sets."""
    prefix = f"ap-northeast-2/{overlay.folder.name}/"
    annotations = {
        "platform/host": f"{overlay.service}.{overlay.folder.name}.example.com",
        "platform/image-registry": "registry.example",
        "platform/secret-prefix": f"{prefix}{overlay.service}/",
        _DATABASE: f"{prefix}{overlay.settings['database']}/database",
    }
    labels = {"kubernetes.io/metadata.name": overlay.namespace}
    return {"metadata": {"name": overlay.namespace, "labels": labels, "annotations": annotations}}


def test_policies_only_report_where_they_audit(renderer: Renderer) -> None:
    modes = {
        overlay: {
            (tuple(policy["spec"]["validationActions"]), policy["spec"]["failurePolicy"])
            for policy in _policies(renderer, overlay)
        }
        for overlay in ("audit", "enforce")
    }
    assert modes == {"audit": {(("Audit", "Warn"), "Ignore")}, "enforce": {(("Deny",), "Fail")}}


def test_every_policy_has_the_same_namespace_selector(renderer: Renderer) -> None:
    """Policies that share a webhook overwrite each other's selector in Kyverno 1.19.0."""
    selectors = [policy["spec"]["matchConstraints"]["namespaceSelector"] for policy in _policies(renderer, "enforce")]
    assert len(selectors) == len(NAMES)
    assert all(selector == selectors[0] for selector in selectors)


def test_only_control_plane_and_argo_cd_namespaces_are_excluded_by_name(renderer: Renderer) -> None:
    """All other namespaces of the platform belong to components, and have their label."""
    selector = _policies(renderer, "enforce")[0]["spec"]["matchConstraints"]["namespaceSelector"]
    component, name = selector["matchExpressions"]
    assert component == {"key": "platform/component", "operator": "DoesNotExist"}
    assert name == {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system", "kube-public", "kube-node-lease", "amazon-guardduty", "argocd"],
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
    text = yaml.dump_all(_policies(renderer, "enforce"), Dumper=yaml.CSafeDumper, width=10000)
    annotations = set(re.findall(r"annotations\[\?'+(platform/[\w-]+)'+\]", text))
    assert len(annotations) == 4
    assert annotations <= namespace["metadata"]["annotations"].keys()


_POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        ("validations", "objct.kind == 'Pod'", "undeclared reference to 'objct'"),
        ("validations", "object.kind ==", "Syntax error: mismatched input '<EOF>'"),
        ("validations", "'true'", "output is expected to be of type bool"),
        ("validations", "variables.missing == []", "undefined field 'missing'"),
        ("validations", "object.kind.fly()", "undeclared reference to 'fly'"),
        ("variables", "[1", "Syntax error"),
    ],
)
def test_kyverno_refuses_a_wrong_expression(
    kyverno: Path, renderer: Renderer, wrong: tuple[str, str, str], tmp_path: Path
) -> None:
    """The API server stores the policy, and Kyverno reports it as not ready only after the merge."""
    field, expression, problem = wrong
    (policy,) = (one for one in _policies(renderer, "enforce") if one["metadata"]["name"] == "resources")
    policy["spec"][field][0]["expression"] = expression
    for name, manifest in (("policy", policy), ("pod", _POD)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(manifest))
    done = _run(kyverno, "apply", tmp_path / "policy.yaml", "--resource", tmp_path / "pod.yaml", "--remove-color")
    assert done.returncode != 0
    assert f"spec.{field}[0].expression" in done.stdout + done.stderr
    assert problem in done.stdout + done.stderr
