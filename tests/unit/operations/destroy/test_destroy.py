"""The checks before `destroy`, the order of the stacks, and the report."""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from operations.cli.app import app
from operations.clients import aws
from operations.destroy import destroy, leftovers
from operations.destroy.clearing import Clearing
from operations.destroy.destroy import Destruction
from operations.destroy.leftovers import Leftover
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.output.report import Status
from operations.state import locks, states
from operations.state.states import Resource
from operations.terraform import running
from operations.terraform.runner import TerraformError
from operations.terraform.stacks import Cluster, Kind, Stack
from tests.stacks import make_further_stack, make_stack

_DATABASE: Any = {"aws_db_instance": {"main": {"deletion_protection": True}}}


def _stack(
    folder: Path,
    environment: str,
    *reads: str,
    kind: Kind = "environment",
    region: str = "ap-northeast-2",
    **resource: Any,
) -> Stack:
    made = make_stack(environment, kind=kind, reads=[f"{region}-{other}" for other in reads], region=region)
    directory = folder / made.name
    directory.mkdir()
    backend: dict[str, Any] = {"backend": {"s3": {}}}
    configuration = {"terraform": backend, "provider": {"kubernetes": [{}]}, "resource": resource}
    (directory / "cdk.tf.json").write_text(json.dumps(configuration))
    return replace(made, directory=directory)


_LOCK = {"ID": "1234", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "2026-11-29T03:00:00Z"}

