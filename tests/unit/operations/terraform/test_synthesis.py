"""A synthesis is skipped only if it would write the same."""

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.repository import revision
from operations.terraform import recorder, synthesis
from tests import ROOT

pytestmark = pytest.mark.slow

ELSEWHERE = Path("/etc/hosts")

# Reads a module, files, a folder and a variable, and asks whether paths exist, as settings may.
_MAIN = """
import json, os, pathlib
import settings
output = pathlib.Path(os.environ["CDKTF_OUTDIR"])
names = sorted(os.listdir("policies"))
value = [settings.SIZE, os.environ.get("REGION"), names, open("policies/a.json").read()]
value += [pathlib.Path(name).exists() for name in ("optional.json", ".hidden", ".")]
value.append(open(settings.ELSEWHERE).read())
for name in settings.STACKS:
    (output / "stacks" / name).mkdir(parents=True, exist_ok=True)
    (output / "stacks" / name / "cdk.tf.json").write_text(json.dumps(value))
stacks = {name: {"annotations": [{"message": "a placeholder"}]} for name in settings.STACKS}
(output / "manifest.json").write_text(json.dumps({"stacks": stacks}))
"""


def _settings(*, size: int = 1, stacks: tuple[str, ...] = ("dev", "prod")) -> str:
    return f"SIZE = {size}\nSTACKS = {stacks}\nELSEWHERE = {str(ELSEWHERE)!r}\n"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository, in which this process runs, and where it is synthesized to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "main.py").write_text(_MAIN)
    (tmp_path / "settings.py").write_text(_settings())
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/a.json").write_text("{}")
    for file in ("Pipfile.lock", "package-lock.json", "cdktf.json"):
        (tmp_path / file).write_text("{}")
    output = tmp_path / "cdktf.out"
    assert synthesis.synthesize(output) is not None
    return output


def test_nothing_is_synthesized_if_nothing_has_changed(output: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in output.rglob("*.json")}
    assert synthesis.synthesize(output) is None
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.json")} == written


def test_a_synthesis_can_be_forced(output: Path) -> None:
    assert synthesis.synthesize(output, force=True) == "--force"


Change = Callable[[Path, pytest.MonkeyPatch], object]


def _write(name: str, text: str) -> Change:
    return lambda root, _: (root / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_write("settings.py", _settings(size=2)), "settings.py"),
        (_write("main.py", _MAIN + "\n"), "main.py"),
        (_write("policies/a.json", "[]"), "policies/a.json"),
        (_write("policies/b.json", "{}"), "policies"),
        (_write("Pipfile.lock", "[]"), "Pipfile.lock"),
        (_write("package-lock.json", "[]"), "package-lock.json"),
        (_write("cdktf.json", "[]"), "cdktf.json"),
        (_write("json.py", ""), "."),
        (_write("optional.json", ""), "optional.json"),
        (lambda root, _: (root / ".hidden").mkdir(), ".hidden"),
        (lambda root, _: (root / "policies/a.json").unlink(), "policies/a.json"),
        (_write("cdktf.out/stacks/dev/cdk.tf.json", "{}"), "stacks/dev/cdk.tf.json"),
        (lambda root, _: (root / "cdktf.out/manifest.json").unlink(), "manifest.json"),
        (lambda root, _: shutil.rmtree(root / "cdktf.out/stacks/prod"), "stacks/prod/cdk.tf.json"),
        (lambda _, patch: patch.setenv("REGION", "us-west-2"), "REGION"),
        (lambda _, patch: patch.setenv("CDKTF_CONTEXT_JSON", "{}"), "variables of libraries"),
        (lambda _, patch: patch.setattr(platform, "python_version", lambda: "3.99"), "Python"),
        (lambda _, patch: patch.setattr(shutil, "which", lambda _: None), "Node"),
        (lambda root, patch: patch.setattr(sysconfig, "get_path", lambda _: root), "installed packages"),
    ],
)
def test_every_kind_of_input_is_seen(output: Path, monkeypatch: pytest.MonkeyPatch, change: Change, told: str) -> None:
    change(output.parent, monkeypatch)
    assert recorder.difference(output) == told


def test_the_day_is_an_input(output: Path) -> None:
    """A warning about the end of standard support depends on it."""
    file = output / recorder.FILE
    record = json.loads(file.read_text())
    record["inputs"]["always"]["the day"] = "2026-01-01"
    file.write_text(json.dumps(record))
    assert recorder.difference(output) == "the day"


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"version": 1, "inputs": {"other": {"a": "b"}}}'])
def test_an_incomplete_record_is_no_record(output: Path, content: str) -> None:
    (output / recorder.FILE).write_text(content)
    assert recorder.difference(output) == f"{output} has no record of a synthesis"


