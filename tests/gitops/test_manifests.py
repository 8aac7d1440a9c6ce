"""The API server, Argo Rollouts and Argo CD accept every manifest of the tree, and refuse the broken ones."""

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from operations.local.cluster.handover import handover
from tests import ROOT
from tests.gitops import (
    broken_fields,
    rules,
    rules_of_argo_cd,
    rules_of_components,
    rules_of_files,
    rules_of_limits,
    rules_of_names,
    rules_of_nodes,
    rules_of_places,
    rules_of_pod_security,
    rules_of_selectors,
)
from tests.gitops.controllers import Controllers, Problems, RenderedSets
from tests.gitops.problems import fail_with, fail_with_entries, subject
from tests.gitops.rules import of_kind
from tests.gitops.tree import (
    FOLDERS,
    Json,
    components,
    documents,
    entries,
    environments,
    everything,
    overlays,
    with_namespaces,
)
from tests.template import Template

ENVIRONMENTS = environments()

# What is said to fields that only newer versions than those in operations/local/cluster/modules know (Argo CD 3.6.1,
# the CRDs of External Secrets 1.3.2), each with the version that knows it.
NEWER_FIELDS: Mapping[str, str] = {}

CASES = broken_fields.cases()
_OF_ARGO_CD = ("AppProject", "Application", "ApplicationSet")
_RULES = (*rules.ALL, *rules_of_argo_cd.ALL, *rules_of_nodes.ALL)
_CHECKS = (*_RULES, rules_of_argo_cd.values_are_filled_in)
_OF_DEPLOYED = (
    *rules_of_limits.ALL,
    *rules_of_names.ALL,
    *rules_of_places.ALL,
    *rules_of_pod_security.ALL,
    *rules_of_selectors.ALL,
)


class Judges:
    """The controllers, with an Argo CD in the cluster of each environment."""

    def __init__(self, controllers: Controllers, platform: dict[str, Template]) -> None:
        self._controllers = controllers
        self._platform = platform
        self.problems = controllers.problems

    def rendered(self, entries: Mapping[str, list[Json]], environment: str, folder: Path = ROOT) -> RenderedSets:
        """What Argo CD of an environment says, with the objects that Terraform creates for it."""
        secret, *others = self._handover(environment)
        given = {name: [*manifests, *others] for name, manifests in entries.items()}
        return self._controllers.rendered(given, folder, secret)

    def further(self, entries: Mapping[str, list[Json]], environment: str, weight: str) -> RenderedSets:
        """The same for a further cluster of the environment, whose records have a weight."""
        secret, *others = copy.deepcopy(self._handover(environment))
        secret["metadata"]["annotations"] |= {"platform/dns-weight": weight, "platform/further-cluster": "blue"}
        given = {name: [*manifests, *others] for name, manifests in entries.items()}
        return self._controllers.rendered(given, ROOT, secret)

    def secret(self, environment: str) -> Json:
        """The Secret of the cluster."""
        return self._handover(environment)[0]

    @cache  # noqa: B019  (lives as long as the session)
    def _handover(self, environment: str) -> list[Json]:
        stack, _, cluster = ENVIRONMENTS[environment]
        made = handover(self._platform[stack].raw, ROOT, "main", clusters=(cluster,))
        text = json.dumps(made).replace(f"file://{ROOT}", "https://git.example/platform.git")
        found: list[Json] = json.loads(text)
        return found


@pytest.fixture(scope="session")
def judges(controllers: Controllers, own_platform: dict[str, Template]) -> Judges:
    return Judges(controllers, own_platform)


def test_components_and_entries_are_found() -> None:
    assert {"karpenter", "kyverno", "policies"} <= {component.name for component in components()}
    assert len(entries()) > len(components())


def _is_newer(line: str) -> bool:
    return line.partition("; ")[0] in NEWER_FIELDS


