"""AWS sessions, S3 objects and lists, on the emulated AWS."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from operations.clients import aws
from operations.errors import OperationError
from operations.local.emulator_process import Emulator
from tests.stacks import ACCOUNT, REGION, make_stack


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as running:
        yield running


@pytest.fixture(autouse=True)
def environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def test_a_session_is_in_the_region_and_account_of_the_stack() -> None:
    session = make_stack(region="us-east-1").aws_session()
    assert session.region_name == "us-east-1"
    assert session.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_rejects_credentials_of_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "999999999999")
    message = rf"^dev: the credentials belong to account 999999999999; it may only be deployed to {ACCOUNT}$"
    with pytest.raises(OperationError, match=message):
        aws.session("dev", region=REGION, account_id=ACCOUNT)


def test_without_credentials_the_message_says_how_to_check_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    message = r"^dev: AWS does not accept the credentials \(Unable to locate credentials\); try: aws sts get-caller-ide"
    with pytest.raises(OperationError, match=message):
        aws.session("dev", region=REGION, account_id=ACCOUNT)


def test_credentials_that_aws_rejects_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def expired(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, "GetCallerIdentity")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", expired)
    with pytest.raises(OperationError, match=r"^dev: AWS does not accept the credentials \(.*ExpiredToken.*\); try: "):
        aws.session("dev", region=REGION, account_id=ACCOUNT)


_UNUSABLE = "the AWS SDK cannot use its settings"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("AWS_PROFILE", "nope", rf"{_UNUSABLE} \(.*nope.*\); correct "),
        ("AWS_CONFIG_FILE", __file__, rf"{_UNUSABLE} \(Unable to parse config file: .*\); correct "),
        ("AWS_ENDPOINT_URL", "garbage", rf"sts: {_UNUSABLE} \(Invalid endpoint: garbage\); correct "),
        (
            "AWS_ENDPOINT_URL",
            "http://127.0.0.1:9",
            r"AWS cannot be reached \(.*127.0.0.1:9.*\); check the network",
        ),
        ("AWS_MAX_ATTEMPTS", "many", rf"sts: {_UNUSABLE} \(.*many.*\); correct "),
        ("AWS_RETRY_MODE", "many", rf"sts: {_UNUSABLE} \(.*many.*\); correct "),
    ],
)
def test_variables_that_the_sdk_cannot_use_are_reported(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(OperationError, match=rf"^dev: {reason}"):
        aws.session("dev", region=REGION, account_id=ACCOUNT)


def test_a_file_of_credentials_that_cannot_be_read_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", f"arn:aws:iam::{ACCOUNT}:role/one")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(OperationError, match=rf"^dev: {_UNUSABLE} \(/nowhere/token: No such file or directory\); "):
        aws.session("dev", region=REGION, account_id=ACCOUNT)


@pytest.mark.parametrize("url", ["garbage", "http://"])
def test_a_variable_of_one_service_is_reported_when_its_client_is_created(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EKS", url)
    session = aws.session("dev", region=REGION, account_id=ACCOUNT)
    with pytest.raises(OperationError, match=rf"^dev: eks: {_UNUSABLE} \(.*\); correct the variables \(env "):
        session.client("eks")


def _bucket(name: str, session: boto3.Session | None = None) -> None:
    s3 = (session or boto3.Session()).client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]


def test_an_object_is_read_and_a_missing_one_is_none() -> None:
    s3 = boto3.client("s3")
    _bucket("objects")
    s3.put_object(Bucket="objects", Key="key", Body=b"content")
    assert aws.object_of(s3, "objects", "key") == b"content"
    assert aws.object_of(s3, "objects", "other") is None
    assert aws.object_of(s3, "no-such-bucket", "key") is None


def test_an_object_that_must_not_be_read_is_an_error() -> None:
    _bucket("closed", boto3.Session(aws_access_key_id="999999999999", aws_secret_access_key="other"))  # noqa: S106
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.object_of(boto3.client("s3"), "closed", "key")


def test_lists_have_the_items_of_all_pages() -> None:
    s3 = boto3.client("s3")
    _bucket("pages")
    assert list(aws.paginate(s3, "list_objects_v2", "Contents", Bucket="pages")) == []
    for number in range(5):
        s3.put_object(Bucket="pages", Key=str(number))
    pages = aws.paginate(s3, "list_objects_v2", "Contents", Bucket="pages", PaginationConfig={"PageSize": 2})
    assert [item["Key"] for item in pages] == ["0", "1", "2", "3", "4"]
