"""Running Terraform in a folder."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from operations.errors import OperationError


class Terraform:
    """Terraform in one working directory, in the caller's environment.

    What it prints is shown as it comes or, with `log`, added to that file.
    """

    def __init__(self, directory: Path, log: Path | None = None) -> None:
        self.directory = directory
        self._log = log

    def run(self, *arguments: str) -> None:
        """Run a command that must succeed.

        Raises:
            OperationError: it did not; what it printed stands above the message, or in the log.
        """
        if self._log is None:
            self._run(arguments, None, None)
        else:
            with self._log.open("ab") as log:
                self._run(arguments, log.fileno(), log.fileno())

    def plan(self, file: Path, *arguments: str) -> dict[str, Any]:
        """Plan into `file`, and return what `terraform show -json` says of it. The stack is initialised before.

        Both hold the prior state in clear: they stay on this machine.

        Raises:
            OperationError: the plan failed.
        """
        self.run("init", "-input=false")
        self.run("plan", "-input=false", f"-out={file.absolute()}", *arguments)
        document: dict[str, Any] = json.loads(self.output("show", "-json", str(file.absolute())))
        return document

    def output(self, *arguments: str) -> str:
        """What a command prints that must succeed; its errors are shown as they come."""
        return self._run(arguments, subprocess.PIPE, None)

    def _run(self, arguments: tuple[str, ...], stdout: int | None, stderr: int | None) -> str:
        # In a session of its own Ctrl-C reaches Terraform once, from here: a second one would cost it its state.
        with subprocess.Popen(
            ["terraform", *arguments, *(["-no-color"] if self._log else [])],
            cwd=self.directory,
            env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                printed, _ = process.communicate()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        if process.returncode:
            where = f"{self._log} says why" if self._log else "see above"
            message = f"terraform {arguments[0]} failed in {self.directory} (status {process.returncode}); {where}"
            raise OperationError(message)
        return printed or ""
