import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.repository import all_or_nothing, regions
from operations.repository.regions import NewRegion
from operations.terraform.stacks import Region
from tests import ROOT
from tests.edited_settings import OTHER_ACCOUNT, add_account, with_existing_vpc
from tests.unit.operations.repository.test_environments import SEOUL, contents, copy_of_repository

OREGON = replace(SEOUL, name="us-west-2", shared_settings_file="stacks/us_west_2/shared.py")
NEW = NewRegion(name="us-west-2", like="ap-northeast-2", cidr="10.64.0.0/16")


def with_aws_data(folder: Path) -> Path:
    """A copy of the repository that knows the regions of AWS."""
    data = folder / "constructs/eks_gitops/aws_data.json"
    data.parent.mkdir(parents=True)
    shutil.copy(ROOT / "constructs/eks_gitops/aws_data.json", data)
    return copy_of_repository(folder)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return with_aws_data(tmp_path)


def _add(tree: Path, new: NewRegion = NEW, known: tuple[Region, ...] = (SEOUL,)) -> None:
    files = regions.with_region(tree, new, known)
    all_or_nothing.write_files({tree / path: text for path, text in files.items()})


def test_an_added_region_can_be_removed_again_without_a_trace(tree: Path) -> None:
    before = contents(tree)
    _add(tree)
    assert contents(tree) != before
    files = regions.without_region(tree, "us-west-2", [SEOUL, OREGON])
    all_or_nothing.write_files({tree / path: text for path, text in files.items()})
    assert contents(tree) == before
    assert not (tree / "stacks/us_west_2").exists()


def test_names_networks_and_zones_are_those_of_the_region(tree: Path) -> None:
    _add(tree)
    text = "".join(path.read_text() for path in sorted((tree / "stacks/us_west_2").glob("*.py")))
    for expected in (
        'REGION = "us-west-2"',
        'bucket=f"{OWNER.organisation}-terraform-state-us-west-2"',
        'Zone(name="us-west-2b", public="10.64.2.0/24", private="10.64.64.0/19", database="10.64.12.0/24")',
        'allowed_cidrs=("10.64.0.0/16",)',
        'domain=f"us-west-2.{OWNER.domain}",',
        'domain=f"argocd.prod.us-west-2.{OWNER.domain}",',
        "owns_github_provider=False",
    ):
        assert expected in text
    for unexpected in ("ap-northeast-2", '"10.0.', "Seoul"):
        assert unexpected not in text
    assert 'REGIONS = ("stacks.ap_northeast_2", "stacks.us_west_2")' in (tree / "stacks/regions.py").read_text()


def test_the_copy_of_a_copy_is_below_a_subdomain_of_its_own(tree: Path) -> None:
    _add(tree)
    _add(tree, NewRegion(name="eu-west-1", like="us-west-2", cidr="10.65.0.0/16"), (SEOUL, OREGON))
    text = (tree / "stacks/eu_west_1/shared.py").read_text()
    assert 'domain=f"eu-west-1.{OWNER.domain}",' in text
    assert 'Zone(name="eu-west-1a", public="10.65.1.0/24"' in text
    assert "us-west-2" not in text


@pytest.mark.parametrize(
    ("domain", "of_argo_cd", "expected", "expected_of_argo_cd"),
    [
        ('"a.example"', '"argocd.prod.a.example"', '"us-west-2.a.example"', '"argocd.prod.us-west-2.a.example"'),
        (
            'f"seoul.{OWNER.domain}"',
            'f"argocd.prod.seoul.{OWNER.domain}"',
            'f"us-west-2.seoul.{OWNER.domain}"',
            'f"argocd.prod.us-west-2.seoul.{OWNER.domain}"',
        ),
    ],
)
def test_a_domain_of_the_owners_is_kept_above(
    tree: Path, domain: str, of_argo_cd: str, expected: str, expected_of_argo_cd: str
) -> None:
    for name, old, new in (
        ("shared.py", "domain=OWNER.domain", f"domain={domain}"),
        ("prod.py", 'domain=f"argocd.prod.{OWNER.domain}"', f"domain={of_argo_cd}"),
    ):
        path = tree / "stacks/ap_northeast_2" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    _add(tree)
    assert f"domain={expected}," in (tree / "stacks/us_west_2/shared.py").read_text()
    assert f"domain={expected_of_argo_cd}," in (tree / "stacks/us_west_2/prod.py").read_text()


def test_the_domain_can_be_the_only_argument(tree: Path) -> None:
    path = tree / "stacks/ap_northeast_2/shared.py"
    dns = "dns=DnsConfig(domain=OWNER.domain),"
    path.write_text(re.sub(r"dns=DnsConfig\([^)]*\),", dns, path.read_text()))
    assert dns in path.read_text()
    _add(tree)
    expected = 'dns=DnsConfig(domain=f"us-west-2.{OWNER.domain}"),'
    assert expected in (tree / "stacks/us_west_2/shared.py").read_text()


def test_the_zone_of_the_subdomain_is_created(tree: Path) -> None:
    path = tree / "stacks/ap_northeast_2/shared.py"
    path.write_text(path.read_text().replace("hosted_zone_id=None", 'hosted_zone_id="Z0123456789"'))
    _add(tree)
    copy = (tree / "stacks/us_west_2/shared.py").read_text()
    assert "hosted_zone_id=None," in copy
    assert "Z0123456789" not in copy


def test_addresses_outside_the_vpc_stay(tree: Path) -> None:
    path = tree / "stacks/ap_northeast_2/dev.py"
    others = '"192.0.2.0/24", "10.1.2.3/32", "10.0.0.0/8", "10.0.0.0/15", "1.2.3.400", "10.0.2.3/40"'
    path.write_text(path.read_text() + f'\nOFFICE = ({others}, "10.0.2.3/32", "10.0.2.4")\n')
    _add(tree)
    copy = (tree / "stacks/us_west_2/dev.py").read_text()
    assert f'OFFICE = ({others}, "10.64.2.3/32", "10.64.2.4")' in copy


