"""The tunnel to a private API, with programs in place of the AWS CLI and its plugin."""

import base64
import json
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from operations import tunnel
from operations.clients import aws
from operations.errors import OperationError
from operations.local.ports import HOST, answers
from operations.terraform.stacks import Stack
from operations.tunnel import Target
from tests.stacks import REGION, make_stack
from tests.stubbed_aws import client
from tests.tunnels import API, SESSION, Api, Running, free_port_pair
from tests.unit.operations.clients.conftest import Program, program  # noqa: F401 (a fixture)

NAME = "ap-northeast-2-shared-access-host"
DEPLOYED = {"cluster": {"endpoint": f"https://{API}", "certificateAuthority": {"data": "Q0E="}}}
START = "aws ec2 start-instances --instance-ids i-1 --region ap-northeast-2"
HOST_RESOURCE = {"aws_vpc": {"vpc": {}}, "aws_instance": {"host": {"tags": {"Name": NAME}}}}

# --- what is connected ------------------------------------------------------------------------------------------------


def _stacks(folder: Path, resources: dict[str, Any], *regions: str) -> list[Stack]:
    configuration = {"terraform": {"backend": {"s3": {}}}, "resource": resources}
    (folder / "cdk.tf.json").write_text(json.dumps(configuration))
    return [
        stack
        for region in regions or (REGION,)
        for stack in (
            make_stack("shared", folder, kind="shared", region=region),
            make_stack("dev", folder, region=region),
        )
    ]


@pytest.fixture
def stacks(tmp_path: Path) -> list[Stack]:
    """The stacks of a region with a host."""
    return _stacks(tmp_path, HOST_RESOURCE)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """AWS with instances in these states, by ID, and an answer about the cluster, or an error code."""
    monkeypatch.setattr(aws, "session", lambda *_, **__: SimpleNamespace(client=client))
    with Stubber(client("ec2")) as ec2, Stubber(client("eks")) as eks:

        def answer(states: dict[str, str], cluster: dict[str, Any] | str | None = None) -> None:
            instances = [{"InstanceId": id_, "State": {"Name": state}} for id_, state in states.items()]
            expected = [
                {"Name": "tag:Name", "Values": [NAME]},
                {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
            ]
            ec2.add_response("describe_instances", {"Reservations": [{"Instances": instances}]}, {"Filters": expected})
            if isinstance(cluster, str):
                eks.add_client_error("describe_cluster", cluster)
            elif cluster is not None:
                eks.add_response("describe_cluster", cluster, {"name": "gitops-cluster-dev"})

        yield answer
        ec2.assert_no_pending_responses()
        eks.assert_no_pending_responses()


@pytest.mark.parametrize("environment", ["dev", "ap-northeast-2-dev"])
def test_host_and_cluster_are_found_by_their_names(
    stacks: list[Stack], answering: Callable[..., None], environment: str
) -> None:
    answering({"i-1": "stopped", "i-2": "running"}, DEPLOYED)
    assert tunnel.find_target(stacks, environment) == Target("i-2", "gitops-cluster-dev", REGION, API, "Q0E=")


def test_without_a_host_in_the_settings_the_message_says_how_to_add_one(tmp_path: Path) -> None:
    with pytest.raises(OperationError) as raised:
        tunnel.find_target(_stacks(tmp_path, {}), "dev")
    assert str(raised.value) == (
        "stacks/ap_northeast_2/shared.py: access_host: None: there is no host to reach private clusters through; write "
        "access_host=AccessHostConfig(zone=...), and as an administrator: make deploy STACK=ap-northeast-2-shared"
    )


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({}, f"{NAME}: the host does not exist yet; deploy it: make deploy STACK=ap-northeast-2-shared"),
        (
            {"i-1": "stopped"},
            f"{NAME}: the host i-1 is stopped, not running; start it, and wait a minute: {START}",
        ),
    ],
)
def test_a_host_that_does_not_run_is_refused(
    stacks: list[Stack], answering: Callable[..., None], states: dict[str, str], message: str
) -> None:
    answering(states)
    with pytest.raises(OperationError) as raised:
        tunnel.find_target(stacks, "dev")
    assert str(raised.value) == message


@pytest.mark.parametrize("cluster", ["ResourceNotFoundException", {"cluster": {"status": "CREATING"}}])
def test_a_cluster_that_does_not_exist_yet_is_refused(
    stacks: list[Stack], answering: Callable[..., None], cluster: dict[str, Any] | str
) -> None:
    answering({"i-1": "running"}, cluster)
    with pytest.raises(
        OperationError, match=r"^gitops-cluster-dev: the cluster does not exist yet; deploy it: make de"
    ):
        tunnel.find_target(stacks, "dev")


