"""Reviewed TOML files of exceptions."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.repository.waivers import read_waivers

FIELDS: dict[str, type] = {"stack": str, "address": str, "arguments": list, "until": date}


def _read(folder: Path, text: str) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    (folder / "waivers.toml").write_text(text)
    return read_waivers(folder / "waivers.toml", "waiver", FIELDS, about="address", optional={"arguments"})


def test_entries_are_read_with_a_description_for_messages(tmp_path: Path) -> None:
    entries, problems = _read(
        tmp_path,
        """
        [[waiver]]
        stack = "dev"
        address = "aws_db_instance.database"
        arguments = ["engine_version"]
        until = 2026-01-31
        [[waiver]]
        stack = "prod"
        address = "aws_vpc.vpc"
        until = 2026-02-28
        """,
    )
    assert problems == []
    file = tmp_path / "waivers.toml"
    assert [where for where, _ in entries] == [
        f"{file}: waiver 1 (dev aws_db_instance.database)",
        f"{file}: waiver 2 (prod aws_vpc.vpc)",
    ]
    assert entries[0][1]["arguments"] == ["engine_version"]
    assert entries[1][1] == {"stack": "prod", "address": "aws_vpc.vpc", "until": date(2026, 2, 28)}


def test_all_errors_are_listed_and_valid_entries_are_kept(tmp_path: Path) -> None:
    entries, problems = _read(
        tmp_path,
        """
        title = "waivers"
        [[waiver]]
        stack = " "
        address = 1
        arguments = []
        until = "2026-01-31"
        ticket = "1"
        [[waiver]]
        stack = "prod"
        address = "aws_vpc.vpc"
        until = 2026-02-28
        """,
    )
    assert [entry["stack"] for _, entry in entries] == ["prod"]
    file = tmp_path / "waivers.toml"
    assert problems == [
        f"{file}: 'title': unknown table; write [[waiver]]",
        f"{file}: waiver 1 (  1): 'ticket': unknown field; remove it",
        f"{file}: waiver 1 (  1): stack: ' ': write a non-empty string",
        f"{file}: waiver 1 (  1): address: 1: write a non-empty string",
        f'{file}: waiver 1 (  1): arguments: []: write a list of names, such as ["engine_version"]',
        f"{file}: waiver 1 (  1): until: '2026-01-31': write a date without quotes, such as 2026-01-31",
    ]


def test_without_the_file_there_are_no_entries(tmp_path: Path) -> None:
    assert read_waivers(tmp_path / "none.toml", "waiver", FIELDS, about="address") == ([], [])


@pytest.mark.parametrize("text", ["[waiver]", "waiver = 1", "waiver = [1]"])
def test_rejects_entries_that_are_not_an_array_of_tables(tmp_path: Path, text: str) -> None:
    with pytest.raises(OperationError, match=r"waivers\.toml: \[waiver\]: write \[\[waiver\]\]$"):
        _read(tmp_path, text)
