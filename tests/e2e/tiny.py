"""Small hand-written stacks, so that tests with real Terraform take seconds.

Their state is stored in S3 on the emulated AWS. Most of their resources are built into Terraform and need no provider.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from operations.local.emulator_process import Emulator
from operations.terraform.stacks import Stack, State
from tests import ROOT
from tests.stacks import ACCOUNT, make_stack, write_output

BUCKET = "tiny-state"
_REGION = "ap-northeast-2"


class Done(NamedTuple):
    """The exit status and the output of a command."""

    status: int
    report: dict[str, Any]
    output: str

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: entry["outcome"] for name, entry in self.report["stacks"].items()}


class Tiny:
    """A folder like the output of `cdktf synth`, and the commands that use it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.output = folder / "cdktf.out"
        self.environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}
        self._stacks: dict[str, Stack] = {}
        (folder / "tmp").mkdir(exist_ok=True)

    def stack(
        self,
        name: str,
        *,
        reads: tuple[str, ...] = (),
        outputs: Mapping[str, str] | None = None,
        lock_table: str | None = None,
        **resource: Any,
    ) -> Path:
        """Write or overwrite a stack; `outputs` are expressions."""
        directory = self.output / "stacks" / name
        directory.mkdir(parents=True, exist_ok=True)
        provider = {"region": _REGION, "allowed_account_ids": [ACCOUNT]}
        configuration: dict[str, dict[str, Any]] = {
            "terraform": {"backend": {"s3": self._state(name)}},
            "provider": {"aws": [provider]} if any(kind.startswith("aws_") for kind in resource) else {},
            "data": {
                "terraform_remote_state": {
                    other: {"backend": "s3", "config": {**self._state(other), "use_lockfile": None}} for other in reads
                }
            },
            "resource": resource,
            "output": {output: {"value": f"${{{value}}}"} for output, value in (outputs or {}).items()},
        }
        configuration = {name: block for name, block in configuration.items() if block and any(block.values())}
        (directory / "cdk.tf.json").write_text(json.dumps(configuration))
        state = State(BUCKET, f"{name}.tfstate", _REGION, lock_table, "backend")
        self._stacks[name] = make_stack(name, directory, kind="shared", name=name, reads=reads, state=state)
        write_output(self.output, self._stacks.values())
        return directory

    def _state(self, name: str) -> dict[str, Any]:
        return {"bucket": BUCKET, "key": f"{name}.tfstate", "region": _REGION, "use_lockfile": True}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "operations", *arguments]

    def operations(self, *arguments: str) -> Done:
        """Run a command with `--json`."""
        return self.run(self.command(*arguments, "--json"))

    def run(self, command: list[str]) -> Done:
        finished = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert "Traceback" not in finished.stderr, finished.stderr
        report = json.loads(finished.stdout) if finished.stdout.startswith("{") else {}
        return Done(finished.returncode, report, finished.stdout + finished.stderr)

    def state(self, name: str) -> dict[str, Any]:
        """The attributes of the resources in a stack's state, by address."""
        body = self.client("s3").get_object(Bucket=BUCKET, Key=f"{name}.tfstate")["Body"].read()
        return {
            f"{resource['type']}.{resource['name']}": resource["instances"][0]["attributes"]
            for resource in json.loads(body)["resources"]
            if resource["mode"] == "managed"
        }

    def client(self, service: str) -> Any:
        return client(service, self.environment)


def client(service: str, environment: Mapping[str, str]) -> Any:
    """A client for the emulated AWS, regardless of the environment of this process."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=_REGION,
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def emulated(folder: Path) -> Iterator[Emulator]:
    """An emulated AWS with a versioned state bucket."""
    with Emulator(folder / "emulator.log") as emulator:
        s3 = client("s3", emulator.environment)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield emulator
