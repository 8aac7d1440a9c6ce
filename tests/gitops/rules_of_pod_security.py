"""Pods in a namespace with the Pod Security level `restricted`: otherwise the API server refuses every one of them.

The workload itself is accepted, and waits. Sources: the checks of the levels `baseline` and `restricted` for Pods of
Linux in version 1.36, in the folder `policy` of k8s.io/pod-security-admission v0.37.2. As in `rules_of_names.py`, a
rule takes the manifests of one entry of the tree and everything that is deployed, and yields one line for each
violation.
"""

import re
from collections.abc import Iterator, Sequence

from tests.gitops.pods import Pods, pods
from tests.gitops.rules import name_of, of_kind, with_paths
from tests.gitops.tree import Json

_LEVEL = "pod-security.kubernetes.io/enforce"
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_HANDLERS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_PROFILES = ("appArmorProfile", "seccompProfile")
_KINDS_OF_PROFILES = {"RuntimeDefault", "Localhost"}
_SELINUX = {"", "container_engine_t", "container_init_t", "container_kvm_t", "container_t"}
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}  # fmt: skip

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
            for key, value in ((one.template.get("metadata") or {}).get("annotations") or {}).items():
                if key.startswith(_APP_ARMOR) and not re.fullmatch("|runtime/default|localhost/.*", value):
                    where = f"{name_of(one.owner)}: {one.path}metadata.annotations.{key}"
                    yield f"{where}: {value}: not permitted in its namespace; remove it"


def _of_pod(spec: Json) -> Found:
    yield from ((field, "true: not permitted in its namespace; remove it") for field in _HOST if spec.get(field))
    for index, volume in enumerate(spec.get("volumes") or []):
        for kind in sorted(volume.keys() - _VOLUMES - {"name"}):
            yield f"volumes[{index}].{kind}", "not permitted in its namespace; write another kind, such as emptyDir"
    context = spec.get("securityContext") or {}
    yield from _of_context("securityContext", context, spec)
    all_of = [each for key in ("initContainers", "containers") for each in spec.get(key) or []]
    own = [(each.get("securityContext") or {}).get("runAsNonRoot") for each in all_of]
    # Of a container without a value of its own, the same is said there.
    if context.get("runAsNonRoot") is False and all(own) and _is_root_of_the_node(spec):
        yield "securityContext.runAsNonRoot", "false: not permitted in its namespace; write true"
    for index, sysctl in enumerate(context.get("sysctls") or []):
        if sysctl["name"] not in _SYSCTLS:
            yield f"securityContext.sysctls[{index}]", f"{sysctl['name']}: not permitted in its namespace; remove it"


def _of_containers(one: Pods) -> Found:
    for key in ("initContainers", "containers"):
        for index, container in enumerate(one.spec.get(key) or []):
            path, own = f"{key}[{index}]", container.get("securityContext") or {}
            shared = one.spec.get("securityContext") or {}
            yield from _of_context(f"{path}.securityContext", own, one.spec)
            as_root = _is_root_of_the_node(one.spec)
            found = _of_container(container, own, shared, is_root_of_the_node=as_root)
            yield from ((f"{path}.{field}", problem) for field, problem in found)


def _is_root_of_the_node(spec: Json) -> bool:
    """Whether root in a container is root on the node: in a user namespace of its own it is not."""
    return spec.get("hostUsers") is not False


def _of_container(container: Json, own: Json, shared: Json, *, is_root_of_the_node: bool) -> Found:
    for path, holder in with_paths({key: container.get(key) for key in _HANDLERS}):
        if path.endswith((".httpGet", ".tcpSocket")) and holder.get("host"):
            yield f"{path}.host", f"{holder['host']}: not permitted in its namespace; remove it"
    for index, port in enumerate(container.get("ports") or []):
        if port.get("hostPort"):
            yield f"ports[{index}].hostPort", f"{port['hostPort']}: not permitted in its namespace; remove it"
    yield from _of_privileges(own)
    if own.get("procMount", "Default") != "Default":
        yield "securityContext.procMount", f"{own['procMount']}: not permitted in its namespace; remove it"
    if is_root_of_the_node and not own.get("runAsNonRoot", shared.get("runAsNonRoot")):
        yield "securityContext.runAsNonRoot", "not true, nor that of the Pod; its namespace requires it: write true"
    if not (own.get("seccompProfile") or shared.get("seccompProfile")):
        yield "securityContext.seccompProfile", "missing, also for the Pod; write type: RuntimeDefault"


def _of_privileges(own: Json) -> Found:
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


def _of_context(path: str, context: Json, spec: Json) -> Found:
    if context.get("runAsUser") == 0 and _is_root_of_the_node(spec):
        yield f"{path}.runAsUser", "0: not permitted in its namespace; write another number"
    for field in _PROFILES:
        kind = (context.get(field) or {}).get("type", "RuntimeDefault")
        if kind not in _KINDS_OF_PROFILES:
            yield f"{path}.{field}.type", f"{kind}: not permitted in its namespace; write RuntimeDefault"
    for field, value in (context.get("seLinuxOptions") or {}).items():
        if field in {"role", "user"} or (field == "type" and value not in _SELINUX):
            yield f"{path}.seLinuxOptions.{field}", f"{value}: not permitted in its namespace; remove it"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{path}.windowsOptions.hostProcess", "true: not permitted in its namespace; remove it"


ALL = (pods_are_restricted,)
