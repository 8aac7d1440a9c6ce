"""An AWS on this machine, for `make local` and the end-to-end tests: MiniStack, completed where Terraform needs it.

It listens on 127.0.0.1 only and keeps everything in memory. What MiniStack 1.5.33 leaves out is completed in front of
its services, one function for each gap; each gap was found by applying a configuration and planning it again. A
completion answers what AWS answers, and none accepts what AWS refuses.
"""

import argparse
import asyncio
import functools
import http.client
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
from http import HTTPStatus
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, HTTPScope, Scope

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
    def action(self) -> str | None:
        """The IAM action, such as `eks:CreateCluster`, or None where MiniStack knows none."""
        request = (self.service, self.method, self.path, self.headers, self.body, self._parameters)
        action: str | None = _module("core.iam_actions").extract_iam_action(*request)
        return action

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
    def ok(self) -> bool:
        """Whether the service did what it was asked for."""
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def json(self) -> Any:
        """The body in a JSON protocol."""
        return json.loads(self.body)

    def texts(self, element: str) -> list[str]:
        """The texts of all XML elements of this name."""
        return re.findall(f"<{element}>([^<]+)</{element}>", self.body.decode())


Handler = Callable[[Call], Awaitable[Answer]]
Completion = Callable[[Call, Handler], Awaitable[Answer]]

_COMPLETIONS: dict[str, Completion] = {}
"""By IAM action: who answers in place of MiniStack's handler, and is given it to ask in turn."""

_REMEMBERED: dict[str, dict[str, Any]] = {}
"""By ARN or unique id: the members of a resource that MiniStack's answers leave out or get wrong."""

