"""The local platform: an emulated AWS on this machine to which all AWS stacks are deployed, without an AWS account.

If KUBECONFIG is set, the in-cluster stack of dev is also deployed, to the cluster of its current context.

All files are in `.local/`, separate from the stacks that are synthesized for real accounts. Only environment variables
point Terraform at the emulated AWS; the stacks do not refer to it.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

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
_LOGS = HOME / "logs"
_STOP_SECONDS = 10
_PARALLELISM = 4

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
    """Start the emulator, create the state bucket and deploy every stack. The emulator is stopped after an error.

    Returns:
        The outputs of each stack.

    Raises:
        OperationError: if a stack cannot be deployed.
    """
    if "KUBECONFIG" in os.environ:
        os.environ["LOCAL_KUBECONFIG"] = str(_kubeconfig(os.environ["KUBECONFIG"], say))
    HOME.mkdir(exist_ok=True)
    say("synthesizing")
    stacks = _synthesize()
    with _stopped_on_failure():
        _start(stacks[0])
        say(f"the emulated AWS listens at {os.environ['AWS_ENDPOINT_URL']}; Terraform logs: {_LOGS}")
        for stack in backend_stacks(stacks):
            bootstrap.bootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))
        deployed = _local(stacks)
        say(f"deploying {counted(len(deployed), 'stack')} with the AWS provider {aws_provider.version()}")
        options = deploy.Options(is_guarded=False, applies_unreviewed=True, logs=_LOGS)
        done = deploy.deploy(deployed, all_producers(stacks), options, Progress(), lambda _: "make local")
        if done.status is not Status.FINE:
            report.show(done, as_json=False)
            raise OperationError("not all stacks were deployed; the emulated AWS was stopped")
        return {stack.name: _outputs(stack) for stack in deployed}


def _synthesize() -> list[Stack]:
    """Synthesize every stack, without the protection from deletion, because the local platform holds no real data."""
    synthesis.synthesize(OUTPUT, force=True)
    aws_provider.use(OUTPUT)
    for stack in read_stacks(OUTPUT):
        configuration = bootstrap.without_protection(stack.configuration)
        (stack.directory / "cdk.tf.json").write_text(json.dumps(configuration), encoding="utf-8")
        # The cached location of the state. `terraform init` fails if a change of settings has moved it.
        (stack.directory / ".terraform/terraform.tfstate").unlink(missing_ok=True)
    return read_stacks(OUTPUT)


def _outputs(stack: Stack) -> dict[str, object]:
    outputs = json.loads(Terraform(stack.directory).output("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


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

    Raises:
        OperationError: if a stack cannot be destroyed; the emulator then keeps running.
    """
    if _running() is None:
        say("the local platform is not running")
    else:
        if (OUTPUT / "manifest.json").is_file():
            stacks = _local(read_stacks(OUTPUT))
            _start(stacks[0])
            _destroy(stacks, say)
        _stop()
        say("stopped")
    shutil.rmtree(HOME, ignore_errors=True)


def _destroy(stacks: Sequence[Stack], say: Callable[[str], None]) -> None:
    others = [stack for stack in stacks if stack.kind != "backend"]
    say(f"destroying {counted(len(others), 'stack')}; Terraform logs: {_LOGS}")
    resources = {stack.name: states.read_resources(stack.aws_session(), stack) for stack in others}
    failed, skipped = destroy.in_reverse(others, resources, Progress(), parallelism=_PARALLELISM, logs=_LOGS)
    if failed or skipped:
        raise OperationError("\n".join([*failed.values(), "the emulated AWS still runs; retry with: make local-down"]))
    for stack in backend_stacks(stacks):
        bootstrap.unbootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))


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
def _stopped_on_failure() -> Iterator[None]:
    try:
        yield
    except BaseException:
        _stop()
        raise
