"""An AWS on this machine, for `make local` and the end-to-end tests: MiniStack, completed where Terraform needs it.

It listens on 127.0.0.1 only and keeps everything in memory. What MiniStack 1.5.33 leaves out is completed in front of
its services, one function for each gap; each gap was found by applying a configuration and planning it again. A
completion answers what AWS answers, and none accepts what AWS refuses.
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
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

_HOST = "127.0.0.1"
_START_SECONDS = 60
_STOP_SECONDS = 10
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """A request to the AWS service that MiniStack calls `service`."""

    service: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, list[str]]

    @property
    def json(self) -> Any:
        """The body in a JSON protocol."""
        return json.loads(self.body or b"{}")

    @property
    def form(self) -> dict[str, str]:
        """The parameters in the query protocol."""
        return {name: values[0] for name, values in self._parameters.items()}

    @property
    def action(self) -> str:
        """The IAM action, such as `eks:CreateCluster`, or nothing where MiniStack knows none."""
        request = (
            self.service,
            self.method,
            self.path,
            self.headers,
            self.body,
            self._parameters,
        )
        return _module("core.iam_actions").extract_iam_action(*request) or ""

    @property
    def _parameters(self) -> dict[str, list[str]]:
        form = self.headers.get("content-type", "").startswith(_FORM)
        return (parse_qs(self.body.decode(), keep_blank_values=True) if form else {}) | self.query


@dataclass(frozen=True)
class Answer:
    """What an AWS service answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body in a JSON protocol."""
        return json.loads(self.body)

    def texts(self, element: str) -> list[str]:
        """The texts of all XML elements of this name."""
        return re.findall(f"<{element}>([^<]+)</{element}>", self.body.decode())


class Refusal(Exception):
    """A service refuses a call; what was about to follow does not happen."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


Handler = Callable[[Call], Awaitable[Answer]]
Completion = Callable[[Call, Handler], Awaitable[Answer]]

_COMPLETIONS: dict[str, Completion] = {}
"""By IAM action: who answers in place of MiniStack's handler, and is given that to ask in turn."""

_REMEMBERED: dict[str, dict[str, Any]] = {}
"""By ARN or unique id: the members of a resource that MiniStack's answers leave out or get wrong."""

_IDENTIFIERS = {
    "DbiResourceId", "accessEntryArn", "addonArn", "arn", "associationArn", "flowLogId", "nodegroupArn", "vpcEndpointId",
}  # fmt: skip
"""The members of answers that hold such an ARN or id."""


def _completes(*actions: str) -> Callable[[Completion], Completion]:
    def register(completion: Completion) -> Completion:
        _COMPLETIONS.update(dict.fromkeys(actions, completion))
        return completion

    return register


def _remember(identifier: str, **members: Any) -> None:
    _REMEMBERED.setdefault(identifier, {}).update(members)


def _remember_parameters(call: Call, identifier: str, **parameters: str) -> None:
    _remember(
        identifier,
        **{member: call.form[name] for member, name in parameters.items() if name in call.form},
    )


def _listed(call: Call, present: list[str], *, added: str, removed: str) -> list[str]:
    """What a list is after a call whose parameters add to it and remove from it; both are patterns of their names."""
    more, less = (
        {value for name, value in call.form.items() if re.fullmatch(pattern, name)} for pattern in (added, removed)
    )
    return sorted(({*present} | more) - less)


def _answer(document: Mapping[str, Any]) -> Answer:
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _refusal(code: str, message: str) -> Refusal:
    body = json.dumps({"__type": code, "message": message}).encode()
    return Refusal(Answer(400, {"Content-Type": "application/json", "x-amzn-errortype": code}, body))


async def _ask(service: str, action: str, parameters: Mapping[str, Any]) -> Answer:
    """Ask a service in the name of AWS, in the account and region of the request that is being answered."""
    headers, body = {"x-amz-target": f"{service}.{action}"}, json.dumps(parameters)
    if service == "ec2":
        headers, body = (
            {"content-type": _FORM},
            urlencode({"Action": action, **parameters}),
        )
    return await _forward(Call(service, "POST", "/", headers, body.encode(), {}))


# --- EKS --------------------------------------------------------------------------------------------------------------


