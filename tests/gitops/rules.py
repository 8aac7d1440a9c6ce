"""Rules for manifests, in addition to the validation by the Kubernetes API.

A rule takes the rendered manifests of one entry of the tree, and yields one line for each violation.
"""

import re
import warnings
from collections.abc import Iterator, Sequence

from eks_gitops.versions import EKS_VERSIONS
from tests.gitops.schedules import never_comes
from tests.gitops.tree import Json

_KUBERNETES_GROUPS = {"", "apps", "autoscaling", "batch", "policy"}
_FINALIZER = "resources-finalizer.argocd.argoproj.io"
_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"
_SYNC_WAVE = "argocd.argoproj.io/sync-wave"

# The API groups of the CRDs in the chart of each component. Any other group is of the chart of the component that has
# its objects.
_KINDS_OF_CHARTS = {
    "argo-rollouts": {"argoproj.io"},
    "external-secrets": {"external-secrets.io"},
    "karpenter": {"karpenter.k8s.aws", "karpenter.sh"},
    "monitoring": {"monitoring.coreos.com"},
}


def name_of(manifest: Json) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def group_of(manifest: Json) -> str:
    return str(manifest["apiVersion"]).rpartition("/")[0]


def is_built_in(manifest: Json) -> bool:
    """Whether Kubernetes has the kind without a CRD."""
    group = group_of(manifest)
    return group in _KUBERNETES_GROUPS or group.endswith(".k8s.io")


def of_kind(manifests: Sequence[Json], *kinds: str) -> list[Json]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def _annotations(manifest: Json) -> dict[str, str]:
    return manifest["metadata"].get("annotations") or {}


def within(value: object) -> Iterator[Json]:
    """All mappings in a manifest, including the manifest."""
    if isinstance(value, dict):
        yield value
        for below in value.values():
            yield from within(below)
    elif isinstance(value, list):
        for below in value:
            yield from within(below)


def with_paths(value: object, path: str = "") -> Iterator[tuple[str, Json]]:
    """All mappings in a value, each with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, below in value.items():
            yield from with_paths(below, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from with_paths(below, f"{path}[{index}]")


def containers(manifest: Json, *keys: str) -> Iterator[tuple[str, Json]]:
    """The containers in a manifest of any kind, each with its path; also those that run before the others."""
    for path, holder in with_paths(manifest):
        for key in keys or ("containers", "initContainers"):
            for index, container in enumerate(holder.get(key) or []):
                if isinstance(container, dict):
                    yield f"{path}.{key}[{index}]", container


def images_have_a_tag_and_a_digest(manifests: Sequence[Json]) -> Iterator[str]:
    """A tag can be moved, so the digest is required. `latest` does not name a version."""
    for manifest in manifests:
        for path, container in containers(manifest, "containers", "initContainers", "ephemeralContainers"):
            image, where = container.get("image", ""), f"{name_of(manifest)}: {path}.image: {container.get('image')}"
            if image and not re.search(r":[^/@]+@sha256:[0-9a-f]{64}$", image):
                yield f"{where}: no tag or no digest; write NAME:TAG@sha256:DIGEST"
            if ":latest" in image:
                yield f"{where}: the tag latest; write that of a version"


def selectors_contain_no_version(manifests: Sequence[Json]) -> Iterator[str]:
    """Selectors of workloads are immutable, and a Service that selects a version loses its Pods on the next update."""
    versions = {"version", "app.kubernetes.io/version", "helm.sh/chart"}
    for manifest in manifests:
        for path, holder in with_paths(manifest):
            for key in ("selector", "podSelector", "labelSelector"):
                selector = holder.get(key)
                if isinstance(selector, dict):
                    labels = selector.get("matchLabels") or selector
                    yield from (
                        f"{name_of(manifest)}: {path}.{key}: {label}: changes with each version; remove it"
                        for label in sorted(versions & labels.keys())
                    )


def namespaces_have_pod_security_labels(manifests: Sequence[Json]) -> Iterator[str]:
    """A namespace without these labels admits any Pod, and one without a version changes its rules with the cluster.

    Since 1.34, for example, the `host` of a probe is refused (`check_hostProbesAndHostLifecycle.go` of
    k8s.io/pod-security-admission v0.36.3). A cluster that is older than the version uses its own (`registry.go`).
    """
    version = f"v{list(EKS_VERSIONS)[-1]}"
    for namespace in of_kind(manifests, "Namespace"):
        labels = namespace["metadata"].get("labels") or {}
        for mode in ("enforce", "warn", "audit"):
            label = f"pod-security.kubernetes.io/{mode}"
            if labels.get(label) not in {"privileged", "baseline", "restricted"}:
                field = f"metadata.labels.{label}: {labels.get(label, 'missing')}"
                yield f"{name_of(namespace)}: {field}; write restricted, baseline or privileged"
            if labels.get(f"{label}-version") != version:
                field = f"metadata.labels.{label}-version: {labels.get(f'{label}-version', 'missing')}"
                yield f"{name_of(namespace)}: {field}; write {version}"


def namespaces_deny_by_default(manifests: Sequence[Json]) -> Iterator[str]:
    """Traffic must be allowed explicitly. Privileged Pods use the node's network, to which no NetworkPolicy applies."""
    deny_all = {"podSelector": {}, "policyTypes": ["Egress", "Ingress"]}
    denied = {
        policy["metadata"].get("namespace")
        for policy in of_kind(manifests, "NetworkPolicy")
        if {**policy["spec"], "policyTypes": sorted(policy["spec"].get("policyTypes") or [])} == deny_all
    }
    for namespace in of_kind(manifests, "Namespace"):
        labels = namespace["metadata"].get("labels") or {}
        privileged = labels.get("pod-security.kubernetes.io/enforce") == "privileged"
        if namespace["metadata"]["name"] not in denied and not privileged:
            yield (
                f"{name_of(namespace)}: no NetworkPolicy denies all traffic by default; "
                "add one with podSelector: {} and policyTypes: [Ingress, Egress]"
            )


