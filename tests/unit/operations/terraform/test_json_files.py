"""Messages about JSON files that cannot be read."""

from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.terraform.json_files import read_json


def test_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert read_json(tmp_path / "a.json", "fix it") == {"a": [1]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not valid JSON (line 1, column 1)"),
        (b'{\n"a"}', "not valid JSON (line 2, column 4)"),
        (b"\xff", "not valid JSON in UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_names_the_problem_and_the_remedy(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(OperationError) as raised:
        read_json(file, "fix it")
    assert str(raised.value) == f"{file}: {problem}; fix it"
