"""The tree keeps every rule of the repository, and each rule catches what breaks it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.gitops import rules, rules_of_components, rules_of_the_tree
from tests.gitops.rules_of_components import Brought
from tests.gitops.tree import Component, Json, Overlay, Renderer, components, documents, files, overlays, projects, read

ManifestRule = Callable[[Sequence[Json]], Iterator[str]]
TreeRule = Callable[[Path], Iterator[str]]


# The tree keeps them


@pytest.mark.parametrize("rule", rules.OF_MANIFESTS, ids=lambda rule: rule.__name__)
def test_manifests_keep_the_rule(rule: ManifestRule, rendered: dict[str, list[Json]]) -> None:
    found = {entry: list(rule(manifests)) for entry, manifests in rendered.items()}
    assert {entry: told for entry, told in found.items() if told} == {}


@pytest.mark.parametrize("rule", rules_of_the_tree.ALL, ids=lambda rule: rule.__name__)
def test_tree_keeps_the_rule(rule: TreeRule) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize("component", components(), ids=lambda component: component.name)
def test_component_is_complete(component: Component) -> None:
    assert list(rules_of_components.component_is_complete(component)) == []


@pytest.mark.parametrize("component", components(), ids=lambda component: component.name)
def test_component_can_be_patched_follows_its_chart_and_labels_its_namespaces(
    component: Component, renderer: Renderer
) -> None:
    for entry in component.entries:
        manifests = renderer.kustomize(entry)
        assert list(rules_of_components.patches_meet_what_they_change(component, manifests)) == []
        assert list(rules.custom_resources_follow_their_chart(component.name, manifests)) == []
        assert list(rules_of_components.namespaces_say_whose_they_are(component, manifests)) == []


@pytest.mark.parametrize("overlay", overlays(), ids=lambda overlay: overlay.namespace)
def test_overlay_is_complete(overlay: Overlay) -> None:
    teams = {project["metadata"]["name"] for project in projects()} - {"management"}
    assert list(rules_of_components.overlay_is_complete(overlay, teams)) == []


def test_projects_admit_what_their_applications_bring(renderer: Renderer) -> None:
    if not projects():
        pytest.skip("management/bootstrap/projects is not there")
    brought = [
        Brought(overlay.settings["team"], overlay.namespace, overlay.namespace, renderer.overlay(overlay))
        for overlay in overlays()
    ]
    for component in components():
        namespace, chart = component.settings["namespace"], component.chart
        repositories = [chart["repository"]] if chart else []
        for entry in component.entries:
            manifests = renderer.kustomize(entry)
            brought.append(Brought("management", component.name, namespace, manifests, repositories))
    for folder in ("base", "with-database"):
        manifests = renderer.kustomize(ROOT / "management" / "service-namespace" / folder)
        for overlay in overlays():
            moved = [_moved(manifest, overlay.namespace) for manifest in manifests]
            brought.append(Brought("management", f"{overlay.namespace}-namespace", overlay.namespace, moved))
    assert list(rules_of_components.projects_admit_what_is_brought(projects(), brought)) == []


def _moved(manifest: Json, namespace: str) -> Json:
    """As the ApplicationSet `service-namespaces` does: its placeholder gives way to the service's own namespace."""
    metadata = manifest["metadata"]
    if metadata.get("namespace") == "service":
        metadata = {**metadata, "namespace": namespace}
    return {**manifest, "metadata": metadata}


def test_service_namespaces_and_what_their_set_patches_agree(renderer: Renderer) -> None:
    """The set names what it moves by kind: another kind would stay in the namespace `service`."""
    set_of_them = ROOT / "management" / "bootstrap" / "sets" / "service-namespaces.yaml"
    if not set_of_them.is_file():
        pytest.skip("management/bootstrap/sets/service-namespaces.yaml is not there")
    patches = read(set_of_them)["spec"]["templatePatch"]
    manifests = renderer.kustomize(ROOT / "management" / "service-namespace" / "with-database")
    moved = {one["kind"] for one in manifests if one["metadata"].get("namespace") == "service"}
    assert moved == {"LimitRange", "NetworkPolicy", "ResourceQuota"}
    assert f"kind: {'|'.join(sorted(moved))}" in patches
    (namespace,) = (one for one in manifests if one["kind"] == "Namespace")
    placeholders = [key for key, value in namespace["metadata"]["annotations"].items() if value == "placeholder"]
    for key in placeholders:
        assert f"/metadata/annotations/{key.replace('/', '~1')}" in patches
    (job,) = (one for one in manifests if one["kind"] == "Job")
    (fetch,) = job["spec"]["template"]["spec"]["initContainers"]
    given = [variable["name"] for variable in fetch["env"] if variable.get("value") == "placeholder"]
    # By their places: the set counts them from 0.
    assert [variable["name"] for variable in fetch["env"]][: len(given)] == given
    assert given == ["DATABASE", "HOST", "MASTER_SECRET", "USER_SECRET", "AWS_REGION"]
    assert "/spec/template/spec/initContainers/0/env/{{ $index }}/value" in patches


