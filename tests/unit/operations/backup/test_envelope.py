"""What is encrypted can be read by nobody else, and by nobody after a bit of it changed."""

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
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
    """A backup as this project wrote it before it took the AWS Encryption SDK."""
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


def test_what_was_encrypted_comes_back(session: boto3.Session, message: bytes) -> None:
    assert decrypt(session, message, CONTEXT) == CONTENT


def test_a_backup_of_the_former_form_comes_back(session: boto3.Session, former: bytes) -> None:
    assert decrypt(session, former, CONTEXT) == CONTENT


def test_nothing_of_it_can_be_read(message: bytes) -> None:
    assert b"hunter2" not in message


def test_each_message_has_a_key_of_its_own(session: boto3.Session, message: bytes) -> None:
    other = encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert len(other) == len(message)
    assert other[-len(CONTENT) :] != message[-len(CONTENT) :]


def test_encrypting_asks_kms_for_a_data_key_and_nothing_else(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role that backs up may write and never read."""
    asked = []

    def record(_client: object, operation: str, arguments: Any) -> Any:
        asked.append(operation)
        return call(_client, operation, arguments)

    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert asked == ["GenerateDataKey"]


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("place", [-1, -30])
def test_a_flipped_byte_is_refused(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str, place: int
) -> None:
    changed = bytearray(request.getfixturevalue(kind))
    changed[place] ^= 1
    with pytest.raises(OperationError, match=r"^it was changed after it was encrypted, or KMS refuses its key"):
        decrypt(session, bytes(changed), CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("length", [1, 20])
def test_a_cut_end_is_refused(session: boto3.Session, request: pytest.FixtureRequest, kind: str, length: int) -> None:
    with pytest.raises(OperationError, match=r"^it was changed after it was encrypted, or KMS refuses its key"):
        decrypt(session, request.getfixturevalue(kind)[:-length], CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
def test_what_was_encrypted_for_another_cluster_is_refused(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str
) -> None:
    with pytest.raises(OperationError, match=r"it was encrypted for .*gitops-cluster-dev"):
        decrypt(session, request.getfixturevalue(kind), {**CONTEXT, "cluster": "gitops-cluster-prod"})


@pytest.mark.parametrize("message", [b"", b"\n", b"apiVersion: v1\nkind: Secret\n", b'{"format": "other"}\n', b"[]\n"])
def test_what_was_never_encrypted_is_refused(session: boto3.Session, message: bytes) -> None:
    with pytest.raises(OperationError, match="changed"):
        decrypt(session, message, CONTEXT)


def test_a_key_that_is_not_there_is_told(session: boto3.Session) -> None:
    with pytest.raises(OperationError, match=r"^alias/none: .*NotFoundException"):
        encrypt(session, "alias/none", CONTEXT, CONTENT)


def test_a_refusal_of_kms_is_told(session: boto3.Session, former: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Decrypt")

    monkeypatch.setattr(boto3.Session, "client", lambda *_: type("Kms", (), {"decrypt": staticmethod(refuse)}))
    with pytest.raises(OperationError, match=r"^KMS refuses its key \(.*AccessDeniedException"):
        decrypt(session, former, CONTEXT)
