"""AWS by boto3: a session for a stack, once it is certain whose account it is; objects of S3, lists of any length."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3


def session(subject: str, *, region: str, account_id: str) -> "boto3.Session":
    """A session in a region, for `subject`, such as a stack.

    Raises:
        OperationError: there are no credentials, they do not work, or they are of another account.
    """
    import boto3  # noqa: PLC0415 (a third of a second, which `--help` need not pay)
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    made = boto3.Session(region_name=region)
    try:
        account = made.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        message = f"{subject}: AWS does not accept the credentials ({error}); try: aws sts get-caller-identity"
        raise OperationError(message) from error
    if account != account_id:
        message = f"{subject}: the credentials are of account {account}; the stack may only be applied to {account_id}"
        raise OperationError(message)
    return made


def object_of(s3: Any, bucket: str, key: str) -> bytes | None:
    """The content of an object; None if it, or its bucket, does not exist."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchBucket", "NoSuchKey"}:
            return None
        raise
    return content


def paginate(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """Everything that a list or describe operation answers under `key`, page by page."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, ())
