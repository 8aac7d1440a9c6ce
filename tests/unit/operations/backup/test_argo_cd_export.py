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


def test_objects_without_a_namespace_are_argo_cds_own() -> None:
    assert set(_export(SETTINGS, APPLICATION, CLUSTER).texts) == set(IDS.values())


def test_an_export_without_settings_is_none() -> None:
    with pytest.raises(OperationError, match="holds no settings"):
        _export(APPLICATION)


def test_what_is_imported_is_what_was_exported() -> None:
    export = _export(SETTINGS, APPLICATION)
    assert export.text([IDS["application"]]) == f"---\n{APPLICATION}".encode()
    assert set(parse_export(export.text(list(export.texts))).texts) == set(export.texts)


def test_missing_different_and_extra_objects_are_told_apart() -> None:
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
def test_what_controllers_write_is_no_difference(old: str, new: str) -> None:
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
def test_what_somebody_wrote_is_a_difference(old: str, new: str) -> None:
    difference = compare(_export(SETTINGS, APPLICATION), _export(SETTINGS, APPLICATION.replace(old, new)))
    assert difference.to_import == [IDS["application"]]


def test_what_terraform_says_of_the_cluster_is_kept() -> None:
    anew = _export(SETTINGS, CLUSTER.replace("aHR0", "aHR1"))
    difference = compare(_export(SETTINGS, CLUSTER), anew)
    assert not difference.to_import
    assert difference.kept == [IDS["cluster"]]


def test_the_secret_of_a_cluster_that_is_gone_comes_back() -> None:
    assert compare(_export(SETTINGS, CLUSTER), _export(SETTINGS)).to_import == [IDS["cluster"]]


def _fake(tmp_path: Path, code: str) -> list[str]:
    program = tmp_path / "argocd.py"
    program.write_text(f"import sys\n{code}\n")
    return [sys.executable, str(program)]


def test_argocd_is_called_for_the_namespace_of_argo_cd(tmp_path: Path) -> None:
    argo_cd = ArgoCdAdmin(_fake(tmp_path, "print(sys.argv[1:])"))
    assert argo_cd.export() == b"['admin', 'export', '--namespace=argocd']\n"


def test_what_is_imported_is_never_an_argument_nor_a_file(tmp_path: Path) -> None:
    code = "sys.exit(sys.argv[1:] != ['admin', 'import', '--namespace=argocd', '-'] or sys.stdin.read() != 'secret')"
    ArgoCdAdmin(_fake(tmp_path, code)).import_(b"secret")


def test_argocd_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"^argocd admin export: forbidden$"):
        ArgoCdAdmin(_fake(tmp_path, "sys.exit('forbidden')")).export()


def test_an_argocd_that_is_not_there_is_told() -> None:
    with pytest.raises(OperationError, match=r"^argocd-of-nobody: not installed"):
        ArgoCdAdmin(["argocd-of-nobody"]).export()
