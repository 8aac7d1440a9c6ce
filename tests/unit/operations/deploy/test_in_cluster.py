"""What a deploy, `drift` and `preflight` do with the Helm releases of a stack, with a fake `kubectl`."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from operations.deploy import deploy, in_cluster
from operations.drift import drift
from operations.drift.drift import Seen
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.preflight import in_cluster as of_preflight
from operations.releases import releases
from operations.state import locks
from operations.state.locks import Lock
from operations.terraform.plans import Plan
from operations.terraform.stacks import Stack
from tests.stacks import make_stack
from tests.unit.operations.releases.fake_cluster import WEB, FakeCluster, in_cluster_stack, live

_REMEDY = "if nothing is running any more: make deploy STACK=ap-northeast-2-dev-gitops REPAIR=1"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(Stack, "aws_session", lambda _: SimpleNamespace(client=None))
    monkeypatch.setattr(locks, "held", lambda *_: None)
    return in_cluster_stack(tmp_path)


def _use(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setattr(releases, "connected", cluster.connected)
    return cluster


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Somebody changed the size in the ConfigMap."""
    cluster = _use(FakeCluster(("deployed", WEB)), monkeypatch)
    cluster.objects = [live("ConfigMap", "web", data={"day": "2026-01-01", "size": "9"})]
    return cluster


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    return _use(FakeCluster(("pending-install", WEB)), monkeypatch)


