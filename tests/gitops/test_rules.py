"""The tree follows all rules, and each rule finds violations."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from eks_gitops.auto_mode import AutoModeConfig
from eks_gitops.karpenter import KarpenterConfig
from eks_gitops.node_group import NodeGroupConfig, Taint
from tests import ROOT
from tests.gitops import (
    rules,
    rules_of_argo_cd,
    rules_of_chart_secrets,
    rules_of_components,
    rules_of_limits,
    rules_of_names,
    rules_of_nodes,
    rules_of_places,
    rules_of_pod_security,
    rules_of_selectors,
    rules_of_the_tree,
)
from tests.gitops.problems import fail_with, fail_with_entries
from tests.gitops.rules_of_components import Deployed
from tests.gitops.tree import (
    Cluster,
    Component,
    Json,
    Overlay,
    Renderer,
    clusters,
    components,
    documents,
    everything,
    files,
    of_service,
    overlays,
    places_of_nodes,
    projects,
    read,
    with_namespaces,
)

ManifestRule = Callable[[Sequence[Json]], Iterator[str]]
DeployedRule = Callable[[Sequence[Json], Sequence[Json]], Iterator[str]]
TreeRule = Callable[[Path], Iterator[str]]

OF_DEPLOYED = {
    rule.__name__: rule
    for rule in (
        *rules_of_limits.ALL,
        *rules_of_names.ALL,
        *rules_of_places.ALL,
        *rules_of_pod_security.ALL,
        *rules_of_selectors.ALL,
    )
}
OF_MANIFESTS = {rule.__name__: rule for rule in (*rules.ALL, *rules_of_argo_cd.ALL, *rules_of_nodes.ALL)}
OF_THE_TREE = {
    rule.__name__: rule for rule in (*rules_of_the_tree.ALL, *rules_of_argo_cd.OF_THE_TREE, *rules_of_chart_secrets.ALL)
}


# The tree follows the rules


@pytest.mark.parametrize("rule", OF_MANIFESTS.values(), ids=lambda rule: rule.__name__)
def test_manifests_follow_the_rule(rule: ManifestRule, rendered: dict[str, list[Json]]) -> None:
    found = {entry: list(rule(manifests)) for entry, manifests in rendered.items()}
    fail_with_entries(found)


@pytest.mark.parametrize("rule", OF_DEPLOYED.values(), ids=lambda rule: rule.__name__)
def test_what_manifests_name_is_deployed(rule: DeployedRule, rendered: dict[str, list[Json]]) -> None:
    deployed = with_namespaces(rendered)
    known = everything(deployed)
    found = {entry: list(rule(manifests, known)) for entry, manifests in deployed.items()}
    fail_with_entries(found)


@pytest.mark.parametrize("rule", OF_THE_TREE.values(), ids=lambda rule: rule.__name__)
def test_tree_follows_the_rule(rule: TreeRule) -> None:
    fail_with(rule(ROOT))


def test_components_are_complete() -> None:
    fail_with(
        rules_of_components.located(f"management/{component.name}", line)
        for component in components()
        for line in rules_of_components.component_is_complete(component)
    )


def test_manifests_of_components_follow_the_rules(renderer: Renderer) -> None:
    problems = []
    for component in components():
        for entry in component.entries:
            manifests = renderer.kustomize(entry)
            lines = [
                *rules.custom_resources_are_synced_after_their_chart(component.name, manifests),
                *rules_of_components.namespaces_have_a_component_label(component, manifests),
                *rules_of_components.objects_are_in_namespaces_of_the_component(component, manifests),
            ]
            problems += [f"{entry.relative_to(ROOT)}: {line}" for line in lines]
            patches = rules_of_components.patches_have_targets(component, manifests)
            problems += [f"management/{component.name}/{line}" for line in patches]
    fail_with(dict.fromkeys(problems))


def test_overlays_are_complete() -> None:
    teams = {project["metadata"]["name"] for project in projects()} - {"default", "management"}
    fail_with(
        rules_of_components.located(str(overlay.folder.relative_to(ROOT)), line)
        for overlay in overlays()
        for line in rules_of_components.overlay_is_complete(overlay, teams)
    )


def test_manifests_of_overlays_follow_the_rules(renderer: Renderer) -> None:
    fail_with(
        rules_of_components.located(str(overlay.folder.relative_to(ROOT)), line)
        for overlay in overlays()
        for rule in rules_of_components.OF_OVERLAYS
        for line in rule(overlay, renderer.overlay(overlay))
    )


def test_projects_permit_the_resources_of_their_applications(
    renderer: Renderer, rendered: dict[str, list[Json]]
) -> None:
    if not projects():
        pytest.skip("management/bootstrap/projects not found")
    permitted = rules.of_kind(rendered["management/bootstrap"], "AppProject")
    teams = {project["metadata"]["name"] for project in permitted}
    deployed = [
        Deployed(overlay.settings["team"], overlay.namespace, overlay.namespace, renderer.overlay(overlay))
        for overlay in overlays()
        if overlay.settings["team"] in teams  # else said by test_overlays_are_complete
    ]
    for component in components():
        namespace, chart = component.settings["namespace"], component.chart
        repositories = [chart["repository"]] if chart else []
        for entry in component.entries:
            manifests = [*renderer.kustomize(entry), *rules_of_components.objects_in_values(component)]
            deployed.append(Deployed("management", component.name, namespace, manifests, repositories))
    for folder in ("base", "with-database", "with-mysql"):
        manifests = renderer.kustomize(ROOT / "management" / "service-namespace" / folder)
        for overlay in overlays():
            moved = [of_service(manifest, overlay) for manifest in manifests]
            deployed.append(Deployed("management", f"{overlay.namespace}-namespace", overlay.namespace, moved))
    fail_with(rules_of_components.projects_permit_deployed_resources(permitted, deployed))


@pytest.mark.parametrize(("folder", "engine"), [("with-database", "postgres"), ("with-mysql", "mysql")])
def test_application_set_patches_match_the_service_namespace(folder: str, engine: str, renderer: Renderer) -> None:
    """The ApplicationSet patches the namespace by kind. Other kinds would remain in the namespace `service`."""
    set_of_them = ROOT / "management" / "bootstrap" / "sets" / "service-namespaces.yaml"
    if not set_of_them.is_file():
        pytest.skip("management/bootstrap/sets/service-namespaces.yaml not found")
    patches = read(set_of_them)["spec"]["templatePatch"]
    manifests = renderer.kustomize(ROOT / "management" / "service-namespace" / folder)
    moved = {one["kind"] for one in manifests if one["metadata"].get("namespace") == "service"}
    assert moved == {"LimitRange", "NetworkPolicy", "ResourceQuota"}
    assert f"kind: {'|'.join(sorted(moved))}" in patches
    (namespace,) = (one for one in manifests if one["kind"] == "Namespace")
    placeholders = [key for key, value in namespace["metadata"]["annotations"].items() if value == "placeholder"]
    for key in placeholders:
        assert f"/metadata/annotations/{key.replace('/', '~1')}" in patches
    (job,) = (one for one in manifests if one["kind"] == "Job")
    fetch, _ = job["spec"]["template"]["spec"]["initContainers"]
    assert {"name": "ENGINE", "value": engine} in fetch["env"]
    given = [variable["name"] for variable in fetch["env"] if variable.get("value") == "placeholder"]
    # By position, because the ApplicationSet patches them by index.
    assert [variable["name"] for variable in fetch["env"]][: len(given)] == given
    assert given == ["DATABASE", "HOST", "MASTER_SECRET", "USER_SECRET", "AWS_REGION"]
    assert "/spec/template/spec/initContainers/0/env/{{ $index }}/value" in patches
    assert patches.count("kind: CronJob\n") == 1  # only its name: its Pod is a copy


@pytest.mark.parametrize("folder", ["with-database", "with-mysql"])
def test_rotation_has_the_pod_of_the_job_with_its_values(folder: str, renderer: Renderer, tmp_path: Path) -> None:
    """Argo CD adds the patches of the ApplicationSet to the kustomization, which this does too."""
    shutil.copytree(ROOT / "management" / "service-namespace", tmp_path, dirs_exist_ok=True)
    file = tmp_path / folder / "kustomization.yaml"
    value = {"op": "replace", "path": "/spec/template/spec/initContainers/0/env/3/value", "value": "user-secret"}
    patch = {"target": {"kind": "Job"}, "patch": yaml.safe_dump([value])}
    kustomization = read(file)
    file.write_text(yaml.safe_dump({**kustomization, "patches": [*kustomization.get("patches", []), patch]}))
    kinds = {one["kind"]: one["spec"] for one in renderer.kustomize(file.parent) if one["kind"].endswith("Job")}
    job, rotation = kinds["Job"]["template"], kinds["CronJob"]["jobTemplate"]["spec"]["template"]
    given = {variable["name"]: variable["value"] for variable in job["spec"]["initContainers"][0]["env"]}
    assert (given["USER_SECRET"], given["ROTATE_AFTER_DAYS"]) == ("user-secret", "never")
    for pod in (job, rotation):
        (store,) = pod["spec"]["containers"]
        assert {variable["name"]: variable["value"] for variable in store["env"]} == given
    (rotates,) = [one for one in rotation["spec"]["initContainers"][0]["env"] if one["name"] == "ROTATE_AFTER_DAYS"]
    assert rotates["value"] == "30"
    rotates["value"] = "never"
    assert rotation == job


# Each rule finds violations

_BROKEN = Path(__file__).parent / "broken"


@pytest.mark.parametrize(
    "example",
    documents((_BROKEN / "manifests.yaml").read_text()),
    ids=lambda example: f"{example['rule']}: {example['violation']}",
)
def test_rule_for_manifests_finds_the_violation(example: Json) -> None:
    rule: ManifestRule = OF_MANIFESTS[example["rule"]]
    manifests = [{"apiVersion": "v1", **manifest} for manifest in example["manifests"]]
    assert list(rule(manifests)) == [example["violation"]]


@pytest.mark.parametrize(
    "example",
    documents((_BROKEN / "deployed.yaml").read_text()),
    ids=lambda example: f"{example['rule']}: {example['violation']}",
)
def test_rule_for_deployed_objects_finds_the_violation(example: Json) -> None:
    rule = OF_DEPLOYED[example["rule"]]
    manifests = [{"apiVersion": "v1", **manifest} for manifest in example["manifests"]]
    assert list(rule(manifests, manifests)) == [example["violation"]]


@pytest.mark.parametrize(
    "example", documents((_BROKEN.parent / "valid.yaml").read_text()), ids=lambda example: example["title"]
)
def test_rules_for_deployed_objects_accept(example: Json) -> None:
    manifests = [{"apiVersion": "v1", **manifest} for manifest in example["manifests"]]
    assert [line for rule in OF_DEPLOYED.values() for line in rule(manifests, manifests)] == []


@pytest.mark.parametrize(
    "example",
    documents((_BROKEN / "trees.yaml").read_text()),
    ids=lambda example: f"{example['rule']}: {example['violation']}",
)
def test_rule_for_the_tree_finds_the_violation(example: Json, tmp_path: Path) -> None:
    rule: TreeRule = OF_THE_TREE[example["rule"]]
    for name, content in example["files"].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    assert list(rule(tmp_path)) == ([example["violation"]] if example["violation"] else [])


@pytest.mark.parametrize(
    ("kustomization", "expected"),
    [
        ("{patches: [{target: {kind: Rollout, name: a}}], images: [{name: a}]}", []),
        ("{patches: [{path: patch.yaml}, {target: {kind: ConfigMap, name: .*}}], images: [{name: x, newName: a}]}", []),
        (
            "{patches: [{target: {kind: Rollout, name: b}}]}",
            ["kustomization.yaml: patches[0].target: no Rollout b; correct it"],
        ),
        ("{images: [{name: b}]}", ["kustomization.yaml: images[0].name: b: no container has it; write one of a"]),
    ],
)
def test_finds_a_kustomization_that_changes_nothing(kustomization: str, expected: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(kustomization)
    manifests = documents(
        "{kind: Rollout, metadata: {name: a}, spec: {template: {spec: {containers: [{image: 'a:1@sha256:2'}]}}}}\n"
        "---\n{kind: ConfigMap, metadata: {name: a-0123456789}}"
    )
    overlay = Overlay(folder / "application.yaml")
    assert list(rules_of_components.kustomizations_of_overlays_have_targets(overlay, manifests)) == expected


def test_every_rule_has_an_example_of_a_violation() -> None:
    for file, known in (("deployed.yaml", OF_DEPLOYED), ("manifests.yaml", OF_MANIFESTS), ("trees.yaml", OF_THE_TREE)):
        shown = {example["rule"] for example in documents((_BROKEN / file).read_text())}
        assert shown == known.keys()


def test_every_option_of_argo_cd_is_permitted() -> None:
    """With the defaults written out, several in one annotation, and those that only templates fill in."""
    (valid,) = documents("""
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata:
  name: a
  labels: {argocd.argoproj.io/instance: root, team: a}
  annotations:
    argocd.argoproj.io/sync-wave: "-2"
    argocd.argoproj.io/sync-options: Prune=confirm, Delete=confirm,Validate=false,Force=true,Replace=true
    argocd.argoproj.io/hook: PreSync,PostSync
    argocd.argoproj.io/hook-delete-policy: BeforeHookCreation,HookSucceeded
    argocd.argoproj.io/compare-options: IgnoreExtraneous,ServerSideDiff=true
    argocd.argoproj.io/manifest-generate-paths: .;/management
    link.argocd.argoproj.io/dashboard: https://example.com
    notifications.argoproj.io/subscribe.on-deployed.slack: a
