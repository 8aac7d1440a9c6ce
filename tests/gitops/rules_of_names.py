"""Rules for names: what a manifest names is deployed, too.

The API server accepts any name, because the object could be created later. A rule takes the manifests of one entry of
the tree and everything that is deployed, and yields one line for each violation. What charts, EKS and Terraform create
is in `created_elsewhere.yaml`, as far as the tree names it.
"""

from collections.abc import Iterator, Sequence

from tests.gitops.pods import named, namespace_of, pods
from tests.gitops.rules import group_of, name_of, of_kind, with_paths
from tests.gitops.tree import Json

REMEDY = "correct it or create it (what others create: tests/gitops/created_elsewhere.yaml)"

# The fields of a Pod that name an object of its namespace, and how an object may be called in them.
_NAMING = {
    "configMap": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "persistentVolumeClaim": "PersistentVolumeClaim",
    "secret": "Secret",
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
}
# The same fields of a monitor. Without the object, the Prometheus Operator 0.93 ignores the monitor: see AddBasicAuth
# and others in its pkg/prometheus/resource_selector.go.
_OF_MONITORS = {
    "bearerTokenSecret": "Secret",
    "clientSecret": "Secret",
    "configMap": "ConfigMap",
    "credentials": "Secret",
    "keySecret": "Secret",
    "password": "Secret",
    "secret": "Secret",
    "username": "Secret",
}
_OF_SPECS = (("Ingress", "ingressClassName", "IngressClass"), ("StatefulSet", "serviceName", "Service"))
_NAMES = ("name", "secretName", "claimName")
_OF_THE_CLUSTER = {"ClusterRole", "IngressClass", "PriorityClass", "RuntimeClass"}
# ClusterRoles for users: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go of Kubernetes 1.37.
_ALWAYS_THERE = {
    ("ClusterRole", "admin"),
    ("ClusterRole", "cluster-admin"),
    ("ClusterRole", "edit"),
    ("ClusterRole", "view"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("PriorityClass", "system-cluster-critical"),
    ("PriorityClass", "system-node-critical"),
    ("ServiceAccount", "default"),
}

# The path of a field that names an object; its kind, its name, and the keys that it must have.
Reference = tuple[str, str, str, list[str]]


def names_have_objects(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """A Pod that names a missing object does not start, or not with its secrets or its identity.

    No controller reads an Ingress of a class that does not exist.
    """
    for manifest in manifests:
        for path, kind, name, keys in (*_references(manifest), *_references_of_monitors(manifest)):
            namespace = namespace_of(manifest)
            made = _made(kind, name, namespace, deployed)
            if not made and (kind, name) not in _ALWAYS_THERE:
                where = " in its namespace" if namespace and kind not in _OF_THE_CLUSTER else ""
                yield f"{name_of(manifest)}: {path}: no {kind} {name}{where}; {REMEDY}"
            elif made and all(one is not None for one in made):
                known = {key for one in made for key in one or ()}
                for key in keys:
                    if key not in known:
                        yield (
                            f"{name_of(manifest)}: {path}: {kind} {name} has no key {key}; "
                            f"write one of {', '.join(sorted(known)) or 'none'}"
                        )


def _references(manifest: Json) -> Iterator[Reference]:
    """The fields that name an object which must exist."""
    kind, spec = manifest["kind"], manifest.get("spec") or {}
    for one in pods([manifest]):
        yield from _references_of_pods(one.spec, f"{one.path}spec")
    if kind == "ServiceAccount":
        yield from _pull_secrets(manifest, "imagePullSecrets")
    if kind == "AnalysisTemplate":
        for path, holder in with_paths(spec.get("args"), "spec.args"):
            if isinstance(holder.get("secretKeyRef"), dict):
                yield from _reference(f"{path}.secretKeyRef", "Secret", holder["secretKeyRef"])
    yield from (
        (f"spec.{field}", named_kind, spec[field], [])
        for owner, field, named_kind in _OF_SPECS
        if kind == owner and spec.get(field)
    )
    if kind in {"RoleBinding", "ClusterRoleBinding"}:
        role, name = manifest["roleRef"]["kind"], manifest["roleRef"]["name"]
        if role == "Role" or not name.startswith("system:"):  # Kubernetes creates those
            yield "roleRef", role, name, []
    if kind == "ExternalSecret" and _target(manifest).get("creationPolicy") == "Merge":
        yield "spec.target", "Secret", secret_of(manifest), []


def _references_of_monitors(manifest: Json) -> Iterator[Reference]:
    if manifest["kind"] in {"PodMonitor", "ServiceMonitor"}:
        for path, holder in with_paths(manifest["spec"], "spec"):
            for field, kind in _OF_MONITORS.items():
                reference = holder.get(field)
                if isinstance(reference, dict) and reference.get("name") and not reference.get("optional"):
                    yield from _reference(f"{path}.{field}", kind, reference)


def _references_of_pods(spec: Json, at: str) -> Iterator[Reference]:
    for path, holder in with_paths(spec, at):
        for field, kind in _NAMING.items():
            reference = holder.get(field)
            if isinstance(reference, dict) and not reference.get("optional"):
                yield from _reference(f"{path}.{field}", kind, reference)
    if "serviceAccountName" in spec:
        yield f"{at}.serviceAccountName", "ServiceAccount", spec["serviceAccountName"], []
    if spec.get("runtimeClassName"):
        yield f"{at}.runtimeClassName", "RuntimeClass", spec["runtimeClassName"], []
    if spec.get("priorityClassName"):
        yield f"{at}.priorityClassName", "PriorityClass", spec["priorityClassName"], []
    yield from _pull_secrets(spec, f"{at}.imagePullSecrets")


def _pull_secrets(holder: Json, at: str) -> Iterator[Reference]:
    for index, secret in enumerate(holder.get("imagePullSecrets") or []):
        yield f"{at}[{index}]", "Secret", secret["name"], []


def _reference(path: str, kind: str, reference: Json) -> Iterator[Reference]:
    name = next((reference[field] for field in _NAMES if field in reference), None)
    if name is not None:
        keys = [item["key"] for item in reference.get("items") or []]
        yield path, kind, name, [reference["key"], *keys] if "key" in reference else keys


# The Secrets that the controller reads in its own namespace: the field that names one, its default, and its keys.
_OF_PROVIDERS = {
    "influxdb": ("profile", "influxdb", ["authToken", "org", "address"]),
    "newRelic": ("profile", "newrelic", ["account-id", "personal-api-key"]),
    "wavefront": (None, "wavefront-api-tokens", []),
}


def credentials_of_analyses_exist(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Without its Secret every measurement is an error, and the analysis aborts every rollout.

    Source: metricproviders/{datadog,influxdb,newrelic,wavefront} of Argo Rollouts 1.10.2; only Datadog can read one in
    the namespace of the template.
    """
    for manifest in of_kind(manifests, "AnalysisTemplate", "ClusterAnalysisTemplate"):
        for path, name, keys, namespace in _credentials(manifest):
            made = _made("Secret", name, namespace, deployed)
            known = {key for one in made for key in one or ()}
            where = f"{name_of(manifest)}: {path}"
            if not made and "{{" not in name:
                yield f"{where}: no Secret {name} in the namespace {namespace}; {REMEDY}"
            elif made and None not in made and (lacking := [key for key in keys if key not in known]):
                yield f"{where}: Secret {name} has no key {lacking[0]}; add it"


def _credentials(template: Json) -> Iterator[tuple[str, str, list[str], str | None]]:
    """The path of a field that names a Secret, its name, its keys and its namespace."""
    for index, metric in enumerate(template["spec"].get("metrics") or []):
        provider, at = metric.get("provider") or {}, f"spec.metrics[{index}].provider"
        for kind, (field, default, keys) in _OF_PROVIDERS.items():
            if kind in provider:
                given = (provider[kind] or {}).get(field) if field else None
                yield f"{at}.{kind}.{field}" if given else f"{at}.{kind}", given or default, keys, "argo-rollouts"
        reference = (provider.get("datadog") or {}).get("secretRef") or {}
        if reference.get("name"):
            namespace = namespace_of(template) if reference.get("namespaced") else "argo-rollouts"
            yield f"{at}.datadog.secretRef.name", reference["name"], ["api-key", "app-key"], namespace


def _made(kind: str, name: str, namespace: str | None, deployed: Sequence[Json]) -> list[set[str] | None]:
    """The keys of each object of the name, or None if they are unknown. Nothing if there is no such object."""
    if kind in _OF_THE_CLUSTER:
        return [_keys(one) for one in of_kind(deployed, kind) if one["metadata"]["name"] == name]
    found = [_keys(one) for one in named(kind, name, namespace, deployed)]
    if kind != "Secret":
        return found
    external = [
        one for one in of_kind(deployed, "ExternalSecret") if secret_of(one) == name and namespace_of(one) == namespace
    ]
    policies = [_target(one).get("creationPolicy", "Owner") for one in external]
    if not found and not {"Owner", "Orphan"} & set(policies):
        return []
    return found + [
        keys_of_external(one["spec"]) for one, policy in zip(external, policies, strict=True) if policy != "None"
    ]


def _keys(manifest: Json) -> set[str] | None:
    found = {key for field in ("data", "binaryData", "stringData") for key in manifest.get(field) or {}}
    return found or None


def _target(external: Json) -> Json:
    target: Json = external["spec"].get("target") or {}
    return target


def secret_of(external: Json) -> str:
    return str(_target(external).get("name") or external["metadata"]["name"])


def keys_of_external(spec: Json) -> set[str] | None:
    """Source: ApplyTemplate of External Secrets 1.3.2, externalsecret_controller_template.go."""
    template = (spec.get("target") or {}).get("template") or {}
    fetched = None if spec.get("dataFrom") else {one["secretKey"] for one in spec.get("data") or []}
    if template.get("templateFrom"):
        return None
    if not template.get("data"):
        return fetched
    made = set(template["data"])
    if template.get("mergePolicy") != "Merge":
        return made
    return None if fetched is None else made | fetched


def ingresses_have_services(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """The load balancer controller builds nothing of an Ingress, and of its group, while a Service is missing."""
    for ingress in of_kind(manifests, "Ingress"):
        for path, backend in _backends(ingress):
            services = named("Service", backend["name"], namespace_of(ingress), deployed)
            if not services:
                yield f"{name_of(ingress)}: {path}.name: no Service {backend['name']}; {REMEDY}"
            for port in (backend.get("port") or {}).values():
                known = [one for service in services for one in service["spec"].get("ports") or []]
                if known and not any(port in {one.get("name"), one["port"]} for one in known):
                    names = ", ".join(str(one.get("name") or one["port"]) for one in known)
                    yield f"{name_of(ingress)}: {path}.port: {port}: no such port; write one of {names}"


def _backends(ingress: Json) -> Iterator[tuple[str, Json]]:
    """The Services of an Ingress. The load balancer controller reads `use-annotation` as the name of an action."""
    for path, holder in with_paths(ingress.get("spec"), "spec"):
        backend = holder.get("service")
        if isinstance(backend, dict) and (backend.get("port") or {}).get("name") != "use-annotation":
            yield f"{path}.service", backend


def resource_fields_name_a_container(manifests: Sequence[Json], _: Sequence[Json]) -> Iterator[str]:
    """With another name the kubelet does not start the Pod.

    Source: ExtractResourceValueByContainerName of Kubernetes 1.37.2, pkg/api/v1/resource/helpers.go.
    """
    for one in pods(manifests):
        names = [each.get("name") for key in ("containers", "initContainers") for each in one.spec.get(key) or []]
        for path, holder in with_paths(one.spec, f"{one.path}spec"):
            reference = holder.get("resourceFieldRef")
            name = reference.get("containerName") if isinstance(reference, dict) else None
            if name and name not in names:
                known = ", ".join(map(str, names))
                field = f"{path}.resourceFieldRef.containerName: {name}"
                yield f"{name_of(one.owner)}: {field}: no such container; write one of {known}"


def node_pools_have_a_class(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Without its EC2NodeClass a NodePool is not ready: Karpenter starts no node."""
    for pool in of_kind(manifests, "NodePool"):
        named_class = pool["spec"]["template"]["spec"]["nodeClassRef"]
        wanted = (named_class.get("group"), named_class.get("kind"), named_class.get("name"))
        known = [(group_of(one), one["kind"], one["metadata"]["name"]) for one in of_kind(deployed, "EC2NodeClass")]
        if wanted not in known:
            names = ", ".join(" ".join(one) for one in sorted(known)) or "an EC2NodeClass that exists"
            given = " ".join(str(part) for part in wanted)
            yield f"{name_of(pool)}: spec.template.spec.nodeClassRef: {given}: not found; write {names}"


def subjects_of_bindings_exist(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise nobody has the permissions."""
    for binding in of_kind(manifests, "ClusterRoleBinding", "RoleBinding"):
        for index, subject in enumerate(binding.get("subjects") or []):
            name, namespace = subject.get("name"), subject.get("namespace") or namespace_of(binding)
            is_account = subject.get("kind") == "ServiceAccount" and ("ServiceAccount", name) not in _ALWAYS_THERE
            if is_account and not named("ServiceAccount", str(name), namespace, deployed):
                where = f"{name_of(binding)}: subjects[{index}]"
                yield f"{where}: no ServiceAccount {name} in the namespace {namespace}; {REMEDY}"


def policies_of_exceptions_exist(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """An exception from a policy that does not exist has no effect.

    Source: `policyRefs` in config/crds/policies.kyverno.io/policies.kyverno.io_policyexceptions.yaml of Kyverno 1.19.0.
    """
    known = {(one["kind"], one["metadata"]["name"]) for one in deployed if group_of(one) == "policies.kyverno.io"}
    for exception in of_kind(manifests, "PolicyException"):
        for index, one in enumerate(exception["spec"].get("policyRefs") or []):
            kind, name = str(one.get("kind")), str(one.get("name"))
            if (kind, name) not in known:
                names = sorted(other for same, other in known if same == kind)
                remedy = f"write one of {', '.join(names)}" if names else "correct its kind"
                yield f"{name_of(exception)}: spec.policyRefs[{index}]: no {kind} {name}; {remedy}"


# The types of services that send nothing without a recipient: pkg/services of notifications-engine.
NEED_A_RECIPIENT = {"email", "googlechat", "mattermost", "rocketchat", "slack", "teams", "telegram"}
_SUBSCRIBE = "notifications.argoproj.io/subscribe."


def subscriptions_name_triggers_and_services(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise nothing is sent.

    Source: the annotation in pkg/subscriptions/annotations.go of notifications-engine, and the names of services in its
    pkg/api/config.go, in the version that Argo CD 3.6.1 requires.
    """
    data: Json = {}
    for config in named("ConfigMap", "argocd-notifications-cm", "argocd", deployed):
        data |= config.get("data") or {}
    triggers = {key.removeprefix("trigger.") for key in data if key.startswith("trigger.")}
    services = {key.rpartition(".")[2]: key.split(".")[1] for key in data if key.startswith("service.")}
    for manifest in of_kind(manifests, "AppProject", "Application", "ApplicationSet"):
        for path, holder in with_paths(manifest):
            for key in holder if path.endswith("metadata.annotations") else ():
                *trigger, service = key.removeprefix(_SUBSCRIBE).split(".") if key.startswith(_SUBSCRIBE) else [""]
                for kind, name, known in (
                    *(("trigger", one, triggers) for one in trigger[:1]),
                    *(("service", one, services) for one in [service] if one),
                ):
                    if name not in known:
                        remedy = f"write one of {', '.join(sorted(known))}" if known else "add it"
                        where = f"{name_of(manifest)}: {path}.{key}"
                        yield f"{where}: no {kind} {name} in argocd-notifications-cm; {remedy}"
                    elif services.get(name) in NEED_A_RECIPIENT and not str(holder[key]).strip("; "):
                        yield f"{name_of(manifest)}: {path}.{key}: no recipient; write such as the name of a channel"


ALL = (
    names_have_objects,
    policies_of_exceptions_exist,
    subjects_of_bindings_exist,
    subscriptions_name_triggers_and_services,
    credentials_of_analyses_exist,
    ingresses_have_services,
    node_pools_have_a_class,
    resource_fields_name_a_container,
)
