"""The changes of versions that the emulated EKS refuses, by time and support."""

from datetime import UTC, date, datetime, timedelta

import pytest

from eks_gitops.versions import EKS_VERSIONS
from operations.local import eks_versions
from operations.local.eks_versions import Running, Upgrade

NOW = datetime(2026, 11, 28, tzinfo=UTC)
DAY = timedelta(days=1)


def _running(*, days: int = 1, since: str = "1.34", support_type: str = "STANDARD", nodes: str = "1.34") -> Running:
    return Running("1.35", {"main": nodes}, support_type, Upgrade(since, NOW - days * DAY))


@pytest.mark.parametrize(
    ("running", "now", "message"),
    [
        (_running(), NOW, None),
        (_running(days=7), NOW, None),
        (_running(days=8), NOW, "The cluster was not upgraded from 1.34 in the last 7 days"),
        (_running(since="1.33"), NOW, "The cluster was not upgraded from 1.34 in the last 7 days"),
        (_running()._replace(upgrade=None), NOW, "The cluster was not upgraded from 1.34 in the last 7 days"),
        (_running(days=-7), NOW + 7 * DAY,
         "1.34 is in extended support: change the upgrade policy to EXTENDED first"),
        (_running(days=-7, support_type="EXTENDED"), NOW + 7 * DAY, None),
        (_running(nodes="1.35"), NOW, "Rollback readiness: main with 1.35 cannot join a control plane of 1.34"),
    ],
)  # fmt: skip
def test_a_rollback_has_the_documented_conditions(running: Running, now: datetime, message: str | None) -> None:
    refused = eks_versions.refused_update(running, "1.34", now, force=False)
    assert (refused and refused.message) == message


def test_every_supported_version_can_be_emulated() -> None:
    assert {version: support[:2] for version, support in EKS_VERSIONS.items()} == eks_versions.VERSIONS


def test_force_skips_the_insights_alone() -> None:
    assert eks_versions.refused_update(_running(nodes="1.35"), "1.34", NOW, force=True) is None
    assert eks_versions.refused_update(_running(days=8), "1.34", NOW, force=True) is not None


def test_a_version_past_its_support_is_unsupported() -> None:
    (status,) = {entry["versionStatus"] for entry in eks_versions.cluster_versions(date(2040, 1, 1))}
    assert status == "UNSUPPORTED"


def test_nodes_are_at_most_three_versions_older() -> None:
    assert eks_versions.refused_nodes("1.36", "1.33") is None
    assert eks_versions.refused_nodes("1.36", "1.32") is not None
    assert eks_versions.default_addon_version("kube-proxy", "1.30") == "v1.0.0-eksbuild.1"
