"""The pictures: they show what is synthesized, and nothing of it is outside of its box."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.map import pages, words
from operations.map.drawing import Arrow, Box, svg
from operations.terraform.stacks import Platform, Region, read_platform
from tests import ROOT
from tests.edited_settings import EditedSettings
from tests.stacks import make_stack, write_output
from tests.template import Template, every_stack

_DOCUMENTED = {
    "ap-northeast-2",
    "ap-northeast-2-delivery",
    "ap-northeast-2-shared-identities",
    "ap-northeast-2-dev-identities",
}
_SVG = "{http://www.w3.org/2000/svg}"
_DATABASES = """aurora_databases=(
        {"name": "ledger", "engine": "aurora-mysql", "engine_version": "8.4", "instance_class": "db.r8g.large",
         "readers": 2, "deletion_protection": False, "backup_retention_days": 3},
    ),
    databases=(
        {"name": "bubblepool", "engine_version": "17", "instance_class": "db.t4g.medium", "allocated_storage_gib": 20,
         "max_allocated_storage_gib": 50, "multi_az": True, "deletion_protection": False, "backup_retention_days": 3},
    ),
    karpenter={"max_nodes": 5},
    backup="""


@pytest.fixture(scope="module")
def example(platform: dict[str, Template], platform_folder: Path) -> Platform:  # noqa: ARG001 (synthesized to the folder)
    return read_platform(platform_folder)


@pytest.fixture(scope="module")
def drawn(example: Platform) -> dict[str, str]:
    return {picture.name: picture.svg for picture in pages.pictures(example, words.english)}


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pictures of a platform with most of what the example has not."""
    folder = tmp_path_factory.mktemp("another")
    settings = EditedSettings(folder)
    settings.use_existing_vpc()
    dev = folder / "stacks/ap_northeast_2/dev.py"
    text = dev.read_text()
    dev.write_text(re.sub(r"databases=\(\n.*?\n    \),\n    backup=", lambda _: _DATABASES, text, flags=re.DOTALL))
    settings.add_further_cluster()
    every_stack(settings.load(), folder / "out")
    platform = read_platform(folder / "out")
    return {picture.name: picture.svg for picture in pages.pictures(platform, words.english)}


def _parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 (made by the test itself)


def _texts(picture: str) -> list[str]:
    return [element.text or "" for element in _parsed(picture).iter(f"{_SVG}text")]


def _rows(picture: str) -> list[str]:
    """The texts of each group of boxes that has no group of groups, as a text."""
    groups = [group for group in _parsed(picture).iter(f"{_SVG}g") if not group.findall(f"{_SVG}g/{_SVG}g")]
    return [" | ".join(text.text or "" for text in group.iter(f"{_SVG}text")) for group in groups]


def test_the_region_has_every_subnet_gateway_and_endpoint(drawn: dict[str, str], shared: Template) -> None:
    texts = _texts(drawn["ap-northeast-2"])
    assert texts.count("NAT gateway") == len(shared.resources("aws_nat_gateway"))
    for subnet in shared.resources("aws_subnet").values():
        assert any(text.endswith(f" {subnet['cidr_block']}") for text in texts)
    assert "ecr.api, ecr.dkr, s3" in texts


def test_an_environment_has_its_cluster_nodes_data_and_who_reaches_them(drawn: dict[str, str]) -> None:
    groups = _parsed(drawn["ap-northeast-2"]).iter(f"{_SVG}g")
    rows = [" | ".join(text.text or "" for text in group.iter(f"{_SVG}text")) for group in groups]
    (row,) = [row for row in rows if row.startswith("environment dev")]
    for words_of_row in (
        "Internet | 0.0.0.0/0",
        "load balancer | internet-facing",
        "gitops-cluster-dev | Kubernetes 1.36 | API: private",
        "node group main | t3.medium | 3 (2-10) | AL2023_x86_64_STANDARD ON_DEMAND",
        "database bubblepool | postgres 17 | db.t4g.medium | one zone",
        "file system | EFS",
    ):
        assert words_of_row in row
    labels = _texts(drawn["ap-northeast-2"])
    assert labels.count("tcp 2049") == 3
    assert labels.count("tcp 5432") == 4