def test_a_record_of_another_version_is_not_used(output: Path) -> None:
    (output / recorder.FILE).write_text('{"version": 0}')
    assert recorder.difference(output) == f"{output / recorder.FILE} has another version"


@pytest.mark.parametrize(
    "statement",
    ["import subprocess; subprocess.run(['true'])", "import os; os.system('true')",
     "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 0.1)\nexcept OSError: pass",
     "import os; dict(os.environ)", "import os; {**os.environ}", "import os; os.environ.copy()",
     "import os; sorted(os.environ)", "import os; list(os.environ.items())",
     "import os; os.makedirs(os.environ['CDKTF_OUTDIR'] + '/stacks/dev/assets', exist_ok=True)",
     "import os; open('policies/b', 'w').close(); os.stat('policies/b'); os.remove('policies/b')"],
)  # fmt: skip
def test_what_cannot_be_recorded_is_synthesized_each_time(output: Path, statement: str) -> None:
    (output.parent / "main.py").write_text(f"{statement}\n{_MAIN}")
    assert synthesis.synthesize(output) == "main.py"
    assert synthesis.synthesize(output) is not None


def test_a_compiled_module_that_is_forgotten_again_is_an_input(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    (output.parent / "forgotten.py").write_text("VALUE = 1\n")
    (output.parent / "main.py").write_text(f"import sys, forgotten; del sys.modules['forgotten']\n{_MAIN}")
    os.utime(output.parent / "forgotten.py", (1, 1))
    for _ in range(3):  # the first one writes the compiled modules
        synthesis.synthesize(output)
    assert synthesis.synthesize(output) is None
    (output.parent / "forgotten.py").write_text("VALUE = 22\n")
    assert synthesis.synthesize(output) == "forgotten.py"


def test_a_default_of_a_variable_is_an_input(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (output.parent / "main.py").write_text(f"import os; assert os.environ.setdefault('SIZE', '1')\n{_MAIN}")
    synthesis.synthesize(output)
    monkeypatch.setenv("SIZE", "2")
    assert synthesis.synthesize(output) == "SIZE"


def test_a_file_below_the_folder_of_git_is_an_input(output: Path) -> None:
    (output.parent / ".git").mkdir()
    (output.parent / ".git/HEAD").write_text("a")
    (output.parent / "main.py").write_text(f"open('.git/HEAD').read()\n{_MAIN}")
    synthesis.synthesize(output)
    (output.parent / ".git/HEAD").write_text("b")
    assert synthesis.synthesize(output) == ".git/HEAD"


def test_a_repository_may_be_below_the_folder_of_python() -> None:
    assert recorder.installed_beside(Path(sys.base_prefix, "src/platform")) == [sys.prefix]
    assert recorder.installed_beside(Path("/srv/platform")) == [sys.prefix, sys.base_prefix]


@pytest.mark.parametrize(
    ("output_folder", "path", "error"),
    [
        (".", None, "error: .: contains the repository; choose a folder of its own, such as cdktf.out"),
        ("..", None, "error: ..: contains the repository; choose a folder of its own, such as cdktf.out"),
        ("out", "", "error: node: not installed; install Node 22"),
        ("main.py/out", None, "error: main.py/out: cannot be written: Not a directory; choose another folder"),
    ],
)
def test_make_synth_says_what_is_missing(
    output: Path, monkeypatch: pytest.MonkeyPatch, output_folder: str, path: str | None, error: str
) -> None:
    if path is not None:
        monkeypatch.setenv("PATH", path)
    done = _run(synthesis.__name__, output_folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{error}\n")
    assert output.is_dir()


def test_an_output_that_cannot_be_written_is_an_error(output: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", synthesis.__name__],
            cwd=output.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.endswith(b"error: standard output: No space left on device; free space, or write elsewhere\n")
    assert b"Traceback" not in done.stderr


def test_make_synth_needs_main_py(output: Path) -> None:
    (output.parent / "main.py").unlink()
    done = _run(synthesis.__name__)
    assert done.stderr == f"error: {output.parent}: has no main.py; run this in the folder of the repository\n"


def test_a_file_elsewhere_is_an_input(output: Path) -> None:
    record = json.loads((output / recorder.FILE).read_text())
    assert str(ELSEWHERE) in record["inputs"]["files"]


@pytest.mark.parametrize("file", ["policies/a.json", "policies/b.json"])
def test_a_file_that_changes_during_a_synthesis_is_seen_by_the_next(output: Path, file: str) -> None:
    (output.parent / "main.py").write_text(f"{_MAIN}\nopen('{file}', 'w').write(str(os.getpid()))\n")
    assert synthesis.synthesize(output) == "main.py"
    assert synthesis.synthesize(output) is not None


def test_values_of_variables_are_not_stored(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "a-secret")
    synthesis.synthesize(output)
    assert "a-secret" not in (output / recorder.FILE).read_text()
    assert "REGION" in (output / recorder.FILE).read_text()


def test_a_failed_synthesis_is_reported_and_leaves_no_record(output: Path) -> None:
    (output.parent / "settings.py").write_text("raise SystemExit('dev.py: wrong')")
    with pytest.raises(OperationError, match=r"^the stacks were not synthesized; see above$"):
        synthesis.synthesize(output)
    assert not (output / recorder.FILE).exists()


def test_the_folder_of_a_former_stack_is_removed_unless_it_holds_a_state(output: Path) -> None:
    (output.parent / "settings.py").write_text(_settings(stacks=("dev",)))
    (output / "stacks/old").mkdir()
    (output / "stacks/old/cdk.tf.json").write_text("{}")
    (output / "stacks/old/errored.tfstate").write_text("{}")
    synthesis.synthesize(output)
    assert sorted(path.name for path in (output / "stacks").iterdir()) == ["dev", "old"]


def test_warnings_name_their_stack(output: Path) -> None:
    assert list(synthesis.warnings(output)) == ["dev: a placeholder", "prod: a placeholder"]


def _git(*arguments: str) -> None:
    identity = ("-c", "user.name=minji", "-c", "user.email=minji@your-domain.com")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def committed(output: Path) -> Path:
    (output.parent / ".gitignore").write_text("cdktf.out\n__pycache__\nlocal.json\n")
    (output.parent / "README.md").write_text("")
    _git("init", "--quiet")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "first")
    synthesis.synthesize(output)
    return output


def test_a_branch_that_changed_no_input_has_the_stacks_of_its_base(committed: Path) -> None:
    (committed.parent / "README.md").write_text("changed")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "second")
    assert revision.is_same_synthesis("HEAD~1", committed)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("settings.py", _settings(size=3)),
        ("policies/a.json", "[1]"),
        ("more.py", ""),
    ],
)
def test_a_branch_that_changed_an_input_is_compared(committed: Path, file: str, text: str) -> None:
    (committed.parent / file).write_text(text)
    synthesis.synthesize(committed)
    assert not revision.is_same_synthesis("HEAD", committed)


