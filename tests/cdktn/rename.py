"""Replaces the names of CDKTF's packages by those of CDK Terrain: `python -m tests.cdktn.rename [FOLDER]`."""

import argparse
import re
from pathlib import Path

from tests import ROOT

_NAMES = (
    (re.compile(r"\bcdktf_cdktf_provider_"), "cdktn_provider_"),
    (re.compile(r"\bcdktf-cdktf-provider-"), "cdktn-provider-"),
    (re.compile(r"^( *(?:from|import) )cdktf\b(?!\.)", re.MULTILINE), r"\1cdktn"),
    (re.compile(r"\bcdktf\.(?=[A-Z])"), "cdktn."),
    (re.compile(r'"cdktf(?===)'), '"cdktn'),  # the dependencies in constructs/pyproject.toml
)
_FILES = ("main.py", "pyproject.toml", "constructs/pyproject.toml")
_FOLDERS = ("constructs/eks_gitops", "stacks", "tests")
_HERE = ROOT / "tests/cdktn"


def rename(root: Path) -> list[Path]:
    """Write the files of a copy of the repository that change, and return them."""
    here = root / _HERE.relative_to(ROOT)
    files = [root / file for file in _FILES]
    files += [file for folder in _FOLDERS for file in (root / folder).rglob("*.py") if here not in file.parents]
    changed = []
    for file in sorted(files):
        text = renamed = file.read_text(encoding="utf-8")
        for name, new in _NAMES:
            renamed = name.sub(new, renamed)
        if renamed != text:
            file.write_text(renamed, encoding="utf-8")
            changed.append(file)
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    print(*rename(parser.parse_args().folder), sep="\n")