def test_other_errors_of_aws_are_passed_on(stacks: list[Stack], answering: Callable[..., None]) -> None:
    answering({"i-1": "running"}, "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        tunnel.find_target(stacks, "dev")


def test_an_environment_of_several_regions_must_be_named_with_its_region(tmp_path: Path) -> None:
    with pytest.raises(
        OperationError, match=r"^dev: exists in several regions; choose one of ap-.*-dev, us-west-2-dev$"
    ):
        tunnel.find_target(_stacks(tmp_path, {}, REGION, "us-west-2"), "dev")


# --- the tunnel -------------------------------------------------------------------------------------------------------


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API, which the host of the session reaches."""
    running = Api(tmp_path)
    monkeypatch.setenv("FORWARD_TO", str(running.port))
    yield running
    running.close()


@pytest.fixture
def port() -> int:
    return free_port_pair()


@pytest.fixture
def session(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """Installs the programs; returns the folder with what the session records."""
    record = tmp_path / "record"
    record.mkdir()
    monkeypatch.setenv("RECORD", str(record))
    program("aws", f'exec "{sys.executable}" "{SESSION}" "$@"')
    program("session-manager-plugin", "")
    return record


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_api_is_reached_with_its_own_name_until_the_end(
    api: Api, session: Path, tmp_path: Path, port: int, number: signal.Signals
) -> None:
    running = Running(tmp_path, port, api.authority)
    file = tmp_path / ".tunnel" / "gitops-cluster-dev.yaml"
    assert running.lines == [
        "the API of gitops-cluster-dev answers here until Ctrl-C; in another terminal:",
        f"export KUBECONFIG={file}        # kubectl, Helm, k9s",
        f"export HTTPS_PROXY=http://127.0.0.1:{port + 1}        # make deploy, plan, drift and destroy",
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    cluster = yaml.safe_load(file.read_text())["clusters"][0]["cluster"]
    assert cluster["server"] == f"https://127.0.0.1:{port}"
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection((HOST, port)) as connection,
        context.wrap_socket(connection, server_hostname=cluster["tls-server-name"]) as secured,
    ):
        secured.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        assert b"200 OK" in secured.recv(1000)
    with socket.create_connection((HOST, port)) as connection, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(connection, server_hostname=HOST)
    assert running.end(number) == (0, "the tunnel is closed\n", "")
    assert (session / "ended").read_text() == "by SIGINT"
    assert not file.exists()
    assert not answers(port)


def test_kubectl_logs_in_with_the_role(api: Api, session: Path, tmp_path: Path, port: int) -> None:
    role = "arn:aws:iam::123456789012:role/ap-northeast-2/delivery/ap-northeast-2-shared-cluster-admin"
    running = Running(tmp_path, port, api.authority, role)
    document = yaml.safe_load((tmp_path / ".tunnel" / "gitops-cluster-dev.yaml").read_text())
    running.end(signal.SIGINT)
    assert document["users"][0]["user"]["exec"]["args"] == [
        "eks", "get-token", "--cluster-name", "gitops-cluster-dev", "--region", REGION, "--output", "json",
        "--role-arn", role,
    ]  # fmt: skip
    assert json.loads((session / "arguments").read_text()) == [
        "ssm", "start-session", "--region", REGION, "--target", "i-1",
        "--document-name", "AWS-StartPortForwardingSessionToRemoteHost",
        "--parameters", json.dumps({"host": [API], "portNumber": ["443"], "localPortNumber": [str(port)]}),
    ]  # fmt: skip


@pytest.mark.usefixtures("session")
def test_a_session_that_ends_by_itself_is_an_error(program: Program, tmp_path: Path, port: int) -> None:  # noqa: F811
    listen = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); s.accept()"
    program("aws", f'"{sys.executable}" -c "{listen}" {port}; echo "Session timed out"; echo; exit 3')
    running = Running(tmp_path, port, b"")
    _, errors = running.process.communicate(timeout=30)
    assert running.process.returncode == 1
    assert "OperationError: aws ssm start-session: ended with status 3: Session timed out; run it again" in errors
    assert not (tmp_path / ".tunnel" / "gitops-cluster-dev.yaml").exists()


TARGET = Target("i-1", "gitops-cluster-dev", REGION, API, "Q0E=")


@pytest.fixture
def signals() -> Iterator[None]:
    """Restores the handlers of signals."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'An error occurred (TargetNotConnected)' >&2; exit 254",
            "aws ssm start-session: ended with status 254: An error occurred (TargetNotConnected); see docs/runbook/",
        ),
        ("exit 1", "aws ssm start-session: ended with status 1: no message; see docs/runbook/network.md"),
    ],
)
def test_a_session_that_is_refused_has_the_message_of_aws(
    program: Program,  # noqa: F811
    port: int,
    script: str,
    message: str,
) -> None:
    program("aws", script)
    program("session-manager-plugin", "")
    with pytest.raises(OperationError) as raised:
        tunnel.run(TARGET, port, None, print)
    assert str(raised.value).startswith(message)


@pytest.mark.usefixtures("signals")
def test_a_port_that_never_opens_is_an_error(program: Program, port: int, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(tunnel, "_OPEN_SECONDS", 0.2)
    monkeypatch.setattr(tunnel, "_END_SECONDS", 0.2)
    program("aws", "trap '' INT; sleep 60 & wait; wait")  # ends only by SIGKILL
    program("session-manager-plugin", "")
    with pytest.raises(
        OperationError, match=rf"^aws ssm start-session: port {port} is not open after 0.2 seconds; run"
    ):
        tunnel.run(TARGET, port, None, print)


@pytest.mark.usefixtures("signals", "session")
@pytest.mark.parametrize("which", [0, 1])
def test_a_port_in_use_is_refused_before_a_session_starts(session: Path, port: int, which: int) -> None:
    with socket.create_server((HOST, port + which)), pytest.raises(OperationError) as raised:
        tunnel.run(TARGET, port, None, print)
    assert str(raised.value) == (
        f"port {port + which}: Address already in use; choose another one, such as PORT=9443 (the next one is used too)"
    )
    assert not (session / "arguments").exists()


@pytest.mark.usefixtures("signals")
def test_a_missing_plugin_is_refused_before_a_session_starts(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aws").write_text("#!/bin/sh\n")
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError) as raised:
        tunnel.run(TARGET, port, None, print)
    assert str(raised.value) == (
        "session-manager-plugin: not installed; install the Session Manager plugin of the AWS CLI"
    )