@pytest.fixture(scope="session")
def told_by_rules(rendered: dict[str, list[Json]]) -> set[tuple[str, ...]]:
    """The objects and fields that test_files.py and test_rules.py name: each mistake is said once."""
    of_files = (
        line
        for _, manifest, _ in rules_of_files.manifests_of_files(ROOT)
        for rule in rules_of_files.ALL
        for line in rule(manifest)
    )
    of_manifests = (line for each in rendered.values() for rule in _RULES for line in rule(each))
    deployed = with_namespaces(rendered)
    known = everything(deployed)
    of_deployed = (line for each in deployed.values() for rule in _OF_DEPLOYED for line in rule(each, known))
    return {subject(line) for lines in (of_files, of_manifests, of_deployed) for line in lines}


@pytest.fixture(scope="session")
def refused_in_files(
    controllers: Controllers, rendered: dict[str, list[Json]], told_by_rules: set[tuple[str, ...]]
) -> Problems:
    """What the API server and the controllers say to the manifests of each entry, unless a rule says it."""
    return {
        entry: [line for line in lines if not _is_newer(line) and subject(line) not in told_by_rules]
        for entry, lines in controllers.problems(rendered).items()
    }


def test_the_api_server_and_argo_rollouts_accept_every_manifest(refused_in_files: Problems) -> None:
    fail_with_entries(refused_in_files)


@pytest.fixture(scope="session")
def made(judges: Judges, rendered: dict[str, list[Json]]) -> dict[str, RenderedSets]:
    """What Argo CD makes of the bootstrap chart in each environment."""
    entries = {"bootstrap": rendered["management/bootstrap"]}
    return {environment: judges.rendered(entries, environment) for environment in ENVIRONMENTS}


def test_argo_cd_accepts_what_it_renders(
    judges: Judges, made: dict[str, RenderedSets], refused_in_files: Problems
) -> None:
    told = {subject(line) for lines in refused_in_files.values() for line in lines}
    problems = {}
    for environment, sets in made.items():
        applications = sets.applications["bootstrap"]
        lines = [
            *(
                line
                for found in (sets.problems, judges.problems(sets.applications))
                for line in found.get("bootstrap", [])
            ),
            *(line for rule in rules_of_argo_cd.ALL for line in rule(applications)),
            *rules_of_components.components_are_deployed_as_they_say(components(), applications, environment),
            *sets.newer,
        ]
        problems[environment] = [line for line in lines if not _is_newer(line) and subject(line) not in told]
    fail_with_entries(problems)
    created = {one["metadata"]["name"] for sets in made.values() for one in sets.applications["bootstrap"]}
    fail_with(
        f"{overlay.folder.relative_to(ROOT)}: no ApplicationSet creates its Application; correct their generators"
        for overlay in overlays()
        if overlay.namespace not in created
    )


def test_what_applications_deploy_is_accepted_and_follows_the_rules(
    judges: Judges,
    made: dict[str, RenderedSets],
    refused_in_files: Problems,
    told_by_rules: set[tuple[str, ...]],
) -> None:
    """With the patches, images and values of the ApplicationSets, and what Terraform knows of the environment.

    What is already said to the files is left out.
    """
    told = told_by_rules | {subject(line) for lines in refused_in_files.values() for line in lines}
    problems = {}
    for environment, sets in made.items():
        deployed = sets.manifests["bootstrap"]
        refused = judges.problems(deployed)
        problems[environment] = [
            f"Application {name}: {line}"
            for name, each in deployed.items()
            for line in (*refused.get(name, []), *(line for rule in _CHECKS for line in rule(each)))
            if not _is_newer(line) and subject(line) not in told
        ]
    fail_with_entries(problems)


