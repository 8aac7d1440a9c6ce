"""AWS through boto3: sessions that are checked against an account, S3 objects, and paginated lists."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3

_REMEDY = "correct the variables (env | grep ^AWS_) or the file ~/.aws/config"


class OtherAccountError(OperationError):
    """The credentials belong to another account than that of a stack."""


def session(subject: str, *, region: str, account_id: str) -> "boto3.Session":
    """A session in a region, after a check of the account. `subject`, such as a stack, is named in messages.

    Its clients are created with the same message if the AWS SDK cannot use a setting, such as AWS_ENDPOINT_URL_EKS.

    Raises:
        OperationError: if there are no credentials, or they are invalid, or a setting of the AWS SDK is.
        OtherAccountError: if they belong to another account.
    """
    import boto3  # noqa: PLC0415 (takes 0.3 s, which `--help` does not need)
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # noqa: PLC0415
    from botocore.exceptions import ConnectionError as NotConnectedError  # noqa: PLC0415

    with _usable_settings(subject):
        created = boto3.Session(region_name=region)
    create = created.client

    def client(service: Any, *arguments: Any, **options: Any) -> Any:
        with _usable_settings(f"{subject}: {service}"):
            return create(service, *arguments, **options)

    created.client = client  # type: ignore[method-assign, assignment]
    sts = created.client("sts")
    with _usable_settings(subject):  # such as the file of a token, which is read now
        try:
            account = sts.get_caller_identity()["Account"]
        except (NotConnectedError, HTTPClientError) as error:
            remedy = "check the network, and the variables: env | grep -E '^AWS_|_proxy=|_PROXY='"
            raise OperationError(f"{subject}: AWS cannot be reached ({error}); {remedy}") from error
        except (BotoCoreError, ClientError) as error:
            message = f"{subject}: AWS does not accept the credentials ({error}); try: aws sts get-caller-identity"
            raise OperationError(message) from error
    if account != account_id:
        message = f"{subject}: the credentials belong to account {account}; it may only be deployed to {account_id}"
        raise OtherAccountError(message)
    return created


@contextmanager
def _usable_settings(subject: str) -> Iterator[None]:
    """For a block that makes the AWS SDK read its settings: it checks few variables, and opens the files they name."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        yield
    except (BotoCoreError, OSError, ValueError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        raise OperationError(f"{subject}: the AWS SDK cannot use its settings ({reason}); {_REMEDY}") from error


def object_of(s3: Any, bucket: str, key: str) -> bytes | None:
    """The content of an S3 object; None if the object or its bucket does not exist."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchBucket", "NoSuchKey"}:
            return None
        raise
    return content


def tags_by_name(listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags by name, from a list of `Key` and `Value` in an answer."""
    return {tag["Key"]: tag["Value"] for tag in listed}


def paginate(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """All items that a list or describe operation returns under `key`, from all pages."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, ())
