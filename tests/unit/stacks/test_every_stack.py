"""Rules for all stacks, with the example settings and with alternative settings."""

import json
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from eks_gitops.versions import TERRAFORM_CONSTRAINT
from tests.template import Template

ACCOUNT = "123456789012"


@pytest.fixture(scope="module")
def stacks(platform: dict[str, Template], alternative: dict[str, Template]) -> dict[str, Template]:
    return {**platform, **alternative}


def _place(name: str) -> tuple[str, str]:
    """The region and environment of a stack."""
    region, _, environment = name.removesuffix("-gitops").rpartition("-")
    return region, environment


def _remote_states(stacks: dict[str, Template]) -> Iterator[tuple[str, dict[str, object]]]:
    for name, stack in stacks.items():
        for state in stack.json.get("data", {}).get("terraform_remote_state", {}).values():
            yield name, state["config"]


def test_stacks_are_named_by_region_and_environment(platform: dict[str, Template]) -> None:
    assert sorted(platform) == [
        "ap-northeast-2-backend",
        "ap-northeast-2-dev",
        "ap-northeast-2-dev-gitops",
        "ap-northeast-2-prod",
        "ap-northeast-2-prod-gitops",
        "ap-northeast-2-shared",
        "ap-northeast-2-staging",
        "ap-northeast-2-staging-gitops",
    ]


def test_state_is_stored_in_s3_with_the_stacks_own_key(stacks: dict[str, Template]) -> None:
    for name, stack in stacks.items():
        (backend,) = stack.json["terraform"]["backend"].items()
        region, environment = _place(name)
        part = "gitops/" if name.endswith("-gitops") else ""
        assert backend[0] == "s3"
        assert backend[1]["key"] == f"{region}/{environment}/{part}terraform.tfstate"
        assert backend[1]["region"] == region


def test_every_backend_rejects_other_accounts(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        assert stack.json["terraform"]["backend"]["s3"]["allowed_account_ids"] == [ACCOUNT]


def test_every_provider_rejects_other_accounts(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        for provider in stack.json["provider"]["aws"]:
            assert provider["allowed_account_ids"] == [ACCOUNT]


def test_remote_states_are_those_of_the_preceding_stacks_and_reject_other_accounts(stacks: dict[str, Template]) -> None:
    read: dict[str, set[object]] = {}
    for name, config in _remote_states(stacks):
        assert config["allowed_account_ids"] == [ACCOUNT]
        read.setdefault(name, set()).add(config["key"])
    expected: dict[str, set[str]] = {}
    for stack in (
        "ap-northeast-2-dev",
        "ap-northeast-2-prod",
        "ap-northeast-2-staging",
        "us-gov-west-1-dev",
    ):
        region, environment = _place(stack)
        shared = f"{region}/shared/terraform.tfstate"
        expected[stack] = {shared}
        expected[f"{stack}-gitops"] = {shared, f"{region}/{environment}/terraform.tfstate"}
    assert read == expected


def test_every_backend_uses_the_default_encryption_of_the_bucket(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        assert "encrypt" not in stack.json["terraform"]["backend"]["s3"]


def test_every_provider_has_the_stacks_region_and_default_tags(stacks: dict[str, Template]) -> None:
    for name, stack in stacks.items():
        region, environment = _place(name)
        (provider,) = [one for one in stack.json["provider"]["aws"] if "alias" not in one]
        assert provider["region"] == region
        assert provider["default_tags"] == [
            {
                "tags": {
                    "CostCenter": "your-cost-center",
                    "Environment": environment,
                    "ManagedBy": "cdktf",
                    "Owner": "platform",
                    "Project": "gitops-platform",
                    "Region": region,
                }
            }
        ]


def test_required_terraform_version_supports_write_only_arguments(stacks: dict[str, Template]) -> None:
    assert TERRAFORM_CONSTRAINT == ">= 1.11, < 2"
    for stack in stacks.values():
        assert stack.json["terraform"]["required_version"] == TERRAFORM_CONSTRAINT


def test_providers_are_pinned_to_the_version_of_their_bindings(stacks: dict[str, Template]) -> None:
    bindings = {name: version(f"cdktf-cdktf-provider-{name}") for name in ("aws", "helm", "kubernetes")}
    assert bindings == {"aws": "21.22.1", "helm": "12.1.2", "kubernetes": "12.1.1"}
    aws = {"aws": {"source": "aws", "version": "6.25.0"}}
    in_cluster = {
        "helm": {"source": "helm", "version": "3.1.1"},
        "kubernetes": {"source": "kubernetes", "version": "2.38.0"},
    }
    for name, stack in stacks.items():
        required = {**aws, **in_cluster} if name.endswith("-gitops") else aws
        assert stack.json["terraform"]["required_providers"] == required


def test_no_stack_contains_a_database_password(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        assert '"password"' not in json.dumps(stack.json)
