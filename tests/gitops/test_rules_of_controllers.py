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
from tests.gitops.rules_of_policies import Resources, known_resources, policies_select_existing_resources
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


def test_policies_select_existing_resources(rendered: dict[str, list[Json]], resources: Resources) -> None:
    manifests = [manifest for entry in rendered.values() for manifest in entry]
    fail_with(policies_select_existing_resources(manifests, resources))


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


def test_controllers_accept_what_teams_may_write(controllers: Controllers) -> None:
    given: dict[str, list[Json]] = yaml.safe_load((_BROKEN.parent / "valid_for_controllers.yaml").read_text())
    said = controllers.problems(given)
    said_by_rules = {
        name: found
        for name, manifests in given.items()
        if (found := [line for rule in _MANIFEST_RULES.values() for line in rule(manifests)])
    }
    assert (said, said_by_rules) == ({}, {})
