"""Checks an existing VPC: its network, DNS and subnets, with the tags, addresses and routes that clusters need.

Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from operations.clients.aws import paginate, tags_by_name
from operations.preflight.check import Check, Clients, Line
from operations.preflight.state import NewResources
from operations.terraform.stacks import ExistingVpc, Stack, Subnet

_RESERVED_BY_AWS = 5  # addresses of each subnet

# Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/subnet_discovery
_ROLE = "kubernetes.io/role/"
_OF_A_LOAD_BALANCER = 8  # free addresses in each of its subnets

# Source: https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
_ENDPOINTS = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "s3", "sts")

# The permissions boundaries deny the use of what has the tag of another environment.
_ENVIRONMENT, _USED_BY_ALL = "Environment", "shared"

_ALL = "0.0.0.0/0"


class _Found(NamedTuple):
    """A subnet of the settings, and what AWS says about it."""

    subject: str
    wanted: Subnet
    described: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.described["SubnetId"])

    @property
    def free(self) -> int:
        return int(self.described["AvailableIpAddressCount"])

    @property
    def size(self) -> int:
        """The addresses that AWS does not reserve."""
        return IPv4Network(self.described["CidrBlock"]).num_addresses - _RESERVED_BY_AWS


def checks(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each existing VPC that stacks use."""
    users: dict[str, list[tuple[Stack, ExistingVpc]]] = {}
    for stack in stacks:
        if stack.existing_vpc is not None:
            users.setdefault(stack.existing_vpc.id, []).append((stack, stack.existing_vpc))
    for id_, of_vpc in users.items():
        yield id_, partial(existing_vpc, of_vpc, new, aws)


def existing_vpc(users: Sequence[tuple[Stack, ExistingVpc]], new: NewResources, aws: Clients) -> Iterator[Line]:
    """Whether a VPC has what the stacks need that use it."""
    (stack, vpc), ec2 = users[0], aws("ec2")
    of_vpc = [{"Name": "vpc-id", "Values": [vpc.id]}]
    described = ec2.describe_vpcs(Filters=of_vpc)["Vpcs"]
    if not described:
        remedy = "aws ec2 describe-vpcs --query 'Vpcs[].[VpcId, CidrBlock]'"
        yield Line(vpc.id, "failed", f"does not exist in {stack.region}; correct vpc.id, one of: {remedy}")
        return
    yield from _owner(stack, described[0])
    yield from _network(vpc, described[0])
    yield from _dns(vpc.id, ec2)
    yield from _environment(vpc.id, described[0])
    all_subnets = list(paginate(ec2, "describe_subnets", "Subnets", Filters=of_vpc))
    found: list[_Found] = []
    for wanted in vpc.subnets:
        result = _find(vpc, wanted, all_subnets, ec2)
        if isinstance(result, _Found):
            found.append(result)
        else:
            yield result
    tables = list(paginate(ec2, "describe_route_tables", "RouteTables", Filters=of_vpc))
    endpoints = [one["ServiceName"] for one in paginate(ec2, "describe_vpc_endpoints", "VpcEndpoints", Filters=of_vpc)]
    tags: dict[str, dict[str, str]] = {}
    for _, used in users:
        for kind, some in used.tags.items():
            tags.setdefault(kind, {}).update(some)
    for one in found:
        needed = tags.get(one.wanted.kind, {})
        problems = [
            *_tags(one, needed), *_environment(one.subject, one.described), *_load_balancer(one, needed),
            *_route(one, _table(one, tables), endpoints),
        ]  # fmt: skip
        passed = f"{one.id}, {one.described['CidrBlock']}, {one.free} free addresses"
        yield from problems or [Line(one.subject, "passed", passed)]
    yield from _others(vpc, tags, found, all_subnets)
    yield from _addresses(vpc.id, users, found, new)


def _owner(stack: Stack, described: Mapping[str, Any]) -> Iterator[Line]:
    """Whether the VPC is in the account of the stack: roles of the platform may use networks of that account alone."""
    if described["OwnerId"] != stack.account_id:
        message = (
            f"owned by the account {described['OwnerId']}, and shared with {stack.account_id}, whose networks alone"
        )
        message += " the roles of the platform may use; choose a VPC of that account (docs/adr/0016)"
        yield Line(described["VpcId"], "failed", message)


def _network(vpc: ExistingVpc, described: Mapping[str, Any]) -> Iterator[Line]:
    """Whether the VPC has the network of the settings, as its first or as another one."""
    networks = [described["CidrBlock"], *[one["CidrBlock"] for one in described.get("CidrBlockAssociationSet", [])]]
    if vpc.cidr in networks:
        yield Line(vpc.id, "passed", f"has the network {vpc.cidr}")
    else:
        message = f"has {', '.join(dict.fromkeys(networks))}, but the settings say {vpc.cidr}; correct vpc.cidr"
        yield Line(vpc.id, "failed", message)


