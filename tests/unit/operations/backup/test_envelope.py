"""What is sealed can be read by nobody else, and by nobody after a bit of it changed."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from operations.backup.envelope import seal, unseal
from operations.errors import OperationError
from operations.local.emulator_process import Emulator

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

CONTEXT = {"cluster": "gitops-cluster-dev", "purpose": "argo-cd/export"}
CONTENT = b"password: hunter2\n" * 3


@pytest.fixture(scope="module")
def kms(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[KMSClient]":
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as emulator:
        yield boto3.client(
            "kms",
            endpoint_url=emulator.environment["AWS_ENDPOINT_URL"],
            region_name=emulator.environment["AWS_REGION"],
            aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key="local",  # noqa: S106
        )


@pytest.fixture(scope="module")
def key(kms: "KMSClient") -> str:
    kms.create_alias(AliasName="alias/ap-northeast-2/dev", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    return "alias/ap-northeast-2/dev"


@pytest.fixture(scope="module")
def sealed(kms: "KMSClient", key: str) -> bytes:
    return seal(kms, key, CONTEXT, CONTENT)


def test_what_was_sealed_comes_back(kms: "KMSClient", sealed: bytes) -> None:
    assert unseal(kms, sealed) == CONTENT


def test_nothing_of_it_can_be_read(sealed: bytes) -> None:
    assert b"hunter2" not in sealed


def test_each_seal_has_a_key_and_a_nonce_of_its_own(kms: "KMSClient", key: str, sealed: bytes) -> None:
    header, other = (json.loads(one.partition(b"\n")[0]) for one in (sealed, seal(kms, key, CONTEXT, CONTENT)))
    assert header["key"] != other["key"]
    assert header["nonce"] != other["nonce"]


def test_any_flipped_byte_of_the_ciphertext_is_refused(kms: "KMSClient", sealed: bytes) -> None:
    for place in (sealed.index(b"\n") + 1, len(sealed) - 1):
        with pytest.raises(OperationError, match=r"^it was changed after it was sealed$"):
            unseal(kms, _flipped(sealed, place))


@pytest.mark.parametrize("length", [1, 20])
def test_a_cut_end_is_refused(kms: "KMSClient", sealed: bytes, length: int) -> None:
    with pytest.raises(OperationError, match=r"^it was changed after it was sealed$"):
        unseal(kms, sealed[:-length])


@pytest.mark.parametrize("context", [{"cluster": "gitops-cluster-prod"}, {}])
def test_another_context_is_refused(kms: "KMSClient", sealed: bytes, context: dict[str, str]) -> None:
    line, _, ciphertext = sealed.partition(b"\n")
    header = json.dumps({**json.loads(line), "context": context}).encode()
    with pytest.raises(OperationError):
        unseal(kms, header + b"\n" + ciphertext)


@pytest.mark.parametrize("sealed", [b"", b"\n", b"apiVersion: v1\nkind: Secret\n", b'{"format": "other"}\n', b"[]\n"])
def test_what_was_never_sealed_is_refused(kms: "KMSClient", sealed: bytes) -> None:
    with pytest.raises(OperationError, match="its header is not of this program, or was changed"):
        unseal(kms, sealed)


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