_IDENTIFIERS = {
    "DbiResourceId", "accessEntryArn", "addonArn", "arn", "flowLogId", "nodegroupArn", "vpcEndpointId",
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
    _remember(identifier, **{member: call.form[name] for member, name in parameters.items() if name in call.form})


def _listed(call: Call, present: list[str], *, added: str, removed: str) -> list[str]:
    """What a list is after a request; `added` and `removed` match the parameters that change it."""
    more = {value for name, value in call.form.items() if re.fullmatch(added, name)}
    less = {value for name, value in call.form.items() if re.fullmatch(removed, name)}
    return sorted({*present} | more - less)


def _answer(document: Mapping[str, Any]) -> Answer:
    return Answer(HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _refusal(code: str, message: str) -> Answer:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return Answer(HTTPStatus.BAD_REQUEST, headers, json.dumps({"__type": code, "message": message}).encode())


async def _ask(service: str, action: str, parameters: Mapping[str, Any]) -> Answer:
    """Ask a service in the name of AWS, in the account and region of the request that is being answered."""
    headers, body = {"x-amz-target": f"{service}.{action}"}, json.dumps(parameters)
    if service == "ec2":
        headers, body = {"content-type": _FORM}, urlencode({"Action": action, **parameters})
    return Answer(*await _ministack().SERVICE_HANDLERS[service]("POST", "/", headers, body.encode(), {}))


# --- EKS --------------------------------------------------------------------------------------------------------------


@_completes("eks:CreateCluster")
async def _create_cluster(call: Call, forward: Handler) -> Answer:
    """Give a cluster the VPC of its subnets, a security group, an issuer, and all settings that it is made with.

    MiniStack invents VPC and group and forgets `upgradePolicy` and others; its issuer is an http URL, which IAM refuses.
    Removable when a cluster's issuer is an https URL and DescribeSecurityGroups knows the cluster's group.
    """
    request = call.json
    subnets = request["resourcesVpcConfig"]["subnetIds"]
    described = await _ask("ec2", "DescribeSubnets", {f"SubnetId.{n}": id_ for n, id_ in enumerate(subnets, 1)})
    if not described.ok:
        return _refusal("InvalidParameterException", f"a subnet does not exist, one of {', '.join(subnets)}")
    answer = await forward(call)
    if answer.ok:
        cluster, vpc_id = answer.json["cluster"], described.texts("vpcId")[0]
        network = {"vpcId": vpc_id, "clusterSecurityGroupId": await _cluster_security_group(cluster["name"], vpc_id)}
        issuer = f"https://oidc.eks.{cluster['arn'].split(':')[3]}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
        _remember(cluster["arn"], upgradePolicy={"supportType": "EXTENDED"})
        _remember(cluster["arn"], **_left_out(request, cluster), identity={"oidc": {"issuer": issuer}})
        _remember(cluster["arn"], resourcesVpcConfig=cluster["resourcesVpcConfig"] | network)
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
    rule = {"IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.Groups.1.GroupId": group_id}
    await _ask("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": group_id, **rule})
    return group_id


@_completes("eks:DeleteCluster")
async def _delete_cluster(call: Call, forward: Handler) -> Answer:
    """Take the cluster's security group away with it, as EKS does. Removable with `_create_cluster`."""
    answer = await forward(call)
    if answer.ok:
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
    if answer.ok:
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
    if not described.ok:
        return described
    ((kind, resource),) = _in_json(described.json).items()
    request = {name: value for name, value in call.json.items() if name not in ("clientRequestToken", "force")}
    old, new = resource["version"], request.get("version", resource["version"])
    if kind == "cluster" and "version" in request and int(new.split(".")[1]) - int(old.split(".")[1]) != 1:
        return _refusal("InvalidParameterException", f"Unsupported Kubernetes minor version update from {old} to {new}")
    changed = {name: _changed(name, resource.get(name), value) for name, value in request.items()}
    _remember(resource.get("nodegroupArn") or resource["arn"], **changed)
    return _updated({"id": str(uuid.uuid4()), "status": "Successful", "type": "ConfigUpdate", "createdAt": time.time()})


def _changed(name: str, old: Any, change: Any) -> Any:
    if name == "labels":
        kept = {key: value for key, value in (old or {}).items() if key not in change.get("removeLabels", [])}
        return kept | change.get("addOrUpdateLabels", {})
    if name == "taints":
        gone = [(taint["key"], taint["effect"]) for taints in change.values() for taint in taints]
        kept_taints = [taint for taint in old or [] if (taint["key"], taint["effect"]) not in gone]
        return kept_taints + change.get("addOrUpdateTaints", [])
    return (old or {}) | change if name in ("accessConfig", "resourcesVpcConfig", "scalingConfig") else change


def _updated(update: dict[str, Any]) -> Answer:
    _remember(update["id"], **update)
    return _answer({"update": update})


@_completes("eks:DescribeUpdate")
async def _describe_update(call: Call, _: Handler) -> Answer:
    """Describe an update of `_update` or of an add-on. MiniStack has no such call; removable when it has."""
    id_ = call.path.rpartition("/")[2]
    missing = _refusal("ResourceNotFoundException", f"No update found for ID: {id_}")
    return _answer({"update": _REMEMBERED[id_]}) if id_ in _REMEMBERED else missing


@_completes("eks:CreateAddon", "eks:UpdateAddon")
async def _associate_addon(call: Call, forward: Handler) -> Answer:
    """Make the Pod Identity associations of an add-on, and name them in it by ARN.

    MiniStack makes none and returns the request's objects, which SDKs cannot read. Removable when an add-on's
    `podIdentityAssociations` are ARNs that DescribePodIdentityAssociation knows.
    """
    request = call.json
    wanted = request.pop("podIdentityAssociations", None)
    answer = await forward(replace(call, body=json.dumps(request).encode()))
    if answer.ok and wanted is not None:
        cluster, _, name = call.path.removesuffix("/update").partition("/addons")
        path = f"{cluster}/addons{name or '/' + request['addonName']}"
        addon = (await forward(replace(call, method="GET", path=path, body=b""))).json["addon"]
        await _dissociate(addon["addonArn"], call, forward)
        path, arns = f"{cluster}/pod-identity-associations", []
        for association in wanted:
            body = json.dumps({"namespace": "kube-system", **association}).encode()
            made = await forward(replace(call, method="POST", path=path, body=body))
            arns.append(made.json["association"]["associationArn"])
        _remember(addon["addonArn"], podIdentityAssociations=arns)
    return _updated(answer.json["update"]) if answer.ok and "update" in answer.json else answer


@_completes("eks:DeleteAddon")
async def _delete_addon(call: Call, forward: Handler) -> Answer:
    """Take an add-on's associations away with it, as EKS does. Removable with `_associate_addon`."""
    answer = await forward(call)
    if answer.ok:
        await _dissociate(answer.json["addon"]["addonArn"], call, forward)
    return answer


async def _dissociate(addon_arn: str, call: Call, forward: Handler) -> None:
    for arn in _REMEMBERED.get(addon_arn, {}).pop("podIdentityAssociations", []):
        _, cluster, id_ = arn.split("/")
        path = f"/clusters/{cluster}/pod-identity-associations/{id_}"
        await forward(replace(call, method="DELETE", path=path, body=b""))


@_completes("eks:TagResource", "eks:UntagResource")
async def _tag(call: Call, forward: Handler) -> Answer:
    """Describe a resource with its present tags.

    MiniStack describes it with the tags that it was made with, and takes away the first of several keys only.
    Removable when DescribeCluster returns what TagResource set.
    """
    for key in call.query.get("tagKeys", [""]):
        answer = await forward(replace(call, query={"tagKeys": [key]}))
    if answer.ok:
        tags = (await forward(replace(call, method="GET", body=b"", query={}))).json["tags"]
        _remember(call.path.removeprefix("/tags/"), tags=tags)
    return answer


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
            deliverLogsPermissionArn="DeliverLogsPermissionArn",
            logFormat="LogFormat",
            maxAggregationInterval="MaxAggregationInterval",
        )
    return answer