_TOPOLOGY_KEYS = {"kubernetes.io/hostname", "topology.kubernetes.io/region", "topology.kubernetes.io/zone"}


def is_judged_topology_key(key: str) -> bool:
    """Whether the next rule judges a `topologyKey`."""
    return re.match(r"(topology\.)?kubernetes\.io/", key) is not None


def topology_keys_are_labels_of_nodes(manifests: Sequence[Json]) -> Iterator[str]:
    """Nodes without the label count as one place, or as none: Pods are not spread.

    Source: https://kubernetes.io/docs/reference/labels-annotations-taints/
    """
    for manifest in manifests:
        for key in {str(holder["topologyKey"]) for holder in within(manifest) if "topologyKey" in holder}:
            if is_judged_topology_key(key) and key not in _TOPOLOGY_KEYS:
                known = ", ".join(sorted(_TOPOLOGY_KEYS))
                yield f"{name_of(manifest)}: topologyKey: {key}: no label of nodes; write one of {known}"


def network_policies_apply_their_rules(manifests: Sequence[Json]) -> Iterator[str]:
    """The rules of a direction that is no type are ignored. Source: networking/v1/types.go of k8s.io/api v0.36."""
    for policy in of_kind(manifests, "NetworkPolicy"):
        types = policy["spec"].get("policyTypes")
        for direction in ("ingress", "egress"):
            if types and policy["spec"].get(direction) and direction.capitalize() not in types:
                field = f"spec.policyTypes: {', '.join(types)}"
                yield f"{name_of(policy)}: {field}: spec.{direction} has no effect; add {direction.capitalize()}"


def ingresses_have_a_class_and_no_settings_of_the_class(manifests: Sequence[Json]) -> Iterator[str]:
    """The class configures the load balancer and the certificate. An ARN in Git would be valid in one account only."""
    for ingress in of_kind(manifests, "Ingress"):
        if not ingress["spec"].get("ingressClassName"):
            yield f"{name_of(ingress)}: spec.ingressClassName: missing; write alb"
        reserved = {"kubernetes.io/ingress.class"} | {
            f"alb.ingress.kubernetes.io/{name}"
            for name in ("certificate-arn", "group.name", "group.order", "inbound-cidrs", "scheme", "ssl-policy")
        }
        found = sorted(reserved & _annotations(ingress).keys())
        yield from (f"{name_of(ingress)}: metadata.annotations.{key}: the class sets it; remove it" for key in found)
        if ingress["spec"].get("tls"):
            yield f"{name_of(ingress)}: spec.tls: the load balancer has the certificate; remove it"


