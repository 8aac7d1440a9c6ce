"""Sealing bytes with a KMS key before they touch a disk or a network, and opening them again.

Envelope encryption: KMS makes a data key for each seal, AES-256-GCM encrypts with it, and the data key travels
encrypted in the header. The header is authenticated too, and KMS gives the data key only to who names the same context.
"""

import base64
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_FORMAT = "sealed-by-kms/1"
_NONCE_BYTES = 12


def seal(kms: "KMSClient", key_id: str, context: Mapping[str, str], content: bytes) -> bytes:
    """Encrypt `content` with a new data key of the KMS key: a header line, then the ciphertext."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (as slow as boto3)

    made = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", EncryptionContext=dict(context))
    nonce = os.urandom(_NONCE_BYTES)
    header = {
        "format": _FORMAT,
        "context": dict(context),
        "key": base64.b64encode(made["CiphertextBlob"]).decode(),
        "nonce": base64.b64encode(nonce).decode(),
    }
    line = json.dumps(header, sort_keys=True).encode() + b"\n"
    return line + AESGCM(made["Plaintext"]).encrypt(nonce, content, line)


def unseal(kms: "KMSClient", sealed: bytes) -> bytes:
    """What was sealed.

    Raises:
        OperationError: it is nothing that `seal` made, a bit of it changed, or KMS refuses the key.
    """
    from botocore.exceptions import ClientError  # noqa: PLC0415
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    line, end, ciphertext = sealed.partition(b"\n")
    try:
        header = json.loads(line)
        context, key, nonce = header["context"], base64.b64decode(header["key"]), base64.b64decode(header["nonce"])
        known = header["format"] == _FORMAT and bool(end)
    except (KeyError, TypeError, ValueError):
        known = False
    if not known:
        raise OperationError("its header is not of this program, or was changed")
    try:
        data_key = kms.decrypt(CiphertextBlob=key, EncryptionContext=context)["Plaintext"]
        return AESGCM(data_key).decrypt(nonce, ciphertext, line + end)
    except InvalidTag as error:
        raise OperationError("it was changed after it was sealed") from error
    except ClientError as error:
        raise OperationError(f"KMS does not open it ({error})") from error
