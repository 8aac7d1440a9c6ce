import re
from datetime import date, timedelta

import pytest

from eks_gitops.versions import EKS_NEWEST_VERSION, EKS_VERSIONS, MYSQL_MAJORS, POSTGRESQL_MAJORS
from stacks import warnings
from stacks.settings import Owner, Region
from tests import ROOT
from tests.edited_settings import EditedSettings

NINETY_DAYS = timedelta(days=90)
END = EKS_VERSIONS["1.36"].end_of_standard_support
LONG_BEFORE = END - timedelta(days=400)
PLACEHOLDERS = """\
placeholders remain in the settings; replace them before you deploy to a real account:
  stacks/owner.py: organisation: 'your-org'
  stacks/owner.py: account_id: '123456789012'
  stacks/owner.py: domain: 'platform.your-domain.com'
  stacks/owner.py: administrator_role_arn: 'arn:aws:iam::123456789012:role/your-admin-role'
  stacks/owner.py: cost_center: 'your-cost-center'
  stacks/owner.py: repository.owner_id: 1
  stacks/owner.py: repository.id: 2
  stacks/ap_northeast_2/shared.py: image_repositories[0].pushed_by.id: 3
  stacks/ap_northeast_2/shared.py: image_repositories[1].pushed_by.id: 4
  stacks/ap_northeast_2/shared.py: image_repositories[2].pushed_by.id: 5"""


def _of_versions(committed: tuple[Owner, list[Region]], today: date) -> list[tuple[str, str]]:
    return [(stack, text) for stack, text in warnings.found(*committed, today) if "cluster.version" in text]


def test_no_warning_earlier_than_ninety_days_before_the_end_of_support(committed: tuple[Owner, list[Region]]) -> None:
    assert _of_versions(committed, END - NINETY_DAYS - timedelta(days=1)) == []


@pytest.mark.parametrize(("days", "verb"), [(-90, "ends"), (-1, "ends"), (0, "ends"), (1, "ended"), (400, "ended")])
def test_warns_from_ninety_days_before_the_end_of_support(
    committed: tuple[Owner, list[Region]], days: int, verb: str
) -> None:
    message = f"standard support {verb} on 2027-08-02, then EKS upgrades the cluster automatically; upgrade it yourself"
    assert _of_versions(committed, END + timedelta(days=days)) == [
        (f"ap-northeast-2-{name}", f"stacks/ap_northeast_2/{name}.py: cluster.version: '1.36': {message}")
        for name in ("dev", "staging", "prod")
    ]


@pytest.mark.parametrize(("days", "verb"), [(-91, None), (-90, "ends"), (0, "ends"), (1, "ended")])
def test_warns_about_versions_of_postgresql(committed: tuple[Owner, list[Region]], days: int, verb: str | None) -> None:
    today = POSTGRESQL_MAJORS["17"] + timedelta(days=days)
    message = f"standard support {verb} on 2030-02-28, then RDS charges for Extended Support; upgrade the database"
    assert [text for _, text in warnings.found(*committed, today) if "engine_version" in text] == [
        f"stacks/ap_northeast_2/{name}.py: databases[{index}].engine_version: '17': {message}"
        for name, index in (("dev", 0), ("staging", 0), ("prod", 0), ("prod", 1))
        if verb
    ]


def test_warns_about_the_version_of_mysql(owned: EditedSettings) -> None:
    owned.replace("ap_northeast_2/dev.py", '"bubblepool"', '"content", engine="mysql"')
    owned.replace("ap_northeast_2/dev.py", 'engine_version="17"', 'engine_version="8.0"')
    message = "standard support ended on 2026-07-31, then RDS charges for Extended Support; upgrade the database"
    ended = MYSQL_MAJORS["8.0"] + timedelta(days=1)
    assert [text for _, text in warnings.found(*owned.load(), ended) if "databases" in text] == [
        f"stacks/ap_northeast_2/dev.py: databases[0].engine_version: '8.0': {message}"
    ]


def test_placeholders_are_reported_in_one_warning(committed: tuple[Owner, list[Region]]) -> None:
    found = list(warnings.found(*committed, LONG_BEFORE))
    ((stack, text),) = [
        one for one in found if not one[1].startswith("service: overlays/")
    ]  # of an owner's environments
    assert stack == "ap-northeast-2-backend"
    assert text.startswith(PLACEHOLDERS)  # a service that `make service` created has its own


