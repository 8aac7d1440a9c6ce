"""How `docs/compatibility.md` is made, and that it has a row for each version."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests import ROOT, compatibility
from tests.compatibility import PAGE, Check, FailedError, NotRunError

_DATE = datetime(2026, 1, 2, tzinfo=UTC)
_WRITES = """
import os, pathlib
folder = pathlib.Path(os.environ["CDKTF_OUTDIR"], "stacks", "dev")
folder.mkdir(parents=True)
(folder / "cdk.tf.json").write_text(os.environ["TEXT"])
"""


def _check(error: Exception | None) -> Check:
    def run(*, is_sample: bool) -> str:  # noqa: ARG001
        if error:
            raise error
        return "3.12.1"

    return Check("Python 3.12", run)


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (None, "| Python 3.12 | 3.12.1 | passed | 0 | 2026-01-02 |"),
        (NotRunError("not installed"), "| Python 3.12 | | not run: not installed | | 2026-01-02 |"),
        (FailedError("a|b"), "| Python 3.12 | | **failed**: a\\|b | | 2026-01-02 |"),
    ],
)
def test_a_row_says_how_it_ended(error: Exception | None, row: str) -> None:
    assert compatibility.row("Python 3.12", compatibility.outcome(_check(error)), _DATE) == row


def test_the_page_has_a_row_for_each_version() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [check.name for check in compatibility.checks([])]
    assert [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")][2:] == names
    assert page.startswith(compatibility.page([]).partition("The same bytes as with")[0])


def test_different_bytes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compatibility, "_reference", lambda: {"stacks/dev/cdk.tf.json": b"one"})
    command = [sys.executable, "-c", _WRITES]
    compatibility._require_same_bytes(command, {"TEXT": "one"})
    with pytest.raises(FailedError, match=r"^synthesizes another stacks/dev/cdk\.tf\.json$"):
        compatibility._require_same_bytes(command, {"TEXT": "two"})
    with pytest.raises(FailedError, match=r"wrote no stacks$"):
        compatibility._require_same_bytes([sys.executable, "-c", ""], {})
    with pytest.raises(FailedError, match=r"oh no$"):
        compatibility._require_same_bytes([sys.executable, "-c", "raise SystemExit('oh no')"], {})


def test_another_python_gets_the_locked_packages() -> None:
    lock = json.loads((ROOT / "Pipfile.lock").read_text(encoding="utf-8"))
    lines = {line.partition("==")[0]: line for line in compatibility.locked(lock, ("default",))}
    assert lines.keys() == lock["default"].keys() - {"eks-gitops"}
    cdktf = lock["default"]["cdktf"]
    assert lines["cdktf"].startswith(f"cdktf{cdktf['version']} ; {cdktf['markers']} --hash={cdktf['hashes'][0]}")


def test_the_newest_program_of_each_product_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = []
    printed = {"a": "Terraform v1.9.9", "b": "Terraform v1.15.9", "c": "OpenTofu v1.12.6", "helm": "v3.22.0"}
    for name, text in {**printed, "helm-4": "v4.3.2"}.items():
        programs.append(tmp_path / name)
        programs[-1].write_text(f"#!/bin/sh\necho {text}\n")
        programs[-1].chmod(0o755)
    monkeypatch.setattr(compatibility, "_require_tests", lambda *_: None)
    monkeypatch.setattr(compatibility, "_CDKTN", tmp_path / "nowhere")
    rows = {check.name: compatibility.outcome(check, is_sample=True) for check in compatibility.checks(programs)[-5:]}
    assert {name: (row.version, row.text) for name, row in rows.items()} == {
        "Terraform 1.11": ("", "not run: none on the PATH; name one: make compatibility PROGRAMS=PATH"),
        "Terraform, newest": ("1.15.9", "passed"),
        "OpenTofu, newest": ("1.12.6", "passed"),
        "CDK Terrain": ("", "not run: not installed; run: make cdktn-check"),
        "Helm 4": ("4.3.2", "passed"),
    }


def test_opentofu_gets_the_mirror_of_terraform_below_its_own_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Path("hashicorp/aws/5.100.0/linux_amd64/provider")
    (tmp_path / "mirror/registry.terraform.io" / provider).parent.mkdir(parents=True)
    (tmp_path / "mirror/registry.terraform.io" / provider).write_text("the provider")
    config = tmp_path / "terraformrc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/mirror"\n  }}\n}}\n')
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(config))
    folder = tmp_path / "opentofu"
    written = Path(compatibility.mirrored(folder)["TF_CLI_CONFIG_FILE"])
    assert f'path = "{folder}"' in written.read_text()
    assert (folder / "registry.opentofu.org" / provider).read_text() == "the provider"
    (tmp_path / "mirror/registry.opentofu.org").mkdir()
    assert compatibility.mirrored(folder) == {}
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", os.devnull)
    assert compatibility.mirrored(folder) == {}
