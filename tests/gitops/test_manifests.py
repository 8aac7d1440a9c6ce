"""Validates all manifests that Argo CD applies with the schemas of Kubernetes and CRDs. Rejects unknown fields."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.gitops.schemas import Schemas
from tests.gitops.tree import Json, Overlay, Renderer, components, documents, entries, overlays

DEFINITIONS = ROOT.parent / "shared" / "schemas"


class Validator:
    """kubeconform with the schemas of Kubernetes and of the CRDs."""

    def __init__(self, kubeconform: Path, schemas: Schemas) -> None:
        self._command = [str(kubeconform), "-output=json", f"-schema-location={schemas.location}"]
        self._schemas = schemas

    def problems(self, manifests: list[Json]) -> list[str]:
        for manifest in manifests:
            self._schemas.provide(manifest["kind"], manifest["apiVersion"])
        if not manifests:
            return []
        done = subprocess.run(
            self._command,
            input=yaml.dump_all(manifests, Dumper=yaml.CSafeDumper),
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.stdout, done.stderr
        found = json.loads(done.stdout)["resources"]
        return [f"{resource['kind']} {resource['name']}: {resource['msg']}" for resource in found]


@pytest.fixture(scope="session")
def validator(kubeconform: Path, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    if not DEFINITIONS.is_dir():
        pytest.skip("CRDs not found: schemas/ in shared/")
    return Validator(kubeconform, Schemas(DEFINITIONS, tmp_path_factory.mktemp("schemas")))


def test_components_and_entries_are_found() -> None:
    assert {"karpenter", "kyverno", "policies"} <= {component.name for component in components()}
    assert len(entries()) > len(components())


@pytest.mark.parametrize("entry", entries(), ids=lambda path: str(path.relative_to(ROOT)))
def test_output_of_kustomize_matches_the_schemas(entry: Path, renderer: Renderer, validator: Validator) -> None:
    assert validator.problems(renderer.kustomize(entry)) == []


@pytest.mark.parametrize("release", [one for one in overlays() if not one.is_kustomized], ids=lambda one: one.namespace)
def test_output_of_the_chart_matches_the_schemas(release: Overlay, renderer: Renderer, validator: Validator) -> None:
    assert validator.problems(renderer.overlay(release)) == []


def test_bootstrap_manifests_match_the_schemas(rendered: dict[str, list[Json]], validator: Validator) -> None:
    if "management/bootstrap" not in rendered:
        pytest.skip("management/bootstrap not found")
    assert {manifest["kind"] for manifest in rendered["management/bootstrap"]} == {"AppProject", "ApplicationSet"}
    assert validator.problems(rendered["management/bootstrap"]) == []
    projects = [one["metadata"]["name"] for one in rendered["management/bootstrap"] if one["kind"] == "AppProject"]
    assert {"default", "management"} < set(projects)  # Argo CD would create the first one with all permissions


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selectors: {}}}", "selectors"),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: two}}", "/spec/replicas"),
        ("{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: a}, spec: {stratgy: {}}}", "stratgy"),
        ("{apiVersion: external-secrets.io/v1, kind: ExternalSecret, metadata: {name: a, label: {}}}", "label"),
        ("{apiVersion: external-secrets.io/v1beta1, kind: ExternalSecret, metadata: {name: a}}", "could not find"),
        ("{apiVersion: karpenter.sh/v1, kind: NodePool, metadata: {name: a, labels: {on: true}}}", "labels"),
    ],
)
def test_finds_invalid_and_unknown_fields(manifest: str, message: str, validator: Validator) -> None:
    (problem, *_) = validator.problems(documents(manifest))
    assert message in problem
