"""A rule for Secrets that only charts read: they are not rendered here, but their values name the Secrets.

It takes the root of the repository, and yields one line for each violation.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.gitops.rules import of_kind, with_paths
from tests.gitops.rules_of_names import keys_of_external, secret_of
from tests.gitops.tree import Component, Json, components, documents, read

# The keys that a chart reads unless its values name others, by the path of the value with the name of the Secret.
# Source: values.yaml of the chart grafana, a dependency of kube-prometheus-stack 88.5.3.
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "grafana.admin.existingSecret": {"userKey": "admin-user", "passwordKey": "admin-password"},
}


class Read(NamedTuple):
    """A key of a Secret that a chart reads, or the whole Secret, and the field of a file that names it."""

    where: str
    value: str
    secret: str
    key: str = ""


# What the values of the chart argo-cd name, which Terraform sets: constructs/eks_gitops/in_cluster/argo_cd_values.py.
_OF_TERRAFORM = {
    "argo-cd": [Read("management/argo-cd: oidc.config", "$oidc.clientSecret", "argocd-secret", "oidc.clientSecret")]
}


def secrets_of_charts_have_their_keys(root: Path) -> Iterator[str]:
    """Otherwise a Pod of the chart does not start, or goes on without the secret."""
    for component in components(root):
        made: dict[str, set[str] | None] = {}
        for file in sorted(component.folder.glob("**/*.yaml")):
            if file.parent != component.folder:
                external = of_kind([one for one in documents(file.read_text()) if "kind" in one], "ExternalSecret")
                made |= {secret_of(one): keys_of_external(one["spec"]) for one in external}
        for one in (*_reads_of_values(component), *_OF_TERRAFORM.get(component.name, [])):
            where = f"{one.where}: {one.value}"
            if one.secret not in made:
                known = f"write one of {', '.join(sorted(made))}" if made else f"add one to management/{component.name}"
                yield f"{where}: no ExternalSecret creates Secret {one.secret}; {known}"
            elif one.key and (keys := made[one.secret]) is not None and one.key not in keys:
                remedy = f"add it to its ExternalSecret, which has {', '.join(sorted(keys))}"
                yield f"{where}: Secret {one.secret} has no key {one.key}; {remedy}"


def _reads_of_values(component: Component) -> Iterator[Read]:
    values = {file: read(file) for file in sorted(component.folder.glob("values*.yaml"))}
    for file, given in values.items():
        name = f"management/{component.name}/{file.name}"
        for path, holder in with_paths(given):
            if holder.get("existingSecret"):
                field = f"{path}.existingSecret"
                keys = {**_DEFAULTS.get(field, {}), **{key: one for key, one in holder.items() if key.endswith("Key")}}
                yield Read(f"{name}: {field}", holder["existingSecret"], holder["existingSecret"])
                for key, one in keys.items():
                    yield Read(f"{name}: {path}.{key}", one, holder["existingSecret"], one)
            reference = holder.get("secretKeyRef")
            if isinstance(reference, dict):
                yield Read(f"{name}: {path}.secretKeyRef", reference["key"], reference["name"], reference["key"])
            for index, volume in enumerate(holder.get("volumes") or []):
                secret = (volume.get("secret") or {}).get("secretName")
                if secret:
                    yield Read(f"{name}: {path}.volumes[{index}].secret.secretName", secret, secret)
                    for mount in holder.get("volumeMounts") or []:
                        if mount["name"] == volume["name"]:
                            yield from _files_below(mount["mountPath"], secret, component, values)


def _files_below(folder: str, secret: str, component: Component, values: Mapping[Path, Json]) -> Iterator[Read]:
    """The values that name a file in a folder where the Secret is mounted: a file is named after its key."""
    for file, given in values.items():
        for path, holder in with_paths(given):
            for key, value in holder.items():
                found = (
                    re.fullmatch(rf"{re.escape(folder.rstrip('/'))}/([^/]+)", value) if isinstance(value, str) else None
                )
                if found:
                    yield Read(f"management/{component.name}/{file.name}: {path}.{key}", value, secret, found[1])


ALL = (secrets_of_charts_have_their_keys,)