def ingresses_have_rules_with_hosts(manifests: Sequence[Json]) -> Iterator[str]:
    """Services share a load balancer. A rule without a host gets the requests to every host that has no better rule."""
    for ingress in of_kind(manifests, "Ingress"):
        rules = ingress["spec"].get("rules") or []
        if "defaultBackend" in ingress["spec"]:
            yield f"{name_of(ingress)}: spec.defaultBackend: gets the requests of every host; write a rule with a host"
        for index, rule in enumerate(rules):
            if not rule.get("host"):
                yield f"{name_of(ingress)}: spec.rules[{index}].host: missing; write the host of the service"
        for key, value in _annotations(ingress).items():
            if key.startswith("alb.ingress.kubernetes.io/conditions.") and ("host-header" in value or "\\" in value):
                field = f"metadata.annotations.{key}: {value}"
                yield f"{name_of(ingress)}: {field}: may add hosts to a rule; write the host there, and no escapes"


def services_have_no_external_addresses(manifests: Sequence[Json]) -> Iterator[str]:
    """Nodes send the traffic of the whole cluster to these addresses to the Service (CVE-2020-8554)."""
    for service in of_kind(manifests, "Service"):
        if service["spec"].get("externalIPs"):
            addresses = ", ".join(service["spec"]["externalIPs"])
            yield f"{name_of(service)}: spec.externalIPs: {addresses}: takes requests of the whole cluster; remove it"


_SERVICES_OF_VERSIONS = (
    ("activeService", "previewService"),
    ("stableService", "canaryService"),
    ("pingService", "pongService"),
)


def _services_of_rollout(rollout: Json) -> dict[str, tuple[str, str]]:
    """The fields of a Rollout that name Services, each with its path and the name."""
    fields = {field for pair in _SERVICES_OF_VERSIONS for field in pair} | {"rootService"}
    return {
        field: (f"{path}.{field}", holder[field])
        for path, holder in with_paths(rollout["spec"]["strategy"], "spec.strategy")
        for field in fields & holder.keys()
    }


def services_of_rollouts_exist(manifests: Sequence[Json]) -> Iterator[str]:
    """With one Service for both versions, the traffic of the canary cannot be distinguished."""
    services = sorted(service["metadata"]["name"] for service in of_kind(manifests, "Service"))
    for rollout in of_kind(manifests, "Rollout"):
        found = _services_of_rollout(rollout)
        for path, name in found.values():
            if name not in services:
                known = f"write one of {', '.join(services)}" if services else "add it"
                yield f"{name_of(rollout)}: {path}: no Service {name}; {known}"
        for one, other in _SERVICES_OF_VERSIONS:
            if one in found and other in found and found[one][1] == found[other][1]:
                path, name = found[other]
                yield f"{name_of(rollout)}: {path}: {name}: also the {one}; name another Service"
            elif (one in found) != (other in found):
                (missing,) = {one, other} - found.keys()
                above = found[other if missing == one else one][0].rpartition(".")[0]
                yield f"{name_of(rollout)}: {above}.{missing}: missing; name a Service of its own"


