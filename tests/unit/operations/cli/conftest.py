"""A synthesized platform, and a terminal to type at."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from operations.__main__ import main
from operations.cli.app import app
from operations.terraform.stacks import Region
from tests.stacks import REGION, STACKS, make_stack, write_output


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The output folder of `cdktf synth` for a region with the environments dev and prod."""
    stacks = []
    for name, kind, environment, dependencies in STACKS:
        directory = tmp_path / "cdktf.out" / "stacks" / name
        directory.mkdir(parents=True)
        configuration: dict[str, Any] = {"terraform": {"backend": {"s3": {}}}, "resource": {"aws_vpc": {"vpc": {}}}}
        (directory / "cdk.tf.json").write_text(json.dumps(configuration))
        reads = [f"{REGION}-{dependency}" for dependency in dependencies]
        stacks.append(make_stack(environment, directory, kind=kind, name=f"{REGION}-{name}", reads=reads))
    region = Region(REGION, "stacks/ap_northeast_2/shared.py", ["dev", "prod"], "push-")
    write_output(tmp_path / "cdktf.out", stacks, [region])
    return tmp_path / "cdktf.out"


def run(*arguments: str | Path, status: int = 0) -> Result:
    """Run a command without a terminal; it must exit with `status`."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result


class Terminal:
    """A pseudo-terminal as standard input of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._keyboard, tty = os.openpty()
        self._stdin = os.fdopen(tty, encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", self._stdin)

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def run(self, *arguments: str | Path) -> int:
        """Run a command, and return its exit status."""
        self._monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        self._monkeypatch.setattr(sys, "argv", ["operations", *map(str, arguments)])
        return main()

    def printed(self) -> str:
        """The standard output and error since the last call."""
        return "".join(self._capsys.readouterr())

    def close(self) -> None:
        self._stdin.close()
        os.close(self._keyboard)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch, capsys)
    yield terminal
    terminal.close()