def _dns(vpc: str, ec2: Any) -> Iterator[Line]:
    for attribute, option, what in (
        ("enableDnsSupport", "--enable-dns-support", "DNS resolution"),
        ("enableDnsHostnames", "--enable-dns-hostnames", "DNS hostnames"),
    ):
        answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
        if answer[attribute[0].upper() + attribute[1:]]["Value"]:
            yield Line(f"{vpc}: {what}", "passed", "enabled")
        else:
            remedy = f"aws ec2 modify-vpc-attribute --vpc-id {vpc} {option} '{{\"Value\": true}}'"
            yield Line(
                f"{vpc}: {what}", "failed", f"disabled, so that nodes cannot join a cluster; enable it: {remedy}"
            )


def _environment(subject: str, described: Mapping[str, Any]) -> Iterator[Line]:
    value = _tags_of(described).get(_ENVIRONMENT, _USED_BY_ALL)
    if value != _USED_BY_ALL:
        id_ = described.get("SubnetId", described["VpcId"])
        remedy = f"aws ec2 create-tags --resources {id_} --tags Key={_ENVIRONMENT},Value={_USED_BY_ALL}"
        message = f"has the tag {_ENVIRONMENT} {value!r}, with which the roles of other environments may not use it"
        yield Line(subject, "failed", f"{message}; remove it, or: {remedy}")


def _tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    return tags_by_name(described.get("Tags", []))


def _find(vpc: ExistingVpc, wanted: Subnet, subnets: Sequence[Mapping[str, Any]], ec2: Any) -> _Found | Line:
    """The subnet of the settings in AWS, or why it is none of this VPC, zone and network."""
    subject = f"{vpc.id}: {wanted.kind} subnet in {wanted.zone}"
    listed = (
        f"aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc.id} "
        "--query 'Subnets[].[SubnetId, AvailabilityZone, CidrBlock]' --output table"
    )
    if wanted.id is None:
        return _find_by_tag(subject, wanted, subnets, listed)
    found = next((one for one in subnets if one["SubnetId"] == wanted.id), None)
    if found is None:
        elsewhere = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [wanted.id]}])["Subnets"]
        where = f"in {elsewhere[0]['VpcId']}, not in {vpc.id}" if elsewhere else "does not exist"
        return Line(subject, "failed", f"{wanted.id}: {where}; choose one of: {listed}")
    if found["AvailabilityZone"] != wanted.zone:
        return Line(subject, "failed", f"{wanted.id}: in {found['AvailabilityZone']}; choose one of: {listed}")
    if not IPv4Network(found["CidrBlock"]).subnet_of(IPv4Network(vpc.cidr)):
        message = (
            f"{wanted.id}: has {found['CidrBlock']}, which is not in {vpc.cidr}; correct vpc.cidr, or choose one of"
        )
        return Line(subject, "failed", f"{message}: {listed}")
    return _Found(subject, wanted, found)


def _find_by_tag(subject: str, wanted: Subnet, subnets: Sequence[Mapping[str, Any]], listed: str) -> _Found | Line:
    found = [
        one
        for one in subnets
        if one["AvailabilityZone"] == wanted.zone and wanted.tags.items() <= _tags_of(one).items()
    ]
    if len(found) == 1:
        return _Found(subject, wanted, found[0])
    ((key, value),) = wanted.tags.items()
    if found:
        ids = ", ".join(one["SubnetId"] for one in found)
        return Line(subject, "failed", f"tag:{key}={value}: {ids} have this tag; write the ID of one of them")
    return Line(subject, "failed", f"tag:{key}={value}: no subnet has this tag; choose one of: {listed}")


def _tags(one: _Found, needed: Mapping[str, str]) -> Iterator[Line]:
    """The tags by which controllers find the subnet. That of a role may also be empty."""
    have = _tags_of(one.described)
    for key, value in sorted(needed.items()):
        if have.get(key) == value or (key.startswith(_ROLE) and have.get(key) == ""):
            continue
        remedy = f"aws ec2 create-tags --resources {one.id} --tags 'Key={key},Value={value}'"
        if key in have and not key.startswith(_ROLE):
            message = f"{one.id}: the tag {key} is {have[key]!r}, but vpc.name is {value!r}; change vpc.name, or"
            yield Line(one.subject, "failed", f"{message}: {remedy}")
        else:
            yield Line(one.subject, "failed", f"{one.id}: without the tag {key}; set it: {remedy}")


def _load_balancer(one: _Found, needed: Mapping[str, str]) -> Iterator[Line]:
    if any(key.startswith(_ROLE) for key in needed) and one.free < _OF_A_LOAD_BALANCER:
        message = (
            f"{one.id}: {one.free} free addresses; a load balancer needs {_OF_A_LOAD_BALANCER}, choose another one"
        )
        yield Line(one.subject, "failed", message)


