"""Changes several files atomically: all of them or none."""

from collections.abc import Mapping
from pathlib import Path


def write_files(files: Mapping[Path, str | None]) -> None:
    """Write all files; None removes one, and its folders if they are empty then. A file keeps its ends of lines.

    After an error or an interrupt, all of them have their old content.
    """
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    created: list[Path] = []
    try:
        for path, text in files.items():
            if text is None:
                path.unlink()
            else:
                created += [folder for folder in reversed(path.parents) if not folder.exists()]
                path.parent.mkdir(parents=True, exist_ok=True)
                is_windows = b"\r\n" in (before[path] or b"")  # Git can check files out like this
                path.write_text(text, encoding="utf-8", newline="\r\n" if is_windows else "\n")
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        for folder in reversed(created):
            folder.rmdir()
        raise
    folders = {folder for path, text in files.items() if text is None for folder in path.parents}
    for folder in sorted(folders, reverse=True):  # those inside others first
        if not any(folder.iterdir()):
            folder.rmdir()
