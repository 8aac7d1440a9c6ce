"""Writing several files atomically."""

from pathlib import Path

import pytest

from operations.repository.all_or_nothing import write_files


def test_writes_all_files_and_their_folders(tmp_path: Path) -> None:
    write_files({tmp_path / "a/b/new": "new", tmp_path / "other": "other"})
    assert (tmp_path / "a/b/new").read_text() == "new"
    assert (tmp_path / "other").read_text() == "other"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_after_an_error_or_an_interrupt_all_files_are_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "old").write_bytes(b"old\xff")
    write = Path.write_text

    def fail(path: Path, text: str, encoding: str, newline: str) -> int:
        if path.name == "last":
            raise error
        return write(path, text, encoding, newline=newline)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(type(error)):
        write_files({tmp_path / "old": "changed", tmp_path / "a/b/new": "new", tmp_path / "a/c/last": "last"})
    assert (tmp_path / "old").read_bytes() == b"old\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_files_are_removed_with_their_empty_folders(tmp_path: Path) -> None:
    write_files({tmp_path / name: "x" for name in ("a/b/1", "a/b/2", "a/c/3", "d/4")})
    write_files({tmp_path / "a/b/1": None, tmp_path / "a/b/2": None, tmp_path / "d/4": "y"})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/c", "a/c/3", "d", "d/4"]


def test_a_file_keeps_its_ends_of_lines(tmp_path: Path) -> None:
    (tmp_path / "windows").write_bytes(b"a\r\n")
    (tmp_path / "linux").write_bytes(b"a\n")
    write_files({tmp_path / name: "a\nb\n" for name in ("windows", "linux", "new")})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "windows": b"a\r\nb\r\n",
        "linux": b"a\nb\n",
        "new": b"a\nb\n",
    }


def test_removed_files_are_back_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileNotFoundError):
        write_files({tmp_path / "old": None, tmp_path / "missing": None})
    assert (tmp_path / "old").read_text() == "old"
