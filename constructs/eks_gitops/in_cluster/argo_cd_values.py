"""Helm values of the chart argo-cd, generated from the config. A test checks that the chart knows every key."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eks_gitops.in_cluster.argo_cd_config import OIDC_PROVIDERS, ArgoCdConfig, OidcConfig
from eks_gitops.in_cluster.load_balancer_controller import ingress_class, ingress_class_params
from eks_gitops.versions import LOAD_BALANCER_CONTROLLER_CHART

_INGRESS_CLASS = "argo-cd"
_WEBHOOK_EXEMPTION = {"app.kubernetes.io/name": LOAD_BALANCER_CONTROLLER_CHART.name}
_COMPONENTS = ("applicationSet", "controller", "notifications", "redis", "repoServer", "server")
_SPREAD = ("applicationSet", "repoServer", "server")

_RESOURCES = {
    "applicationSet": ("50m", "128Mi", "256Mi"),
    "controller": ("250m", "512Mi", "2Gi"),
    "notifications": ("20m", "64Mi", "128Mi"),
    "redis": ("50m", "64Mi", "256Mi"),
    "repoServer": ("100m", "256Mi", "1Gi", "8Gi"),  # clones of the repositories are on the disk of its node
    "server": ("50m", "128Mi", "512Mi"),
}
"""CPU request, memory request, memory limit and, if it is not the default, the limit of the node's disk of each
component. A CPU limit would only throttle it."""

# Numerous internal resources of controllers. Watching them costs memory and shows nothing of interest.
_EXCLUDED = (
    (("", "discovery.k8s.io"), ("Endpoints", "EndpointSlice")),
    (("coordination.k8s.io",), ("Lease",)),
    (
        ("authentication.k8s.io", "authorization.k8s.io"),
        (
            "LocalSubjectAccessReview",
            "SelfSubjectAccessReview",
            "SelfSubjectReview",
            "SelfSubjectRulesReview",
            "SubjectAccessReview",
            "TokenReview",
        ),
    ),
    (("certificates.k8s.io",), ("CertificateSigningRequest",)),
    (
        ("kyverno.io", "reports.kyverno.io", "wgpolicyk8s.io"),
        (
            "AdmissionReport",
            "BackgroundScanReport",
            "ClusterAdmissionReport",
            "ClusterBackgroundScanReport",
            "ClusterEphemeralReport",
            "ClusterPolicyReport",
            "EphemeralReport",
            "PolicyReport",
            "UpdateRequest",
        ),
    ),
)


def values(
    config: ArgoCdConfig,
    *,
    certificate_arn: str,
    tags: Mapping[str, str],
    redis_password: str = "",
    auto_mode: bool = False,
    more_objects: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The chart's values. Booleans must not be strings, because the string "false" is true in a Helm template.

    `redis_password` identifies the password without revealing it: a new one restarts the Pods that read
    it, except those of the subchart redis-ha.
    """
    ingress = _ingress()
    if auto_mode and config.web_acl_arn is not None:
        ingress["annotations"]["alb.ingress.kubernetes.io/wafv2-acl-arn"] = config.web_acl_arn
    highly_available = config.availability == "high-availability"
    components = {name: _component(name, highly_available=highly_available) for name in _COMPONENTS}
    components["server"]["ingress"] = ingress
    components["redis-ha"] = _redis_ha() if highly_available else {"enabled": False}
    return {
        **components,
        "global": {
            "domain": config.domain,
            "podAnnotations": {"platform/redis-password": redis_password},
            "networkPolicy": {"create": True},
            "topologySpreadConstraints": _spread_over_zones() if highly_available else [],
        },
        "configs": {
            "cm": _settings(config),
            "params": _parameters(config),
            # RBAC and notifications are configured from Git, so the chart must not create their ConfigMaps.
            "rbac": {"create": False},
        },
        "crds": {"install": True, "keep": True},  # their deletion would hang on an Application with a finalizer
        "dex": {"enabled": False},
        "extraObjects": [*more_objects, *_ingress_class(config, certificate_arn, tags, auto_mode=auto_mode)],
        "redisSecretInit": {"enabled": False},  # ArgoCd creates the Secret, and the hook would leave objects behind
    }


def _redis_ha() -> dict[str, Any]:
    """Three Redis replicas with Sentinel behind HAProxy. The chart places each replica on its own node."""
    return {
        "enabled": True,
        "topologySpreadConstraints": {"enabled": True},
        "init": {"resources": _resources("20m", "32Mi", "64Mi")},
        "redis": {"resources": _resources("100m", "128Mi", "512Mi")},
        "sentinel": {"resources": _resources("20m", "32Mi", "64Mi")},
        "splitBrainDetection": {"resources": _resources("20m", "32Mi", "64Mi")},
        "haproxy": {
            "init": {"resources": _resources("20m", "32Mi", "64Mi")},
            "resources": _resources("50m", "64Mi", "256Mi"),
        },
    }


def _resources(cpu: str, memory: str, memory_limit: str, disk_limit: str = "1Gi") -> dict[str, Any]:
    return {
        "requests": {"cpu": cpu, "memory": memory, "ephemeral-storage": "64Mi"},
        "limits": {"memory": memory_limit, "ephemeral-storage": disk_limit},
    }


