"""The local platform: an AWS on this machine, and every AWS stack deployed to it, without an account.

With KUBECONFIG the in-cluster stack of dev follows, in the cluster that it names.

It lives in `.local/`, apart from what is synthesized for real accounts. Environment variables alone point Terraform at
it: the stacks know nothing of it.
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

from operations.clients.kubectl import server
from operations.deploy import deploy
from operations.destroy import destroy
from operations.errors import OperationError
from operations.local import emulator_process, ports
from operations.output import report
from operations.output.progress import Progress
from operations.output.report import Status
from operations.state import bootstrap, states
from operations.terraform.runner import Terraform, new_log
from operations.terraform.stacks import Stack, all_producers, backend_stacks, read_stacks, synthesize

HOME = Path(".local")
OUTPUT = HOME / "cdktf.out"
ENVIRONMENT_FILE = HOME / "environment"
_RUNNING = HOME / "emulator.json"
_LOGS = HOME / "logs"
_STOP_SECONDS = 10
_PARALLELISM = 4

# Whoever works on a real account in the same shell must not have it touched, nor its identity sent along.
_OF_A_REAL_ACCOUNT = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


def up(say: Callable[[str], None]) -> dict[str, dict[str, object]]:
    """Start the emulator, make the state bucket and deploy every stack; what was started ends if anything fails.

    Returns:
        The outputs of each stack.

    Raises:
        OperationError: a stack failed, and nothing is left running.
    """
    if "KUBECONFIG" in os.environ:
        os.environ["LOCAL_KUBECONFIG"] = str(_kubeconfig(os.environ["KUBECONFIG"], say))
    HOME.mkdir(exist_ok=True)
    say("synthesizing")
    stacks = _synthesize()
    with _stopped_on_failure():
        _start(stacks[0])
        say(f"the emulated AWS answers at {os.environ['AWS_ENDPOINT_URL']}; Terraform's words go to {_LOGS}")
        for stack in backend_stacks(stacks):
            bootstrap.bootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))
        deployed = _local(stacks)
        say(f"deploying {len(deployed)} stacks")
        options = deploy.Options(is_guarded=False, applies_unreviewed=True, logs=_LOGS)
        done = deploy.deploy(deployed, all_producers(stacks), options, Progress(), lambda _: "make local")
        if done.status is not Status.FINE:
            report.show(done, as_json=False)
            raise OperationError("not every stack was deployed; nothing is left running")
        return {stack.name: _outputs(stack) for stack in deployed}


def _synthesize() -> list[Stack]:
    """Every stack, as what can be destroyed with all that it holds: nothing here is worth protecting."""
    for stack in synthesize(OUTPUT):
        configuration = bootstrap.without_protection(stack.configuration)
        (stack.directory / "cdk.tf.json").write_text(json.dumps(configuration), encoding="utf-8")
        # Where Terraform found the state: a change of settings may have moved it, and `init` refuses to follow.
        (stack.directory / ".terraform/terraform.tfstate").unlink(missing_ok=True)
    return read_stacks(OUTPUT)


def _outputs(stack: Stack) -> dict[str, object]:
    outputs = json.loads(Terraform(stack.directory).output("output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


def _kubeconfig(value: str, say: Callable[[str], None]) -> Path:
    """The one file that KUBECONFIG names, whole, once it is certain that it leads to a cluster for trials.

    Raises:
        OperationError: there is no such file, kubectl cannot read it, or the cluster is one of Amazon EKS.
    """
    path = Path(value).absolute()
    if not path.is_file():
        message = f"KUBECONFIG: {value!r}: no such file; name one file, or unset it to deploy the AWS stacks alone"
        raise OperationError(message)
    url = server(path)
    host = urlsplit(url).hostname or ""
    if host.endswith((".eks.amazonaws.com", ".eks.amazonaws.com.cn")):
        message = f"KUBECONFIG: {value!r}: leads to {host}, a cluster of Amazon EKS; name one that is for trials"
        raise OperationError(message)
    say(f"the in-cluster stack goes to {url}")
    return path


def _local(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks that can be deployed here: those of AWS, and the in-cluster ones that were given a kubeconfig."""
    return [stack for stack in stacks if not stack.is_in_cluster or stack.kubeconfig is not None]


def down(say: Callable[[str], None]) -> None:
    """Destroy every stack in reverse order, the state bucket last, and stop the emulator.

    Raises:
        OperationError: something could not be destroyed; the emulator still runs then.
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
    say(f"destroying {len(others)} stacks; Terraform's words go to {_LOGS}")
    held = {stack.name: states.read_resources(stack.aws_session(), stack) for stack in others}
    failed, skipped = destroy.in_reverse(others, held, Progress(), parallelism=_PARALLELISM, logs=_LOGS)
    if failed or skipped:
        raise OperationError("\n".join([*failed.values(), "the emulated AWS still runs; go on with: make local-down"]))
    for stack in backend_stacks(stacks):
        bootstrap.unbootstrap(stack, HOME / "bootstrap", say, new_log(_LOGS, stack.name))


def _start(stack: Stack) -> None:
    """Start the emulator in a session of its own, unless it runs already, and point this process at it."""
    if _running() is None:
        port = ports.free_port()
        process = emulator_process.start(port, HOME / "emulator.log", detached=True)
        _RUNNING.write_text(json.dumps({"pid": process.pid, "port": port}), encoding="utf-8")
    for variable in _OF_A_REAL_ACCOUNT:
        os.environ.pop(variable, None)
    environment = emulator_process.environment(_port(), account_id=stack.account_id, region=stack.region)
    os.environ.update(environment)
    lines = [
        f"unset {' '.join(_OF_A_REAL_ACCOUNT)}",
        *[f"export {name}={value}" for name, value in environment.items()],
    ]
    ENVIRONMENT_FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _port() -> int:
    return int(json.loads(_RUNNING.read_text(encoding="utf-8"))["port"])


def _running() -> int | None:
    """The process id of the emulator; None where it was not started, or is gone."""
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
    with suppress(ChildProcessError):  # started by an earlier `make local`, and so no child of this process
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _stopped_on_failure() -> Iterator[None]:
    try:
        yield
    except BaseException:
        _stop()
        raise
