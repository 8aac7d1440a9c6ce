"""A backup of a real Argo CD to emulated S3 and its restore, with the real `argocd admin`."""

import base64
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from operations.backup import backup
from operations.backup.argo_cd_export import ArgoCdAdmin, Id, parse_export
from operations.backup.backup import BackupLocation
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.local.emulator_process import Emulator
from tests.cluster.manifests import Manifest

pytestmark = pytest.mark.cluster

_KEY = "alias/ap-northeast-2/dev"
_PASSWORD = "a-password-that-only-argo-cd-knows"  # noqa: S105
_URL = "https://git.example.com"
_API = "argoproj.io/v1alpha1"


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupLocation]:
    """The backup location, in the emulated AWS."""
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as emulator, pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        session = boto3.Session()
        kms, s3, bucket = session.client("kms"), session.client("s3"), "your-org-ap-northeast-2-dev-backups"
        kms.create_alias(AliasName=_KEY, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield BackupLocation(session, bucket, _KEY, "gitops-cluster-dev")


@pytest.fixture(scope="module")
def admin(control_plane: ControlPlane, argo_cd: ArgoCd, tmp_path_factory: pytest.TempPathFactory) -> ArgoCdAdmin:
    """The local `argocd admin`, connected to the control plane, with temporary files in a folder that tests search."""
    environment = [f"KUBECONFIG={control_plane.kubeconfig}", f"TMPDIR={tmp_path_factory.mktemp('argocd')}"]
    return ArgoCdAdmin(["env", *environment, str(argo_cd.tools / "argocd")])


@pytest.fixture(scope="module")
def known(control_plane: ControlPlane, argo_cd: ArgoCd) -> Iterator[list[str]]:  # noqa: ARG001 (its kinds)
    """One object of each kind of Argo CD; they are deleted afterwards."""
    control_plane.apply(_cluster("example.com"))
    objects = [
        _object("v1", "ConfigMap", "argocd-rbac-cm", {"data": {"policy.default": "role:readonly"}}),
        _object("v1", "Secret", "repository", {"stringData": {"url": _URL, "password": _PASSWORD}}),
        _object(_API, "AppProject", "payments", {"spec": {"sourceRepos": [_URL]}}),
        _object(_API, "Application", "web", {"spec": _spec("web")}),
        _object(
            _API,
            "ApplicationSet",
            "services",
            {
                "spec": {
                    "generators": [{"list": {"elements": []}}],
                    "template": {"metadata": {"name": "any"}, "spec": _spec("any")},
                }
            },
        ),
    ]
    objects[0]["metadata"]["labels"] = {"app.kubernetes.io/part-of": "argocd"}
    objects[1]["metadata"]["labels"] = {"argocd.argoproj.io/secret-type": "repository"}
    control_plane.apply(*objects)
    names = ["secret/repository", "appproject/payments", "applicationset/services", "application/web"]
    yield names
    others = ["secret/another-cluster", "configmap/argocd-rbac-cm"]  # the last comes from Git, in other tests
    control_plane.kubectl("delete", "--ignore-not-found", f"--namespace={ARGO_CD_NAMESPACE}", *names, *others)


def test_deleted_and_changed_objects_are_restored(
    control_plane: ControlPlane, at: BackupLocation, admin: ArgoCdAdmin, known: list[str], tmp_path: Path
) -> None:
    before = parse_export(admin.export())
    with _opened_to_write() as written:
        report = backup.backup(at, admin)
    assert written == []
    assert report.data["objects"].keys() == {"AppProject", "Application", "ApplicationSet", "ConfigMap", "Secret"}

    in_argo_cd = f"--namespace={ARGO_CD_NAMESPACE}"
    control_plane.kubectl("delete", in_argo_cd, *known)
    control_plane.kubectl("patch", in_argo_cd, "configmap/argocd-cm", '--patch={"data": {"url": "https://elsewhere"}}')
    extra = _object(_API, "AppProject", "unrelated", {"spec": {}})
    control_plane.apply(extra)

    with _opened_to_write() as written:
        restored = backup.restore(at, admin, None, lambda _: True)
    assert written == []
    assert sorted(restored.data["missing"]) == [
        "AppProject/argocd/payments",
        "Application/argocd/web",
        "ApplicationSet/argocd/services",
        "Secret/argocd/repository",
    ]
    assert restored.data["different"] == ["ConfigMap/argocd/argocd-cm"]
    assert restored.data["extra"] == ["AppProject/argocd/unrelated"]
    control_plane.kubectl("delete", in_argo_cd, "appproject/unrelated")

    assert dict(parse_export(admin.export()).contents) == dict(before.contents)
    password = control_plane.get("secret", in_argo_cd, "repository")["data"]["password"]
    assert base64.b64decode(password).decode() == _PASSWORD
    _assert_no_plaintext(at, tmp_path.parent)


def test_the_cluster_secret_of_terraform_is_kept(
    control_plane: ControlPlane, at: BackupLocation, admin: ArgoCdAdmin, known: list[str]
) -> None:
    assert known
    backup.backup(at, admin)
    control_plane.apply(_cluster("recreated.example.com"))
    report = backup.restore(at, admin, None, lambda _: True)
    assert report.data["kept"] == ["Secret/argocd/another-cluster"]
    annotations = control_plane.get("secret", f"--namespace={ARGO_CD_NAMESPACE}", "another-cluster")["metadata"][
        "annotations"
    ]
    assert annotations["platform/domain"] == "recreated.example.com"


def test_settings_and_credentials_are_in_an_export(admin: ArgoCdAdmin, known: list[str]) -> None:
    assert known
    assert {
        Id("ConfigMap", "argocd", "argocd-cm"),
        Id("ConfigMap", "argocd", "argocd-rbac-cm"),
        Id("Secret", "argocd", "argocd-secret"),
        Id("Secret", "argocd", "another-cluster"),
        Id("Secret", "argocd", "repository"),
    } <= parse_export(admin.export()).texts.keys()


@contextmanager
def _opened_to_write() -> Iterator[list[str]]:
    """The files that this process opens for writing, including those that it deletes immediately."""
    found: list[str] = []
    is_watched = True

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if is_watched and event == "open" and not isinstance(arguments[0], int):
            is_to_write = arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if is_to_write and "__pycache__" not in str(arguments[0]):
                found.append(str(arguments[0]))

    sys.addaudithook(on_event)  # cannot be removed
    try:
        yield found
    finally:
        is_watched = False


def test_detects_a_file_that_was_written_and_deleted() -> None:
    with _opened_to_write() as written, tempfile.NamedTemporaryFile() as file:
        pass
    assert file.name in written


def _assert_no_plaintext(at: BackupLocation, folder: Path) -> None:
    """Check that neither the bucket nor a file of the session has the password, except the API server's database."""
    plaintext, encoded = _PASSWORD.encode(), base64.b64encode(_PASSWORD.encode())
    encrypted = at.session.client("s3").get_object(Bucket=at.bucket, Key=backup.OBJECT)["Body"].read()
    assert plaintext not in encrypted
    assert encoded not in encrypted
    files = [file for file in folder.rglob("*") if file.is_file() and "etcd" not in file.parts]
    assert [file for file in files if plaintext in file.read_bytes() or encoded in file.read_bytes()] == []


def _object(api_version: str, kind: str, name: str, content: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": ARGO_CD_NAMESPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _cluster(domain: str) -> Manifest:
    """The Secret of a cluster, as Terraform writes it."""
    secret = _object("v1", "Secret", "another-cluster", {"stringData": {"name": "a", "server": "https://example.com"}})
    secret["metadata"]["labels"] = {"argocd.argoproj.io/secret-type": "cluster"}
    secret["metadata"]["annotations"] = {"platform/domain": domain}
    return secret


def _spec(path: str) -> Manifest:
    return {
        "project": "default",
        "source": {"repoURL": _URL, "path": path, "targetRevision": "main"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "default"},
    }
