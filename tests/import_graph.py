"""The import graph of the product. `python -m tests.import_graph` prints its size and all wrong imports.

A module is a file. An import is an edge between two modules of this repository, also if it is relative or inside a
function. An import is upward if its target is in a higher layer, or in another package of the same layer.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

from tests import ROOT

# The folders of modules, and the prefix of their module names.
_SOURCES = {"constructs/eks_gitops": "eks_gitops", "operations": "operations", "stacks": "stacks"}

LAYERS: tuple[tuple[str, ...], ...] = (
    ("eks_gitops",),
    ("eks_gitops.delivery", "eks_gitops.in_cluster"),
    ("stacks",),
    ("main",),
    ("operations.errors",),
    ("operations.output",),
    ("operations.clients",),
    ("operations.terraform",),
    ("operations.releases", "operations.repository", "operations.state"),
    ("operations.cost", "operations.guard", "operations.map", "operations.scanner"),
    (
        "operations.ami_releases",
        "operations.backup",
        "operations.components",
        "operations.delivery",
        "operations.deploy",
        "operations.destroy",
        "operations.drift",
        "operations.preflight",
        "operations.services",
    ),
    ("operations.upgrade",),
    ("operations.portal",),
    ("operations.local",),
    ("operations.local.cluster",),
    ("operations.proxy",),
    ("operations.tunnel",),
    ("operations.validate",),
    ("operations.cli",),
    ("operations",),
    ("operations.__main__",),
)
"""The layers from the lowest to the highest. A module belongs to the longest of these prefixes of its name."""

_WITHOUT_SUBMODULES = {"operations"}
"""Each module and package below these needs its own entry in `LAYERS`."""

_DYNAMIC = {"__import__", "import_module", "runpy"}
"""The names in a source that import modules which the graph cannot see."""


@dataclass(frozen=True)
class Graph:
    """The imported modules of each module."""

    imports: Mapping[str, frozenset[str]]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All imports, as pairs of the importing and the imported module."""
        return sorted((module, other) for module, others in self.imports.items() for other in others)

    @property
    def upward(self) -> list[tuple[str, str]]:
        """The imports of a higher layer, or of another package of the same layer."""
        return [(module, other) for module, other in self.edges if _is_upward(module, other)]

    @property
    def without_layer(self) -> list[str]:
        """The modules that belong to no layer. Their imports are never upward."""
        return sorted(module for module in self.imports if _place(module) is None)

    @property
    def cycles(self) -> list[list[str]]:
        """The groups of modules that import each other, directly or indirectly."""
        reached = {module: self._reached(module) for module in self.imports}
        groups = {
            tuple(sorted(other for other in reached[module] if module in reached[other]))
            for module in self.imports
            if module in reached[module]
        }
        return [list(group) for group in sorted(groups)]

    def _reached(self, module: str) -> set[str]:
        found: set[str] = set()
        waiting = list(self.imports[module])
        while waiting:
            other = waiting.pop()
            if other not in found:
                found.add(other)
                waiting += self.imports[other]
        return found


def packages(root: Path = ROOT) -> list[str]:
    """The packages of the product."""
    return sorted(name for name, path in _modules(root) if path.name == "__init__.py")


def graph(root: Path = ROOT) -> Graph:
    """The import graph of the product below `root`."""
    modules = dict(_modules(root))
    return Graph({name: frozenset(_imported(name, path, modules) - {name}) for name, path in modules.items()})


def dynamic(root: Path = ROOT) -> set[str]:
    """The files of the product that import modules by a name which is known only at run time."""
    return {str(path.relative_to(root)) for _, path in _modules(root) if not _DYNAMIC.isdisjoint(_names(path))}


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    yield "main", root / "main.py"
    for folder, name in _SOURCES.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            yield ".".join([name, *(part for part in parts if part != "__init__")]), path


def _nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _names(path: Path) -> Iterator[str | None]:
    """The variables, attributes and imported names of a file."""
    for node in _nodes(path):
        match node:
            case ast.Name(name) | ast.Attribute(attr=name) | ast.alias(name) | ast.ImportFrom(name):
                yield name


def _imported(module: str, path: Path, modules: Mapping[str, Path]) -> set[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            whole = {f"{source}.{alias.name}" for alias in node.names}
            names |= {name if name in modules else source for name in whole}
    return names & modules.keys()


def _is_upward(module: str, other: str) -> bool:
    place, other_place = _place(module), _place(other)
    if place is None or other_place is None:
        return False
    (layer, package), (other_layer, other_package) = place, other_place
    return other_layer > layer or (other_layer == layer and other_package != package)


def _place(module: str) -> tuple[int, str] | None:
    """The layer number and the package of a module, or None if it is in no layer."""
    found = [
        (len(package), number, package)
        for number, layer in enumerate(LAYERS)
        for package in layer
        if module == package or (package not in _WITHOUT_SUBMODULES and module.startswith(f"{package}."))
    ]
    return max(found)[1:] if found else None


def main() -> None:
    """Print the size of the graph, then all upward imports, cycles and modules without a layer."""
    found = graph()
    counts = {"modules": len(found.imports), "packages": len(packages()), "imports": len(found.edges)}
    counts |= {"upward imports": len(found.upward), "cycles": len(found.cycles)}
    counts |= {"modules without a layer": len(found.without_layer)}
    print(", ".join(f"{count} {what}" for what, count in counts.items()))
    for module, other in found.upward:
        print(f"upward: {module} imports {other}")
    for cycle in found.cycles:
        print(f"cycle of {len(cycle)}: {', '.join(cycle)}")
    for module in found.without_layer:
        print(f"without a layer: {module}: add it to LAYERS in tests/import_graph.py")
    sys.exit(bool(found.upward or found.cycles or found.without_layer))


if __name__ == "__main__":
    main()
