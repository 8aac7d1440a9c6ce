"""Rules for the resources that policies, roles and Applications name: the API server accepts any name there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from tests.gitops.rules import group_of, name_of, of_kind, with_paths
from tests.gitops.rules_of_files import KUBERNETES
from tests.gitops.tree import Json, documents

Resources = Mapping[tuple[str, str], set[str]]
"""The versions of each resource, by group and plural name."""

# Subresources: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris and the API of 1.36.
_SUBRESOURCES = {
    "*", "approval", "attach", "binding", "ephemeralcontainers", "eviction", "exec", "finalize", "log", "portforward",
    "proxy", "resize", "scale", "status", "token",
}  # fmt: skip


def known_resources(crds: Path) -> Resources:
    """The resources of the Kubernetes API, and those of the CRDs in a folder."""
    found: dict[tuple[str, str], set[str]] = {}
    for group, version, kind in _built_in():
        found.setdefault((group, _plural(kind)), set()).add(version)
    return {**found, **resources_of(_definitions(crds))}


def resources_of(manifests: Sequence[Json]) -> Resources:
    """The resources of the CRDs among manifests."""
    return {
        (crd["spec"]["group"], crd["spec"]["names"]["plural"]): {
            version["name"] for version in crd["spec"]["versions"] if version["served"]
        }
        for crd in of_kind(manifests, "CustomResourceDefinition")
    }


@cache
def _definitions(crds: Path) -> list[Json]:
    found = [one for file in sorted(crds.glob("*.yaml")) for one in documents(file.read_text())]
    return of_kind(found, "CustomResourceDefinition")


@cache
def _built_in() -> list[tuple[str, str, str]]:
    """Group, version and kind of all objects in the schemas of the package kubernetes-validate."""
    schemas = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local" / "_definitions.json"
    return [
        (named["group"], named["version"], named["kind"])
        for schema in json.loads(schemas.read_text())["$defs"].values()
        if {"kind", "metadata"} <= schema.get("properties", {}).keys()
        for named in schema.get("x-kubernetes-group-version-kind", [])
        if not named["kind"].endswith("List")
    ]


def _built_in_kinds() -> set[tuple[str, str]]:
    return {(group, kind) for group, _, kind in _built_in()}


def _kinds_of(definitions: Sequence[Json]) -> set[tuple[str, str]]:
    """The groups and kinds of CRDs."""
    return {(crd["spec"]["group"], crd["spec"]["names"]["kind"]) for crd in definitions}


def _is_pattern(group: str, kind: str) -> bool:
    """Whether Argo CD takes one of them for a pattern."""
    return bool({*"*?[{"} & {*group, *kind})


def _plural(kind: str) -> str:
    """The name of a resource: see `UnsafeGuessKindToResource` of k8s.io/apimachinery v0.36.3, `pkg/api/meta`."""
    name = kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith("s"):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def policies_select_existing_resources(manifests: Sequence[Json], known: Resources) -> Iterator[str]:
    """A policy for a resource that does not exist never denies anything."""
    for manifest in manifests:
        if group_of(manifest) in {"admissionregistration.k8s.io", "policies.kyverno.io"}:
            constraints = manifest["spec"].get("matchConstraints") or {}
            for field in ("resourceRules", "excludeResourceRules"):
                for rule in constraints.get(field) or []:
                    where = f"{name_of(manifest)}: spec.matchConstraints.{field}"
                    yield from (f"{where}: {problem}" for problem in _unmatched(rule, known))


# https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb
_VERBS = {
    "*", "approve", "attest", "bind", "create", "delete", "deletecollection", "escalate", "get", "impersonate", "list",
    "patch", "sign", "update", "use", "watch",
}  # fmt: skip
# What has no kind, or is served by a program: the metrics server 0.8, pkg/api/install.go, and the resources for
# `impersonate` of the same page.
_SERVED: Resources = {
    ("", "groups"): {"v1"},
    ("", "users"): {"v1"},
    ("metrics.k8s.io", "nodes"): {"v1beta1"},
    ("metrics.k8s.io", "pods"): {"v1beta1"},
}


def roles_permit_existing_resources(manifests: Sequence[Json], known: Resources) -> Iterator[str]:
    """A right to a resource that does not exist is of no use."""
    for role in of_kind(manifests, "ClusterRole", "Role"):
        for index, rule in enumerate(role.get("rules") or []):
            where = f"{name_of(role)}: rules[{index}]"
            if "nonResourceURLs" not in rule:
                named = {**rule, "apiVersions": ["*"]}
                yield from (f"{where}.resources: {problem}" for problem in _unmatched(named, {**known, **_SERVED}))
            for verb in rule.get("verbs") or []:
                if verb not in _VERBS:
                    close = get_close_matches(verb, _VERBS, n=1)
                    yield f"{where}.verbs: {verb}: no verb; " + (f"write {close[0]}" if close else "remove it")


def ignored_differences_are_of_existing_kinds(
    manifests: Sequence[Json], crds: Path, deployed: Sequence[Json] = ()
) -> Iterator[str]:
    """Otherwise no difference is ignored: a kind has the group of its API, and none only in the core group.

    Kinds are those of Kubernetes, of the CRDs in a folder, and of the CRDs that are deployed.
    """
    known = _built_in_kinds() | _kinds_of([*_definitions(crds), *of_kind(deployed, "CustomResourceDefinition")])
    for manifest in of_kind(manifests, "Application", "ApplicationSet"):
        for path, holder in with_paths(manifest["spec"], "spec"):
            differences = holder.get("ignoreDifferences")
            for index, one in enumerate(differences if isinstance(differences, list) else []):
                group, kind = str(one.get("group", "")), str(one.get("kind"))
                groups = sorted(other for other, of_group in known if of_group == kind)
                if not _is_pattern(group, kind) and group not in groups:
                    where = f"{name_of(manifest)}: {path}.ignoreDifferences[{index}]: {kind} of the group"
                    remedy = f"write group: {' or '.join(groups)}" if groups else "correct its kind"
                    yield f"{where} {group or 'core'}: no such kind; {remedy}"


# ConfigsMap in pkg/cel/autogen/data.go of Kyverno 1.19.0, which ignores others.
_CONTROLLERS = ("cronjobs", "daemonsets", "deployments", "jobs", "replicasets", "statefulsets")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")


def policies_deny_something(manifests: Sequence[Json]) -> Iterator[str]:
    """The API server stores a policy that matches nothing, or has nothing to validate, and Kyverno never denies.

    Sources: OperationType in admissionregistration/v1/types.go of k8s.io/api v0.37.0; `message` in
    policies.kyverno.io_validatingpolicies.yaml of Kyverno 1.19.0, a plain text.
    """
    for policy in manifests:
        if group_of(policy) == "policies.kyverno.io" and "matchConstraints" in policy["spec"]:
            found = [*_unmatching(policy["spec"]["matchConstraints"])]
            found += _validating_nothing(policy["spec"]) if policy["kind"] == "ValidatingPolicy" else []
            controllers = (policy["spec"].get("autogen") or {}).get("podControllers") or {}
            for one in controllers.get("controllers") or []:
                close = get_close_matches(str(one).lower(), _CONTROLLERS, n=1)
                if one not in _CONTROLLERS and close:
                    found.append(f"autogen.podControllers.controllers: {one}: Kyverno ignores it; write {close[0]}")
            yield from (f"{name_of(policy)}: spec.{problem}" for problem in found)


def _unmatching(constraints: Json) -> Iterator[str]:
    rules = constraints.get("resourceRules") or []
    if not rules:
        yield "matchConstraints.resourceRules: missing: matches nothing; add one"
    for index, rule in enumerate(rules):
        at = f"matchConstraints.resourceRules[{index}]"
        if not rule.get("resources"):
            yield f"{at}.resources: missing: matches nothing; add one, such as pods"
        for operation in rule.get("operations") or []:
            if operation not in _OPERATIONS:
                close = get_close_matches(str(operation).upper(), _OPERATIONS, n=1) or [", ".join(_OPERATIONS)]
                yield f"{at}.operations: {operation}: no operation; write {close[0]}"


def _validating_nothing(spec: Json) -> Iterator[str]:
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield "validations: missing: denies nothing; add one"
    for index, one in enumerate(spec.get("validations") or []):
        if "{{" in str(one.get("message", "")):
            yield f"validations[{index}].message: shows {{{{ as it is; write an expression in messageExpression"


_LISTS_OF_PROJECTS = (
    "clusterResourceBlacklist", "clusterResourceWhitelist", "namespaceResourceBlacklist", "namespaceResourceWhitelist",
)  # fmt: skip
_LIKE_A_KIND = 0.85  # other names are perhaps those of a CRD that only a chart has


def projects_list_existing_kinds(manifests: Sequence[Json], crds: Path) -> Iterator[str]:
    """Otherwise a list permits or denies nothing: a kind has the group of its API, without a version.

    Source: isResourceInList of Argo CD 3.6.1, pkg/apis/application/v1alpha1/app_project_types.go.
    """
    built_in = _built_in_kinds()
    known = built_in | _kinds_of(_definitions(crds))
    for project in of_kind(manifests, "AppProject"):
        for field in _LISTS_OF_PROJECTS:
            for index, one in enumerate(project["spec"].get(field) or []):
                group, kind = str(one.get("group") or ""), str(one.get("kind") or "")
                if remedy := _remedy_of_kind(group, kind, known, built_in):
                    where = f"{name_of(project)}: spec.{field}[{index}]: {kind} of the group"
                    yield f"{where} {group or 'core'}: no such kind; {remedy}"


def _remedy_of_kind(group: str, kind: str, known: set[tuple[str, str]], built_in: set[tuple[str, str]]) -> str | None:
    """What to write instead; None also for a pattern, and for a kind that a CRD may have which is not known here."""
    if "/" in group:
        return f"write group: {group.partition('/')[0]}"
    if (group, kind) in known or _is_pattern(group, kind):
        return None
    lower = {other.lower(): other for of_group, other in known if of_group == group}
    groups = sorted(other for other, of_group in known if of_group == kind)
    if close := get_close_matches(kind.lower(), lower, n=1, cutoff=_LIKE_A_KIND):
        return f"write kind: {lower[close[0]]}"
    if "" in groups and group in {"core", "v1"}:
        return "write group: ''"
    if groups and (group in {of_group for of_group, _ in built_in} or get_close_matches(group, groups)):
        return f"write group: {' or '.join(groups)}"
    return None


def _unmatched(rule: Json, known: Resources) -> Iterator[str]:
    groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
    matched = {
        name
        for (group, name), served in known.items()
        if {"*", group} & set(groups) and ("*" in versions or served & set(versions))
    }
    for resource in rule.get("resources") or []:
        name, _, subresource = resource.partition("/")
        if name not in {"*", *matched}:
            yield f"no resource {name} in {_written(groups, versions)}; {_remedy(name, matched, known)}"
        if subresource and subresource not in _SUBRESOURCES:
            close = get_close_matches(subresource, _SUBRESOURCES, n=1)
            yield f"no subresource {subresource} of {name}; " + (f"write {close[0]}" if close else "remove it")


def _remedy(name: str, matched: set[str], known: Resources) -> str:
    close = sorted({one for one in matched if one in {_plural(name), name.lower()}})
    elsewhere = [f"{name} of {_written([group], sorted(known[group, one]))}" for group, one in known if one == name]
    if not matched:
        return f"write {', or '.join(elsewhere)}" if elsewhere else "correct the group and the version, or add the CRD"
    return f"write {', or '.join(close or elsewhere)}" if close or elsewhere else "correct it, or add its CRD"


def _written(groups: Sequence[str], versions: Sequence[str]) -> str:
    if [*versions] == ["*"]:
        return ", ".join(group or "the core group" for group in groups)
    return ", ".join(f"{group}/{version}".lstrip("/") for group in groups for version in versions)
