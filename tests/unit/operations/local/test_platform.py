"""The local platform: which stacks it deploys and where, with a fake emulator; `tests/e2e` uses the real one."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from operations.deploy import deploy
from operations.destroy import destroy
from operations.errors import OperationError
from operations.local import emulator_process, platform, ports
from operations.output.report import Report, Status
from operations.state import bootstrap, states
from operations.terraform import synthesis
from operations.terraform.stacks import ExistingVpc, Kind, Stack, read_stacks
from tests.stacks import ACCOUNT, REGION, make_stack, write_output

_EMULATOR = """
import signal, socket, sys, time
if "--ignore-sigterm" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.socket() as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen()
    time.sleep(60)
"""
_STACKS: tuple[tuple[str, Kind, str], ...] = (
    ("backend", "backend", "shared"),
    ("shared", "shared", "shared"),
    ("dev", "environment", "dev"),
    ("dev-gitops", "in-cluster", "dev"),
)


class Emulators:
    """Starts fake emulators in place of the real one."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.options: list[str] = []

    def start(self, port: int, log: Path, *, detached: bool) -> "subprocess.Popen[bytes]":
        assert log.parent.is_dir()
        command = [sys.executable, "-S", "-c", _EMULATOR, str(port), *self.options]
        self.processes.append(subprocess.Popen(command, start_new_session=detached))
        while not ports.answers(port):
            time.sleep(0.02)
        return self.processes[-1]

    def running(self) -> list[int]:
        return [process.pid for process in self.processes if platform._is_alive(process.pid)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder of a `make local`, which changes the environment of this process."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def emulators(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulators]:
    assert folder.is_dir()
    emulators = Emulators()
    monkeypatch.setattr(emulator_process, "start", emulators.start)
    yield emulators
    for process in emulators.processes:
        process.kill()
        process.wait()


def _synthesize(output: Path) -> list[Stack]:
    """Write stacks; the in-cluster one uses the kubeconfig in LOCAL_KUBECONFIG, as the settings of dev do."""
    stacks = []
    for name, kind, environment in _STACKS:
        directory = output / "stacks" / name
        directory.mkdir(parents=True, exist_ok=True)
        bucket = {"bucket": name, "lifecycle": {"prevent_destroy": True}}
        provider = {"kubernetes": [{"config_path": os.environ.get("LOCAL_KUBECONFIG")}]}
        backend: dict[str, dict[str, dict[str, str]]] = {"backend": {"s3": {}}}
        resource = {"aws_s3_bucket": {"bucket": bucket}}
        configuration = {"terraform": backend, "provider": provider, "resource": resource}
        (directory / "cdk.tf.json").write_text(json.dumps(configuration))
        stacks.append(make_stack(environment, directory, kind=kind, name=f"{REGION}-{name}"))
    write_output(output, stacks)
    return read_stacks(output)


@pytest.fixture
def deployed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """`deploy.deploy`, with synthesis, bootstrap and Terraform faked."""
    _program(folder / "terraform", 'echo \'{"vpc": {"value": "vpc-1"}}\'')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(synthesis, "synthesize", lambda output, **_: _synthesize(output))
    for name in ("bootstrap", "unbootstrap"):
        monkeypatch.setattr(bootstrap, name, Mock())
    deployed = Mock(return_value=Report("deployed", Status.FINE, {}))
    monkeypatch.setattr(deploy, "deploy", deployed)
    return deployed


def _program(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def _names(stacks: Sequence[Stack]) -> set[str]:
    return {stack.name.removeprefix(f"{REGION}-") for stack in stacks}


def _bootstrapped(name: str) -> set[str]:
    calls: Any = getattr(bootstrap, name)
    return _names([call.args[0] for call in calls.call_args_list])


def test_up_deploys_every_aws_stack_without_guard_and_returns_the_outputs(emulators: Emulators, deployed: Mock) -> None:
    outputs = platform.up(lambda _: None)
    stacks, _, options, *_ = deployed.call_args.args
    assert _names(stacks) == {"backend", "shared", "dev"}
    assert (options.is_guarded, options.applies_unreviewed) == (False, True)
    assert outputs[f"{REGION}-dev"] == {"vpc": "vpc-1"}
    assert _bootstrapped("bootstrap") == {"backend"}
    assert len(emulators.running()) == 1


def test_up_refuses_an_existing_vpc(emulators: Emulators, deployed: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    vpc = ExistingVpc("vpc-0123456789abcdef0", "10.0.0.0/16", (), {}, {})
    monkeypatch.setattr(platform, "_synthesize", lambda: [make_stack("shared", kind="shared", existing_vpc=vpc)])
    with pytest.raises(OperationError) as raised:
        platform.up(lambda _: None)
    assert str(raised.value) == (
        "stacks/ap_northeast_2/shared.py: vpc: the emulated AWS does not have vpc-0123456789abcdef0; "
        "to try the platform on this machine, use VpcConfig"
    )
    assert (emulators.running(), deployed.called) == ([], False)


@pytest.mark.usefixtures("emulators", "deployed")
def test_up_points_terraform_and_the_shell_at_the_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-real-account")
    platform.up(lambda _: None)
    assert "AWS_PROFILE" not in os.environ
    assert os.environ["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{platform._port()}"
    shell = ["sh", "-c", f". {platform.ENVIRONMENT_FILE}; echo $AWS_PROFILE $AWS_ACCESS_KEY_ID $AWS_REGION"]
    environment = {**os.environ, "AWS_PROFILE": "a-real-account", "AWS_ACCESS_KEY_ID": ""}
    printed = subprocess.run(shell, env=environment, check=True, capture_output=True, text=True).stdout
    assert printed == f"{ACCOUNT} {REGION}\n"


@pytest.mark.usefixtures("emulators")
def test_up_removes_the_protection_and_the_cached_location_of_the_state(deployed: Mock) -> None:
    cached = platform.OUTPUT / "stacks/dev/.terraform/terraform.tfstate"
    cached.parent.mkdir(parents=True)
    cached.touch()
    platform.up(lambda _: None)
    assert not cached.exists()
    for stack in deployed.call_args.args[0]:
        bucket = stack.configuration["resource"]["aws_s3_bucket"]["bucket"]
        assert (bucket["lifecycle"], bucket["force_destroy"]) == ({}, True)
        # Terraform quotes whole lines in its errors.
        assert len((stack.directory / "cdk.tf.json").read_text().splitlines()) > 10


@pytest.mark.usefixtures("emulators")
def test_up_with_a_kubeconfig_also_deploys_the_in_cluster_stack(
    folder: Path, deployed: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(folder / "kubectl", "echo https://127.0.0.1:6443")
    (folder / "kubeconfig").touch()
    monkeypatch.setenv("KUBECONFIG", "kubeconfig")
    platform.up(lambda _: None)
    assert "dev-gitops" in _names(deployed.call_args.args[0])
    assert os.environ["LOCAL_KUBECONFIG"] == str(folder / "kubeconfig")


def test_an_error_after_the_emulator_ended_is_reported(emulators: Emulators, deployed: Mock) -> None:
    def end(*_: object) -> Report:
        emulators.processes[0].kill()
        emulators.processes[0].wait()
        return Report("1 failed", Status.ERROR, {})

    deployed.side_effect = end
    with pytest.raises(OperationError, match=r"^not all stacks were deployed$"):
        platform.up(lambda _: None)


@pytest.mark.usefixtures("emulators", "folder")
def test_a_cluster_in_the_users_shell_is_ignored(deployed: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not checked, and no later run would know of it."""
    monkeypatch.setenv("LOCAL_KUBECONFIG", "kubeconfig")
    platform.up(lambda _: None)
    assert "dev-gitops" not in _names(deployed.call_args.args[0])
    assert "LOCAL_KUBECONFIG" not in os.environ


def test_up_stops_the_emulator_if_a_stack_is_not_deployed(emulators: Emulators, deployed: Mock) -> None:
    deployed.return_value = Report("1 failed", Status.ERROR, {})
    messages: list[str] = []
    with pytest.raises(OperationError, match=r"^not all stacks were deployed$"):
        platform.up(messages.append)
    assert messages[-1] == "the emulated AWS was stopped"
    assert emulators.running() == []


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig in KUBECONFIG, and a state with a resource in its cluster."""
    _program(folder / "kubectl", "echo https://127.0.0.1:6443")
    path = folder / "kubeconfig"
    path.touch()
    monkeypatch.setenv("KUBECONFIG", "kubeconfig")
    monkeypatch.setattr(Stack, "aws_session", Mock())
    resource = states.Resource("dev-gitops", "kubernetes_namespace_v1.argocd", "kubernetes_namespace_v1", {})
    monkeypatch.setattr(states, "read_resources", lambda _, stack: [resource] if stack.is_in_cluster else [])
    return path


def _fail(deployed: Mock) -> list[str]:
    deployed.return_value = Report("1 failed", Status.ERROR, {})
    messages: list[str] = []
    with pytest.raises(OperationError, match=r"^not all stacks were deployed$"):
        platform.up(messages.append)
    return messages


def test_up_keeps_the_emulator_with_the_state_of_what_is_in_the_cluster(
    emulators: Emulators, deployed: Mock, cluster: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"KUBECONFIG={cluster} make local"
    assert f"go on with: {command}, or remove" in _fail(deployed)[-1]
    assert deployed.call_args.args[-1]([]) == command
    assert len(emulators.running()) == 1
    monkeypatch.delenv("KUBECONFIG")
    deployed.return_value = Report("deployed", Status.FINE, {})
    platform.up(lambda _: None)
    assert "dev-gitops" in _names(deployed.call_args.args[0])
    assert len(emulators.processes) == 1


@pytest.mark.parametrize("error", [OperationError("cannot be read"), None])
def test_up_stops_the_emulator_if_nothing_is_in_the_cluster(
    emulators: Emulators, deployed: Mock, cluster: Path, monkeypatch: pytest.MonkeyPatch, error: OperationError | None
) -> None:
    assert cluster.exists()
    monkeypatch.setattr(states, "read_resources", Mock(side_effect=error, return_value=[]))
    _fail(deployed)
    assert len(emulators.running()) == (1 if error else 0)
    assert bool(platform._recorded()) == bool(error)


@pytest.mark.usefixtures("cluster")
def test_up_refuses_another_cluster(emulators: Emulators, deployed: Mock, folder: Path) -> None:
    platform.up(lambda _: None)
    _program(folder / "kubectl", "echo https://127.0.0.1:7443")
    with pytest.raises(OperationError, match=r"but the in-cluster stack is in https://127.0.0.1:6443; remove it there"):
        platform.up(lambda _: None)
    assert deployed.call_count == 1
    assert len(emulators.running()) == 1


@pytest.mark.usefixtures("deployed")
def test_a_lost_state_of_a_cluster_is_said_and_forgotten_by_down(emulators: Emulators, cluster: Path) -> None:
    platform.up(lambda _: None)
    emulators.processes[0].kill()
    emulators.processes[0].wait()
    directory = next(stack.directory for stack in read_stacks(platform.OUTPUT) if stack.is_in_cluster)
    configuration = json.loads((directory / "cdk.tf.json").read_text())
    configuration["resource"] = {
        "helm_release": {"argocd": {"name": "argo-cd", "namespace": "argocd"}},
        "kubernetes_namespace_v1": {"argocd": {"metadata": {"name": "argocd"}}},
    }
    (directory / "cdk.tf.json").write_text(json.dumps(configuration))
    with pytest.raises(
        OperationError, match=r"the state of what is in https://127.0.0.1:6443 was lost; run make local-"
    ):
        platform.up(lambda _: None)
    messages: list[str] = []
    platform.down(messages.append)
    assert messages[1].splitlines()[1:] == [
        f"  export KUBECONFIG={cluster}",
        "  helm uninstall argo-cd --namespace argocd",
        "  kubectl delete namespace argocd",
        "  make remove-crds",
    ]
    assert not platform.HOME.exists()


@pytest.mark.usefixtures("deployed", "cluster")
def test_down_clears_the_cluster_first_and_explains_what_blocks(
    emulators: Emulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.up(lambda _: None)
    clear, in_reverse = Mock(side_effect=OperationError("volumes: still not deleted")), Mock(return_value=({}, []))
    monkeypatch.setattr(destroy, "clear", clear)
    monkeypatch.setattr(destroy, "in_reverse", in_reverse)
    with pytest.raises(
        OperationError, match=r"volumes: still not deleted\nthe emulated AWS still runs; retry with: make"
    ):
        platform.down(lambda _: None)
    in_reverse.assert_not_called()
    assert len(emulators.running()) == 1
    assert clear.call_args.kwargs == {"only_applications": True}
    clear.side_effect = None
    platform.down(lambda _: None)
    assert "dev-gitops" in _names(in_reverse.call_args.args[0])
    assert emulators.running() == []


def test_up_again_uses_the_running_emulator(emulators: Emulators, deployed: Mock) -> None:
    platform.up(lambda _: None)
    platform.up(lambda _: None)
    assert deployed.call_count == 2
    assert len(emulators.processes) == 1


@pytest.fixture
def in_reverse(deployed: Mock, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """`destroy.in_reverse`, for stacks without resources."""
    assert deployed.call_count == 0
    monkeypatch.setattr(states, "read_resources", lambda *_: [])
    monkeypatch.setattr(Stack, "aws_session", Mock())
    in_reverse = Mock(return_value=({}, []))
    monkeypatch.setattr(destroy, "in_reverse", in_reverse)
    return in_reverse


def test_down_destroys_the_state_bucket_last_and_stops_the_emulator(emulators: Emulators, in_reverse: Mock) -> None:
    platform.up(lambda _: None)
    messages: list[str] = []
    platform.down(messages.append)
    assert _names(in_reverse.call_args.args[0]) == {"shared", "dev"}
    assert _bootstrapped("unbootstrap") == {"backend"}
    assert messages == ["destroying 2 stacks; Terraform logs: .local/logs", "stopped"]
    assert emulators.running() == []
    assert not platform.HOME.exists()


def test_down_keeps_the_emulator_if_a_stack_is_not_destroyed(emulators: Emulators, in_reverse: Mock) -> None:
    platform.up(lambda _: None)
    in_reverse.return_value = ({"dev": "dev: in use"}, [])
    with pytest.raises(
        OperationError, match=r"^dev: in use\nthe emulated AWS still runs; retry with: make local-down$"
    ):
        platform.down(lambda _: None)
    assert _bootstrapped("unbootstrap") == set()
    assert len(emulators.running()) == 1
    assert platform.OUTPUT.exists()


def test_down_stops_an_emulator_without_stacks(emulators: Emulators, in_reverse: Mock) -> None:
    platform.up(lambda _: None)
    (platform.OUTPUT / "manifest.json").unlink()
    platform.down(lambda _: None)
    in_reverse.assert_not_called()
    assert emulators.running() == []


def test_down_kills_an_emulator_that_ignores_sigterm(
    emulators: Emulators, in_reverse: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "_STOP_SECONDS", 0.3)
    emulators.options.append("--ignore-sigterm")
    platform.up(lambda _: None)
    platform.down(lambda _: None)
    in_reverse.assert_called_once()
    emulators.processes[0].wait(timeout=10)
    assert not platform.HOME.exists()


def test_down_without_a_running_platform_removes_its_files(folder: Path) -> None:
    (folder / ".local").mkdir()
    messages: list[str] = []
    platform.down(messages.append)
    assert messages == ["the local platform is not running"]
    assert not (folder / ".local").exists()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text("")
    return path


def _kubectl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "kubectl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_the_cluster_is_printed_before_it_is_changed(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _kubectl(tmp_path, monkeypatch, "echo https://127.0.0.1:6443")
    monkeypatch.chdir(tmp_path)
    messages: list[str] = []
    assert platform._kubeconfig("kubeconfig", messages.append) == kubeconfig
    assert messages == ["the in-cluster stack will be deployed to https://127.0.0.1:6443"]


def test_rejects_an_eks_cluster(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = "0A1B2C.gr7.ap-northeast-2.eks.amazonaws.com"
    _kubectl(tmp_path, monkeypatch, f"echo https://{host}")
    with pytest.raises(OperationError, match=f"refers to {host.lower()}, an EKS cluster; use a cluster for testing"):
        platform._kubeconfig(str(kubeconfig), print)


def test_rejects_a_missing_kubeconfig() -> None:
    with pytest.raises(OperationError, match=r"^KUBECONFIG: 'a:b': no such file; use one file, or unset it"):
        platform._kubeconfig("a:b", print)


def test_errors_of_kubectl_are_reported(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _kubectl(tmp_path, monkeypatch, "echo 'error: current-context must exist' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^current-context must exist; choose a cluster: "):
        platform._kubeconfig(str(kubeconfig), print)


def test_rejects_a_machine_without_kubectl(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OperationError, match=r"^kubectl: not installed"):
        platform._kubeconfig(str(kubeconfig), print)


def test_each_account_is_deployed_and_destroyed_with_its_own_credentials(
    emulators: Emulators, in_reverse: Mock, deployed: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_two_accounts(output: Path, **_: object) -> None:
        stacks = [
            replace(stack, account_id="210987654321", account="production") if stack.environment == "dev" else stack
            for stack in _synthesize(output)
        ]
        write_output(output, stacks)

    used: list[tuple[str, str]] = []

    def record(name: str, mock: Mock) -> None:
        def act(*_: object, **__: object) -> Any:
            used.append((name, os.environ["AWS_ACCESS_KEY_ID"]))
            return mock.return_value

        mock.side_effect = act

    monkeypatch.setattr(synthesis, "synthesize", with_two_accounts)
    record("deploy", deployed)
    record("destroy", in_reverse)
    platform.up(lambda _: None)
    assert used == [("deploy", ACCOUNT), ("deploy", "210987654321")]
    used.clear()
    platform.down(lambda _: None)
    assert used == [("destroy", "210987654321"), ("destroy", ACCOUNT)]
    assert emulators.running() == []
