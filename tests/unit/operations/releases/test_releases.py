"""Helm releases with a fake `kubectl`; `tests/cluster/test_releases.py` has Helm and a real API server."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.releases import releases
from operations.releases.releases import Release
from tests.stacks import make_stack
from tests.unit.operations.clients.conftest import Program, program  # noqa: F401 (a fixture)
from tests.unit.operations.releases.fake_cluster import WEB, FakeCluster, in_cluster_stack, live

_STACK = "ap-northeast-2-dev-gitops"


def _release(cluster: FakeCluster) -> Release:
    (found,) = releases.read(cluster.run, {"helm_release.web": ("argocd", "web")})
    return found


def _found(cluster: FakeCluster) -> dict[str, list[str]]:
    return {one.name: list(one.details) for one in releases.differences(cluster.run, _release(cluster))}


def test_the_namespace_of_a_release_may_be_a_reference(tmp_path: Path) -> None:
    assert releases.named(in_cluster_stack(tmp_path)) == {"helm_release.web": ("argocd", "web")}


def test_the_metadata_of_a_namespace_may_be_a_list(tmp_path: Path) -> None:
    stack = in_cluster_stack(tmp_path)
    file = tmp_path / "cdk.tf.json"
    file.write_text(file.read_text().replace('{"name": "argocd"}', '[{"name": "argocd"}]'))
    assert releases.named(stack) == {"helm_release.web": ("argocd", "web")}


def test_a_cluster_is_reached_by_the_kubeconfig_of_its_stack(tmp_path: Path, program: Program) -> None:  # noqa: F811
    program("kubectl", 'echo "$*"; cat')
    with releases.connected(in_cluster_stack(tmp_path)) as run:
        assert run("get", "pods", stdin="text") == "--kubeconfig config get pods\ntext"


def test_a_cluster_of_eks_gets_a_temporary_kubeconfig(tmp_path: Path, program: Program) -> None:  # noqa: F811
    (tmp_path / "cdk.tf.json").write_text('{"provider": {"kubernetes": [{}]}, "terraform": {"backend": {"s3": {}}}}')
    stack = make_stack(directory=tmp_path, kind="in-cluster")
    program("kubectl", 'cat "$2"')
    program("aws", 'while [ "$1" != --kubeconfig ]; do shift; done; echo made > "$2"')
    with releases.connected(stack) as run:
        assert run("get") == "made\n"
    program("aws", "echo 'No cluster found' >&2; exit 1")
    with pytest.raises(OperationError, match=rf"^aws eks: No cluster found; {_STACK}: its cluster is not reached$"):
        releases.connected(stack).__enter__()


@pytest.mark.parametrize(
    ("data", "owned", "found"),
    [
        ({"day": "2026-01-01", "size": "1", "more": "x"}, {}, {}),
        ({"day": "2026-01-01", "size": "2"}, {}, {"ConfigMap web": ['data.size: "1" -> "2"']}),
        ({"day": "2026-01-01"}, {}, {"ConfigMap web": ['data.size: "1" -> null']}),
        # What Helm wrote last is only written in another way.
        ({"day": "2026-01-01", "size": "1000m"}, {"f:data": {"f:size": {}}}, {}),
    ],
    ids=["added", "changed", "removed", "notation"],
)
def test_fields_that_differ(data: dict[str, str], owned: dict[str, Any], found: dict[str, list[str]]) -> None:
    cluster = FakeCluster(("superseded", ""), ("deployed", WEB))
    cluster.objects = [live("ConfigMap", "web", owned, data=data)]
    assert _found(cluster) == found


def test_no_value_of_a_secret_is_shown() -> None:
    text = "{kind: Secret, metadata: {name: web}, stringData: {password: old}, data: {a: eA==}}"
    cluster = FakeCluster(("deployed", text))
    cluster.objects = [live("Secret", "web", data={"password": "bmV3", "a": "eA=="})]
    assert _found(cluster) == {"Secret web": ["data.password: changed"]}


def test_items_of_a_list_are_compared_by_their_keys() -> None:
    items = "[{name: a, value: 1}, {name: b, value: 2}, {name: c, value: 3}]"
    cluster = FakeCluster(("deployed", f"{{kind: X, metadata: {{name: web}}, spec: {{env: {items}, ports: [1]}}}}"))
    env: dict[str, Any] = {f'k:{{"name":"{name}"}}': {"f:value": {}} for name in "ab"}
    spec = {"env": [{"name": "b", "value": "2"}, {"name": "c", "value": 4}], "ports": [1, 2]}
    cluster.objects = [live("X", "web", {"f:spec": {"f:env": env}}, spec=spec)]
    assert _found(cluster) == {
        "X web": [
            'spec.env[0]: {"name": "a", "value": 1} -> null',
            "spec.env[2].value: 3 -> 4",
            "spec.ports: [1] -> [1, 2]",
        ]
    }


def test_what_opens_a_load_balancer_is_found_and_replaced() -> None:
    text = "{kind: IngressClassParams, metadata: {name: alb}, spec: {scheme: internal}}"
    cluster = FakeCluster(("deployed", text))
    one = live("IngressClassParams", "alb", spec={"scheme": "internal", "prefixListsIDs": ["pl-1"]})
    del one["metadata"]["namespace"]
    cluster.objects = [one]
    assert _found(cluster) == {"IngressClassParams alb": ['spec.prefixListsIDs: null -> ["pl-1"]']}
    releases.put_back(cluster.run, list(releases.differences(cluster.run, _release(cluster))))
    ((command, written),) = cluster.did
    assert command == "replace --field-manager=gitops-platform --namespace=argocd --filename=-"
    assert json.loads(written)["spec"] == {"scheme": "internal"}
    assert json.loads(written)["metadata"]["resourceVersion"] == "7"


def test_deleted_objects_and_definitions_are_found() -> None:
    cluster = FakeCluster(("deployed", f"{WEB}---\n{{kind: Thing, metadata: {{name: web, namespace: argocd}}}}"))
    cluster.unknown = "Thing"
    assert _found(cluster) == {"ConfigMap web": [], "Thing argocd/web": []}


def test_other_errors_of_kubectl_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(("deployed", WEB))

    def forbidden(_: str) -> str:
        raise OperationError("Forbidden")

    monkeypatch.setattr(cluster, "_get", forbidden)
    with pytest.raises(OperationError, match=r"^Forbidden$"):
        _found(cluster)


def test_an_interrupted_upgrade_is_rolled_back() -> None:
    old = "{kind: Deployment, metadata: {name: web}, spec: {a: 1}}"
    new = """
{kind: Deployment, metadata: {name: web}, spec: {a: 2}}
---
{kind: ConfigMap, metadata: {name: more}}
---
{kind: ConfigMap, metadata: {name: kept, annotations: {"helm.sh/resource-policy": keep}}}
"""
    cluster = FakeCluster(("deployed", old), ("pending-upgrade", new))
    cluster.objects = [live("Deployment", "web", spec={"a": 1, "b": 2, "replicas": 3})]
    release = _release(cluster)
    assert release.is_interrupted
    assert release.problem(_STACK) == (
        "helm_release.web: release web is pending-upgrade (revision 2, since 2026); if nothing is running any more: "
        f"make deploy STACK={_STACK} REPAIR=1"
    )
    assert releases.repair(cluster.run, release) == "web: rolled back from revision 2 to 1"
    (deleted, more), (replaced, web), (patched, record) = cluster.did
    assert (deleted.split()[0], json.loads(more)["metadata"]["name"]) == ("delete", "more")
    assert (replaced.split()[0], json.loads(web)["spec"]) == ("replace", {"a": 1, "replicas": 3})
    assert patched.startswith("patch secret --namespace=argocd sh.helm.release.v1.web.v2 ")
    failed = releases._decode(json.loads(record)["data"]["release"])
    assert (failed["info"]["status"], failed["manifest"]) == ("failed", new)


def test_an_interrupted_installation_is_forgotten() -> None:
    cluster = FakeCluster(("pending-install", f"{WEB}---\n{{kind: Deployment, metadata: {{name: web}}}}"))
    assert "its installation did not end" in releases.repair(cluster.run, _release(cluster))
    assert [command for command, _ in cluster.did] == [
        "delete --namespace=argocd --filename=- --ignore-not-found",
        "delete secret --namespace=argocd sh.helm.release.v1.web.v1",
    ]


def _ready(status: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T01:00:00Z"}]}


@pytest.mark.parametrize(
    ("change", "is_stuck"),
    [
        ({}, True),
        ({"status": _ready("True")}, False),
        ({"status": _ready("False")}, False),
        ({"deletionTimestamp": "now"}, False),
        ({"labels": {"controller-revision-hash": "new"}}, False),
        ({"ownerReferences": []}, False),
    ],
    ids=["stuck", "ready", "just unready", "ends", "new", "of another"],
)
def test_pods_that_block_a_stateful_set(change: dict[str, Any], *, is_stuck: bool) -> None:
    cluster = FakeCluster(("deployed", WEB))
    metadata = {
        "name": "web-0",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"controller-revision-hash": "old"},
        "ownerReferences": [{"uid": "web"}],
    }
    status = change.pop("status", {})
    cluster.pods = [{"metadata": metadata | change, "status": status}]
    one = live(
        "StatefulSet", "web", spec={"updateStrategy": {"type": "RollingUpdate"}}, status={"updateRevision": "new"}
    )
    one["metadata"]["annotations"] = {"meta.helm.sh/release-name": "web"}
    cluster.sets = [one]
    found = releases.stuck(cluster.run, _release(cluster), datetime(2026, 1, 1, 1, 0, 30, tzinfo=UTC))
    assert found == ([("argocd", "web-0")] if is_stuck else [])
