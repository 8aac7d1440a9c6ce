"""The table of services: images, how far behind they are in a real Git history, and what Argo CD says."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.portal import argo_cd, services
from operations.portal.argo_cd import Application, Context
from operations.portal.model import Behind, Cell, Code, State, Unknown
from operations.terraform.stacks import Cluster, Stack
from tests.portal_sample import deliver, git
from tests.unit.operations.portal.conftest import OFFLINE, Make

EXAMPLE = "0" * 64
OVERLAY = "images:\n- name: shop\n  newTag: example\n  digest: sha256:{digest}\n"
START = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a service that nobody has delivered."""
    for environment in ("dev", "staging"):
        folder = tmp_path / "service/shop/overlays" / environment
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text(OVERLAY.format(digest=EXAMPLE))
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    return tmp_path


def _rows(make: Make, stack: Callable[..., Stack], argo_cd: Any = None) -> list[list[Cell]]:
    stacks = [stack("dev"), stack("staging"), stack("prod")]
    return [list(row[2:]) for row in services.table(make(*stacks, argo_cd=argo_cd)).rows]


def _at(day: int) -> datetime:
    return START + timedelta(days=day)


def test_a_copied_service_is_not_delivered(make: Make, stack: Callable[..., Stack], root: Path) -> None:
    assert (root / "service").is_dir()
    assert _rows(make, stack) == [
        ["dev", Code("example"), State("not-delivered"), None, OFFLINE, OFFLINE],
        ["staging", Code("example"), State("not-delivered"), None, OFFLINE, OFFLINE],
    ]


def test_the_images_since_that_of_the_environment_are_counted(
    make: Make, stack: Callable[..., Stack], root: Path
) -> None:
    deliver(root, "shop", "dev", 1, _at(0))
    deliver(root, "shop", "staging", 1, _at(1))
    git(root, "rm", "--quiet", "service/shop/overlays/dev/kustomization.yaml")
    git(root, "commit", "--quiet", "--message=Remove it", at=_at(2))
    (root / "service/shop/overlays/dev/kustomization.yaml").parent.mkdir(exist_ok=True)
    (root / "service/shop/overlays/dev/kustomization.yaml").write_text(OVERLAY.format(digest=EXAMPLE))
    deliver(root, "shop", "dev", 2, _at(3))
    file = root / "service/shop/overlays/dev/kustomization.yaml"
    file.write_text(f"# another change\n{file.read_text()}")
    git(root, "commit", "--quiet", "--all", "--message=Say more", at=_at(4))
    deliver(root, "shop", "dev", 3, _at(5))
    dev, staging = _rows(make, stack)
    assert (dev[1], dev[3]) == (Code(("3c0ffee" * 40)[:40]), None)
    assert staging[2:4] == [Code(f"sha256:{('1c0ffee' * 64)[:64]}"), Behind(2, _at(3))]
    deliver(root, "shop", "staging", 3, _at(6))
    assert _rows(make, stack)[1][3] == Behind(0)


def test_an_image_that_the_history_does_not_have_is_not_known(
    make: Make, stack: Callable[..., Stack], root: Path
) -> None:
    deliver(root, "shop", "dev", 2, _at(0))
    deliver(root, "shop", "staging", 1, _at(1))
    assert _rows(make, stack)[1][3] == Unknown("not-in-history", "git fetch --unshallow origin", "dev")
    (root / "service/shop/overlays/dev/kustomization.yaml").unlink()
    dev, staging = _rows(make, stack)
    assert isinstance(dev[1], Unknown)
    assert "contains neither" in dev[1].detail
    assert staging[3] == Unknown("not-in-history", "git fetch --unshallow origin", "dev")


def test_applications_have_the_name_of_the_service_and_environment(
    make: Make, stack: Callable[..., Stack], root: Path
) -> None:
    assert (root / "service").is_dir()
    known = {"shop-dev": Application("Synced", "Degraded"), "shop-prod": Application("OutOfSync", "Progressing")}
    names = ("ap-northeast-2-dev", "ap-northeast-2-staging", "ap-northeast-2-prod")
    dev, staging = _rows(make, stack, dict.fromkeys(names, known))
    assert dev[4:] == [State("Synced", "good"), State("Degraded", "bad")]
    assert staging[4:] == [State("no-application", "warn"), None]


