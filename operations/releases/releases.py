"""What Terraform's Helm provider does not see of its releases: changes by hand, and operations that were interrupted.

Helm stores each revision of a release as a Secret (`pkg/storage/driver/secrets.go` of Helm 3.22.0), which `kubectl`
reads. A server-side dry run would need the permission to patch, which the plan role does not have: so the manifest of
the release is compared with the objects here.
"""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from operations.clients import process
from operations.clients.kubectl import kubectl
from operations.errors import OperationError
from operations.terraform.stacks import Stack

Kubectl = Callable[..., str]
"""Runs `kubectl` with these arguments, and `stdin`, in the cluster of a stack."""

MANAGER = "gitops-platform"
"""The field manager of objects that are put back."""

_HELM = ("helm", "terraform-provider-helm", MANAGER)
_REFERENCE = re.compile(r"\$\{kubernetes_namespace_v1\.([\w-]+)\.metadata\[0\]\.name\}")
_INTERRUPTED = {"pending-install", "pending-upgrade", "pending-rollback", "uninstalling"}
_UNREADY_SECONDS = 60
_WORKLOADS = {"DaemonSet", "Deployment", "Job", "StatefulSet"}
# Nothing but Terraform writes their `spec`, and a field that is added opens what the others close.
_EXACT = {"AppProject", "IngressClassParams"}


class _Loader(yaml.SafeLoader):
    """Reads dates as strings, as Helm does."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Release:
    """A Helm release of a stack: its Terraform address, and its revisions, the oldest first."""

    address: str
    name: str
    namespace: str
    revisions: Sequence[Mapping[str, Any]]

    @property
    def status(self) -> str:
        """Helm's status of the newest revision, such as `deployed`."""
        return str(self.revisions[-1]["info"]["status"])

    @property
    def is_interrupted(self) -> bool:
        """Whether Helm refuses to install or upgrade it: an earlier operation did not end."""
        return self.status in _INTERRUPTED

    @property
    def deployed(self) -> Mapping[str, Any] | None:
        """The newest revision that was deployed; None if the first installation did not end."""
        found = [one for one in self.revisions if one["info"]["status"] == "deployed"]
        return found[-1] if found else None

    def problem(self, stack: str) -> str:
        """What is wrong with an interrupted release, and the remedy."""
        number, since = self.revisions[-1]["version"], str(self.revisions[-1]["info"]["last_deployed"])[:19]
        remedy = f"if nothing is running any more: make deploy STACK={stack} REPAIR=1"
        return f"{self.address}: release {self.name} is {self.status} (revision {number}, since {since}); {remedy}"