@_completes("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint")
async def _set_vpc_endpoint(call: Call, forward: Handler) -> Answer:
    """Describe a VPC endpoint with its private DNS, policy and security groups.

    MiniStack forgets them. Removable when DescribeVpcEndpoints returns `privateDnsEnabled`.
    """
    answer = await forward(call)
    for id_ in answer.texts("vpcEndpointId") or [call.form["VpcEndpointId"]] if answer.ok else []:
        groups = [group["groupId"] for group in _REMEMBERED.get(id_, {}).get("groupSet", [])]
        groups = _listed(call, groups, added=r"(Add)?SecurityGroupId\.\d+", removed=r"RemoveSecurityGroupId\.\d+")
        _remember(id_, groupSet=[{"groupId": group} for group in groups])
        _remember_parameters(call, id_, privateDnsEnabled="PrivateDnsEnabled", policyDocument="PolicyDocument")
    return answer


@_completes("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress")
@_completes("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress")
async def _ignore_ports_of_all_protocols(call: Call, forward: Handler) -> Answer:
    """Ignore the ports of a rule for all protocols.

    MiniStack compares them, so Terraform, which gives ports, does not get rid of a new group's default rule.
    Removable when RevokeSecurityGroupEgress of protocol -1 and ports 0 to 0 revokes the default rule.
    """
    ports = {
        name.replace("IpProtocol", port)
        for name, value in call.form.items()
        if value == "-1"
        for port in ("FromPort", "ToPort")
    }
    form = {name: value for name, value in call.form.items() if name not in ports}
    return await forward(replace(call, body=urlencode(form).encode()))


# --- RDS, EFS, ECR ----------------------------------------------------------------------------------------------------


