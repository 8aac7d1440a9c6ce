"""Reading states from S3."""

import json
from typing import Any

import boto3
import pytest

from operations.errors import OperationError
from operations.state import states
from operations.state.states import Resource, States
from operations.terraform.stacks import Cluster, State
from tests.stacks import REGION, make_stack

_ENCRYPTED = b'{"serial": 1, "lineage": "a", "meta": {}, "encrypted_data": "b", "encryption_version": "v0"}'
"""The form of a state that OpenTofu has encrypted; not a state without resources."""


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"resources": [{}]}', _ENCRYPTED])
def test_message_about_an_unreadable_state_names_the_remedy(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A process that was killed while it wrote may leave an empty object."""
    session: Any = type("Session", (), {"client": lambda *_: None})()
    monkeypatch.setattr(states, "object_of", lambda *_: content)
    message = "s3://state/dev.tfstate: cannot be read as a state; restore an older version: .* restore-state dev$"
    with pytest.raises(OperationError, match=message):
        states.read_resources(session, make_stack(name="dev"))


def test_managed_resources_are_read_with_the_keys_of_their_instances(aws: boto3.Session) -> None:
    stack = make_stack(name="dev", state=State("states", "dev.tfstate", REGION, None, "backend"))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]
    assert states.read_resources(aws, stack) == []
    subnets = [{"index_key": key, "attributes": {"id": f"subnet-{key}"}} for key in ("a", 1)]
    resources = [
        {"mode": "managed", "type": "aws_subnet", "name": "private", "instances": subnets},
        {"mode": "managed", "type": "aws_vpc", "name": "vpc", "instances": [{"attributes": {"id": "vpc-1"}}]},
        {"mode": "data", "type": "aws_region", "name": "current", "instances": [{"attributes": {"id": "region"}}]},
    ]
    s3.put_object(Bucket="states", Key="dev.tfstate", Body=json.dumps({"resources": resources}))
    read = states.read_resources(aws, stack)
    assert [(resource.stack, resource.address, resource["id"]) for resource in read] == [
        ("dev", 'aws_subnet.private["a"]', "subnet-a"),
        ("dev", "aws_subnet.private[1]", "subnet-1"),
        ("dev", "aws_vpc.vpc", "vpc-1"),
    ]
    assert read[0]["no_such_attribute"] is None


def test_states_are_queried_by_type_and_attributes() -> None:
    roles = [
        Resource("dev", "aws_iam_role.a", "aws_iam_role", {"name": "a", "path": "/dev/"}),
        Resource("dev", "aws_iam_role.b", "aws_iam_role", {"name": "b", "path": "/dev/"}),
        Resource("prod", "aws_iam_role.c", "aws_iam_role", {"name": "c", "path": "/prod/"}),
    ]
    vpc = Resource("shared", "aws_vpc.vpc", "aws_vpc", {"id": "vpc-1"})
    cluster = Cluster("dev", {})
    all_states = States([roles[0], vpc, *roles[1:]], [cluster])
    assert sorted(resource.address for resource in all_states) == [
        "aws_iam_role.a",
        "aws_iam_role.b",
        "aws_iam_role.c",
        "aws_vpc.vpc",
    ]
    assert all_states.of("aws_vpc", "aws_iam_role", "aws_eip") == [vpc, *roles]
    assert all_states.values("aws_iam_role", "name") == {"a", "b", "c"}
    assert all_states.values("aws_iam_role", "name", path="/dev/") == {"a", "b"}
    assert all_states.clusters == [cluster]
