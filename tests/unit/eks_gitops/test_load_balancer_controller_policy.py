import json
from collections import Counter

import pytest

from tests import ROOT
from tests.policies import Role
from tests.template import Json, Template

PUBLISHED = ROOT.parent / "shared" / "data" / "alb_iam_policy.json"


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return tuple(sorted([value] if isinstance(value, str) else value))


def _normalized(statements: list[Json]) -> Counter[str]:
    """The statements in a form that does not depend on their order or on the order of their lists."""
    return Counter(
        json.dumps(
            [
                statement["Effect"],
                _listed(statement["Action"]),
                _listed(statement["Resource"]),
                {
                    test: {key: _listed(value) for key, value in values.items()}
                    for test, values in statement.get("Condition", {}).items()
                },
            ],
            sort_keys=True,
        )
        for statement in statements
    )


def _ours(template: Template) -> list[Json]:
    return Role(template, "controllers_aws-load-balancer-controller_role").statements


@pytest.mark.parametrize(("stack", "partition"), [("ap-northeast-2-prod", "aws"), ("us-gov-west-1-dev", "aws-us-gov")])
def test_policy_equals_the_published_one(
    platform: dict[str, Template], alternative: dict[str, Template], stack: str, partition: str
) -> None:
    if not PUBLISHED.is_file():
        pytest.skip(f"published policy not found: {PUBLISHED.name} in {PUBLISHED.parent.name}/")
    published = json.loads(PUBLISHED.read_text().replace("arn:aws:", f"arn:{partition}:"))["Statement"]
    assert _normalized(_ours({**platform, **alternative}[stack])) == _normalized(published)


def test_only_load_balancers_with_a_cluster_tag_can_be_changed_or_deleted(prod: Template) -> None:
    changes = [entry for entry in _ours(prod) if "elasticloadbalancing:DeleteLoadBalancer" in entry["Action"]]
    assert [entry["Condition"] for entry in changes] == [{"Null": {"aws:ResourceTag/elbv2.k8s.aws/cluster": "false"}}]
