"""What a cluster in AWS must be like before its Kubernetes version changes.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html and rollback-cluster.html, and
`UpdateClusterVersion` of EKS in botocore 1.43.106.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from operations.clients.aws import paginate
from operations.errors import OperationError
from operations.preflight.check import Line, Outcome
from operations.preflight.offers import default_version, offered_addons

_BLOCKING = {True: {"ERROR", "UNKNOWN"}, False: {"ERROR"}}
"""The statuses of insights that block going back, and an upgrade."""


class Change(NamedTuple):
    """A change of a cluster's Kubernetes version."""

    cluster: str
    running: str
    version: str

    @property
    def step(self) -> int:
        """The number of minor versions."""
        return minor(self.version) - minor(self.running)

    @property
    def goes_back(self) -> bool:
        """Whether the new version is older."""
        return self.step < 0

    def __str__(self) -> str:
        return f"{self.cluster}: Kubernetes {self.running} -> {self.version}"


def minor(version: str) -> int:
    """36 of `1.36`.

    Raises:
        OperationError: if it is not such a version.
    """
    major, _, number = version.partition(".")
    if major != "1" or not number.isdecimal():
        raise OperationError(f"version: {version!r}: not a Kubernetes version; write it like 1.36")
    return int(number)


def step(change: Change, cluster: Mapping[str, Any]) -> Iterator[Line]:
    """Whether EKS can change the version: one minor version at a time, and no other update in progress."""
    subject, running = f"cluster {change.cluster}", change.running
    if cluster["status"] != "ACTIVE":
        yield Line(subject, "failed", f"is {cluster['status']}; wait until it is ACTIVE")
    if change.step == 0:
        yield Line(subject, "passed", f"runs {running} already")
    elif abs(change.step) > 1:
        next_ = f"1.{minor(running) + (1 if change.step > 0 else -1)}"
        yield Line(subject, "failed", f"runs {running}: EKS changes one minor version at a time; choose {next_}")
    elif change.goes_back:
        message = (
            f"runs {running}: EKS goes back only within 7 days of the upgrade from {change.version}, not if it created "
            "the cluster with this version, and to a version in extended support only with the upgrade policy EXTENDED"
        )
        yield Line(subject, "warning", message)
    else:
        yield Line(subject, "passed", f"runs {running}")


def insights(change: Change, eks: Any) -> Iterator[Line]:
    """The insights of EKS. Those with errors block an upgrade; unknown ones block going back, too."""
    category = "ROLLBACK_READINESS" if change.goes_back else "UPGRADE_READINESS"
    listed = paginate(eks, "list_insights", "insights", clusterName=change.cluster, filter={"categories": [category]})
    found = [insight for insight in listed if insight.get("kubernetesVersion") in {None, change.version}]
    if not found:
        when = "EKS has them for 7 days after an upgrade" if change.goes_back else "EKS renews them every 24 hours"
        remedy = f"aws eks start-insights-refresh --cluster-name {change.cluster}"
        yield Line("insights", "warning", f"EKS has no {category} for {change.version}: {when}; try: {remedy}")
    for insight in found:
        subject, status = f"insight {insight['name']}", insight["insightStatus"]["status"]
        if status == "PASSING":
            yield Line(subject, "passed", insight["insightStatus"].get("reason", ""))
        else:
            described = eks.describe_insight(clusterName=change.cluster, id=insight["id"])["insight"]
            outcome: Outcome = "failed" if status in _BLOCKING[change.goes_back] else "warning"
            yield Line(subject, outcome, "\n".join(_details(described)))


def _details(insight: Mapping[str, Any]) -> Iterator[str]:
    yield f"{insight['insightStatus']['status']}: {insight['insightStatus'].get('reason', '')}"
    for detail in insight.get("categorySpecificSummary", {}).get("deprecationDetails", []):
        agents = ", ".join(client["userAgent"] for client in detail.get("clientStats", []))
        yield f"{detail['usage']}: used by {agents or 'no client in 30 days'}; use {detail.get('replacedWith', '')}"
    for resource in insight.get("resources", []):
        yield str(resource.get("kubernetesResourceUri") or resource.get("arn"))
    if insight.get("recommendation"):
        yield str(insight["recommendation"])


def node_groups(change: Change, eks: Any) -> Iterator[Line]:
    """Whether the node groups have the version from which EKS can change the control plane."""
    for name in paginate(eks, "list_nodegroups", "nodegroups", clusterName=change.cluster):
        group = eks.describe_nodegroup(clusterName=change.cluster, nodegroupName=name)["nodegroup"]
        subject, version = f"node group {name}", group["version"]
        if group["status"] != "ACTIVE":
            yield Line(subject, "failed", f"is {group['status']}; wait until it is ACTIVE")
        elif change.goes_back and minor(version) > minor(change.version):
            command = (
                f"aws eks update-nodegroup-version --cluster-name {change.cluster} --nodegroup-name {name} "
                f"--kubernetes-version {change.version}"
            )
            yield Line(subject, "failed", f"runs {version}, newer than {change.version}; take it back first: {command}")
        elif not change.goes_back and version not in {change.running, change.version}:
            message = f"runs {version}: EKS upgrades a control plane of {change.running} if its nodes have that, too; "
            yield Line(subject, "failed", message + f"deploy the environment with version={change.running!r} first")
        else:
            yield Line(subject, "passed", f"runs {version}")


class Addons(NamedTuple):
    """The versions of add-ons: those that the settings pin, and those of the new version's set, by add-on name."""

    pinned: Mapping[str, str]
    tested: Mapping[str, str]

    def new_pins(self) -> dict[str, str]:
        """The pins that the tested set changes."""
        return {name: self.tested[name] for name in self.pinned if name in self.tested}


def addons(change: Change, versions: Addons, eks: Any) -> Iterator[Line]:
    """Whether EKS offers the versions of the add-ons for the new Kubernetes version."""
    for name in sorted(paginate(eks, "list_addons", "addons", clusterName=change.cluster)):
        addon = eks.describe_addon(clusterName=change.cluster, addonName=name)["addon"]
        yield _addon(name, addon["addonVersion"], versions, offered_addons(name, change.version, eks), change)


def _addon(name: str, running: str, versions: Addons, offered: Mapping[str, bool], change: Change) -> Line:
    subject = f"add-on {name}"
    wanted = versions.tested.get(name) or versions.pinned.get(name) or running
    default = default_version(offered)
    pin = f'set addons.versions["{name}"]' + (f", such as {default}" if default else "")
    if wanted not in offered:
        has = "runs"
        if name in versions.tested or name in versions.pinned:
            has = "addon_versions.json has" if name in versions.tested else "the settings have"
        return Line(
            subject, "failed", f"{has} {wanted}, which EKS does not offer for Kubernetes {change.version}; {pin}"
        )
    if change.goes_back and running not in offered:
        command = (
            f"aws eks update-addon --cluster-name {change.cluster} --addon-name {name} --addon-version {wanted} "
            "--resolve-conflicts OVERWRITE"
        )
        message = (
            f"runs {running}, which EKS does not offer for Kubernetes {change.version}; take it back first: {command}"
        )
        return Line(subject, "failed", message)
    if wanted == running:
        return Line(subject, "passed", f"keeps {running}, which EKS offers for Kubernetes {change.version}")
    return Line(subject, "passed", f"{running} -> {wanted}")