def test_identities_name_who_assumes_each_role_and_what_it_may_use(drawn: dict[str, str]) -> None:
    shared, dev = _rows(drawn["ap-northeast-2-shared-identities"]), _rows(drawn["ap-northeast-2-dev-identities"])
    (apply,) = [row for row in shared if "| ap-northeast-2-dev-apply |" in row and row.startswith("GitHub")]
    assert apply.startswith("GitHub your-org/platform:environment:dev | ap-northeast-2-dev-apply | Applies")
    assert "state: kms, s3" in apply
    (controller,) = [row for row in dev if row.startswith("Pod kube-system/aws-load-balancer-controller | ")]
    assert "ec2, elasticloadbalancing" in controller


def test_every_role_of_every_stack_is_drawn(example: Platform, drawn: dict[str, str]) -> None:
    for stack in example.stacks:
        names = {role["name"] for _, _, role in stack.resources() if "assume_role_policy" in role}
        assert names <= set(_texts(drawn.get(f"{stack.name}-identities", "<svg/>")))


def test_delivery_goes_through_the_environments_in_their_order(drawn: dict[str, str]) -> None:
    texts = _texts(drawn["ap-northeast-2-delivery"])
    clusters = [text for text in texts if text.startswith("Argo CD ")]
    assert clusters == ["Argo CD dev", "Argo CD staging", "Argo CD prod"]
    assert [text for text in texts if text in {"shared", "dev", "staging", "prod"}] == [
        "shared",
        "dev",
        "staging",
        "prod",
    ]
    assert "ap-northeast-2-prod-apply" in texts


def test_a_spoke_is_drawn_without_an_argo_cd_of_its_own(tmp_path: Path) -> None:
    settings = EditedSettings(tmp_path)
    settings.replace("ap_northeast_2/staging.py", "gitops=GitopsSettings(", 'gitops=GitopsSettings(hub="dev", ')
    every_stack(settings.load(), tmp_path / "out")
    drawn = {one.name: one.svg for one in pages.pictures(read_platform(tmp_path / "out"), words.english)}
    texts = _texts(drawn["ap-northeast-2-delivery"])
    assert [text for text in texts if text in {"Argo CD dev", "Argo CD staging", "environment staging"}] == [
        "Argo CD dev",
        "environment staging",
    ]


def test_connections_and_ways_to_the_api_are_drawn(tmp_path: Path) -> None:
    settings = EditedSettings(tmp_path)
    settings.replace(
        "ap_northeast_2/shared.py",
        "nat_gateways=",
        'connections=({"id": "tgw-0123456789abcdef0", "cidrs": ("10.9.0.0/16",)},), nat_gateways=',
    )
    settings.replace(
        "ap_northeast_2/shared.py",
        "owns_github_provider=True",
        'owns_github_provider=True, access_host={"zone": "ap-northeast-2a"}',
    )
    settings.replace(
        "ap_northeast_2/dev.py",
        "public_access_cidrs=()",
        'public_access_cidrs=("203.0.113.0/24",), private_access_cidrs=("10.200.0.0/16",)',
    )
    every_stack(settings.load(), tmp_path / "out")
    drawn = {one.name: one.svg for one in pages.pictures(read_platform(tmp_path / "out"), words.english)}
    texts = _texts(drawn["ap-northeast-2"])
    for text in (
        "10.9.0.0/16 → tgw-0123456789abcdef0",
        "access host",
        "API: public",
        "203.0.113.0/24",
        "10.200.0.0/16",
    ):
        assert text in texts