spec:
  goTemplate: true
  goTemplateOptions: [missingkey=error]
  template:
    metadata:
      name: a
      annotations: {argocd.argoproj.io/sync-wave: "{{ .wave }}"}
      finalizers: [resources-finalizer.argocd.argoproj.io/background]
    spec:
      syncPolicy:
        syncOptions: [ApplyOutOfSyncOnly=true, PrunePropagationPolicy=orphan, Validate=true, "{{ .option }}"]
""")
    assert [line for rule in rules_of_argo_cd.ALL for line in rule([valid])] == []
    for hook in ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete", "Skip"):
        valid["metadata"]["annotations"]["argocd.argoproj.io/hook"] = hook
        assert [line for rule in rules_of_argo_cd.ALL for line in rule([valid])] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"(?i)go_(?:a|b)[(?=]{2}\\.\(\?=\+*", None),
        (r"(?P<a>\pL+)\Qa(\E[[:alpha:]_]|(?s:.)|(?<b>c)\z", None),
        (r"a\\1|[*+]+?|a}+[[a&&b]", None),
        ("a{2}+", "{2}+: not in RE2"),
        (r"(a)\1", r"\1: not in RE2"),
        (r"(?<=a)b", "(?<=: not in RE2"),
        ("a++", "++: not in RE2"),
        ("*.example.com", "nothing to repeat at position 0"),
    ],
)
def test_knows_the_regular_expressions_of_go(text: str, expected: str | None) -> None:
    assert rules.wrong_expression(text) == expected


def test_finds_custom_resources_in_the_sync_wave_of_their_chart() -> None:
    (broken,) = documents("{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: a}}")
    field = "NodePool a: metadata.annotations.argocd.argoproj.io/sync-wave"
    expected = [f'{field}: missing: not after the chart; write "1"']
    assert list(rules.custom_resources_are_synced_after_their_chart("karpenter", [broken])) == expected
    assert list(rules.custom_resources_are_synced_after_their_chart("new", [broken])) == []  # of another's chart
    (unknown,) = documents("{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}")
    assert list(rules.custom_resources_are_synced_after_their_chart("new", [unknown])) == [
        expected[0].replace("NodePool", "Widget")
    ]
    assert list(rules.custom_resources_are_synced_after_their_chart("monitoring", [broken])) == []
    for wave in ("0", "-1", "first"):
        broken["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": wave}
        expected = [f'{field}: {wave}: not after the chart; write "1"']
        assert list(rules.custom_resources_are_synced_after_their_chart("karpenter", [broken])) == expected
    for wave in ("1", "+2", "10"):
        broken["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": wave}
        assert list(rules.custom_resources_are_synced_after_their_chart("karpenter", [broken])) == []


def test_rules_for_manifests_accept() -> None:
    valid = documents("""
