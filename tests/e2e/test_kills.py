"""A sample of the matrix in `docs/reliability.md`. `make test-kills` runs all of it."""

from collections.abc import Iterator

import pytest

from tests import ROOT
from tests.kills.cases import CASES, CASES_OF_TWO
from tests.kills.make import worlds
from tests.kills.run import Worlds, run

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_SAMPLE = {
    "deploy: the VPC is created, but not answered: SIGKILL to terraform": "force-unlock, then recover",
    "deploy: the state is not saved yet: SIGTERM to command": "deploy again",
    "destroy: the VPC, one of the last, is deleted, but not answered: SIGKILL to terraform": (
        "force-unlock, then destroy again"
    ),
    "bootstrap: the key is created, but not answered: SIGKILL to provider": "bootstrap again",
    "deploy: the VPC is created, but not answered: SIGKILL to command and provider": "recover",
}


@pytest.fixture(scope="module")
def all_worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        with worlds(tmp_path_factory.mktemp("kills")) as made:
            yield made


@pytest.mark.parametrize("name", _SAMPLE)
def test_nothing_is_lost(name: str, all_worlds: Worlds) -> None:
    (case,) = [case for case in (*CASES, *CASES_OF_TWO) if case.name == name]
    result = run(case, all_worlds)
    assert result.problems == []
    assert result.needed == _SAMPLE[name]