Hold = Callable[..., None]


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Sets the resources in the states of stacks."""
    held: dict[str, list[Resource]] = {}

    def read(_session: object, stack: Stack) -> list[Resource]:
        return held.get(stack.name, [])

    def put(stack: Stack, **attributes: Any) -> None:
        held[stack.name] = [Resource(stack.name, "aws_db_instance.main", "aws_db_instance", attributes)]

    monkeypatch.setattr(aws, "session", lambda _, **_of: boto3.Session(region_name="ap-northeast-2"))
    monkeypatch.setattr(states, "read_resources", read)
    monkeypatch.setattr(locks, "object_of", lambda *_: None)
    return put


def _refused(chosen: list[Stack], every: list[Stack]) -> list[str]:
    with pytest.raises(OperationError) as refused:
        destroy.prepare(chosen, every)
    return str(refused.value).splitlines()


def test_rejects_the_state_bucket(tmp_path: Path) -> None:
    backend = _stack(tmp_path, "backend", kind="backend")
    assert _refused([backend], [backend]) == [
        "ap-northeast-2-backend: the state bucket is destroyed last, with: make unbootstrap"
    ]


def test_rejects_resources_that_the_settings_protect(tmp_path: Path, hold: Hold) -> None:
    prod = _stack(tmp_path, "prod", **_DATABASE)
    hold(prod, deletion_protection=True)
    (line,) = _refused([prod], [prod])
    assert line == (
        "ap-northeast-2-prod: aws_db_instance.main: deletion_protection: remove the protection first: in "
        "stacks/ap_northeast_2/prod.py, set deletion_protection=False for it and teardown=True for the environment, "
        "then deploy the stack"
    )


def test_rejects_resources_with_prevent_destroy(tmp_path: Path, hold: Hold) -> None:
    protected: Any = {"aws_kms_key": {"key": {"lifecycle": {"prevent_destroy": True}}}}
    prod = _stack(tmp_path, "prod", **protected)
    hold(prod)
    assert _refused([prod], [prod]) == [
        "ap-northeast-2-prod: aws_kms_key.key: prevent_destroy: its configuration forbids destroying it"
    ]


def test_rejects_resources_that_are_still_protected_in_aws(tmp_path: Path, hold: Hold) -> None:
    prod = _stack(tmp_path, "prod", aws_db_instance={"main": {"deletion_protection": False}})
    hold(prod, deletion_protection=True)
    (line,) = _refused([prod], [prod])
    assert line.endswith("still protected in AWS, although not in the settings: deploy the stack first")


@pytest.mark.parametrize("kind", ["aws_s3_bucket", "aws_backup_vault"])
def test_rejects_backups_that_the_settings_keep(tmp_path: Path, hold: Hold, kind: str) -> None:
    """Otherwise it would fail halfway, after the cluster and the database were destroyed."""
    kept: Any = {kind: {"backups": {"force_destroy": False}}}
    dev = _stack(tmp_path, "dev", **kept)
    hold(dev)
    (line,) = _refused([dev], [dev])
    assert line == (
        f"ap-northeast-2-dev: {kind}.backups: keeps its backups: in stacks/ap_northeast_2/dev.py, set teardown=True, "
        "then deploy the stack"
    )
    lifted: Any = {kind: {"backups": {"force_destroy": True}}}
    (tmp_path / "lifted").mkdir()
    dev = _stack(tmp_path / "lifted", "dev", **lifted)
    assert destroy.prepare([dev], [dev]).environments == ["dev"]


def _with_hub(folder: Path) -> dict[str, Stack]:
    """The stacks of dev, and of staging, to whose cluster the Argo CD of dev deploys; dependencies first."""

    def spoke(stack: Stack) -> Stack:
        return replace(stack, cluster=Cluster("gitops-cluster-staging", {}, hub="dev"))

    stacks = [
        _stack(folder, "dev"),
        spoke(_stack(folder, "staging", "dev")),
        _stack(folder, "dev", "dev", "staging", kind="in-cluster"),
        spoke(_stack(folder, "staging", "staging", kind="in-cluster")),
    ]
    return {stack.name.removeprefix("ap-northeast-2-"): stack for stack in stacks}


@pytest.mark.parametrize(
    "chosen",
    [["staging-gitops"], ["staging", "staging-gitops"], ["dev-gitops"], ["staging", "dev-gitops"]],
)
def test_rejects_to_destroy_a_spoke_or_its_hub_alone(tmp_path: Path, hold: Hold, chosen: list[str]) -> None:
    """The Argo CD of the hub would create again what is deleted, or delete the services of the spoke."""
    stacks = _with_hub(tmp_path)
    for stack in stacks.values():
        hold(stack)
    lines = _refused([stacks[name] for name in chosen], list(stacks.values()))
    assert lines[0] == (
        "ap-northeast-2-staging-gitops: the Argo CD of dev deploys to its cluster: it would create again what is "
        "deleted there, or delete all of it with itself; let staging leave its hub first (docs/hub.md), or destroy "
        "ap-northeast-2-dev-gitops and ap-northeast-2-staging-gitops together"
    )
    assert not [line for line in lines[1:] if "dev-gitops: reads from" in line], lines


def test_a_hub_and_its_spoke_can_be_destroyed_together(tmp_path: Path, hold: Hold) -> None:
    stacks = _with_hub(tmp_path)
    for stack in stacks.values():
        hold(stack)
    every = list(stacks.values())
    assert destroy.prepare(every, every).environments == ["dev", "staging"]
    assert destroy.prepare([stacks["dev-gitops"], stacks["staging-gitops"]], every).environments == ["dev", "staging"]


@pytest.mark.parametrize("deployed", ["dev-gitops", "staging-gitops"])
def test_a_hub_or_spoke_whose_other_side_is_not_deployed_can_be_destroyed(
    tmp_path: Path, hold: Hold, deployed: str
) -> None:
    stacks = _with_hub(tmp_path)
    hold(stacks[deployed])
    assert destroy.prepare([stacks[deployed]], list(stacks.values()))


def test_the_cluster_of_a_hub_is_cleared_before_that_of_its_spoke(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Argo CD would create again what is deleted in the spoke."""
    stacks = _with_hub(tmp_path)
    for stack in stacks.values():
        hold(stack)
    cleared: list[str] = []
    monkeypatch.setattr(destroy, "clear", lambda stack, *_: cleared.append(stack.name))
    monkeypatch.setattr(destroy, "in_reverse", lambda *_, **__: ({"none": "stopped here"}, {}))
    in_other_order = [stacks[name] for name in ("dev", "staging", "staging-gitops", "dev-gitops")]
    options = destroy.Options(lambda _: "", 1, tmp_path, 1)
    destroy.destroy(destroy.prepare(in_other_order, list(stacks.values())), options, Progress())
    assert cleared == ["ap-northeast-2-dev-gitops", "ap-northeast-2-staging-gitops"]


def test_rejects_a_state_without_resources_that_is_being_written(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "object_of", lambda *_: json.dumps(_LOCK).encode())
    shared, dev = _stack(tmp_path, "shared", kind="shared"), _stack(tmp_path, "dev", "shared")
    hold(shared)  # Terraform itself finds the lock of a state with resources
    unsettled = _refused([shared], [shared, dev])
    assert len(unsettled) == 1
    assert unsettled[0].startswith("ap-northeast-2-dev: minji@laptop holds the lock for apply, since 2026-11-29")