def test_the_link_to_the_runbook_of_the_alerts_is_a_placeholder(owned: EditedSettings) -> None:
    file = owned.root / warnings._FILE_IN_GIT
    file.parent.mkdir(parents=True)
    file.write_text((ROOT / warnings._FILE_IN_GIT).read_text())
    ((_, text),) = warnings.found(*owned.load(), LONG_BEFORE)
    assert text.splitlines()[1:] == [
        f"  {warnings._FILE_IN_GIT}:14: url=https://github.com/your-org/platform/blob/main/docs/runbook/alerts.md"
    ]
    assert list(warnings.placeholders(*owned.load())) == []


def test_the_organisation_of_the_code_owners_is_a_placeholder(owned: EditedSettings) -> None:
    file = owned.root / ".github/CODEOWNERS"
    file.parent.mkdir()
    file.write_text((ROOT / ".github/CODEOWNERS").read_text())
    ((_, text),) = warnings.found(*owned.load(), LONG_BEFORE)
    assert text.splitlines()[1:] == ["  .github/CODEOWNERS: @your-org/"]


def test_no_other_file_that_argo_cd_reads_has_a_placeholder_of_the_owner() -> None:
    files = [path for folder in ("management", "service", "helm") for path in (ROOT / folder).rglob("*.yaml")]
    found = [path for path in files if re.search(r"your-org|your-domain|123456789012", path.read_text())]
    assert found == [ROOT / warnings._FILE_IN_GIT]


@pytest.fixture
def owned(
    edited: EditedSettings, committed: tuple[Owner, list[Region]], monkeypatch: pytest.MonkeyPatch
) -> EditedSettings:
    """Settings without placeholders, in a repository without the component `monitoring`."""
    monkeypatch.setattr(warnings, "_ROOT", edited.root)
    for old, new in (
        ("your-org", "acme"),
        ("123456789012", "111122223333"),
        ("your-domain.com", "your-company.com"),
        ("your-admin-role", "admin"),
        ("your-cost-center", "platform"),
        ("owner_id=1", "owner_id=1001"),
        ("id=2", "id=1002"),
    ):
        edited.replace("owner.py", old, new)
    _, (region,) = committed
    for number in {repository.pushed_by.id for repository in region.shared.image_repositories} & set(range(10)):
        edited.replace("ap_northeast_2/shared.py", f"id={number}", f"id={number + 1000}")
    return edited


def test_no_warning_without_placeholders(owned: EditedSettings) -> None:
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == []


def test_warns_about_an_upgrade_of_a_database_until_it_is_removed(owned: EditedSettings) -> None:
    owned.replace("ap_northeast_2/dev.py", 'engine_version="17"', 'engine_version="18", major_upgrade_to="18.4"')
    message = "permits the upgrade to 18, and applies every change immediately; remove it after the deploy"
    field = "stacks/ap_northeast_2/dev.py: databases[0].major_upgrade_to"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [("ap-northeast-2-dev", f"{field}: '18.4': {message}")]


@pytest.mark.parametrize(
    ("domain", "warns"),
    [
        ("your-company.com", True),
        ("your-company.kr", True),
        ("your-company.co.kr", True),
        ("platform.your-company.com", False),
        ("platform.your-company.kr", False),
        ("platform.your-company.co.kr", False),
    ],
)
def test_warns_about_a_domain_that_is_no_subdomain(owned: EditedSettings, domain: str, *, warns: bool) -> None:
    owned.replace("owner.py", "platform.your-company.com", domain)
    found = [text for _, text in warnings.found(*owned.load(), LONG_BEFORE)]
    message = (
        "not a subdomain: whoever points it to the new zone's name servers loses its mail and web; "
        f"use one such as platform.{domain}, or set hosted_zone_id to its existing zone"
    )
    assert found == ([f"stacks/ap_northeast_2/shared.py: dns.domain: {domain!r}: {message}"] if warns else [])


def test_does_not_warn_about_a_domain_whose_zone_exists(owned: EditedSettings) -> None:
    owned.replace("owner.py", "platform.your-company.com", "your-company.com")
    owned.replace("ap_northeast_2/shared.py", "hosted_zone_id=None", 'hosted_zone_id="Z0123456789ABC"')
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == []


