"""An account of the emulated AWS, a folder with reduced stacks that are deployed to it, and what runs for them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from operations.terraform import program
from operations.terraform.stacks import Stack, read_stacks
from tests import ROOT
from tests.kills.inventory import found_in_aws, held_in_state
from tests.kills.reduced import reduced
from tests.stacks import ACCOUNT, REGION

SHARED = f"{REGION}-shared"
BACKEND = f"{REGION}-backend"
_MARK = "KILLS_WORLD"
_AN_HOUR_AGO = -3600

_SLOW = {"aws_nat_gateway", "aws_route53_zone", "aws_s3_bucket_lifecycle_configuration", "aws_vpc_endpoint"}
"""Types for which the provider waits."""
_SLOW_ARGUMENTS = (
    ("aws_kms_key", "enable_key_rotation"), ("aws_kms_key", "policy"), ("aws_vpc", "enable_dns_hostnames")
)  # fmt: skip


class Done(NamedTuple):
    """The exit status of a command, what it printed, and its report if it has one."""

    status: int
    output: str
    report: dict[str, Any]


def reduce_stacks(synthesized: Path, output: Path) -> None:
    """Write the reduced stacks of synthesized ones."""
    manifest = json.loads((synthesized / "manifest.json").read_text())
    manifest["stacks"] = {name: manifest["stacks"][name] for name in (BACKEND, SHARED)}
    for stack in read_stacks(synthesized):
        if stack.name in manifest["stacks"]:
            configuration = reduced(stack.configuration, _SLOW)
            for kind, argument in _SLOW_ARGUMENTS:
                for arguments in configuration["resource"].get(kind, {}).values():
                    arguments.pop(argument, None)
            folder = output / manifest["stacks"][stack.name]["workingDirectory"]
            folder.mkdir(parents=True)
            (folder / "cdk.tf.json").write_text(json.dumps(configuration))
    (output / "manifest.json").write_text(json.dumps(manifest))
    shutil.copy(synthesized / "platform.json", output)


class World:
    """A folder like that of the repository, for an account that only it uses."""

    def __init__(self, folder: Path, stacks: Path, environment: Mapping[str, str], account: str) -> None:
        self.folder = folder
        self.account = account
        self.output = folder / "cdktf.out"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        shutil.copytree(stacks, self.output)
        for file in self.output.rglob("*.json"):
            # The names of buckets are global.
            file.write_text(file.read_text().replace(ACCOUNT, account).replace("your-org-", f"org-{account}-"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **environment,
            "AWS_ACCESS_KEY_ID": account,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'constructs'}",
            "TMPDIR": str(self.temporary),
            "GOGC": "400",  # a quarter less work for Terraform and its provider, with more memory
            _MARK: str(folder),
        }
        self.session = boto3.Session(
            aws_access_key_id=account, aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"], region_name=REGION
        )
        self._stacks = {stack.name: stack for stack in read_stacks(self.output)}

    def stack(self, name: str) -> Stack:
        return self._stacks[name]

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])  # type: ignore[call-overload]

    def make_bucket(self) -> None:
        """A state bucket, which no stack has created."""
        bucket = self.stack(SHARED).state.bucket
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def start(self, *command: str, output: Path) -> "subprocess.Popen[bytes]":
        """Start a command that writes into a file."""
        with output.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "operations", *command],
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip

    def run(self, *command: str) -> Done:
        """Run a command of this project."""
        return self._run(sys.executable, "-m", "operations", *command)

    def run_printed(self, command: str) -> Done:
        """Run a command line that another command has printed."""
        return self._run("sh", "-c", command)

    def _run(self, *command: str) -> Done:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, check=False, capture_output=True,
            text=True, timeout=600,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        report = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return Done(done.returncode, done.stdout + done.stderr, report)

    def processes(self) -> dict[int, str]:
        """The process IDs of what was started for this folder and still runs: `command`, `terraform` or `provider`."""
        return dict(_processes(f"{_MARK}={self.folder}\0"))

    def end_processes(self) -> None:
        """End what still runs."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def grow_old(self) -> None:
        """Let an hour pass for the temporary files."""
        for file in self.temporary.iterdir():
            then = file.stat().st_mtime + _AN_HOUR_AGO
            os.utime(file, (then, then))

    def problems(self, name: str) -> list[str]:
        """What is not as it should be after a command has succeeded: in AWS, in the state, and on this machine."""
        stack = self.stack(name)
        exists, held = found_in_aws(self.client), held_in_state(self.client("s3"), stack)
        if name != BACKEND:
            exists = {one for one in exists if one[0] != "aws_s3_bucket"}
        locks = self.client("s3").list_objects_v2(Bucket=stack.state.bucket).get("Contents", [])
        return [
            *(f"exists, but is not in the state: {' '.join(one)}" for one in sorted(exists - held)),
            *(f"in the state, but does not exist: {' '.join(one)}" for one in sorted(held - exists)),
            *(f"lock is held: {one['Key']}" for one in locks if one["Key"].endswith(".tflock")),
            *(f"still runs: {kind}" for kind in self.processes().values()),
            *(f"is left: {file.name}" for file in self.temporary.iterdir()),
            *(f"is left: {file.name}" for file in stack.directory.glob("errored.tfstate")),
            *(f"is left: {file.relative_to(self.folder)}" for file in self.folder.glob(".bootstrap/*")),
        ]


def _processes(mark: str) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and mark in (folder / "environ").read_text(errors="replace"):
                name = (folder / "exe").readlink().name
                kinds = {"terraform-provider-": "provider", "python": "command", Path(program.name()).name: "terraform"}
                yield int(folder.name), next((kind for start, kind in kinds.items() if name.startswith(start)), name)
        except OSError:  # it has ended meanwhile, or belongs to another user
            continue
