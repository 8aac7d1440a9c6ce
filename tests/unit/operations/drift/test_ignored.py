"""Reading `drift-ignored.toml`."""

from datetime import date
from pathlib import Path

import pytest

from operations.drift import ignored
from operations.errors import OperationError

ENTRY = """
[[ignored]]
stack = "ap-northeast-2-dev"
finding = "aws_db_instance.main"
attributes = ["engine_version"]
who = "minji"
why = "a test of the next version"
until = 2026-06-30
"""


def test_a_missing_file_has_no_entries(tmp_path: Path) -> None:
    assert ignored.read_ignored(tmp_path / "missing") == []


def test_reads_an_entry(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(ENTRY)
    (entry,) = ignored.read_ignored(tmp_path / "list")
    assert (entry.who, entry.why, entry.until) == ("minji", "a test of the next version", date(2026, 6, 30))


def test_reports_all_errors_at_once(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text(ENTRY.replace('who = "minji"\n', "").replace("2026-06-30", '"soon"') + '[[ignore]]\nstack = "x"\n')
    with pytest.raises(OperationError) as refused:
        ignored.read_ignored(file)
    where = f"{file}: ignored 1 (ap-northeast-2-dev aws_db_instance.main)"
    assert str(refused.value).splitlines() == [
        f"{file}: 'ignore': unknown table; write [[ignored]]",
        f"{where}: who: None: write a non-empty string",
        f"{where}: until: 'soon': write a date without quotes, such as 2026-01-31",
    ]


def test_rejects_invalid_toml_with_the_line_number(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("[[ignored\n")
    with pytest.raises(OperationError, match="line 1"):
        ignored.read_ignored(tmp_path / "list")
