"""Clears a cluster before it is destroyed: deletes the Applications, then the objects with resources in AWS.

The root Application is deleted first, with its resources, because self-healing would recreate what is deleted before
it. Only Ingresses that Argo CD does not own are deleted earlier, while External DNS still runs and removes their
records. Then the remaining objects are deleted; their finalizers hold each one until its controller has deleted the
load balancer, volume or node. Every step starts from the current objects, so an interrupted run can be repeated.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.errors import OperationError
from operations.output.report import counted

Kubectl = Callable[..., str]
Say = Callable[[str], None]
Object = Mapping[str, Any]

ROOT = "root"
_FINALIZER = "resources-finalizer.argocd.argoproj.io"
_APPLICATIONS = "applications.argoproj.io"
_SETS = "applicationsets.argoproj.io"
_INGRESSES = "ingresses.networking.k8s.io"
_OWNED = "argocd.argoproj.io/tracking-id"
_APIS = "apiservices.apiregistration.k8s.io"
_EVERY_SECONDS = 5

_NODES = ("nodepools.karpenter.sh", "nodeclaims.karpenter.sh")

# In this order: nodes last, because pods on them must release their volumes.
_MADE_BY_CONTROLLERS = (
    ("load balancers", (_INGRESSES, "services", "gateways.gateway.networking.k8s.io")),
    ("volumes", ("persistentvolumeclaims", "persistentvolumes")),
    ("nodes", _NODES),
)
_BUILT_IN = {_INGRESSES, "services", "persistentvolumeclaims", "persistentvolumes"}
_WEBHOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")

# By finalizer, who removes it, and where to look if it stays.
_REMEDIES = {
    _FINALIZER: "Argo CD deletes its resources; see: kubectl --namespace argocd get {kind} {name} --output yaml",
    "external-provisioner.volume.kubernetes.io/finalizer": "the CSI driver deletes the volume; see its logs",
    "karpenter.sh/termination": (
        "Karpenter terminates the node; if Karpenter no longer runs, terminate the instance and remove the finalizer: "
        'kubectl patch {kind} {name} --type merge --patch \'{{"metadata":{{"finalizers":null}}}}\''
    ),
    "kubernetes.io/pv-protection": "a PersistentVolumeClaim still uses it",
    "kubernetes.io/pvc-protection": "a Pod still mounts it; delete the owner of the Pod",
}
_OF_LOAD_BALANCERS = "k8s.aws/"


@dataclass
class Clearing:
    """Clears one cluster through `kubectl`. Each step waits at most `timeout_seconds` for its deletions to finish."""

    kubectl: Kubectl
    say: Say
    timeout_seconds: float
    pause: Callable[[float], None] = time.sleep

    def clear(self, *, only_applications: bool = False) -> None:
        """Delete everything whose AWS resources would outlive the cluster, or only what Argo CD deployed.

        Raises:
            OperationError: if objects remain, with what each one waits for.
        """
        definitions = self._names("customresourcedefinitions")
        if not only_applications:
            self._delete("records", [_INGRESSES], lambda one: _OWNED not in one["metadata"].get("annotations", {}))
        if _APPLICATIONS in definitions:
            self._delete_applications(_SETS if _SETS in definitions else None)
        for what, kinds in () if only_applications else _MADE_BY_CONTROLLERS:
            known = [kind for kind in kinds if kind in _BUILT_IN or kind in definitions]
            self._delete(what, known, _reaches_aws)
        for one in self._unavailable_apis():
            self.say(f"warning: {_blocks(one)}")

    def _delete_applications(self, sets: str | None) -> None:
        for one in self._objects(_APPLICATIONS):
            self._end_operation(one)
        roots = [one for one in self._objects(_APPLICATIONS) if one["metadata"]["name"] == ROOT]
        for root in roots:
            self.say("deleting the root Application and all resources of Argo CD")
            self._delete_in_cascade(root)
        self._wait("the root Application", lambda: [one for one in self._objects(_APPLICATIONS) if _same(one, roots)])
        # Created outside of the root, or left by a root that was deleted without its finalizer.
        for one in self._objects(sets) if sets else []:
            self._ask_to_delete(one)
        if sets:
            self._wait("ApplicationSets", lambda: self._objects(sets))
        for one in self._objects(_APPLICATIONS):
            self._delete_in_cascade(one)
        self._wait("Applications", lambda: self._objects(_APPLICATIONS))

    def _delete_in_cascade(self, application: Object) -> None:
        metadata = application["metadata"]
        if _FINALIZER not in metadata.get("finalizers", []) and "deletionTimestamp" not in metadata:
            finalizers = [*metadata.get("finalizers", []), _FINALIZER]
            self._patch(application, {"metadata": {"finalizers": finalizers}})
        self._ask_to_delete(application)

    def _end_operation(self, application: Object) -> None:
        """As `argocd app terminate-op` does: an Application is not deleted while it syncs, nor between its retries.

        processAppOperationQueueItem in controller/appcontroller.go of Argo CD 3.6.1.
        """
        if "operation" in application and "operationState" in application.get("status", {}):
            self._patch(application, {"status": {"operationState": {"phase": "Terminating"}}})

    def _patch(self, one: Object, patch: Object) -> None:
        try:
            self.kubectl("patch", *_named(one), "--type=merge", f"--patch={json.dumps(patch)}")
        except OperationError as error:
            if "(NotFound)" not in str(error):  # else its owner deleted it after it was listed
                raise

    def _delete(self, what: str, kinds: Sequence[str], chosen: Callable[[Object], bool]) -> None:
        def left() -> list[Object]:
            return [one for kind in kinds for one in self._objects(kind) if chosen(one)]

        self._drop_orphaned_webhooks()
        found = left()
        if found:
            self.say(f"deleting {counted(len(found), 'object')} holding {what}")
        for one in found:
            self._ask_to_delete(one)
        self._wait(what, left)

    def _ask_to_delete(self, one: Object) -> None:
        if "deletionTimestamp" not in one["metadata"]:
            self.kubectl("delete", *_named(one), "--wait=false", "--ignore-not-found")

    def _wait(self, what: str, left: Callable[[], list[Object]]) -> None:
        """Wait until no object is left, and report whenever the objects change."""
        deadline = time.monotonic() + self.timeout_seconds
        reported: list[str] = []
        while objects := left():
            names = [_name(one) for one in objects]
            if names != reported:
                self.say(f"waiting for {what}: {', '.join(names)}")
                reported = names
            if time.monotonic() >= deadline:
                waits = [*map(_waits_for, objects), *map(_blocks, self._blocking_apis())]
                lines = "\n".join(waits)
                raise OperationError(
                    f"{what}: still not deleted after {self.timeout_seconds:.0f} s; fix this and repeat\n{lines}"
                )
            self.pause(_EVERY_SECONDS)

    def _blocking_apis(self) -> list[Object]:
        """APIs whose Service does not answer, if a namespace that is being deleted cannot be listed because of them.

        https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
        """
        hangs = any(_has(one, "NamespaceDeletionDiscoveryFailure", "True") for one in self._objects("namespaces"))
        return self._unavailable_apis() if hangs else []

    def _unavailable_apis(self) -> list[Object]:
        return [one for one in self._objects(_APIS) if _has(one, "Available", "False")]

    def _drop_orphaned_webhooks(self) -> None:
        """Remove webhooks without a Service: they reject every write, including the removal of finalizers."""
        services = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in self._objects("services")}
        for kind in _WEBHOOKS:
            for one in self._objects(kind):
                called = [hook["clientConfig"].get("service") for hook in one.get("webhooks", [])]
                missing = [s for s in called if s and (s["namespace"], s["name"]) not in services]
                if missing and len(missing) == len(called):
                    self.say(
                        f"removing {kind} {one['metadata']['name']}: its Service is gone, so it rejects all writes"
                    )
                    self.kubectl("delete", kind, one["metadata"]["name"], "--ignore-not-found")

    def _objects(self, kind: str) -> list[Object]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "--all-namespaces", "--output=json"))[
            "items"
        ]
        return [{**one, "resource": kind} for one in items]

    def _names(self, kind: str) -> set[str]:
        return {one["metadata"]["name"] for one in self._objects(kind)}


def _reaches_aws(one: Object) -> bool:
    """Whether an object holds resources that would outlive the cluster.

    EKS Auto Mode ends its nodes with the cluster, and creates its own NodePools again.
    """
    spec = one.get("spec", {})
    if one["resource"] in _NODES:
        node_class = spec.get("template", {}).get("spec", spec).get("nodeClassRef", {})
        return bool(node_class.get("group") != "eks.amazonaws.com")
    return bool(one["resource"] != "services" or spec.get("type") == "LoadBalancer")


def _has(one: Object, condition: str, status: str) -> bool:
    conditions = one.get("status", {}).get("conditions", [])
    return any((entry["type"], entry["status"]) == (condition, status) for entry in conditions)


def _same(one: Object, others: Sequence[Object]) -> bool:
    return one["metadata"]["uid"] in {other["metadata"]["uid"] for other in others}


def _named(one: Object) -> list[str]:
    metadata = one["metadata"]
    space = [f"--namespace={metadata['namespace']}"] if "namespace" in metadata else []
    return [one["resource"], metadata["name"], *space]


def _name(one: Object) -> str:
    metadata = one["metadata"]
    space = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{one['resource'].partition('.')[0]} {space}{metadata['name']}"


def _blocks(api: Object) -> str:
    name, service = api["metadata"]["name"], api["spec"].get("service", {})
    return (
        f"{_name(api)}: its Service {service.get('namespace')}/{service.get('name')} does not answer, so no "
        f"namespace can be deleted; mend the Service, or remove the API: kubectl delete apiservice {name}"
    )


def _waits_for(one: Object) -> str:
    """What an object waits for: its finalizers, and who removes each one."""
    finalizers = one["metadata"].get("finalizers", [])
    waits = []
    for finalizer in finalizers:
        remedy = _REMEDIES.get(finalizer, "")
        if _OF_LOAD_BALANCERS in finalizer:
            remedy = (
                "the load balancer controller deletes the load balancer; see: "
                "kubectl --namespace kube-system logs deployment/aws-load-balancer-controller"
            )
        waits.append(f"{finalizer} ({remedy.format(kind=one['resource'], name=one['metadata']['name'])})")
    return f"{_name(one)}: waits for {', '.join(waits) or 'no finalizer; another process recreates it'}"
