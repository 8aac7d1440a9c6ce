"""The services: names in Rollouts, changes of images by pipelines and Argo CD, and consistency with Terraform."""

import difflib
import re
import shutil
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from eks_gitops.engines import ENGINES
from stacks.settings import Owner, Region
from tests import ROOT
from tests.gitops.problems import fail_with
from tests.gitops.rules import of_kind
from tests.gitops.rules_of_argo_cd import PLACEHOLDER_NETWORK
from tests.gitops.tree import Json, Renderer, overlays

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")

SERVICES = sorted(path for path in (ROOT / "service").iterdir() if path.is_dir())
KUSTOMIZED = [service for service in SERVICES if (service / "base").is_dir()]
OVERLAYS = sorted(path for service in KUSTOMIZED for path in (service / "overlays").iterdir())
PUBLISHED = ROOT.parent / "shared" / "data" / "rollout-transform-kustomize-v5.yaml"
FIELDS = "rollout-fields.yaml"
NAMES = Path(__file__).parent / "names"
_POD_IDENTITY = "169.254.170.23/32"
TAG, DIGEST = "2.0.0", f"sha256:{'2' * 64}"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT / "service"))


def _build(kustomize: Path, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run([kustomize, "build", folder], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no warnings about deprecated fields
    return [document for document in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if document]


def _one(manifests: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    (found,) = [one for one in manifests if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


@pytest.fixture
def copied(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The overlay of the test, in a copy of its service."""
    overlay: Path = request.param
    shutil.copytree(overlay.parents[1], tmp_path / "service")
    return tmp_path / "service" / overlay.relative_to(overlay.parents[1])


on_every_overlay = pytest.mark.parametrize("copied", OVERLAYS, ids=_name, indirect=True)


def _set_image(kustomize: Path, overlay: Path, image: str) -> list[str]:
    """The lines that `kustomize edit set image` removes or adds."""
    file = overlay / "kustomization.yaml"
    before = file.read_text().splitlines()
    done = subprocess.run(
        [kustomize, "edit", "set", "image", image], cwd=overlay, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    delta = difflib.ndiff(before, file.read_text().splitlines())
    return [line for line in delta if line.startswith(("-", "+"))]


@on_every_overlay
@pytest.mark.parametrize("form", ["{0}={0}:{1}@{2}", "{0}=*:{1}@{2}"])
def test_set_image_changes_only_the_tag_and_the_digest(copied: Path, form: str, kustomize: Path) -> None:
    service = yaml.safe_load((copied / "kustomization.yaml").read_text())["images"][0]["name"]
    changed = _set_image(kustomize, copied, form.format(service, TAG, DIGEST))
    assert [line[0] + line[1:].split()[-2] for line in changed] == ["-digest:", "+digest:", "-newTag:", "+newTag:"]
    image = _one(_build(kustomize, copied), "Rollout")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"{service}:{TAG}@{DIGEST}"


@on_every_overlay
def test_argo_cd_sets_the_registry_and_keeps_the_tag_and_the_digest(copied: Path, kustomize: Path) -> None:
    (delivered,) = yaml.safe_load((copied / "kustomization.yaml").read_text())["images"]
    _set_image(kustomize, copied, f"{delivered['name']}=registry.example/{delivered['name']}:*@*")
    image = _one(_build(kustomize, copied), "Rollout")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.example/{delivered['name']}:{delivered['newTag']}@{delivered['digest']}"


# Names


def test_rollout_fields_are_the_same_for_every_service() -> None:
    fail_with(
        f"service/{service.name}/base/{FIELDS}: not as in service/{KUSTOMIZED[0].name}; write the same in both"
        for service in KUSTOMIZED[1:]
        if (service / "base" / FIELDS).read_text() != (KUSTOMIZED[0] / "base" / FIELDS).read_text()
    )


def _fields(file: Path) -> set[tuple[str, ...]]:
    """All fields of a transformer configuration, with the kinds that they reference."""
    configuration = yaml.safe_load(file.read_text())
    named = configuration.pop("nameReference")
    return {("nameReference", to["kind"], at["kind"], at["path"]) for to in named for at in to["fieldSpecs"]} | {
        (transformer, at["kind"], at["path"]) for transformer, fields in configuration.items() for at in fields
    }


def _of_other_kinds(fields: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Fields of kinds and routers that the platform does not have, and of transformers that the services do not use."""
    absent = re.compile(r"Experiment$|common(Labels|Annotations)|varReference|/(ambassador|istio|nginx)/")
    return {field for field in fields if any(absent.search(part) for part in field)}


def test_rollout_fields_have_all_published_ones() -> None:
    if not PUBLISHED.is_file():
        pytest.skip(f"published file not found: {PUBLISHED.name} in {PUBLISHED.parent.name}/")
    published = _fields(PUBLISHED)
    assert published - _of_other_kinds(published) - _fields(KUSTOMIZED[0] / "base" / FIELDS) == set()


def _renamed(tmp_path: Path, service: Path, kustomize: Path) -> list[dict[str, Any]]:
    shutil.copytree(service, tmp_path / "service")
    (tmp_path / "kustomization.yaml").write_text(f"""\
namePrefix: eu-
resources:
- service/overlays/prod
replicas:
- count: 7
  name: {service.name}
labels:
- includeTemplates: true
  pairs:
    continent: europe
""")
    return _build(kustomize, tmp_path)


@pytest.mark.parametrize("service", KUSTOMIZED, ids=_name)
def test_every_name_in_a_rollout_is_updated_when_its_object_is_renamed(
    service: Path, tmp_path: Path, kustomize: Path
) -> None:
    manifests = _renamed(tmp_path, service, kustomize)
    rollout = _one(manifests, "Rollout")
    strategy = rollout["spec"]["strategy"]
    names = re.compile(r"(?m)(canary|ping|pong|root|stable|)(Service|ingress|templateName): (.*)$")
    kinds = {"Service": "Service", "ingress": "Ingress", "templateName": "AnalysisTemplate"}
    spec = rollout["spec"]["template"]["spec"]
    named = [
        *[(kinds[field], name) for _, field, name in names.findall(_text(strategy))],
        ("ServiceAccount", spec["serviceAccountName"]),
        ("ConfigMap", spec["containers"][0]["envFrom"][0]["configMapRef"]["name"]),
        ("Rollout", _one(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"]),
    ]
    assert len(named) >= 4
    # Whether an object exists at all is a matter of rules_of_names.py.
    renamed = {(one["kind"], re.sub(r"^eu-|-[a-z0-9]{10}$", "", one["metadata"]["name"])) for one in manifests}
    fail_with(
        f"Rollout {service.name}: {kind} {name}: not renamed with its object; add its field to {FIELDS}"
        for kind, name in named
        if not name.startswith("eu-") and (kind, name) in renamed
    )


def test_every_kind_of_name_in_a_rollout_is_updated(tmp_path: Path, kustomize: Path) -> None:
    """Each name has its own object, and each object another new name: `everything.yaml` names all of them."""
    shutil.copy(KUSTOMIZED[0] / "base" / FIELDS, tmp_path)
    shutil.copytree(NAMES, tmp_path, dirs_exist_ok=True)
    manifests = _build(kustomize, tmp_path)
    before = [one for one in yaml.safe_load_all((NAMES / "everything.yaml").read_text()) if one["kind"] in _NAMING]
    after = [one for one in manifests if one["kind"] in _NAMING]
    assert sorted(_NAME.sub(r"eu-\g<0>", _text(one)) for one in before) == sorted(_text(one) for one in after)
    assert {name for one in before for name in _NAME.findall(_text(one))} == {
        name.removeprefix("eu-") for name in (one["metadata"]["name"] for one in manifests)
    }


_NAMING = {"AnalysisTemplate", "HorizontalPodAutoscaler", "Rollout"}
_NAME = re.compile(r"\bsome-[a-z0-9-]+\b")


@pytest.mark.parametrize("service", KUSTOMIZED, ids=_name)
def test_replicas_and_labels_are_applied_to_a_rollout(service: Path, tmp_path: Path, kustomize: Path) -> None:
    rollout = _one(_renamed(tmp_path, service, kustomize), "Rollout")
    assert rollout["spec"]["replicas"] == 7
    assert rollout["spec"]["template"]["metadata"]["labels"]["continent"] == "europe"
    assert "continent" not in rollout["spec"]["selector"]["matchLabels"]


def _text(value: object) -> str:
    return str(yaml.safe_dump(value))


def test_config_map_of_the_previous_version_is_not_pruned(kustomize: Path) -> None:
    """Its name contains a hash. Pods of the stable version that start during a canary still need it."""
    wanted = {
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "argocd.argoproj.io/sync-options": "Prune=false",
    }
    fail_with(
        f"service/{_name(overlay)}: ConfigMap {one['metadata']['name']}: metadata.annotations.{key}: "
        f"{(one['metadata'].get('annotations') or {}).get(key, 'missing')}; write {value}"
        for overlay in OVERLAYS
        for one in _build(kustomize, overlay)
        if one["kind"] == "ConfigMap" and re.fullmatch(r"[a-z0-9-]+-[a-z0-9]{10}", one["metadata"]["name"])
        for key, value in wanted.items()
        if (one["metadata"].get("annotations") or {}).get(key) != value
    )


@pytest.mark.parametrize("service", KUSTOMIZED, ids=_name)
def test_environments_have_the_same_objects(service: Path, kustomize: Path) -> None:
    """Except for the ExternalSecret and NetworkPolicy of a database, which not every environment has."""
    objects = {
        overlay: {
            f"{one['kind']} {re.sub(r'-[a-z0-9]{10}$', '', one['metadata']['name'])}"
            for one in _build(kustomize, overlay)
            if one["metadata"]["name"] != "database"
        }
        for overlay in sorted((service / "overlays").iterdir())
    }
    fail_with(
        f"service/{_name(overlay)}: no {missing}, as other environments have; add it to service/{service.name}/base"
        for overlay, found in objects.items()
        for missing in sorted(set().union(*objects.values()) - found)
    )


@pytest.mark.parametrize("name", ["releases", "services"])
def test_argo_cd_ignores_the_service_selectors_of_argo_rollouts(name: str) -> None:
    """Otherwise a sync would reset the selector for a moment, and the next rollout would skip its analyses."""
    applied = yaml.safe_load((ROOT / "management" / "bootstrap" / "sets" / f"{name}.yaml").read_text())
    spec = applied["spec"]["template"]["spec"]
    assert "RespectIgnoreDifferences=true" in spec["syncPolicy"]["syncOptions"]
    ignored = {"kind": "Service", "jqPathExpressions": ['.spec.selector["rollouts-pod-template-hash"]']}
    assert ignored in spec["ignoreDifferences"]


# Consistency with Terraform


def test_every_service_has_an_image_repository_in_every_region(own: tuple[Owner, list[Region]]) -> None:
    _, regions = own
    for region in regions:
        repositories = {repository.name for repository in region.shared.image_repositories}
        fail_with(
            f"service/{service.name}: no image repository in {region.name}; add it to image_repositories of shared.py"
            for service in SERVICES
            if service.name not in repositories
        )


def test_every_overlay_belongs_to_an_environment(own: tuple[Owner, list[Region]]) -> None:
    """No cluster deploys one of another name."""
    _, regions = own
    known = {environment.name for region in regions for environment in region.environments}
    fail_with(
        f"{overlay.folder.relative_to(ROOT)}: no such environment; write one of {', '.join(sorted(known))}"
        for overlay in overlays()
        if overlay.folder.name not in known
    )


def test_every_database_exists_in_the_environment_that_uses_it(own: tuple[Owner, list[Region]]) -> None:
    _, regions = own
    problems = []
    for environment in (environment for region in regions for environment in region.environments):
        databases = [database.name for database in environment.settings.databases]
        for overlay in (overlay for overlay in overlays() if overlay.folder.name == environment.name):
            name = overlay.settings["database"]
            if name not in ["", *databases]:
                known = f"write one of {', '.join(databases)}" if databases else "it has none"
                where = overlay.marker.relative_to(ROOT)
                problems.append(f"{where}: database: {name}: no database of {environment.file}; {known}")
    fail_with(problems)


def _opened(manifests: Sequence[Json]) -> set[int]:
    """The ports to which NetworkPolicies permit requests of a service."""
    rules = [rule for one in of_kind(manifests, "NetworkPolicy") for rule in one["spec"].get("egress") or []]
    return {entry["port"] for rule in rules for entry in rule.get("ports") or []}


def test_every_service_may_reach_the_port_of_its_database(
    committed: tuple[Owner, list[Region]], renderer: Renderer
) -> None:
    """The port differs by engine: 5432 of PostgreSQL, 3306 of MySQL."""
    _, regions = committed
    problems = []
    for environment in (environment for region in regions for environment in region.environments):
        ports = {database.name: ENGINES[database.engine].port for database in environment.settings.databases}
        for overlay in (overlay for overlay in overlays() if overlay.folder.name == environment.name):
            port = ports.get(overlay.settings["database"])
            if port is not None and port not in _opened(renderer.overlay(overlay)):
                where = overlay.folder.relative_to(ROOT)
                problems.append(f"{where}: no NetworkPolicy permits requests to the database's port {port}; add it")
    fail_with(problems)


def test_only_the_cluster_says_which_network_its_vpc_has() -> None:
    """A network in Git would be that of one region. The ApplicationSets set that of the cluster."""
    fail_with(
        f"{file.relative_to(ROOT)}: cidr: {cidr}: of one VPC; write {PLACEHOLDER_NETWORK}, and patch it"
        for folder in ("service", "management", "helm")
        for file in (ROOT / folder).rglob("*.yaml")
        for cidr in re.findall(r"(?i)cidr: ([\d./]+)", file.read_text())
        if IPv4Network(cidr).is_private and cidr not in {PLACEHOLDER_NETWORK, _POD_IDENTITY}
    )
