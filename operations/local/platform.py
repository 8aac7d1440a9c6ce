"""The local platform: an emulated AWS on this machine to which all AWS stacks are deployed, without an AWS account.

If KUBECONFIG is set, the in-cluster stack of dev is also deployed, to the cluster of its current context.

All files are in `.local/`, separate from the stacks that are synthesized for real accounts. Only environment variables
point Terraform at the emulated AWS; the stacks do not refer to it.
"""

import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from operations.clients import process
from operations.clients.kubectl import server
from operations.deploy import deploy
from operations.destroy import destroy
from operations.errors import OperationError
from operations.local import aws_provider, emulator_process, ports
from operations.output import report
from operations.output.progress import Progress
from operations.output.report import Status, counted
from operations.state import bootstrap, states
from operations.terraform import synthesis
from operations.terraform.runner import Terraform, new_log
from operations.terraform.stacks import Stack, all_producers, backend_stacks, read_stacks

HOME = Path(".local")
OUTPUT = HOME / "cdktf.out"
ENVIRONMENT_FILE = HOME / "environment"
_RUNNING = HOME / "emulator.json"
_CLUSTER = HOME / "cluster.json"
"""The kubeconfig and the API server of the cluster that may have something of the in-cluster stack."""
_LOGS = HOME / "logs"
_STOP_SECONDS = 10
_PARALLELISM = 4
_CLEARING_SECONDS = 900

# Unset, so that a real account that is configured in the same shell is neither changed nor its credentials sent.
_REAL_ACCOUNT_VARIABLES = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def up(say: Callable[[str], None]) -> dict[str, dict[str, object]]:
    """Start the emulator, create the state bucket and deploy every stack.

    After an error the emulator is stopped, unless it holds the state of what is in a cluster. Without KUBECONFIG, the
    cluster of an earlier run is used.

    Returns:
        The outputs of each stack.

    Raises:
        OperationError: if a stack cannot be deployed.
    """
    kubeconfig = _choose_cluster(say)
    os.environ.pop("LOCAL_KUBECONFIG", None)  # of the user's shell: that cluster was neither checked nor recorded
    command = "make local"
    if kubeconfig is not None:
        os.environ["LOCAL_KUBECONFIG"] = str(kubeconfig)
        command = f"KUBECONFIG={shlex.quote(str(kubeconfig))} make local"
    HOME.mkdir(exist_ok=True)
    say("synthesizing")
    stacks = _synthesize()
    for stack in stacks:
        if stack.existing_vpc is not None:
            message = f"{stack.settings_file}: vpc: the emulated AWS does not have {stack.existing_vpc.id}"
            raise OperationError(f"{message}; to try the platform on this machine, use VpcConfig")
    with _stopped_on_failure(stacks, command, say):
        _start(stacks[0])
        if kubeconfig is not None:
            _CLUSTER.write_text(json.dumps({"path": str(kubeconfig), "server": server(kubeconfig)}), encoding="utf-8")
        say(f"the emulated AWS listens at {os.environ['AWS_ENDPOINT_URL']}; Terraform logs: {_LOGS}")
        for stack in backend_stacks(stacks):
            _use_account(stack)
            bootstrap.bootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))
        deployed = _local(stacks)
        say(f"deploying {counted(len(deployed), 'stack')} with the AWS provider {aws_provider.version()}")
        options = deploy.Options(is_guarded=False, applies_unreviewed=True, logs=_LOGS)
        outputs: dict[str, dict[str, object]] = {}
        for of_account in _by_account(deployed):
            _use_account(of_account[0])
            done = deploy.deploy(of_account, all_producers(stacks), options, Progress(), lambda _: command)
            if done.status is not Status.FINE:
                report.show(done, as_json=False)
                raise OperationError("not all stacks were deployed")
            outputs |= {stack.name: _outputs(stack) for stack in of_account}
        return outputs


def _by_account(stacks: Sequence[Stack]) -> list[list[Stack]]:
    """The stacks of each account, those first whose domain and images the others use."""
    accounts: dict[str, list[Stack]] = {}
    for stack in sorted(stacks, key=lambda one: one.account):
        accounts.setdefault(stack.account_id, []).append(stack)
    return list(accounts.values())


def _use_account(stack: Stack) -> None:
    """Use the account of a stack: the emulator takes it from the access key."""
    os.environ["AWS_ACCESS_KEY_ID"] = stack.account_id