kind: EC2NodeClass
metadata: {name: a}
spec:
  blockDeviceMappings:
    - {ebs: {snapshotID: snap-1, iops: 9}}
    - {ebs: {volumeType: gp3, iops: 3000, throughput: 125}}
    - {ebs: {volumeType: gp3, iops: 80000, throughput: 2000}}
    - {ebs: {volumeType: io2, iops: 100}}
    - {ebs: {volumeType: gp2}}
  kubelet:
    evictionHard: {memory.available: 5%}
    evictionSoft: {nodefs.inodesFree: 10%}
    evictionSoftGracePeriod: {nodefs.inodesFree: 2m}
    kubeReserved: {cpu: vcpus * 10, ephemeral-storage: 1Gi}
    imageGCHighThresholdPercent: 85
    imageGCLowThresholdPercent: 80
---
kind: EC2NodeClass
metadata: {name: b}
spec:
  amiSelectorTerms: [{alias: bottlerocket@v1.64.0}]
  blockDeviceMappings: [{deviceName: /dev/xvda}, {deviceName: /dev/xvdb, rootVolume: true}]
  tags: {my:aws: a, kubernetes.io/role: b}
  userData: |
    [settings.kubernetes]
    max-pods = 110
---
kind: EC2NodeClass
metadata: {name: c}
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  blockDeviceMappings: [{deviceName: /dev/xvda}, {deviceName: /dev/xvdb, rootVolume: true}]
  userData: |
    #!/bin/bash
    mount /dev/xvdb /var/lib/kubelet
