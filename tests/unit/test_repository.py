"""Rules for the files of this repository that no linter checks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests import ROOT, import_graph

PRODUCT = ("constructs/eks_gitops", "stacks")
_MOST_PACKAGES = 28
_NEVER_IN_OPERATIONS = {"cdktf*", "constructs", "eks_gitops", "jsii", "main", "stacks", "tests"}


def _python(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _tracked() -> list[Path]:
    """The files of the repository: tracked files and untracked files that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for line in listed.splitlines() if (path := ROOT / line).is_file()]


def test_constructs_folder_is_not_a_package() -> None:
    """A library has the same name: an `__init__.py` here would shadow it, and `import cdktf` would fail."""
    assert not (ROOT / "constructs" / "__init__.py").exists()


def test_no_test_folder_shadows_the_constructs_library() -> None:
    assert [path for path in (ROOT / "tests").rglob("constructs") if path.is_dir()] == []


def _lossy_dicts(source: str) -> Iterator[int]:
    """The lines of dict literals with a `_` in a key inside a list argument, whose keys jsii drops silently."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call):
            for argument in (*call.args, *[keyword.value for keyword in call.keywords]):
                yield from _lossy_in_list(argument)


def _lossy_in_list(argument: ast.expr) -> Iterator[int]:
    if isinstance(argument, ast.List | ast.Tuple):
        items = argument.elts
    elif isinstance(argument, ast.ListComp | ast.GeneratorExp):
        items = [argument.elt]
    else:
        return
    for item in items:
        if isinstance(item, ast.Dict):
            keys = [key.value for key in item.keys if isinstance(key, ast.Constant)]
            if any(isinstance(key, str) and "_" in key for key in keys):
                yield item.lineno
        else:
            yield from _lossy_in_list(item.value if isinstance(item, ast.Starred) else item)


@pytest.mark.parametrize("path", _python(*PRODUCT), ids=lambda path: str(path.relative_to(ROOT)))
def test_structs_in_lists_are_class_instances(path: Path) -> None:
    assert list(_lossy_dicts(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        'SecurityGroup(ingress=[{"from_port": 443}])',
        'SecurityGroup(self, [{"from_port": 443}])',
        'SecurityGroup(ingress=[{"from_port": port} for port in ports])',
        'SecurityGroup(ingress=[*[{"from_port": port} for port in ports]])',
        'SecurityGroup(ingress=({"from_port": 443},))',
    ],
)
def test_finds_dicts_that_would_lose_keys(source: str) -> None:
    assert list(_lossy_dicts(source)) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "SecurityGroup(ingress=[SecurityGroupIngress(from_port=443)])",
        'SecurityGroup(tags={"cost_center": "any"})',
        'json.dumps({"rules": [{"count_type": "any"}]})',
        'Statement(actions=["a"], conditions={"Bool": {"a_b": "true"}})',
    ],
)
def test_accepts_dicts_that_lose_no_keys(source: str) -> None:
    assert list(_lossy_dicts(source)) == []


def test_no_file_contains_a_local_path() -> None:
    local_path = re.compile(
        rb"/(?:home|Users)/(?!runner\b)[a-z0-9._-]+/|[A-Z]:\\Users\\|" + re.escape(bytes(ROOT)) + rb"\b"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in _tracked()
        for match in local_path.finditer(path.read_bytes())
    ]
    assert found == []


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, also inside functions."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
    return modules


def _wrong_imports(path: Path, never: set[str]) -> set[str]:
    """The packages that a file imports although they match a pattern of `never`."""
    return {name for name in imported(path) for pattern in never if fnmatchcase(name, pattern)}


@pytest.mark.parametrize(
    ("folder", "never"),
    [
        ("constructs/eks_gitops", {"main", "operations", "stacks", "tests"}),
        ("stacks", {"main", "operations", "tests"}),
        ("operations", _NEVER_IN_OPERATIONS),
    ],
)
def test_packages_import_only_lower_layers(folder: str, never: set[str]) -> None:
    files = _python(folder)
    assert files
    assert {str(path.relative_to(ROOT)): wrong for path in files if (wrong := _wrong_imports(path, never))} == {}


def test_finds_imports_of_each_provider_package(tmp_path: Path) -> None:
    providers = {f"cdktf_cdktf_provider_{name}" for name in ("aws", "helm", "kubernetes")}
    source = tmp_path / "source.py"
    source.write_text(
        "import json\nimport cdktf\n" + "".join(f"from {name}.x import Y\n" for name in sorted(providers))
    )
    assert _wrong_imports(source, _NEVER_IN_OPERATIONS) == {"cdktf", *providers}


def test_no_module_imports_a_higher_layer() -> None:
    assert import_graph.graph().upward == []


def test_each_module_has_a_layer() -> None:
    assert import_graph.graph().without_layer == []


def test_no_import_cycles() -> None:
    assert import_graph.graph().cycles == []


def test_number_of_packages_is_limited() -> None:
    """Without those of the regions, which an owner adds."""
    assert len([name for name in import_graph.packages() if not name.startswith("stacks.")]) <= _MOST_PACKAGES


def test_finds_upward_imports_and_cycles() -> None:
    imports = {
        "operations.clients.aws": frozenset({"operations.terraform.stacks"}),
        "operations.terraform.stacks": frozenset({"operations.clients.aws"}),
        "operations.deploy.plan": frozenset({"operations.drift.drift", "operations.errors"}),
        "operations.drift.drift": frozenset(),
        "operations.errors": frozenset(),
    }
    graph = import_graph.Graph(imports)
    assert graph.upward == [
        ("operations.clients.aws", "operations.terraform.stacks"),
        ("operations.deploy.plan", "operations.drift.drift"),
    ]
    assert graph.cycles == [["operations.clients.aws", "operations.terraform.stacks"]]


def _sources(root: Path, files: dict[str, str]) -> Path:
    """A folder with these files, and all other files that a graph needs."""
    for name, source in {"main.py": "", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def test_finds_relative_imports(tmp_path: Path) -> None:
    files = {
        "operations/__init__.py": "",
        "operations/errors.py": "",
        "operations/clients/__init__.py": "from . import aws",
        "operations/clients/aws.py": "from .git import Git\nfrom .. import errors\nfrom ..terraform.stacks import read",
        "operations/clients/git.py": "def late():\n    from . import constant\n",
        "operations/terraform/stacks.py": "from ..clients import *",
    }
    graph = import_graph.graph(_sources(tmp_path, files))
    assert graph.edges == [
        ("operations.clients", "operations.clients.aws"),
        ("operations.clients.aws", "operations.clients.git"),
        ("operations.clients.aws", "operations.errors"),
        ("operations.clients.aws", "operations.terraform.stacks"),
        ("operations.clients.git", "operations.clients"),
        ("operations.terraform.stacks", "operations.clients"),
    ]
    assert graph.upward == [("operations.clients.aws", "operations.terraform.stacks")]


def test_finds_modules_without_a_layer(tmp_path: Path) -> None:
    files = {
        "operations/__init__.py": "",
        "operations/__main__.py": "import operations\nimport operations.new.module",
        "operations/clients/new.py": "import operations.new.module",
        "operations/new/module.py": "import operations",
        "operations/single.py": "",
    }
    graph = import_graph.graph(_sources(tmp_path, files))
    assert graph.without_layer == ["operations.new.module", "operations.single"]
    assert graph.upward == []


def test_only_these_files_import_by_a_variable_name() -> None:
    """The import graph does not see what they import: provider packages, MiniStack, `main.py` and settings files."""
    assert import_graph.dynamic() == {
        "constructs/eks_gitops/_lazy_providers.py",
        "operations/local/emulator.py",
        "operations/local/guardduty.py",
        "operations/terraform/recorder.py",
        "stacks/loading.py",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('import importlib\nimportlib.import_module("operations.cli")', True),
        ('import importlib as other\nother.import_module("operations.cli")', True),
        ("from importlib import import_module as other", True),
        ('__import__("operations.cli")', True),
        ('import builtins\nbuiltins.__import__("operations.cli")', True),
        ("import runpy as other", True),
        ("from runpy import run_module", True),
        ("from importlib.metadata import version", False),
        ('print("import_module")', False),
    ],
)
def test_finds_imports_by_a_variable_name(tmp_path: Path, source: str, *, expected: bool) -> None:
    assert import_graph.dynamic(_sources(tmp_path, {"stacks/new.py": source})) == (
        {"stacks/new.py"} if expected else set()
    )


def test_product_code_does_not_reference_the_tests_folder() -> None:
    """The product works without `tests/`. Only `validate` runs them, if they exist."""
    files = [
        path for path in _python(*PRODUCT, "operations") if path.relative_to(ROOT) != Path("operations/validate.py")
    ]
    paths = re.compile(r"""["'/]tests["'/]""")
    assert files
    assert [str(path.relative_to(ROOT)) for path in files if paths.search(path.read_text())] == []


def test_only_commands_and_slow_libraries_are_imported_lazily() -> None:
    """Commands import their packages when they run. Importing boto3 and rich tables would slow down `--help`."""
    late = {"operations/clients/aws.py", "operations/output/report.py"}
    for path in _python("operations"):
        inside = [
            node.lineno
            for function in ast.walk(ast.parse(path.read_text()))
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        name = str(path.relative_to(ROOT))
        assert not inside or name.startswith("operations/cli/") or name in late, f"{name}: lines {inside}"


def test_subprocesses_are_started_only_by_these_modules() -> None:
    """`clients/process` runs programs; the others start long-running ones, such as Terraform and the emulator."""
    expected = {
        "clients/process",
        "terraform/runner",
        "terraform/running",
        "local/emulator_process",
        "local/cluster/processes",
        "tunnel",
    }
    using = {
        str(path.relative_to(ROOT / "operations").with_suffix(""))
        for path in _python("operations")
        if "subprocess" in imported(path)
    }
    assert using == expected
