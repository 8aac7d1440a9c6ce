"""The diff of the objects that Argo CD applies: two revisions are rendered and compared for each environment.

Kustomize renders the overlays of services and the manifests of platform components; Helm renders charts. The
ApplicationSets later add the values that only the cluster knows (registry, domain, account); the diff does not show
them.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from operations.clients import process
from operations.errors import OperationError
from operations.output.report import Report, Status, counted
from operations.output.report import markdown as plain
from operations.repository import revision, settings_files
from operations.repository.text import read_yaml

if TYPE_CHECKING:
    import yaml

_HIDDEN = "(hidden)"
_LIMIT = 12_000
_CHART = Path("helm/my-app")


@dataclass(frozen=True)
class Source:
    """The source of an Application.

    `environment` is the environment of a service, or the label of the clusters for which a component differs, such as
    `production`; it is empty if the manifests are the same for all.
    """

    name: str
    environment: str
    render: Callable[[], str]
    inputs: tuple[Path, ...]
    """The folders that the rendered manifests depend on."""


def diff(base: str, repository: Path = Path()) -> Report:
    """Compare the manifests of the work tree with those of a revision.

    Raises:
        OperationError: if the revision does not exist. A source that cannot be rendered is reported with the others.
    """
    with revision.exported(base, repository) as old:
        before, after = sources(old), sources(repository.absolute())
        order = ["", *settings_files.environments(repository)]
        names = sorted(
            {*before, *after}, key=lambda key: (order.index(key[1]) if key[1] in order else len(order), key[1], key[0])
        )
        changed: dict[str, dict[str, str]] = {}
        problems, notes = [], []
        for key in names:
            name, environment = key
            if _same_inputs(before.get(key), after.get(key)):
                continue
            was: dict[str, str] = {}
            try:
                now = _objects(after.get(key))
            except OperationError as error:
                problems.append(f"{name}: {error}")
                continue
            try:
                was = _objects(before.get(key))
            except OperationError as error:  # the work tree may fix the error
                notes.append(f"{name}: all objects are shown as new, because {base} cannot be rendered: {error}")
            text = _compared(was, now)
            if text:
                changed.setdefault(environment or "every environment", {})[name] = text
    return _manifests_report(changed, problems, notes)


def sources(root: Path) -> dict[tuple[str, str], Source]:
    """All sources that Argo CD renders from a work tree, by name and environment."""
    found = [*_services(root), *_components(root)]
    return {(source.name, source.environment): source for source in found}


def charts(root: Path, kubernetes: str) -> list[Source]:
    """The charts of the platform components, rendered for a Kubernetes version, with each of their values.

    Helm fails if the `kubeVersion` of a chart excludes the version.
    """
    return [
        Source(
            folder.name,
            variant,
            partial(_charted(folder, component, variant), "--kube-version", kubernetes),
            (folder,),
        )
        for folder, component in _described(root)
        if component.get("chart")
        for variant in _variants(folder)
    ]


def _services(root: Path) -> Iterable[Source]:
    for overlay in sorted(root.glob("service/*/overlays/*")):
        service, environment = overlay.parents[1].name, overlay.name
        name = f"{service}-{environment}"
        if (overlay / "kustomization.yaml").is_file():
            yield Source(name, environment, _kustomized(overlay), (overlay.parents[1],))
        elif (overlay / "values.yaml").is_file():
            chart = root / _CHART
            command = ("template", service, str(chart), "--namespace", name, "--values", str(overlay / "values.yaml"))
            yield Source(name, environment, partial(_run, "helm", *command), (overlay, chart))


def _described(root: Path) -> Iterable[tuple[Path, dict[str, Any]]]:
    """The folder of each component, with the content of its `component.yaml`."""
    for file in sorted(root.glob("management/*/component.yaml")):
        component = read_yaml(file) or {}
        if not isinstance(component, dict):
            raise OperationError(f"{file}: not a mapping; correct it")
        yield file.parent, component


def _components(root: Path) -> Iterable[Source]:
    for folder, component in _described(root):
        for manifests in [folder / "manifests", *sorted(folder.glob("overlays/*"))]:
            if (manifests / "kustomization.yaml").is_file():
                variant = "" if manifests.name == "manifests" else manifests.name
                yield Source(f"{folder.name} (manifests)", variant, _kustomized(manifests), (folder,))
        chart = component.get("chart") or {}
        if chart:
            for variant in _variants(folder):
                yield Source(f"{folder.name} (chart)", variant, _charted(folder, component, variant), (folder,))
    bootstrap = root / "management" / "bootstrap"
    if (bootstrap / "Chart.yaml").is_file():
        known = "repositoryURL=https://git.example.com/platform"
        environment = "environments[0].name=ENVIRONMENT,environments[0].production=true"
        command = ("template", "bootstrap", str(bootstrap), "--set", known, "--set", environment)
        yield Source("bootstrap", "", partial(_run, "helm", *command), (bootstrap,))


def _variants(folder: Path) -> list[str]:
    """The labels for which a component has further values of its chart; empty for the common values alone."""
    return sorted({"", *(path.stem.removeprefix("values-") for path in folder.glob("values-*.yaml"))})


def _kustomized(folder: Path) -> Callable[[], str]:
    return partial(_run, "kustomize", "build", str(folder))


def _charted(folder: Path, component: Mapping[str, Any], variant: str) -> Callable[..., str]:
    chart = component["chart"]
    repository = str(chart["repository"])
    is_oci = "://" not in repository
    name = (f"oci://{repository}/{chart['name']}",) if is_oci else (chart["name"], "--repo", repository)
    values = [folder / "values.yaml", folder / f"values-{variant}.yaml"]
    files = [argument for path in values if path.is_file() for argument in ("--values", str(path))]
    command = ("template", folder.name, *name, "--version", str(chart["version"]), "--include-crds")
    return partial(_run, "helm", *command, "--namespace", str(component["namespace"]), *files)


def _run(program: str, *arguments: str) -> str:
    run = process.run(program, *arguments)
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["failed"]
        reasons = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
        raise OperationError(f"{program} {arguments[0]}: {(reasons or lines)[-1]}")
    return run.stdout


def _same_inputs(before: Source | None, after: Source | None) -> bool:
    """Whether all input files are the same, so that nothing needs to be rendered."""
    if before is None or after is None or len(before.inputs) != len(after.inputs):
        return False
    return all(_files(old) == _files(new) for old, new in zip(before.inputs, after.inputs, strict=True))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _objects(source: Source | None) -> dict[str, str]:
    """Each object as YAML, by API version, kind and name. The values of Secrets are hidden."""
    if source is None:
        return {}
    found = {}
    for document in yaml.load_all(source.render(), Loader=yaml.CSafeLoader):
        if not document:
            continue
        metadata = document.get("metadata") or {}
        name = "/".join(filter(None, (metadata.get("namespace", ""), str(metadata.get("name", "")))))
        key = f"{document.get('apiVersion', '')} {document.get('kind', '')} {name}"
        found[key] = yaml.dump(_without_secrets(document), Dumper=_dumper(), allow_unicode=True, width=10_000)
    return found


@cache
def _dumper() -> "type[yaml.SafeDumper]":
    """A dumper that writes multi-line strings as blocks, so that the diff shows them line by line."""

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    return Dumper


def _without_secrets(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if document.get("kind") != "Secret":
        return document
    hidden = {field: dict.fromkeys(document[field], _HIDDEN) for field in ("data", "stringData") if document.get(field)}
    metadata = dict(document.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    if "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = _HIDDEN
        metadata["annotations"] = annotations
    return {**document, **hidden, "metadata": metadata}


def _compared(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    texts: list[str] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, ""), after.get(key, "")
        if old != new:
            where = (f"{key} (before)" if old else "none", f"{key} (after)" if new else "none")
            texts += difflib.unified_diff(old.splitlines(), new.splitlines(), *where, lineterm="")
    return "\n".join(texts)


def _manifests_report(changed: Mapping[str, Mapping[str, str]], problems: list[str], notes: list[str]) -> Report:
    count = sum(len(names) for names in changed.values())
    title = f"{counted(count, 'application')} with changes in {', '.join(changed)}" if count else "no manifest changes"
    if problems:
        title = title if count else "manifest changes unknown"
        title += f"; {counted(len(problems), 'application')} could not be rendered"
    status = Status.ERROR if problems else Status.ATTENTION if count else Status.FINE
    notes = [*(f"error: {problem}" for problem in problems), *notes]
    notes += ["the values of Secrets are hidden; changes to them are not shown"] if count else []
    return Report(title, status, {"environments": changed, "errors": problems}, notes=notes)


def markdown(report: Report) -> str:
    """The report as Markdown, with the diff of each application folded."""
    parts = [plain(report)]
    for environment, names in report.data["environments"].items():
        parts.append(f"#### {environment}\n")
        for name, text in names.items():
            shown = (
                text
                if len(text) <= _LIMIT
                else text[:_LIMIT].rsplit("\n", 1)[0] + "\n(shortened; run `diff-manifests` for the rest)"
            )
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", shown)), 3)
            parts.append(f"<details><summary>{name}</summary>\n\n{fence}diff\n{shown}\n{fence}\n</details>\n")
    return "\n".join(parts)
