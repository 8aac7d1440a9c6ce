"""The diff of rendered manifests, by environment."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from operations.delivery import manifests
from operations.errors import OperationError
from operations.local.cluster.programs import program

pytestmark = pytest.mark.slow

NAMESPACE = "management/things/manifests/namespace.yaml"
SHOP = {
    "service/shop/base/kustomization.yaml": "resources: [config.yaml, secret.yaml]\n",
    "service/shop/base/config.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop}\ndata: {greeting: hello}\n"
    ),
    "service/shop/base/secret.yaml": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData: {password: hunter2}\n"
    ),
    **{
        f"service/shop/overlays/{environment}/kustomization.yaml": (
            f"namespace: shop-{environment}\nresources: [../../base]\n"
        )
        for environment in ("dev", "prod")
    },
    "management/things/component.yaml": "chart: {}\n",
    "management/things/manifests/kustomization.yaml": "resources: [namespace.yaml]\n",
    "stacks/seoul/__init__.py": 'ENVIRONMENTS = ("prod", "dev")\n',
    NAMESPACE: "apiVersion: v1\nkind: Namespace\nmetadata: {name: things}\n",
    "helm/my-app/Chart.yaml": "apiVersion: v2\nname: my-app\nversion: 1.0.0\n",
    "helm/my-app/templates/config.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        "data: {size: {{ .Values.size | quote }}}\n"
    ),
    "service/tea/overlays/dev/values.yaml": "size: small\n",
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kustomize and helm."""
    folder = tmp_path_factory.mktemp("programs")
    for name in ("kustomize", "helm"):
        try:
            found = Path(shutil.which(name) or program(name))
        except OperationError as error:
            (pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip)(str(error))
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def tree(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose only commit is SHOP."""
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    for name, text in SHOP.items():
        _write(tmp_path, name, text)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "all"]):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    return tmp_path


def _write(tree: Path, name: str, text: str) -> None:
    (tree / name).parent.mkdir(parents=True, exist_ok=True)
    (tree / name).write_text(text)


def test_reports_no_changes_if_nothing_was_edited(tree: Path) -> None:
    report = manifests.diff("HEAD", tree)
    assert (report.title, int(report.status)) == ("no manifest changes", 0)


def test_a_change_to_the_base_is_shown_in_every_environment(tree: Path) -> None:
    _write(tree, "service/shop/base/config.yaml", SHOP["service/shop/base/config.yaml"].replace("hello", "hi"))
    report = manifests.diff("HEAD", tree)
    assert {name: list(found) for name, found in report.data["environments"].items()} == {
        "dev": ["shop-dev"],
        "prod": ["shop-prod"],
    }
    text = report.data["environments"]["prod"]["shop-prod"]
    assert "-  greeting: hello\n+  greeting: hi" in text
    assert "v1 ConfigMap shop-prod/shop (before)" in text
    assert int(report.status) == 2


def test_environments_are_in_the_order_of_promotion(tree: Path) -> None:
    _write(tree, NAMESPACE, f"{SHOP[NAMESPACE]}# changed\n")
    _write(tree, "service/shop/base/config.yaml", SHOP["service/shop/base/config.yaml"].replace("hello", "bye"))
    assert list(manifests.diff("HEAD", tree).data["environments"]) == ["prod", "dev"]


def test_a_change_to_an_overlay_is_only_shown_in_its_environment(tree: Path) -> None:
    name = "service/shop/overlays/prod/kustomization.yaml"
    _write(tree, name, f"{SHOP[name]}commonAnnotations: {{a: b}}\n")
    assert list(manifests.diff("HEAD", tree).data["environments"]) == ["prod"]


def test_created_and_deleted_objects_are_shown_completely(tree: Path) -> None:
    (tree / "management/things/manifests/namespace.yaml").unlink()
    _write(tree, "management/things/manifests/other.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
    _write(tree, "management/things/manifests/kustomization.yaml", "resources: [other.yaml]\n")
    text = manifests.diff("HEAD", tree).data["environments"]["every environment"]["things (manifests)"]
    assert "--- none\n+++ v1 Namespace other (after)" in text
    assert "--- v1 Namespace things (before)\n+++ none" in text


def test_services_of_the_chart_are_rendered_with_helm(tree: Path) -> None:
    _write(tree, "service/tea/overlays/dev/values.yaml", "size: large\n")
    text = manifests.diff("HEAD", tree).data["environments"]["dev"]["tea-dev"]
    assert "-  size: small\n+  size: large" in text


def test_values_of_secrets_are_hidden(tree: Path) -> None:
    secret = SHOP["service/shop/base/secret.yaml"].replace("hunter2", "hunter3") + "type: Opaque\n"
    _write(tree, "service/shop/base/secret.yaml", secret)
    report = manifests.diff("HEAD", tree)
    text = manifests.markdown(report)
    assert "hunter" not in text
    assert "aHVudGVy" not in text  # in base64, as kustomize writes it
    assert "values of Secrets are hidden" in text


def test_a_source_that_cannot_be_rendered_is_reported_with_the_others(tree: Path) -> None:
    _write(tree, "service/shop/overlays/dev/kustomization.yaml", "resources: [missing.yaml]\n")
    _write(tree, "service/tea/overlays/dev/values.yaml", "size: large\n")
    report = manifests.diff("HEAD", tree)
    assert [problem.split(":")[0] for problem in report.data["errors"]] == ["shop-dev"]
    assert list(report.data["environments"]["dev"]) == ["tea-dev"]
    assert int(report.status) == 1


def test_the_work_tree_can_fix_a_broken_base(tree: Path) -> None:
    overlay = "service/shop/overlays/dev/kustomization.yaml"
    _write(tree, overlay, "resources: [missing.yaml]\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *identity, "commit", "--quiet", "--all", "--message", "broken"], cwd=tree, check=True)
    _write(tree, overlay, SHOP[overlay])
    report = manifests.diff("HEAD", tree)
    assert (report.data["errors"], int(report.status)) == ([], 2)
    assert "v1 ConfigMap shop-dev/shop (after)" in report.data["environments"]["dev"]["shop-dev"]
    assert report.notes[0].startswith("shop-dev: all objects are shown as new, because HEAD cannot be rendered")


COMPONENT = """namespace: things
chart: {{repository: {repository}, name: cache, version: 1.0.0}}
"""


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[str]:
    """The URL of a Helm repository with the chart `cache`."""
    folder = tmp_path_factory.mktemp("charts")
    _write(folder, "cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.0.0\nkubeVersion: '<1.99.0-0'\n")
    _write(folder, "cache/templates/config.yaml", SHOP["helm/my-app/templates/config.yaml"])
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        for command in (["package", "cache"], ["repo", "index", "."]):
            subprocess.run([programs / "helm", *command], cwd=folder, check=True, capture_output=True)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def caches(tree: Path, repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tree with a component of this chart, whose size is small."""
    for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "helm"))
    _write(tree, "management/caches/component.yaml", COMPONENT.format(repository=repository))
    _write(tree, "management/caches/values.yaml", "size: small\n")
    return tree


