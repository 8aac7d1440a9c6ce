"""Encryption and decryption with emulated KMS."""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, NoCredentialsError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operations.backup.envelope import decrypt, encrypt
from operations.errors import OperationError
from operations.local.emulator_process import Emulator

ALIAS = "alias/ap-northeast-2/dev"
CONTEXT = {"cluster": "gitops-cluster-dev", "purpose": "argo-cd/export"}
CONTENT = b"password: hunter2\n" * 3


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    with (
        Emulator(tmp_path_factory.mktemp("emulator") / "log") as emulator,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        made = boto3.Session()
        kms = made.client("kms")
        kms.create_alias(AliasName=ALIAS, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        yield made


@pytest.fixture(scope="module")
def message(session: boto3.Session) -> bytes:
    return encrypt(session, ALIAS, CONTEXT, CONTENT)


@pytest.fixture(scope="module")
def former(session: boto3.Session) -> bytes:
    """A message in the format from before the AWS Encryption SDK was used."""
    made = session.client("kms").generate_data_key(KeyId=ALIAS, KeySpec="AES_256", EncryptionContext=CONTEXT)
    nonce = os.urandom(12)
    header = {
        "format": "sealed-by-kms/1",
        "context": CONTEXT,
        "key": base64.b64encode(made["CiphertextBlob"]).decode(),
        "nonce": base64.b64encode(nonce).decode(),
    }
    line = json.dumps(header, sort_keys=True).encode() + b"\n"
    return line + AESGCM(made["Plaintext"]).encrypt(nonce, CONTENT, line)


def test_decrypts_an_encrypted_message(session: boto3.Session, message: bytes) -> None:
    assert decrypt(session, message, CONTEXT) == CONTENT


def test_decrypts_a_message_in_the_former_format(session: boto3.Session, former: bytes) -> None:
    assert decrypt(session, former, CONTEXT) == CONTENT


def test_a_message_has_no_plaintext(message: bytes) -> None:
    assert b"hunter2" not in message


def test_each_message_has_its_own_data_key(session: boto3.Session, message: bytes) -> None:
    other = encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert len(other) == len(message)
    assert other[-len(CONTENT) :] != message[-len(CONTENT) :]


def test_encrypting_calls_only_generate_data_key(session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backup role must not be able to decrypt."""
    called = []

    def record(_client: object, operation: str, arguments: Any) -> Any:
        called.append(operation)
        return call(_client, operation, arguments)

    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert called == ["GenerateDataKey"]


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("place", [-1, -30])
def test_rejects_a_changed_byte(session: boto3.Session, request: pytest.FixtureRequest, kind: str, place: int) -> None:
    changed = bytearray(request.getfixturevalue(kind))
    changed[place] ^= 1
    with pytest.raises(
        OperationError, match=r"^it was modified after it was encrypted, or KMS denied the use of its key"
    ):
        decrypt(session, bytes(changed), CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("length", [1, 20])
def test_rejects_a_truncated_message(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str, length: int
) -> None:
    with pytest.raises(
        OperationError, match=r"^it was modified after it was encrypted, or KMS denied the use of its key"
    ):
        decrypt(session, request.getfixturevalue(kind)[:-length], CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
def test_rejects_a_message_for_another_cluster(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str
) -> None:
    with pytest.raises(OperationError, match=r"it was encrypted for .*gitops-cluster-dev"):
        decrypt(session, request.getfixturevalue(kind), {**CONTEXT, "cluster": "gitops-cluster-prod"})


@pytest.mark.parametrize("message", [b"", b"\n", b"apiVersion: v1\nkind: Secret\n", b'{"format": "other"}\n', b"[]\n"])
def test_rejects_content_that_is_not_encrypted(session: boto3.Session, message: bytes) -> None:
    with pytest.raises(OperationError, match="modified"):
        decrypt(session, message, CONTEXT)


def test_reports_a_missing_key(session: boto3.Session) -> None:
    with pytest.raises(OperationError, match=r"^alias/none: .*NotFoundException"):
        encrypt(session, "alias/none", CONTEXT, CONTENT)


@pytest.mark.usefixtures("session")
def test_missing_credentials_raise_an_error_of_botocore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line reports it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "missing"))
    with pytest.raises(NoCredentialsError):
        encrypt(boto3.Session(), ALIAS, CONTEXT, CONTENT)


def test_reports_an_access_denied_error_of_kms(
    session: boto3.Session, former: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Decrypt")

    monkeypatch.setattr(boto3.Session, "client", lambda *_: type("Kms", (), {"decrypt": staticmethod(refuse)}))
    with pytest.raises(OperationError, match=r"^KMS denied the use of its key \(.*AccessDeniedException"):
        decrypt(session, former, CONTEXT)
