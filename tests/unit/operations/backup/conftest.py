"""An emulated AWS with the KMS key of the backups."""

from collections.abc import Iterator

import boto3
import pytest

from operations.local.emulator_process import Emulator

ALIAS = "alias/ap-northeast-2/dev"


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