def _of_external_dns(made: RenderedSets) -> set[tuple[str, str | None, str | None]]:
    """The Applications with an Ingress, and its weight and identifier for External DNS."""
    prefix = "external-dns.alpha.kubernetes.io"
    return {
        (
            application,
            manifest["metadata"]["annotations"].get(f"{prefix}/aws-weight"),
            manifest["metadata"]["annotations"].get(f"{prefix}/set-identifier"),
        )
        for application, manifests in made.manifests["bootstrap"].items()
        for manifest in manifests
        if manifest["kind"] == "Ingress"
    }


@pytest.mark.slow
@pytest.mark.parametrize("weight", ["0", "255"])
def test_a_further_cluster_has_weighted_records_and_rotates_no_password(
    judges: Judges, made: dict[str, RenderedSets], rendered: dict[str, list[Json]], weight: str
) -> None:
    environment = next(iter(ENVIRONMENTS))
    without = _of_external_dns(made[environment])
    assert {name.rpartition("-")[0] for name, *_ in without} >= {"bubblepool", "guestbook", "hello"}
    assert {tuple(values) for _, *values in without} == {(None, None)}
    further = judges.further({"bootstrap": rendered["management/bootstrap"]}, environment, weight)
    assert further.problems == made[environment].problems
    cluster = judges.secret(environment)["metadata"]["annotations"]["platform/cluster-name"]
    assert _of_external_dns(further) == {(name, weight, cluster) for name, *_ in without}
    assert _rotations(made[environment]) == {False}
    assert _rotations(further) == {True}


def _rotations(made: RenderedSets) -> set[bool]:
    """Whether the jobs that rotate passwords are suspended."""
    manifests = [one for several in made.manifests["bootstrap"].values() for one in several]
    return {one["spec"]["suspend"] for one in manifests if one["kind"] == "CronJob"}


def test_only_charts_of_others_are_not_rendered(made: dict[str, RenderedSets]) -> None:
    """There is no Helm repository here: their number is known, and what else they deploy is rendered."""
    for environment, sets in made.items():
        if sets.problems.get("bootstrap"):
            pytest.skip("Argo CD refuses an Application, as test_argo_cd_accepts_what_it_renders says")
        charts = {f"{component.name}-{environment}" for component in components() if component.chart}
        names = {application["metadata"]["name"] for application in sets.applications["bootstrap"]}
        elsewhere = sets.elsewhere["bootstrap"]
        fail_with(
            f"Application {name}: {elsewhere.get(name, 0)} charts of other repositories; its component.yaml has "
            f"{int(name in charts)}: correct the ApplicationSet"
            for name in sorted(names | elsewhere.keys())
            if elsewhere.get(name, 0) != int(name in charts & names)
        )
        fail_with(
            f"Application {name}: its repository is not rendered; correct the repoURL of its sources"
            for name in sorted(names - sets.manifests["bootstrap"].keys())
        )


def test_application_sets_read_keys_that_the_cluster_secret_has(
    judges: Judges, rendered: dict[str, list[Json]]
) -> None:
    sets = rendered["management/bootstrap"]
    read = rules_of_argo_cd.application_sets_read_keys_of_the_cluster_secret
    fail_with_entries({environment: read(sets, judges.secret(environment)) for environment in ENVIRONMENTS})


def _unmatched(made: Mapping[str, RenderedSets], entry: str) -> list[str]:
    """What matches nothing in any environment: a sync window or a patch may be for one of them."""
    noted = [sets.matches[entry] for sets in made.values()]
    return sorted({problem for each in noted for problem in each if not any(one.get(problem) for one in noted)})


def test_every_sync_window_and_every_patch_matches_something(made: dict[str, RenderedSets]) -> None:
    problems = _unmatched(made, "bootstrap")
    fail_with(problems)


def test_bootstrap_has_the_default_project(rendered: dict[str, list[Json]]) -> None:
    projects = {one["metadata"]["name"] for one in of_kind(rendered["management/bootstrap"], "AppProject")}
    assert {"default", "management"} < projects  # Argo CD would create the first one with all permissions