@_completes("eks:CreateCluster")
async def _create_cluster(call: Call, forward: Handler) -> Answer:
    """Give a cluster the VPC of its subnets, a security group, an issuer, and all settings that it is made with.

    MiniStack invents VPC and group and forgets `upgradePolicy` and others; its issuer is an http URL, which IAM
    refuses. Removable when a cluster's issuer is an https URL and DescribeSecurityGroups knows the cluster's group.
    """
    request = call.json
    subnets = enumerate(request["resourcesVpcConfig"]["subnetIds"], 1)
    (vpc_id, *_) = (await _ask("ec2", "DescribeSubnets", {f"SubnetId.{n}": id_ for n, id_ in subnets})).texts("vpcId")
    answer = await forward(call)
    cluster = answer.json["cluster"]
    group_id = await _cluster_security_group(cluster["name"], vpc_id)
    network = cluster["resourcesVpcConfig"] | {
        "vpcId": vpc_id,
        "clusterSecurityGroupId": group_id,
    }
    issuer = f"https://oidc.eks.{cluster['arn'].split(':')[3]}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
    _remember(cluster["arn"], upgradePolicy={"supportType": "EXTENDED"})
    _remember(cluster["arn"], **_left_out(request, cluster))
    _remember(
        cluster["arn"],
        resourcesVpcConfig=network,
        identity={"oidc": {"issuer": issuer}},
    )
    return answer


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
    rule = {
        "IpPermissions.1.IpProtocol": "-1",
        "IpPermissions.1.Groups.1.GroupId": group_id,
    }
    await _ask("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": group_id, **rule})
    return group_id


@_completes("eks:DeleteCluster")
async def _delete_cluster(call: Call, forward: Handler) -> Answer:
    """Take the cluster's security group away with it, as EKS does. Removable with `_create_cluster`."""
    answer = await forward(call)
    network = _REMEMBERED.pop(answer.json["cluster"]["arn"])["resourcesVpcConfig"]
    await _ask("ec2", "DeleteSecurityGroup", {"GroupId": network["clusterSecurityGroupId"]})
    return answer


@_completes("eks:CreateNodegroup")
async def _create_node_group(call: Call, forward: Handler) -> Answer:
    """Describe a node group with the settings that it is made with.

    MiniStack forgets `launchTemplate`, without which Terraform replaces the group, `updateConfig` and
    `nodeRepairConfig`. Removable when DescribeNodegroup returns them.
    """
    answer = await forward(call)
    group = answer.json["nodegroup"]
    _remember(group["nodegroupArn"], updateConfig={"maxUnavailable": 1})
    _remember(group["nodegroupArn"], **_left_out(call.json, group))
    return answer


