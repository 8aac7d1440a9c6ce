"""Removes a component from the tree, unless the platform or other files need it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from operations.components.tree import DESTINATION, MANAGEMENT, PROJECT, Tree
from operations.errors import OperationError
from operations.repository import all_or_nothing

REQUIRED: Mapping[str, str] = {
    "argo-cd": "it has the rights and the notifications of Argo CD",
    "argo-rollouts": "it runs the Rollouts of services",
    "database-users": "it creates the users of databases",
    "external-dns": "it writes the DNS records of Argo CD and of services",
    "external-secrets": "it reads the secrets of the platform and of services",
    "karpenter": "environments may use it, by their settings",
    "kyverno": "it evaluates the policies",
    "metrics-server": "the autoscalers of services read its metrics",
    "monitoring": "it has the alerts, and analyses of services query it",
    "policies": "they protect the platform and services from each other",
}
"""The components that Terraform, services or other components rely on, each with the reason."""


def remove_component(root: Path, name: str, say: Callable[[str], None]) -> list[str]:
    """Remove the folder of a component, and what the AppProject permits only for it: either all or nothing.

    Returns:
        The namespaces that Argo CD deletes with it.

    Raises:
        OperationError: if it does not exist, the platform requires it, or other files need it; the message lists all
            of these places. Also if a file cannot be read.
    """
    tree = Tree(root)
    if problems := [*_problems(tree, name)]:
        raise OperationError("\n".join(problems))
    namespaces = _created(tree, name)
    files = {PROJECT: _without(tree, name), **dict.fromkeys(tree.files(MANAGEMENT / name))}
    all_or_nothing.write_files({root / path: text for path, text in files.items()})
    for path, text in sorted(files.items()):
        say(f"removed {path}" if text is None else str(path))
    return namespaces


def _created(tree: Tree, name: str) -> list[str]:
    return [namespace for namespace, creator in tree.creators().items() if creator == name]


def _problems(tree: Tree, name: str) -> Iterator[str]:
    if name not in tree.components:
        known = sorted(tree.components.keys() - REQUIRED.keys())
        remedy = f"use one of {', '.join(known)}" if known else "there is none that can be removed"
        yield f"name: {name!r}: not a component in {MANAGEMENT}; {remedy}"
    elif name in REQUIRED:
        yield f"name: {name!r}: the platform requires it: {REQUIRED[name]}; keep it"
    else:
        yield from _users(tree, name)


def _users(tree: Tree, name: str) -> Iterator[str]:
    """The lines of other files that name a namespace of the component, or an API group with its name.

    Comments are ignored. What else the chart creates is not known here.
    """
    namespace = _words(_created(tree, name))
    group = rf"{_words([name, str(tree.components[name].chart.get('name', name))])}\.[\w-]+/"
    used = re.compile(rf"(namespace|metadata\.name|matchNames).*{namespace}|{namespace}\.svc\b|{group}")
    for folder in ("helm", "management", "service"):
        for file in tree.files(Path(folder)):
            if file != PROJECT and MANAGEMENT / name not in file.parents:
                text = (tree.root / file).read_text(encoding="utf-8", errors="replace")
                for number, line in enumerate(text.splitlines(), 1):
                    if used.search(re.sub(r"(^|\s)#.*", "", line)):
                        yield f"{file}: line {number}: {line.strip()}: needs the component {name}; change this first"


def _words(words: Iterable[str]) -> str:
    """A pattern for one of the words as a whole. Without words it matches nothing."""
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, words)) or '(?!)'})(?![\w-])"


def _without(tree: Tree, name: str) -> str:
    """The AppProject without the repository and the namespaces that only this component needs."""
    project = tree.project
    repository = tree.components[name].chart.get("repository")
    if repository not in [one.chart.get("repository") for other, one in tree.components.items() if other != name]:
        project = re.sub(rf"^    - [\"']?{re.escape(str(repository))}[\"']?\n", "", project, flags=re.MULTILINE)
    for namespace in _created(tree, name):
        project = project.replace(DESTINATION.format(namespace), "")
    return project