def rollouts_behind_the_load_balancer_use_ping_pong(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the end of an update gives a Service other pods, for which its target group has no healthy targets yet.

    Sources: the page "AWS Load Balancer Controller" in the documentation of Argo Rollouts 1.10, and
    https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/4204
    """
    backends = {holder["service"]["name"] for one in of_kind(manifests, "Ingress") for holder in _backends(one)}
    for rollout in of_kind(manifests, "Rollout"):
        named = _services_of_rollout(rollout)
        behind = sorted(backends & {name for _, name in named.values()})
        if behind and "pingService" not in named:
            strategy = "blueGreen" if "activeService" in named else "canary"
            yield (
                f"{name_of(rollout)}: spec.strategy.{strategy}: {', '.join(behind)}: an Ingress names it, but it has "
                "no healthy targets at the end of an update; write canary.pingPong, as in service/guestbook"
            )


def _backends(ingress: Json) -> Iterator[Json]:
    return (holder for holder in within(ingress["spec"]) if isinstance(holder.get("service"), dict))


def only_autoscalers_set_replicas(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise Argo CD would repeatedly reset the number of replicas that the autoscaler sets."""
    for autoscaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        scaled = [one for one in of_kind(manifests, target["kind"]) if one["metadata"]["name"] == target["name"]]
        if not scaled:
            yield f"{name_of(autoscaler)}: spec.scaleTargetRef: no {target['kind']} {target['name']}; correct it"
        yield from (
            f"{name_of(one)}: spec.replicas: {one['spec']['replicas']}: {name_of(autoscaler)} sets it; remove it"
            for one in scaled
            if "replicas" in one["spec"]
        )


def secrets_have_no_values(manifests: Sequence[Json]) -> Iterator[str]:
    """External Secrets creates Secrets. Every clone of a Git repository contains the values in it."""
    for secret in of_kind(manifests, "Secret"):
        for field in ("data", "stringData"):
            if secret.get(field):
                yield f"{name_of(secret)}: {field}: contains values; write an ExternalSecret instead"


def custom_resources_skip_dry_run_on_missing_kinds(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the first sync of a new cluster fails at the first custom resource."""
    for manifest in manifests:
        of_argo_cd = manifest["kind"] in {"AppProject", "Application", "ApplicationSet"}
        if not is_built_in(manifest) and not of_argo_cd:
            options = _annotations(manifest).get(_SYNC_OPTIONS, "").split(",")
            if "SkipDryRunOnMissingResource=true" not in [option.strip() for option in options]:
                yield (
                    f"{name_of(manifest)}: metadata.annotations.{_SYNC_OPTIONS}: no SkipDryRunOnMissingResource=true; "
                    "add it"
                )


def custom_resources_are_synced_after_their_chart(component: str, manifests: Sequence[Json]) -> Iterator[str]:
    """In the sync wave of their chart, they could be applied before the CRDs exist and the webhooks are ready."""
    others = {group for name, groups in _KINDS_OF_CHARTS.items() if name != component for group in groups}
    for manifest in manifests:
        wave = _annotations(manifest).get(_SYNC_WAVE, "missing")
        is_own = not is_built_in(manifest) and group_of(manifest) not in others
        if is_own and not re.fullmatch(r"\+?0*[1-9]\d*", wave):
            yield f'{name_of(manifest)}: metadata.annotations.{_SYNC_WAVE}: {wave}: not after the chart; write "1"'


def containers_request_and_limit_the_disk(manifests: Sequence[Json]) -> Iterator[str]:
    """Without a limit, one container can fill the disk of its node, which then evicts the others."""
    for manifest in manifests:
        for path, container in containers(manifest):
            if "image" in container:
                resources = container.get("resources") or {}
                yield from (
                    f"{name_of(manifest)}: {path}.resources.{kind}.ephemeral-storage: missing; write such as 1Gi"
                    for kind in ("requests", "limits")
                    if "ephemeral-storage" not in resources.get(kind, {})
                )


def namespaces_limit_the_disk(manifests: Sequence[Json]) -> Iterator[str]:
    """A LimitRange gives containers their default, and a ResourceQuota limits their sum."""
    for limits in of_kind(manifests, "LimitRange"):
        for index, entry in enumerate(limits["spec"]["limits"]):
            yield from (
                f"{name_of(limits)}: spec.limits[{index}].{kind}.ephemeral-storage: missing; write such as 1Gi"
                for kind in ("default", "defaultRequest", "max")
                if "ephemeral-storage" not in entry.get(kind, {})
            )
    for quota in of_kind(manifests, "ResourceQuota"):
        yield from (
            f"{name_of(quota)}: spec.hard.{kind}.ephemeral-storage: missing; write such as 50Gi"
            for kind in ("requests", "limits")
            if f"{kind}.ephemeral-storage" not in quota["spec"]["hard"]
        )


def claims_are_on_the_shared_file_system(manifests: Sequence[Json]) -> Iterator[str]:
    """A volume of `gp3`, the default class, is attached to one node, and is not backed up. The quota permits none."""
    for claim in of_kind(manifests, "PersistentVolumeClaim"):
        if claim["spec"].get("storageClassName") != "efs-ap":
            field = f"spec.storageClassName: {claim['spec'].get('storageClassName', 'missing')}"
            yield f"{name_of(claim)}: {field}: of one node, and not backed up; write efs-ap"
        elif claim["spec"].get("volumeMode") == "Block":
            yield f"{name_of(claim)}: spec.volumeMode: Block: efs-ap has only file systems; remove it"


def projects_have_a_finalizer(manifests: Sequence[Json]) -> Iterator[str]:
    """Applications cannot be deleted if their AppProject is deleted before them."""
    for project in of_kind(manifests, "AppProject"):
        if project["metadata"]["name"] != "default" and _FINALIZER not in (project["metadata"].get("finalizers") or []):
            yield f"{name_of(project)}: metadata.finalizers: no {_FINALIZER}; add it"


def the_default_project_is_closed(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo CD creates it with all permissions, and without a finalizer: it outlives the root Application."""
    for project in of_kind(manifests, "AppProject"):
        if project["metadata"]["name"] == "default":
            spec = project["spec"]
            # Each is set: Argo CD keeps the values of fields that a manifest does not have.
            lists = ("clusterResourceWhitelist", "destinations", "sourceNamespaces", "sourceRepos")
            yield from (
                f"{name_of(project)}: spec.{field}: not empty; write []" for field in lists if spec.get(field) != []
            )
            if {"group": "*", "kind": "*"} not in spec.get("namespaceResourceBlacklist", []):
                field = "spec.namespaceResourceBlacklist"
                yield f"{name_of(project)}: {field}: does not deny everything; add {{group: '*', kind: '*'}}"
            if project["metadata"].get("finalizers"):
                yield f"{name_of(project)}: metadata.finalizers: nothing removes them after Argo CD; remove them"


def environment_variables_are_set_once(manifests: Sequence[Json]) -> Iterator[str]:
    """Of two values of a variable the container has the later one, and a server-side apply refuses both.

    A value may refer only to variables before it: others stay as they are written. Sources: EnvVar in core/v1/types.go
    of k8s.io/api v0.37.0, where `env` of a container is a list with the key `name`.
    """
    for manifest in manifests:
        for path, container in containers(manifest):
            names = [str(one.get("name")) for one in container.get("env") or []]
            for index, one in enumerate(container.get("env") or []):
                where = f"{name_of(manifest)}: {path}.env[{index}]"
                if (first := names.index(names[index])) != index:
                    yield f"{where}.name: {names[index]}: also in env[{first}]; remove one"
                for name in re.findall(r"(?<!\$)\$\(([A-Za-z_][\w.-]*)\)", str(one.get("value", ""))):
                    if name in names[index + 1 :] and name not in names[:index]:
                        yield f"{where}.value: $({name}): set only after it; move {name} in front"
                    elif name not in names[:index] and not container.get("envFrom") and "_SERVICE_" not in name:
                        remedy = f"add it in front, or write $$({name})"
                        yield f"{where}.value: $({name}): no variable of the container; {remedy}"


# Kubernetes documentation, concepts/workloads/controllers/cron-jobs: the controller looks every 10 seconds.
_SECONDS_BETWEEN_LOOKS = 10


def cron_jobs_can_start(manifests: Sequence[Json]) -> Iterator[str]:
    """With a shorter deadline the controller can come too late each time."""
    for job in of_kind(manifests, "CronJob"):
        if never_comes(str(job["spec"].get("schedule"))):
            field = f"spec.schedule: {job['spec']['schedule']}"
            yield f"{name_of(job)}: {field}: no month of it has the day: it never starts; correct it"
        deadline = job["spec"].get("startingDeadlineSeconds")
        if isinstance(deadline, int) and deadline < _SECONDS_BETWEEN_LOOKS:
            field = "spec.startingDeadlineSeconds"
            yield f"{name_of(job)}: {field}: {deadline}: too short to start; write at least {_SECONDS_BETWEEN_LOOKS}"


def images_are_pulled(manifests: Sequence[Json]) -> Iterator[str]:
    """No node has an image before its first Pod, which then waits with `ErrImageNeverPull`."""
    for manifest in manifests:
        for path, container in containers(manifest, "containers", "initContainers", "ephemeralContainers"):
            if container.get("imagePullPolicy") == "Never":
                yield f"{name_of(manifest)}: {path}.imagePullPolicy: Never: no node has the image; write IfNotPresent"


def rollouts_are_not_paused(manifests: Sequence[Json]) -> Iterator[str]:
    """No version is rolled out: Argo CD sets the field again as soon as somebody resumes the Rollout.

    Source: isPaused in rollout/context.go and `paused` in pkg/apis/rollouts/v1alpha1/types.go of Argo Rollouts 1.10.2.
    """
    for rollout in of_kind(manifests, "Rollout"):
        if rollout["spec"].get("paused") is True:
            remedy = "remove it, or write a step with pause"
            yield f"{name_of(rollout)}: spec.paused: true: Argo CD sets it again at each promotion; {remedy}"


# Numbers of seconds, Pods or versions that nothing compares: types.go and utils/defaults/defaults.go of Argo Rollouts.
_NOT_NEGATIVE = (
    "abortScaleDownDelaySeconds", "autoPromotionSeconds", "previewReplicaCount", "revisions",
    "scaleDownDelayRevisionLimit", "scaleDownDelaySeconds", "successfulRunHistoryLimit", "unsuccessfulRunHistoryLimit",
)  # fmt: skip


def numbers_of_rollouts_are_not_negative(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo Rollouts 1.10.2 accepts them: Pods that still have requests end at once, for example."""
    for rollout in of_kind(manifests, "Rollout"):
        fields = {key: rollout["spec"].get(key) for key in ("analysis", "rollbackWindow", "strategy")}
        for path, holder in with_paths(fields, "spec"):
            for field in _NOT_NEGATIVE:
                if isinstance(holder.get(field), int) and holder[field] < 0:
                    yield f"{name_of(rollout)}: {path}.{field}: {holder[field]}; write 0 or more"


_ROLE = "eks.amazonaws.com/role-arn"


def roles_of_service_accounts_are_arns(manifests: Sequence[Json]) -> Iterator[str]:
    """STS refuses another text, so that the Pods have no credentials.

    Source: the README of aws/amazon-eks-pod-identity-webhook 0.6, which does not check it.
    """
    for account in of_kind(manifests, "ServiceAccount"):
        role = _annotations(account).get(_ROLE, "placeholder")
        if role != "placeholder" and not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+", role):
            field = f"metadata.annotations.{_ROLE}: {role}"
            remedy = "take it from the cluster Secret, by a patch or a parameter"
            yield f"{name_of(account)}: {field}: no ARN of a role; {remedy}"


def pods_have_the_default_scheduler(manifests: Sequence[Json]) -> Iterator[str]:
    """No other one is installed, so that the Pod stays Pending.

    Source: `schedulerName` of PodSpec in core/v1/types.go of k8s.io/api v0.37.0.
    """
    for manifest in manifests:
        for path, holder in with_paths(manifest):
            name = holder.get("schedulerName") if "containers" in holder else None
            if name not in {None, "default-scheduler"}:
                yield f"{name_of(manifest)}: {path}.schedulerName: {name}: not installed; remove it"


_SEVERITIES = ("critical", "warning", "info")


def alerts_have_a_severity(manifests: Sequence[Json]) -> Iterator[str]:
    """Alertmanager sends alerts as their severity says: the routes in `management/monitoring/values.yaml`."""
    for manifest in of_kind(manifests, "PrometheusRule"):
        for index, group in enumerate(manifest["spec"].get("groups") or []):
            for number, rule in enumerate(group.get("rules") or []):
                severity = (rule.get("labels") or {}).get("severity")
                if "alert" in rule and severity not in _SEVERITIES:
                    field = f"spec.groups[{index}].rules[{number}].labels.severity"
                    what = "missing" if severity is None else severity
                    yield f"{name_of(manifest)}: {field}: {what}; write one of {', '.join(_SEVERITIES)}"


def dashboards_have_the_label_of_grafana(manifests: Sequence[Json]) -> Iterator[str]:
    """Grafana does not find others. Source: `grafana.sidecar.dashboards.label` in kube-prometheus-stack 88.5.3."""
    for config in of_kind(manifests, "ConfigMap"):
        files = [
            name for name, text in (config.get("data") or {}).items() if name.endswith(".json") and '"panels"' in text
        ]
        if files and "grafana_dashboard" not in (config["metadata"].get("labels") or {}):
            yield f'{name_of(config)}: metadata.labels.grafana_dashboard: missing, with {files[0]}; write "1"'


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def _seconds(duration: str) -> float:
    """A duration of Prometheus, such as 1m30s."""
    return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def monitors_wait_no_longer_than_their_interval(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the operator ignores the whole monitor.

    Source: validateScrapeIntervalAndTimeout of the Prometheus Operator 0.93, `pkg/prometheus/resource_selector.go`.
    """
    for monitor in of_kind(manifests, "PodMonitor", "ServiceMonitor"):
        key = "endpoints" if monitor["kind"] == "ServiceMonitor" else "podMetricsEndpoints"
        for index, endpoint in enumerate(monitor["spec"].get(key) or []):
            interval, timeout = endpoint.get("interval"), endpoint.get("scrapeTimeout")
            if interval and timeout and _seconds(str(timeout)) > _seconds(str(interval)):
                field = f"spec.{key}[{index}].scrapeTimeout"
                yield f"{name_of(monitor)}: {field}: {timeout}; write at most the interval, {interval}"


# What Go's expressions do not have, but Python's have; and the reverse, so that Python cannot judge them.
# Source: https://github.com/google/re2/wiki/Syntax
_NOT_IN_GO = re.compile(r"\(\?(?:<?[=!]|>|P=|P>|\(|#)|\\[1-9ZuUN]|(?:[*+?]|\{\d+(?:,\d*)?\})\+")
_ONLY_IN_GO = re.compile(r"\\[pPQEzC]|\[\[:|\(\?(?!P<|:)")


def wrong_expression(text: str) -> str | None:
    """What is wrong with a regular expression of Go (RE2); None also if it cannot be told."""
    plain = re.sub(r"\\[^1-9A-Za-z]", "x", re.sub(r"\[\^?\]?(?:\\.|[^\]\\])*\]", "x", text.replace("\\\\", "x")))
    if found := _NOT_IN_GO.search(plain):
        return f"{found[0]}: not in RE2"
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile("" if _ONLY_IN_GO.search(text) else text)
    except re.error as error:
        return str(error)
    return None


_RELABELINGS = ("metricRelabelings", "relabelings")
_NEEDS_TARGET = {"dropequal", "hashmod", "keepequal", "lowercase", "replace", "uppercase"}


def relabelings_of_monitors_are_valid(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the operator ignores the whole monitor.

    Source: ValidateRelabelConfig of the Prometheus Operator 0.93, `pkg/prometheus/validation/validator.go`.
    """
    for monitor in of_kind(manifests, "PodMonitor", "ServiceMonitor"):
        for path, holder in with_paths(monitor["spec"], "spec"):
            for field in _RELABELINGS:
                for index, one in enumerate(holder.get(field) or []):
                    at = f"{name_of(monitor)}: {path}.{field}[{index}]"
                    action = str(one.get("action") or "replace").lower()
                    if said := wrong_expression(str(one.get("regex", ""))):
                        yield f"{at}.regex: {one['regex']}: {said}; correct it"
                    if action == "hashmod" and not one.get("modulus"):
                        yield f"{at}.modulus: missing; add it"
                    if action in _NEEDS_TARGET and not one.get("targetLabel"):
                        yield f"{at}.targetLabel: missing; {action} needs it"


ALL = (
    alerts_have_a_severity,
    claims_are_on_the_shared_file_system,
    containers_request_and_limit_the_disk,
    cron_jobs_can_start,
    dashboards_have_the_label_of_grafana,
    environment_variables_are_set_once,
    images_are_pulled,
    numbers_of_rollouts_are_not_negative,
    roles_of_service_accounts_are_arns,
    rollouts_are_not_paused,
    namespaces_limit_the_disk,
    only_autoscalers_set_replicas,
    pods_have_the_default_scheduler,
    custom_resources_skip_dry_run_on_missing_kinds,
    images_have_a_tag_and_a_digest,
    ingresses_have_a_class_and_no_settings_of_the_class,
    ingresses_have_rules_with_hosts,
    monitors_wait_no_longer_than_their_interval,
    namespaces_deny_by_default,
    network_policies_apply_their_rules,
    relabelings_of_monitors_are_valid,
    topology_keys_are_labels_of_nodes,
    namespaces_have_pod_security_labels,
    projects_have_a_finalizer,
    rollouts_behind_the_load_balancer_use_ping_pong,
    services_have_no_external_addresses,
    services_of_rollouts_exist,
    secrets_have_no_values,
    selectors_contain_no_version,
    the_default_project_is_closed,
)
