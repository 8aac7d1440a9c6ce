"""The files of the tree, without any program: what is found on a machine without Go."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.gitops import rules_of_files
from tests.gitops.problems import fail_with


def _problems(root: Path) -> Iterator[str]:
    for file, manifest, complete in rules_of_files.manifests_of_files(root):
        checks = (*rules_of_files.ALL, *([rules_of_files.manifest_matches_the_schema] if complete else []))
        yield from (f"{file.relative_to(root)}: {line}" for check in checks for line in check(manifest))


def test_files_have_no_known_mistake() -> None:
    fail_with(_problems(ROOT))
    assert len(list(rules_of_files.manifests_of_files(ROOT))) > 100


_PATCH = "service/bubblepool/overlays/dev/rollout.yaml"
_BUDGET = "service/bubblepool/base/disruption-budget.yaml"
_API = "the API of Kubernetes 1.36, the newest of EKS"
_UNEXPECTED = "Additional properties are not allowed ('maxUnavailble' was unexpected)"
_NOT_SERVED = "Kubernetes 1.36 does not serve it; write the version that replaces it"
_STEPS = f"{_PATCH}: Rollout bubblepool: spec.strategy.canary.steps"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (_PATCH, "setWeight: 50", "setWeight: 400", f"{_STEPS}[0].setWeight: 400; write a number from 0 to 100"),
        (
            _PATCH,
            "duration: 1m",
            "duration: 5 parsecs",
            f"{_STEPS}[1].pause.duration: 5 parsecs; write a number of seconds, or such as 30s, 5m or 1h",
        ),
        (
            _PATCH,
            "- setWeight: 50",
            "- setWeight: 50\n      pause: {}",
            f"{_STEPS}[0]: pause, setWeight; write a step for each",
        ),
        (
            _PATCH,
            "      memory: 512Mi\n      ephemeral-storage: 1Gi",
            "      memory: 1Mi\n      ephemeral-storage: 1Gi",
            f"{_PATCH}: Rollout bubblepool: containers: requests.memory: 512Mi; write at most its limit, 1Mi",
        ),
        (
            "service/bubblepool/base/rollout.yaml",
            "    canary:\n",
            "    blueGreen: {}\n    canary:\n",
            "service/bubblepool/base/rollout.yaml: Rollout bubblepool: spec.strategy: canary and blueGreen; remove one",
        ),
        (
            _BUDGET,
            "maxUnavailable:",
            "maxUnavailble:",
            f"{_BUDGET}: PodDisruptionBudget bubblepool: spec: {_UNEXPECTED}; see {_API}",
        ),
        (
            _BUDGET,
            "policy/v1",
            "policy/v1beta1",
            f"{_BUDGET}: PodDisruptionBudget bubblepool: apiVersion: policy/v1beta1: {_NOT_SERVED}",
        ),
        (_BUDGET, "policy/v1", "gateway.networking.k8s.io/v1", None),  # may be the one of a CRD
    ],
)
def test_finds_a_mistake(file: str, old: str, new: str, expected: str | None, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "service" / "bubblepool", tmp_path / "service" / "bubblepool")
    text = (tmp_path / file).read_text()
    if old not in text:
        pytest.skip(f"the example was changed: {file} has no {old!r}")
    (tmp_path / file).write_text(text.replace(old, new))
    assert list(_problems(tmp_path)) == ([expected] if expected else [])
