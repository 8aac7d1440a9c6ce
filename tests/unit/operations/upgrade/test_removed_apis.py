"""Which APIs a Kubernetes version does not serve, in manifests and templates."""

from pathlib import Path

import pytest

from operations.upgrade import removed_apis
from tests import ROOT

_JOB = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n"
_LIST = """
apiVersion: v1
kind: List
items:
  - apiVersion: policy/v1
    kind: PodDisruptionBudget
  - apiVersion: policy/v1beta1
    kind: PodDisruptionBudget
"""


@pytest.mark.parametrize(
    ("text", "minor", "found"),
    [
        (_JOB, 25, ["batch/v1beta1 CronJob"]),
        (_JOB, 24, []),
        ("kind: 'CronJob' # nightly\napiVersion: \"batch/v1beta1\"\n", 25, ["batch/v1beta1 CronJob"]),
        ("apiVersion: batch/v1beta1\nkind: CronTab\n", 40, []),
        ("apiVersion: batch/v1\nkind: CronJob\n---\napiVersion: batch/v1beta1\nkind: Other\n", 40, []),
        (f"{{{{- if .Values.job }}}}\n{_JOB}{{{{- end }}}}\n", 25, ["batch/v1beta1 CronJob"]),
        (_LIST, 36, ["policy/v1beta1 PodDisruptionBudget"]),
        ("apiVersion: extensions/v1beta1\nkind: Ingress\n", 21, []),
        ("apiVersion: extensions/v1beta1\nkind: Ingress\n", 22, ["extensions/v1beta1 Ingress"]),
        ("apiVersion: extensions/v1beta1\nkind: Deployment\n", 21, ["extensions/v1beta1 Deployment"]),
    ],
)  # fmt: skip
def test_finds_what_the_version_does_not_serve(text: str, minor: int, found: list[str]) -> None:
    assert removed_apis.in_text(text, minor) == found


def test_reads_the_files_that_argo_cd_deploys(tmp_path: Path) -> None:
    for file in ("service/shop/base/job.yaml", "helm/app/templates/job.yml", "docs/job.yaml"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(_JOB)
    found = {str(file): what for file, what in removed_apis.in_tree(tmp_path, 25)}
    assert found == dict.fromkeys(["helm/app/templates/job.yml", "service/shop/base/job.yaml"], "batch/v1beta1 CronJob")


def test_the_committed_tree_has_no_api_that_is_known_to_be_removed() -> None:
    assert list(removed_apis.in_tree(ROOT, 99)) == []