_VALID = """
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: a}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
  syncWindows:
    - {kind: allow, schedule: 0 10 29 2 *, duration: 1h30m, timeZone: Asia/Seoul, applications: [sever*]}
    - {kind: deny, schedule: 0 10 * * 1-5, duration: 24h, namespaces: [a, "*"], clusters: [https://*]}
    - {kind: deny, schedule: 0 0 * * *, duration: 24h, applications: [several], namespaces: [a], andOperator: true}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: several}
spec:
  project: a
  destination: {server: https://kubernetes.default.svc, namespace: a}
  sources:
    - repoURL: https://charts.example
      chart: b
      targetRevision: 1.0.0
      helm:
        ignoreMissingValueFiles: true
        valueFiles: [own.yaml, $values/management/kyverno/values.yaml, $values/management/kyverno/values-none.yaml]
    - {repoURL: https://git.example/platform.git, ref: values}
    - {repoURL: https://git.example/other.git, path: missing, kustomize: {images: [none=other]}}
    - repoURL: https://git.example/platform.git
      path: management/service-namespace/base
      kustomize:
        namePrefix: own-
        commonAnnotations: {a: b}
        patches:
          - patch: |
              {apiVersion: v1, kind: LimitRange, metadata: {name: containers, namespace: service, labels: {own: a}}}
          - target: {kind: Namespace}
            patch: '[{"op": "replace", "path": "/metadata/name", "value": "renamed"}]'
          - target: {kind: Namespace, name: service}
            patch: '[{"op": "add", "path": "/metadata/labels/own", "value": "yes"}]'
          - target: {kind: LimitRange|ResourceQuota, namespace: service}
            patch: '[{"op": "replace", "path": "/metadata/namespace", "value": "a"}]'
  syncPolicy:
    syncOptions: [ServerSideApply=true]
    retry: {limit: -1, backoff: {duration: "5", factor: 1, maxDuration: "0"}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: values}
spec:
  project: a
  destination: {server: https://kubernetes.default.svc, namespace: a}
  source:
    repoURL: https://git.example/platform.git
    path: helm/my-app
    helm:
      releaseName: own
      valueFiles: [values.yaml, /helm/my-app/values.yaml]
      valuesObject: {name: own, config: {OWN: "1"}}
      parameters: [{name: image.registry, value: registry.example}, {name: ingress.host, value: a.example.com}]
"""


