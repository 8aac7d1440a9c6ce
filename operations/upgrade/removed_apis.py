"""The APIs that Kubernetes removes, and where the Git tree uses them.

Source: `APILifecycleRemoved` of each type in k8s.io/api v0.37.0, without types that no manifest has, such as reviews.
https://kubernetes.io/docs/reference/using-api/deprecation-guide/ explains the replacements of the older ones.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

GUIDE = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/"

_REMOVED: Mapping[int, Mapping[str, str]] = {
    16: {
        "apps/v1beta1": "ControllerRevision Deployment StatefulSet",
        "apps/v1beta2": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
        "extensions/v1beta1": "DaemonSet Deployment NetworkPolicy ReplicaSet",
    },
    22: {
        "admissionregistration.k8s.io/v1beta1": "MutatingWebhookConfiguration ValidatingWebhookConfiguration",
        "certificates.k8s.io/v1beta1": "CertificateSigningRequest",
        "coordination.k8s.io/v1beta1": "Lease",
        "extensions/v1beta1": "Ingress",
        "networking.k8s.io/v1beta1": "Ingress IngressClass",
        "rbac.authorization.k8s.io/v1beta1": "ClusterRole ClusterRoleBinding Role RoleBinding",
        "scheduling.k8s.io/v1beta1": "PriorityClass",
        "storage.k8s.io/v1beta1": "CSIDriver CSINode StorageClass VolumeAttachment",
    },
    24: {"storage.k8s.io/v1alpha1": "CSIStorageCapacity VolumeAttachment"},
    25: {
        "batch/v1beta1": "CronJob",
        "discovery.k8s.io/v1beta1": "EndpointSlice",
        "events.k8s.io/v1beta1": "Event",
        "node.k8s.io/v1beta1": "RuntimeClass",
        "policy/v1beta1": "PodDisruptionBudget",
    },
    26: {"flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema PriorityLevelConfiguration"},
    27: {"storage.k8s.io/v1beta1": "CSIStorageCapacity"},
    29: {"flowcontrol.apiserver.k8s.io/v1beta2": "FlowSchema PriorityLevelConfiguration"},
    32: {
        "admissionregistration.k8s.io/v1alpha1": "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
        "flowcontrol.apiserver.k8s.io/v1beta3": "FlowSchema PriorityLevelConfiguration",
    },
    34: {"admissionregistration.k8s.io/v1beta1": "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"},
    35: {"storage.k8s.io/v1alpha1": "VolumeAttributesClass"},
    37: {
        "certificates.k8s.io/v1alpha1": "ClusterTrustBundle",
        "networking.k8s.io/v1beta1": "IPAddress ServiceCIDR",
        "storage.k8s.io/v1beta1": "VolumeAttributesClass",
    },
    38: {
        "admissionregistration.k8s.io/v1alpha1": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
        "coordination.k8s.io/v1alpha2": "LeaseCandidate",
        "resource.k8s.io/v1beta1": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    },
    39: {
        "coordination.k8s.io/v1beta1": "LeaseCandidate",
        "resource.k8s.io/v1alpha3": "DeviceTaintRule",
        "resource.k8s.io/v1beta2": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    },
    40: {
        "admissionregistration.k8s.io/v1beta1": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding",
        "certificates.k8s.io/v1beta1": "ClusterTrustBundle PodCertificateRequest",
        "storagemigration.k8s.io/v1beta1": "StorageVersionMigration",
    },
}
"""By the minor version that no longer serves them: API versions with their kinds."""

_FOLDERS = ("helm", "management", "service")
_DOCUMENT = re.compile(r"^---.*$", re.MULTILINE)
_FIELD = re.compile(r"^([ \-]*)(apiVersion|kind): *['\"]?([\w./]+)['\"]? *(?:#.*)?$", re.MULTILINE)


def in_text(text: str, minor: int) -> list[str]:
    """The objects in YAML that Kubernetes 1.`minor` does not serve, such as `batch/v1beta1 CronJob`.

    The YAML may be a template. Objects inside others are found, too, as their fields have the same indentation.
    """
    found = set()
    for document in _DOCUMENT.split(text):
        fields: dict[int, dict[str, str]] = {}
        for indentation, name, value in _FIELD.findall(document):
            at = fields.setdefault(len(indentation), {})
            if name in at:
                at.clear()
            at[name] = value
            version, kind = at.get("apiVersion", ""), at.get("kind", "")
            if any(kind in _REMOVED[removed].get(version, "").split() for removed in _REMOVED if removed <= minor):
                found.add(f"{version} {kind}")
    return sorted(found)


def in_tree(root: Path, minor: int) -> Iterator[tuple[Path, str]]:
    """Each file of the Git tree with an object that Kubernetes 1.`minor` does not serve."""
    for folder in _FOLDERS:
        for file in sorted((root / folder).rglob("*.y*ml")):
            for what in in_text(file.read_text(encoding="utf-8", errors="replace"), minor):
                yield file.relative_to(root), what