@_completes("rds:CreateDBInstance", "rds:ModifyDBInstance")
async def _set_database(call: Call, forward: Handler) -> Answer:
    """Describe a database with its log exports, window and keys, and keep its password in Secrets Manager if asked.

    MiniStack forgets the settings and makes no secret. Removable when DescribeDBInstances returns
    `EnabledCloudwatchLogsExports` and `MasterUserSecret`.
    """
    password = secrets.token_urlsafe()
    managed = call.form.get("ManageMasterUserPassword") == "true"
    answer = await forward(
        replace(call, body=call.body + f"&MasterUserPassword={password}".encode()) if managed else call
    )
    for id_ in answer.texts("DbiResourceId"):
        known = _REMEMBERED.setdefault(id_, {})
        exports = r"EnableCloudwatchLogsExports\.member\.\d+|.*\.EnableLogTypes\.member\.\d+"
        exported = known.get("EnabledCloudwatchLogsExports", [])
        exported = _listed(call, exported, added=exports, removed=r".*\.DisableLogTypes\.member\.\d+")
        _remember(id_, EnabledCloudwatchLogsExports=exported)
        same = ("PreferredBackupWindow", "PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod")
        _remember_parameters(call, id_, PerformanceInsightsEnabled="EnablePerformanceInsights", **dict(zip(same, same)))
        if managed and "MasterUserSecret" not in known:
            known["MasterUserSecret"] = await _master_user_secret(call.form, *answer.texts("MasterUsername"), password)
    return answer


async def _master_user_secret(form: Mapping[str, str], username: str, password: str) -> dict[str, str]:
    key = form.get("MasterUserSecretKmsKeyId", "alias/aws/secretsmanager")
    described = await _ask("kms", "DescribeKey", {"KeyId": key})
    key = described.json["KeyMetadata"]["Arn"] if described.ok else key
    value = json.dumps({"username": username, "password": password})
    secret = {"Name": f"rds!db-{uuid.uuid4()}", "KmsKeyId": key, "SecretString": value}
    arn = (await _ask("secretsmanager", "CreateSecret", secret)).json["ARN"]
    return {"SecretArn": arn, "SecretStatus": "active", "KmsKeyId": key}


@_completes("rds:DeleteDBInstance")
async def _delete_database(call: Call, forward: Handler) -> Answer:
    """Take the secret of a database's password away with it, as RDS does. Removable with `_set_database`."""
    answer = await forward(call)
    for id_ in answer.texts("DbiResourceId"):
        if secret := _REMEMBERED.get(id_, {}).get("MasterUserSecret"):
            request = {"SecretId": secret["SecretArn"], "ForceDeleteWithoutRecovery": True}
            await _ask("secretsmanager", "DeleteSecret", request)
    return answer


@_completes("elasticfilesystem:PutFileSystemPolicy", "elasticfilesystem:DescribeFileSystemPolicy")
async def _keep_file_system_policy(call: Call, forward: Handler) -> Answer:
    """Return a file system's policy as it was put. MiniStack adds an `Id`; removable when it does not."""
    answer = await forward(call)
    if not answer.ok:
        return answer
    policy = f"policy of {answer.json['FileSystemId']}"
    _remember(policy, **{name: value for name, value in call.json.items() if name == "Policy"})
    return _answer(answer.json | _REMEMBERED[policy])


@_completes("ecr:PutReplicationConfiguration", "ecr:DescribeRegistry")
async def _replicate(call: Call, forward: Handler) -> Answer:
    """Keep the replication configuration of a region's registry.

    MiniStack does not know PutReplicationConfiguration; removable when it does.
    """
    described = await forward(replace(call, headers=call.headers | {"x-amz-target": "ecr.DescribeRegistry"}))
    here = {"region": _module("core.responses").get_region(), "registryId": described.json["registryId"]}
    request = call.json
    for rule in request.get("replicationConfiguration", {}).get("rules", []):
        if here in rule["destinations"]:
            return _refusal("InvalidParameterException", "the replication destination cannot be the source registry")
    registry = "registry {registryId} {region}".format_map(here)
    _remember(registry, **request)
    return _answer((request or described.json) | _REMEMBERED[registry])


