import re
from pathlib import Path

import pytest

from eks_gitops import aws_data
from eks_gitops.engines import ENGINES
from eks_gitops.location import partition_of
from tests import ROOT

_FILE = Path(aws_data.__file__).with_suffix(".json")


def test_data_come_from_the_pinned_versions() -> None:
    pins = re.findall(r"depName=(\S+)\nAWS_DATA_\w+_VERSION := (\S+)\n", (ROOT / "Makefile").read_text())
    assert aws_data.content()["sources"] == dict(pins), "run `make aws-data`"


def test_file_is_small_and_has_no_long_lines_of_rows() -> None:
    assert _FILE.stat().st_size < 300_000
    assert max(len(line) for line in _FILE.read_text().splitlines()) < 1_000


def test_offers_are_of_regions_in_supported_partitions_and_zones_of_their_region() -> None:
    regions = {
        name for name, values in aws_data.content()["regions"].items() if values["partition"] == partition_of(name)
    }
    assert {"ap-northeast-2", "us-west-2", "us-gov-west-1", "cn-north-1"} <= regions
    assert {name for names in aws_data.content()["region_sets"] for name in names} <= regions
    for name in regions:
        region = aws_data.region(name)
        assert region is not None
        assert all(re.fullmatch(rf"{name}[a-f]", zone) for zone in region.zones)


def test_there_is_no_such_region() -> None:
    assert aws_data.region("us-west-3") is None


def test_every_row_refers_to_regions_and_every_set_is_used() -> None:
    content = aws_data.content()
    kinds = ("instance_types", *[f"{engine}_classes" for engine in ENGINES])
    used = {row[-1] for kind in kinds for row in content[kind].values()}
    assert used == set(range(len(content["region_sets"])))


@pytest.mark.parametrize(
    ("engine", "major"), [(name, major) for name, engine in ENGINES.items() for major in engine.majors]
)
def test_supported_majors_of_an_engine_can_be_created(engine: str, major: str) -> None:
    versions = aws_data.content()[f"{engine}_versions"][major]
    assert versions["current"]
    assert set(versions["current"]).isdisjoint(versions["deprecated"])


def test_similar_names_are_the_closest_ones() -> None:
    assert aws_data.similar("us-west-3", ["us-west-1", "af-south-1", "eu-west-3", "us-west-2"]) == (
        "us-west-2, us-west-1, eu-west-3"
    )
