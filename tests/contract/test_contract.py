"""Every attribute of the stacks keeps the rules that AWS publishes for it: pattern, enumeration, length and range.

The sources are the API models of botocore, and the CloudFormation schemas in `cloudformation.json`. AWS checks more
than it publishes, so it can still reject a platform that passes.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from eks_gitops.config import Config
from eks_gitops.location import Location
from stacks import rules
from tests import ROOT
from tests.contract import platforms
from tests.contract.attributes import Attribute
from tests.contract.contract import ABSOLUTE, COVERED, REASONS, TABLE, Report
from tests.contract.models import CLOUDFORMATION, compiled, members, normalized
from tests.template import every_stack


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The check of all platforms, each synthesized once."""
    result = Report()
    for platform in (platforms.maximal(), platforms.minimal(), platforms.existing_vpc()):
        result.add(every_stack(platform, tmp_path_factory.mktemp("platform")))
    return result


@pytest.mark.parametrize("platform", [platforms.maximal, platforms.minimal, platforms.existing_vpc])
def test_platform_has_valid_settings(platform: Any) -> None:
    assert rules.broken(*platform()) == []


def _configs(value: Any) -> Iterator[Config]:
    if isinstance(value, Config):
        yield value
        value = tuple(vars(value).values())
    for item in value if isinstance(value, tuple | list) else ():
        yield from _configs(item)


def _types(base: type[Config]) -> Iterator[type[Config]]:
    for kind in base.__subclasses__():
        if kind.__module__.startswith(("eks_gitops.", "stacks.")):
            yield kind
        yield from _types(kind)


def test_maximal_platform_has_every_optional_setting() -> None:
    """A new optional field is to be set in `platforms.maximal`, to another value than the default.

    `platforms.minimal` and `platforms.existing_vpc` have those that exclude settings of `platforms.maximal`.
    """
    every = (platforms.maximal(), platforms.minimal(), platforms.existing_vpc())
    configs = [config for platform in every for config in _configs(platform)]
    unset = [
        f"{kind.__name__}.{name}"
        for kind in _types(Config)
        if kind is not Location  # which the settings have none of
        for name, field in kind.model_fields.items()
        if name in kind.__annotations__  # the base has the others
        and not field.is_required()
        and not any(getattr(config, name) != field.default for config in configs if isinstance(config, kind))
    ]
    assert unset == []


def test_no_published_rule_is_broken(report: Report) -> None:
    assert sorted(map(str, report.violations)) == []


def test_every_attribute_is_in_the_table(report: Report) -> None:
    """Add those that are listed here to `mapping.toml`."""
    assert sorted(report.unknown) == []


def test_every_name_in_the_table_is_needed(report: Report) -> None:
    named = {
        (kind, name) for kind, entry in TABLE.items() for name in (*entry.get("names", {}), *entry.get("absent", ()))
    }
    assert named - report.used == set()


def _exists(models: list[str], target: str) -> bool:
    absolute = ABSOLUTE.fullmatch(target)
    roots, path = ([absolute["root"]], absolute["path"]) if absolute else (models, target)
    return any(f"{found}.".startswith(f"{normalized(path)}.") for root in roots for found in members(root))


def test_every_member_in_the_table_exists() -> None:
    """A property without a rule is not in `cloudformation.json`, and does not exist here."""
    missing = [
        f"{kind}: {target}"
        for kind, entry in TABLE.items()
        for targets in entry.get("names", {}).values()
        for target in ([targets] if isinstance(targets, str) else targets)
        if not _exists(entry["models"], target)
    ]
    assert missing == []


def test_coverage(report: Report) -> None:
    """Run pytest with `-rP` to see the figures."""
    print(report)
    for reason in REASONS:
        print(f"{reason}:", *report.coverage[reason], sep="\n  ")
    assert len(report.coverage[COVERED]) >= 290
    assert report.checks.total() >= 11_000
    assert len(report.places) >= 1_700
    assert {member for member, _ in report.java} == {
        "autoscaling.CreateLaunchConfiguration.BlockDeviceMappings.DeviceName",
        "autoscaling.CreateLaunchConfiguration.UserData",
        "budgets.CreateBudget.Budget.BudgetName",
    }


@pytest.mark.parametrize(
    ("attribute", "value", "kind", "message"),
    [
        (
            "aws_iam_role.name",
            "a/b",
            "pattern",
            r"matches [\w+=,.@-]+ (iam.CreateRole.RoleName, botocore",
        ),
        (
            "aws_security_group.description",
            "The cluster's API",
            "pattern",
            "(AWS::EC2::SecurityGroup.GroupDescription, cfn-lint",
        ),
        ("aws_subnet.vpc_id", "10.0.0.0/16", "format", "is ^vpc-"),
        ("aws_vpc.cidr_block", "10.0.0.1/16", "format", "is ipv4-network"),
        ("aws_eks_node_group.capacity_type", "CHEAP", "enum", "one of ON_DEMAND, SPOT, CAPACITY_BLOCK"),
        ("aws_cloudwatch_log_group.retention_in_days", 8, "enum", "one of 1, 3, 5, 7, 14"),
        ("aws_iam_role.name", "a" * 65, "length", "length at least 1 and at most 64, not 65 (iam"),
        ("aws_iam_role.name", "a" * 65 + "${aws_vpc.vpc.id}", "length", "length at most 64, not 65 (iam"),
        ("aws_iam_role.max_session_duration", 60, "range", "range at least 3600 and at most 43200, not 60 (iam"),
        ("aws_kms_key.deletion_window_in_days", 31, "range", "(AWS::KMS::Key.PendingWindowInDays, cfn-lint"),
        ("aws_efs_access_point.posix_user.uid", "root", "range", "not nan (efs"),
        ("aws_iam_role.assume_role_policy", '{"Statement": ', "json", "valid JSON"),
        ("aws_cloudwatch_log_group.tags.key", "a;b", "pattern", "matches ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+)$"),
    ],
)
def test_finds_a_broken_rule(attribute: str, value: Any, kind: str, message: str) -> None:
    resource, _, path = attribute.partition(".")
    report = Report()
    report.check(Attribute("dev", resource, f"{resource}.one", path, value))
    assert kind in {violation.kind for violation in report.violations}
    (found,) = [text for text in map(str, report.violations) if message in text]
    assert found.startswith(f"dev: {resource}.one: {path}: {value!r}: ")


def test_finds_too_many_items() -> None:
    report = Report()
    report.check(Attribute("dev", "aws_iam_role", "aws_iam_role.one", "tags", 51, is_count=True))
    assert {violation.rule for violation in report.violations} == {
        "items at most 50, not 51",
        "items at least 0 and at most 50, not 51",
    }


def test_finds_an_attribute_that_is_not_in_the_table() -> None:
    report = Report()
    report.check(Attribute("dev", "aws_vpc", "aws_vpc.one", "colour", "blue"))
    report.check(Attribute("dev", "aws_lambda_function", "aws_lambda_function.one", "name", "one"))
    assert report.unknown == {"aws_vpc.colour", "aws_lambda_function"}
    assert report.violations == []


def test_pattern_that_python_cannot_compile_is_not_checked() -> None:
    assert compiled("[a-z&&[^b]]") is None
    assert compiled(r"[\p{Lower}]") is None


def test_rules_of_cloudformation_are_of_the_pinned_version() -> None:
    """Run `make contract-data`."""
    version = CLOUDFORMATION["source"].removeprefix("cfn-lint ")
    assert f"\nCFN_LINT_VERSION := {version}\n" in (ROOT / "Makefile").read_text()