def test_warns_about_a_key_of_two_environments(owned: EditedSettings) -> None:
    key = "arn:aws:kms:ap-northeast-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    for name in ("staging", "prod"):
        owned.replace(
            f"ap_northeast_2/{name}.py",
            "    cluster=ClusterConfig(",
            f'    key_arn="{key}",\n    cluster=ClusterConfig(',
        )
    message = "roles of both can decrypt what it encrypts in the other; use one for each"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        (
            f"ap-northeast-2-{name}",
            f"stacks/ap_northeast_2/{name}.py: key_arn: {key!r}: also the key of {other}: {message}",
        )
        for name, other in (("staging", "prod"), ("prod", "staging"))
    ]


def test_warns_about_teardown(owned: EditedSettings) -> None:
    owned.replace("ap_northeast_2/prod.py", "production=True", "production=True, teardown=True")
    owned.replace("ap_northeast_2/prod.py", "deletion_protection=True", "deletion_protection=False")
    message = "teardown: True: environment is not protected; set it to False unless you destroy it now"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-prod", f"stacks/ap_northeast_2/prod.py: {message}")
    ]


def test_warns_about_administrators_of_another_account(owned: EditedSettings) -> None:
    role = '"arn:aws:iam::210987654321:role/partners/admin"'
    for file in ("dev.py", "shared.py"):
        owned.replace(
            f"ap_northeast_2/{file}",
            "(OWNER.administrator_role_arn,)",
            f"(OWNER.administrator_role_arn, {role})",
        )
    message = f"{role[1:-1]!r}: a role of account 210987654321, not of 111122223333; make sure that you trust it"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-shared", f"stacks/ap_northeast_2/shared.py: cluster_administrators[1]: {message}"),
        ("ap-northeast-2-dev", f"stacks/ap_northeast_2/dev.py: cluster.administrators[1]: {message}"),
    ]


def test_warns_about_a_vpc_with_the_network_of_docker(owned: EditedSettings) -> None:
    owned.replace("ap_northeast_2/shared.py", '"10.0.', '"172.17.')
    message = "contains addresses of 172.17.0.0/16, which Docker and some AWS services use; choose another"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-shared", f"stacks/ap_northeast_2/shared.py: vpc.cidr: 172.17.0.0/16: {message}")
    ]


@pytest.mark.parametrize(("region", "warns"), [("us-gov-west-1", True), ("us-west-2", False)])
def test_warns_about_a_regional_nat_gateway_where_aws_did_not_announce_it(
    owned: EditedSettings, region: str, *, warns: bool
) -> None:
    owned.replace("ap_northeast_2/shared.py", '"one-per-zone",', '"regional",')
    owned.move(region)
    if warns:
        owned.replace("owner.py", "arn:aws:", "arn:aws-us-gov:")
        owned.replace("ap_northeast_2/prod.py", "db.m7g.large", "db.m6g.large")
    message = f"announced without GovCloud and China; make sure that {region} offers it, or use one-per-zone"
    found = [text for _, text in warnings.found(*owned.load(), LONG_BEFORE) if "nat_gateways" in text]
    assert found == ([f"stacks/ap_northeast_2/shared.py: vpc.nat_gateways: 'regional': {message}"] if warns else [])


def test_warns_about_services_with_addresses_of_a_connected_network(owned: EditedSettings) -> None:
    connection = '{"id": "tgw-0123456789abcdef0", "cidrs": ("0.0.0.0/0", "172.16.0.0/12")}'
    owned.replace("ap_northeast_2/shared.py", '"one-per-zone",', f'"none", connections=({connection},),')
    owned.replace("ap_northeast_2/dev.py", "administrators=(", 'service_ipv4_cidr="172.20.0.0/16", administrators=(')
    message = (
        "overlaps 172.16.0.0/12 behind tgw-0123456789abcdef0: Pods do not reach these addresses there; "
        "choose another network"
    )
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-dev", f"stacks/ap_northeast_2/dev.py: cluster.service_ipv4_cidr: 172.20.0.0/16: {message}")
    ]


def test_warns_about_a_database_with_a_keyword_as_name(owned: EditedSettings) -> None:
    owned.replace("ap_northeast_2/dev.py", '"bubblepool"', '"content"')
    message = "a keyword of PostgreSQL, which RDS may reject; choose another name for a new database"
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-dev", f"stacks/ap_northeast_2/dev.py: databases[0].name: 'content': {message}")
    ]