# Each rule catches what breaks it

_BROKEN = Path(__file__).parent / "broken"


@pytest.mark.parametrize(
    "example",
    documents((_BROKEN / "manifests.yaml").read_text()),
    ids=lambda example: f"{example['rule']}: {example['told']}",
)
def test_rule_of_manifests_catches_what_breaks_it(example: Json) -> None:
    rule: ManifestRule = getattr(rules, example["rule"])
    manifests = [{"apiVersion": "v1", **manifest} for manifest in example["manifests"]]
    assert list(rule(manifests)) == [example["told"]]


@pytest.mark.parametrize(
    "example",
    documents((_BROKEN / "trees.yaml").read_text()),
    ids=lambda example: f"{example['rule']}: {example['told']}",
)
def test_rule_of_the_tree_catches_what_breaks_it(example: Json, tmp_path: Path) -> None:
    rule: TreeRule = getattr(rules_of_the_tree, example["rule"])
    for name, content in example["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    assert list(rule(tmp_path)) == [example["told"]]


def test_every_rule_has_a_broken_example() -> None:
    for file, known in (("manifests.yaml", rules.OF_MANIFESTS), ("trees.yaml", rules_of_the_tree.ALL)):
        shown = {example["rule"] for example in documents((_BROKEN / file).read_text())}
        assert shown == {rule.__name__ for rule in known}


def test_custom_resources_in_the_wave_of_their_chart_are_caught() -> None:
    (broken,) = documents("{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: a}}")
    told = ["NodePool a: no sync wave after the chart's"]
    assert list(rules.custom_resources_follow_their_chart("karpenter", [broken])) == told
    assert list(rules.custom_resources_follow_their_chart("monitoring", [broken])) == []


_COMPLETE = """namespace: a
overlays: false
foundation: false
clusters: {}
chart:
  repository: https://example.com
  name: a
  # renovate: datasource=helm depName=a registryUrl=https://example.com
  version: 1.2.3
parameters: []
patches: []
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", []),
        ("overlays: false\n", "", ["component.yaml: overlays is missing"]),
        ("patches: []", "patches: []\nwave: 1", ["component.yaml: wave is unknown"]),
        ("overlays: false", 'overlays: "false"', ["component.yaml: overlays is no bool"]),
        ("clusters: {}", "clusters: {gpu: 'true'}", ["clusters: gpu is no label that clusters are selected by"]),
        ("  # renovate", "  # note", ["chart: no renovate marker above the version"]),
        ("version: 1.2.3", "version: 1.2.x", ["chart: version 1.2.x is not one exact version"]),
        (
            "parameters: []",
            "parameters: [{name: b, annotation: platform/regoin}]",
            ["parameters[0]: platform/regoin is not in the contract of the cluster secret"],
        ),
        (
            "patches: []",
            "patches: [{kind: A, name: a, path: /a, annotation: platform/region, format: '%s-%s'}]",
            ["patches[0]: format needs one %s, for the value"],
        ),
        ("patches: []", "patches: [{kind: A, name: a, path: /a}]", ["patches[0]: annotation is missing"]),
    ],
)
def test_component_that_is_not_complete_is_caught(old: str, new: str, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "component.yaml").write_text(_COMPLETE.replace(old, new))
    (tmp_path / "values.yaml").touch()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "kustomization.yaml").touch()
    assert list(rules_of_components.component_is_complete(Component(tmp_path))) == told


def test_namespace_without_its_component_is_caught(tmp_path: Path) -> None:
    manifests = documents("{kind: Namespace, metadata: {name: a, labels: {platform/component: other}}}")
    told = [f"Namespace a: no label platform/component: {tmp_path.name}"]
    assert list(rules_of_components.namespaces_say_whose_they_are(Component(tmp_path), manifests)) == told


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("{kind: A, name: a, path: /spec/list/0/x~1y}", []),
        ("{kind: A, name: b, path: /spec}", ["no A b"]),
        ("{kind: A, name: a, path: /spec/list/1/x~1y}", ["A a: no /spec/list/1/x~1y"]),
        ("{kind: A, name: a, path: /spec/list}", ["A a: /spec/list is no text"]),
        ("{kind: A, name: a, path: /spec/new, op: add}", []),
        ("{kind: A, name: a, path: /other/new, op: add}", ["A a: no /other/new"]),
    ],
)
def test_patch_that_meets_nothing_is_caught(patch: str, told: list[str], tmp_path: Path) -> None:
    (tmp_path / "component.yaml").write_text(f"patches: [{patch}]")
    manifests = documents("{kind: A, metadata: {name: a}, spec: {list: [{x/y: placeholder}]}}")
    assert list(rules_of_components.patches_meet_what_they_change(Component(tmp_path), manifests)) == told


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{team: a, host: b, database: ''}", []),
        ("{team: a, host: b}", ["application.yaml: database is missing"]),
        ("{team: c, host: b, database: ''}", ["team: c has no AppProject"]),
        ("{team: a, host: b.example.com, database: ''}", ["host: b.example.com is not one label below the domain"]),
    ],
)
def test_overlay_that_is_not_complete_is_caught(settings: str, told: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "application.yaml").write_text(settings)
    (folder / "kustomization.yaml").write_text("namespace: s-dev")
    assert list(rules_of_components.overlay_is_complete(Overlay(folder / "application.yaml"), {"a"})) == told


def test_overlay_in_another_namespace_is_caught(tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "application.yaml").write_text("{team: a, host: b, database: ''}")
    (folder / "kustomization.yaml").write_text("namespace: s-prod")
    told = ["kustomization.yaml: namespace s-prod, not s-dev"]
    assert list(rules_of_components.overlay_is_complete(Overlay(folder / "application.yaml"), {"a"})) == told


_PROJECT = """
metadata: {name: a}
spec:
  sourceRepos: [https://example.com/charts]
  destinations: [{namespace: b-*, server: https://kubernetes.default.svc}]
  clusterResourceWhitelist: []
  namespaceResourceWhitelist: [{group: '', kind: ConfigMap}]
"""


@pytest.mark.parametrize(
    ("brought", "told"),
    [
        (("a", "b-dev", "ConfigMap", "https://example.com/charts"), []),
        (("c", "b-dev", "ConfigMap", "https://example.com/charts"), ["app: no AppProject c"]),
        (("a", "c-dev", "ConfigMap", "https://example.com/charts"), ["app: a does not reach namespace c-dev"]),
        (("a", "b-dev", "Role", "https://example.com/charts"), ["app: a admits no Role"]),
        (("a", "b-dev", "Namespace", "https://example.com/charts"), ["app: a admits no Namespace"]),
        (("a", "b-dev", "ConfigMap", "https://example.net"), ["app: a admits no https://example.net"]),
    ],
)
def test_what_a_project_does_not_admit_is_caught(brought: tuple[str, str, str, str], told: list[str]) -> None:
    project, namespace, kind, repository = brought
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "m"}}
    application = Brought(project, "app", namespace, [manifest], [repository])
    found = rules_of_components.projects_admit_what_is_brought(documents(_PROJECT), [application])
    assert list(found) == told


def test_renovate_reads_every_marker() -> None:
    """A marker that no expression matches looks like an update that never comes."""
    managers = json.loads((ROOT / "renovate.json").read_text())["customManagers"]
    unread = []
    for file in files():
        text, name = file.read_text(errors="replace"), str(file.relative_to(ROOT))
        found = [
            re.findall(expression.replace("(?<", "(?P<"), text)
            for manager in managers
            if any(re.search(pattern.strip("/"), name) for pattern in manager["managerFilePatterns"])
            for expression in manager["matchStrings"]
        ]
        if text.count("# renovate:") != sum(map(len, found)):
            unread.append(name)
    assert unread == []


def test_every_file_is_read_by_somebody() -> None:
    """A file that nobody names is either forgotten or dead."""
    text = {file: file.read_text(errors="replace") for file in files()}
    ends = (".tpl", "values.schema.json", "README.md", ".helmignore")
    own = {"component.yaml", "kustomization.yaml", "application.yaml", "release.yaml", "Chart.yaml", ".helmignore"}
    orphans = [
        str(file.relative_to(ROOT))
        for file in text
        if file.name not in own
        and not file.name.endswith(ends)
        and not file.name.startswith("values")
        and "templates" not in file.parts[-3:-1]
        and file.parent.name not in {"projects", "sets"}
        and not any(file.name in other or file.parent.name in other for name, other in text.items() if name != file)
    ]
    assert orphans == []
