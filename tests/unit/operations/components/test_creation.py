import re
from pathlib import Path

import pytest
import yaml

from operations.components.creation import NewComponent
from operations.errors import OperationError
from tests import ROOT
from tests.unit.operations.components.conftest import files, new, write

pytestmark = pytest.mark.slow

PROJECT = "management/bootstrap/projects/management.yaml"
MODEL = "management/external-secrets/manifests"
FORM = "use lower-case letters and digits, a letter first, with single hyphens between"


def _project(tree: Path) -> tuple[list[str], list[str]]:
    """The repositories and the namespaces that the AppProject permits, in their order."""
    spec = yaml.safe_load((tree / PROJECT).read_text())["spec"]
    return spec["sourceRepos"], [entry["namespace"] for entry in spec["destinations"]]


# The files


def test_component_has_its_chart_with_a_marker_for_renovate(tree: Path) -> None:
    write(tree)
    text = (tree / "management/xylophone/component.yaml").read_text()
    assert yaml.safe_load(text) == {
        "namespace": "xylophone",
        "overlays": "",
        "foundation": False,
        "clusters": {},
        "chart": {"repository": "https://charts.example.com", "name": "xylo", "version": "1.20.2"},
        "parameters": [],
        "patches": [],
    }
    marker = "# renovate: datasource=helm depName=xylo registryUrl=https://charts.example.com\n  version: 1.20.2\n"
    assert marker in text


def test_chart_of_an_oci_registry_is_named_without_the_scheme(tree: Path) -> None:
    write(tree, new(repository="oci://registry.example.com:5000/charts/"))
    text = (tree / "management/xylophone/component.yaml").read_text()
    assert yaml.safe_load(text)["chart"]["repository"] == "registry.example.com:5000/charts"
    assert "# renovate: datasource=docker depName=registry.example.com:5000/charts/xylo\n" in text
    assert "registry.example.com:5000/charts" in _project(tree)[0]


@pytest.mark.parametrize("chart", ["1.0", "null", "2026-01-01", "0x10"])
def test_chart_is_text_in_yaml(tree: Path, chart: str) -> None:
    write(tree, new(chart=chart, repository="oci://10:20"))
    described = yaml.safe_load((tree / "management/xylophone/component.yaml").read_text())["chart"]
    assert described == {"repository": "10:20", "name": chart, "version": "1.20.2"}
    assert "10:20" in _project(tree)[0]


def test_namespace_has_the_labels_of_other_components(tree: Path) -> None:
    write(tree, new(namespace="platform-music"))
    text = (tree / "management/xylophone/manifests/namespace.yaml").read_text()
    assert text == (ROOT / MODEL / "namespace.yaml").read_text().replace(
        "name: external-secrets", "name: platform-music"
    ).replace("component: external-secrets", "component: xylophone")


def test_network_policies_deny_all_but_dns_and_https(tree: Path) -> None:
    write(tree)
    folder = tree / "management/xylophone/manifests"
    policies = [*yaml.safe_load_all((folder / "network-policies.yaml").read_text())]
    assert [policy["metadata"]["name"] for policy in policies] == ["default-deny", "dns", "https"]
    assert {policy["metadata"]["namespace"] for policy in policies} == {"xylophone"}
    assert all(policy["spec"]["podSelector"] == {} for policy in policies)
    resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert resources == ["namespace.yaml", "network-policies.yaml"]


@pytest.mark.parametrize(
    ("namespace", "reason"),
    [
        ("kube-system", "it belongs to the cluster, and would be deleted with the component"),
        ("argocd", "Terraform creates it"),
        ("kyverno", "the component kyverno has it"),
        ("node-exporter", "the component monitoring has it"),
    ],
)
def test_namespace_that_exists_is_not_created_again(tree: Path, namespace: str, reason: str) -> None:
    before = (tree / PROJECT).read_text()
    write(tree, new(namespace=namespace, repository="https://argoproj.github.io/argo-helm"))
    (manifest,) = (tree / "management/xylophone/manifests").iterdir()
    assert f"{namespace} has no Namespace file here: {reason}.\n" in manifest.read_text()
    assert manifest.read_text().endswith("kind: Kustomization\nresources: []\n")
    assert (tree / PROJECT).read_text() == before


@pytest.mark.parametrize("name", ["aaa", "xylophone", "kyverno-ui"])
def test_project_permits_the_repository_and_the_namespace_in_order(tree: Path, name: str) -> None:
    before = _project(tree)
    write(tree, new(name, repository=f"https://{name}.example.com"))
    repositories, namespaces = _project(tree)
    assert set(repositories) - set(before[0]) == {f"https://{name}.example.com"}
    assert repositories == sorted(repositories)
    assert set(namespaces) - set(before[1]) == {name}
    plain = [namespace for namespace in namespaces if "*" not in namespace]
    assert plain == sorted(plain)


def test_project_that_permits_the_namespace_by_a_pattern_is_not_changed(tree: Path) -> None:
    before = _project(tree)
    write(tree, new(namespace="platform-music"))
    assert _project(tree)[1] == before[1]


