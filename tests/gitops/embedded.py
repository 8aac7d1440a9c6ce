"""What custom resources embed of built-in kinds: Pod templates, Jobs and manifests, as objects of their own.

The API server checks a Pod in a Deployment or a Job, but not one in a Rollout, in an analysis or in a policy that
creates objects: only their controllers find what is wrong, after the merge.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from tests.gitops.rules import is_built_in
from tests.gitops.tree import Json, documents


@dataclass(frozen=True)
class Embedded:
    """A valid object of a built-in kind, if what a custom resource has at `path` is valid."""

    path: str
    manifest: Json
    inner: str = ""
    """Where the object contains it: `spec.template` of a Deployment, for example. The whole object if empty."""

    def translate(self, problem: str) -> str:
        """A problem of the object as one of the custom resource."""
        if self.inner and self.inner in problem:
            return problem.replace(self.inner, self.path, 1)
        return f"{self.path}: {problem}" if self.inner else f"{self.path}: {self.manifest['kind']}: {problem}"


def embedded(manifest: Json) -> Iterator[Embedded]:
    """All objects of built-in kinds in a custom resource; those in a built-in kind are checked with it."""
    if not is_built_in(manifest):
        for key, value in manifest.items():
            yield from _within(key, value)


def _within(path: str, value: object) -> Iterator[Embedded]:
    if isinstance(value, str):
        yield from (Embedded(path, one) for one in _documents(path, value) if _is_manifest(one))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _within(f"{path}[{index}]", item)
    if isinstance(value, dict):
        if _is_manifest(value):
            yield Embedded(path, value)
        elif is_pod_template(value.get("template")) and path.endswith(("job.spec", "jobTemplate.spec")):
            yield Embedded(path, _object("batch/v1", "Job", value), "spec")
        elif is_pod_template(value):
            yield _in_workload(path, value)
        else:
            for key, item in value.items():
                yield from _within(f"{path}.{key}", item)


def _documents(path: str, text: str) -> list[Json]:
    """The documents of a text, unless it is a template or a patch, which are checked where they are rendered."""
    if "\n" not in text or "kind:" not in text or "{{" in text or path.endswith("atch"):
        return []
    try:
        return [one for one in documents(text) if isinstance(one, dict)]
    except yaml.YAMLError:
        return []  # another language, such as CEL


def _is_manifest(value: Json) -> bool:
    named = isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str)
    return named and is_built_in(value) and bool({"metadata", "spec"} & value.keys())


def is_pod_template(value: object) -> bool:
    spec = value.get("spec") if isinstance(value, dict) else None
    return isinstance(spec, dict) and bool({"containers", "initContainers"} & spec.keys())


def _in_workload(path: str, template: Json) -> Embedded:
    """A Deployment, which requires a selector; or a Job, if the Pods end."""
    if template["spec"].get("restartPolicy", "Always") != "Always":
        return Embedded(path, _object("batch/v1", "Job", {"template": template}), "spec.template")
    labels = (template.get("metadata") or {}).get("labels") or {"embedded": "true"}
    labelled = {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}
    spec = {"selector": {"matchLabels": labels}, "template": labelled}
    return Embedded(path, _object("apps/v1", "Deployment", spec), "spec.template")


def _object(api_version: str, kind: str, spec: Json) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "embedded"}, "spec": spec}
