"""Rules for the whole tree: files, paths and selections of ApplicationSets.

A rule takes the root of the repository, and yields one line for each violation.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from tests.gitops.quantities import amount, wrong_quantities
from tests.gitops.rules import with_paths, within
from tests.gitops.tree import Json, components, documents, entries, files, overlays, read, sets


def kustomizations_use_no_deprecated_fields(root: Path) -> Iterator[str]:
    instead = {
        "bases": "resources",
        "commonLabels": "labels",
        "imageTags": "images",
        "patchesJson6902": "patches",
        "patchesStrategicMerge": "patches",
        "vars": "replacements",
    }
    for file in _kustomizations(root):
        settings = read(file)
        for key in sorted(instead.keys() & settings.keys()):
            yield f"{file.relative_to(root)}: {key}: deprecated; write {instead[key]}"
        for index, labels in enumerate(settings.get("labels") or []):
            if labels.get("includeSelectors"):
                yield f"{file.relative_to(root)}: labels[{index}].includeSelectors: selectors are immutable; remove it"


def kustomizations_reference_existing_files(root: Path) -> Iterator[str]:
    for file in _kustomizations(root):
        for path in _paths_of(read(file)):
            if "://" in path:
                yield f"{file.relative_to(root)}: {path}: not a file of this repository; copy it here"
            elif not (file.parent / path).exists():
                yield f"{file.relative_to(root)}: {path}: does not exist; add it, or correct the path"


def every_file_is_used(root: Path) -> Iterator[str]:
    """A manifest that no kustomization lists is not deployed, and nothing says so."""
    used = {*_files_of_kustomizations(root), *(overlay.marker for overlay in overlays(root))}
    for component in components(root):
        used |= {component.folder / "component.yaml", *component.folder.glob("values*.yaml")}
    used |= {one.folder / "values.yaml" for one in overlays(root) if not one.is_kustomized}
    for folder in ("management", "service"):
        for file in sorted((root / folder).rglob("*")):
            of_bootstrap = file.is_relative_to(root / "management" / "bootstrap")  # a chart
            if file.is_file() and file not in used and file.suffix != ".md" and not of_bootstrap:
                yield f"{file.relative_to(root)}: no kustomization lists it; add it to one, or remove the file"


def _files_of_kustomizations(root: Path) -> set[Path]:
    """The files that Kustomize reads when Argo CD renders an Application."""
    used, folders = set(), list(entries(root))
    while folders:
        file = folders.pop() / "kustomization.yaml"
        if file not in used and file.is_file():
            used.add(file)
            named = [(file.parent / path).resolve() for path in _paths_of(read(file))]
            folders += [path for path in named if path.is_dir()]
            used |= {path for path in named if path.is_file()}
    return used


def _paths_of(kustomization: Json) -> Iterator[str]:
    for key in ("resources", "components", "configurations", "crds", "generators", "transformers", "validators"):
        yield from kustomization.get(key) or []
    for key in ("patches", "replacements"):
        yield from (one["path"] for one in kustomization.get(key) or [] if "path" in one)
    for key in ("configMapGenerator", "secretGenerator"):
        for generator in kustomization.get(key) or []:
            yield from (entry.rpartition("=")[2] for entry in generator.get("files") or [])
            yield from generator.get("envs") or []


def values_of_charts_limit_the_disk(root: Path) -> Iterator[str]:
    """Whoever sets the memory of a container also sets its ephemeral storage: the disk of the node."""
    for file in files(root):
        if re.fullmatch(r"values.*\.yaml", file.name):
            for path, holder in with_paths(read(file)):
                yield from (
                    f"{file.relative_to(root)}: {path}.{kind}.ephemeral-storage: missing; write such as 1Gi"
                    for kind in ("requests", "limits")
                    if isinstance(set_ := holder.get(kind), dict)
                    and "memory" in set_
                    and "ephemeral-storage" not in set_
                )


def values_of_charts_have_quantities(root: Path) -> Iterator[str]:
    """A chart copies them into containers, and fails only in the cluster."""
    for file in files(root):
        if re.fullmatch(r"values.*\.yaml", file.name):
            yield from (f"{file.relative_to(root)}: {line}" for line in wrong_quantities(read(file)))
            for path, holder in with_paths(read(file)):
                requests, limits = holder.get("requests"), holder.get("limits")
                if isinstance(requests, dict) and isinstance(limits, dict):
                    yield from (
                        f"{file.relative_to(root)}: {path}.requests.{name}: {requests[name]}; "
                        f"write at most its limit, {limits[name]}"
                        for name in requests.keys() & limits.keys()
                        if (limit := amount(limits[name])) is not None and (amount(requests[name]) or 0) > limit
                    )


def _kustomizations(root: Path) -> list[Path]:
    return [file for file in files(root) if file.name == "kustomization.yaml"]


def every_component_and_overlay_is_selected_once(root: Path) -> Iterator[str]:
    """If no ApplicationSet selects it, it is not deployed. If two do, both manage the same Application."""
    markers = [component.folder / "component.yaml" for component in components(root)]
    markers += [overlay.marker for overlay in overlays(root)]
    for folder in {marker.parent for marker in markers}:
        found = [
            applied["metadata"]["name"]
            for applied in sets(root)
            # An ApplicationSet that deploys the folder contains its path; `service-namespaces` only reads the files.
            if ".path.path" in yaml.safe_dump(applied["spec"], width=10000)
            for marker in markers
            if marker.parent == folder and _selects(applied, marker.relative_to(root))
        ]
        if len(found) != 1:
            selected = f"selected by {', '.join(sorted(found)) or 'no ApplicationSet'}"
            remedy = "leave one of the files that select it" if found else "correct the path of its file"
            yield f"{folder.relative_to(root)}: {selected}; {remedy}"


def _selects(applied: Json, file: Path) -> bool:
    patterns = {
        re.sub(r"\{\{.*?\}\}", "*", entry["path"])
        for holder in within(applied["spec"]["generators"])
        for entry in holder.get("files") or []
    }
    return any(
        len(file.parts) == len(Path(pattern).parts)
        and all(fnmatchcase(*pair) for pair in zip(file.parts, Path(pattern).parts, strict=True))
        for pattern in patterns
    )


def application_sets_reference_existing_paths(root: Path) -> Iterator[str]:
    """The paths that ApplicationSets contain must exist, in both branches of a template condition."""
    decision = re.compile(r"\{\{-? *if [^}]*\}\}([\w-]+)\{\{ *else *\}\}([\w-]+)\{\{ *end *\}\}")
    for applied in sets(root):
        for path in sorted(_paths(applied["spec"])):
            decided = decision.search(path)
            names = [path.replace(decided[0], name) for name in decided.groups()] if decided else [path]
            for name in names:
                if re.fullmatch(r"(management|service|helm)(/[\w.-]+)+", name) and not (root / name).exists():
                    yield f"ApplicationSet {applied['metadata']['name']}: path: {name}: does not exist; correct it"


def _paths(spec: Json) -> set[str]:
    found: set[str] = set()
    for holder in within(spec):
        texts = [value for value in holder.values() if isinstance(value, str)]
        found |= {path for text in texts for path in re.findall(r"(?m)^ *(?:- )?path: (.*)$", text)}
        if isinstance(holder.get("path"), str):
            found.add(holder["path"])
    return found


def namespaces_are_manifests(root: Path) -> Iterator[str]:
    """A namespace created by the sync option has no Pod Security level, and is not deleted with its Application."""
    for file in files(root):
        if "CreateNamespace" in file.read_text(errors="replace"):
            yield f"{file.relative_to(root)}: CreateNamespace: remove it, and add a manifest of the namespace"
    created = {"argocd", "kube-system"}  # created by Terraform and by Kubernetes
    for file in root.glob("management/**/*.yaml"):
        if "kind: Namespace\n" in file.read_text():
            found = [one for one in documents(file.read_text()) if one.get("kind") == "Namespace"]
            created |= {one["metadata"]["name"] for one in found}
    for component in components(root):
        if component.settings["namespace"] not in created:
            namespace = component.settings["namespace"]
            where = f"management/{component.name}/component.yaml: namespace: {namespace}"
            yield f"{where}: no manifest creates it; add one to management/{component.name}"


def applications_have_names_of_their_own(root: Path) -> Iterator[str]:
    """Those of a component and of a service are named after it and its environment: both sets would manage one."""
    for component in components(root):
        if (root / "service" / component.name).exists():
            yield f"management/{component.name}: service/{component.name} has Applications of its names; rename one"


_SECRETS = {
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b",
    "a Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    "a Slack webhook": r"hooks\.slack\.com/services/T",
    "a JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.",
    "a password": (
        r"(?im)^[ \t-]*\"?(?:[\w.-]*passw(?:or)?d|client-?secret|api-?key|(?:auth|access|bearer)-?token)\"?"
        r"[ \t]*[:=][ \t]*[\"']?(?![\"'$\\{<]|placeholder\b|.*\{\{)[^\s\"']{6,}"
    ),
}


def no_file_contains_a_secret(root: Path) -> Iterator[str]:
    for file in files(root):
        text = file.read_text(errors="replace")
        for what, pattern in _SECRETS.items():
            if found := re.search(pattern, text):
                line = text[: found.end()].count("\n") + 1
                yield f"{file.relative_to(root)}:{line}: {what}; remove it, and write an ExternalSecret instead"


_OF_THE_CLUSTER = "take it from the cluster Secret, by a patch or a parameter"


def no_file_contains_an_account_id(root: Path) -> Iterator[str]:
    """The tree is the same for all accounts. Account-specific values come from the cluster Secret."""
    for file in files(root):
        text = re.sub(r"sha256:[0-9a-f]{64}", "", file.read_text(errors="replace"))
        for number in sorted(set(re.findall(r"(?<![\w.])\d{12}(?![\w])", text))):
            yield f"{file.relative_to(root)}: {number}: looks like an AWS account ID; {_OF_THE_CLUSTER}"
        for arn in sorted(set(re.findall(r"\barn:aws[\w-]*:[\w-]+:\S*", text))):
            yield f"{file.relative_to(root)}: {arn}: of one account; {_OF_THE_CLUSTER}"


_OF_PERMISSIONS = ["/service/*/overlays/*/application.yaml", "/service/*/overlays/*/release.yaml"]


def every_service_has_code_owners(root: Path) -> Iterator[str]:
    """Of the lines that match a file, the last one counts, so those for permissions come after those for services."""
    lines = [line.split() for line in (root / ".github/CODEOWNERS").read_text().splitlines()]
    patterns = [line[0] for line in lines if line and not line[0].startswith("#")]
    services = {f"/service/{folder.name}/" for folder in (root / "service").glob("*")}
    owned = [pattern for pattern in patterns if re.fullmatch(r"/service/[^*/]+/", pattern)]
    yield from (f".github/CODEOWNERS: no line for {service}; add it" for service in sorted(services - set(owned)))
    yield from (
        f".github/CODEOWNERS: {service}: does not exist; remove the line" for service in sorted(set(owned) - services)
    )
    if patterns[-len(_OF_PERMISSIONS) :] != _OF_PERMISSIONS:
        yield f".github/CODEOWNERS: the last lines are not {' and '.join(_OF_PERMISSIONS)}; move them to the end"


ALL = (
    applications_have_names_of_their_own,
    values_of_charts_have_quantities,
    values_of_charts_limit_the_disk,
    kustomizations_reference_existing_files,
    kustomizations_use_no_deprecated_fields,
    namespaces_are_manifests,
    no_file_contains_a_secret,
    no_file_contains_an_account_id,
    application_sets_reference_existing_paths,
    every_component_and_overlay_is_selected_once,
    every_file_is_used,
    every_service_has_code_owners,
)
