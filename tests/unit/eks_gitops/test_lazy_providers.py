"""Lazy loading of the provider packages makes a synth faster and does not change its output."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eks_gitops import _lazy_providers
from tests import ROOT

_FULL = 2_000  # submodules of the AWS provider package


def _python(*arguments: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20", **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout


def _synthesized(folder: Path, **environment: str) -> tuple[dict[str, bytes], int]:
    """The files written by `python main.py`, and the number of loaded modules of the AWS provider package."""
    folder.mkdir()
    program = (
        "import runpy, sys; runpy.run_path('main.py', run_name='__main__');"
        "print(sum(name.startswith('cdktf_cdktf_provider_aws.') for name in sys.modules))"
    )
    loaded = _python("-c", program, CDKTF_OUTDIR=str(folder), **environment)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files, int(loaded.splitlines()[-1])


@pytest.mark.slow  # it loads the packages whole
def test_lazy_loading_writes_the_same_files_with_fewer_modules(tmp_path: Path) -> None:
    lazily, few = _synthesized(tmp_path / "lazily")
    eagerly, all_ = _synthesized(tmp_path / "eagerly", CDKTF_EAGER_PROVIDERS="1", NODE_OPTIONS="")
    assert "manifest.json" in lazily
    assert lazily == eagerly
    assert few < 200
    assert all_ > _FULL


@pytest.mark.parametrize(("given", "kept"), [("--max-old-space-size=512", "--max-old-space-size=512 "), ("", "")])
def test_node_options_of_the_caller_are_kept(given: str, kept: str) -> None:
    program = "import os, eks_gitops; print(os.environ['NODE_OPTIONS'])"
    hook = Path(_lazy_providers.__file__).with_suffix(".cjs")
    assert _python("-c", program, NODE_OPTIONS=given).strip() == f'{kept}--require="{hook}"'


def test_eager_loading_does_not_change_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDKTF_EAGER_PROVIDERS", "1")
    monkeypatch.setenv("NODE_OPTIONS", "untouched")
    _lazy_providers.install()
    assert os.environ["NODE_OPTIONS"] == "untouched"


def test_loaded_and_missing_packages_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "")
    monkeypatch.setattr(_lazy_providers, "_PACKAGES", ("cdktf_cdktf_provider_aws", "cdktf_cdktf_provider_none"))
    loaded = sys.modules["cdktf_cdktf_provider_aws"]
    _lazy_providers.install()
    assert sys.modules["cdktf_cdktf_provider_aws"] is loaded
    assert "cdktf_cdktf_provider_none" not in sys.modules


def test_a_submodule_is_loaded_on_access() -> None:
    provider = importlib.import_module("cdktf_cdktf_provider_aws")
    sys.modules.pop("cdktf_cdktf_provider_aws.sns_topic", None)
    assert provider.sns_topic is sys.modules["cdktf_cdktf_provider_aws.sns_topic"]


def test_dunder_attributes_are_not_loaded_as_submodules() -> None:
    provider = importlib.import_module("cdktf_cdktf_provider_aws")
    assert not hasattr(provider, "__wrapped__")