def test_a_chart_says_whether_it_accepts_a_kubernetes_version(caches: Path) -> None:
    _write(caches, "management/caches/values-production.yaml", "size: large\n")
    common, source = manifests.charts(caches, "1.36")
    assert (source.name, source.environment) == ("caches", "production")
    assert 'size: "large"' in source.render()
    assert 'size: "small"' in common.render()
    source, _ = manifests.charts(caches, "1.99")
    with pytest.raises(OperationError, match=r"chart requires kubeVersion: <1\.99\.0-0 which is incompatible"):
        source.render()


def test_the_charts_of_components_are_rendered_with_each_of_their_values(caches: Path) -> None:
    for variant, size in (("audit", "tiny"), ("production", "large")):
        _write(caches, f"management/caches/values-{variant}.yaml", f"size: {size}\n")
    found = manifests.diff("HEAD", caches).data["environments"]
    assert "+  size: tiny" in found["audit"]["caches (chart)"]
    assert "+  size: large" in found["production"]["caches (chart)"]
    assert "+  size: small" in found["every environment"]["caches (chart)"]


def test_a_chart_that_cannot_be_fetched_is_reported(tree: Path) -> None:
    _write(tree, "management/caches/component.yaml", COMPONENT.format(repository="127.0.0.1:1/charts"))
    (error,) = manifests.diff("HEAD", tree).data["errors"]
    assert error.startswith("caches (chart): helm template: ")


def test_the_chart_of_the_root_application_is_rendered(tree: Path) -> None:
    _write(tree, "management/bootstrap/Chart.yaml", "apiVersion: v2\nname: bootstrap\nversion: 1.0.0\n")
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: root}\ndata: {url: {{ .Values.repositoryURL }}}\n"
    _write(tree, "management/bootstrap/templates/config.yaml", template)
    text = manifests.diff("HEAD", tree).data["environments"]["every environment"]["bootstrap"]
    assert "+  url: https://git.example.com/platform" in text


def test_the_applied_configuration_of_secrets_is_hidden(tree: Path) -> None:
    annotation = 'annotations: {kubectl.kubernetes.io/last-applied-configuration: "hunter2"}'
    secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: things, {annotation}}}\n---\n"
    _write(tree, "management/things/manifests/namespace.yaml", SHOP[NAMESPACE] + "---\n" + secret)
    text = manifests.diff("HEAD", tree).data["environments"]["every environment"]["things (manifests)"]
    assert "last-applied-configuration: (hidden)" in text
    assert "hunter" not in text


def test_a_long_diff_is_shortened(tree: Path) -> None:
    data = "".join(f"  key{number}: value\n" for number in range(2000))
    _write(
        tree,
        "service/shop/base/config.yaml",
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: shop}}\ndata:\n{data}",
    )
    text = manifests.markdown(manifests.diff("HEAD", tree))
    assert text.count("(shortened; run `diff-manifests` for the rest)\n```\n</details>") == 2


def test_manifest_text_cannot_close_its_code_fence(tree: Path) -> None:
    _write(tree, "service/tea/overlays/dev/values.yaml", 'size: "````"\n')
    text = manifests.markdown(manifests.diff("HEAD", tree))
    assert "`````diff\n" in text


def test_rejects_an_unknown_revision(tree: Path) -> None:
    with pytest.raises(OperationError, match=r"nowhere: .*; fetch it"):
        manifests.diff("nowhere", tree)
