"""Opens a tunnel to the private API of a cluster: through Session Manager and the access host of the region.

The host has no open port: its agent connects to AWS, and IAM decides who may start a session. TLS is between kubectl
and the API, so the host does not see the caller's token.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml
from botocore.exceptions import ClientError

from operations import proxy
from operations.clients import process
from operations.clients.aws import paginate
from operations.errors import OperationError
from operations.local.ports import HOST, answers
from operations.terraform.stacks import Stack, environment_stacks

Say = Callable[[str], None]

FOLDER = Path(".tunnel")
"""Where the kubeconfig is, relative to the root of the repository. It contains no token, key or password."""

# Source: https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
_DOCUMENT = "AWS-StartPortForwardingSessionToRemoteHost"
_HTTPS = 443
_OPEN_SECONDS = 60
_END_SECONDS = 10
_POLL_SECONDS = 0.1
_STATES = ["pending", "running", "stopping", "stopped"]
_API_VERSION = "client.authentication.k8s.io/v1"


@dataclass(frozen=True)
class Target:
    """What a tunnel connects: the ID of the host, and the cluster's name, region, API host and CA (base64)."""

    instance: str
    cluster: str
    region: str
    host: str
    certificate_authority: str


def find_target(stacks: Sequence[Stack], environment: str) -> Target:
    """The host and the cluster of `environment` (such as `dev`, or the name of its stack), by their names.

    Raises:
        OperationError: if there is no such environment, no host in the settings, or if AWS does not have the host or
            the cluster, or not in a state to be used.
    """
    (stack,) = environment_stacks(stacks, environment)
    (shared,) = [one for one in stacks if one.kind == "shared" and one.place == stack.place]
    assert stack.cluster is not None
    name = _host_name(shared)
    session = stack.aws_session()
    instance = _running(session.client("ec2"), name, shared)
    try:
        found = session.client("eks").describe_cluster(name=stack.cluster.name)["cluster"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        found = {}
    if not found.get("endpoint"):
        message = f"{stack.cluster.name}: the cluster does not exist yet; deploy it: make deploy STACK={stack.name}"
        raise OperationError(message)
    return Target(
        instance=instance,
        cluster=stack.cluster.name,
        region=stack.region,
        host=found["endpoint"].removeprefix("https://"),
        certificate_authority=found["certificateAuthority"]["data"],
    )


def _host_name(shared: Stack) -> str:
    """The value of the tag `Name` of the host."""
    for kind, _, arguments in shared.resources():
        if kind == "aws_instance":
            return str(arguments["tags"]["Name"])
    message = (
        f"{shared.settings_file}: access_host: None: there is no host to reach private clusters through; write "
        f"access_host=AccessHostConfig(zone=...), and as an administrator: make deploy STACK={shared.name}"
    )
    raise OperationError(message)


def _running(ec2: object, name: str, shared: Stack) -> str:
    filters = [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": _STATES}]
    reservations = paginate(ec2, "describe_instances", "Reservations", Filters=filters)
    found = {
        instance["InstanceId"]: instance["State"]["Name"]
        for reservation in reservations
        for instance in reservation["Instances"]
    }
    if not found:
        raise OperationError(f"{name}: the host does not exist yet; deploy it: make deploy STACK={shared.name}")
    for instance, state in found.items():
        if state == "running":
            return str(instance)
    ((instance, state), *_) = found.items()
    remedy = f"aws ec2 start-instances --instance-ids {instance} --region {shared.region}"
    raise OperationError(f"{name}: the host {instance} is {state}, not running; start it, and wait a minute: {remedy}")


def run(target: Target, port: int, role: str | None, say: Say) -> None:
    """Keep the tunnel open on `port` of this machine, and the proxy on the next one, until Ctrl-C or `SIGTERM`.

    Raises:
        OperationError: if a program is missing, a port is in use, or the session is refused or ends by itself.
    """
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # handled like Ctrl-C
    for program in ("aws", "session-manager-plugin"):
        process.find(program)
    for needed in (port, port + 1):
        _check_free(needed)
    try:
        with (
            _session(target, port) as (session, printed),
            _kubeconfig(target, port, role) as kubeconfig,
            proxy.serving(port + 1, (target.host, _HTTPS), (HOST, port)),
        ):
            say(f"the API of {target.cluster} answers here until Ctrl-C; in another terminal:")
            say(f"  export KUBECONFIG={kubeconfig}        # kubectl, Helm, k9s")
            say(f"  export HTTPS_PROXY=http://{HOST}:{port + 1}        # make deploy, plan, drift and destroy")
            session.wait()
            raise OperationError(f"{_ended(session, printed)}; run it again")
    except KeyboardInterrupt:
        say("the tunnel is closed")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, after an earlier tunnel
        try:
            probe.bind((HOST, port))
        except OSError as error:
            message = f"port {port}: {error.strerror}; choose another one, such as PORT=9443 (the next one is used too)"
            raise OperationError(message) from error


@contextmanager
def _session(target: Target, port: int) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """A session that forwards `port`, and what it prints. It is ended with the block."""
    parameters = {"host": [target.host], "portNumber": [str(_HTTPS)], "localPortNumber": [str(port)]}
    command = ["aws", "ssm", "start-session", "--region", target.region, "--target", target.instance]
    command += ["--document-name", _DOCUMENT, "--parameters", json.dumps(parameters)]
    with tempfile.TemporaryFile() as printed:
        with process.starting("aws"):
            session = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that it is ended from here, and once
            )
        try:
            _wait_for(session, printed, port)
            yield session, printed
        finally:
            _end(session)


def _wait_for(session: "subprocess.Popen[bytes]", printed: IO[bytes], port: int) -> None:
    deadline = time.monotonic() + _OPEN_SECONDS
    while not answers(port):
        if session.poll() is not None:
            raise OperationError(f"{_ended(session, printed)}; see docs/runbook/network.md")
        if time.monotonic() > deadline:
            message = f"aws ssm start-session: port {port} is not open after {_OPEN_SECONDS} seconds; run it again"
            raise OperationError(message)
        time.sleep(_POLL_SECONDS)


def _ended(session: "subprocess.Popen[bytes]", printed: IO[bytes]) -> str:
    printed.seek(0)
    lines = [line for line in printed.read().decode(errors="replace").splitlines() if line.strip()]
    return f"aws ssm start-session: ended with status {session.returncode}: {' '.join(lines[-1:]) or 'no message'}"


def _end(session: "subprocess.Popen[bytes]") -> None:
    """End the AWS CLI and the plugin, which it waits for. On an interrupt the plugin ends the session in AWS."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):  # both have ended
            os.killpg(session.pid, number)
        with suppress(subprocess.TimeoutExpired):
            session.wait(_END_SECONDS)


@contextmanager
def _kubeconfig(target: Target, port: int, role: str | None) -> Iterator[Path]:
    """A kubeconfig that only its owner can read, which is removed with the block."""
    arguments = ["eks", "get-token", "--cluster-name", target.cluster, "--region", target.region, "--output", "json"]
    arguments += ["--role-arn", role] if role else []
    login = {"apiVersion": _API_VERSION, "command": "aws", "args": arguments, "interactiveMode": "IfAvailable"}
    cluster = {
        "server": f"https://{HOST}:{port}",
        "tls-server-name": target.host,  # the certificate is that of the API, not of this machine
        "certificate-authority-data": target.certificate_authority,
    }
    name = target.cluster
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"exec": login}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    file = (FOLDER / f"{name}.yaml").absolute()
    file.touch(mode=0o600)
    try:
        file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        yield file
    finally:
        file.unlink(missing_ok=True)
