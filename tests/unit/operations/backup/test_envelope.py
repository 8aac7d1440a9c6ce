"""Encryption and decryption with emulated KMS."""

import base64
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_encryption_sdk import EncryptionSDKClient, StrictAwsKmsMasterKeyProvider
from botocore.client import BaseClient
from botocore.exceptions import ClientError, NoCredentialsError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operations.backup import envelope
from operations.backup.envelope import decrypt, encrypt
from operations.errors import OperationError
from tests.unit.operations.backup.conftest import ALIAS

CONTEXT = {"cluster": "gitops-cluster-dev", "purpose": "argo-cd/export"}
CONTENT = b"password: hunter2\n" * 3


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
    assert decrypt(session, ALIAS, message, CONTEXT) == CONTENT


def test_decrypts_a_message_in_the_former_format(session: boto3.Session, former: bytes) -> None:
    assert decrypt(session, ALIAS, former, CONTEXT) == CONTENT


def test_a_message_has_no_plaintext(message: bytes) -> None:
    assert b"hunter2" not in message


def test_each_message_has_its_own_data_key(session: boto3.Session, message: bytes) -> None:
    other = encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert len(other) == len(message)
    assert other[-len(CONTENT) :] != message[-len(CONTENT) :]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The calls of AWS: the operation and the key."""
    called = []

    def record(client: object, operation: str, arguments: Any) -> Any:
        called.append((operation, arguments["KeyId"]))
        return call(client, operation, arguments)

    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return called


def test_encrypting_calls_only_generate_data_key(session: boto3.Session, calls: list[tuple[str, str]]) -> None:
    """The backup role must not be able to decrypt."""
    encrypt(session, ALIAS, CONTEXT, CONTENT)
    assert calls == [("GenerateDataKey", ALIAS)]


@pytest.mark.parametrize("kind", ["message", "former"])
def test_decrypting_uses_only_the_key_of_the_alias(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str
) -> None:
    message = request.getfixturevalue(kind)
    arn = session.client("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"]
    calls = request.getfixturevalue("calls")
    decrypt(session, ALIAS, message, CONTEXT)
    assert calls == [("DescribeKey", ALIAS), ("Decrypt", arn)]


@pytest.mark.parametrize(
    ("account_id", "region"),
    [("123456789012", "ap-northeast-2"), ("123456789012", "us-west-2"), ("210987654321", "ap-northeast-2")],
    ids=["another key", "another region", "another account"],
)
def test_rejects_a_message_of_another_key(
    session: boto3.Session, account_id: str, region: str, request: pytest.FixtureRequest
) -> None:
    other = boto3.Session(account_id, "local", region_name=region)
    message = encrypt(other, other.client("kms").create_key()["KeyMetadata"]["Arn"], CONTEXT, CONTENT)
    calls = request.getfixturevalue("calls")
    with pytest.raises(OperationError, match=r"its header has no data key of arn:aws:kms:ap-northeast-2:123456789012:"):
        decrypt(session, ALIAS, message, CONTEXT)
    assert calls == [("DescribeKey", ALIAS)]


def test_rejects_a_message_with_several_data_keys(session: boto3.Session) -> None:
    kms = session.client("kms")
    arns = [kms.describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"], kms.create_key()["KeyMetadata"]["Arn"]]
    keys = StrictAwsKmsMasterKeyProvider(key_ids=arns)
    message, _ = EncryptionSDKClient().encrypt(source=CONTENT, key_provider=keys, encryption_context=CONTEXT)
    with pytest.raises(OperationError, match=r"Number of encrypted data keys .*"):
        decrypt(session, ALIAS, message, CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("place", [-1, -30])
def test_rejects_a_changed_byte(session: boto3.Session, request: pytest.FixtureRequest, kind: str, place: int) -> None:
    changed = bytearray(request.getfixturevalue(kind))
    changed[place] ^= 1
    with pytest.raises(
        OperationError, match=r"^it was modified after it was encrypted, or KMS denied the use of its key"
    ):
        decrypt(session, ALIAS, bytes(changed), CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
@pytest.mark.parametrize("length", [1, 20])
def test_rejects_a_truncated_message(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str, length: int
) -> None:
    with pytest.raises(
        OperationError, match=r"^it was modified after it was encrypted, or KMS denied the use of its key"
    ):
        decrypt(session, ALIAS, request.getfixturevalue(kind)[:-length], CONTEXT)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow, id="each"), pytest.param(19, id="some")])
@pytest.mark.parametrize("kind", ["message", "former"])
def test_rejects_each_changed_byte_and_each_length(
    session: boto3.Session, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    """`make check` changes every 19th byte, and `make test` each."""
    replies: dict[str, Any] = {}
    refused = ClientError({"Error": {"Code": "InvalidCiphertextException", "Message": ""}}, "Decrypt")

    def record(client: object, operation: str, arguments: Any) -> Any:
        return replies.setdefault(repr(arguments), call(client, operation, arguments))

    def replay(_client: object, _operation: str, arguments: Any) -> Any:
        if repr(arguments) not in replies:
            raise refused
        return replies[repr(arguments)]

    message = request.getfixturevalue(kind)
    call = BaseClient._make_api_call  # type: ignore[attr-defined]
    # Clients are slow to make, so all messages use the same ones.
    keys = StrictAwsKmsMasterKeyProvider(
        key_ids=[session.client("kms").describe_key(KeyId=ALIAS)["KeyMetadata"]["Arn"]]
    )
    monkeypatch.setattr(envelope, "StrictAwsKmsMasterKeyProvider", lambda **_: keys)
    monkeypatch.setattr(envelope, "_botocore", cache(envelope._botocore))
    monkeypatch.setattr(session, "client", cache(session.client))
    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    decrypt(session, ALIAS, message, CONTEXT)
    monkeypatch.setattr(BaseClient, "_make_api_call", replay)

    changed = [message[:length] for length in range(0, len(message), step)]
    for place in range(0, len(message), step):
        others = {message[place] ^ 1, 0xFF} - {message[place]}
        changed += [message[:place] + bytes([new]) + message[place + 1 :] for new in others]
    for modified in changed:
        with pytest.raises(OperationError, match=r"modified|KMS denied the use of its key"):
            decrypt(session, ALIAS, modified, CONTEXT)


def test_rejects_a_header_without_key_commitment(session: boto3.Session, message: bytes) -> None:
    """In version 1 of the message format, the header has no commitment, whatever its algorithm suite."""
    body = 4 + 4 + 12 + 4 + len(CONTENT) + 16  # marker, sequence number, IV, length, content, tag
    content_type = len(message) - body - 53  # content type, frame length, commitment, tag
    header = (
        b"\x01\x80" + message[1:19] + message[35:content_type] + b"\x02" + bytes(4) + b"\x0c" + bytes([0, 0, 16, 0])
    )
    with pytest.raises(OperationError, match=r"^it was modified after it was encrypted"):
        decrypt(session, ALIAS, header + bytes(100), CONTEXT)


@pytest.mark.parametrize("content", [b"", bytes(10_000)], ids=["empty", "several frames"])
def test_decrypts_each_length_of_content(session: boto3.Session, content: bytes) -> None:
    message = encrypt(session, ALIAS, CONTEXT, content)
    assert decrypt(session, ALIAS, message, CONTEXT) == content
    for removed in (1, 2000, 4096, 6000):
        with pytest.raises(OperationError, match=r"^it was modified after it was encrypted"):
            decrypt(session, ALIAS, message[:-removed], CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
def test_rejects_bytes_after_the_end(session: boto3.Session, request: pytest.FixtureRequest, kind: str) -> None:
    with pytest.raises(OperationError, match=r"^it was modified after it was encrypted"):
        decrypt(session, ALIAS, request.getfixturevalue(kind) + b"x", CONTEXT)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": ""},
        {"nonce": base64.b64encode(bytes(13)).decode()},
        {"context": []},
        {"context": {"cluster": 1}},
        {"context": None},
        {"key": 1},
        {"key": "x"},
    ],
    ids=str,
)
def test_rejects_an_invalid_header_of_the_former_format(
    session: boto3.Session, former: bytes, changes: dict[str, Any]
) -> None:
    line, _, ciphertext = former.partition(b"\n")
    message = json.dumps(json.loads(line) | changes).encode() + b"\n" + ciphertext
    with pytest.raises(OperationError, match=r"^its header is invalid or was modified$"):
        decrypt(session, ALIAS, message, CONTEXT)


def test_rejects_nested_json(session: boto3.Session) -> None:
    with pytest.raises(OperationError, match=r"^its header is invalid or was modified$"):
        decrypt(session, ALIAS, b'{"a":' * 100_000 + b"\n", CONTEXT)


@pytest.mark.parametrize("kind", ["message", "former"])
def test_rejects_a_message_for_another_cluster(
    session: boto3.Session, request: pytest.FixtureRequest, kind: str
) -> None:
    with pytest.raises(OperationError, match=r"it was encrypted for .*gitops-cluster-dev"):
        decrypt(session, ALIAS, request.getfixturevalue(kind), {**CONTEXT, "cluster": "gitops-cluster-prod"})


@pytest.mark.parametrize("message", [b"", b"\n", b"apiVersion: v1\nkind: Secret\n", b'{"format": "other"}\n', b"[]\n"])
def test_rejects_content_that_is_not_encrypted(session: boto3.Session, message: bytes) -> None:
    with pytest.raises(OperationError, match="modified"):
        decrypt(session, ALIAS, message, CONTEXT)


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
    def refuse(_client: object, operation: str, _arguments: Any) -> Any:
        if operation == "Decrypt":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return {"KeyMetadata": {"Arn": "arn:aws:kms:ap-northeast-2:123456789012:key/any"}}

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    with pytest.raises(OperationError, match=r"^KMS denied the use of its key \(.*AccessDeniedException"):
        decrypt(session, ALIAS, former, CONTEXT)
