"""The tree follows the rules for what controllers read, and each rule finds violations."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from eks_gitops.versions import LOAD_BALANCER_CONTROLLER_VERSION
from tests.gitops import rules_of_external_secrets, rules_of_load_balancers, rules_of_rollouts
from tests.gitops.controllers import Controllers
from tests.gitops.problems import fail_with, fail_with_entries
from tests.gitops.rules_of_policies import (
    Resources,
    ignored_differences_are_of_existing_kinds,
    known_resources,
    policies_deny_something,
    policies_select_existing_resources,
    projects_list_existing_kinds,
    resources_of,
    roles_permit_existing_resources,
)
from tests.gitops.tree import Json, documents

EntriesRule = Callable[[Mapping[str, Sequence[Json]]], Iterator[str]]

_BROKEN = Path(__file__).parent / "broken"
_MANIFEST_RULES = {rule.__name__: rule for rule in rules_of_load_balancers.ALL}
_ENTRIES_RULES: dict[str, EntriesRule] = {
    rule.__name__: rule for rule in (*rules_of_external_secrets.ALL, *rules_of_rollouts.ALL)
}
_EXAMPLES = documents((_BROKEN / "controllers.yaml").read_text())


@pytest.fixture(scope="session")
def resources(crds: Path) -> Resources:
    return known_resources(crds)


@pytest.mark.parametrize("name", _MANIFEST_RULES)
def test_manifests_follow_the_rule(name: str, rendered: dict[str, list[Json]]) -> None:
    found = {entry: list(_MANIFEST_RULES[name](manifests)) for entry, manifests in rendered.items()}
    fail_with_entries(found)


@pytest.mark.parametrize("name", _ENTRIES_RULES)
def test_entries_follow_the_rule(name: str, rendered: dict[str, list[Json]]) -> None:
    fail_with(_ENTRIES_RULES[name](rendered))


def test_resources_and_kinds_that_manifests_name_exist(
    rendered: dict[str, list[Json]], resources: Resources, crds: Path
) -> None:
    deployed = [manifest for manifests in rendered.values() for manifest in manifests]
    known = {**resources, **resources_of(deployed)}
    fail_with_entries(
        {
            entry: [
                *policies_deny_something(manifests),
                *policies_select_existing_resources(manifests, known),
                *roles_permit_existing_resources(manifests, known),
                *ignored_differences_are_of_existing_kinds(manifests, crds, deployed),
                *projects_list_existing_kinds(manifests, crds),
            ]
            for entry, manifests in rendered.items()
        }
    )


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: f"{example['rule']}: {example['violation']}")
def test_rule_finds_the_violation(example: Json) -> None:
    if "entries" in example:
        found = _ENTRIES_RULES[example["rule"]](example["entries"])
    else:
        found = _MANIFEST_RULES[example["rule"]](example["manifests"])
    assert list(found) == ([example["violation"]] if example["violation"] else [])


def test_every_rule_has_an_example_of_a_violation_and_of_none() -> None:
    for violates in (True, False):
        shown = {example["rule"] for example in _EXAMPLES if bool(example["violation"]) is violates}
        assert shown == {*_MANIFEST_RULES, *_ENTRIES_RULES}


def test_the_annotations_are_those_of_the_controller() -> None:
    """After an update of the chart, compare `load_balancer_annotations.yaml` with its sources."""
    assert LOAD_BALANCER_CONTROLLER_VERSION.startswith(f"{rules_of_load_balancers.KNOWN['version']}.")


def test_the_attributes_with_values_are_those_of_elastic_load_balancing() -> None:
    shapes = rules_of_load_balancers.KNOWN["attributes"].values()
    known = {name for shape in shapes for name in rules_of_load_balancers.attributes(shape)}
    assert rules_of_load_balancers.ATTRIBUTE_VALUES.keys() - known == set()
    about_values = re.compile(r".*(\.count|enabled|mitigation|mode|percentage|seconds|type)")
    assert {
        name for name in known if about_values.fullmatch(name)
    } - rules_of_load_balancers.ATTRIBUTE_VALUES.keys() == set()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "{apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollout]}",
            "no resource rollout in argoproj.io/v1alpha1; write rollouts",
        ),
        (
            "{apiGroups: [''], apiVersions: [v1], resources: [pods, deployments]}",
            "no resource deployments in v1; write deployments of apps/v1",
        ),
        (
            "{apiGroups: [networking.k8s.io], apiVersions: [v1beta1], resources: [ingresses]}",
            "no resource ingresses in networking.k8s.io/v1beta1; write ingresses of networking.k8s.io/v1",
        ),
        (
            "{apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [Ingress]}",
            "no resource Ingress in networking.k8s.io/v1; write ingresses",
        ),
        (
            "{apiGroups: [example.com], apiVersions: [v1], resources: [widgets]}",
            "no resource widgets in example.com/v1; correct the group and the version, or add the CRD",
        ),
        (
            "{apiGroups: [''], apiVersions: [v1], resources: [pods/ephemeralcontainer]}",
            "no subresource ephemeralcontainer of pods; write ephemeralcontainers",
        ),
        ("{apiGroups: ['*'], apiVersions: ['*'], resources: ['*', '*/scale']}", None),
        ("{apiGroups: ['', apps], apiVersions: [v1], resources: [pods, endpoints, deployments/scale]}", None),
        ("{apiGroups: [argoproj.io, external-secrets.io], apiVersions: ['*'], resources: [rollouts]}", None),
        ("{apiGroups: [policy], apiVersions: [v1], resources: [poddisruptionbudgets, '*/*']}", None),
    ],
)
@pytest.mark.parametrize("field", ["resourceRules", "excludeResourceRules"])
@pytest.mark.parametrize("group", ["policies.kyverno.io/v1", "admissionregistration.k8s.io/v1"])
def test_finds_a_policy_for_a_resource_that_does_not_exist(
    rule: str, expected: str | None, field: str, group: str, resources: Resources
) -> None:
    policy = {"apiVersion": group, "kind": "Policy", "metadata": {"name": "a"}}
    policy["spec"] = {"matchConstraints": {field: [yaml.safe_load(rule)]}}
    found = list(policies_select_existing_resources([policy], resources))
    assert found == ([f"Policy a: spec.matchConstraints.{field}: {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "{apiGroups: [''], resources: [pod], verbs: [get]}",
            ".resources: no resource pod in the core group; write pods",
        ),
        (
            "{apiGroups: [''], resources: [deployments], verbs: [get]}",
            ".resources: no resource deployments in the core group; write deployments of apps/v1",
        ),
        ("{apiGroups: [''], resources: [pods], verbs: [get, lsit]}", ".verbs: lsit: no verb; write list"),
        ("{apiGroups: [''], resources: [pods/log, configmaps], verbs: ['*']}", None),
        ("{apiGroups: [metrics.k8s.io], resources: [pods], verbs: [get, list]}", None),
        ("{apiGroups: [argoproj.io], resources: ['*', rollouts/status], verbs: [patch]}", None),
        ("{nonResourceURLs: [/metrics], verbs: [get]}", None),
    ],
)
def test_finds_a_role_for_a_resource_that_does_not_exist(rule: str, expected: str | None, resources: Resources) -> None:
    role = {"kind": "ClusterRole", "metadata": {"name": "a"}, "rules": [yaml.safe_load(rule)]}
    found = list(roles_permit_existing_resources([role], resources))
    assert found == ([f"ClusterRole a: rules[0]{expected}"] if expected else [])


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        ("{kind: Deployment}", "Deployment of the group core: no such kind; write group: apps"),
        (
            "{group: argoproj.io/v1alpha1, kind: Rollout}",
            "Rollout of the group argoproj.io/v1alpha1: no such kind; write group: argoproj.io",
        ),
        ("{group: apps, kind: Deploymnet}", "Deploymnet of the group apps: no such kind; correct its kind"),
        ("{kind: Service}", None),
        ("{group: '*', kind: '*'}", None),
        ("{group: '{{ .group }}', kind: Anything}", None),
    ],
)
def test_finds_an_ignored_difference_of_a_kind_that_does_not_exist(
    difference: str, expected: str | None, crds: Path
) -> None:
    spec = {"template": {"spec": {"ignoreDifferences": [yaml.safe_load(difference)]}}}
    applied = {"kind": "ApplicationSet", "metadata": {"name": "a"}, "spec": spec}
    found = list(ignored_differences_are_of_existing_kinds([applied], crds))
    where = "ApplicationSet a: spec.template.spec.ignoreDifferences[0]"
    assert found == ([f"{where}: {expected}"] if expected else [])


def test_the_resources_of_deployed_crds_exist(crds: Path) -> None:
    versions = [{"name": "v1", "served": True}, {"name": "v1beta1", "served": False}]
    spec = {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "versions": versions}
    deployed = [{"kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"}, "spec": spec}]
    assert resources_of(deployed) == {("example.com", "widgets"): {"v1"}}
    difference = {"ignoreDifferences": [{"group": "example.com", "kind": "Widget"}]}
    applied = {"kind": "Application", "metadata": {"name": "a"}, "spec": difference}
    found = [list(ignored_differences_are_of_existing_kinds([applied], crds, known)) for known in ([], deployed)]
    assert [len(lines) for lines in found] == [1, 0]


_MATCHED = "resourceRules: [{operations: [CREATE, '*'], resources: [pods]}]"
_VALIDATED = "validations: [{expression: 'true', message: a}]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (f"{{matchConstraints: {{{_MATCHED}}}, {_VALIDATED}}}", None),
        (f"{{matchConstraints: {{resourceRules: [{{resources: [pods]}}]}}, {_VALIDATED}}}", None),
        ("{evaluation: {mode: JSON}}", None),
        (
            f"{{matchConstraints: {{}}, {_VALIDATED}}}",
            "spec.matchConstraints.resourceRules: missing: matches nothing; add one",
        ),
        (
            f"{{matchConstraints: {{resourceRules: [{{operations: [CREATE]}}]}}, {_VALIDATED}}}",
            "spec.matchConstraints.resourceRules[0].resources: missing: matches nothing; add one, such as pods",
        ),
        (
            f"{{matchConstraints: {{resourceRules: [{{operations: [create], resources: [a]}}]}}, {_VALIDATED}}}",
            "spec.matchConstraints.resourceRules[0].operations: create: no operation; write CREATE",
        ),
        (
            (
                f"{{autogen: {{podControllers: {{controllers: [deployment]}}}}, matchConstraints: {{{_MATCHED}}}, "
                f"{_VALIDATED}}}"
            ),
            "spec.autogen.podControllers.controllers: deployment: Kyverno ignores it; write deployments",
        ),
        (f"{{matchConstraints: {{{_MATCHED}}}}}", "spec.validations: missing: denies nothing; add one"),
        (
            f"{{matchConstraints: {{{_MATCHED}}}, validations: [{{message: 'not {{{{ x }}}}'}}]}}",
            "spec.validations[0].message: shows {{ as it is; write an expression in messageExpression",
        ),
    ],
)
def test_finds_a_policy_that_denies_nothing(spec: str, expected: str | None) -> None:
    policy = {"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "metadata": {"name": "a"}}
    found = list(policies_deny_something([{**policy, "spec": yaml.safe_load(spec)}]))
    assert found == ([f"ValidatingPolicy a: {expected}"] if expected else [])


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("{group: apps, kind: Deployments}", "Deployments of the group apps: no such kind; write kind: Deployment"),
        ("{group: apps, kind: deployment}", "deployment of the group apps: no such kind; write kind: Deployment"),
        ("{kind: Deployment}", "Deployment of the group core: no such kind; write group: apps"),
        ("{group: app, kind: Deployment}", "Deployment of the group app: no such kind; write group: apps"),
        ("{group: v1, kind: Secret}", "Secret of the group v1: no such kind; write group: ''"),
        (
            "{group: networking.k8s.io/v1, kind: Ingress}",
            "Ingress of the group networking.k8s.io/v1: no such kind; write group: networking.k8s.io",
        ),
        ("{group: argoproj.io, kind: Rollout}", None),
        ("{group: monitoring.coreos.com, kind: Unknown}", None),
        ("{group: serving.knative.dev, kind: Service}", None),
        ("{group: '', kind: Secret}", None),
        ("{group: '*', kind: Anything}", None),
        ("{group: apps/v1, kind: '*'}", "* of the group apps/v1: no such kind; write group: apps"),
    ],
)
def test_finds_a_kind_in_a_project_that_does_not_exist(listed: str, expected: str | None, crds: Path) -> None:
    spec = {"namespaceResourceWhitelist": [yaml.safe_load(listed)]}
    project = {"kind": "AppProject", "metadata": {"name": "a"}, "spec": spec}
    found = list(projects_list_existing_kinds([project], crds))
    assert found == ([f"AppProject a: spec.namespaceResourceWhitelist[0]: {expected}"] if expected else [])


def test_controllers_accept_what_teams_may_write(controllers: Controllers) -> None:
    given: dict[str, list[Json]] = yaml.safe_load((_BROKEN.parent / "valid_for_controllers.yaml").read_text())
    said = controllers.problems(given)
    said_by_rules = {
        name: found
        for name, manifests in given.items()
        if (found := [line for rule in _MANIFEST_RULES.values() for line in rule(manifests)])
    }
    assert (said, said_by_rules) == ({}, {})