@pytest.fixture
def plain(tmp_path: Path) -> Stack:
    """A stack without releases."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "cdk.tf.json").write_text('{"terraform": {"backend": {"s3": {}}}}')
    return make_stack(directory=folder, kind="in-cluster")


def _put_back(stack: Stack, *, ask: Any = None, reviewed: tuple[str, ...] = ()) -> tuple[str, str]:
    result = deploy._Result("unchanged", "")
    options = deploy.Options(ask=ask, reviewed=dict.fromkeys(reviewed, "hash"))
    deploy._put_back(stack, result, options, Progress(Console(file=io.StringIO())))
    return result.outcome, result.what


def test_what_was_changed_is_put_back(stack: Stack, changed: FakeCluster) -> None:
    assert _put_back(stack) == ("applied", "put back: ConfigMap web (data.size)")
    ((command, _),) = changed.did
    assert command.startswith("apply --server-side --force-conflicts ")


def test_at_a_terminal_it_is_asked_before(stack: Stack, changed: FakeCluster) -> None:
    asked = []

    def ask(_: str, changes: str) -> bool:
        asked.append(changes)
        return False

    assert _put_back(stack, ask=ask) == ("refused", "not put back: ConfigMap web (data.size)")
    assert asked == ['ConfigMap web: data.size: "1" -> "9"']
    assert changed.did == []
    assert _put_back(stack, ask=ask, reviewed=(stack.name,))[0] == "applied"


def test_nothing_is_put_back_if_nothing_differs(stack: Stack, changed: FakeCluster, plain: Stack) -> None:
    changed.objects[0]["data"]["size"] = "1"
    assert _put_back(stack) == _put_back(plain) == ("unchanged", "")


def test_an_interrupted_release_is_refused_and_repaired(stack: Stack, interrupted: FakeCluster, plain: Stack) -> None:
    message = f"helm_release.web: release web is pending-install (revision 1, since 2026); {_REMEDY}"
    assert in_cluster.interrupted(stack) == message
    assert in_cluster.interrupted(plain) == ""
    said: list[str] = []
    in_cluster.repair(plain, said.append)
    assert said == []
    in_cluster.repair(stack, said.append)
    assert said == ["web: its installation did not end: removed its records, so that it is installed again"]
    assert len(interrupted.did) == 1


def test_nothing_is_repaired_while_the_state_is_locked(
    stack: Stack, interrupted: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "held", lambda *_: Lock("1", "minji", "OperationTypeApply", "2026-01-01"))
    with pytest.raises(OperationError, match="minji holds the lock for apply"):
        in_cluster.repair(stack, print)
    assert interrupted.did == []


def test_pods_that_block_an_apply_are_deleted(
    stack: Stack, changed: FakeCluster, plain: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[list[tuple[str, str]] | OperationError] = iter(
        [OperationError("no route"), OperationError("no route"), [("argocd", "web-0")]]
    )

    def stuck(*_: Any) -> list[tuple[str, str]]:
        answer = next(answers, list[tuple[str, str]]())
        if isinstance(answer, OperationError):
            raise answer
        return answer

    monkeypatch.setattr(releases, "stuck", stuck)
    said: list[str] = []
    deleted = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if text.startswith("deleted"):
            deleted.set()

    with in_cluster.unblocking(plain, say), in_cluster.unblocking(stack, say, 0.01):
        assert deleted.wait(10)
    assert said == [
        "Pods that block a StatefulSet are not looked for: no route",
        "deleted Pod argocd/web-0: it is not ready, and its StatefulSet waited to replace it",
    ]
    assert changed.did == [("delete pod web-0 --namespace=argocd --wait=false", "")]


def _seen(stack: Stack, *actions: str) -> Seen:
    seen = Seen()
    change: dict[str, Any] = {"actions": list(actions), "before": None, "after": {}, "after_unknown": {}}
    entry = {"address": "helm_release.web", "type": "helm_release", "name": "web", "mode": "managed", "change": change}
    drift._add_releases(stack, Plan(stack.name, {"resource_changes": [entry] if actions else []}), seen)
    return seen


def test_drift_names_the_object_and_its_fields(stack: Stack, changed: FakeCluster) -> None:
    (found,) = _seen(stack).drift
    assert (found.kind, found.name) == ("changed", "helm_release.web: ConfigMap web")
    assert (list(found.attributes), list(found.details)) == (["data.size"], ['data.size: "1" -> "9"'])
    changed.objects = []
    (found,) = _seen(stack).drift
    assert (found.kind, list(found.attributes)) == ("deleted", [])
    assert _seen(stack, "create").drift == []


def test_an_interrupted_release_cannot_be_compared(stack: Stack, interrupted: FakeCluster) -> None:
    assert interrupted.did == []
    (error,) = _seen(stack).errors
    assert error.endswith(_REMEDY)


def _preflight(stack: Stack, aws: Any = None) -> list[tuple[str, str]]:
    checks = [check for _, check in of_preflight.checks([stack, make_stack()], aws)]
    return [(line.outcome, line.message) for check in checks for line in check()]


def test_preflight_reports_an_interrupted_release(stack: Stack, interrupted: FakeCluster, plain: Stack) -> None:
    ((outcome, message),) = _preflight(stack)
    assert (outcome, message.endswith(_REMEDY)) == ("failed", True)
    interrupted.records[0]["info"]["status"] = "deployed"
    assert _preflight(stack) == [("passed", "1 of 1 installed, no operation was interrupted")]
    assert _preflight(plain) == []


@pytest.mark.parametrize(("code", "lines"), [("", 1), ("ResourceNotFoundException", 0), ("AccessDenied", None)])
def test_preflight_passes_over_a_cluster_that_does_not_exist(
    stack: Stack, changed: FakeCluster, monkeypatch: pytest.MonkeyPatch, code: str, lines: int | None
) -> None:
    monkeypatch.setattr(Stack, "kubeconfig", None)
    assert changed.did == []

    def describe_cluster(**_: str) -> None:
        if code:
            raise ClientError({"Error": {"Code": code}}, "DescribeCluster")

    def aws(_: str) -> Any:
        return SimpleNamespace(describe_cluster=describe_cluster)

    if lines is None:
        with pytest.raises(ClientError):
            _preflight(stack, aws)
    else:
        assert len(_preflight(stack, aws)) == lines
