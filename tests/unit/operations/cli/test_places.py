"""The commands for environments and regions; `repository/test_environments.py` covers the files."""

from pathlib import Path

import pytest

from operations.terraform.stacks import Region
from tests.stacks import make_stack, write_output
from tests.unit.operations.cli.conftest import run
from tests.unit.operations.repository.test_environments import SEOUL, contents
from tests.unit.operations.repository.test_regions import with_aws_data


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthesized copy of the repository with one region, which is the current folder."""
    folder = with_aws_data(tmp_path / "repository")
    monkeypatch.chdir(folder)
    _synthesize(folder, SEOUL)
    return folder


def _synthesize(folder: Path, *regions: Region) -> None:
    output = folder / "cdktf.out"
    output.mkdir(exist_ok=True)
    write_output(output, [make_stack(directory=output)], list(regions))


def test_an_environment_is_added_with_the_next_steps(repository: Path) -> None:
    printed = run("environment", "quokka", "--like", "staging").stdout
    lines = printed.splitlines()
    assert "stacks/ap_northeast_2/quokka.py" in lines
    assert lines == [*sorted(lines[: lines.index("")]), *lines[lines.index("") :]]
    for step in ("make format synth snapshots", "GitHub environment quokka", "ap-northeast-2-shared"):
        assert step in printed
    assert (repository / "service/bubblepool/overlays/quokka").is_dir()


def test_an_environment_is_removed_with_a_warning(repository: Path) -> None:
    printed = run("environment", "prod", "--remove").stdout
    assert "removed stacks/ap_northeast_2/prod.py" in printed
    assert "The stacks ap-northeast-2-prod* must be destroyed" in printed
    assert not (repository / "stacks/ap_northeast_2/prod.py").exists()


def test_an_environment_with_invalid_settings_is_removed_without_a_synthesis(repository: Path) -> None:
    before = contents(repository)
    run("environment", "quokka", "--like", "staging")
    (repository / "stacks/ap_northeast_2/quokka.py").write_text("QUOKKA = 1 +")
    run("environment", "quokka", "--remove")
    assert contents(repository) == before


def test_a_region_is_added_and_removed(repository: Path) -> None:
    printed = run("region", "us-west-2", "--like", "ap-northeast-2", "--cidr", "10.64.0.0/16").stdout
    assert "stacks/us_west_2/shared.py" in printed
    assert "make bootstrap" in printed
    printed = run("region", "us-west-2", "--remove").stdout
    assert "removed stacks/us_west_2/shared.py" in printed
    assert "The stacks us-west-2* must be destroyed" in printed
    assert "GitHub environment" not in printed  # the other region has them, too
    assert not (repository / "stacks/us_west_2").exists()


def test_github_environments_that_no_region_needs_any_more_are_named(repository: Path) -> None:
    run("region", "us-west-2", "--like", "ap-northeast-2", "--cidr", "10.64.0.0/16")
    assert "GitHub environment" not in run("environment", "prod", "--region", "ap-northeast-2", "--remove").stdout
    printed = run("region", "us-west-2", "--remove").stdout
    assert [line for line in printed.splitlines() if "GitHub environment" in line] == [
        "                          # - the GitHub environment prod"
    ]
    assert not list(repository.glob("service/*/overlays/prod"))
    printed = run("environment", "staging", "--remove").stdout
    assert "# - the GitHub environment staging\n" in printed


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("environment", "prod"), "error: like: '': no environment of ap-northeast-2; use one of dev, staging, prod"),
        (("environment", "qa", "--remove"), "error: name: 'qa': no environment of ap-northeast-2"),
        (("region", "us-west-2"), "error: like: '': not a region of this platform; use one of ap-northeast-2"),
        (("region", "us-west-2", "--remove"), "error: name: 'us-west-2': not a region of this platform"),
    ],
)
def test_errors_change_nothing(repository: Path, command: tuple[str, ...], message: str) -> None:
    before = contents(repository)
    assert message in run(*command, status=1).stderr
    assert contents(repository) == before