def test_stacks_of_another_form_give_one_message(tmp_path: Path) -> None:
    stack = make_stack(kind="shared", directory=tmp_path)
    write_output(tmp_path, [stack], [Region(stack.region, "", ["dev"], "")])
    (tmp_path / "cdk.tf.json").write_text(
        json.dumps({"resource": {"aws_vpc": {"vpc": {}}}, "terraform": {"backend": {"s3": {}}}})
    )
    with pytest.raises(
        OperationError, match=r"the stacks are not as main\.py writes them .*; synthesize again: make synth"
    ):
        pages.write(read_platform(tmp_path), tmp_path / "map")
    assert not (tmp_path / "map").exists()


def test_what_the_example_has_not_is_drawn(another: dict[str, str]) -> None:
    texts = _texts(another["ap-northeast-2"])
    assert "existing VPC vpc-0123456789abcdef0 10.0.0.0/16" in texts
    assert "private subnet-0123456789abcde0a" in texts
    assert "public tier=public" in texts
    for text in ("Karpenter", "standby in another zone", "readers: 2", "tcp 3306", "environment dev-blue"):
        assert text in texts


def _boxes(element: ET.Element, outer: ET.Element | None = None) -> Iterator[tuple[ET.Element, ET.Element]]:
    """Each box with the one that contains it."""
    rect = element.find(f"{_SVG}rect")
    if rect is not None and outer is not None:
        yield rect, outer
    for group in element.findall(f"{_SVG}g"):
        yield from _boxes(group, outer if rect is None else rect)


def _edges(rect: ET.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(rect.get(name, "nan")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_every_box_is_inside_of_its_outer_box(drawn: dict[str, str], another: dict[str, str]) -> None:
    for picture in (*drawn.values(), *another.values()):
        pairs = list(_boxes(_parsed(picture)))
        for inner, outer in pairs:
            (left, top, right, bottom), (least, highest, most, lowest) = _edges(inner), _edges(outer)
            assert least <= left < right <= most
            assert highest <= top < bottom <= lowest


def test_text_is_escaped_and_arrows_lead_from_box_to_box() -> None:
    box = Box(children=(Box("<a & b>", key="a"), Box("b", key="b")), across=True, gap=50)
    root = _parsed(svg(box, [Arrow("a", "b", "to")], "name"))
    first, second = (_edges(rect) for rect in root.iter(f"{_SVG}rect"))
    path = root.findall(f"{_SVG}path")[-1].get("d", "")
    assert path.startswith(f"M{first[2]:.0f} ")
    assert path.endswith(f" {second[0]:.0f} {(second[1] + second[3]) / 2:.0f}")
    assert [text.text for text in root.iter(f"{_SVG}text")] == ["<a & b>", "b", "to"]


def test_the_pages_have_every_picture_in_both_languages(example: Platform, tmp_path: Path) -> None:
    english, korean = pages.write(example, tmp_path / "map")
    drawings = sorted(path.name for path in (tmp_path / "map").glob("*.svg"))
    assert len(drawings) == 2 * 6
    for page, language, word in ((english, "en", "load balancer"), (korean, "ko", "로드 밸런서")):
        text = page.read_text(encoding="utf-8")
        assert f'<html lang="{language}">' in text
        assert text.count("<figure ") == 6
        assert word in text
        assert not re.search(r'(?:src|href)="https?:', text)  # nothing is loaded from elsewhere


def test_every_translated_word_is_used() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "operations/map").glob("*.py"))
    code = sources.replace((ROOT / "operations/map/words.py").read_text(encoding="utf-8"), "")
    values = {"internet-facing", "internal", "public", "private", "database"}
    assert {word for word in words._KOREAN if json.dumps(word) not in code and f"'{word}'" not in code} <= values


def test_the_pictures_in_the_documentation_are_those_of_the_example(
    example: Platform, request: pytest.FixtureRequest
) -> None:
    expected = {
        f"{picture.name}{suffix}.svg": picture.svg
        for suffix, word in (("", words.english), (".ko", words.korean))
        for picture in pages.pictures(example, word)
        if picture.name in _DOCUMENTED
    }
    folder = ROOT / "docs/images"
    if request.config.option.update_snapshots:
        for name, text in expected.items():
            (folder / name).write_text(text, encoding="utf-8")
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")}
    assert written == expected, "run `make snapshots`"