def test_rejects_a_state_that_could_not_be_saved(tmp_path: Path, hold: Hold) -> None:
    dev, staging = _stack(tmp_path, "dev"), _stack(tmp_path, "staging")
    hold(staging)
    for stack in (dev, staging):
        (stack.directory / "errored.tfstate").touch()
    for stack, line in zip((dev, staging), _refused([dev, staging], [dev, staging]), strict=True):
        assert line.startswith(f"{stack.name}: {stack.directory}/errored.tfstate: the state of an apply that could not")


def test_it_waits_for_a_terraform_of_an_earlier_command(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = _stack(tmp_path, "dev")
    with (dev.directory / ".running").open("w") as claim:
        fcntl.flock(claim, fcntl.LOCK_EX)
        claim.write(str(os.getpid()))
        claim.flush()

        def end() -> None:
            hold(dev)
            fcntl.flock(claim, fcntl.LOCK_UN)

        monkeypatch.setattr(running, "_WAIT_SECONDS", 0.01)
        timer = threading.Timer(0.1, end)
        timer.start()
        assert destroy.prepare([dev], [dev]).summary == "ap-northeast-2-dev: 1 resource"
        timer.join()


def test_rejects_a_stack_that_another_one_reads_from(tmp_path: Path, hold: Hold) -> None:
    shared, dev = _stack(tmp_path, "shared", kind="shared"), _stack(tmp_path, "dev", "shared")
    gitops = _stack(tmp_path, "dev", "dev", kind="in-cluster")
    hold(gitops)
    assert _refused([shared], [shared, dev, gitops]) == [
        "ap-northeast-2-dev-gitops: reads from ap-northeast-2-shared and still has resources; also destroy it"
    ]


def test_a_consumer_without_resources_is_not_a_problem(tmp_path: Path, hold: Hold) -> None:
    shared, dev = _stack(tmp_path, "shared", kind="shared"), _stack(tmp_path, "dev", "shared")
    hold(shared)
    destruction = destroy.prepare([shared], [shared, dev])
    assert destruction.environments == ["shared"]
    assert destruction.summary == "ap-northeast-2-shared: 1 resource"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The actions in their order; all of them are faked."""
    did: list[str] = []

    class Terraform:
        def __init__(self, directory: Path) -> None:
            self._name = directory.name

        unsaved_state = ""

        def wait_for_earlier(self) -> None:
            pass

        def stream_init(self, *_: object) -> None:
            pass

        def stream(self, _log: Path, _hear: object, verb: str, *_: str) -> None:
            did.append(f"{verb} {self._name}")
            if "staging" in self._name:
                raise OperationError("DependencyViolation")

    def clear(self: Clearing, **_: bool) -> None:
        self.kubectl("get", "services")
        did.append("clear")

    def kubectl(*_: str, kubeconfig: Path) -> str:
        did.append(f"kubectl with {kubeconfig.name}")
        return ""

    def kubeconfig(_stack: Stack, path: Path) -> Path:
        return path

    monkeypatch.setattr(destroy, "Terraform", Terraform)
    monkeypatch.setattr(destroy, "kubectl", kubectl)
    monkeypatch.setattr(destroy, "_kubeconfig", kubeconfig)
    monkeypatch.setattr(Clearing, "clear", clear)
    monkeypatch.setattr(leftovers, "environment", lambda stack: stack)
    monkeypatch.setattr(leftovers, "find_leftovers", lambda *_: [])
    return did


def _destroy(destruction: Destruction, folder: Path) -> Any:
    def again(stacks: Sequence[Stack]) -> str:
        return " ".join(stack.name for stack in stacks)

    options = destroy.Options(again, parallelism=1, logs=folder / "logs", timeout_seconds=1)
    return destroy.destroy(destruction, options, Progress())


def test_clusters_are_cleared_then_consumers_are_destroyed_before_producers(
    tmp_path: Path, hold: Hold, done: list[str]
) -> None:
    shared, dev = _stack(tmp_path, "shared", kind="shared"), _stack(tmp_path, "dev", "shared")
    gitops = _stack(tmp_path, "dev", "shared", "dev", kind="in-cluster")
    stacks = [shared, dev, gitops]
    for stack in stacks:
        hold(stack)
    report = _destroy(destroy.prepare(stacks, stacks), tmp_path)
    assert done == [
        "kubectl with config", "clear",
        "destroy ap-northeast-2-dev-gitops", "destroy ap-northeast-2-dev", "destroy ap-northeast-2-shared",
    ]  # fmt: skip
    assert (report.title, report.status) == ("destroyed 3 of 3 stacks", Status.FINE)


@pytest.mark.usefixtures("hold")
def test_stacks_without_resources_are_skipped(tmp_path: Path, done: list[str]) -> None:
    stacks = [_stack(tmp_path, "prod", **_DATABASE), _stack(tmp_path, "dev", kind="in-cluster")]
    assert _destroy(destroy.prepare(stacks, stacks), tmp_path).status == Status.FINE
    assert done == []


def test_a_failure_is_reported_with_the_command_to_continue(tmp_path: Path, hold: Hold, done: list[str]) -> None:
    stacks = [
        _stack(tmp_path, "shared", kind="shared"),
        _stack(tmp_path, "dev", "shared"),
        _stack(tmp_path, "staging", "shared"),
    ]
    for stack in stacks:
        hold(stack)
    report = _destroy(destroy.prepare(stacks, stacks), tmp_path)
    assert sorted(done) == ["destroy ap-northeast-2-dev", "destroy ap-northeast-2-staging"]
    assert report.status == Status.ERROR
    assert [row[1] for row in report.tables[0].rows] == ["not reached", "destroyed", "failed"]
    assert report.notes == ["continue with: ap-northeast-2-shared ap-northeast-2-staging"]


def test_the_command_to_continue_keeps_the_options_and_names_the_remaining_stacks(
    tmp_path: Path, hold: Hold, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = [_stack(tmp_path, "dev"), _stack(tmp_path, "staging")]
    for stack in stacks:
        hold(stack)
    monkeypatch.setattr("operations.cli.stacks.read_stacks", lambda _output: stacks)
    given = ["--output", str(tmp_path), "--confirm", "dev,staging", "--patience", "30"]
    ended = CliRunner().invoke(app, ["destroy", *(stack.name for stack in stacks), *given, "--json"])
    assert sorted(done) == ["destroy ap-northeast-2-dev", "destroy ap-northeast-2-staging"]
    again = json.loads(ended.stdout)["again"]
    wanted = f"-m operations destroy ap-northeast-2-staging --output {tmp_path} --patience 30 --confirm staging"
    assert again.endswith(wanted)


def test_a_held_lock_is_reported_with_its_owner_and_the_remedy(
    tmp_path: Path, hold: Hold, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*_: object) -> None:
        detail = "Lock Info:\n  ID: 6f1c\n  Operation: OperationTypeApply\n  Who: minji@laptop"
        held = {"summary": "Error acquiring the state lock", "detail": detail}
        raise TerraformError("ap-northeast-2-dev", [held], tmp_path)

    dev = _stack(tmp_path, "dev")
    hold(dev)
    monkeypatch.setattr("operations.destroy.destroy.Terraform.stream", stream)
    why = _destroy(destroy.prepare([dev], [dev]), tmp_path).data["stacks"]["ap-northeast-2-dev"]["why"]
    assert why.startswith("minji@laptop holds the lock")
    assert why.endswith(f"terraform -chdir={dev.directory} force-unlock 6f1c")
    assert done == []


@pytest.mark.parametrize(("status", "outcome"), [(0, "clear"), (1, "refused")])
def test_a_cluster_is_accessed_with_a_temporary_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, outcome: str
) -> None:
    (tmp_path / "aws").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho no such cluster >&2\nexit {status}\n')
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Clearing, "clear", lambda _, **__: None)
    gitops = _stack(tmp_path, "dev", kind="in-cluster")
    if outcome == "clear":
        destroy.clear(gitops, Progress(), 1)
    else:
        with pytest.raises(OperationError, match="cluster gitops-cluster-dev cannot be reached: no such cluster"):
            destroy.clear(gitops, Progress(), 1)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("eks update-kubeconfig --name gitops-cluster-dev --region ap-northeast-2 --kubeconfig ")
    assert not Path(asked.split()[-1]).parent.exists()


@pytest.mark.usefixtures("done")
def test_remaining_resources_are_reported_with_their_cost(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = _stack(tmp_path, "dev")
    hold(dev, arn="arn:of-db", access_entry_arn="arn:of-entry", association_arn="arn:of-association")
    left = [Leftover("volume", "vol-1", 9.0), Leftover("rds:snapshot", "arn:final", None, is_kept=True)]

    def find(_session: object, _owner: object, gone: set[str]) -> list[Leftover]:
        assert gone == {"arn:of-db", "arn:of-entry", "arn:of-association"}
        return left

    monkeypatch.setattr(leftovers, "find_leftovers", find)
    report = _destroy(destroy.prepare([dev], [dev]), tmp_path)
    assert report.title == "destroyed 1 of 1 stack; 1 remaining resource, about $9 a month"
    assert report.status == Status.ATTENTION
    assert report.tables[1].rows == [["volume", "vol-1", "$9.00"]]
    assert report.notes[0] == "kept on purpose: rds:snapshot arn:final"


@pytest.mark.usefixtures("done")
def test_destroyed_stacks_are_reported_if_remaining_resources_cannot_be_listed(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = _stack(tmp_path, "dev")
    hold(dev)

    def find(*_: object) -> list[Leftover]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "GetResources")

    monkeypatch.setattr(leftovers, "find_leftovers", find)
    report = _destroy(destroy.prepare([dev], [dev]), tmp_path)
    assert (report.title, report.status) == ("destroyed 1 of 1 stack", Status.ERROR)
    assert "not you" in report.notes[0]
    assert "repeat the command" in report.notes[0]


@pytest.mark.usefixtures("done")
def test_remaining_resources_of_each_region_are_reported(
    tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = [_stack(tmp_path, "dev"), _stack(tmp_path, "dev", region="us-west-2")]
    for stack in stacks:
        hold(stack)

    def find(_session: object, owner: Stack, _gone: object) -> list[Leftover]:
        return [Leftover("NAT gateway", "nat-1", 43)] if owner.region == "ap-northeast-2" else []

    monkeypatch.setattr(leftovers, "find_leftovers", find)
    report = _destroy(destroy.prepare(stacks, stacks), tmp_path)
    assert report.title == "destroyed 2 of 2 stacks; 1 remaining resource, about $43 a month"
    assert report.status == Status.ATTENTION
    assert {name: len(some) for name, some in report.data["left"].items()} == {
        "ap-northeast-2-dev": 1,
        "us-west-2-dev": 0,
    }
    assert report.tables[1].title == "Remaining resources of ap-northeast-2-dev"


@pytest.mark.usefixtures("hold")
def test_the_environments_to_confirm_have_their_region_if_several_regions_have_them(tmp_path: Path) -> None:
    here, there = _stack(tmp_path, "dev"), _stack(tmp_path, "dev", region="us-west-2")
    prod = _stack(tmp_path, "prod")
    every = [here, there, prod]
    assert destroy.prepare(every, every).environments == ["ap-northeast-2-dev", "prod", "us-west-2-dev"]
    assert destroy.prepare([there], every).environments == ["us-west-2-dev"]
    assert destroy.prepare([here], [here, prod]).environments == ["dev"]


@pytest.mark.usefixtures("hold")
def test_a_further_cluster_is_confirmed_by_its_own_name(tmp_path: Path) -> None:
    further, dev = make_further_stack(tmp_path), _stack(tmp_path, "dev")
    there = _stack(tmp_path, "dev", region="us-west-2")
    assert destroy.environments([further], [further, dev]) == ["dev-blue"]
    assert destroy.environments([further], [further, dev, there]) == ["ap-northeast-2-dev-blue"]


def test_a_protected_further_cluster_names_its_own_teardown(tmp_path: Path) -> None:
    resources = {"aws_eks_cluster": {"cluster": {"deletion_protection": True}}}
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {}}}, "resource": resources}))
    held = [Resource("dev-blue", "aws_eks_cluster.cluster", "aws_eks_cluster", {"deletion_protection": True})]
    (problem,) = destroy.protected(make_further_stack(tmp_path), held)
    assert problem == (
        "ap-northeast-2-dev-blue: aws_eks_cluster.cluster: deletion_protection: remove the protection first: in "
        "stacks/ap_northeast_2/dev.py, set deletion_protection=False for it and teardown=True for this further "
        "cluster, then deploy the stack"
    )
