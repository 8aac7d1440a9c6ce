"""The commands for costs: what they pass on, and their messages."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.cost import price_list
from operations.output.report import Report, Status
from tests.stacks import REGION
from tests.unit.operations.cli.conftest import run


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    folder = tmp_path / "prices"
    folder.mkdir()
    (folder / f"{REGION}.toml").write_text('currency = "USD"\ndate = 2026-01-02\nsource = "a test"\n[prices]\n')
    return folder


def test_cost_of_the_chosen_stacks(output: Path, prices: Path) -> None:
    options = ("--output", output, "--prices", prices, "--json")
    found = json.loads(run("cost", f"{REGION}-dev*", "--base", output, *options).stdout)
    assert found["title"] == f"0.00 USD a month, 0.00 compared with {output}"
    assert list(found["stacks"]) == [f"{REGION}-dev", f"{REGION}-dev-gitops"]


def test_cost_rejects_bad_input_with_one_message(output: Path, prices: Path) -> None:
    options = ("--output", output, "--prices", prices)
    assert "no-stack: no such stack" in run("cost", "no-stack", *options, status=1).stderr
    assert "no-base: neither a Git revision nor" in run("cost", "--base", "no-base", *options, status=1).stderr
    (prices / f"{REGION}.toml").write_text("currency")
    assert "make prices" in run("cost", *options, status=1).stderr


@pytest.mark.parametrize(("arguments", "regions"), [((), [REGION]), (("us-west-2",), ["us-west-2"])])
def test_prices_of_the_regions_of_the_stacks_or_of_others(
    output: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], regions: list[str]
) -> None:
    write = Mock(return_value=Report("the title", Status.FINE, {}))
    monkeypatch.setattr(price_list, "write", write)
    run("prices", *arguments, "--output", output, "--prices", "folder", "--source", "mirror")
    assert write.call_args.args[:3] == (regions, "mirror", Path("folder"))