@dataclass(frozen=True)
class Difference:
    """An object that differs from the manifest of its release. `live` is None if it was deleted.

    `fields` are the paths that differ. `details` also have the values, but none of a Secret.
    """

    release: Release
    wanted: Mapping[str, Any]
    live: Mapping[str, Any] | None
    fields: Sequence[str] = ()
    details: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The kind and the name."""
        metadata = self.wanted["metadata"]
        space = f"{metadata['namespace']}/" if "namespace" in metadata else ""
        return f"{self.wanted['kind']} {space}{metadata['name']}"


@contextmanager
def connected(stack: Stack) -> Iterator[Kubectl]:
    """`kubectl` for the cluster of an in-cluster stack, with the caller's AWS credentials or its kubeconfig.

    Raises:
        OperationError: if the cluster does not exist.
    """
    with TemporaryDirectory(prefix="kubeconfig-") as folder:  # of mode 0700
        path = Path(stack.kubeconfig) if stack.kubeconfig else Path(folder) / "config"
        if not stack.kubeconfig:
            assert stack.cluster is not None
            where = ("--name", stack.cluster.name, "--region", stack.region, "--kubeconfig", path)
            process.output("aws", "eks", "update-kubeconfig", *where, hint=f"{stack.name}: its cluster is not reached")

        def run(*arguments: str, stdin: str | None = None) -> str:
            return kubectl(*arguments, kubeconfig=path, stdin=stdin)

        yield run


def named(stack: Stack) -> dict[str, tuple[str, str]]:
    """The namespace and the name of each release in the configuration of a stack, by address."""
    resources = stack.configuration.get("resource", {})
    namespaces = resources.get("kubernetes_namespace_v1", {})

    def resolved(text: str) -> str:
        found = _REFERENCE.fullmatch(text)
        if found is None:
            return text
        metadata = namespaces[found[1]]["metadata"]  # CDK Terrain writes a list of it
        return str((metadata[0] if isinstance(metadata, list) else metadata)["name"])

    return {
        f"helm_release.{key}": (resolved(one["namespace"]), one["name"])
        for key, one in resources.get("helm_release", {}).items()
    }


def read(run: Kubectl, wanted: Mapping[str, tuple[str, str]]) -> list[Release]:
    """The releases that have a record in the cluster."""
    found = []
    for address, (namespace, name) in wanted.items():
        selector = f"--selector=owner=helm,name={name}"
        answer = json.loads(run("get", "secrets", f"--namespace={namespace}", selector, "--output=json"))
        revisions = [_decode(one["data"]["release"]) for one in answer["items"]]
        if revisions:
            found.append(Release(address, name, namespace, sorted(revisions, key=lambda one: int(one["version"]))))
    return found


def _decode(text: str) -> dict[str, Any]:
    """The release in a Secret: JSON, compressed, encoded by Helm and again by Kubernetes."""
    decoded: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(text))))
    return decoded


def _encode(release: Mapping[str, Any]) -> str:
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()


# --- interrupted operations -------------------------------------------------------------------------------------------


def repair(run: Kubectl, release: Release) -> str:
    """Roll an interrupted release back to the revision that was deployed last, and return what was done.

    Helm upgrades a release whose newest revision failed (`prepareUpgrade` in `pkg/action/upgrade.go` of Helm 3.22.0).
    Without a deployed revision it refuses to install as long as there is any (`availableName` in `install.go`), so the
    records are deleted: the next installation takes over the objects, which carry the name of the release. Not the
    workloads, because Helm would keep fields that the new manifest lacks, such as a node selector (seen with 3.22.0).
    """
    deployed = release.deployed
    space = f"--namespace={release.namespace}"
    records = [f"sh.helm.release.v1.{release.name}.v{one['version']}" for one in release.revisions]
    if deployed is None:
        for one in _objects(release.revisions[-1]):
            if one["kind"] in _WORKLOADS:
                run("delete", space, "--filename=-", "--ignore-not-found", stdin=json.dumps(one))
        run("delete", "secret", space, *records)
        return f"{release.name}: its installation did not end: removed its records, so that it is installed again"
    kept = {_key(one) for one in _objects(deployed)}
    for one in _objects(release.revisions[-1]):
        annotations = one["metadata"].get("annotations") or {}
        if _key(one) not in kept and annotations.get("helm.sh/resource-policy") != "keep":
            run("delete", space, "--filename=-", "--ignore-not-found", "--wait=false", stdin=json.dumps(one))
    put_back(run, list(differences(run, release)))
    _replace_workloads(run, release, deployed)
    newest = {**release.revisions[-1]}
    newest["info"] = {**newest["info"], "status": "failed", "description": "interrupted, and rolled back"}
    patch = {"metadata": {"labels": {"status": "failed"}}, "data": {"release": _encode(newest)}}
    run("patch", "secret", space, records[-1], "--type=merge", "--patch-file=/dev/stdin", stdin=json.dumps(patch))
    return f"{release.name}: rolled back from revision {newest['version']} to {deployed['version']}"


def _replace_workloads(run: Kubectl, release: Release, deployed: Mapping[str, Any]) -> None:
    """Write the workloads that the newest revision changes: what it adds to their Pods would stay."""
    newest = {_key(one): one for one in _objects(release.revisions[-1])}
    changed = [
        one for one in _objects(deployed) if one["kind"] in _WORKLOADS - {"Job"} and newest.get(_key(one), one) != one
    ]
    living = {_key(one)[::2]: one for one in _living(run, release, changed)}
    for one in changed:
        _write(run, release, one, living[_key(one)[::2]])


# --- Pods that a StatefulSet never replaces ---------------------------------------------------------------------------


def stuck(run: Kubectl, release: Release, now: datetime) -> list[tuple[str, str]]:
    """The namespace and the name of each Pod for which a StatefulSet of the release waits in vain.

    A StatefulSet updates its Pods in order, and waits for one that is not ready, although that one has the template
    that it replaces:
    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    pods = json.loads(run("get", "pods", f"--namespace={release.namespace}", "--output=json"))["items"]
    sets = json.loads(run("get", "statefulsets", f"--namespace={release.namespace}", "--output=json"))["items"]
    return [
        (release.namespace, pod["metadata"]["name"])
        for one in sets
        if _is_of(one, release) and one["spec"].get("updateStrategy", {}).get("type") == "RollingUpdate"
        for pod in pods
        if one["metadata"]["uid"] in {owner["uid"] for owner in pod["metadata"].get("ownerReferences", [])}
        and "deletionTimestamp" not in pod["metadata"]
        and pod["metadata"]["labels"].get("controller-revision-hash") != one["status"].get("updateRevision")
        and _is_unready(pod, now)
    ]