def _component(name: str, *, highly_available: bool) -> dict[str, Any]:
    component: dict[str, Any] = {"resources": _resources(*_RESOURCES[name])}
    if name != "redis":
        # No ServiceMonitor here: it is deployed from Git, after its CRD.
        component["metrics"] = {"enabled": True}
    if name == "notifications":
        component |= {"cm": {"create": False}, "secret": {"create": False}}
    if name == "controller":
        component["replicas"] = 1  # only one replica manages a cluster, so a second one would not make it faster
    if name in _SPREAD:
        component["pdb"] = {"enabled": highly_available, "minAvailable": 1 if highly_available else ""}
    if name in ("applicationSet", "server"):
        component["replicas"] = 2 if highly_available else 1
    if name == "repoServer":
        component["autoscaling"] = {"enabled": highly_available, "minReplicas": 2, "maxReplicas": 5}
    return component


def _settings(config: ArgoCdConfig) -> dict[str, Any]:
    """The ConfigMap argocd-cm."""
    settings: dict[str, Any] = {
        "admin.enabled": config.local_admin,
        "application.resourceTrackingMethod": "annotation",
        # Syncing to a revision other than the tracked one requires the permission `override`.
        "application.sync.requireOverridePrivilegeForRevisionSync": True,
        "resource.exclusions": json.dumps(
            [{"apiGroups": groups, "kinds": kinds, "clusters": ["*"]} for groups, kinds in _EXCLUDED]
        ),
        "timeout.reconciliation": f"{config.tuning.reconciliation_seconds}s",
        "timeout.reconciliation.jitter": f"{config.tuning.reconciliation_jitter_seconds}s",
    }
    if config.sso is not None:
        settings["oidc.config"] = json.dumps(_single_sign_on(config.sso), sort_keys=True)
    return settings


def _single_sign_on(sso: OidcConfig) -> dict[str, Any]:
    """The key `oidc.config`.

    Source: docs/operator-manual/user-management/index.md of Argo CD 3.5.0.
    """
    provider = OIDC_PROVIDERS[sso.provider]
    login: dict[str, Any] = {
        "name": provider.name,
        "issuer": sso.issuer,
        "clientID": sso.client_id,
        # A reference that Argo CD resolves in argocd-secret, to which External Secrets adds the key.
        "clientSecret": "$oidc.clientSecret",
        "requestedScopes": list(provider.scopes),
    }
    if sso.cli_client_id is not None:
        login["cliClientID"] = sso.cli_client_id
    if provider.groups_claim:
        login["requestedIDTokenClaims"] = {"groups": {"essential": True}}
    return login


def _parameters(config: ArgoCdConfig) -> dict[str, Any]:
    """The ConfigMap argocd-cmd-params-cm."""
    tuning = config.tuning
    return {
        "controller.status.processors": tuning.status_processors,
        "controller.operation.processors": tuning.operation_processors,
        "controller.kubectl.parallelism.limit": tuning.kubectl_parallelism,
        "controller.repo.server.timeout.seconds": tuning.repo_server_timeout_seconds,
        "server.repo.server.timeout.seconds": tuning.repo_server_timeout_seconds,
        "reposerver.parallelism.limit": tuning.repo_server_parallelism,
        # The load balancer terminates TLS. With this setting, the chart uses the HTTP port as its target.
        "server.insecure": True,
    }


def _ingress() -> dict[str, Any]:
    """One host for the UI and for the gRPC requests of the CLI, which are routed by their content type."""
    return {
        "enabled": True,
        "controller": "aws",
        "ingressClassName": _INGRESS_CLASS,
        "annotations": {
            "alb.ingress.kubernetes.io/backend-protocol": "HTTP",
            "alb.ingress.kubernetes.io/healthcheck-path": "/healthz",
            # The redirect needs the HTTP listener.
            "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP":80},{"HTTPS":443}]',
            "alb.ingress.kubernetes.io/ssl-redirect": "443",
            "alb.ingress.kubernetes.io/target-type": "ip",
        },
        "aws": {
            "backendProtocolVersion": "GRPC",
            "serviceType": "ClusterIP",
            # gRPC has its own health check; the path above is that of HTTP.
            "serviceAnnotations": {
                "alb.ingress.kubernetes.io/healthcheck-path": "/grpc.health.v1.Health/Check",
                "alb.ingress.kubernetes.io/success-codes": "0",
            },
        },
    }


def _ingress_class(
    config: ArgoCdConfig, certificate_arn: str, tags: Mapping[str, str], *, auto_mode: bool
) -> list[dict[str, Any]]:
    """A separate IngressClass for Argo CD, because its allowed networks differ from those of the services."""
    spec = ingress_class_params(config.ingress, group=None, tags=tags, certificate_arns=[certificate_arn])
    if config.web_acl_arn is not None and not auto_mode:
        spec["wafv2AclArn"] = config.web_acl_arn
    # The controller's webhook ignores objects with the controller's own label.
    labels = None if auto_mode else _WEBHOOK_EXEMPTION
    return ingress_class(_INGRESS_CLASS, spec, auto_mode=auto_mode, labels=labels)


def _spread_over_zones() -> list[dict[str, Any]]:
    """Topology spread constraints. The chart adds the label selector of each component."""
    return [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}]
