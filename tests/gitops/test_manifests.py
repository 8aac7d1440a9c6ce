"""The API server, Argo Rollouts and Argo CD accept every manifest of the tree, and refuse the broken ones."""

import json
from collections.abc import Mapping
from functools import cache

import pytest

from operations.local.cluster.handover import handover
from tests import ROOT
from tests.gitops import broken_fields
from tests.gitops.controllers import Controllers, Problems, RenderedSets
from tests.gitops.problems import fail_with, fail_with_entries
from tests.gitops.rules import of_kind
from tests.gitops.tree import Json, components, documents, entries
from tests.template import Template

ENVIRONMENTS = ("dev", "staging", "prod")

# What is said to fields that only newer versions than those in operations/local/cluster/modules know (Argo CD 3.2.11,
# the CRDs of External Secrets 1.3.2), each with the version that knows it.
NEWER_FIELDS: Mapping[str, str] = {}

CASES = broken_fields.cases()
_OF_ARGO_CD = ("AppProject", "Application", "ApplicationSet")


class Judges:
    """The controllers, with an Argo CD in the cluster of each environment."""

    def __init__(self, controllers: Controllers, platform: dict[str, Template]) -> None:
        self._controllers = controllers
        self._platform = platform
        self.problems = controllers.problems

    def rendered(self, entries: Mapping[str, list[Json]], environment: str) -> RenderedSets:
        """What Argo CD of an environment says, with the objects that Terraform creates for it."""
        secret, *others = self._handover(environment)
        given = {name: [*manifests, *others] for name, manifests in entries.items()}
        return self._controllers.rendered(given, ROOT, secret)

    @cache  # noqa: B019  (lives as long as the session)
    def _handover(self, environment: str) -> list[Json]:
        made = handover(self._platform[f"ap-northeast-2-{environment}-gitops"].raw, ROOT, "main")
        text = json.dumps(made).replace(f"file://{ROOT}", "https://git.example/platform.git")
        found: list[Json] = json.loads(text)
        return found


@pytest.fixture(scope="session")
def judges(controllers: Controllers, platform: dict[str, Template]) -> Judges:
    return Judges(controllers, platform)


def test_components_and_entries_are_found() -> None:
    assert {"karpenter", "kyverno", "policies"} <= {component.name for component in components()}
    assert len(entries()) > len(components())


def test_the_api_server_and_argo_rollouts_accept_every_manifest(
    controllers: Controllers, rendered: dict[str, list[Json]]
) -> None:
    said = {problem for problems in controllers.problems(rendered).values() for problem in problems}
    fail_with(sorted(said - NEWER_FIELDS.keys()))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_argo_cd_accepts_what_it_renders(environment: str, judges: Judges, rendered: dict[str, list[Json]]) -> None:
    made = judges.rendered({"bootstrap": rendered["management/bootstrap"]}, environment)
    fail_with_entries(made.problems)
    fail_with(sorted(set(made.newer) - NEWER_FIELDS.keys()))
    names = {application["metadata"]["name"] for application in made.applications["bootstrap"]}
    assert {f"monitoring-{environment}", f"guestbook-{environment}"} <= names
    fail_with_entries(judges.problems(made.applications))


def test_bootstrap_has_the_default_project(rendered: dict[str, list[Json]]) -> None:
    projects = {one["metadata"]["name"] for one in of_kind(rendered["management/bootstrap"], "AppProject")}
    assert {"default", "management"} < projects  # Argo CD would create the first one with all permissions


@pytest.fixture(scope="session")
def refused(judges: Judges, rendered: dict[str, list[Json]]) -> Problems:
    """What is said to each broken manifest, all in one run."""
    given = {str(number): broken_fields.manifests(case, rendered) for number, case in enumerate(CASES)}
    found = judges.problems(given)
    made = judges.rendered({name: each for name, each in given.items() if of_kind(each, *_OF_ARGO_CD)}, "dev")
    for problems in (made.problems, judges.problems(made.applications)):
        for name, lines in problems.items():
            found[name] = [*found.get(name, []), *[line for line in lines if line not in found.get(name, [])]]
    return found


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
