"""Pods in a namespace with the Pod Security level `restricted`: otherwise the API server refuses every one of them.

The workload itself is accepted, and waits. Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/
of Kubernetes 1.36, for Pods of Linux. As in `rules_of_names.py`, a rule takes the manifests of one entry of the tree
and everything that is deployed, and yields one line for each violation.
"""

from collections.abc import Iterator, Sequence

from tests.gitops.pods import Pods, pods
from tests.gitops.rules import name_of, of_kind
from tests.gitops.tree import Json

_LEVEL = "pod-security.kubernetes.io/enforce"
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SECCOMP = {"RuntimeDefault", "Localhost"}

Found = Iterator[tuple[str, str]]


def pods_are_restricted(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Each field that Pod Security refuses, with what it permits."""
    restricted = {
        one["metadata"]["name"]
        for one in of_kind(deployed, "Namespace")
        if (one["metadata"].get("labels") or {}).get(_LEVEL) == "restricted"
    }
    for one in pods(manifests):
        if one.namespace in restricted and (one.spec.get("os") or {}).get("name") != "windows":
            for field, problem in (*_of_pod(one.spec), *_of_containers(one)):
                yield f"{name_of(one.owner)}: {one.path}spec.{field}: {problem}"


def _of_pod(spec: Json) -> Found:
    yield from ((field, "true: not permitted in its namespace; remove it") for field in _HOST if spec.get(field))
    for index, volume in enumerate(spec.get("volumes") or []):
        for kind in sorted(volume.keys() - _VOLUMES - {"name"}):
            yield f"volumes[{index}].{kind}", "not permitted in its namespace; write another kind, such as emptyDir"
    yield from _of_context("securityContext", spec.get("securityContext") or {})


def _of_containers(one: Pods) -> Found:
    for key in ("initContainers", "containers"):
        for index, container in enumerate(one.spec.get(key) or []):
            path, own = f"{key}[{index}]", container.get("securityContext") or {}
            shared = one.spec.get("securityContext") or {}
            yield from _of_context(f"{path}.securityContext", own)
            yield from ((f"{path}.{field}", problem) for field, problem in _of_container(container, own, shared))


def _of_container(container: Json, own: Json, shared: Json) -> Found:
    for index, port in enumerate(container.get("ports") or []):
        if port.get("hostPort"):
            yield f"ports[{index}].hostPort", f"{port['hostPort']}: not permitted in its namespace; remove it"
    if own.get("privileged"):
        yield "securityContext.privileged", "true: not permitted in its namespace; remove it"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation", "not false; its namespace requires it: write false"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "securityContext.capabilities.drop", "no ALL; its namespace requires it: add it"
    for name in capabilities.get("add") or []:
        if name != "NET_BIND_SERVICE":
            yield "securityContext.capabilities.add", f"{name}: not permitted in its namespace; remove it"
    if not own.get("runAsNonRoot", shared.get("runAsNonRoot")):
        yield "securityContext.runAsNonRoot", "not true, nor that of the Pod; its namespace requires it: write true"
    if not (own.get("seccompProfile") or shared.get("seccompProfile")):
        yield "securityContext.seccompProfile", "missing, also for the Pod; write type: RuntimeDefault"


def _of_context(path: str, context: Json) -> Found:
    if context.get("runAsUser") == 0:
        yield f"{path}.runAsUser", "0: not permitted in its namespace; write another number"
    kind = (context.get("seccompProfile") or {}).get("type", "RuntimeDefault")
    if kind not in _SECCOMP:
        yield f"{path}.seccompProfile.type", f"{kind}: not permitted in its namespace; write RuntimeDefault"


ALL = (pods_are_restricted,)