def test_the_target_of_a_link_is_compared(committed: Path) -> None:
    (committed.parent / "settings.py").rename(committed.parent / "real.py")
    (committed.parent / "settings.py").symlink_to("real.py")
    _git("add", "--all")
    _git("commit", "--quiet", "--message", "second")
    synthesis.synthesize(committed)
    assert not revision.is_same_synthesis("HEAD", committed)


def test_an_input_that_git_ignores_is_compared(committed: Path) -> None:
    (committed.parent / "local.json").write_text("{}")
    (committed.parent / "main.py").write_text(f"open('local.json').read()\n{_MAIN}")
    _git("commit", "--quiet", "--all", "--message", "second")
    synthesis.synthesize(committed)
    assert not revision.is_same_synthesis("HEAD", committed)


def test_without_a_record_or_with_an_unknown_revision_stacks_are_compared(committed: Path) -> None:
    assert not revision.is_same_synthesis("no-such-revision", committed)
    (committed / recorder.FILE).unlink()
    assert not revision.is_same_synthesis("HEAD", committed)


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], check=False, capture_output=True, text=True)


def test_make_synth_prints_what_operations_synth_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first = _run(synthesis.__name__, tmp_path)
    second, by_command = _run(synthesis.__name__, tmp_path), _run("operations", "synth", "--output", tmp_path)
    assert first.returncode == 0
    assert "placeholders remain in the settings" in first.stderr
    assert "ap-northeast-2-shared" in first.stdout
    assert first.stderr == by_command.stderr
    assert second.stdout == by_command.stdout == f"{tmp_path} is up to date\n{first.stdout}"


def test_make_synth_prints_the_errors_of_the_settings_and_nothing_else(output: Path) -> None:
    (output.parent / "settings.py").write_text("raise SystemExit('dev.py: wrong')")
    done = _run(synthesis.__name__)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "dev.py: wrong\n")
    assert not (output / recorder.FILE).exists()


@pytest.mark.slow
def test_it_writes_what_the_command_line_of_cdktf_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    quiet = {"CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1"}
    subprocess.run(
        [ROOT / "node_modules/.bin/cdktf", "synth", "--output", str(tmp_path / "theirs")],
        env={**os.environ, **quiet}, check=True, capture_output=True,
    )  # fmt: skip
    synthesis.synthesize(tmp_path / "ours")
    (tmp_path / "ours" / recorder.FILE).unlink(missing_ok=True)
    files = [
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "ours", tmp_path / "theirs")
    ]
    assert files[0] == files[1]