def _left_out(request: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    never_described = {"clientRequestToken", "bootstrapSelfManagedAddons"}
    return {name: value for name, value in request.items() if name not in resource.keys() | never_described}


@_completes("eks:UpdateClusterConfig", "eks:UpdateClusterVersion")
@_completes("eks:UpdateNodegroupConfig", "eks:UpdateNodegroupVersion")
async def _update(call: Call, forward: Handler) -> Answer:
    """Change the settings of a cluster or a node group, at once. MiniStack has no such calls; removable when it has."""
    described = await forward(replace(call, method="GET", path=call.path.rpartition("/")[0], body=b""))
    ((kind, resource),) = _in_json(described.json).items()
    request = {name: value for name, value in call.json.items() if name not in ("clientRequestToken", "force")}
    if kind == "cluster" and "version" in request:
        old, new = (int(version.split(".")[1]) for version in (resource["version"], request["version"]))
        if new != old + 1:
            raise _refusal(
                "InvalidParameterException",
                f"Unsupported Kubernetes minor version update: {old} to {new}",
            )
    changed = {name: _changed(name, resource.get(name), value) for name, value in request.items()}
    _remember(resource.get("nodegroupArn") or resource["arn"], **changed)
    return _updated(
        {
            "id": str(uuid.uuid4()),
            "status": "Successful",
            "type": "ConfigUpdate",
            "createdAt": time.time(),
        }
    )


def _changed(name: str, old: Any, change: Any) -> Any:
    if name == "labels":
        kept = {key: value for key, value in old.items() if key not in change.get("removeLabels", [])}
        return kept | change.get("addOrUpdateLabels", {})
    if name == "taints":
        changed = [(taint["key"], taint["effect"]) for taints in change.values() for taint in taints]
        unchanged = [taint for taint in old if (taint["key"], taint["effect"]) not in changed]
        return unchanged + change.get("addOrUpdateTaints", [])
    return old | change if name in ("accessConfig", "resourcesVpcConfig", "scalingConfig") else change


def _updated(update: dict[str, Any]) -> Answer:
    _remember(update["id"], **update)
    return _answer({"update": update})


@_completes("eks:DescribeUpdate")
async def _describe_update(call: Call, _: Handler) -> Answer:
    """Describe an update of `_update` or of an add-on. MiniStack has no such call; removable when it has."""
    id_ = call.path.rpartition("/")[2]
    if id_ not in _REMEMBERED:
        raise _refusal("ResourceNotFoundException", f"No update found for ID: {id_}")
    return _answer({"update": _REMEMBERED[id_]})


@_completes("eks:CreateAddon", "eks:UpdateAddon")
async def _associate_addon(call: Call, forward: Handler) -> Answer:
    """Make the Pod Identity associations of an add-on, and name them in it by ARN.

    MiniStack makes none and returns the request's objects, which SDKs cannot read. Removable when an add-on's
    `podIdentityAssociations` are ARNs that DescribePodIdentityAssociation knows.
    """
    request = call.json
    wanted = request.pop("podIdentityAssociations", None)
    answer = await forward(replace(call, body=json.dumps(request).encode()))
    if wanted is not None:
        cluster, _, name = call.path.removesuffix("/update").partition("/addons")
        path = f"{cluster}/addons{name or '/' + request['addonName']}"
        arn = (await forward(replace(call, method="GET", path=path, body=b""))).json["addon"]["addonArn"]
        await _dissociate(arn, call, forward)
        _remember(
            arn,
            podIdentityAssociations=[await _associate(cluster, role, call, forward) for role in wanted],
        )
    return _updated(answer.json["update"]) if "update" in answer.json else answer


async def _associate(cluster: str, role: dict[str, str], call: Call, forward: Handler) -> str:
    body = json.dumps({"namespace": "kube-system", **role}).encode()
    answer = await forward(replace(call, method="POST", path=f"{cluster}/pod-identity-associations", body=body))
    return str(answer.json["association"]["associationArn"])


async def _dissociate(addon_arn: str, call: Call, forward: Handler) -> None:
    for arn in _REMEMBERED.get(addon_arn, {}).pop("podIdentityAssociations", []):
        _, cluster, id_ = arn.split("/")
        path = f"/clusters/{cluster}/pod-identity-associations/{id_}"
        await forward(replace(call, method="DELETE", path=path, body=b""))


@_completes("eks:DeleteAddon")
async def _delete_addon(call: Call, forward: Handler) -> Answer:
    """Take an add-on's associations away with it, as EKS does. Removable with `_associate_addon`."""
    answer = await forward(call)
    await _dissociate(answer.json["addon"]["addonArn"], call, forward)
    return answer


@_completes("eks:TagResource", "eks:UntagResource")
async def _tag(call: Call, forward: Handler) -> Answer:
    """Describe a resource with its present tags.

    MiniStack describes it with the tags that it was made with, takes away the first of several keys only, and does not
    tag Pod Identity associations. Removable when DescribePodIdentityAssociation returns what TagResource set.
    """
    arn, gone = call.path.removeprefix("/tags/"), call.query.get("tagKeys", [])
    if ":podidentityassociation/" in arn:
        path = "/clusters/{}/pod-identity-associations/{}".format(*arn.split("/")[1:])
        described = await forward(replace(call, method="GET", path=path, body=b"", query={}))
        tags = _in_json(described.json)["association"]["tags"] | call.json.get("tags", {})
        _remember(arn, tags={key: value for key, value in tags.items() if key not in gone})
    else:
        for key in gone or [""]:
            await forward(replace(call, query={"tagKeys": [key]}))
        _remember(
            arn,
            tags=(await forward(replace(call, method="GET", body=b"", query={}))).json["tags"],
        )
    return _answer({})


# --- EC2 --------------------------------------------------------------------------------------------------------------


@_completes("ec2:CreateFlowLogs")
async def _create_flow_logs(call: Call, forward: Handler) -> Answer:
    """Describe flow logs with their role, interval, format and tags.

    MiniStack forgets the first three, for which Terraform replaces the flow log, and looks for tags of `flow-log`
    where AWS says `vpc-flow-log`. Removable when DescribeFlowLogs returns `deliverLogsPermissionArn` and tags.
    """
    answer = await forward(replace(call, body=call.body.replace(b"vpc-flow-log", b"flow-log")))
    for id_ in answer.texts("item"):
        _remember(id_, maxAggregationInterval="600")
        _remember_parameters(
            call,
            id_,
            maxAggregationInterval="MaxAggregationInterval",
            logFormat="LogFormat",
        )
        _remember_parameters(call, id_, deliverLogsPermissionArn="DeliverLogsPermissionArn")
    return answer


@_completes("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint")
async def _set_vpc_endpoint(call: Call, forward: Handler) -> Answer:
    """Describe a VPC endpoint with its private DNS, policy and security groups.

    MiniStack forgets them. Removable when DescribeVpcEndpoints returns `privateDnsEnabled`.
    """
    answer = await forward(call)
    (id_,) = answer.texts("vpcEndpointId") or [call.form["VpcEndpointId"]]
    groups = [group["groupId"] for group in _REMEMBERED.get(id_, {}).get("groupSet", [])]
    groups = _listed(
        call,
        groups,
        added=r"(Add)?SecurityGroupId\.\d+",
        removed=r"RemoveSecurityGroupId\.\d+",
    )
    _remember(id_, groupSet=[{"groupId": group} for group in groups])
    _remember_parameters(
        call,
        id_,
        privateDnsEnabled="PrivateDnsEnabled",
        policyDocument="PolicyDocument",
    )
    return answer


@_completes("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress")
@_completes("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress")
async def _ignore_ports_of_all_protocols(call: Call, forward: Handler) -> Answer:
    """Ignore the ports of a rule for all protocols.

    MiniStack compares them, so Terraform, which gives ports, does not get rid of a new group's default rule.
    Removable when RevokeSecurityGroupEgress of protocol -1 and ports 0 to 0 revokes the default rule.
    """
    rules = [name.removesuffix("IpProtocol") for name, protocol in call.form.items() if protocol == "-1"]
    ports = {f"{rule}{port}" for rule in rules for port in ("FromPort", "ToPort")}
    form = {name: value for name, value in call.form.items() if name not in ports}
    return await forward(replace(call, body=urlencode(form).encode()))


@_completes(
    "ec2:CreateLaunchTemplate",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:DescribeLaunchTemplateVersions",
)
async def _keep_disk_key(call: Call, forward: Handler) -> Answer:
    """Describe the disks of a launch template with their KMS key.

    MiniStack forgets it, so the key travels as the disk's snapshot, which MiniStack keeps. Removable when
    DescribeLaunchTemplateVersions returns `kmsKeyId`.
    """
    answer = await forward(replace(call, body=call.body.replace(b".Ebs.KmsKeyId=", b".Ebs.SnapshotId=")))
    body = re.sub(
        rb"<snapshotId>(?!snap-)(.*?)</snapshotId>",
        rb"<kmsKeyId>\1</kmsKeyId>",
        answer.body,
    )
    return replace(answer, body=body)


# --- RDS, EFS, ECR ----------------------------------------------------------------------------------------------------


@_completes("rds:CreateDBInstance", "rds:ModifyDBInstance")
async def _set_database(call: Call, forward: Handler) -> Answer:
    """Describe a database with its log exports, window and keys, and keep its password in Secrets Manager if asked.

    MiniStack forgets the settings and makes no secret. Removable when DescribeDBInstances returns
    `EnabledCloudwatchLogsExports` and `MasterUserSecret`.
    """
    form, password = call.form, secrets.token_urlsafe()
    managed = form.get("ManageMasterUserPassword") == "true"
    body = call.body + f"&MasterUserPassword={password}".encode() if managed else call.body
    answer = await forward(replace(call, body=body))
    (id_,) = answer.texts("DbiResourceId")
    known = _REMEMBERED.setdefault(id_, {"EnabledCloudwatchLogsExports": []})
    enabled = r"(EnableCloudwatchLogsExports|.*\.EnableLogTypes)\.member\.\d+"
    disabled = r".*\.DisableLogTypes\.member\.\d+"
    exports = _listed(call, known["EnabledCloudwatchLogsExports"], added=enabled, removed=disabled)
    same = (
        "PreferredBackupWindow",
        "PerformanceInsightsKMSKeyId",
        "PerformanceInsightsRetentionPeriod",
    )
    _remember(
        id_,
        EnabledCloudwatchLogsExports=exports,
        **{name: form[name] for name in same if name in form},
    )
    _remember_parameters(call, id_, PerformanceInsightsEnabled="EnablePerformanceInsights")
    if managed and "MasterUserSecret" not in known:
        key = form.get("MasterUserSecretKmsKeyId", "alias/aws/secretsmanager")
        known["MasterUserSecret"] = await _master_user_secret(key, answer.texts("MasterUsername")[0], password)
    return answer


async def _master_user_secret(key: str, username: str, password: str) -> dict[str, str]:
    key_arn = (await _ask("kms", "DescribeKey", {"KeyId": key})).json["KeyMetadata"]["Arn"]
    value = json.dumps({"username": username, "password": password})
    secret = {
        "Name": f"rds!db-{uuid.uuid4()}",
        "KmsKeyId": key_arn,
        "SecretString": value,
    }
    arn = (await _ask("secretsmanager", "CreateSecret", secret)).json["ARN"]
    return {"SecretArn": arn, "SecretStatus": "active", "KmsKeyId": key_arn}


@_completes("rds:DeleteDBInstance")
async def _delete_database(call: Call, forward: Handler) -> Answer:
    """Take the secret of a database's password away with it, as RDS does. Removable with `_set_database`."""
    answer = await forward(call)
    (id_,) = answer.texts("DbiResourceId")
    if secret := _REMEMBERED.get(id_, {}).get("MasterUserSecret"):
        request = {"SecretId": secret["SecretArn"], "ForceDeleteWithoutRecovery": True}
        await _ask("secretsmanager", "DeleteSecret", request)
    return answer


@_completes(
    "elasticfilesystem:PutFileSystemPolicy",
    "elasticfilesystem:DescribeFileSystemPolicy",
)
async def _keep_file_system_policy(call: Call, forward: Handler) -> Answer:
    """Return a file system's policy as it was put. MiniStack adds an `Id`; removable when it does not."""
    document = (await forward(call)).json
    policy = f"policy of {document['FileSystemId']}"
    _remember(policy, **{name: value for name, value in call.json.items() if name == "Policy"})
    return _answer(document | _REMEMBERED[policy])


@_completes("ecr:PutReplicationConfiguration", "ecr:DescribeRegistry")
async def _replicate(call: Call, forward: Handler) -> Answer:
    """Keep the replication configuration of a region's registry.

    MiniStack does not know PutReplicationConfiguration; removable when it does.
    """
    described = await forward(replace(call, headers=call.headers | {"x-amz-target": "ecr.DescribeRegistry"}))
    here = {
        "region": _module("core.responses").get_region(),
        "registryId": described.json["registryId"],
    }
    request = call.json
    for rule in request.get("replicationConfiguration", {}).get("rules", []):
        if here in rule["destinations"]:
            raise _refusal(
                "InvalidParameterException",
                "the replication destination cannot be the source registry",
            )
    registry = "registry {registryId} {region}".format_map(here)
    _remember(registry, **request)
    return _answer((request or described.json) | _REMEMBERED[registry])


# --- the server -------------------------------------------------------------------------------------------------------


@functools.cache
def _module(name: str) -> ModuleType:
    """A module of MiniStack, which reads its settings when it is imported, so not before they are set."""
    return importlib.import_module(f"ministack.{name}")


@functools.cache
def _handlers() -> dict[str, Callable[..., Awaitable[Any]]]:
    """MiniStack's own handlers, by service; MiniStack is given completed ones in their place."""
    handlers = _module("app").SERVICE_HANDLERS
    own = dict(handlers)
    handlers.update({service: functools.partial(_complete, service) for service in handlers})
    return own


async def _forward(call: Call) -> Answer:
    answer = Answer(*await _handlers()[call.service](call.method, call.path, call.headers, call.body, call.query))
    if answer.status >= 400:
        raise Refusal(answer)
    return answer


async def _complete(service: str, *request: Any) -> tuple[int, dict[str, str], bytes]:
    call = Call(service, *request)
    _record(call)
    try:
        completion = _COMPLETIONS.get(call.action)
        answer = await (completion(call, _forward) if completion else _forward(call))
    except Refusal as refusal:
        answer = refusal.answer
    body = answer.body
    if any(action.startswith(f"{service}:") for action in _COMPLETIONS) and answer.status == 200 and body:
        body = json.dumps(_in_json(answer.json)).encode() if body.startswith(b"{") else _in_xml(body)
    return answer.status, answer.headers, body


def _record(call: Call) -> None:
    if file := os.environ.get("EMULATOR_RECORD"):
        access_key = _module("core.router").extract_access_key_id(call.headers, call.query)
        line = {
            "service": call.service,
            "action": call.action,
            "access_key": access_key,
        }
        with Path(file).open("a") as lines:
            lines.write(json.dumps(line) + "\n")


def _in_json(document: dict[str, Any]) -> dict[str, Any]:
    """Put what was remembered into the resources of a JSON answer."""
    resources = {name: member for name, member in document.items() if isinstance(member, dict)}
    for name, resource in resources.items():
        for identifier in _IDENTIFIERS & resource.keys():
            document = document | {name: resource | _REMEMBERED.get(resource[identifier], {})}
    return document


def _in_xml(body: bytes) -> bytes:
    """Put what was remembered into the resources of an XML answer."""
    root = ElementTree.fromstring(re.sub(rb' xmlns="[^"]*"', b"", body))
    for resource in [*root.iter()]:
        for identifier in [element for element in resource if element.tag in _IDENTIFIERS]:
            for name, value in _REMEMBERED.get(identifier.text or "", {}).items():
                for wrong in resource.findall(name):
                    resource.remove(wrong)
                resource.append(ElementTree.fromstring(_xml(name, value)))
    return bytes(ElementTree.tostring(root))


def _xml(name: str, value: Any) -> str:
    item = "item" if name[0].islower() else "member"  # in EC2, whose names begin with a small letter
    if isinstance(value, dict):
        content = "".join(_xml(*member) for member in value.items())
    elif isinstance(value, list):
        content = "".join(_xml(item, member) for member in value)
    else:
        content = escape(value)
    return f"<{name}>{content}</{name}>"


async def completed_app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application. EMULATOR_RECORD names a file to which it appends a JSON line for each call."""
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
    config.bind = [f"{_HOST}:{port}"]
    config.keep_alive_timeout = 75
    await serve(completed_app, config, shutdown_trigger=stop.wait)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m operations.emulator", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True, help=f"port on {_HOST}")
    parser.add_argument("--record", metavar="FILE", help="append a JSON line for each AWS call")
    parser.add_argument(
        "--while-stdin-is-open",
        action="store_true",
        help="stop at the end of standard input, too",
    )
    arguments = parser.parse_args()
    os.environ |= {
        "GATEWAY_PORT": str(arguments.port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    if arguments.record:
        os.environ["EMULATOR_RECORD"] = arguments.record
    asyncio.run(_serve(arguments.port, while_stdin_is_open=arguments.while_stdin_is_open))


class Emulator:
    """The emulator in a process of its own, which ends with the block and with whoever started it.

    `environment` points Terraform, the AWS command line and the SDKs at it.
    """

    def __init__(
        self,
        log: Path,
        *,
        account_id: str = "123456789012",
        region: str = "ap-northeast-2",
        port: int | None = None,
        record: Path | None = None,
    ) -> None:
        self._log = log
        self._port = port or _free_port()
        self._record = record
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{_HOST}:{self._port}",
            "AWS_ACCESS_KEY_ID": account_id,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Self:
        command = [
            sys.executable,
            "-m",
            "operations.emulator",
            "--port",
            str(self._port),
            "--while-stdin-is-open",
        ]
        command += ["--record", str(self._record.absolute())] if self._record else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(self._port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"emulator on port {self._port} did not start; log {self._log} ends with:\n{tail}")
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


if __name__ == "__main__":
    main()