def _is_of(one: Mapping[str, Any], release: Release) -> bool:
    return bool(one["metadata"].get("annotations", {}).get("meta.helm.sh/release-name") == release.name)


def _is_unready(pod: Mapping[str, Any], now: datetime) -> bool:
    """Whether a Pod has not been ready for a minute."""
    conditions = {one["type"]: one for one in pod["status"].get("conditions", [])}
    if conditions.get("Ready", {}).get("status") == "True":
        return False
    since = conditions.get("Ready", {}).get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]
    return (now - datetime.fromisoformat(since)).total_seconds() > _UNREADY_SECONDS


# --- changes by hand --------------------------------------------------------------------------------------------------


def _objects(revision: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects in the manifest of a revision. Hooks are not part of it."""
    documents = yaml.load_all(revision["manifest"], Loader=_Loader)
    return [one for one in documents if one]


def _key(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]


def differences(run: Kubectl, release: Release) -> Iterator[Difference]:
    """The objects that differ from the manifest of the revision that was deployed last."""
    deployed = release.deployed
    objects = [] if deployed is None else _objects(deployed)
    living = {_key(one): one for one in _living(run, release, objects)}
    for wanted in objects:
        kind, space, name = _key(wanted)
        # An object of the cluster has no namespace.
        live = living.get((kind, space or release.namespace, name)) or living.get((kind, "", name))
        if live is None:
            yield Difference(release, wanted, None)
            continue
        found = list(_compare(_comparable(wanted), live, _owned(live), ""))
        if wanted["kind"] in _EXACT:
            added = sorted(live.get("spec", {}).keys() - wanted.get("spec", {}).keys())
            found += [(f"spec.{key}", None, live["spec"][key]) for key in added]
        if found:
            is_secret = wanted["kind"] == "Secret"
            details = [
                f"{path}: {'changed' if is_secret else f'{_short(old)} -> {_short(new)}'}" for path, old, new in found
            ]
            yield Difference(release, wanted, live, sorted({path for path, _, _ in found}), details)


def _living(run: Kubectl, release: Release, objects: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The objects in the cluster that have the kinds and names of these."""
    options = ("--filename=-", "--output=json", "--ignore-not-found", "--show-managed-fields")
    for space in sorted({one["metadata"].get("namespace", release.namespace) for one in objects}):
        some = [one for one in objects if one["metadata"].get("namespace", release.namespace) == space]
        try:
            answer = run("get", f"--namespace={space}", *options, stdin="\n".join(map(json.dumps, some)))
        except OperationError as error:
            if "no matches for kind" not in str(error):
                raise
            if len(some) > 1:
                for one in some:
                    yield from _living(run, release, [one])
            continue  # its definition was deleted, and the object with it
        found = json.loads(answer) if answer.strip() else {"items": []}
        yield from found["items"] if found.get("kind", "List") == "List" else [found]


def put_back(run: Kubectl, found: Sequence[Difference]) -> None:
    """Write what the manifests say into objects that differ, and create those that were deleted."""
    for one in found:
        _write(run, one.release, one.wanted, one.live if one.wanted["kind"] in _EXACT else None)


def _write(run: Kubectl, release: Release, wanted: Mapping[str, Any], replaced: Mapping[str, Any] | None) -> None:
    """Apply an object or, if it is `replaced`, write it without the fields that only the one in the cluster has."""
    metadata, spec = {**wanted["metadata"]}, {**wanted.get("spec", {})}
    labels = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
    helm = {"meta.helm.sh/release-name": release.name, "meta.helm.sh/release-namespace": release.namespace}
    metadata |= {"labels": labels, "annotations": {**(metadata.get("annotations") or {}), **helm}}
    verb = ["apply", "--server-side", "--force-conflicts"]
    if replaced is not None:
        verb = ["replace"]
        kept = ("finalizers", "resourceVersion")
        metadata |= {name: replaced["metadata"][name] for name in kept if name in replaced["metadata"]}
        spec |= {name: replaced["spec"][name] for name in ("replicas",) if name in {*replaced["spec"]} - {*spec}}
    space = f"--namespace={metadata.get('namespace', release.namespace)}"
    written = {**wanted, "metadata": metadata, **({"spec": spec} if "spec" in wanted else {})}
    run(*verb, f"--field-manager={MANAGER}", space, "--filename=-", stdin=json.dumps(written))


def _comparable(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """An object as the API server stores it: `stringData` of a Secret becomes `data`."""
    one = {key: value for key, value in wanted.items() if key not in {"apiVersion", "kind", "stringData", "status"}}
    texts = {key: base64.b64encode(str(value).encode()).decode() for key, value in wanted.get("stringData", {}).items()}
    return {**one, "data": {**(one.get("data") or {}), **texts}} if texts else one


def _owned(live: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fields that Helm wrote last. A difference in these is only how the API server writes a value."""
    entries = live["metadata"].get("managedFields", [])
    return [one["fieldsV1"] for one in entries if one.get("manager", "").startswith(_HELM) and "fieldsV1" in one]


def _compare(wanted: Any, live: Any, owned: list[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    """The path, the wanted and the live value of each field of `wanted` that somebody else wrote or removed."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            below = [fields[f"f:{key}"] for fields in owned if f"f:{key}" in fields]
            yield from _compare(value, live.get(key), below, f"{path}.{key}".lstrip("."))
    elif wanted != live and not _is_empty(wanted, live):
        pairs = _pairs(wanted, live, owned)
        if pairs is not None:
            for number, (item, of_live, below) in enumerate(pairs):
                yield from _compare(item, of_live, below, f"{path}[{number}]")
        elif live is None or not any(fields == {} for fields in owned):
            yield path, wanted, live


def _is_empty(wanted: Any, live: Any) -> bool:
    """Whether a field that the API server does not store is empty."""
    return live is None and (wanted is None or wanted in ("", [], {}, False, 0))


def _pairs(wanted: Any, live: Any, owned: list[Any]) -> list[tuple[Any, Any, list[Any]]] | None:
    """The items of a list that has keys, such as containers by name, each with that of the cluster; else None."""
    if not isinstance(wanted, list) or not isinstance(live, list):
        return None
    keys = [(json.loads(name[2:]), fields[name]) for fields in owned for name in fields if name.startswith("k:")]
    if not keys:
        return None

    def matches(item: Any, key: Mapping[str, Any]) -> bool:
        return all(item.get(name, value) == value for name, value in key.items())

    names = {name for key, _ in keys for name in key}
    pairs = []
    for item in wanted:
        known = {name: item[name] for name in names if name in item}
        found = next((one for one in live if matches(one, known)), None)
        pairs.append((item, found, [fields for key, fields in keys if matches(item, key)]))
    return pairs


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004