_TAINTED = """node_groups=(
        NodeGroupConfig(name="arm", instance_types=("m7g.large",), capacity_type="ON_DEMAND", min_size=1, max_size=3,
                        ami_type="AL2023_ARM_64_STANDARD", desired_size=1,
                        taints=({"key": "arm", "effect": "NO_SCHEDULE"},)),"""
_SINGLE_NODE = (
    "gitops.argo_cd.availability: 'single-node': Argo CD of production stops while its node is replaced; "
    "use high-availability"
)
_SPOT = (
    "node_groups: 'SPOT only': AWS can reclaim all nodes of production at once; "
    "add a group with ON_DEMAND and without taints"
)
_ARM = (
    "build-service builds images for linux/amd64 unless its input platforms names linux/arm64, too; "
    "set it in the workflow of each service, or use "
)
_PROTECTED = "True: teardown is set, but this cluster stops the destroy; set it to False as well"
_INTERNAL = (
    "neither in the VPC (10.0.0.0/16) nor private networks, but this load balancer is internal; "
    "add the networks that are connected to the VPC, or set scheme to internet-facing"
)


@pytest.mark.parametrize(
    ("edits", "warnings_of_prod"),
    [
        (
            [("production=True", "production=True, teardown=True")],
            [
                "teardown: True: environment is not protected; set it to False unless you destroy it now",
                f"cluster.deletion_protection: {_PROTECTED}",
                *[
                    f"databases[{index}].deletion_protection: True: teardown is set, but this database stops the "
                    "destroy; set it to False as well"
                    for index in range(2)
                ],
            ],
        ),
        (
            [('"high-availability"', '"single-node"')],
            [_SINGLE_NODE],
        ),
        ([('"ON_DEMAND"', '"SPOT"')], [_SPOT]),
        ([('"ON_DEMAND"', '"SPOT"'), ("node_groups=(", _TAINTED)], [_SPOT]),
        ([("node_groups=(", _TAINTED)], []),
        (
            [("m7i.large", "m7g.large"), ("AL2023_x86_64_STANDARD", "BOTTLEROCKET_ARM_64")],
            [f"node_groups[0].ami_type: 'BOTTLEROCKET_ARM_64': {_ARM}an AMI type for x86_64"],
        ),
        (
            [("databases=(", 'karpenter={"max_nodes": 10, "architectures": ("amd64", "arm64")}, databases=(')],
            [f"karpenter.architectures: ('amd64', 'arm64'): {_ARM}amd64 only"],
        ),
        (
            [('("10.0.0.0/16",)', '("203.0.113.0/24", "198.51.100.0/24")')],
            [f"gitops.argo_cd.ingress.allowed_cidrs: '203.0.113.0/24, 198.51.100.0/24': {_INTERNAL}"],
        ),
        ([('("10.0.0.0/16",)', '("203.0.113.0/24", "172.16.0.0/24")')], []),
        ([('("10.0.0.0/16",)', '("0.0.0.0/0",)')], []),
        (
            [('"internet-facing", allowed_cidrs=("0.0.0.0/0",)', '"internal", allowed_cidrs=("203.0.113.0/24",)')],
            [f"gitops.ingress.allowed_cidrs: '203.0.113.0/24': {_INTERNAL}"],
        ),
    ],
)
def test_warns_about_combinations(
    owned: EditedSettings, edits: list[tuple[str, str]], warnings_of_prod: list[str]
) -> None:
    for old, new in edits:
        owned.replace("ap_northeast_2/prod.py", old, new)
    assert list(warnings.found(*owned.load(), LONG_BEFORE)) == [
        ("ap-northeast-2-prod", f"stacks/ap_northeast_2/prod.py: {warning}") for warning in warnings_of_prod
    ]


def test_newest_version_of_eks_is_supported() -> None:
    assert list(EKS_VERSIONS)[-1] == EKS_NEWEST_VERSION


def test_versions_are_in_order_without_gaps() -> None:
    minors = [int(version.removeprefix("1.")) for version in EKS_VERSIONS]
    assert minors == list(range(minors[0], minors[0] + len(minors)))