---
kind: EC2NodeClass
metadata: {name: d}
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  userData: |
    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
    ---
    apiVersion: node.eks.aws/v1alpha1
    kind: NodeConfig
---
kind: EC2NodeClass
metadata: {name: e}
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  userData: |
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="//"
---
kind: EC2NodeClass
metadata: {name: f}
spec: {amiFamily: Custom, userData: anything, blockDeviceMappings: [{deviceName: /dev/sda1, rootVolume: true}]}
---
kind: PodMonitor
metadata: {name: a}
spec:
  podMetricsEndpoints:
    - relabelings:
        - {action: hashmod, sourceLabels: [a], modulus: 2, targetLabel: shard}
        - {action: labelmap, regex: __meta_(.+)}
        - {action: Drop, sourceLabels: [a], regex: "(?i)go_.*"}
        - {targetLabel: "${1}_total", sourceLabels: [a]}
      metricRelabelings: [{action: labeldrop, regex: pod}]
---
kind: ApplicationSet
metadata: {name: a}
spec:
  strategy: {type: RollingSync, rollingSync: {steps: [{matchExpressions: []}]}}
  template: {spec: {ignoreDifferences: [{kind: Service, jsonPointers: [/spec/replicas, "{{ .pointer }}"]}]}}
---
kind: AppProject
metadata: {name: a, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec: {signatureKeys: [{keyID: 4aee18f83afdeb23}, {keyID: 4AEE18F83AFDEB234AEE18F83AFDEB234AEE18F8}]}
---
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {storageClassName: efs-ap, volumeMode: Filesystem}
""")
    given = [{"apiVersion": "v1", **one} for one in valid]
    assert [line for rule in OF_MANIFESTS.values() for line in rule(given)] == []


_FOR_ARM = """
kind: Deployment
metadata: {name: a, namespace: a-own}
spec: {template: {spec: {nodeSelector: {kubernetes.io/arch: arm64, karpenter.sh/capacity-type: spot}, containers: []}}}
---
kind: NodePool
metadata: {name: a}
spec: {template: {spec: {requirements: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]}}}
"""
_NO_NODES = (
    "Deployment a: spec.template.spec.nodeSelector: kubernetes.io/arch=arm64, karpenter.sh/capacity-type=spot: no "
    "NodePool or node group has nodes with this"
)


@pytest.mark.parametrize(
    ("karpenter", "auto_mode", "architecture", "expected"),
    [
        (KarpenterConfig(max_nodes=3, architectures=("arm64",)), None, "amd64", []),
        (KarpenterConfig(max_nodes=3), None, "amd64", [f"{_NO_NODES}; correct it, or add a NodePool"]),
        (None, None, "arm64", [f"{_NO_NODES}; set karpenter in the settings of own, for the NodePool"]),
        (None, AutoModeConfig(), "amd64", []),
    ],
)
def test_knows_the_nodes_of_an_environment(
    karpenter: KarpenterConfig | None,
    auto_mode: AutoModeConfig | None,
    architecture: str,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Argo CD deploys NodePools where the settings have Karpenter, and sets their architectures."""
    first = clusters()[0]
    cluster = first.settings.cluster.model_copy(update={"auto_mode": auto_mode})
    settings = first.settings.model_copy(update={"cluster": cluster, "karpenter": karpenter})
    known = [Cluster("own", settings, 3), first._replace(environment="other")]
    monkeypatch.setattr(rules_of_places, "clusters", lambda: known)
    manifests = documents(_FOR_ARM.replace("[amd64]", f"[{architecture}]"))
    assert list(rules_of_places.pods_have_a_place(manifests, manifests)) == expected


