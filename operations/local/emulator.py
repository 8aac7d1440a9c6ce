"""The emulated AWS of `make local` and the end-to-end tests: MiniStack, with the behavior that Terraform needs added.

It listens on 127.0.0.1 only and stores everything in memory. Gaps of MiniStack 1.5.33 are filled by functions in front
of its services, one for each gap. The gaps were found by applying a configuration and planning it again. Each function
returns what AWS returns, and rejects what AWS rejects. Before that, each request is checked against AWS's API models
(`request_check`) and against rules that only AWS's documentation has (`documented_rules`).
"""

import argparse
import asyncio
import functools
import importlib
import json
import os
import re
import secrets
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlencode
from xml.etree import ElementTree as ET

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from operations.local import eks_versions, guardduty
from operations.local.documented_rules import ROLE_POLICIES, size
from operations.local.ports import HOST
from operations.local.request_check import Request, error, refusal

_STOP_SECONDS = 10
_LONGEST_RETENTION_DAYS = 36500
_LARGE_STORAGE = 400  # GiB
_LEAST_ZONES = 2
_MOST_RULES = 60  # https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, the default quota
_FORM = "application/x-www-form-urlencoded"
_DATE_OF_AMAZON_LINUX, _BOTTLEROCKET_RELEASE = "20261101", "1.64.0-7c4f0d2b"
_IMAGE = "ami-0123456789abcdef0"
_ENGINES = {"mysql", "postgres"}
_AURORA = {"aurora-mysql", "aurora-postgresql"}
_AWS_DATA = Path(__file__).parents[2] / "constructs" / "eks_gitops" / "aws_data.json"

_WAITS = ("AllocatedStorage", "DBInstanceClass", "EngineVersion", "Iops", "MultiAZ", "StorageThroughput", "StorageType")
"""The parameters of ModifyDBInstance that wait for the maintenance window, unless they are applied immediately."""


class Call(Request):
    """A request to an AWS service."""

    @property
    def json(self) -> Any:
        """The body of a request in a JSON protocol."""
        return json.loads(self.body or b"{}")

    @property
    def action(self) -> str:
        """The IAM action, such as `eks:CreateCluster`; empty if MiniStack does not know it."""
        parameters = self.query | {name: [value] for name, value in self.parameters.items()}
        request = (self.service, self.method, self.path, self.headers, self.body, parameters)
        return _module("core.iam_actions").extract_iam_action(*request) or ""


@dataclass(frozen=True)
class Answer:
    """The response of an AWS service."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body of a response in a JSON protocol."""
        return json.loads(self.body)

    def texts(self, element: str) -> list[str]:
        """The text of each XML element of this name."""
        return re.findall(f"<{element}>([^<]+)</{element}>", self.body.decode())


class RefusalError(Exception):
    """An error response of a service, which ends the current completion."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


Completion = Callable[[Call], Awaitable[Answer]]

_COMPLETIONS: dict[str, Completion] = {}
"""The function that handles an IAM action instead of MiniStack."""

_REMEMBERED: dict[str, dict[str, Any]] = {}
"""The members of a resource, by its ARN or unique id, that are missing or wrong in MiniStack's responses."""

_IDENTIFIERS = (
    "DbClusterResourceId", "DbiResourceId", "accessEntryArn", "addonArn", "arn", "associationArn", "flowLogId",
    "nodegroupArn", "repositoryArn", "vpcEndpointId",
)  # fmt: skip
"""The members of responses that contain such an ARN or id."""


_TOKEN = re.compile(rb"[cC]lient(Request)?Token")
_IDEMPOTENT: dict[tuple[str, str, str, bytes], asyncio.Future[tuple[int, dict[str, str], bytes]]] = {}
"""The response to a request with a client token. AWS returns it again if the client repeats the request, as it does if
the first response is late; MiniStack would create a second resource."""


def _completes(*actions: str) -> Callable[[Completion], Completion]:
    def register(completion: Completion) -> Completion:
        _COMPLETIONS.update(dict.fromkeys(actions, completion))
        return completion

    return register


def _remember(identifier: str, **members: Any) -> None:
    _REMEMBERED.setdefault(identifier, {}).update(members)


def _remember_parameters(call: Call, identifier: str, **parameters: str) -> None:
    _remember(
        identifier, **{member: call.parameters[name] for member, name in parameters.items() if name in call.parameters}
    )


def _listed(call: Call, present: list[str], *, added: str, removed: str) -> list[str]:
    """A list after a call; `added` and `removed` match the names of the parameters that change it."""
    to_add = {value for name, value in call.parameters.items() if re.fullmatch(added, name)}
    to_remove = {value for name, value in call.parameters.items() if re.fullmatch(removed, name)}
    return sorted(({*present} | to_add) - to_remove)


