"""The groups of remove-crds, compared with the CRDs of the charts, from the Go modules that are on this machine.

The AWS Load Balancer Controller is missing: its current versions are no Go module.
"""

import re

import pytest

from operations.destroy.crds import _GROUPS
from tests import GO_MODULES

_CRDS = {
    "github.com/argoproj/argo-cd/v3": "manifests/crds/*-crd.yaml",
    "github.com/argoproj/argo-rollouts": "manifests/crds/*-crd.yaml",
    "github.com/aws/karpenter-provider-aws": "pkg/apis/crds/*.yaml",  # a link in the folder of the chart
    "github.com/external-secrets/external-secrets": "config/crds/bases/*.yaml",
    "github.com/kyverno/kyverno": "config/crds/*/*.yaml",
    "github.com/openreports/reports-api": "config/crd/*.yaml",  # of a chart that Kyverno's chart includes
    "github.com/prometheus-operator/prometheus-operator": "example/prometheus-operator-crd/*.yaml",
    "sigs.k8s.io/external-dns": "charts/external-dns/crds/*.yaml",
}

_KEPT = {
    # CapacityBuffer, which Cluster Autoscaler reads, too (sigs.k8s.io/karpenter 1.14.0, designs/capacity-buffers.md).
    # Nothing here uses it: the chart of Karpenter 1.15.2 has it, with settings.featureGates.capacityBuffer off.
    "autoscaling.x-k8s.io",
}


@pytest.mark.parametrize("module", _CRDS)
def test_every_group_of_a_chart_is_removed_or_kept_for_a_reason(module: str) -> None:
    files = list(GO_MODULES.glob(f"{module}@*/{_CRDS[module]}"))
    if not files:
        pytest.skip(f"{module}: not in the cache of Go modules, {GO_MODULES}; its CRDs are not compared")
    texts = [file.read_text(encoding="utf-8") for file in files]
    groups = {group for text in texts for group in re.findall(r"^  group: (\S+)$", text, flags=re.MULTILINE)}
    assert groups
    assert groups - {*_GROUPS, *_KEPT} == set()
