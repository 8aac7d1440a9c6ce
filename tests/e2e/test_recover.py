"""`recover` after the state of a stack was lost: everything that exists is found, and nothing is created twice."""

import boto3
import pytest

from tests.e2e.region import STATE_BUCKET, Region, ids_in_state, reported

pytestmark = pytest.mark.e2e

_FOUND_BY_A_PLAN = {"aws_iam_openid_connect_provider", "aws_route53_record", "aws_vpc_security_group_ingress_rule"}
"""Types of which some refer to attributes of a cluster or a certificate that only a plan knows."""

_NAMED_BY_TERRAFORM = ("aws_iam_role_policy_attachment.", "aws_route53_record.")
"""Types whose ID the provider makes up, differently after an import."""


@pytest.mark.parametrize("environment", ["shared", "dev"])
def test_a_lost_state_is_recovered_from_what_exists(region: Region, aws: boto3.Session, environment: str) -> None:
    stack = region.stack(environment)
    before = ids_in_state(aws, stack)
    aws.client("s3").delete_object(Bucket=STATE_BUCKET, Key=stack.state.key)

    status, report = reported("preflight", stack.name)
    remedy = f"make recover STACK={stack.name}"
    named = {line["subject"].partition(": ")[2] for line in report["checks"] if remedy in line["message"]}
    assert status == 1
    assert named <= before.keys()
    assert {address.partition(".")[0] for address in before.keys() - named} <= _FOUND_BY_A_PLAN

    status, report = reported("recover", stack.name, "--yes")
    assert status == 0, report
    assert report["stacks"][stack.name]["imported"].keys() == before.keys()
    after = ids_in_state(aws, stack)
    assert after.keys() == before.keys()
    assert {a: id_ for a, id_ in after.items() if not a.startswith(_NAMED_BY_TERRAFORM)} == {
        a: id_ for a, id_ in before.items() if not a.startswith(_NAMED_BY_TERRAFORM)
    }
    status, report = reported("plan", stack.name, "--all")
    assert status == 0, report