def _answer(document: Mapping[str, Any]) -> Answer:
    return Answer(HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _refusal(code: str, message: str, *, protocol: str = "json") -> RefusalError:
    return RefusalError(Answer(*error(protocol, code, message)))


async def _forward(call: Call) -> Answer:
    """Call MiniStack's own handler.

    Raises:
        RefusalError: if it returns an error.
    """
    answer = Answer(*await _handlers()[call.service](call.method, call.path, call.headers, call.body, call.query))
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise RefusalError(answer)
    return answer


async def _get(call: Call, path: str) -> Any:
    """Send a GET request for a path to the service of a call."""
    return _in_json((await _forward(replace(call, method="GET", path=path, body=b"", query={}))).json)


async def _ask(service: str, action: str, parameters: Mapping[str, Any]) -> Answer:
    """Call another service, as AWS does internally, in the account and region of the current call."""
    headers, body = {"x-amz-target": f"{service}.{action}"}, json.dumps(parameters)
    if service in {"ec2", "iam", "rds"}:
        headers, body = {"content-type": _FORM}, urlencode({"Action": action, **parameters})
    return await _forward(Call(service, "POST", "/", headers, body.encode(), {}))


# --- EKS --------------------------------------------------------------------------------------------------------------


@_completes("eks:CreateCluster")
async def _create_cluster(call: Call) -> Answer:
    """Create a cluster with the VPC of its subnets, a security group, an OIDC issuer, and all requested settings.

    MiniStack returns an unrelated VPC and security group, ignores `upgradePolicy` and other settings, and its issuer is
    an http URL, which IAM rejects. It does not check the Availability Zones of the subnets
    (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html) and the addresses of Services
    (`KubernetesNetworkConfigRequest` in botocore 1.43). Remove this when the issuer is an https URL
    and DescribeSecurityGroups returns the cluster's security group.
    """
    if "version" in call.json and (refused := eks_versions.refused_creation(call.json["version"])):
        raise _refusal(*refused)
    subnets = call.json["resourcesVpcConfig"].get("subnetIds", [])
    vpc_id, zones = await _location(subnets)
    if len(zones) < _LEAST_ZONES:
        message = f"subnetIds: {subnets}: subnets in at least two Availability Zones are required, not {zones}"
        raise _refusal("InvalidParameterException", message)
    await _check_services(call.json.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr"), vpc_id)
    answer = await _forward(call)
    cluster = answer.json["cluster"]
    _remember(f"zones of {cluster['arn']}", zones=zones)
    network = {"vpcId": vpc_id, "clusterSecurityGroupId": await _cluster_security_group(cluster["name"], vpc_id)}
    issuer = f"https://oidc.eks.{cluster['arn'].split(':')[3]}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
    _remember(cluster["arn"], upgradePolicy={"supportType": "EXTENDED"}, identity={"oidc": {"issuer": issuer}})
    _remember(cluster["arn"], resourcesVpcConfig=cluster["resourcesVpcConfig"] | network)
    _remember(cluster["arn"], **_left_out(call, cluster))
    service = cluster.get("kubernetesNetworkConfig", {}) | call.json.get("kubernetesNetworkConfig", {})
    _remember(cluster["arn"], kubernetesNetworkConfig=service)
    return answer


async def _location(subnets: list[str]) -> tuple[str, list[str]]:
    """The VPC and the Availability Zones of subnets."""
    try:
        described = await _ask("ec2", "DescribeSubnets", {f"SubnetId.{n}": id_ for n, id_ in enumerate(subnets, 1)})
    except RefusalError as refusal:
        raise _refusal("InvalidParameterException", f"A subnet of {subnets} does not exist") from refusal
    return described.texts("vpcId")[0], sorted({*described.texts("availabilityZone")})


async def _check_services(addresses: str | None, vpc_id: str) -> None:
    """Refuse addresses of Services in the VPC. `documented_rules` has the other rules about them."""
    if addresses:
        for network in (await _ask("ec2", "DescribeVpcs", {"VpcId.1": vpc_id})).texts("cidrBlock"):
            if IPv4Network(addresses).overlaps(IPv4Network(network)):
                message = f"serviceIpv4Cidr: {addresses}: overlaps {network} of the VPC"
                raise _refusal("InvalidParameterException", message)


async def _cluster_security_group(cluster: str, vpc_id: str) -> str:
    request = {
        "GroupName": f"eks-cluster-sg-{cluster}-{secrets.randbelow(10**9)}",
        "GroupDescription": "EKS created security group applied to ENI that is attached to EKS Control Plane nodes",
        "VpcId": vpc_id,
        "TagSpecification.1.ResourceType": "security-group",
        "TagSpecification.1.Tag.1.Key": f"kubernetes.io/cluster/{cluster}",
        "TagSpecification.1.Tag.1.Value": "owned",
    }
    (group_id,) = (await _ask("ec2", "CreateSecurityGroup", request)).texts("groupId")
    rule = {"IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.Groups.1.GroupId": group_id}
    await _ask("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": group_id, **rule})
    return group_id


def _left_out(call: Call, resource: Mapping[str, Any]) -> dict[str, Any]:
    never_described = {"clientRequestToken", "bootstrapSelfManagedAddons"}
    return {name: value for name, value in call.json.items() if name not in resource.keys() | never_described}


@_completes("eks:DeleteCluster")
async def _delete_cluster(call: Call) -> Answer:
    """Also delete the cluster's security group, and refuse a protected cluster, as EKS does.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/deletion-protection.html. Remove this with
    `_create_cluster`.
    """
    if (await _get(call, call.path))["cluster"].get("deletionProtection"):
        message = f"{call.path}: deletion protection is enabled; disable it before you delete the cluster"
        raise _refusal("InvalidRequestException", message)
    answer = await _forward(call)
    arn = answer.json["cluster"]["arn"]
    network = _REMEMBERED.pop(arn)["resourcesVpcConfig"]
    del _REMEMBERED[f"zones of {arn}"]
    _UPGRADES.pop(arn, None)
    await _ask("ec2", "DeleteSecurityGroup", {"GroupId": network["clusterSecurityGroupId"]})
    return answer


@_completes("eks:CreateNodegroup")
async def _create_node_group(call: Call) -> Answer:
    """Keep all settings of a node group, and use the newest AMI if it names none.

    MiniStack ignores `updateConfig`, `nodeRepairConfig` and `launchTemplate`, without which Terraform replaces the
    group, and describes an empty `releaseVersion`. Remove this when DescribeNodegroup returns them.
    """
    answer = await _forward(call)
    group = answer.json["nodegroup"]
    release = group["releaseVersion"] or _newest_release(group["amiType"], group["version"])
    _remember(group["nodegroupArn"], **{"updateConfig": {"maxUnavailable": 1}} | _left_out(call, group))
    _remember(group["nodegroupArn"], releaseVersion=release)
    return answer


def _newest_release(ami_type: str, version: str) -> str:
    """An AMI release in the format of EKS, which also the parameters of `_get_parameter` have."""
    return _BOTTLEROCKET_RELEASE if ami_type.startswith("BOTTLEROCKET") else f"{version}.0-{_DATE_OF_AMAZON_LINUX}"


@_completes("ssm:GetParameter")
async def _get_parameter(call: Call) -> Answer:
    """Return the newest AMI release for nodes, and the image of the access host, which AWS publishes in every region.

    MiniStack has only two images of EC2; remove this when it has those for ARM, of EKS and of Bottlerocket.
    """
    name = call.json["Name"]
    if found := re.fullmatch(r"/aws/service/eks/optimized-ami/([\d.]+)/.+/recommended/release_version", name):
        value = _newest_release("AL2023", found[1])
    elif re.fullmatch(r"/aws/service/bottlerocket/aws-k8s-[\d.]+/(x86_64|arm64)/latest/image_version", name):
        value = _BOTTLEROCKET_RELEASE
    elif name.endswith("/al2023-ami-kernel-default-arm64"):
        value = _IMAGE
    else:
        return await _forward(call)
    return _answer({"Parameter": {"Name": name, "Type": "String", "Value": value, "Version": 1}})


@_completes("eks:UpdateClusterConfig", "eks:UpdateClusterVersion")
@_completes("eks:UpdateNodegroupConfig", "eks:UpdateNodegroupVersion")
async def _update(call: Call) -> Answer:
    """Update a cluster or a node group immediately. MiniStack lacks these calls; remove this when it has them.

    A cluster stays in the Availability Zones of its creation
    (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
    """
    ((kind, resource),) = (await _get(call, call.path.rpartition("/")[0])).items()
    not_described = {"clientRequestToken", "force", "rollbackConfig"}
    request = {name: value for name, value in call.json.items() if name not in not_described}
    type_ = "VersionUpdate" if "version" in request else "ConfigUpdate"
    if kind == "cluster" and "version" in request:
        type_ = await _update_version(call, resource, request["version"])
    elif "version" in request:
        cluster = (await _get(call, f"/clusters/{resource['clusterName']}"))["cluster"]
        if refused := eks_versions.refused_nodes(cluster["version"], request["version"]):
            raise _refusal(*refused)
    if call.action == "eks:UpdateNodegroupVersion":
        request["releaseVersion"] = _updated_release(resource, request)
    if subnets := request.get("resourcesVpcConfig", {}).get("subnetIds"):
        _, zones = await _location(subnets)
        if zones != (created := _REMEMBERED[f"zones of {resource['arn']}"]["zones"]):
            message = f"subnetIds: {subnets}: the subnets must be in the Availability Zones {created}, not {zones}"
            raise _refusal("InvalidParameterException", message)
    changed = {name: _changed(name, resource.get(name), value) for name, value in request.items()}
    _remember(resource.get("nodegroupArn") or resource["arn"], **changed)
    return _updated({"id": str(uuid.uuid4()), "status": "Successful", "type": type_, "createdAt": time.time()})


_UPGRADES: dict[str, eks_versions.Upgrade] = {}
"""The last upgrade of each cluster, by ARN."""


async def _update_version(call: Call, cluster: Mapping[str, Any], version: str) -> str:
    """Check a new version of a cluster, and return the type of the update."""
    now, force = datetime.now(UTC), bool(call.json.get("force"))
    if refused := eks_versions.refused_update(await _running(call, cluster), version, now, force=force):
        raise _refusal(*refused)
    if _UPGRADES.pop(cluster["arn"], None) and eks_versions.is_older(version, cluster["version"]):
        return "VersionRollback"
    _UPGRADES[cluster["arn"]] = eks_versions.Upgrade(cluster["version"], now)
    return "VersionUpdate"


async def _running(call: Call, cluster: Mapping[str, Any]) -> eks_versions.Running:
    path = f"/clusters/{cluster['name']}/node-groups"
    names = (await _get(call, path))["nodegroups"]
    nodes = {name: (await _get(call, f"{path}/{name}"))["nodegroup"]["version"] for name in names}
    policy = cluster["upgradePolicy"]["supportType"]
    return eks_versions.Running(cluster["version"], nodes, policy, _UPGRADES.get(cluster["arn"]))


@_completes("eks:DescribeClusterVersions")
async def _describe_cluster_versions(call: Call) -> Answer:
    """Describe the versions of EKS. MiniStack lacks this call; remove this when it has it.

    Versions that are no longer supported are described only with `includeAll` (botocore 1.43).
    """
    wanted, everything = call.query.get("clusterVersions"), call.query.get("includeAll") == ["true"]
    found = [
        entry
        for entry in eks_versions.cluster_versions(datetime.now(UTC).date())
        if not wanted or entry["clusterVersion"] in wanted
        if everything or entry["versionStatus"] != "UNSUPPORTED"
    ]
    return _answer({"clusterVersions": found})


@_completes("eks:DescribeAddonVersions")
async def _describe_addon_versions(call: Call) -> Answer:
    """Describe the default versions of add-ons. MiniStack lacks this call; remove this when it has it."""
    (kubernetes,), names = call.query.get("kubernetesVersion", [""]), call.query.get("addonName", eks_versions.ADDONS)
    addons = []
    for name in names:
        versions = [
            {
                "addonVersion": version,
                "compatibilities": [{"clusterVersion": one, "defaultVersion": True} for one in defaults],
            }
            for version, defaults in eks_versions.addon_versions(name).items()
            if not kubernetes or kubernetes in defaults
        ]
        addons.append({"addonName": name, "addonVersions": versions})
    return _answer({"addons": addons})


@_completes("eks:ListInsights", "eks:DescribeInsight")
async def _insights(call: Call) -> Answer:
    """List the insights of a cluster, or describe one. MiniStack lacks these calls; remove this when it has them."""
    path, _, id_ = call.path.partition("/insights")
    cluster = (await _get(call, path))["cluster"]
    found = eks_versions.insights(cluster["arn"], await _running(call, cluster), datetime.now(UTC))
    if id_:
        described = [insight for insight in found if insight["id"] == id_.removeprefix("/")]
        if not described:
            raise _refusal("ResourceNotFoundException", f"No insight found for ID: {id_.removeprefix('/')}")
        return _answer({"insight": described[0]})
    wanted = call.json.get("filter", {})
    filters = {"categories": "category", "kubernetesVersions": "kubernetesVersion"}
    listed = [
        {name: value for name, value in insight.items() if name != "recommendation"}
        for insight in found
        if all(insight[member] in wanted[name] for name, member in filters.items() if wanted.get(name))
        if not wanted.get("statuses") or insight["insightStatus"]["status"] in wanted["statuses"]
    ]
    return _answer({"insights": listed})


def _updated_release(group: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """The AMI release of a node group after UpdateNodegroupVersion: by default the newest, and no earlier one.

    Source: UpdateNodegroupVersion of EKS in botocore 1.43.
    """
    version = request.get("version", group["version"])
    earliest = group["releaseVersion"] if version == group["version"] else ""
    release = str(request.get("releaseVersion") or max(_newest_release(group["amiType"], version), earliest))
    is_linux = not group["amiType"].startswith("BOTTLEROCKET")
    if is_linux and not release.startswith(f"{version}."):
        raise _refusal("InvalidParameterException", f"{release} is not valid for kubernetes version {version}.")
    if release < earliest:
        raise _refusal("InvalidParameterException", f"{release} is earlier than {group['releaseVersion']}")
    return release


_MERGED = {"accessConfig", "kubernetesNetworkConfig", "resourcesVpcConfig", "scalingConfig"}


def _changed(name: str, old: Any, change: Any) -> Any:
    if name == "labels":
        labels = {key: value for key, value in old.items() if key not in change.get("removeLabels", [])}
        return labels | change.get("addOrUpdateLabels", {})
    if name == "taints":
        mentioned = [(taint["key"], taint["effect"]) for listed in change.values() for taint in listed]
        taints = [taint for taint in old if (taint["key"], taint["effect"]) not in mentioned]
        return taints + change.get("addOrUpdateTaints", [])
    return old | change if name in _MERGED else change


def _updated(update: dict[str, Any]) -> Answer:
    _remember(update["id"], **update)
    return _answer({"update": update})


@_completes("eks:DescribeUpdate")
async def _describe_update(call: Call) -> Answer:
    """Describe an update of `_update` or of an add-on. MiniStack lacks this call; remove this when it has it."""
    id_ = call.path.rpartition("/")[2]
    if id_ not in _REMEMBERED:
        raise _refusal("ResourceNotFoundException", f"No update found for ID: {id_}")
    return _answer({"update": _REMEMBERED[id_]})


@_completes("eks:CreateAddon", "eks:UpdateAddon")
async def _associate_addon(call: Call) -> Answer:
    """Create the Pod Identity associations of an add-on, which owns them, and return their ARNs with the add-on.

    MiniStack creates none and returns the objects of the request, which SDKs cannot parse. Remove this when
    DescribePodIdentityAssociation finds the ARNs in an add-on's `podIdentityAssociations`.
    """
    request = call.json
    if "addonName" in request and not request.get("addonVersion"):  # EKS chooses one, and MiniStack none
        version = (await _get(call, call.path.removesuffix("/addons")))["cluster"]["version"]
        request["addonVersion"] = eks_versions.default_addon_version(request["addonName"], version)
    roles = request.pop("podIdentityAssociations", None)
    answer = await _forward(replace(call, body=json.dumps(request).encode()))
    if roles is not None:
        cluster, _, name = call.path.removesuffix("/update").partition("/addons")
        addon = (await _get(call, f"{cluster}/addons{name or '/' + request['addonName']}"))["addon"]
        await _dissociate(call, addon["addonArn"])
        arns = [await _associate(call, cluster, addon["addonArn"], role) for role in roles]
        _remember(addon["addonArn"], podIdentityAssociations=arns)
    return _updated(answer.json["update"]) if "update" in answer.json else answer


async def _associate(call: Call, cluster: str, addon_arn: str, role: Mapping[str, str]) -> str:
    body = json.dumps({"namespace": "kube-system", **role}).encode()
    answer = await _forward(replace(call, method="POST", path=f"{cluster}/pod-identity-associations", body=body))
    arn = str(answer.json["association"]["associationArn"])
    _remember(arn, ownerArn=addon_arn)
    return arn


async def _dissociate(call: Call, addon_arn: str) -> None:
    for arn in _REMEMBERED.get(addon_arn, {}).pop("podIdentityAssociations", []):
        await _forward(replace(call, method="DELETE", path=_association_path(arn), body=b""))


def _association_path(arn: str) -> str:
    return "/clusters/{}/pod-identity-associations/{}".format(*arn.split("/")[1:])


@_completes("eks:DeleteAddon")
async def _delete_addon(call: Call) -> Answer:
    """Also delete the associations of an add-on, as EKS does. Remove this with `_associate_addon`."""
    answer = await _forward(call)
    await _dissociate(call, answer.json["addon"]["addonArn"])
    return answer


@_completes("eks:ListFargateProfiles")
async def _list_fargate_profiles(_: Call) -> Answer:
    """List no Fargate profiles, as none can be created. MiniStack lacks this call; remove this when it has it."""
    return _answer({"fargateProfileNames": []})


@_completes("eks:TagResource", "eks:UntagResource")
async def _tag(call: Call) -> Answer:
    """Keep the current tags of a resource.

    MiniStack returns the tags at creation, removes only the first of several keys, and does not tag Pod Identity
    associations. Remove this when DescribePodIdentityAssociation returns the tags of TagResource.
    """
    arn, removed = call.path.removeprefix("/tags/"), call.query.get("tagKeys", [])
    if ":podidentityassociation/" in arn:
        tags = (await _get(call, _association_path(arn)))["association"]["tags"] | call.json.get("tags", {})
        _remember(arn, tags={key: value for key, value in tags.items() if key not in removed})
    else:
        for key in removed or [""]:
            await _forward(replace(call, query={"tagKeys": [key]}))
        _remember(arn, **await _get(call, call.path))
    return _answer({})


# --- EC2 --------------------------------------------------------------------------------------------------------------


@_completes("ec2:CreateSubnet")
async def _create_subnet(call: Call) -> Answer:
    """Refuse a subnet outside of its VPC, one that overlaps another, and one in a zone of another region.

    MiniStack accepts them. An Availability Zone is the region and a letter; which letters a region has is not checked
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html). The error codes are
    those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
    """
    vpc_id, region = call.parameters["VpcId"], _module("core.responses").get_region()
    cidr, zone = IPv4Network(call.parameters["CidrBlock"]), call.parameters.get("AvailabilityZone", f"{region}a")
    if not re.fullmatch(rf"{region}[a-z]", zone):
        message = f"Value ({zone}) for parameter availabilityZone is invalid: it is not in {region}"
        raise _refusal("InvalidParameterValue", message, protocol="ec2")
    vpc = await _ask("ec2", "DescribeVpcs", {"VpcId.1": vpc_id})
    if not any(cidr.subnet_of(IPv4Network(network)) for network in vpc.texts("cidrBlock")):
        raise _refusal("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid: not in {vpc_id}", protocol="ec2")
    others = await _ask("ec2", "DescribeSubnets", {"Filter.1.Name": "vpc-id", "Filter.1.Value.1": vpc_id})
    if overlapping := [other for other in others.texts("cidrBlock") if cidr.overlaps(IPv4Network(other))]:
        message = f"The CIDR '{cidr}' conflicts with another subnet: {', '.join(overlapping)}"
        raise _refusal("InvalidSubnet.Conflict", message, protocol="ec2")
    return await _forward(call)


@_completes("ec2:DeleteSubnet")
async def _delete_subnet(call: Call) -> Answer:
    """Refuse to delete a subnet of a cluster or a node group, whose network interfaces MiniStack does not have.

    AWS refuses it while instances are in it (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSubnet.html).
    The interfaces of other services are not checked here.
    """
    subnet, eks = call.parameters["SubnetId"], Call("eks", "GET", "/", {}, b"", {})
    for name in (await _get(eks, "/clusters"))["clusters"]:
        path = f"/clusters/{name}"
        used = {path: (await _get(eks, path))["cluster"]["resourcesVpcConfig"]["subnetIds"]}
        for group in (await _get(eks, f"{path}/node-groups"))["nodegroups"]:
            below = f"{path}/node-groups/{group}"
            used[below] = (await _get(eks, below))["nodegroup"]["subnets"]
        if users := [user for user, subnets in used.items() if subnet in subnets]:
            message = f"The subnet '{subnet}' has dependencies and cannot be deleted: {', '.join(users)}"
            raise _refusal("DependencyViolation", message, protocol="ec2")
    return await _forward(call)


@_completes("ec2:CreateNatGateway", "ec2:DescribeNatGateways")
async def _keep_address(call: Call) -> Answer:
    """Return the address of a NAT gateway, without which an imported one would be replaced.

    MiniStack returns none; remove this when its `natGatewayAddressSet` has an item. The members are those of
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NatGatewayAddress.html.
    """
    answer = await _forward(call)
    if call.action == "ec2:CreateNatGateway" and "AllocationId" in call.parameters:
        allocation, (id_,) = call.parameters["AllocationId"], answer.texts("natGatewayId")
        address = await _ask("ec2", "DescribeAddresses", {"AllocationId.1": allocation})
        public = "".join(address.texts("publicIp"))
        item = {"allocationId": allocation, "isPrimary": "true", "publicIp": public, "status": "succeeded"}
        _remember(f"address of {id_}", natGatewayAddressSet=[item])
    root = ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", answer.body))  # noqa: S314  (written by MiniStack)
    for gateway in [element for element in root.iter() if element.find("natGatewayAddressSet") is not None]:
        for name, value in _REMEMBERED.get(f"address of {gateway.findtext('natGatewayId')}", {}).items():
            for empty in gateway.findall(name):
                gateway.remove(empty)
            _add_element(gateway, name, value)
    return replace(answer, body=bytes(ET.tostring(root)))


@_completes("ec2:CreateFlowLogs")
async def _create_flow_logs(call: Call) -> Answer:
    """Keep the role, interval, format and tags of flow logs.

    MiniStack ignores the first three, so that Terraform replaces the flow log, and expects tags of `flow-log` instead
    of `vpc-flow-log`. Remove this when DescribeFlowLogs returns `deliverLogsPermissionArn` and tags.
    """
    answer = await _forward(replace(call, body=call.body.replace(b"vpc-flow-log", b"flow-log")))
    for id_ in answer.texts("item"):
        _remember(id_, maxAggregationInterval="600")
        _remember_parameters(call, id_, maxAggregationInterval="MaxAggregationInterval", logFormat="LogFormat")
        _remember_parameters(call, id_, deliverLogsPermissionArn="DeliverLogsPermissionArn")
    return answer


@_completes("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint")
async def _set_vpc_endpoint(call: Call) -> Answer:
    """Keep the private DNS setting, policy and security groups of a VPC endpoint.

    MiniStack ignores them. Remove this when DescribeVpcEndpoints returns `privateDnsEnabled`.
    """
    answer = await _forward(call)
    (id_,) = answer.texts("vpcEndpointId") or [call.parameters["VpcEndpointId"]]
    groups = [group["groupId"] for group in _REMEMBERED.get(id_, {}).get("groupSet", [])]
    groups = _listed(call, groups, added=r"(Add)?SecurityGroupId\.\d+", removed=r"RemoveSecurityGroupId\.\d+")
    _remember(id_, groupSet=[{"groupId": group} for group in groups])
    _remember_parameters(call, id_, privateDnsEnabled="PrivateDnsEnabled", policyDocument="PolicyDocument")
    return answer


@_completes("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress")
async def _authorize(call: Call) -> Answer:
    """Refuse more rules than the default quota of a security group, which MiniStack does not have.

    The quota applies to each direction, and to IPv4 and IPv6 separately. A CIDR or a referenced group counts as one
    rule (https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html#security-group-size). Prefix lists,
    which count as their entries, count as one here.
    """
    direction = "ipPermissionsEgress" if call.action.endswith("Egress") else "ipPermissions"
    group = await _ask("ec2", "DescribeSecurityGroups", {"GroupId.1": call.parameters.get("GroupId", "")})
    present = ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", group.body))  # noqa: S314  (written by MiniStack)
    rules = Counter(element.tag for listed in present.iter(direction) for element in listed.iter())
    names = [name.rpartition(".")[2] for name in call.parameters if name != "GroupId"]
    rules.update(name[0].lower() + name[1:] for name in names)
    number = max(rules["cidrIp"], rules["cidrIpv6"]) + rules["groupId"] + rules["prefixListId"]
    if number > _MOST_RULES:
        message = f"GroupId: {call.parameters['GroupId']}: {number} rules: the default quota is {_MOST_RULES}"
        raise _refusal("RulesPerSecurityGroupLimitExceeded", message, protocol="ec2")
    return await _ignore_ports_of_all_protocols(call)


@_completes("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress")
async def _ignore_ports_of_all_protocols(call: Call) -> Answer:
    """Ignore the ports of a rule for all protocols.

    MiniStack compares them, so that Terraform, which sets ports, cannot revoke the default rule of a new group.
    Remove this when RevokeSecurityGroupEgress of protocol -1 and ports 0 to 0 revokes the default rule.
    """
    rules = [name.removesuffix("IpProtocol") for name, protocol in call.parameters.items() if protocol == "-1"]
    ports = {f"{rule}{port}" for rule in rules for port in ("FromPort", "ToPort")}
    form = {name: value for name, value in call.parameters.items() if name not in ports}
    return await _forward(replace(call, body=urlencode(form).encode()))


@_completes("ec2:CreateLaunchTemplate", "ec2:CreateLaunchTemplateVersion", "ec2:DescribeLaunchTemplateVersions")
async def _keep_disk_key(call: Call) -> Answer:
    """Keep the KMS key of the disks of a launch template.

    MiniStack ignores it, so it is stored as the snapshot of the disk, which MiniStack keeps. Remove this when
    DescribeLaunchTemplateVersions returns `kmsKeyId`.
    """
    answer = await _forward(replace(call, body=call.body.replace(b".Ebs.KmsKeyId=", b".Ebs.SnapshotId=")))
    body = re.sub(rb"<snapshotId>(?!snap-)(.*?)</snapshotId>", rb"<kmsKeyId>\1</kmsKeyId>", answer.body)
    return replace(answer, body=body)


# --- IAM --------------------------------------------------------------------------------------------------------------


@_completes("iam:PutRolePolicy")
async def _put_role_policy(call: Call) -> Answer:
    """Refuse inline policies above the quota of a role, which MiniStack does not have.

    The quota applies to all inline policies of a role together
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
    """
    role, policy = call.parameters["RoleName"], call.parameters["PolicyName"]
    names = (await _ask("iam", "ListRolePolicies", {"RoleName": role})).texts("member")
    others = [
        (await _ask("iam", "GetRolePolicy", {"RoleName": role, "PolicyName": name})).texts("PolicyDocument")
        for name in names
        if name != policy
    ]
    total = sum(size(unquote(text)) for texts in others for text in texts) + size(call.parameters["PolicyDocument"])
    if total > ROLE_POLICIES:
        message = f"RoleName: {role}: {total} characters of inline policies: the maximum is {ROLE_POLICIES}"
        raise _refusal("LimitExceeded", message, protocol="query")
    return await _forward(call)


# --- RDS, EFS, ECR ----------------------------------------------------------------------------------------------------


@_completes("rds:CreateDBInstance")
async def _create_database(call: Call) -> Answer:
    """Choose the minor version of a database, and store its password in Secrets Manager if requested.

    MiniStack keeps a major version as it is, and creates no secret. Remove this when DescribeDBInstances returns a
    minor version and `MasterUserSecret`.
    """
    form, password, key = call.parameters, secrets.token_urlsafe(), {}
    if form["Engine"] in _ENGINES and form.get("StorageType") == "gp3":
        _check_gp3(form, int(form.get("AllocatedStorage", 0)))
    if form["Engine"] in _ENGINES and "EngineVersion" in form:
        call = _with(call, EngineVersion=_minor_version(form["Engine"], form["EngineVersion"]))
    if form.get("ManageMasterUserPassword") != "true":
        return await _set_database(call)
    if "MasterUserSecretKmsKeyId" in form:
        described = await _ask("kms", "DescribeKey", {"KeyId": form["MasterUserSecretKmsKeyId"]})
        key = {"KmsKeyId": described.json["KeyMetadata"]["Arn"]}
    answer = await _set_database(_with(call, MasterUserPassword=password))
    value = json.dumps({"username": form["MasterUsername"], "password": password})
    secret = {"Name": f"rds!db-{uuid.uuid4()}", "SecretString": value, **key}
    arn = (await _ask("secretsmanager", "CreateSecret", secret)).json["ARN"]
    _remember(*answer.texts("DbiResourceId"), MasterUserSecret={"SecretArn": arn, "SecretStatus": "active", **key})
    return answer


def _with(call: Call, **parameters: str) -> Call:
    """A call in the query protocol with more or other parameters."""
    return replace(call, body=urlencode(call.parameters | parameters).encode(), query={})


def _minor_version(engine: str, version: str) -> str:
    """A minor version of an engine. For a major version, AWS does not publish which: here it is the oldest one.

    Source of the versions: cfn-lint, in `aws_data.json`.
    """
    majors = json.loads(_AWS_DATA.read_text())[f"{engine}_versions"]
    major = _major_version(engine, version)
    current = majors.get(major, {}).get("current", [])
    if version not in [major, *current] or not current:
        raise _impossible(f"Cannot find version {version} for {engine}")
    return str(current[0]) if version == major else version


def _major_version(engine: str, version: str) -> str:
    """The major version of a version, such as 8.4 of 8.4.mysql_aurora.8.4.7; an unknown version as it is."""
    majors = json.loads(_AWS_DATA.read_text())[f"{engine}_versions"]
    return next((str(one) for one in majors if f"{version}.".startswith(f"{one}.")), version)


def _check_gp3(form: Mapping[str, str], size: int) -> None:
    """Refuse a performance of gp3 storage that PostgreSQL and MySQL cannot have with this size in GiB.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
    """
    for name, least in (("Iops", 12_000), ("StorageThroughput", 500)):
        if name in form and (size < _LARGE_STORAGE or int(form[name]) < least):
            rule = f"{least} or more for {_LARGE_STORAGE} GiB or more, and not allowed for less"
            raise _impossible(f"{name}: {form[name]}: storage of {size} GiB: it must be {rule}")


def _impossible(message: str) -> RefusalError:
    return _refusal("InvalidParameterCombination", message, protocol="query")


@_completes("rds:DeleteDBInstance")
async def _delete_database(call: Call) -> Answer:
    """Also delete the password's secret, as RDS does. Remove this with `_create_database`."""
    answer = await _forward(call)
    (id_,) = answer.texts("DbiResourceId")
    if secret := _REMEMBERED[id_].get("MasterUserSecret"):
        request = {"SecretId": secret["SecretArn"], "ForceDeleteWithoutRecovery": True}
        await _ask("secretsmanager", "DeleteSecret", request)
    return answer


@_completes("rds:ModifyDBInstance")
async def _modify_database(call: Call) -> Answer:
    """Refuse what RDS refuses, and keep the changes that wait for the maintenance window until an immediate change.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.DBInstance.Modifying.html, "Allocated
    storage" and "Apply Immediately". MiniStack reduces storage, and forgets waiting changes when others follow. The
    maintenance window never comes here. Remove this when DescribeDBInstances returns two changes that wait.
    """
    form, described = call.parameters, await _ask("rds", "DescribeDBInstances", _identifier(call))
    (id_,), (allocated,) = described.texts("DbiResourceId"), described.texts("AllocatedStorage")
    if int(form.get("AllocatedStorage", allocated)) < int(allocated):
        raise _impossible(f"AllocatedStorage: {form['AllocatedStorage']}: cannot be reduced from {allocated}")
    if set(described.texts("Engine")) <= _ENGINES:
        if described.texts("StorageType") == ["gp3"]:
            _check_gp3(form, int(form.get("AllocatedStorage", allocated)))
        call = await _upgrade(call, described)
    waiting = _REMEMBERED.get(id_, {}).get("PendingModifiedValues", {})
    if form.get("ApplyImmediately") == "true":
        _remember(id_, PendingModifiedValues={})
        return await _set_database(_with(call, **waiting | call.parameters))
    changes = {name: call.parameters[name] for name in _WAITS if name in call.parameters}
    changed = {name: value for name, value in changes.items() if [value] != described.texts(name)}
    _remember(id_, PendingModifiedValues=waiting | changed)
    others = {name: value for name, value in call.parameters.items() if name not in changes}
    return await _set_database(replace(call, body=urlencode(others).encode(), query={}))


def _identifier(call: Call) -> dict[str, str]:
    return {"DBInstanceIdentifier": call.parameters["DBInstanceIdentifier"]}


async def _upgrade(call: Call, described: Answer, group_kind: str = "DBParameterGroup") -> Call:
    """A call with the minor version that a database, an instance or a cluster of Aurora, is upgraded to.

    Sources of the rules: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBInstance.html and
    API_ModifyDBCluster.html, AllowMajorVersionUpgrade, EngineVersion and the parameter group. There is no way back
    (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.PostgreSQL.html).
    """
    form, (running,), (engine,) = call.parameters, described.texts("EngineVersion"), described.texts("Engine")
    version = running
    if form.get("EngineVersion", running) != running:
        version = _minor_version(engine, form["EngineVersion"])
    old, new = (_major_version(engine, one) for one in (running, version))
    is_older = _numbers(version) < _numbers(running)
    if new == old and is_older and form["EngineVersion"] == old:
        version = running  # a major version alone never lowers the minor version
    elif is_older:
        raise _impossible(f"Cannot upgrade {engine} from {running} to {version}")
    if new != old and form.get("AllowMajorVersionUpgrade") != "true":
        raise _impossible("The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.")
    (group,) = described.texts("DBParameterGroupName") or described.texts(group_kind)
    group, wanted = form.get(f"{group_kind}Name", group), f"{engine}{new}"
    if not group.startswith("default."):
        groups = await _ask("rds", f"Describe{group_kind}s", {f"{group_kind}Name": group})
        if (family := groups.texts("DBParameterGroupFamily")) != [wanted]:
            raise _impossible(f"The parameter group {group} is of {family}; specify one of {wanted}")
    return _with(call, EngineVersion=version) if "EngineVersion" in form else call


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


@_completes("rds:DeleteDBParameterGroup", "rds:DeleteDBClusterParameterGroup")
async def _delete_parameter_group(call: Call) -> Answer:
    """Keep a parameter group that a database uses, as RDS does. Remove this when MiniStack refuses to delete it.

    Sources: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBParameterGroup.html and
    API_DeleteDBClusterParameterGroup.html
    """
    if "DBClusterParameterGroupName" in call.parameters:
        name, action, tag = (
            call.parameters["DBClusterParameterGroupName"],
            "DescribeDBClusters",
            "DBClusterParameterGroup",
        )
        message = f"One or more database clusters are still members of this parameter group {name}"
    else:
        name, action, tag = call.parameters["DBParameterGroupName"], "DescribeDBInstances", "DBParameterGroupName"
        message = f"One or more database instances are still members of this parameter group {name}"
    if name in (await _ask("rds", action, {})).texts(tag):
        raise _refusal("InvalidDBParameterGroupState", message, protocol="query")
    return await _forward(call)


def _keep_exports(call: Call, id_: str) -> None:
    """Keep the log exports of a database after a call."""
    enabled, disabled = (
        r"(EnableCloudwatchLogsExports|.*\.EnableLogTypes)\.member\.\d+",
        r".*\.DisableLogTypes\.member\.\d+",
    )
    exports = _REMEMBERED.get(id_, {}).get("EnabledCloudwatchLogsExports", [])
    _remember(id_, EnabledCloudwatchLogsExports=_listed(call, exports, added=enabled, removed=disabled))


async def _set_database(call: Call) -> Answer:
    """Keep the log exports, backup and Performance Insights settings and the storage throughput of a database.

    MiniStack ignores them or defers them to the maintenance window. Remove this when DescribeDBInstances returns
    `EnabledCloudwatchLogsExports` and a changed `BackupRetentionPeriod`.
    """
    answer = await _forward(call)
    (id_,) = answer.texts("DbiResourceId")
    _keep_exports(call, id_)
    same = ["BackupRetentionPeriod", "PreferredBackupWindow"]
    same += ["PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "StorageThroughput"]
    _remember_parameters(call, id_, **{name: name for name in same})
    _remember_parameters(call, id_, PerformanceInsightsEnabled="EnablePerformanceInsights")
    return answer


@_completes("rds:CreateDBCluster")
async def _create_aurora(call: Call) -> Answer:
    """Choose the minor version of a cluster of Aurora. MiniStack keeps a major version as it is.

    Remove this when DescribeDBClusters returns a minor version.
    """
    form = call.parameters
    if form["Engine"] in _AURORA and "EngineVersion" in form:
        call = _with(call, EngineVersion=_minor_version(form["Engine"], form["EngineVersion"]))
    return await _set_aurora(call)


@_completes("rds:ModifyDBCluster")
async def _modify_aurora(call: Call) -> Answer:
    """Refuse an upgrade of a cluster of Aurora that RDS refuses. MiniStack only knows the versions."""
    identifier = {"DBClusterIdentifier": call.parameters["DBClusterIdentifier"]}
    described = await _ask("rds", "DescribeDBClusters", identifier)
    if set(described.texts("Engine")) <= _AURORA:
        call = await _upgrade(call, described, "DBClusterParameterGroup")
    return await _set_aurora(call)


async def _set_aurora(call: Call) -> Answer:
    """Keep the log exports of a cluster. MiniStack ignores them.

    Remove this when DescribeDBClusters returns `EnabledCloudwatchLogsExports`.
    """
    answer = await _forward(call)
    (id_,) = answer.texts("DbClusterResourceId")
    _keep_exports(call, id_)
    return answer


@_completes("acm:RequestCertificate")
async def _request_certificate(call: Call) -> Answer:
    """Keep the options of a certificate, which is in a transparency log unless it opts out.

    Source: https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateOptions.html. MiniStack forgets them.
    Remove this when DescribeCertificate returns the `Options` of RequestCertificate.
    """
    answer = await _forward(call)
    options = {"CertificateTransparencyLoggingPreference": "ENABLED"} | call.json.get("Options", {})
    request = {"CertificateArn": answer.json["CertificateArn"], "Options": options}
    await _ask("acm", "UpdateCertificateOptions", request)
    return answer


@_completes("route53:GetDNSSEC")
async def _get_dnssec(call: Call) -> Answer:  # noqa: ARG001
    """Describe a zone without DNSSEC. The AWS provider asks for it before it deletes a zone with `force_destroy`.

    MiniStack lacks this call; remove this when it has it.
    """
    status = "<Status><ServeSignature>NOT_SIGNING</ServeSignature></Status><KeySigningKeys/>"
    body = f'<GetDNSSECResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">{status}</GetDNSSECResponse>'
    return Answer(HTTPStatus.OK, {"Content-Type": "text/xml"}, body.encode())


@_completes("elasticfilesystem:PutFileSystemPolicy", "elasticfilesystem:DescribeFileSystemPolicy")
async def _keep_file_system_policy(call: Call) -> Answer:
    """Return the policy of a file system unchanged. MiniStack adds an `Id`; remove this when it does not."""
    document = (await _forward(call)).json
    policy = f"policy of {document['FileSystemId']}"
    _remember(policy, **{name: value for name, value in call.json.items() if name == "Policy"})
    return _answer(document | _REMEMBERED[policy])


@_completes("ecr:PutReplicationConfiguration", "ecr:DescribeRegistry")
async def _replicate(call: Call) -> Answer:
    """Keep the replication configuration of a region's registry.

    MiniStack lacks PutReplicationConfiguration; remove this when it has it.
    """
    described = await _forward(replace(call, headers=call.headers | {"x-amz-target": "ecr.DescribeRegistry"}))
    here = {"region": _module("core.responses").get_region(), "registryId": described.json["registryId"]}
    request = call.json
    for rule in request.get("replicationConfiguration", {}).get("rules", []):
        if here in rule["destinations"]:
            raise _refusal("InvalidParameterException", "the replication destination cannot be the source registry")
    registry = "registry {registryId} {region}".format_map(here)
    _remember(registry, **request)
    return _answer((request or described.json) | _REMEMBERED[registry])


@_completes("ecr:CreateRepository", "ecr:PutImageTagMutability")
async def _keep_moving_tags(call: Call) -> Answer:
    """Keep the tags that may move. MiniStack ignores them; remove this when DescribeRepositories returns them."""
    answer = await _forward(call)
    named = replace(call, headers=call.headers | {"x-amz-target": "ecr.DescribeRepositories"})
    body = json.dumps({"repositoryNames": [call.json["repositoryName"]]}).encode()
    (repository,) = (await _forward(replace(named, body=body))).json["repositories"]
    filters = call.json.get("imageTagMutabilityExclusionFilters", [])
    _remember(repository["repositoryArn"], imageTagMutabilityExclusionFilters=filters)
    return answer


@_completes("ecr:CreateRepositoryCreationTemplate", "ecr:UpdateRepositoryCreationTemplate")
@_completes("ecr:DeleteRepositoryCreationTemplate", "ecr:DescribeRepositoryCreationTemplates")
async def _keep_templates(call: Call) -> Answer:
    """Keep the templates of a region's registry, without creating repositories from them.

    A template with tags or a KMS key needs a role
    (https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html). MiniStack lacks
    these calls; remove this when it has them.
    """
    described = await _forward(replace(call, headers=call.headers | {"x-amz-target": "ecr.DescribeRegistry"}, body=b""))
    registry = described.json["registryId"]
    templates = _REMEMBERED.setdefault(f"templates {registry} {_module('core.responses').get_region()}", {})
    request, operation = call.json, call.action.removeprefix("ecr:")
    if operation == "DescribeRepositoryCreationTemplates":
        prefixes = request.get("prefixes") or list(templates)
        found = [templates[prefix] for prefix in prefixes if prefix in templates]
        return _answer({"registryId": registry, "repositoryCreationTemplates": found})
    prefix = request["prefix"]
    if (operation == "CreateRepositoryCreationTemplate") == (prefix in templates):
        code = "TemplateAlreadyExistsException" if prefix in templates else "TemplateNotFoundException"
        raise _refusal(code, f"prefix: {prefix}: the registry {registry} has {', '.join(templates) or 'no template'}")
    template = templates.pop(prefix, {}) | request
    if operation != "DeleteRepositoryCreationTemplate":
        is_encrypted = template.get("encryptionConfiguration", {}).get("encryptionType", "AES256") != "AES256"
        if (is_encrypted or template.get("resourceTags")) and "customRoleArn" not in template:
            raise _refusal("InvalidParameterException", f"prefix: {prefix}: tags and KMS keys need a customRoleArn")
        templates[prefix] = template
    return _answer({"registryId": registry, "repositoryCreationTemplate": template})


# --- Backup -----------------------------------------------------------------------------------------------------------


@_completes("backup:DeleteBackupVault", "backup:DeleteBackupVaultLockConfiguration")
@_completes("backup:DescribeBackupVault", "backup:PutBackupVaultLockConfiguration")
async def _lock_vault(call: Call) -> Answer:
    """Keep the lock of a vault. MiniStack has no vault locks; remove this when it has."""
    vault = (await _forward(replace(call, method="GET", path=call.path.removesuffix("/vault-lock"), body=b""))).json
    lock = f"lock of {vault['BackupVaultArn']}"
    if call.method == "GET":
        return _answer(vault | _REMEMBERED.get(lock, {}))
    _REMEMBERED.pop(lock, None)
    if not call.path.endswith("/vault-lock"):
        return await _forward(call)
    if call.method == "PUT":
        days = {name: call.json[name] for name in ("MinRetentionDays", "MaxRetentionDays") if name in call.json}
        if days.get("MinRetentionDays", 1) > days.get("MaxRetentionDays", _LONGEST_RETENTION_DAYS):
            raise _refusal("InvalidParameterValueException", "MinRetentionDays is above MaxRetentionDays")
        _remember(lock, Locked=True, **days)
    return Answer(HTTPStatus.OK, {}, b"")


# --- CloudWatch Logs --------------------------------------------------------------------------------------------------


@_completes("logs:DeleteQueryDefinition", "logs:DescribeQueryDefinitions", "logs:PutQueryDefinition")
async def _keep_queries(call: Call) -> Answer:
    """Keep the saved queries of a region. MiniStack lacks these calls; remove this when it has them."""
    responses, request = _module("core.responses"), call.json
    queries = _REMEMBERED.setdefault(f"queries {responses.get_account_id()} {responses.get_region()}", {})
    if call.action == "logs:DescribeQueryDefinitions":
        prefix = request.get("queryDefinitionNamePrefix", "")
        return _answer({"queryDefinitions": [one for one in queries.values() if one["name"].startswith(prefix)]})
    id_ = request.get("queryDefinitionId")
    if id_ is not None and id_ not in queries:
        raise _refusal("ResourceNotFoundException", f"queryDefinitionId: {id_}: no query has this ID")
    if call.action == "logs:DeleteQueryDefinition":
        del queries[id_]
        return _answer({"success": True})
    id_ = id_ or str(uuid.uuid4())
    queries[id_] = {**request, "queryDefinitionId": id_, "lastModified": int(time.time() * 1000)}
    return _answer({"queryDefinitionId": id_})


# --- the server -------------------------------------------------------------------------------------------------------


@functools.cache
def _module(name: str) -> ModuleType:
    """A module of MiniStack. It reads its settings on import, so it is imported after they are set."""
    return importlib.import_module(f"ministack.{name}")


@functools.cache
def _handlers() -> dict[str, Callable[..., Awaitable[Any]]]:
    """MiniStack's own handlers, by service, after `_complete` has replaced them in MiniStack."""
    handlers = _module("app").SERVICE_HANDLERS
    handlers[guardduty.SERVICE] = guardduty.handle
    _module("core.router").SERVICE_PATTERNS[guardduty.SERVICE] = {"credential_scope": guardduty.SERVICE}
    own = dict(handlers)
    handlers.update({service: functools.partial(_complete, service) for service in own})
    return own


async def _complete(service: str, *request: Any) -> tuple[int, dict[str, str], bytes]:
    call = Call(service, *request)
    _record(call)
    if refused := refusal(call):
        return refused
    if not _TOKEN.search(call.body):
        return await _completion(call)
    key = (service, call.method, call.path, call.body)
    if key not in _IDEMPOTENT:
        _IDEMPOTENT[key] = asyncio.ensure_future(_completion(call))
    status, headers, body = await asyncio.shield(_IDEMPOTENT[key])
    if status >= HTTPStatus.BAD_REQUEST:
        _IDEMPOTENT.pop(key, None)
    return status, headers, body


async def _completion(call: Call) -> tuple[int, dict[str, str], bytes]:
    service = call.service
    try:
        answer = await _COMPLETIONS.get(call.action, _forward)(call)
        body = answer.body
        if body and any(action.startswith(f"{service}:") for action in _COMPLETIONS):
            body = json.dumps(_in_json(answer.json)).encode() if body.startswith(b"{") else _in_xml(body)
    except RefusalError as refusal:
        answer, body = refusal.answer, refusal.answer.body
    return answer.status, answer.headers, body


def _record(call: Call) -> None:
    if file := os.environ.get("EMULATOR_RECORD"):
        access_key = _module("core.router").extract_access_key_id(call.headers, call.query)
        line = {"service": call.service, "action": call.action, "access_key": access_key}
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")


def _in_json(document: dict[str, Any]) -> dict[str, Any]:
    """Add the remembered members to the resources of a JSON response."""
    return {
        name: [_completed(one) for one in value] if isinstance(value, list) else _completed(value)
        for name, value in document.items()
    }


def _completed(resource: Any) -> Any:
    if not isinstance(resource, dict):
        return resource
    remembered = [_REMEMBERED.get(resource[name], {}) for name in _IDENTIFIERS if name in resource]
    return functools.reduce(dict.__or__, remembered, resource)


def _in_xml(body: bytes) -> bytes:
    """Add the remembered members to the resources of an XML response."""
    root = ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body))  # noqa: S314  (written by MiniStack)
    for resource in list(root.iter()):
        for identifier in [element for element in resource if element.tag in _IDENTIFIERS]:
            for name, value in _REMEMBERED.get(identifier.text or "", {}).items():
                for wrong in resource.findall(name):
                    resource.remove(wrong)
                _add_element(resource, name, value)
    return bytes(ET.tostring(root))


def _add_element(parent: ET.Element, name: str, value: Any) -> None:
    element = ET.SubElement(parent, name)
    if isinstance(value, dict):
        for member in value.items():
            _add_element(element, *member)
    elif isinstance(value, list):
        for item in value:
            _add_element(element, "item" if name[0].islower() else "member", item)  # EC2 uses lower camel case
    else:
        element.text = value


async def completed_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application. A JSON line for each call is appended to the file in the variable EMULATOR_RECORD."""
    _handlers()
    await _module("app").app(scope, receive, send)


async def _serve(port: int, *, while_stdin_is_open: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(stop.set)
        time.sleep(_STOP_SECONDS)
        os._exit(1)

    if while_stdin_is_open:
        threading.Thread(target=watch, daemon=True).start()
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = 3600  # longer than any client keeps a connection: it repeats requests on closed ones
    await serve(completed_app, config, shutdown_trigger=stop.wait)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m operations.local.emulator", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True, help=f"port on {HOST}")
    parser.add_argument("--record", metavar="FILE", help="append a JSON line for each AWS call")
    parser.add_argument("--while-stdin-is-open", action="store_true", help="also stop at the end of standard input")
    arguments = parser.parse_args()
    os.environ |= {"GATEWAY_PORT": str(arguments.port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    if arguments.record:
        os.environ["EMULATOR_RECORD"] = arguments.record
    asyncio.run(_serve(arguments.port, while_stdin_is_open=arguments.while_stdin_is_open))


if __name__ == "__main__":
    main()
