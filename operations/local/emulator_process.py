"""Starts the emulated AWS (`operations.local.emulator`) in a separate process, and points Terraform at it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from operations.errors import OperationError
from operations.local.ports import HOST, answers, free_port

_ROOT = Path(__file__).parents[2]
MODULE = "operations.local.emulator"
_START_SECONDS = 60
_STOP_SECONDS = 10
_LOG_TAIL = 2000


def environment(port: int, *, account_id: str, region: str) -> dict[str, str]:
    """The variables that point Terraform, the AWS command line and the SDKs at the emulator on `port`."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ACCESS_KEY_ID": account_id,  # the emulator uses the access key as the account id
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,  # read by boto3 and older versions of the AWS command line
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def start(  # noqa: PLR0913 (how a process is started)
    port: int,
    log: Path,
    *,
    record: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    detached: bool = False,
    module: str = MODULE,
) -> "subprocess.Popen[bytes]":
    """Start the emulator and wait until it listens. If `stdin` is a pipe, it stops when that pipe is closed.

    `module` is one that runs it in another way.

    Raises:
        OperationError: if it does not start, with the end of its log.
    """
    command = [sys.executable, "-m", module, "--port", str(port)]
    command += ["--while-stdin-is-open"] if stdin == subprocess.PIPE else []
    command += ["--record", str(record.absolute())] if record else []
    # MiniStack also reads some of these variables, but each request must determine the account.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=clean, stdin=stdin, stdout=output, stderr=output, start_new_session=detached
        )
    try:
        _wait_for(process, port, log)
    except BaseException:  # also after an interrupt
        process.kill()
        process.wait()
        raise
    return process


def _wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and not answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is not None or not answers(port):
        tail = log.read_text(errors="replace")[-_LOG_TAIL:]
        raise OperationError(f"emulator on port {port} did not start; {log} ends with:\n{tail}")


class Emulator:
    """A context manager that runs the emulator. It also stops when the parent process ends, even if killed."""

    def __init__(
        self,
        log: Path,
        *,
        account_id: str = "123456789012",
        region: str = "ap-northeast-2",
        record: Path | None = None,
        module: str = MODULE,
    ) -> None:
        self._log = log
        self._record = record
        self._module = module
        self._port = free_port()
        self.environment = environment(self._port, account_id=account_id, region=region)

    def __enter__(self) -> Self:
        self._process = start(self._port, self._log, record=self._record, stdin=subprocess.PIPE, module=self._module)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