@pytest.mark.slow
def test_argo_cd_renders_applications_of_every_form(judges: Judges) -> None:
    entries = {"own": documents(_VALID)}
    sets = judges.rendered(entries, "dev")
    assert (sets.problems, _unmatched({"dev": sets}, "own")) == ({}, [])
    assert sets.elsewhere["own"] == {"several": 2}
    several, values = sets.manifests["own"]["several"], sets.manifests["own"]["values"]
    (namespace,) = of_kind(several, "Namespace")
    assert namespace["metadata"]["labels"]["own"] == "yes"
    assert namespace["metadata"]["annotations"]["a"] == "b"
    assert {name.partition("-")[0] for one in several if (name := one["metadata"]["name"]) != "renamed"} == {"own"}
    (rollout,) = of_kind(values, "Rollout")
    (container,) = rollout["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("registry.example/")
    assert rollout["metadata"]["name"] == "own"
    assert judges.problems(sets.manifests["own"]) == {}


_WORKER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec: {containers: [{name: worker, image: IMAGE}]}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("image", "is_missing"), [("worker", False), ("wroker", True)])
def test_a_service_needs_no_ingress_but_its_image(
    image: str, *, is_missing: bool, judges: Judges, rendered: dict[str, list[Json]], tmp_path: Path
) -> None:
    """The ApplicationSet patches the Ingresses of those services that have one."""
    for top in FOLDERS:
        shutil.copytree(ROOT / top, tmp_path / top)
    overlay = tmp_path / "service" / "worker" / "overlays" / "dev"
    overlay.mkdir(parents=True)
    (overlay / "application.yaml").write_text("{team: sales, host: worker, database: ''}")
    images = "[{name: worker, newTag: 1.0.0}]"
    (overlay / "kustomization.yaml").write_text(f"{{resources: [deployment.yaml], images: {images}}}")
    (overlay / "deployment.yaml").write_text(_WORKER.replace("IMAGE", image))
    project = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "worker-dev"}]}
    sales = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "sales"}, "spec": project}
    sets = judges.rendered({"entry": [*rendered["management/bootstrap"], sales]}, "dev", tmp_path)
    registry = judges.secret("dev")["metadata"]["annotations"]["platform/image-registry"]
    missing = (
        "ApplicationSet services: Application worker-dev: spec.source.kustomize.images[0]:"
        f" worker={registry}/worker:*@*: no container in service/worker/overlays/dev has the image worker;"
        " correct the name"
    )
    assert sets.problems.get("entry", []) == ([missing] if is_missing else [])
    (deployment,) = sets.manifests["entry"]["worker-dev"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == (image if is_missing else f"{registry}/worker:1.0.0")


_WINDOWS: list[tuple[Json, str]] = [
    ({"applications": ["*-prod", "*-prd"]}, ".applications: *-prd: matches no Application of the project; correct it"),
    ({"namespaces": ["bubblepool"]}, ".namespaces: bubblepool: matches no namespace of the project; correct it"),
    ({"clusters": ["in-claster"]}, ".clusters: in-claster: matches no cluster of the project; correct it"),
    ({}, ": matches no Application of the project; set applications, namespaces or clusters"),
]


@pytest.mark.slow
def test_finds_a_sync_window_without_a_match(judges: Judges, rendered: dict[str, list[Json]]) -> None:
    projects = of_kind(rendered["management/bootstrap"], "AppProject")
    (project,) = [one for one in projects if one["metadata"]["name"] == "management"]
    when = {"kind": "allow", "schedule": "0 10 * * *", "duration": "1h"}
    windows = [{**when, **window} for window, _ in _WINDOWS]
    entries = {"broken": [{**project, "spec": {**project["spec"], "syncWindows": windows}}]}
    found = {environment: judges.rendered(entries, environment) for environment in ENVIRONMENTS}
    expected = [f"AppProject management: spec.syncWindows[{n}]{line}" for n, (_, line) in enumerate(_WINDOWS)]
    assert _unmatched(found, "broken") == expected


_PATCHES = """
spec:
  source:
    repoURL: https://git.example/platform.git
    path: management/service-namespace/base
    kustomize:
      patches:
        - target: {kind: Namespace}
          patch: '[{"op": "replace", "path": "/metadata/name", "value": "a"}]'
        - target: {kind: LimitRange, name: all}
          patch: '[{"op": "remove", "path": "/spec/limits"}]'
"""


@pytest.mark.slow
def test_finds_a_patch_without_a_target(judges: Judges, rendered: dict[str, list[Json]]) -> None:
    manifests = copy.deepcopy(rendered["management/bootstrap"])
    (applied,) = [one for one in manifests if one["metadata"]["name"] == "service-namespaces"]
    applied["spec"]["templatePatch"] = _PATCHES
    found = {environment: judges.rendered({"broken": manifests}, environment) for environment in ENVIRONMENTS}
    target = "ApplicationSet service-namespaces: kustomize.patches: target kind LimitRange, name all"
    assert _unmatched(found, "broken") == [f"{target}: matches no object of its Applications; correct it"]


def test_finds_a_key_that_the_cluster_secret_does_not_have(judges: Judges) -> None:
    patch = """
    {{- $known := .metadata.annotations }}
    {{ index $known "platform/domian" }} {{ index .metadata.labels "platform/domain" }}
    {{ index (fromJson (index $known "platform/database")) "a" }} {{ index $known "platform/domain" }}
    {{- $database := dict }}{{ get $database "user_secret" }} {{ get $known "platform-vpc-id" }}
    """
    applied = {"kind": "ApplicationSet", "metadata": {"name": "a"}, "spec": {"templatePatch": patch}}
    found = rules_of_argo_cd.application_sets_read_keys_of_the_cluster_secret([applied], judges.secret("dev"))
    assert list(found) == [
        "ApplicationSet a: the cluster Secret has no annotation platform-vpc-id; write platform/vpc-id",
        "ApplicationSet a: the cluster Secret has no annotation platform/database; write platform/databases",
        "ApplicationSet a: the cluster Secret has no annotation platform/domian; write platform/domain",
        "ApplicationSet a: the cluster Secret has no label platform/domain; write platform/region",
    ]


def _settings_of_notifications(manifests: Sequence[Json]) -> list[Json]:
    return [one for one in of_kind(manifests, "ConfigMap") if one["metadata"]["name"] == "argocd-notifications-cm"]


def test_argo_cd_accepts_the_settings_of_notifications(judges: Judges, rendered: dict[str, list[Json]]) -> None:
    """Its controller sends nothing at all if one of them is wrong, and logs only later what a template cannot find."""
    given = {entry: found for entry, each in rendered.items() if (found := _settings_of_notifications(each))}
    fail_with_entries(judges.rendered(given, "dev").problems)
    assert [len(found) for found in given.values()] == [1]


@pytest.fixture(scope="session")
def refused(judges: Judges, rendered: dict[str, list[Json]], made: dict[str, RenderedSets]) -> Problems:
    """What is said to each broken manifest, all in one run."""
    given = {str(number): broken_fields.manifests(case, rendered) for number, case in enumerate(CASES)}
    found = judges.problems(given)
    of_argo_cd = {
        name: each for name, each in given.items() if of_kind(each, *_OF_ARGO_CD) or _settings_of_notifications(each)
    }
    broken = judges.rendered(of_argo_cd, "dev")
    deployed = {
        f"{number} {name}": manifests
        for number, each in broken.manifests.items()
        for name, manifests in each.items()
        if manifests != made["dev"].manifests["bootstrap"].get(name)
    }
    of_deployed = judges.problems(deployed)
    for name, manifests in deployed.items():
        unfilled = rules_of_argo_cd.values_are_filled_in(manifests)
        of_deployed[name] = [*of_deployed.get(name, []), *unfilled]
    said = [*broken.problems.items(), *judges.problems(broken.applications).items()]
    said += [(name.partition(" ")[0], lines) for name, lines in of_deployed.items()]
    for number, lines in said:
        known = found.setdefault(number, [])
        known += [line for line in lines if line not in known]
    return {number: lines for number, lines in found.items() if lines}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_broken_manifest_is_refused(number: int, refused: Problems, rendered: dict[str, list[Json]]) -> None:
    if not broken_fields.manifests(CASES[number], rendered):
        pytest.skip(f"the example was changed: {CASES[number]['entry']} has no {CASES[number]['object']}")
    assert refused.get(str(number)) == CASES[number]["problems"]


def test_there_are_enough_broken_manifests() -> None:
    assert len(CASES) >= 100
    assert all(case["problems"] for case in CASES)
    assert all("\n" not in problem for case in CASES for problem in case["problems"])


@pytest.mark.slow
def test_pods_in_an_unknown_kind_are_checked(controllers: Controllers) -> None:
    (unknown,) = documents(
        "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {pods: [{template: {spec:"
        " {containers: [{name: b}]}}}]}}"
    )
    assert controllers.problems({"entry": [unknown]}) == {
        "entry": [
            "Widget a: apiVersion: example.com/v1: no such kind; correct it, or add its CRD",
            "Widget a: spec.pods[0].template.spec.containers[0].image: Required value",
        ]
    }
