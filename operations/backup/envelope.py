"""Encrypting bytes with a KMS key before they are stored or sent, and decrypting them, by the AWS Encryption SDK.

KMS makes a data key for each message (`kms:GenerateDataKey` is all that encrypting asks for), which is stored,
encrypted, in the message's header. The algorithm suite commits to that key, so a message decrypts to one plaintext or
not at all; the encryption context is authenticated with it. Backups of the form before this one are still decrypted.
"""

import base64
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import botocore.session
from aws_encryption_sdk import (
    CommitmentPolicy,
    DiscoveryAwsKmsMasterKeyProvider,
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

# The SDK logs each refusal with its traceback, which Python prints where no handler is; the error says the same.
logging.getLogger("aws_encryption_sdk").addHandler(logging.NullHandler())

_CLIENT = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
# Without a signature: KMS alone decides who encrypts and who decrypts.
_SUITE = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
_FORMER_FORMAT = "sealed-by-kms/1"


def encrypt(session: "boto3.Session", key_id: str, context: Mapping[str, str], content: bytes) -> bytes:
    """Encrypt `content` with a new data key of the KMS key `key_id`, which may be an alias.

    Raises:
        OperationError: there is no such key, or KMS refuses it.
    """
    try:
        keys = StrictAwsKmsMasterKeyProvider(key_ids=[key_id], botocore_session=_botocore(session))
        message, _ = _CLIENT.encrypt(
            source=content, key_provider=keys, encryption_context=dict(context), algorithm=_SUITE
        )
    except AWSEncryptionSDKClientError as error:
        raise OperationError(f"{key_id}: {_reason(error)}") from error
    return bytes(message)


def decrypt(session: "boto3.Session", encrypted: bytes, context: Mapping[str, str]) -> bytes:
    """What was encrypted under `context`.

    Raises:
        OperationError: it is no such message, it was changed, it belongs elsewhere, or KMS refuses the key.
    """
    try:
        if encrypted.startswith(b"{"):
            content, found = _decrypt_former(session, encrypted)
        else:
            keys = DiscoveryAwsKmsMasterKeyProvider(botocore_session=_botocore(session))
            content, header = _CLIENT.decrypt(source=encrypted, key_provider=keys)
            found = header.encryption_context
    except (AWSEncryptionSDKClientError, InvalidTag) as error:
        raise OperationError(
            f"it was changed after it was encrypted, or KMS refuses its key ({_reason(error)})"
        ) from error
    except ClientError as error:
        raise OperationError(f"KMS refuses its key ({error})") from error
    if not context.items() <= found.items():
        raise OperationError(f"it was encrypted for {dict(found)}, and not for {dict(context)}")
    return bytes(content)


def _reason(error: Exception) -> str:
    """What KMS said, where the SDK only says that it failed."""
    cause = error.__cause__ or error.__context__
    return str(cause if isinstance(cause, ClientError) else error) or type(error).__name__


def _botocore(session: "boto3.Session") -> botocore.session.Session:
    """A session for the SDK with the same credentials. Two sessions of boto3 on one of botocore break its clients."""
    made = botocore.session.get_session()
    credentials = session.get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        made.set_credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)
    made.set_config_variable("region", session.region_name)
    return made


def _decrypt_former(session: "boto3.Session", message: bytes) -> tuple[bytes, Mapping[str, str]]:
    """A message of the form that this project wrote itself: a header line, then AES-256-GCM that authenticates it."""
    line, end, ciphertext = message.partition(b"\n")
    try:
        header = json.loads(line)
        context, key, nonce = header["context"], base64.b64decode(header["key"]), base64.b64decode(header["nonce"])
        known = header["format"] == _FORMER_FORMAT and bool(end)
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise OperationError("its header is not of this program, or was changed")
    data_key = session.client("kms").decrypt(CiphertextBlob=key, EncryptionContext=context)["Plaintext"]
    return AESGCM(data_key).decrypt(nonce, ciphertext, line + end), context
