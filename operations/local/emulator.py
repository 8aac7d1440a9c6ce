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
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlencode
from xml.etree import ElementTree as ET

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from operations.local.documented_rules import ROLE_POLICIES, size
from operations.local.ports import HOST
from operations.local.request_check import Request, error, refusal

_STOP_SECONDS = 10
_LONGEST_RETENTION_DAYS = 36500
_LEAST_ZONES = 2
_MOST_RULES = 60  # https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html, the default quota
_FORM = "application/x-www-form-urlencoded"


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
    "DbiResourceId", "accessEntryArn", "addonArn", "arn", "associationArn", "flowLogId",
    "nodegroupArn", "vpcEndpointId",
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
    if service in {"ec2", "iam"}:
        headers, body = {"content-type": _FORM}, urlencode({"Action": action, **parameters})
    return await _forward(Call(service, "POST", "/", headers, body.encode(), {}))


# --- EKS --------------------------------------------------------------------------------------------------------------


@_completes("eks:CreateCluster")
async def _create_cluster(call: Call) -> Answer:
    """Create a cluster with the VPC of its subnets, a security group, an OIDC issuer, and all requested settings.

    MiniStack returns an unrelated VPC and security group, ignores `upgradePolicy` and other settings, and its issuer is
    an http URL, which IAM rejects. It does not check the Availability Zones of the subnets
    (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html). Remove this when the issuer is an https URL
    and DescribeSecurityGroups returns the cluster's security group.
    """
    subnets = call.json["resourcesVpcConfig"].get("subnetIds", [])
    vpc_id, zones = await _location(subnets)
    if len(zones) < _LEAST_ZONES:
        message = f"subnetIds: {subnets}: subnets in at least two Availability Zones are required, not {zones}"
        raise _refusal("InvalidParameterException", message)
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
    """Also delete the cluster's security group, as EKS does. Remove this with `_create_cluster`."""
    answer = await _forward(call)
    arn = answer.json["cluster"]["arn"]
    network = _REMEMBERED.pop(arn)["resourcesVpcConfig"]
    del _REMEMBERED[f"zones of {arn}"]
    await _ask("ec2", "DeleteSecurityGroup", {"GroupId": network["clusterSecurityGroupId"]})
    return answer


@_completes("eks:CreateNodegroup")
async def _create_node_group(call: Call) -> Answer:
    """Keep all settings of a node group.

    MiniStack ignores `updateConfig`, `nodeRepairConfig` and `launchTemplate`, without which Terraform replaces the
    group. Remove this when DescribeNodegroup returns them.
    """
    answer = await _forward(call)
    group = answer.json["nodegroup"]
    _remember(group["nodegroupArn"], **{"updateConfig": {"maxUnavailable": 1}} | _left_out(call, group))
    return answer


@_completes("eks:UpdateClusterConfig", "eks:UpdateClusterVersion")
@_completes("eks:UpdateNodegroupConfig", "eks:UpdateNodegroupVersion")
async def _update(call: Call) -> Answer:
    """Update a cluster or a node group immediately. MiniStack lacks these calls; remove this when it has them.

    A cluster stays in the Availability Zones of its creation
    (https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
    """
    ((kind, resource),) = (await _get(call, call.path.rpartition("/")[0])).items()
    request = {name: value for name, value in call.json.items() if name not in {"clientRequestToken", "force"}}
    if kind == "cluster" and "version" in request:
        old, new = (int(version.split(".")[1]) for version in (resource["version"], request["version"]))
        if new != old + 1:
            raise _refusal("InvalidParameterException", f"Unsupported Kubernetes minor version update: {old} to {new}")
    if subnets := request.get("resourcesVpcConfig", {}).get("subnetIds"):
        _, zones = await _location(subnets)
        if zones != (created := _REMEMBERED[f"zones of {resource['arn']}"]["zones"]):
            message = f"subnetIds: {subnets}: the subnets must be in the Availability Zones {created}, not {zones}"
            raise _refusal("InvalidParameterException", message)
    changed = {name: _changed(name, resource.get(name), value) for name, value in request.items()}
    _remember(resource.get("nodegroupArn") or resource["arn"], **changed)
    return _updated({"id": str(uuid.uuid4()), "status": "Successful", "type": "ConfigUpdate", "createdAt": time.time()})


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
    """Store the password of a database in Secrets Manager if requested.

    MiniStack creates no secret. Remove this when DescribeDBInstances returns `MasterUserSecret`.
    """
    form, password, key = call.parameters, secrets.token_urlsafe(), {}
    if form.get("ManageMasterUserPassword") != "true":
        return await _set_database(call)
    if "MasterUserSecretKmsKeyId" in form:
        described = await _ask("kms", "DescribeKey", {"KeyId": form["MasterUserSecretKmsKeyId"]})
        key = {"KmsKeyId": described.json["KeyMetadata"]["Arn"]}
    answer = await _set_database(replace(call, body=call.body + f"&MasterUserPassword={password}".encode()))
    value = json.dumps({"username": form["MasterUsername"], "password": password})
    secret = {"Name": f"rds!db-{uuid.uuid4()}", "SecretString": value, **key}
    arn = (await _ask("secretsmanager", "CreateSecret", secret)).json["ARN"]
    _remember(*answer.texts("DbiResourceId"), MasterUserSecret={"SecretArn": arn, "SecretStatus": "active", **key})
    return answer


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
async def _set_database(call: Call) -> Answer:
    """Keep the log exports, backup settings and Performance Insights settings of a database.

    MiniStack ignores them or defers them to the maintenance window. Remove this when DescribeDBInstances returns
    `EnabledCloudwatchLogsExports` and a changed `BackupRetentionPeriod`.
    """
    answer = await _forward(call)
    (id_,) = answer.texts("DbiResourceId")
    enabled, disabled = (
        r"(EnableCloudwatchLogsExports|.*\.EnableLogTypes)\.member\.\d+",
        r".*\.DisableLogTypes\.member\.\d+",
    )
    exports = _REMEMBERED.get(id_, {}).get("EnabledCloudwatchLogsExports", [])
    _remember(id_, EnabledCloudwatchLogsExports=_listed(call, exports, added=enabled, removed=disabled))
    same = ["BackupRetentionPeriod", "PreferredBackupWindow"]
    same += ["PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod"]
    _remember_parameters(call, id_, **{name: name for name in same})
    _remember_parameters(call, id_, PerformanceInsightsEnabled="EnablePerformanceInsights")
    return answer


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


# --- the server -------------------------------------------------------------------------------------------------------


@functools.cache
def _module(name: str) -> ModuleType:
    """A module of MiniStack. It reads its settings on import, so it is imported after they are set."""
    return importlib.import_module(f"ministack.{name}")


@functools.cache
def _handlers() -> dict[str, Callable[..., Awaitable[Any]]]:
    """MiniStack's own handlers, by service, after `_complete` has replaced them in MiniStack."""
    handlers = _module("app").SERVICE_HANDLERS
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
    return {name: _completed(value) if isinstance(value, dict) else value for name, value in document.items()}


def _completed(resource: dict[str, Any]) -> dict[str, Any]:
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
    config.keep_alive_timeout = 75
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