def test_an_arn_stays_as_what_it_names_is_not_copied(tree: Path) -> None:
    path = tree / "stacks/ap_northeast_2/dev.py"
    arns = """
WEB_ACL = "arn:aws:wafv2:ap-northeast-2:123456789012:regional/webacl/office/1"
ROLE = 'arn:aws:iam::123456789012:role/ap-northeast-2-admin'
"""
    path.write_text(path.read_text() + arns)
    _add(tree)
    assert (tree / "stacks/us_west_2/dev.py").read_text().endswith(arns)


def test_what_the_copy_imports_is_in_its_own_folder(tree: Path) -> None:
    path = tree / "stacks/ap_northeast_2/dev.py"
    path.write_text(path.read_text() + "\nfrom stacks.ap_northeast_2.nodes import NODES\n")
    _add(tree)
    assert "\nfrom stacks.us_west_2.nodes import NODES\n" in (tree / "stacks/us_west_2/dev.py").read_text()


def test_zones_are_taken_by_their_order_as_some_letters_are_missing(tree: Path) -> None:
    shared = tree / "stacks/ap_northeast_2/shared.py"
    lines = shared.read_text().splitlines(keepends=True)
    shared.write_text("".join(line for line in lines if 'name="ap-northeast-2c"' not in line))
    _add(tree, replace(NEW, name="us-west-1"))
    assert re.findall('name="(us-west-1.)"', (tree / "stacks/us_west_1/shared.py").read_text()) == [
        "us-west-1a",
        "us-west-1c",
    ]


_NO_NETWORK = "not a network as large as that of ap-northeast-2 (10.0.0.0/16); use one such as 10.1.0.0/16"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "mars-1"}, "name: 'mars-1': not a region of AWS; write one such as us-west-2"),
        ({"name": "ap-northeast-2"}, "name: 'ap-northeast-2': the platform has this region already; choose another"),
        ({"name": "eu-west-1"}, "name: 'eu-west-1': stacks/eu_west_1 exists already; choose another"),
        ({"like": ""}, "like: '': not a region of this platform; use one of ap-northeast-2"),
        (
            {"like": "moon-1", "name": "mars-1"},
            "name: 'mars-1': not a region of AWS; write one such as us-west-2\nlike: ",
        ),
        *(
            ({"cidr": cidr}, f"cidr: {cidr!r}: {_NO_NETWORK}")
            for cidr in ("", "10.1.0.0/20", "10.1.0.1/16", "10.1.0.0/33", "x", "::/16")
        ),
        (
            {"name": "cn-north-1"},
            "name: 'cn-north-1': another partition of AWS than ap-northeast-2, with its own accounts; choose another",
        ),
        (
            {"name": "us-west-1"},
            "name: 'us-west-1': has fewer zones than ap-northeast-2 uses, none for ap-northeast-2c",
        ),
    ],
)
def test_unsuitable_values_are_refused(tree: Path, changes: dict[str, str], message: str) -> None:
    (tree / "stacks/eu_west_1").mkdir()
    with pytest.raises(OperationError, match=f"^{re.escape(message)}"):
        regions.with_region(tree, replace(NEW, **changes), [SEOUL])


def test_removing_one_removes_what_only_its_environments_have(tree: Path) -> None:
    other = replace(OREGON, environments=["prod"])
    (tree / "stacks/us_west_2").mkdir()
    files = regions.without_region(tree, "ap-northeast-2", [SEOUL, other])
    removed = {str(path) for path, text in files.items() if text is None}
    assert "service/bubblepool/overlays/dev/application.yaml" in removed
    assert not {path for path in removed if "overlays/prod" in path}
    workflow = files[Path(".github/workflows/deploy.yaml")]
    assert workflow is not None
    assert "staging" not in workflow
    assert "\n  prod:\n" in workflow


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("us-west-2", "name: 'us-west-2': not a region of this platform; use one of ap-northeast-2"),
        ("ap-northeast-2", "name: 'ap-northeast-2': the only region of this platform; add another one first"),
    ],
)
def test_what_cannot_be_removed(tree: Path, name: str, message: str) -> None:
    with pytest.raises(OperationError, match=f"^{re.escape(message)}$"):
        regions.without_region(tree, name, [SEOUL])


def test_a_region_with_an_existing_vpc_is_not_copied(tree: Path) -> None:
    shared = tree / "stacks/ap_northeast_2/shared.py"
    shared.write_text(with_existing_vpc(shared.read_text()))
    with pytest.raises(OperationError) as raised:
        _add(tree)
    assert str(raised.value) == (
        "like: 'ap-northeast-2': its VPC exists already, and a copy cannot name that of another region; use a region "
        "with VpcConfig, or copy stacks/ap_northeast_2 by hand, and set vpc"
    )


def test_the_accounts_of_the_region_are_copied(tree: Path) -> None:
    """With another bucket and network; the account has an identity provider for GitHub already."""
    add_account(tree / "stacks/ap_northeast_2", "prod")
    _add(tree)
    text = (tree / "stacks/us_west_2/shared.py").read_text()
    assert 'bucket=f"{OWNER.organisation}-terraform-state-production-us-west-2"' in text
    assert (text.count('cidr="10.64.0.0/16"'), text.count("owns_github_provider=False")) == (2, 2)
    for file in ("shared.py", "prod.py"):
        assert f'account_id="{OTHER_ACCOUNT}"' in (tree / "stacks/us_west_2" / file).read_text()