# --- the server -------------------------------------------------------------------------------------------------------


@functools.cache
def _module(name: str) -> ModuleType:
    """A module of MiniStack, which reads its settings when it is imported, and so is imported late."""
    return importlib.import_module(f"ministack.{name}")


@functools.cache
def _ministack() -> ModuleType:
    ministack = _module("app")
    for service in {action.partition(":")[0] for action in _COMPLETIONS}:
        handler = ministack.SERVICE_HANDLERS[service]
        ministack.SERVICE_HANDLERS[service] = functools.partial(_complete, service, handler)
    return ministack


async def _complete(
    service: str, handler: Callable[..., Awaitable[Any]], *request: Any
) -> tuple[int, dict[str, str], bytes]:
    async def forward(call: Call) -> Answer:
        return Answer(*await handler(call.method, call.path, call.headers, call.body, call.query))

    call = Call(service, *request)
    completion = _COMPLETIONS.get(call.action or "")
    answer = await (completion(call, forward) if completion else forward(call))
    body = answer.body
    if answer.ok and body:
        body = json.dumps(_in_json(answer.json)).encode() if body.startswith(b"{") else _in_xml(body)
    return answer.status, answer.headers, body


def _in_json(value: Any) -> Any:
    """Put what was remembered into the resources of a JSON answer."""
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: _in_json(member) for name, member in value.items()}
    for name in _IDENTIFIERS & members.keys():
        members |= _REMEMBERED.get(str(members[name]), {})
    return members


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
    """The ASGI application: MiniStack, completed. EMULATOR_RECORD names a file to append a line a request to."""
    file = os.environ.get("EMULATOR_RECORD")
    if file and scope["type"] == "http":
        receive = await _record(Path(file), scope, receive)
    await _ministack().app(scope, receive, send)


async def _record(file: Path, scope: HTTPScope, receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """Write down what a request asks for, and return what receives the same request again."""
    events: list[ASGIReceiveEvent] = [await receive()]
    while events[-1]["type"] == "http.request" and events[-1]["more_body"]:
        events.append(await receive())
    body = b"".join(event["body"] for event in events if event["type"] == "http.request")
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    call = Call("", scope["method"], scope["path"], headers, body, query)
    if access_key := _ministack().extract_access_key_id(headers, query):
        service = _ministack().detect_service(call.method, call.path, headers, call._parameters)
        line = {"service": service, "action": replace(call, service=service).action, "access_key": access_key}
        with file.open("a") as lines:
            lines.write(json.dumps(line) + "\n")

    async def replay() -> ASGIReceiveEvent:
        return events.pop(0) if events else await receive()

    return replay


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
    parser.add_argument("--record", metavar="FILE", help="append a JSON line for each AWS request")
    parser.add_argument("--while-stdin-is-open", action="store_true", help="stop at the end of standard input too")
    arguments = parser.parse_args()
    os.environ |= {"GATEWAY_PORT": str(arguments.port), "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}
    if arguments.record:
        os.environ["EMULATOR_RECORD"] = arguments.record
    asyncio.run(_serve(arguments.port, while_stdin_is_open=arguments.while_stdin_is_open))


class Emulator:
    """The emulator as a process of its own, which stops with the block and with whoever started it.

    `environment` holds what points Terraform, the AWS command line and the SDKs at it.
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
        command = [sys.executable, "-m", "operations.emulator", "--port", str(self._port), "--while-stdin-is-open"]
        command += ["--record", str(self._record.absolute())] if self._record else []
        root = Path(__file__).parents[1]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(
                    f"emulator on port {self._port} did not start; its log {self._log} ends with:\n{tail}"
                )
            time.sleep(0.1)

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return connection.getresponse().status == HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
