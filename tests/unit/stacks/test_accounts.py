"""A region with two accounts: dev and staging are in that of the region, and prod in a further one."""

import json
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import pytest

from operations.terraform.stacks import read_stacks
from stacks import warnings
from stacks.loading import SettingsError
from tests.edited_settings import OTHER_ACCOUNT, EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack

MAIN = "123456789012"
REGION = "ap-northeast-2"
SHARED, PRODUCTION, PROD = f"{REGION}-shared", f"{REGION}-shared-production", f"{REGION}-prod"
IN_PRODUCTION = {f"{REGION}-backend-production", PRODUCTION, PROD, f"{PROD}-gitops"}
SHARED_FILE = "ap_northeast_2/shared.py"
ROLES = f"arn:aws:iam::{MAIN}:role/{REGION}/delivery/{SHARED}-delegation-"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings, and in `out` their synthesized stacks."""
    return tmp_path_factory.mktemp("accounts")


@pytest.fixture(scope="module")
def accounts(folder: Path) -> dict[str, Template]:
    settings = EditedSettings(folder)
    settings.add_account("prod")
    return every_stack(settings.load(), folder / "out")


@pytest.fixture
def edited(tmp_path: Path) -> EditedSettings:
    settings = EditedSettings(tmp_path)
    settings.add_account("prod")
    return settings


def _account(stack: str) -> str:
    return OTHER_ACCOUNT if stack in IN_PRODUCTION else MAIN


def test_the_further_account_has_a_backend_and_a_shared_stack_of_its_own(
    accounts: dict[str, Template], platform: dict[str, Template]
) -> None:
    assert set(accounts) == {*platform, f"{REGION}-backend-production", PRODUCTION}


def test_the_environments_of_the_first_account_do_not_change(
    accounts: dict[str, Template], platform: dict[str, Template]
) -> None:
    for name in ("backend", "dev", "dev-gitops", "staging", "staging-gitops"):
        assert accounts[f"{REGION}-{name}"].raw == platform[f"{REGION}-{name}"].raw


def test_every_stack_accepts_only_its_own_account(accounts: dict[str, Template]) -> None:
    for name, stack in accounts.items():
        expected = [_account(name)]
        first, *others = stack.json["provider"]["aws"]
        assert first["allowed_account_ids"] == expected
        # Only the domain of the region is written in another account.
        assert [one["alias"] for one in others] == (["domain"] if name == PROD else [])
        assert [one["allowed_account_ids"] for one in others] == ([[MAIN]] if name == PROD else [])
        assert stack.json["terraform"]["backend"]["s3"]["allowed_account_ids"] == expected


def test_every_stack_stores_and_reads_states_of_its_own_account_only(accounts: dict[str, Template]) -> None:
    for name, stack in accounts.items():
        prefix = "your-org-terraform-state-production" if name in IN_PRODUCTION else "your-org-terraform-state"
        bucket = f"{prefix}-{REGION}"
        assert stack.json["terraform"]["backend"]["s3"]["bucket"] == bucket
        for state in stack.json.get("data", {}).get("terraform_remote_state", {}).values():
            assert (state["config"]["bucket"], state["config"]["allowed_account_ids"]) == (bucket, [_account(name)])


def test_each_account_has_the_delivery_roles_of_its_environments(accounts: dict[str, Template]) -> None:
    """The objects of both are the GitHub variable `AWS_ROLES`, and the lists are `AWS_BACKUPS`."""
    roles = {
        **accounts[SHARED].json["output"]["roles"]["value"],
        **accounts[PRODUCTION].json["output"]["roles"]["value"],
    }
    assert {place: set(one["apply"]) for place, one in roles.items()} == {
        REGION: {"shared", "dev", "staging"},
        f"{REGION}-production": {"shared", "prod"},
    }
    backups = [one for name in (SHARED, PRODUCTION) for one in accounts[name].json["output"]["backups"]["value"]]
    assert [(one["stack"], one.get("place")) for one in backups] == [
        (f"{REGION}-dev", None),
        (f"{REGION}-staging", None),
        (PROD, f"{REGION}-production"),
    ]
    for name in (SHARED, PRODUCTION):
        providers = accounts[name].resources("aws_iam_openid_connect_provider")
        assert list(providers) == ["github_provider"]
        trust = accounts[name].document("aws_iam_role.plan_role", "assume_role_policy")["Statement"][0]
        provider = f"arn:aws:iam::{_account(name)}:oidc-provider/token.actions.githubusercontent.com"
        assert trust["Principal"] == {"Federated": [provider]}


def test_images_and_domain_stay_in_the_account_of_the_region(accounts: dict[str, Template]) -> None:
    of_region = ("aws_ecr_repository", "aws_route53_zone")
    assert [bool(accounts[SHARED].resources(kind)) for kind in of_region] == [True, True]
    assert [accounts[PRODUCTION].resources(kind) for kind in of_region] == [{}, {}]
    assert {"name_servers", "push_role_arns"}.isdisjoint(accounts[PRODUCTION].json["output"])
    secret = json.dumps(accounts[f"{PROD}-gitops"].resources("kubernetes_secret_v1"))
    assert f"{MAIN}.dkr.ecr.{REGION}.amazonaws.com" in secret


def test_only_the_further_account_may_pull_images(accounts: dict[str, Template], platform: dict[str, Template]) -> None:
    policies = accounts[SHARED].resources("aws_ecr_repository_policy")
    assert len(policies) == len(accounts[SHARED].resources("aws_ecr_repository"))
    for policy in policies.values():
        (statement,) = json.loads(policy["policy"])["Statement"]
        assert statement["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER_ACCOUNT}:root"]}
        assert statement["Action"] == [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        ]
    assert platform[SHARED].resources("aws_ecr_repository_policy") == {}


def test_a_role_of_the_environment_writes_its_delegation_and_nothing_else(accounts: dict[str, Template]) -> None:
    zone = "${aws_route53_zone.dns_zone.arn}"
    role = Role(accounts[SHARED], "delegation_prod_role")
    change = "route53:ChangeResourceRecordSets"

    def may(record: str, kind: str) -> bool:
        keys = {"NormalizedRecordNames": record, "RecordTypes": kind}
        return role.may(change, zone, tags={}, **{f"{change}{key}": value for key, value in keys.items()})

    assert may("prod.platform.your-domain.com", "NS")
    assert not may("prod.platform.your-domain.com", "A")
    assert not may("dev.platform.your-domain.com", "NS")
    assert not may("argocd.prod.platform.your-domain.com", "NS")
    assert not role.may("route53:DeleteHostedZone", zone, tags={})
    assert not Role(accounts[SHARED], "delegation_plan_role").may(change, zone, tags={})
    trusts = {
        name: accounts[SHARED].document(f"aws_iam_role.{name}", "assume_role_policy")["Statement"][0]["Principal"]
        for name in ("delegation_plan_role", "delegation_prod_role")
    }
    assert set(map(str, trusts.values())) == {str({"AWS": [f"arn:aws:iam::{OTHER_ACCOUNT}:root"]})}


def test_plans_reach_the_domain_with_the_role_that_only_reads(accounts: dict[str, Template]) -> None:
    _, domain = accounts[PROD].json["provider"]["aws"]
    (assumed,) = domain["assume_role"]
    assert assumed["role_arn"] == (
        '${strcontains(data.aws_caller_identity.parent-dns_caller.arn, ":assumed-role/ap-northeast-2-shared-plan/") '
        f'? "{ROLES}plan" : "{ROLES}prod"}}'
    )
    delegation = accounts[PROD].resources("aws_route53_record")["dns_delegation"]
    assert (delegation["provider"], delegation["type"]) == ("aws.domain", "NS")
    others = [one for name, one in accounts[PROD].resources("aws_route53_record").items() if name != "dns_delegation"]
    assert not [one for one in others if "provider" in one]


@pytest.mark.parametrize(
    ("role", "assumed", "expected"),
    [
        ("plan_role", "plan", True),
        ("plan_role", "prod", False),
        ("apply-prod_role", "prod", True),
        ("apply-shared_role", "prod", False),
    ],
)
def test_only_the_apply_role_may_write_the_delegation(
    accounts: dict[str, Template], role: str, assumed: str, *, expected: bool
) -> None:
    found = Role(accounts[PRODUCTION], role)
    assert found.may("sts:AssumeRole", f"{ROLES}{assumed}", tags={}) is expected


def test_the_stacks_say_in_which_account_they_are(accounts: dict[str, Template], folder: Path) -> None:  # noqa: ARG001
    found = {stack.name: stack for stack in read_stacks(folder / "out")}
    for name, stack in found.items():
        further = name in IN_PRODUCTION
        assert stack.account_id == _account(name)
        assert stack.place == (f"{REGION}-production" if further else REGION)
        assert stack.state.backend == f"{REGION}-backend{'-production' if further else ''}"
    assert found[PROD].dependencies == (PRODUCTION,)


def _duplicate(settings: EditedSettings) -> None:
    settings.replace(SHARED_FILE, f'account_id="{OTHER_ACCOUNT}"', "account_id=OWNER.account_id")
    settings.replace("ap_northeast_2/prod.py", f'account_id="{OTHER_ACCOUNT}"', "account_id=OWNER.account_id")


def _replaced(file: str, old: str, new: str) -> Callable[[EditedSettings], None]:
    return lambda settings: settings.replace(file, old, new)


def _connected(settings: EditedSettings) -> None:
    settings.replace(
        SHARED_FILE,
        'nat_gateways="one-per-zone"',
        'connections=({"id": "tgw-0123456789abcdef0", "cidrs": ("172.20.0.0/16",)},), nat_gateways="one-per-zone"',
    )


@pytest.mark.parametrize(
    ("edit", "errors"),
    [
        (
            _duplicate,
            [
                (
                    f"shared.py: accounts[0].account_id: '{MAIN}': already the account of the region; "
                    "list each account once"
                ),
                (
                    "shared.py: accounts[0].owns_github_provider: True: ap-northeast-2 already owns the account's "
                    "identity provider for GitHub; set it to False"
                ),
            ],
        ),
        (
            _replaced("ap_northeast_2/prod.py", f'"{OTHER_ACCOUNT}"', "OWNER.account_id"),
            [
                (
                    f"shared.py: accounts[0].account_id: '{OTHER_ACCOUNT}': no environment names this account; "
                    "set account_id of one, or remove the account"
                )
            ],
        ),
        (
            _replaced("ap_northeast_2/prod.py", f'"{OTHER_ACCOUNT}"', '"111111111111"'),
            [
                (
                    f"prod.py: account_id: '111111111111': not an account of the region; use {MAIN} or "
                    f"{OTHER_ACCOUNT}, or add it to accounts of stacks/ap_northeast_2/shared.py"
                ),
                (
                    f"shared.py: accounts[0].account_id: '{OTHER_ACCOUNT}': no environment names this account; "
                    "set account_id of one, or remove the account"
                ),
            ],
        ),
        (
            _replaced(SHARED_FILE, "-terraform-state-production-", "-terraform-state-"),
            [
                (
                    "shared.py: accounts[0].state.bucket: 'your-org-terraform-state-ap-northeast-2': already used by "
                    "ap-northeast-2; bucket names are global in AWS; choose another name"
                )
            ],
        ),
        (
            _connected,
            [
                (
                    "shared.py: accounts[0].vpc.cidr: 10.0.0.0/16: overlaps the VPC of ap-northeast-2, and "
                    "tgw-0123456789abcdef0 connects both; choose another network"
                )
            ],
        ),
        (
            _replaced(SHARED_FILE, f'("arn:aws:iam::{OTHER_ACCOUNT}:role/your-admin-role",)', "()"),
            [
                (
                    "shared.py: accounts[0].cluster_administrators: '()': no cluster administrator; "
                    "list at least one IAM role"
                )
            ],
        ),
        (
            _replaced(SHARED_FILE, 'name="production"', 'name="Production"'),
            [
                (
                    "shared.py: accounts[0].name: 'Production': use 2 to 12 lower-case letters and digits, "
                    "starting with a letter"
                )
            ],
        ),
        (
            _replaced(SHARED_FILE, "            owns_github_provider=True", "            owns_github_provider=False"),
            [
                (
                    "shared.py: accounts[0].owns_github_provider: False: no region of the account owns the identity "
                    "provider for GitHub; set it to True in exactly one region, or set github_provider_exists"
                )
            ],
        ),
        (
            _replaced("ap_northeast_2/prod.py", "ClusterConfig(", 'ClusterConfig(service_ipv4_cidr="10.0.0.0/20", '),
            [
                (
                    "prod.py: cluster.service_ipv4_cidr: 10.0.0.0/20: overlaps the VPC of ap-northeast-2 "
                    "(10.0.0.0/16); choose another network"
                ),
                (
                    "prod.py: cluster.service_ipv4_cidr: 10.0.0.0/20: overlaps the VPC of ap-northeast-2-production "
                    "(10.0.0.0/16); choose another network"
                ),
            ],
        ),
    ],
)
def test_rejects(edited: EditedSettings, edit: Callable[[EditedSettings], None], errors: Iterable[str]) -> None:
    edit(edited)
    with pytest.raises(SettingsError) as raised:
        edited.load()
    found = [str(one._replace(line=None)).removeprefix("stacks/ap_northeast_2/") for one in raised.value.findings]
    assert found == [*errors]


def test_networks_of_accounts_that_nothing_connects_may_overlap(edited: EditedSettings) -> None:
    _, (region,) = edited.load()
    main, production = region.accounts
    assert main.shared.vpc.cidr == production.shared.vpc.cidr


def test_a_further_account_may_have_a_host_and_runners_of_its_own(edited: EditedSettings, tmp_path: Path) -> None:
    edited.replace(
        SHARED_FILE,
        "            owns_github_provider",
        "            access_host={'zone': 'ap-northeast-2a'}, runners={'connection_arn': "
        f"'arn:aws:codeconnections:{REGION}:{OTHER_ACCOUNT}:connection/01234567-89ab-cdef-0123-456789abcdef'}},"
        " owns_github_provider",
    )
    owner, (region,) = edited.load()
    stacks = every_stack((owner, [region]), tmp_path / "out")
    names = {project["name"] for project in stacks[PRODUCTION].resources("aws_codebuild_project").values()}
    # Their label must not start a runner of the other account.
    assert names == {f"{SHARED}-runner-production-plan", f"{SHARED}-runner-production-prod"}
    assert stacks[PRODUCTION].resources("aws_instance")
    assert not stacks[SHARED].resources("aws_codebuild_project")


def test_an_existing_zone_is_not_looked_for(edited: EditedSettings, tmp_path: Path) -> None:
    edited.replace(SHARED_FILE, "hosted_zone_id=None", 'hosted_zone_id="Z0123456789ABC"')
    prod = every_stack(edited.load(), tmp_path / "out")[PROD]
    assert "aws_route53_zone" not in prod.json["data"]
    assert prod.resources("aws_route53_record")["dns_delegation"]["zone_id"] == "Z0123456789ABC"


def test_an_existing_vpc_and_that_of_a_further_account_may_overlap(edited: EditedSettings, tmp_path: Path) -> None:
    """Nobody can change its networks, so that it may overlap others."""
    edited.use_existing_vpc()
    edited.replace(SHARED_FILE, "from stacks.owner", "from eks_gitops.vpc import VpcConfig, Zone\nfrom stacks.owner")
    _connected(edited)
    stacks = every_stack(edited.load(), tmp_path / "out")
    assert stacks[PRODUCTION].resources("aws_vpc")
    assert not stacks[SHARED].resources("aws_vpc")


def test_warnings_name_the_account(edited: EditedSettings) -> None:
    edited.replace(SHARED_FILE, f'("arn:aws:iam::{OTHER_ACCOUNT}:role', f'("arn:aws:iam::{MAIN}:role')
    edited.replace("owner.py", '"platform.your-domain.com"', '"your-domain.com"')
    owner, regions = edited.load()
    found = [(stack, text) for stack, text in warnings.found(owner, regions, date(2026, 11, 30)) if "shared.py" in text]
    domain = [stack for stack, text in found if "dns.domain" in text]
    assert domain == [SHARED]  # all accounts have the domain of the region
    (administrator,) = [text for stack, text in found if stack == PRODUCTION]
    assert administrator.startswith("stacks/ap_northeast_2/shared.py: accounts[0].cluster_administrators[0]: ")


def test_an_account_without_a_name_is_reported_once(edited: EditedSettings) -> None:
    edited.replace(SHARED_FILE, '            name="production",\n', "")
    with pytest.raises(SettingsError) as raised:
        edited.load()
    (found,) = raised.value.findings
    assert found.problem.field == "accounts[0].name"
