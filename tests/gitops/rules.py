"""What the repository asks of manifests, beyond what the Kubernetes API refuses.

A rule takes what one entry of the tree renders to, and yields what is wrong, a line each.
"""

import re
from collections.abc import Iterator, Sequence

from tests.gitops.tree import Json

_KUBERNETES_GROUPS = {"", "apps", "autoscaling", "batch", "policy"}
_FINALIZER = "resources-finalizer.argocd.argoproj.io"
_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
_SYNC_WAVE = "argocd.argoproj.io/sync-wave"

# The groups of the kinds that a component's own chart brings.
_BROUGHT = {
    "argo-rollouts": {"argoproj.io"},
    "external-secrets": {"external-secrets.io"},
    "karpenter": {"karpenter.k8s.aws", "karpenter.sh"},
    "monitoring": {"monitoring.coreos.com"},
}


def name_of(manifest: Json) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def group_of(manifest: Json) -> str:
    return str(manifest["apiVersion"]).rpartition("/")[0]


def of_kind(manifests: Sequence[Json], *kinds: str) -> list[Json]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def _annotations(manifest: Json) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def within(value: object) -> Iterator[Json]:
    """Every object inside a manifest, itself included."""
    if isinstance(value, dict):
        yield value
        for below in value.values():
            yield from within(below)
    elif isinstance(value, list):
        for below in value:
            yield from within(below)


def images_are_named_by_digest(manifests: Sequence[Json]) -> Iterator[str]:
    """Tags move; `latest` does not even say from where."""
    for manifest in manifests:
        for holder in within(manifest):
            for key in ("containers", "initContainers", "ephemeralContainers"):
                for container in holder.get(key) or []:
                    image = container.get("image", "") if isinstance(container, dict) else ""
                    if image and not re.search(r":[^/@]+@sha256:[0-9a-f]{64}$", image):
                        yield f"{name_of(manifest)}: {image} lacks a tag or a digest"
                    if ":latest" in image:
                        yield f"{name_of(manifest)}: {image} says latest"


def selectors_name_no_version(manifests: Sequence[Json]) -> Iterator[str]:
    """Selectors of workloads cannot change, and a Service that selects a version loses its pods with the next one."""
    versions = {"version", "app.kubernetes.io/version", "helm.sh/chart"}
    for manifest in manifests:
        for holder in within(manifest):
            for key in ("selector", "podSelector", "labelSelector"):
                selector = holder.get(key)
                if isinstance(selector, dict):
                    labels = selector.get("matchLabels") or selector
                    yield from (
                        f"{name_of(manifest)}: {key} names {label}" for label in sorted(versions & labels.keys())
                    )


def namespaces_say_their_pod_security_level(manifests: Sequence[Json]) -> Iterator[str]:
    """A namespace without lets any pod in."""
    for namespace in of_kind(manifests, "Namespace"):
        labels = namespace["metadata"].get("labels") or {}
        for mode in ("enforce", "warn", "audit"):
            if labels.get(f"pod-security.kubernetes.io/{mode}") not in {"privileged", "baseline", "restricted"}:
                yield f"{name_of(namespace)}: no label pod-security.kubernetes.io/{mode}"


def namespaces_deny_by_default(manifests: Sequence[Json]) -> Iterator[str]:
    """What a pod may reach is opened one by one. Privileged pods use the node's network, which no policy judges."""
    closed = {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}
    denied = {
        policy["metadata"].get("namespace")
        for policy in of_kind(manifests, "NetworkPolicy")
        if {**policy["spec"], "policyTypes": sorted(policy["spec"]["policyTypes"])} == closed
    }
    for namespace in of_kind(manifests, "Namespace"):
        labels = namespace["metadata"].get("labels") or {}
        privileged = labels.get("pod-security.kubernetes.io/enforce") == "privileged"
        if namespace["metadata"]["name"] not in denied and not privileged:
            yield f"{name_of(namespace)}: no NetworkPolicy denies what nobody opened"


