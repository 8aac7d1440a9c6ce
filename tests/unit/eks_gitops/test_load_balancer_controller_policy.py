import json
from collections import Counter

import pytest

from tests import ROOT
from tests.policies import Role
from tests.template import Json, Template

PUBLISHED = ROOT.parent / "shared" / "data" / "alb_iam_policy.json"


def _listed(value: str | list[str]) -> tuple[str, ...]:
    return tuple(sorted([value] if isinstance(value, str) else value))


def _said(statements: list[Json]) -> Counter[str]:
    """What statements say, whatever their order and that of their lists."""
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
def test_policy_says_what_its_project_publishes(
    platform: dict[str, Template], otherwise: dict[str, Template], stack: str, partition: str
) -> None:
    if not PUBLISHED.is_file():
        pytest.skip(f"the published policy is not there: {PUBLISHED.name} below {PUBLISHED.parent.name}/")
    published = json.loads(PUBLISHED.read_text().replace("arn:aws:", f"arn:{partition}:"))["Statement"]
    assert _said(_ours({**platform, **otherwise}[stack])) == _said(published)


def test_load_balancers_are_deleted_and_changed_only_by_the_tag_of_a_cluster(prod: Template) -> None:
    changes = [entry for entry in _ours(prod) if "elasticloadbalancing:DeleteLoadBalancer" in entry["Action"]]
    assert [entry["Condition"] for entry in changes] == [{"Null": {"aws:ResourceTag/elbv2.k8s.aws/cluster": "false"}}]