_NO_GROUP = "no NodePool or node group has nodes with this"


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ("nodeSelector: {kubernetes.io/arch: amd64, eks.amazonaws.com/capacityType: SPOT, a: b}", None),
        ("nodeSelector: {eks.amazonaws.com/nodegroup: own-20261201, a: b}", None),
        ("nodeSelector: {eks.amazonaws.com/capacityType: ON_DEMAND}", _NO_GROUP),
        ("nodeSelector: {karpenter.k8s.aws/instance-category: m}", _NO_GROUP),
        (
            "nodeSelector: {node.kubernetes.io/instance-type: m7i.large}, tolerations: [{key: c, value: e}]",
            "none of c=d:NoSchedule, a taint of node group",
        ),
    ],
)
def test_knows_the_nodes_of_node_groups(pod: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = clusters()[0]
    group = NodeGroupConfig(
        name="own",
        instance_types=("m7i.large",),
        ami_type="AL2023_x86_64_STANDARD",
        capacity_type="SPOT",
        min_size=1,
        desired_size=1,
        max_size=1,
        labels={"a": "b"},
        taints=(Taint(key="c", value="d", effect="NO_SCHEDULE"), Taint(key="e", effect="PREFER_NO_SCHEDULE")),
    )
    settings = first.settings.model_copy(update={"node_groups": (group,)})
    monkeypatch.setattr(rules_of_places, "clusters", lambda: [first._replace(settings=settings)])
    monkeypatch.setattr(rules_of_selectors, "labels_of_node_groups", lambda: {"a"})
    tolerations = "" if "tolerations" in pod else ", tolerations: [{key: c, value: d}]"
    (manifest,) = documents(
        f"{{kind: Job, metadata: {{name: a}}, spec: {{template: {{spec: {{containers: [], {pod}{tolerations}}}}}}}}}"
    )
    found = list(rules_of_places.pods_have_a_place([manifest], []))
    assert [(expected or "") in line for line in found] == ([True] if expected else [])


@pytest.mark.parametrize(
    "schedule", ["@hourly", "0 0 * * mon-fri", "*/15 0-6,20-23 1,15 JAN-mar ?", "5/10 9 * * 0", "0 9 31 12 sat,SUN"]
)
def test_accepts_a_schedule(schedule: str) -> None:
    budgets = [{"nodes": "0", "schedule": schedule, "duration": "1h"}]
    pool = {"kind": "NodePool", "metadata": {"name": "a"}, "spec": {"disruption": {"budgets": budgets}}}
    assert list(rules_of_nodes.schedules_of_budgets_are_valid([pool])) == []


_LABELS = (
    "platform/environment, platform/region, platform/purpose, platform/policies, platform/karpenter, "
    'platform/container-logs, platform/hub, or ""'
)
_NO_KEY = "no key of the cluster Secret"
_FIELDS = "namespace, overlays, foundation, clusters, chart, parameters, patches"
_MARKER = "# renovate: datasource=… depName=…"
_COMPLETE = """namespace: a
overlays: ""
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
    ("old", "new", "expected"),
    [
        ("", "", []),
        ('overlays: ""\n', "", ["component.yaml: overlays: missing; add it"]),
        (
            'overlays: ""',
            "overlays: platform/purpos",
            [f"component.yaml: overlays: platform/purpos: no label of the cluster Secret; write one of {_LABELS}"],
        ),
        ("patches: []", "patches: []\nwave: 1", [f"component.yaml: wave: unknown; write one of {_FIELDS}"]),
        (
            "foundation: false",
            'foundation: "false"',
            ["component.yaml: foundation: 'false': not of type bool; correct it"],
        ),
        (
            "clusters: {}",
            "clusters: {gpu: 'true'}",
            ["component.yaml: clusters.gpu: selects no clusters; write karpenter, container-logs or argo-cd"],
        ),
        ("  # renovate", "  # note", [f"component.yaml: chart.version: no renovate marker above it; write {_MARKER}"]),
        (
            "version: 1.2.3",
            "version: 1.2.x",
            ["component.yaml: chart.version: 1.2.x: not one exact version; write such as 1.2.3"],
        ),
        (
            "parameters: []",
            "parameters: [{name: b, annotation: platform/regoin}]",
            [
                f"component.yaml: parameters[0].annotation: platform/regoin: {_NO_KEY}; write platform/region",
            ],
        ),
        (
            "patches: []",
            "patches: [{kind: A, name: a, path: /a, annotation: platform/region, format: '%s-%s'}]",
            ["component.yaml: patches[0].format: %s-%s: write one %s, for the value"],
        ),
        (
            "patches: []",
            "patches: [{kind: A, name: a, path: /a}]",
            ["component.yaml: patches[0]: annotation: missing; add it"],
        ),
    ],
)
def test_finds_an_incomplete_component(old: str, new: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "component.yaml").write_text(_COMPLETE.replace(old, new))
    (tmp_path / "values.yaml").touch()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "kustomization.yaml").touch()
    assert list(rules_of_components.component_is_complete(Component(tmp_path))) == expected


def test_finds_a_namespace_without_its_component_label(tmp_path: Path) -> None:
    manifests = documents("{kind: Namespace, metadata: {name: a, labels: {platform/component: other}}}")
    expected = [f"Namespace a: metadata.labels.platform/component: missing; write {tmp_path.name}"]
    assert list(rules_of_components.namespaces_have_a_component_label(Component(tmp_path), manifests)) == expected


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ("{kind: A, name: a, path: /spec/list/0/x~1y}", []),
        ("{kind: A, name: b, path: /spec}", [": no A b; correct kind or name"]),
        (
            "{kind: A, name: a, path: /spec/list/1/x~1y}",
            [".path: /spec/list/1/x~1y: A a has no such field; correct it"],
        ),
        (
            "{kind: A, name: a, path: /spec/list}",
            [".path: /spec/list: in A a not a string; correct it, or write json: true"],
        ),
        ("{kind: A, name: a, path: /spec/list, json: true}", []),
        (
            "{kind: A, name: a, path: /spec/list/0/x~1y, json: true}",
            [".path: /spec/list/0/x~1y: in A a not a list or an object; correct it, or remove json"],
        ),
        ("{kind: A, name: a, path: /spec/new, op: add}", []),
        ("{kind: A, name: a, path: /other/new, op: add}", [".path: /other/new: A a has no such field; correct it"]),
    ],
)
def test_finds_a_patch_without_a_target(patch: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "component.yaml").write_text(f"patches: [{patch}]")
    manifests = documents("{kind: A, metadata: {name: a}, spec: {list: [{x/y: placeholder}]}}")
    found = list(rules_of_components.patches_have_targets(Component(tmp_path), manifests))
    assert found == [f"component.yaml: patches[0]{line}" for line in expected]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{team: a, host: s, database: ''}", []),
        ("{team: a, host: s}", ["application.yaml: database: missing; add it"]),
        ("{team: c, host: s, database: ''}", ["application.yaml: team: c: no AppProject; write one of a"]),
        ("{team: a, host: b, database: ''}", ["application.yaml: host: b: not the name of the service; write s"]),
    ],
)
def test_finds_an_incomplete_overlay(settings: str, expected: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "application.yaml").write_text(settings)
    (folder / "kustomization.yaml").write_text("namespace: s-dev")
    assert list(rules_of_components.overlay_is_complete(Overlay(folder / "application.yaml"), {"a"})) == expected


def test_finds_an_overlay_in_another_namespace(tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "application.yaml").write_text("{team: a, host: s, database: ''}")
    (folder / "kustomization.yaml").write_text("namespace: s-prod")
    expected = ["kustomization.yaml: namespace: s-prod; write s-dev"]
    assert list(rules_of_components.overlay_is_complete(Overlay(folder / "application.yaml"), {"a"})) == expected


def test_finds_a_release_of_another_service_and_team(tmp_path: Path) -> None:
    folder = tmp_path / "service" / "s" / "overlays" / "dev"
    folder.mkdir(parents=True)
    (folder / "release.yaml").write_text("{team: a, host: s, database: ''}")
    (folder / "values.yaml").write_text("name: t")
    overlay = Overlay(folder / "release.yaml")
    expected = "values.yaml: name: t: not the name of the folder, which its image has; write s"
    assert list(rules_of_components.overlay_is_complete(overlay, {"a"})) == [expected]
    labels = [{"app.kubernetes.io/part-of": team} for team in ("a", "b")]
    manifests = [{"kind": "A", "metadata": {"name": "t", "labels": each}} for each in (*labels, None)]
    expected = "A t: metadata.labels.app.kubernetes.io/part-of: b; write a, the team of release.yaml"
    assert list(rules_of_components.objects_belong_to_the_team(overlay, manifests)) == [expected]


_SECRET = {"kind": "ExternalSecret", "metadata": {"name": "database"}}
_OTHER = {"kind": "ExternalSecret", "metadata": {"name": "payments"}}
_USER = {"kind": "Deployment", "spec": {"template": {"spec": {"envFrom": [{"secretRef": {"name": "database"}}]}}}}


@pytest.mark.parametrize(
    ("database", "manifests", "expected"),
    [
        ("b", [_SECRET, _USER], []),
        ("", [_OTHER], []),
        ("b", [], ['b: no ExternalSecret database; add the component with it, or write ""']),
        ("b", [_SECRET, _OTHER], ['b: no container has the Secret database; refer to it, or write ""']),
        (
            "",
            [_SECRET, _USER],
            ['"": ExternalSecret database has no secret; name the database, or remove the component with it'],
        ),
    ],
)
def test_finds_a_database_without_its_secret(
    database: str, manifests: list[Json], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "application.yaml").write_text(yaml.safe_dump({"database": database}))
    found = rules_of_components.databases_have_their_secret(Overlay(tmp_path / "application.yaml"), manifests)
    assert list(found) == [f"application.yaml: database: {line}" for line in expected]


_OWN = "s.dev.example.com"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([_OWN], []),
        (["b.dev.example.com"], [f"[0].host: b.dev.example.com; write {_OWN}, the only host of the service"]),
        (["s.prod.example.com"], [f"[0].host: s.prod.example.com; write {_OWN}, the only host of the service"]),
        (["a.s.dev.example.com"], [f"[0].host: a.s.dev.example.com; write {_OWN}, the only host of the service"]),
        ([None], [f"[0].host: None; write {_OWN}, the only host of the service"]),
        ([_OWN, _OWN], ["[1]: only the first rule gets the real host; move its paths there, or to another Ingress"]),
    ],
)
def test_finds_another_host_than_that_of_the_service(
    hosts: list[str | None], expected: list[str], tmp_path: Path
) -> None:
    overlay = Overlay(tmp_path / "service" / "s" / "overlays" / "dev" / "application.yaml")
    first = {"kind": "Ingress", "metadata": {"name": "s"}, "spec": {"rules": [{"host": _OWN}]}}
    second = {"kind": "Ingress", "metadata": {"name": "a"}, "spec": {"rules": [{"host": host} for host in hosts]}}
    found = list(rules_of_components.hosts_belong_to_the_service(overlay, [first, second]))
    assert found == [f"Ingress a: spec.rules{line}" for line in expected]


_PROJECT = """
metadata: {name: a}
spec:
  sourceRepos: [https://example.com/charts]
  destinations: [{namespace: b-*, server: https://kubernetes.default.svc}]
  clusterResourceWhitelist: []
  namespaceResourceWhitelist: [{group: '', kind: ConfigMap}]
"""


@pytest.mark.parametrize(
    ("deployed", "expected"),
    [
        (("a", "b-dev", "ConfigMap", "https://example.com/charts"), []),
        (("c", "b-dev", "ConfigMap", "https://example.com/charts"), [": no AppProject c; add it, or name another"]),
        (
            ("a", "c-dev", "ConfigMap", "https://example.com/charts"),
            [": AppProject a: spec.destinations: no namespace c-dev; add it"],
        ),
        (
            ("a", "b-dev", "Role", "https://example.com/charts"),
            [": AppProject a: spec.namespaceResourceWhitelist: no Role; add it"],
        ),
        (
            ("a", "b-dev", "Namespace", "https://example.com/charts"),
            [
                ": AppProject a: spec.clusterResourceWhitelist: no Namespace; add it",
                ": AppProject a: spec.destinations: no namespace m; add it",
            ],
        ),
        (
            ("a", "b-dev", "StorageClass", "https://example.com/charts"),
            [": AppProject a: spec.clusterResourceWhitelist: no StorageClass; add it"],
        ),
        (
            ("a", "b-dev", "ConfigMap", "https://example.net"),
            [": AppProject a: spec.sourceRepos: no https://example.net; add it"],
        ),
    ],
)
def test_finds_resources_that_a_project_does_not_permit(
    deployed: tuple[str, str, str, str], expected: list[str]
) -> None:
    project, namespace, kind, repository = deployed
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "m"}}
    application = Deployed(project, "app", namespace, [manifest], [repository])
    found = rules_of_components.projects_permit_deployed_resources(documents(_PROJECT), [application])
    assert list(found) == [f"Application app{line}" for line in expected]


@pytest.mark.parametrize(
    ("server", "namespace"), [("https://kubernetes.default.svc", "c-dev"), ("https://other.example.com", "b-dev")]
)
def test_finds_an_application_without_manifests_that_goes_elsewhere(server: str, namespace: str) -> None:
    """A chart of others has no manifests here: its Application has a destination all the same."""
    application = Deployed("a", "app", namespace, [], server=server)
    found = rules_of_components.projects_permit_deployed_resources(documents(_PROJECT), [application])
    assert list(found) == [f"Application app: AppProject a: spec.destinations: no namespace {namespace}; add it"]


def _component(folder: Path, values: str) -> Component:
    (folder / "component.yaml").write_text(_COMPLETE)
    (folder / "values.yaml").write_text(values)
    return Component(folder)


_VALUES = """
ingress: {enabled: true}
pdb: {enabled: false}
controller:
  serviceMonitor: {enabled: true}
  persistence: a
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: own, namespace: c}}]
"""


def test_finds_what_the_values_of_a_chart_create(tmp_path: Path) -> None:
    manifests = list(rules_of_components.objects_in_values(_component(tmp_path, _VALUES)))
    assert [rules.name_of(one) for one in manifests] == [
        "ConfigMap own",
        "Ingress values.yaml: ingress",
        "ServiceMonitor values.yaml: controller.serviceMonitor",
    ]
    application = Deployed("a", "app", "b-dev", manifests)
    assert list(rules_of_components.projects_permit_deployed_resources(documents(_PROJECT), [application])) == [
        f"Application app: AppProject a: spec.{line}; add it"
        for line in (
            "destinations: no namespace c",
            "namespaceResourceWhitelist: no Ingress",
            "namespaceResourceWhitelist: no ServiceMonitor",
        )
    ]


def test_finds_objects_in_the_namespace_of_another_component(tmp_path: Path) -> None:
    component = _component(tmp_path, "exporter: {namespaceOverride: b}")
    manifests = documents("{kind: A, metadata: {name: x}}\n---\n{kind: A, metadata: {name: y, namespace: c}}")
    found = rules_of_components.objects_are_in_namespaces_of_the_component(component, manifests)
    assert list(found) == [
        "A y: namespace c: not of the component; write a",
        "values.yaml: exporter.namespaceOverride: namespace b: not of the component; write a",
    ]
    created = [*manifests, *({"kind": "Namespace", "metadata": {"name": name}} for name in ("b", "c"))]
    assert list(rules_of_components.objects_are_in_namespaces_of_the_component(component, created)) == []


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("https://kubernetes.default.svc a", []),
        ("https://kubernetes.default.svc b", ["destination https://kubernetes.default.svc b"]),
        ("https://other.example.com a", ["destination https://other.example.com a"]),
    ],
)
def test_finds_an_application_that_goes_elsewhere_than_its_component_says(
    destination: str, expected: list[str], tmp_path: Path
) -> None:
    component = _component(tmp_path, "a: 1")
    server, namespace = destination.split()
    spec = {"destination": {"server": server, "namespace": namespace}}
    application = {"kind": "Application", "metadata": {"name": f"{component.name}-a-dev"}, "spec": spec}
    found = rules_of_components.components_are_deployed_as_they_say([component], [application], "a-dev")
    says = "component.yaml says https://kubernetes.default.svc a"
    assert list(found) == [f"Application {component.name}-a-dev: {line}: {says}" for line in expected]


def test_finds_a_zone_and_a_region_without_nodes() -> None:
    """The zones are those of the settings, which an owner changes."""
    for key, known in places_of_nodes().items():
        wrong, right = (
            {
                "kind": "Deployment",
                "metadata": {"name": "a"},
                "spec": {"template": {"spec": {"nodeSelector": {key: value}, "containers": []}}},
            }
            for value in ("af-south-1d", min(known))
        )
        (said,) = rules_of_selectors.nodes_have_the_selected_labels([wrong, right], [])
        assert said.startswith(f"Deployment a: spec.template.spec.nodeSelector.{key}: af-south-1d: no node has it; ")


def test_values_may_have_only_comments(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# None yet.\n")
    assert read(tmp_path / "values.yaml") == {}


def test_renovate_matches_every_marker() -> None:
    """Renovate ignores a marker that no expression matches silently."""
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
            unread.append(f"{name}: renovate.json has no expression for a `# renovate:` marker; write it as the others")
    fail_with(unread)


def test_every_file_is_referenced() -> None:
    """A file that no other file references is not used."""
    text = {file: file.read_text(errors="replace") for file in files()}
    ends = (".tpl", "values.schema.json", "README.md", ".helmignore")
    own = {"component.yaml", "kustomization.yaml", "application.yaml", "release.yaml", "Chart.yaml", ".helmignore"}
    fail_with(
        f"{file.relative_to(ROOT)}: no other file names it; name it, or remove the file"
        for file in text
        if file.name not in own
        and not file.name.endswith(ends)
        and not file.name.startswith("values")
        and "templates" not in file.parts[-3:-1]
        and file.parent.name not in {"projects", "sets"}
        and not any(file.name in other or file.parent.name in other for name, other in text.items() if name != file)
    )
