"""The tables of clusters and their node groups."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from operations.clients.aws import paginate
from operations.portal.model import Cell, Day, Lines, State, Table, Text, Unknown
from operations.portal.sources import Row, Sources, place_of
from operations.preflight.check import Clients
from operations.preflight.offers import offered_addons
from operations.terraform.stacks import Stack
from operations.upgrade.cluster import minor

Described = Mapping[str, Any]


def described(sources: Sources, stack: Stack) -> Described | Unknown:
    """What EKS says of the cluster of an environment."""
    assert stack.cluster is not None
    name = stack.cluster.name

    def read(clients: Clients) -> Described:
        found: Described = clients("eks").describe_cluster(name=name)["cluster"]
        return found

    return sources.aws[stack.place].read(stack, read)


def table(sources: Sources, running: Mapping[str, Described | Unknown]) -> Table:
    """A row for each cluster; `running` is what EKS says of each, by stack."""
    columns = ["region", "environment", "cluster", "version", "running", "support-ends", "addons-behind"]
    rows = [_row(sources, stack, running[stack.name]) for stack in sources.environments]
    return Table("clusters", columns, rows)


def _row(sources: Sources, stack: Stack, found: Described | Unknown) -> Row:
    (cluster,) = stack.resources_of("aws_eks_cluster").values()
    wanted = str(cluster["version"])
    version = wanted if isinstance(found, Unknown) else str(found["version"])
    known = sources.platform.kubernetes.get(version)
    ends: Cell = Unknown("no-end-of-support", "", version)
    if known is not None:
        ends = Day(date.fromisoformat(known.end_of_standard_support))
    shown = found if isinstance(found, Unknown) else Text(version, "" if version == wanted else "warn")
    return [*place_of(stack), cluster["name"], wanted, shown, ends, _behind(sources, stack, version)]


def _behind(sources: Sources, stack: Stack, kubernetes: str) -> Lines | Unknown:
    """The add-ons whose version is older than the newest that EKS offers for the version of the cluster."""
    assert stack.cluster is not None
    cluster = stack.cluster.name

    def read(clients: Clients) -> list[str]:
        eks = clients("eks")
        behind = []
        for name in sorted(paginate(eks, "list_addons", "addons", clusterName=cluster)):
            running = eks.describe_addon(clusterName=cluster, addonName=name)["addon"]["addonVersion"]
            newest = max(offered_addons(name, kubernetes, eks), key=_numbers, default=running)
            if _numbers(newest) > _numbers(running):
                behind.append(f"{name} {running} < {newest}")
        return behind

    found = sources.aws[stack.place].read(stack, read)
    return found if isinstance(found, Unknown) else Lines(tuple(found))


def _numbers(version: str) -> list[int]:
    """The numbers of a version such as `v1.14.3-eksbuild.3`, for comparisons."""
    return [int(part) for part in "".join(one if one.isdigit() else " " for one in version).split()]


def node_groups(sources: Sources, running: Mapping[str, Described | Unknown]) -> Table:
    """A row for each managed node group, and for what adds nodes as they are needed."""
    columns = ["region", "environment", "node-group", "instance-types", "nodes", "image", "running", "state"]
    rows = [row for stack in sources.environments for row in _groups(sources, stack, running[stack.name])]
    return Table("node-groups", columns, rows)


def _groups(sources: Sources, stack: Stack, cluster: Described | Unknown) -> Iterator[Row]:
    for group in stack.resources_of("aws_eks_node_group").values():
        prefix, sizes = group["node_group_name_prefix"], group["scaling_config"]
        found = cluster if isinstance(cluster, Unknown) else _group(sources, stack, prefix)
        yield [
            *place_of(stack), prefix.rstrip("-"), f"{', '.join(group['instance_types'])} {group['capacity_type']}",
            f"{sizes['desired_size']} ({sizes['min_size']}-{sizes['max_size']})", group["ami_type"],
            *([found, found] if isinstance(found, Unknown) else _running(found, cluster)),
        ]  # fmt: skip
    (settings,) = stack.resources_of("aws_eks_cluster").values()
    starters = ["Karpenter"] if stack.resources_of("aws_sqs_queue") else []
    starters += ["EKS Auto Mode"] if (settings.get("compute_config") or {}).get("enabled") else []
    for name in starters:
        yield [*place_of(stack), name, None, State("as-needed"), None, None, None]


def _group(sources: Sources, stack: Stack, prefix: str) -> Described | Unknown:
    """What EKS says of a node group, to whose name Terraform added letters; the newest, while one replaces another."""
    assert stack.cluster is not None
    cluster = stack.cluster.name

    def read(clients: Clients) -> Described | None:
        eks = clients("eks")
        names = [name for name in paginate(eks, "list_nodegroups", "nodegroups", clusterName=cluster)
                 if name.startswith(prefix)]  # fmt: skip
        if not names:
            return None
        found: Described = eks.describe_nodegroup(clusterName=cluster, nodegroupName=max(names))["nodegroup"]
        return found

    found = sources.aws[stack.place].read(stack, read)
    return found or Unknown("not-deployed", f"make deploy STACK={stack.name}")


def _running(group: Described, cluster: Described | Unknown) -> list[Cell]:
    """The version and release of a node group, and its state: that of EKS, with the issues of its health."""
    behind = not isinstance(cluster, Unknown) and minor(group["version"]) < minor(cluster["version"])
    issues = [f"{one['code']}: {one.get('message', '')}" for one in group.get("health", {}).get("issues", [])]
    version = Text(f"{group['version']} ({group.get('releaseVersion', '')})", "warn" if behind else "")
    if issues:
        return [version, Lines(tuple(issues), "bad")]
    return [version, State(group["status"], "good" if group["status"] == "ACTIVE" else "warn")]
