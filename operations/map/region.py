"""The picture of a region: its network, clusters and data, and who reaches whom."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from operations.map.drawing import Arrow, Box, aligned
from operations.map.words import Word
from operations.terraform.stacks import Region, Stack

_REFERENCE = re.compile(r"\$\{(?P<kind>aws_\w+)\.(?P<name>[\w-]+)[.\[]")
_KINDS = ("public", "private", "database")
_INTERNET = "0.0.0.0/0"
_TO_ARROWS = 150
"""Pixels for arrows with a label."""


def picture(region: Region, stacks: Sequence[Stack], word: Word) -> tuple[Box, list[Arrow]]:
    """The boxes and arrows of a region with all of its stacks."""
    arrows: list[Arrow] = []
    accounts = []
    for shared in (stack for stack in stacks if stack.kind == "shared"):
        own = [stack for stack in stacks if stack.account == shared.account]
        in_cluster = {stack.short_name: stack for stack in own if stack.is_in_cluster}
        rows = []
        environments = [one for one in own if one.kind == "environment"]
        for stack in sorted(environments, key=lambda one: region.environments.index(one.environment)):
            row, some = _environment(stack, in_cluster.get(stack.short_name), word)
            rows.append(row)
            arrows += some
        title = f"{word('account')} {shared.account_id}"
        accounts.append(Box(title, children=(_network(shared, word), *aligned(rows))))
    return Box(f"{word('Region')} {region.name}", children=tuple(accounts), kind="outside"), arrows


def _network(shared: Stack, word: Word) -> Box:
    zones = [Box(zone, tuple(lines), kind="network") for zone, lines in sorted(_zones(shared, word).items())]
    children = [Box(children=tuple(zones), across=True)]
    if endpoints := _endpoints(shared):
        children.append(Box(word("VPC endpoints"), (", ".join(endpoints),)))
    connections = [
        f"{route['destination_cidr_block']} → {target}"
        for route in shared.resources_of("aws_route").values()
        for target in (route.get("transit_gateway_id") or route.get("vpc_peering_connection_id"),)
        if target
    ]
    if connections:
        children.append(Box(word("connections"), tuple(sorted(set(connections)))))
    ways = [word("access host")] * bool(shared.resources_of("aws_instance"))
    ways += [word("runners")] * bool(shared.resources_of("aws_codebuild_project"))
    return Box(_vpc(shared, word), tuple(ways), tuple(children), kind="network")


def _vpc(shared: Stack, word: Word) -> str:
    if shared.existing_vpc is not None:
        return f"{word('existing VPC')} {shared.existing_vpc.id} {shared.existing_vpc.cidr}"
    (vpc,) = shared.resources_of("aws_vpc").values()
    more = [one["cidr_block"] for one in shared.resources_of("aws_vpc_ipv4_cidr_block_association").values()]
    return " ".join(["VPC", vpc["tags"]["Name"], vpc["cidr_block"], *more])


def _zones(shared: Stack, word: Word) -> dict[str, list[str]]:
    """The subnets and NAT gateways of each zone."""
    zones: dict[str, list[str]] = defaultdict(list)
    if shared.existing_vpc is not None:
        for kind in _KINDS:
            for own in (one for one in shared.existing_vpc.subnets if one.kind == kind):
                which = own.id or ", ".join(f"{key}={value}" for key, value in own.tags.items())
                zones[own.zone].append(f"{word(kind)} {which}")
        return zones
    subnets = shared.resources_of("aws_subnet")
    for kind in _KINDS:
        for subnet in subnets.values():
            zone = subnet["availability_zone"]
            if subnet["//"]["metadata"]["path"].rpartition("/")[2].startswith(f"{kind}-"):
                zones[zone].append(f"{word(kind)} {subnet['cidr_block']}")
    for gateway in shared.resources_of("aws_nat_gateway").values():
        if found := _REFERENCE.match(gateway.get("subnet_id", "")):
            zones[subnets[found["name"]]["availability_zone"]].append(word("NAT gateway"))
        else:  # a regional NAT gateway
            for lines in zones.values():
                lines.append(word("NAT gateway"))
    return zones


def _endpoints(shared: Stack) -> list[str]:
    names = [one["service_name"] for one in shared.resources_of("aws_vpc_endpoint").values()]
    return sorted(name.partition(f".{shared.region}.")[2] or name for name in names)


def _environment(stack: Stack, in_cluster: Stack | None, word: Word) -> tuple[Box, list[Arrow]]:
    """A row: who reaches the load balancer and the API, the cluster, and what its nodes reach."""
    name = stack.short_name
    arrows = []
    callers, balancers = [], []
    for scheme, cidrs in _ingress(in_cluster):
        callers.append(_callers(cidrs, f"{name}-callers", word))
        balancers.append(Box(word("load balancer"), (word(scheme),), kind="network", key=f"{name}-balancer"))
        arrows.append(Arrow(f"{name}-callers", f"{name}-balancer", "HTTPS"))
        arrows.append(Arrow(f"{name}-balancer", f"{name}-cluster", word("services")))
    (cluster,) = stack.resources_of("aws_eks_cluster").values()
    if public := cluster["vpc_config"].get("public_access_cidrs"):
        callers.append(_callers(public, f"{name}-api-callers", word))
        arrows.append(Arrow(f"{name}-api-callers", f"{name}-cluster", "API"))
    data = list(_data(stack, word))
    for rule in stack.resources_of("aws_vpc_security_group_ingress_rule").values():
        port = f"{rule['ip_protocol']} {rule.get('from_port', '')}".strip()
        owner = _REFERENCE.match(rule["security_group_id"])
        if owner is None or owner["kind"] == "aws_eks_cluster":
            source = rule.get("cidr_ipv4")
            if source:
                key = f"{name}-{source}"
                callers.append(_callers([source], key, word))
                arrows.append(Arrow(key, f"{name}-cluster", port))
        else:
            target = f"{name}-{owner['name'].rpartition('_security-group')[0]}"
            if any(box.key == target for box in data):
                arrows.append(Arrow(f"{name}-cluster", target, port))
    columns = [callers, balancers, [_cluster(stack, cluster, word)], data]
    children = tuple(Box(children=tuple(column)) for column in columns if column)
    return Box(f"{word('environment')} {name}", children=children, across=True, gap=_TO_ARROWS), arrows


def _callers(cidrs: Sequence[str], key: str, word: Word) -> Box:
    title = word("Internet") if _INTERNET in cidrs else word("networks")
    return Box(title, tuple(cidrs), kind="outside", key=key)


def _ingress(stack: Stack | None) -> Iterator[tuple[str, list[str]]]:
    """The scheme and the networks of the load balancer of each class."""
    for release in stack.resources_of("helm_release").values() if stack is not None else ():
        for text in release.get("values", ()):
            spec = json.loads(text).get("ingressClassParams", {}).get("spec")
            if spec:
                yield spec["scheme"], spec.get("inboundCIDRs", [])


def _cluster(stack: Stack, cluster: dict[str, Any], word: Word) -> Box:
    public = cluster["vpc_config"].get("endpoint_public_access")
    lines = [f"Kubernetes {cluster['version']}", word("API: public") if public else word("API: private")]
    groups = []
    for group in stack.resources_of("aws_eks_node_group").values():
        sizes = group["scaling_config"]
        groups.append(
            Box(
                f"{word('node group')} {group['node_group_name_prefix'].rstrip('-')}",
                (
                    ", ".join(group["instance_types"]),
                    f"{sizes['desired_size']} ({sizes['min_size']}-{sizes['max_size']})",
                    f"{group['ami_type']} {group['capacity_type']}",
                ),
                kind="compute",
            )
        )
    if stack.resources_of("aws_sqs_queue"):
        groups.append(Box("Karpenter", (word("nodes as needed"),), kind="compute"))
    return Box(cluster["name"], tuple(lines), tuple(groups), kind="compute", key=f"{stack.short_name}-cluster")


def _data(stack: Stack, word: Word) -> Iterator[Box]:
    name = stack.short_name
    for resource, database in stack.resources_of("aws_db_instance").items():
        where = word("standby in another zone") if database["multi_az"] else word("one zone")
        title = f"{word('database')} {database['db_name']}"
        lines = (f"{database['engine']} {database['engine_version']}", database["instance_class"], where)
        yield Box(title, lines, kind="data", key=f"{name}-{resource.rpartition('_instance')[0]}")
    for resource, database in stack.resources_of("aws_rds_cluster").items():
        instances = stack.resources_of("aws_rds_cluster_instance").values()
        (class_, *readers) = [
            one["instance_class"] for one in instances if f".{resource}." in one["cluster_identifier"]
        ]
        title = f"{word('database')} {database['database_name']}"
        lines = (f"{database['engine']} {database['engine_version']}", class_, f"{word('readers')}: {len(readers)}")
        yield Box(title, lines, kind="data", key=f"{name}-{resource.rpartition('_cluster')[0]}")
    for resource in stack.resources_of("aws_efs_file_system"):
        yield Box(word("file system"), ("EFS",), kind="data", key=f"{name}-{resource.rpartition('_')[0]}")
    if stack.backups is not None:
        yield Box(word("backups of Argo CD"), (f"S3 {stack.backups.bucket}",), kind="data")
