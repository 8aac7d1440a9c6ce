"""Reading and comparing exports of Argo CD, and running `argocd admin`."""

import sys
from pathlib import Path

import pytest

from operations.backup.argo_cd_export import ArgoCdAdmin, Export, Id, compare, parse_export
from operations.errors import OperationError

SETTINGS = """apiVersion: v1
data:
  policy.csv: |
    p, role:deployer, applications, sync, */*, allow
    ---
  value: =
kind: ConfigMap
metadata:
  name: argocd-cm
"""
APPLICATION = """apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{}'
  name: web
  namespace: team
spec:
  project: platform
status:
  sync: {}
"""
CLUSTER = """apiVersion: v1
data:
  server: aHR0cHM6Ly9rdWJlcm5ldGVzLmRlZmF1bHQuc3Zj
kind: Secret
metadata:
  labels:
    argocd.argoproj.io/secret-type: cluster
  name: in-cluster
"""
IDS = {
    "settings": Id("ConfigMap", "argocd", "argocd-cm"),
    "application": Id("Application", "team", "web"),
    "cluster": Id("Secret", "argocd", "in-cluster"),
}


def _export(*objects: str) -> Export:
    return parse_export("---\n".join(objects).encode())


def test_objects_are_counted_by_kind() -> None:
    assert _export(SETTINGS, APPLICATION, CLUSTER).kinds == {"Application": 1, "ConfigMap": 1, "Secret": 1}


def test_objects_without_a_namespace_are_in_the_namespace_of_argo_cd() -> None:
    assert set(_export(SETTINGS, APPLICATION, CLUSTER).texts) == set(IDS.values())


def test_rejects_an_export_without_settings() -> None:
    with pytest.raises(OperationError, match="has no settings"):
        _export(APPLICATION)


def test_imports_the_exported_text_unchanged() -> None:
    export = _export(SETTINGS, APPLICATION)
    assert export.text([IDS["application"]]) == f"---\n{APPLICATION}".encode()
    assert set(parse_export(export.text(list(export.texts))).texts) == set(export.texts)


def test_missing_different_and_extra_objects_are_distinguished() -> None:
    changed = SETTINGS.replace("allow", "deny")
    difference = compare(_export(SETTINGS, APPLICATION), _export(changed, CLUSTER))
    assert difference.missing == [IDS["application"]]
    assert difference.different == [IDS["settings"]]
    assert difference.extra == [IDS["cluster"]]
    assert difference.to_import == [IDS["application"], IDS["settings"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sync: {}", "sync: {status: Synced}"),
        ("'{}'", "'{\"spec\": {}}'"),
        ("name: web\n", "name: web\n  resourceVersion: '7'\n"),
    ],
)
def test_fields_of_controllers_are_not_compared(old: str, new: str) -> None:
    difference = compare(_export(SETTINGS, APPLICATION), _export(SETTINGS, APPLICATION.replace(old, new)))
    assert not difference.to_import


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("project: platform", "project: default"),
        ("name: web\n", "name: web\n  labels:\n    a: b\n"),
        ("name: web\n", "name: web\n  finalizers: [resources-finalizer.argocd.argoproj.io]\n"),
    ],
)
def test_changes_by_users_are_a_difference(old: str, new: str) -> None:
    difference = compare(_export(SETTINGS, APPLICATION), _export(SETTINGS, APPLICATION.replace(old, new)))
    assert difference.to_import == [IDS["application"]]


def test_the_cluster_secret_of_terraform_is_kept() -> None:
    recreated = _export(SETTINGS, CLUSTER.replace("aHR0", "aHR1"))
    difference = compare(_export(SETTINGS, CLUSTER), recreated)
    assert not difference.to_import
    assert difference.kept == [IDS["cluster"]]


def test_a_missing_cluster_secret_is_restored() -> None:
    assert compare(_export(SETTINGS, CLUSTER), _export(SETTINGS)).to_import == [IDS["cluster"]]


def _fake(tmp_path: Path, code: str) -> list[str]:
    program = tmp_path / "argocd.py"
    program.write_text(f"import sys\n{code}\n")
    return [sys.executable, str(program)]


def test_argocd_is_called_for_the_namespace_of_argo_cd(tmp_path: Path) -> None:
    argo_cd = ArgoCdAdmin(_fake(tmp_path, "print(sys.argv[1:])"))
    assert argo_cd.export() == b"['admin', 'export', '--namespace=argocd']\n"


def test_imported_objects_are_passed_on_stdin_only(tmp_path: Path) -> None:
    code = "sys.exit(sys.argv[1:] != ['admin', 'import', '--namespace=argocd', '-'] or sys.stdin.read() != 'secret')"
    ArgoCdAdmin(_fake(tmp_path, code)).import_(b"secret")


def test_reports_the_error_output_of_argocd(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"^argocd admin export: forbidden$"):
        ArgoCdAdmin(_fake(tmp_path, "sys.exit('forbidden')")).export()


def test_reports_a_missing_argocd() -> None:
    with pytest.raises(OperationError, match=r"^argocd-missing: not installed"):
        ArgoCdAdmin(["argocd-missing"]).export()