def test_written_files_are_said(tree: Path) -> None:
    before, said = files(tree), list[str]()
    write(tree, say=said.append)
    after = files(tree)
    changed = {path for path, content in after.items() if before.get(path) != content and (tree / path).is_file()}
    assert set(said) == changed


# Validation

LONG = "x" * 54
SAME_NAME = "its Applications would have the names of those of service/bubblepool; choose another"
ADDRESS = "use an address such as https://charts.example.com or oci://registry.example.com/charts"


@pytest.mark.parametrize(
    ("component", "messages"),
    [
        (
            new("", chart="", repository="", version=""),
            [
                f"name: '': {FORM}",
                "chart: '': no name of a chart; use at most 250 letters, digits, dots, hyphens or underscores",
                f"repository: '': {ADDRESS}",
                "version: '': not one exact version; use one such as 1.20.2",
            ],
        ),
        *[
            (new(name), [f"name: {name!r}: {FORM}"])
            for name in ("Xylophone", "1xylophone", "xylophone-", "xylo--phone", "xylo_phone", "../x", "xylophone\n")
        ],
        (new(LONG), [f"name: {LONG!r}: 54 characters; a Helm release has at most 53; shorten it"]),
        (new("true"), ["name: 'true': is a keyword in YAML; choose another"]),
        (new("kyverno"), ["name: 'kyverno': management/kyverno exists already; choose another"]),
        (new("bootstrap"), ["name: 'bootstrap': management/bootstrap exists already; choose another"]),
        (new("bubblepool"), [f"name: 'bubblepool': {SAME_NAME}"]),
        (
            new("xylo-dev"),
            ["namespace: 'xylo-dev': namespaces of services end with -dev; choose another"],
        ),
        (new(namespace=""), [f"namespace: '': {FORM}, at most 63 characters"]),
        (new(namespace="x" * 64), [f"namespace: {'x' * 64!r}: {FORM}, at most 63 characters"]),
        (new(namespace="null"), ["namespace: 'null': is a keyword in YAML; choose another"]),
        (new(namespace="default"), ["namespace: 'default': belongs to Kubernetes; choose another"]),
        (new(namespace="kube-public"), ["namespace: 'kube-public': belongs to Kubernetes; choose another"]),
        *[
            (new(repository=repository), [f"repository: {repository!r}: {ADDRESS}"])
            for repository in (
                "http://charts.example.com",
                "charts.example.com",
                "https://minji:secret@example.com",
                "https://example.com/?a",
                "https://example.com/a b",
                "https://",
                "oci://example.com/a #",
            )
        ],
        *[
            (new(version=version), [f"version: {version!r}: not one exact version; use one such as 1.20.2"])
            for version in ("1.20", "latest", "1.20.x", "1.20.2-rc.1", "\uff11.2.3", ">=1.20.2")
        ],
    ],
)
def test_all_problems_are_reported_and_nothing_is_written(
    tree: Path, component: NewComponent, messages: list[str]
) -> None:
    before = files(tree)
    with pytest.raises(OperationError) as error:
        write(tree, component)
    assert str(error.value).splitlines() == messages
    assert files(tree) == before


@pytest.mark.parametrize(
    ("file", "old", "new_text", "message"),
    [
        (
            PROJECT,
            "  sourceRepos:\n",
            "  sourceRepos: []\n",
            "sourceRepos: must have one entry per line; reformat them",
        ),
        (PROJECT, "  destinations:\n", "  x:\n", "destinations: must have one entry per line; reformat them"),
        (
            f"{MODEL}/namespace.yaml",
            "  name: external-secrets",
            "  name: other",
            "name: external-secrets: not found, to be copied; restore the file",
        ),
        (
            f"{MODEL}/network-policies.yaml",
            "name: dns",
            "name: other",
            "namespace: external-secrets: not found, to be copied; restore the file",
        ),
    ],
)
def test_files_in_another_form_are_errors(tree: Path, file: str, old: str, new_text: str, message: str) -> None:
    (tree / file).write_text((tree / file).read_text().replace(old, new_text))
    before = files(tree)
    with pytest.raises(OperationError, match=re.escape(f"{file}: {message}")):
        write(tree)
    assert files(tree) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[1]", "not a mapping; correct it"), (b"{", "not YAML"), (b"\xff", "'utf-8' codec")],
)
def test_a_component_that_cannot_be_read_is_an_error(tree: Path, content: bytes, message: str) -> None:
    (tree / "management/karpenter/component.yaml").write_bytes(content)
    with pytest.raises(OperationError, match=f"management/karpenter/component.yaml: {message}"):
        write(tree)


def test_outside_of_the_repository_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"has no management/external-secrets, .*; run this in the root of the"):
        write(tmp_path)


@pytest.mark.parametrize("writable", [0, 1, 4])
def test_an_interrupt_leaves_no_files_behind(tree: Path, writable: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(tree)
    left, write_text = [None] * writable, Path.write_text

    def fail(self: Path, text: str, encoding: str, newline: str) -> int:
        if not left:
            write_text(self, "incomplete")
            raise KeyboardInterrupt
        left.pop()
        return write_text(self, text, encoding=encoding, newline=newline)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(KeyboardInterrupt):
        write(tree)
    monkeypatch.undo()
    assert files(tree) == before
