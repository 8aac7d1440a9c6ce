"""Envelope encryption with a KMS key, by the AWS Encryption SDK.

KMS generates a data key for each message (encryption needs only `kms:GenerateDataKey`). It is stored, encrypted, in the
message's header. The algorithm suite commits to that key, so a message decrypts to one plaintext or not at all, and the
encryption context is authenticated. The former format of this project can still be decrypted.
"""

import base64
import io
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import botocore.session
from aws_encryption_sdk import (
    CommitmentPolicy,
    EncryptionSDKClient,
    StrictAwsKmsMasterKeyProvider,
)
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3

# The SDK logs each error with a traceback, which Python prints if there is no handler. The exception has the same text.
logging.getLogger("aws_encryption_sdk").addHandler(logging.NullHandler())

_CLIENT = EncryptionSDKClient(
    commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, max_encrypted_data_keys=1
)
# Without a signature: KMS alone controls who can encrypt and decrypt.
_SUITE = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
_FORMER_FORMAT = "sealed-by-kms/1"
_FORMER_NONCE_BYTES = 12
# What the SDK and `cryptography` raise for a modified message.
_MODIFIED = (AWSEncryptionSDKClientError, ArithmeticError, InvalidTag, LookupError, TypeError, ValueError)


def encrypt(session: "boto3.Session", key_id: str, context: Mapping[str, str], content: bytes) -> bytes:
    """Encrypt `content` with a new data key of the KMS key `key_id`, which may be an alias.

    Raises:
        OperationError: if the key does not exist, or KMS denies its use.
    """
    try:
        keys = StrictAwsKmsMasterKeyProvider(key_ids=[key_id], botocore_session=_botocore(session))
        message, _ = _CLIENT.encrypt(
            source=content, key_provider=keys, encryption_context=dict(context), algorithm=_SUITE
        )
    except AWSEncryptionSDKClientError as error:
        raise OperationError(f"{key_id}: {_reason(error)}") from error
    return bytes(message)


def decrypt(session: "boto3.Session", key_id: str, encrypted: bytes, context: Mapping[str, str]) -> bytes:
    """Decrypt a message that was encrypted for `context` with the KMS key `key_id`, which may be an alias.

    Raises:
        OperationError: if the message is invalid, was modified, has another key or another context, or KMS denies the
            use of the key.
    """
    decrypt_format = _decrypt_former if encrypted.startswith(b"{") else _decrypt_message
    try:
        arn = session.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
        content, found = decrypt_format(session, arn, encrypted)
    except ClientError as error:
        raise OperationError(f"KMS denied the use of its key ({error})") from error
    except _MODIFIED as error:
        raise OperationError(
            f"it was modified after it was encrypted, or KMS denied the use of its key ({_reason(error)})"
        ) from error
    if not context.items() <= found.items():
        raise OperationError(f"it was encrypted for {dict(found)}, not for {dict(context)}")
    return content


def _reason(error: Exception) -> str:
    """The error of KMS if there is one, otherwise the error of the SDK."""
    cause = error.__cause__ or error.__context__
    return str(cause if isinstance(cause, ClientError) else error) or type(error).__name__


def _botocore(session: "boto3.Session") -> botocore.session.Session:
    """A botocore session with the same credentials, for the SDK. Sharing a botocore session would break its clients."""
    made = botocore.session.get_session()
    credentials = session.get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        made.set_credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)
    made.set_config_variable("region", session.region_name)
    return made


def _decrypt_message(session: "boto3.Session", arn: str, message: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Decrypt a message of the AWS Encryption SDK. Only the key `arn` is used, whatever the header says."""
    if arn.encode() not in message:
        raise ValueError(f"its header has no data key of {arn}")
    keys = StrictAwsKmsMasterKeyProvider(key_ids=[arn], botocore_session=_botocore(session))
    source = io.BytesIO(message)
    stream = _CLIENT.stream(mode="decrypt-unsigned", source=source, key_provider=keys)
    try:
        content = stream.read()
        if source.read():
            raise ValueError("it has bytes after its end")
        return content, stream.header.encryption_context
    finally:
        # Its own `close` fails after an error, which Python 3.13 prints when it deletes the stream.
        io.IOBase.close(stream)


def _decrypt_former(session: "boto3.Session", arn: str, message: bytes) -> tuple[bytes, Mapping[str, str]]:
    """Decrypt a message in the former format: a header line, then AES-256-GCM that authenticates it."""
    line, end, ciphertext = message.partition(b"\n")
    try:
        header = json.loads(line)
        context, key, nonce = header["context"], base64.b64decode(header["key"]), base64.b64decode(header["nonce"])
        known = header["format"] == _FORMER_FORMAT and bool(end) and len(nonce) == _FORMER_NONCE_BYTES
        known = known and all(isinstance(value, str) for value in context.values())
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        known = False
    if not known:
        raise OperationError("its header is invalid or was modified")
    kms = session.client("kms")
    data_key = kms.decrypt(KeyId=arn, CiphertextBlob=key, EncryptionContext=context)["Plaintext"]
    return AESGCM(data_key).decrypt(nonce, ciphertext, line + end), context
