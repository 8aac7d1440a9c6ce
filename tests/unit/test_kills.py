"""The matrix of kills, and its table in the documentation."""

import re

from tests.kills.cases import CASES, MOMENTS
from tests.kills.make import PAGE, section
from tests.kills.reduced import reduced

_ROW = re.compile(
    r"^\| (deploy|destroy|bootstrap) \| ([^|]+) \| (command|terraform|provider) \| (.+) \|$", re.MULTILINE
)


def test_there_are_twenty_moments_of_all_three_commands() -> None:
    assert len(MOMENTS) == 20
    assert {moment.command for moment in MOMENTS} == {"deploy", "destroy", "bootstrap"}
    assert len({case.name for case in CASES}) == len(CASES) == 20 * 3 * 3


def test_the_page_has_a_cell_for_each_case() -> None:
    _, terraform, _ = section(PAGE.read_text(encoding="utf-8"), "Terraform")
    rows = _ROW.findall(terraform)
    found = [
        (*row, cell)
        for *row, cells in rows
        for cell in zip(("SIGKILL", "SIGTERM", "SIGINT"), cells.split(" | "), strict=True)
    ]
    assert [(command, moment, process, name) for command, moment, process, (name, _) in found] == [
        (case.moment.command, case.moment.name, case.process, case.signal) for case in CASES
    ]
    assert not [row for row in found if not row[3][1].strip() or "failed" in row[3][1]]


def test_a_reduced_stack_has_the_first_resource_of_each_type_with_what_it_refers_to() -> None:
    resources = {
        "aws_nat_gateway": {"nat": {}},
        "aws_route": {"first": {"nat_gateway_id": "${aws_nat_gateway.nat.id}"}, "second": {"gateway_id": "igw-1"}},
        "aws_subnet": {"a": {"vpc_id": "${aws_vpc.one.id}"}, "b": {}},
        "aws_vpc": {"other": {}, "one": {}},
    }
    outputs = {"kept": {"value": "${aws_vpc.one.id}"}, "lost": {"value": "${aws_nat_gateway.nat.id}"}}
    configuration = {"terraform": {}, "provider": {}, "resource": resources, "output": outputs}
    found = reduced(configuration, {"aws_nat_gateway"})
    assert {kind: list(named) for kind, named in found["resource"].items()} == {
        "aws_route": ["second"],
        "aws_subnet": ["a"],
        "aws_vpc": ["other", "one"],
    }
    assert list(found["output"]) == ["kept"]