# --- which Argo CD ----------------------------------------------------------------------------------------------------

CONFIG = {
    "clusters": [
        {
            "name": "arn:aws:eks:ap-northeast-2:123456789012:cluster/gitops-cluster-dev",
            "cluster": {"server": "https://a"},
        },
        {"name": "tunnel", "cluster": {"server": "https://127.0.0.1:8443", "tls-server-name": "b.eks.amazonaws.com"}},
    ],
    "contexts": [
        {
            "name": "of dev",
            "context": {"cluster": "arn:aws:eks:ap-northeast-2:123456789012:cluster/gitops-cluster-dev"},
        },
        {"name": "of staging", "context": {"cluster": "tunnel"}},
        {"name": "broken", "context": {}},
    ],
}


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What kubectl answers by its first argument; a text is an error."""
    answers: dict[str, Any] = {"config": CONFIG}

    def answer(*arguments: str) -> str:
        found = answers[arguments[0]]
        if isinstance(found, str):
            raise OperationError(found)
        return json.dumps(found)

    monkeypatch.setattr(argo_cd, "kubectl", answer)
    return answers


def _applications(name: str, **status: Any) -> dict[str, Any]:
    return {"items": [{"metadata": {"name": name}, "status": status}]}


def test_a_cluster_is_found_by_its_arn_or_its_endpoint(kubectl: dict[str, Any], stack: Callable[..., Stack]) -> None:
    kubectl["--context=of dev"] = _applications("a", sync={"status": "Synced"}, health={"status": "Healthy"})
    kubectl["--context=of staging"] = _applications("b")
    stacks = [stack("dev"), stack("staging"), stack("prod")]
    running = {one.name: OFFLINE for one in stacks} | {stacks[1].name: {"endpoint": "https://b.eks.amazonaws.com"}}
    dev, staging, prod = services.argo_cds(stacks, running).values()
    assert dev == {"a": Application("Synced", "Healthy")}
    assert staging == {"b": Application("Unknown", "Unknown")}
    assert isinstance(prod, Unknown)
    assert prod.command == "aws eks update-kubeconfig --name gitops-cluster-prod --role-arn ROLE"


def test_a_spoke_has_the_argo_cd_of_its_hub(kubectl: dict[str, Any], stack: Callable[..., Stack]) -> None:
    kubectl["--context=of dev"] = _applications("a")
    spoke = stack("staging", cluster=Cluster("gitops-cluster-staging", {}, hub="dev"))
    found = services.argo_cds([stack("dev"), spoke], {"ap-northeast-2-dev": OFFLINE, spoke.name: OFFLINE})
    assert found["ap-northeast-2-staging"] is found["ap-northeast-2-dev"]


def test_a_cluster_of_a_kubeconfig_is_the_current_one(
    kubectl: dict[str, Any], stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "kubeconfig", "~/.kube/config")
    kubectl["get"] = _applications("a")
    found = services.argo_cds([stack("dev"), stack("dev", kind="in-cluster")], {"ap-northeast-2-dev": OFFLINE})
    assert found == {"ap-northeast-2-dev": {"a": Application("Unknown", "Unknown")}}


def test_an_argo_cd_that_does_not_answer_is_not_known(kubectl: dict[str, Any]) -> None:
    kubectl["--context=of dev"] = "Unable to connect to the server"
    found = argo_cd.of_cluster([Context("of dev", "arn:aws:eks", "")], "name", ":eks", None)
    command = "kubectl --context=of dev get applications.argoproj.io -A"
    assert found == Unknown("argo-cd-unreachable", command, "Unable to connect to the server")


def test_without_kubectl_no_argo_cd_is_known(kubectl: dict[str, Any], stack: Callable[..., Stack]) -> None:
    kubectl["config"] = "kubectl: not installed; install kubectl"
    (found,) = services.argo_cds([stack("dev")], {}).values()
    assert found == Unknown("no-kubectl", "kubectl config get-contexts", "kubectl: not installed; install kubectl")


def test_an_empty_kubeconfig_has_no_contexts(kubectl: dict[str, Any]) -> None:
    kubectl["config"] = {"clusters": None, "contexts": None}
    assert argo_cd.contexts() == []