def ingresses_say_their_class_and_nothing_of_certificates(manifests: Sequence[Json]) -> Iterator[str]:
    """The class brings the load balancer and the certificate; an ARN in Git would be one account's."""
    for ingress in of_kind(manifests, "Ingress"):
        if not ingress["spec"].get("ingressClassName"):
            yield f"{name_of(ingress)}: no spec.ingressClassName"
        taken = {"kubernetes.io/ingress.class"} | {
            f"alb.ingress.kubernetes.io/{name}"
            for name in ("certificate-arn", "group.name", "inbound-cidrs", "scheme", "ssl-policy")
        }
        yield from (f"{name_of(ingress)}: {key} is the class's" for key in sorted(taken & _annotations(ingress).keys()))
        if ingress["spec"].get("tls"):
            yield f"{name_of(ingress)}: spec.tls; the certificate is the load balancer's"


def rollouts_have_their_services(manifests: Sequence[Json]) -> Iterator[str]:
    """With one Service for both, the canary's traffic cannot be told from the stable version's."""
    services = {service["metadata"]["name"] for service in of_kind(manifests, "Service")}
    for rollout in of_kind(manifests, "Rollout"):
        strategy = rollout["spec"]["strategy"]
        names = {
            "canary": ("stableService", "canaryService"),
            "blueGreen": ("activeService", "previewService"),
        }
        named = [strategy[way].get(key, "") for way in strategy for key in names[way]]
        if way := strategy.get("canary", {}).get("trafficRouting", {}).get("alb", {}).get("rootService"):
            named.append(way)
        if len(set(named)) != len(named):
            yield f"{name_of(rollout)}: the same Service twice: {', '.join(named)}"
        yield from (f"{name_of(rollout)}: no Service {name or '(unnamed)'}" for name in named if name not in services)


def autoscalers_alone_rule_replicas(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo CD would set back what the autoscaler chose, again and again."""
    for autoscaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        scaled = [one for one in of_kind(manifests, target["kind"]) if one["metadata"]["name"] == target["name"]]
        if not scaled:
            yield f"{name_of(autoscaler)}: no {target['kind']} {target['name']}"
        yield from (
            f"{name_of(one)}: spec.replicas beside an autoscaler" for one in scaled if "replicas" in one["spec"]
        )


def secrets_stay_out_of_git(manifests: Sequence[Json]) -> Iterator[str]:
    """External Secrets makes them; what Git holds, everybody who ever cloned it holds."""
    for secret in of_kind(manifests, "Secret"):
        if secret.get("data") or secret.get("stringData"):
            yield f"{name_of(secret)}: holds values"


def custom_resources_may_come_before_their_kinds(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the first sync of a new cluster stops at the first of them."""
    for manifest in manifests:
        group = group_of(manifest)
        own = group in _KUBERNETES_GROUPS or group.endswith(".k8s.io")
        of_argo_cd = manifest["kind"] in {"AppProject", "Application", "ApplicationSet"}
        if not own and not of_argo_cd:
            options = _annotations(manifest).get(_SYNC_OPTIONS, "").split(",")
            if "SkipDryRunOnMissingResource=true" not in [option.strip() for option in options]:
                yield f"{name_of(manifest)}: no sync option SkipDryRunOnMissingResource=true"


def custom_resources_follow_their_chart(component: str, manifests: Sequence[Json]) -> Iterator[str]:
    """In the wave of the chart that brings their kind they could come before it, and before its webhooks answer."""
    for manifest in manifests:
        if (
            group_of(manifest) in _BROUGHT.get(component, set())
            and int(_annotations(manifest).get(_SYNC_WAVE, "0")) < 1
        ):
            yield f"{name_of(manifest)}: no sync wave after the chart's"


def projects_take_their_resources_along(manifests: Sequence[Json]) -> Iterator[str]:
    """A project that goes before its Applications leaves these undeletable."""
    for project in of_kind(manifests, "AppProject"):
        if _FINALIZER not in (project["metadata"].get("finalizers") or []):
            yield f"{name_of(project)}: no finalizer {_FINALIZER}"
        if project["metadata"]["name"] == "default":
            yield f"{name_of(project)}: nothing belongs to it"


OF_MANIFESTS = (
    autoscalers_alone_rule_replicas,
    custom_resources_may_come_before_their_kinds,
    images_are_named_by_digest,
    ingresses_say_their_class_and_nothing_of_certificates,
    namespaces_deny_by_default,
    namespaces_say_their_pod_security_level,
    projects_take_their_resources_along,
    rollouts_have_their_services,
    secrets_stay_out_of_git,
    selectors_name_no_version,
)