def _synthesize() -> list[Stack]:
    """Synthesize every stack, without the protection from deletion, because the local platform holds no real data."""
    synthesis.synthesize(OUTPUT, force=True)
    aws_provider.use(OUTPUT)
    for stack in read_stacks(OUTPUT):
        configuration = bootstrap.without_protection(stack.configuration)
        (stack.directory / "cdk.tf.json").write_text(json.dumps(configuration, indent=2), encoding="utf-8")
        # The cached location of the state. `terraform init` fails if a change of settings has moved it.
        (stack.directory / ".terraform/terraform.tfstate").unlink(missing_ok=True)
    return read_stacks(OUTPUT)


def _outputs(stack: Stack) -> dict[str, object]:
    outputs = json.loads(Terraform(stack.directory).output("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


def _choose_cluster(say: Callable[[str], None]) -> Path | None:
    """The kubeconfig: that of KUBECONFIG, else that of an earlier run; None without both.

    Raises:
        OperationError: if another cluster still has the in-cluster stack, or its state is lost.
    """
    recorded = _recorded()
    if recorded and _running() is None:
        message = f"the emulated AWS stopped, and with it the state of what is in {recorded['server']} was lost"
        raise OperationError(f"{message}; run make local-down: it says how to remove that, and forgets it")
    value = os.environ.get("KUBECONFIG", recorded.get("path"))
    if value is None:
        return None
    path = _kubeconfig(value, say)
    url = server(path)
    if recorded and url != recorded["server"]:
        message = f"KUBECONFIG: {value!r}: refers to {url}, but the in-cluster stack is in {recorded['server']}"
        raise OperationError(f"{message}; remove it there first, with: make local-down")
    return path


def _recorded() -> dict[str, str]:
    """The cluster of an earlier run; empty if there is none."""
    recorded: dict[str, str] = json.loads(_CLUSTER.read_text(encoding="utf-8")) if _CLUSTER.is_file() else {}
    return recorded


def _kubeconfig(value: str, say: Callable[[str], None]) -> Path:
    """The absolute path of the file in KUBECONFIG.

    Raises:
        OperationError: if the file does not exist, kubectl cannot read it, or its cluster is an EKS cluster.
    """
    path = Path(value).absolute()
    if not path.is_file():
        message = f"KUBECONFIG: {value!r}: no such file; use one file, or unset it to deploy only the AWS stacks"
        raise OperationError(message)
    url = server(path)
    host = urlsplit(url).hostname or ""
    if host.endswith((".eks.amazonaws.com", ".eks.amazonaws.com.cn")):
        message = f"KUBECONFIG: {value!r}: refers to {host}, an EKS cluster; use a cluster for testing"
        raise OperationError(message)
    say(f"the in-cluster stack will be deployed to {url}")
    return path


def _local(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks that can be deployed locally: the AWS stacks, and in-cluster stacks with a kubeconfig."""
    return [stack for stack in stacks if not stack.is_in_cluster or stack.kubeconfig is not None]


def down(say: Callable[[str], None]) -> None:
    """Destroy every stack in reverse order, the state bucket last, and stop the emulator.

    If the emulator is gone, and with it the state of what is in a cluster, it says what may be left there.

    Raises:
        OperationError: if a stack cannot be destroyed; the emulator then keeps running.
    """
    if _running() is None:
        say("the local platform is not running")
        if cluster := _recorded():
            say(_left_in(cluster))
    else:
        if (OUTPUT / "manifest.json").is_file():
            stacks = [stack for stack in _local(read_stacks(OUTPUT)) if not stack.is_in_cluster or _recorded()]
            _start(stacks[0])
            _destroy(stacks, say)
        _stop()
        say("stopped")
    shutil.rmtree(HOME, ignore_errors=True)


def _left_in(cluster: Mapping[str, str]) -> str:
    """What the in-cluster stack may have left in a cluster whose state is lost, and how to remove it."""
    found: dict[str, list[str]] = {}
    if (OUTPUT / "manifest.json").is_file():
        for kind, _, arguments in (one for stack in _local(read_stacks(OUTPUT)) for one in stack.resources()):
            if kind == "helm_release":
                release = f"{arguments['name']} --namespace {arguments['namespace']}"
                found.setdefault("helm uninstall", []).append(release)
            elif kind.startswith("kubernetes_namespace"):
                found.setdefault("kubectl delete namespace", []).append(arguments["metadata"]["name"])
    commands = [f"  {command} {one}" for command, some in sorted(found.items()) for one in some]
    first = f"the state of what is in {cluster['server']} was lost with the emulated AWS; remove what is left there:"
    last = "  make remove-crds"
    return "\n".join([first, f"  export KUBECONFIG={shlex.quote(cluster['path'])}", *commands, last])


def _destroy(stacks: Sequence[Stack], say: Callable[[str], None]) -> None:
    others = [stack for stack in stacks if stack.kind != "backend"]
    say(f"destroying {counted(len(others), 'stack')}; Terraform logs: {_LOGS}")
    for stack in others:
        Terraform(stack.directory).wait_for_earlier()
    for of_account in reversed(_by_account(others)):
        _use_account(of_account[0])
        _destroy_in_account(of_account)
    for stack in backend_stacks(stacks):
        _use_account(stack)
        bootstrap.unbootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))


def _destroy_in_account(others: Sequence[Stack]) -> None:
    resources = {stack.name: states.read_resources(stack.aws_session(), stack) for stack in others}
    for stack in others:
        if stack.is_in_cluster and resources[stack.name]:
            try:
                # The cluster is the user's own, and may have more than the platform.
                destroy.clear(stack, Progress(), _CLEARING_SECONDS, only_applications=True)
            except OperationError as error:
                remedy = f"retry with: make local-down; if the cluster no longer exists, first: rm {_CLUSTER}"
                raise OperationError(f"{stack.name}: {error}\nthe emulated AWS still runs; {remedy}") from error
    failed, skipped = destroy.in_reverse(others, resources, Progress(), parallelism=_PARALLELISM, logs=_LOGS)
    if failed or skipped:
        raise OperationError("\n".join([*failed.values(), "the emulated AWS still runs; retry with: make local-down"]))


def _start(stack: Stack) -> None:
    """Start the emulator in a separate session if it is not running, and point this process at it."""
    if _running() is None:
        port = ports.free_port()
        started = emulator_process.start(port, HOME / "emulator.log", detached=True)
        _RUNNING.write_text(json.dumps({"pid": started.pid, "port": port}), encoding="utf-8")
    for variable in _REAL_ACCOUNT_VARIABLES:
        os.environ.pop(variable, None)
    environment = emulator_process.environment(_port(), account_id=stack.account_id, region=stack.region)
    os.environ.update(environment)
    lines = [
        f"unset {' '.join(_REAL_ACCOUNT_VARIABLES)}",
        *[f"export {name}={value}" for name, value in environment.items()],
    ]
    ENVIRONMENT_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _port() -> int:
    return int(json.loads(_RUNNING.read_text(encoding="utf-8"))["port"])


def _running() -> int | None:
    """The process id of the emulator; None if it is not running."""
    if not _RUNNING.is_file() or not ports.answers(_port()):
        return None
    return int(json.loads(_RUNNING.read_text(encoding="utf-8"))["pid"])


def _stop() -> None:
    pid = _running()
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    if _is_alive(pid):
        os.kill(pid, signal.SIGKILL)
    _RUNNING.unlink()


def _is_alive(pid: int) -> bool:
    with suppress(ChildProcessError):  # not a child of this process if an earlier `make local` started it
        os.waitpid(pid, os.WNOHANG)
    return process.is_alive(pid)


@contextmanager
def _stopped_on_failure(stacks: Sequence[Stack], command: str, say: Callable[[str], None]) -> Iterator[None]:
    """Stop the emulator after an error, unless it holds the state of what is in a cluster."""
    try:
        yield
    except BaseException:
        if _running() is None:
            pass  # the states are lost; the next run says so if a cluster is recorded
        elif any(_may_hold_objects(stack) for stack in _local(stacks) if stack.is_in_cluster):
            say(
                "the emulated AWS still runs, because it has the state of what is in the cluster; "
                f"go on with: {command}, or remove everything with: make local-down"
            )
        else:
            _stop()
            _CLUSTER.unlink(missing_ok=True)
            say("the emulated AWS was stopped")
        raise


def _may_hold_objects(stack: Stack) -> bool:
    """Whether the stack may have objects in its cluster: also if its state cannot be read."""
    try:
        terraform = Terraform(stack.directory)
        terraform.wait_for_earlier()
        return bool(terraform.unsaved_state or states.read_resources(stack.aws_session(), stack))
    except (BotoCoreError, ClientError, OperationError):
        return True
