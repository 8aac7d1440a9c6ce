"""Checks the programs that a deploy runs on this computer, and whether their versions are compatible."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from operations.clients import process
from operations.errors import OperationError
from operations.preflight.check import Check, Line
from operations.terraform import program
from operations.terraform.stacks import Stack

_NODE_MAJOR = 22
_FORMER_NODE_MAJOR = 20
_AWS_MAJOR = 2
_SECONDS = 30


def checks(stacks: Sequence[Stack], project: Path) -> Iterator[tuple[str, Check]]:
    """A check for each program. Programs that only in-cluster stacks need are optional if there are none."""
    in_cluster = [stack for stack in stacks if stack.is_in_cluster]
    versions = [
        str(arguments["version"])
        for stack in stacks
        for kind, _, arguments in stack.resources()
        if kind == "aws_eks_cluster"
    ]
    yield "terraform", lambda: terraform(stacks)
    yield "node", node
    yield "cdktf", lambda: cdktf(stacks, project)
    yield "kubectl", lambda: kubectl(versions, needed=bool(in_cluster))
    yield "aws", lambda: aws(needed=any(stack.kubeconfig is None for stack in in_cluster))


def terraform(stacks: Sequence[Stack]) -> Iterator[Line]:
    """Whether Terraform satisfies the constraint of every stack, such as `>= 1.11, < 2`, or OpenTofu its own."""
    product, version = program.version()
    required = {str(stack.configuration["terraform"]["required_version"]) for stack in stacks}
    for constraint in sorted(required) if product == "Terraform" else [program.SUPPORTED[product]]:
        if program.satisfies(version, constraint):
            yield Line("terraform", "passed", f"{product} {version} satisfies {constraint}")
        else:
            message = f"{product} {version}: the stacks require {constraint}; install such a version"
            yield Line("terraform", "failed", message)


def node() -> Iterator[Line]:
    """Whether the Node version supports the CDKTF CLI. It runs with the former one, which is no longer maintained."""
    version = _printed("node", "--version").strip()
    major = program.numbers(version)[0]
    if major == _NODE_MAJOR:
        yield Line("node", "passed", version)
    elif major == _FORMER_NODE_MAJOR:
        yield Line("node", "warning", f"{version}: no longer maintained; install Node {_NODE_MAJOR}")
    else:
        yield Line("node", "failed", f"{version}: the CDKTF CLI needs Node {_NODE_MAJOR}; install it")


def cdktf(stacks: Sequence[Stack], project: Path) -> Iterator[Line]:
    """Whether the CLI of CDKTF has the version of the library that synthesized; that of CDK Terrain may be newer."""
    packages = (project / "node_modules" / name / "package.json" for name in ("cdktf-cli", "cdktn-cli"))
    package = next((package for package in packages if package.is_file()), None)
    if package is None:
        yield Line("cdktf", "failed", "not installed; run: make install")
        return
    version = json.loads(package.read_text(encoding="utf-8"))["version"]
    for library in sorted({stack.configuration["//"]["metadata"]["version"] for stack in stacks}):
        runs_older = package.parent.name == "cdktn-cli" and program.numbers(library) < program.numbers(version)
        if library == version or runs_older:
            yield Line("cdktf", "passed", version)
        else:
            yield Line("cdktf", "failed", f"{version}: the stacks were synthesized with {library}; run: make install")


def kubectl(clusters: Sequence[str], *, needed: bool) -> Iterator[Line]:
    """Whether `kubectl` is within one minor version of each cluster."""
    try:
        client = json.loads(_printed("kubectl", "version", "--client", "--output=json"))["clientVersion"]
    except OperationError as error:
        yield Line("kubectl", "failed" if needed else "warning", str(error))
        return
    version = client["gitVersion"].removeprefix("v")
    distant = [cluster for cluster in clusters if abs(program.numbers(cluster)[1] - program.numbers(version)[1]) > 1]
    if distant:
        named = ", ".join(sorted(set(distant)))
        message = f"{version}: more than one minor version away from clusters of {named}; install a closer version"
        yield Line("kubectl", "warning", message)
    else:
        yield Line("kubectl", "passed", version)


def aws(*, needed: bool) -> Iterator[Line]:
    """Whether the AWS CLI is version 2. Terraform and `kubectl` use it to authenticate to clusters."""
    try:
        version = _printed("aws", "--version").partition("/")[2].split()[0]
    except OperationError as error:
        yield Line("aws", "failed" if needed else "warning", str(error))
        return
    if program.numbers(version)[0] >= _AWS_MAJOR:
        yield Line("aws", "passed", version)
    else:
        yield Line("aws", "warning", f"{version}: only version {_AWS_MAJOR} is maintained; install it")


def _printed(*command: str) -> str:
    done = process.run(*command, timeout_seconds=_SECONDS)
    if done.returncode:
        printed = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise OperationError(f"{' '.join(command)} failed: {printed[-1]}; try it, and correct what it says")
    return done.stdout
