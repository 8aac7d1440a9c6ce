"""What is checked in the files of the tree without any program: the schemas of Kubernetes, and the commonest mistakes.

With Go, the controllers themselves check the rendered manifests, and find much more: see `controllers.py`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import yaml

from eks_gitops.versions import EKS_NEWEST_VERSION
from operations.upgrade import removed_apis
from tests.gitops.quantities import amount, wrong_quantities
from tests.gitops.rules import is_built_in, name_of, of_kind, within
from tests.gitops.tree import Json, documents, files, read

KUBERNETES = EKS_NEWEST_VERSION
"""The version of the schemas: what only a newer one has, the clusters would drop."""


def unreadable_files(root: Path) -> Iterator[str]:
    """The YAML and JSON files that are none, each with the line of the mistake. Templates are rendered before."""
    for file in files(root):
        is_template = file.parent.name == "templates" and (file.parents[1] / "Chart.yaml").is_file()
        if file.suffix in {".yaml", ".yml", ".json"} and not is_template:
            try:
                documents(file.read_text())
            except yaml.MarkedYAMLError as error:
                line = error.problem_mark.line + 1 if error.problem_mark else 1
                yield f"{file.relative_to(root)}:{line}: {error.problem}; correct the {file.suffix[1:].upper()}"
            except (UnicodeDecodeError, yaml.YAMLError) as error:
                yield f"{file.relative_to(root)}: {' '.join(str(error).split())}; write text in UTF-8"


def manifests_of_files(root: Path) -> Iterator[tuple[Path, Json, bool]]:
    """The manifests in files that are no templates, each with whether it is complete and not a patch."""
    targets = _patches(root)
    for folder in ("management", "service"):
        for file in sorted((root / folder).rglob("*.yaml")):
            target = targets.get(file)
            skipped = file.name == "kustomization.yaml" or "templates" in file.parts
            found: list[Any] = [] if skipped else [*documents(file.read_text())]
            for document in found:
                if isinstance(document, list) and target:
                    for operation in document:
                        yield file, {**target, **_nested(operation["path"], operation.get("value"))}, False
                elif isinstance(document, dict) and {"apiVersion", "kind"} <= document.keys():
                    yield file, document, target is None


def _patches(root: Path) -> dict[Path, Json]:
    """The files with patches, each with the beginning of the manifest that it changes."""
    found = {}
    for folder in ("management", "service"):
        for file in (root / folder).rglob("kustomization.yaml"):
            for patch in read(file).get("patches") or []:
                if "path" in patch:
                    target = {"kind": "any", "name": "any", **patch.get("target", {})}
                    name = {"name": target["name"]}
                    found[file.parent / patch["path"]] = {"apiVersion": "any", "kind": target["kind"], "metadata": name}
    return found


def _nested(pointer: str, value: Any) -> Json:
    """The value of an operation of a JSON patch, in the objects above it."""
    for part in reversed(pointer.split("/")[1:]):
        value = [value] if part.isdigit() or part == "-" else {part: value}
    return dict(value)


def manifest_matches_the_schema(manifest: Json) -> Iterator[str]:
    """The schemas are in the package kubernetes-validate. A patch may add what a base lacks."""
    if is_built_in(manifest):
        try:
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        except kubernetes_validate.ValidationError as error:
            if error.validator != "required":
                field = ".".join(str(part) for part in error.path)
                known = f"see the API of Kubernetes {KUBERNETES}, the newest of EKS"
                yield f"{name_of(manifest)}: {field}: {error.message}; {known}"
        except kubernetes_validate.SchemaNotFoundError:  # of a CRD, or no longer served
            version, minor = manifest["apiVersion"], int(KUBERNETES.partition(".")[2])
            if removed_apis.in_text(f"apiVersion: {version}\nkind: {manifest['kind']}\n", minor):
                where = f"{name_of(manifest)}: apiVersion: {version}"
                yield f"{where}: Kubernetes {KUBERNETES} does not serve it; write the version that replaces it"


def steps_of_rollouts_are_valid(manifest: Json) -> Iterator[str]:
    """Source: ValidateRolloutStrategy and RolloutPause.DurationSeconds of Argo Rollouts 1.10.2."""
    for rollout in of_kind([manifest], "Rollout"):
        strategy = rollout.get("spec", {}).get("strategy") or {}
        if {"canary", "blueGreen"} <= strategy.keys():
            yield f"{name_of(rollout)}: spec.strategy: canary and blueGreen; remove one"
        for index, step in enumerate((strategy.get("canary") or {}).get("steps") or []):
            field = f"{name_of(rollout)}: spec.strategy.canary.steps[{index}]"
            actions = sorted({"analysis", "experiment", "pause", "setWeight"} & step.keys())
            if len(actions) > 1:
                yield f"{field}: {', '.join(actions)}; write a step for each"
            weight = step.get("setWeight", 0)
            if type(weight) is not int or not 0 <= weight <= 100:
                yield f"{field}.setWeight: {weight}; write a number from 0 to 100"
            duration = (step.get("pause") or {}).get("duration", 0)
            if not re.fullmatch(r"\d+|(\d+(\.\d+)?(h|m|s|ms|us|ns))+", str(duration)):
                yield f"{field}.pause.duration: {duration}; write a number of seconds, or such as 30s, 5m or 1h"


def requests_are_below_limits(manifest: Json) -> Iterator[str]:
    """Source: ValidateResourceRequirements of Kubernetes 1.36. No API server applies it to Pods in custom resources."""
    for holder in within(manifest):
        for container in holder.get("containers") or []:
            resources = (container.get("resources") if isinstance(container, dict) else None) or {}
            for name, limit in (resources.get("limits") or {}).items():
                request = (resources.get("requests") or {}).get(name, limit)
                if (amount(request) or 0) > (amount(limit) or 0) and amount(limit) is not None:
                    field = f"{container.get('name', 'containers')}: requests.{name}"
                    yield f"{name_of(manifest)}: {field}: {request}; write at most its limit, {limit}"


def quantities_are_valid(manifest: Json) -> Iterator[str]:
    yield from (f"{name_of(manifest)}: {line}" for line in wrong_quantities(manifest))


ALL = (steps_of_rollouts_are_valid, quantities_are_valid, requests_are_below_limits)
