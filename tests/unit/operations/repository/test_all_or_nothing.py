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

    def fail(path: Path, text: str, encoding: str) -> int:
        if path.name == "last":
            raise error
        return write(path, text, encoding)

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(type(error)):
        write_files({tmp_path / "old": "changed", tmp_path / "a/b/new": "new", tmp_path / "a/c/last": "last"})
    assert (tmp_path / "old").read_bytes() == b"old\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