def _table(one: _Found, tables: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The route table of a subnet: the one that names it, else the main one of the VPC."""
    for table in tables:
        if any(association.get("SubnetId") == one.id for association in table["Associations"]):
            return table
    return next(table for table in tables if any(association["Main"] for association in table["Associations"]))


def _route(one: _Found, table: Mapping[str, Any], endpoints: Sequence[str]) -> Iterator[Line]:
    """Whether a private subnet reaches the internet, and a public one is reached from it."""
    route = next((route for route in table["Routes"] if route.get("DestinationCidrBlock") == _ALL), None)
    is_public = route is not None and str(route.get("GatewayId", "")).startswith("igw-")
    create = "create" if route is None else "replace"
    command = f"aws ec2 {create}-route --route-table-id {table['RouteTableId']} --destination-cidr-block {_ALL}"
    if one.wanted.kind == "public" and not is_public:
        message = f"{one.id}: no route to an internet gateway; add it"
        yield Line(one.subject, "failed", f"{message}: {command} --gateway-id INTERNET_GATEWAY")
    elif route is not None and route["State"] == "blackhole" and one.wanted.kind != "database":
        target = "--gateway-id INTERNET_GATEWAY" if one.wanted.kind == "public" else "--nat-gateway-id NAT_GATEWAY"
        yield Line(one.subject, "failed", f"{one.id}: its route to {_ALL} leads to nothing; {command} {target}")
    elif one.wanted.kind == "private" and is_public:
        message = (
            f"{one.id}: its route leads to an internet gateway, but nodes have no public addresses; choose another"
        )
        yield Line(one.subject, "failed", f"{message} subnet, or: {command} --nat-gateway-id NAT_GATEWAY")
    elif one.wanted.kind == "private" and route is None:
        yield _without_internet(one, f"{command} --nat-gateway-id NAT_GATEWAY", endpoints)


def _without_internet(one: _Found, command: str, endpoints: Sequence[str]) -> Line:
    """Nodes can start with endpoints alone, but nothing replaces the internet for Git and charts."""
    lacking = [service for service in _ENDPOINTS if not any(name.endswith(f".{service}") for name in endpoints)]
    message = f"{one.id}: no route to {_ALL}"
    if lacking:
        message += f", and no endpoints of {', '.join(lacking)} for nodes; add a route: {command}"
        return Line(one.subject, "failed", message)
    message += f": nodes can start, but Argo CD reaches no Git and no charts; add a route: {command}"
    return Line(one.subject, "warning", message)


def _others(
    vpc: ExistingVpc,
    tags: Mapping[str, Mapping[str, str]],
    found: Sequence[_Found],
    subnets: Sequence[Mapping[str, Any]],
) -> Iterator[Line]:
    """Subnets that are not in the settings, but that controllers find by their tags."""
    for kind, needed in tags.items():
        known = {one.id for one in found if one.wanted.kind == kind}
        for subnet in subnets:
            have = _tags_of(subnet)
            for key, value in sorted(needed.items()):
                if subnet["SubnetId"] not in known and have.get(key) in (
                    {value, ""} if key.startswith(_ROLE) else {value}
                ):
                    message = (
                        f"has the tag {key}, so that the controller can choose it, but is no {kind} subnet of vpc.zones"
                    )
                    remedy = f"aws ec2 delete-tags --resources {subnet['SubnetId']} --tags Key={key}"
                    yield Line(f"{vpc.id}: {subnet['SubnetId']}", "warning", f"{message}; add it, or: {remedy}")


def _addresses(
    vpc: str, users: Sequence[tuple[Stack, ExistingVpc]], found: Sequence[_Found], new: NewResources
) -> Iterator[Line]:
    """Whether the subnets are large enough for all stacks, and have enough free addresses for the new clusters."""
    created = {stack.name for stack, _, _ in new.resources("aws_eks_cluster")}
    # Each zone needs a spare address for the failover of a database.
    # Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html
    for kind, what, spare in (("private", "nodes and Pods", 0), ("database", "databases", 1)):
        subnets = [one for one in found if one.wanted.kind == kind]
        need = {stack.name: used.addresses.get(kind, 0) for stack, used in users}
        have, at_most = sum(one.free - spare for one in subnets), sum(one.size - spare for one in subnets)
        at_once = sum(addresses for name, addresses in need.items() if name in created)
        subject = f"{vpc}: addresses of {what}"
        if not subnets or not any(need.values()):
            continue
        if at_most < sum(need.values()):
            message = (
                f"{at_most}, but {sum(need.values())} can be needed; choose larger {kind} subnets, or lower max_size"
            )
            yield Line(subject, "failed", message)
        elif have < at_once:
            message = (
                f"{have} are free, but new clusters can need {at_once}; choose other {kind} subnets, or lower max_size"
            )
            yield Line(subject, "failed", message)
        else:
            yield Line(subject, "passed", f"{have} of {at_most} are free, {sum(need.values())} can be needed")
