"""Loading of the settings: imports the files of the owner and all regions, and reports all errors at once."""

import importlib
import linecache
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eks_gitops.config import (
    AnyConfig,
    Problem,
    all_problems,
    as_far_as_known,
    deferred_errors,
    shape_errors,
    without_validation,
)
from eks_gitops.values import listed_twice
from stacks import rules
from stacks.lines import line_of
from stacks.names import RESERVED, is_environment_name
from stacks.settings import Environment, EnvironmentSettings, Finding, Owner, Region, SharedSettings

_ROOT = Path(__file__).parent.parent
"""The root of the repository, to which the paths in error messages are relative."""

_OWNER, _OWNER_FILE = "OWNER", "stacks/owner.py"
_SHORT = 4
"""Values of at most this length stand in other values by chance."""


_LONG_WORD = re.compile(r"([^\s:;]{400})[^\s:;]+")  # is cut in a message: a name of thousands of characters


class SettingsError(Exception):
    """The settings are invalid; `findings` lists the errors."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(_LONG_WORD.sub(r"\1…", str(finding)) for finding in findings))
        self.findings = tuple(findings)


class _Loader:
    """Loads modules and collects their errors, instead of stopping at the first."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.consequences: list[Finding] = []
        """Errors in lines that read the owner's settings."""

    def region(self, package: str) -> Region | None:
        """The region in the package `package`; None if its `__init__` cannot be loaded or has no names."""
        try:
            module = importlib.import_module(package)
        except Exception as error:  # noqa: BLE001 (any exception of a settings file is reported with its line)
            self._add_exception(package, error, "create the folder, or correct REGIONS in stacks/regions.py")
            return None
        file = _file(package)
        name: Any = getattr(module, "REGION", None)
        environments: Any = getattr(module, "ENVIRONMENTS", None)
        problems = []
        if not isinstance(name, str):
            problems.append(
                Problem("REGION", name, 'not a string; write the name of a region, such as "ap-northeast-2"')
            )
        problems += _not_names("ENVIRONMENTS", environments, '("dev",)')
        if problems:
            self.findings += [Finding(file, problem) for problem in problems]
            return None
        return Region(
            name=name,
            file=file,
            shared_file=_file(f"{package}.shared"),
            shared=self.settings(f"{package}.shared", "SHARED", SharedSettings),
            environments=tuple(self._environment(package, environment, environments) for environment in environments),
        )

    def _environment(self, package: str, name: str, names: Sequence[str]) -> Environment:
        module = f"{package}.{name}"
        if not is_environment_name(name) or name in RESERVED:
            # `rules` reports the name; it may have a file that holds something else.
            return Environment(name, _file(module), without_validation(EnvironmentSettings, {}))
        index = names.index(name)
        nearest = [*reversed(names[:index]), *names[index + 1 :]]
        files = {file.stem for file in (_ROOT / _file(module)).parent.glob("*.py")}
        remedy = "restore it from Git"
        for other in [other for other in nearest if other in files][:1]:
            source = _file(f"{package}.{other}")
            remedy = f"copy {source} to it, and rename {other.upper()} to {name.upper()} in it"
        settings = self.settings(module, name.upper(), EnvironmentSettings, remedy)
        return Environment(name, _file(module), settings)

    def settings(self, module: str, name: str, kind: type[AnyConfig], remedy: str = "restore it from Git") -> AnyConfig:
        """The config `name` of a module, without its invalid fields, or without any fields if it cannot be loaded.

        `remedy` is what to do if there is no such module.
        """
        file = _file(module)
        try:
            with deferred_errors():
                literal = getattr(importlib.import_module(module), name, None)
        except Exception as error:  # noqa: BLE001
            self._add_exception(module, error, remedy)
            return without_validation(kind, {})
        if not isinstance(literal, kind):
            problem = Problem(name, type(literal).__name__, f"wrong type, or not set; assign {kind.__name__}(...)")
            self.findings.append(Finding(file, problem))
            return without_validation(kind, {})
        known = as_far_as_known(literal)
        self.findings += [Finding(file, problem) for problem in (*shape_errors(literal), *all_problems(known))]
        return known

    def _add_exception(self, module: str, error: Exception, remedy: str) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            self.findings.append(Finding(_file(module), Problem("", None, f"no such file; {remedy}")))
            return
        places: list[tuple[str, int | None]] = [
            (_relative(frame.filename), frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if _relative(frame.filename).startswith("stacks/") and frame.filename != __file__
        ]
        if isinstance(error, SyntaxError) and error.filename is not None:
            places.append((_relative(error.filename), error.lineno))
        file, line = places[-1] if places else (_file(module), None)
        reason = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
        finding = Finding(file, Problem("", None, f"{type(error).__name__}: {reason}; fix the Python code"), line)
        (self.consequences if _OWNER in _text(file, line) else self.findings).append(finding)


def _not_names(variable: str, names: object, example: str) -> list[Problem]:
    """The problem of a value that must be a tuple of strings, if it is none."""
    if isinstance(names, str):
        return [Problem(variable, names, f'a string, not a tuple of names; write ("{names}",)')]
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        return [Problem(variable, names, f"not a tuple of strings; write one such as {example}")]
    return []


def _text(file: str, line: int | None) -> str:
    """A line of a file; empty if there is none."""
    return linecache.getline(str(_ROOT / file), line or 0)


def _relative(path: str | Path) -> str:
    path = Path(path)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else str(path)


def _file(module: str) -> str:
    """The path of a module's file relative to the repository root, also if the module cannot be imported."""
    return (
        _relative(sys.modules[module].__file__ or module) if module in sys.modules else module.replace(".", "/") + ".py"
    )


def load(packages: Sequence[str]) -> tuple[Owner, list[Region]]:
    """Load the owner and the packages of all regions.

    Raises:
        SettingsError: if there are errors; contains the errors of all files and of the rules between them, those of the
            owner first and without their consequences in other files.
    """
    loader = _Loader()
    owner = loader.settings("stacks.owner", _OWNER, Owner)
    problems = _not_names("REGIONS", packages, '("stacks.ap_northeast_2",)')
    if not packages:
        problems = [
            Problem("REGIONS", packages, 'no region; add a package of settings, such as "stacks.ap_northeast_2"')
        ]
    unique = [] if problems else list(dict.fromkeys(packages))
    problems = problems or [*listed_twice("REGIONS", packages, "package")]
    loader.findings += [Finding("stacks/regions.py", problem) for problem in problems]
    regions = [region for package in unique if (region := loader.region(package)) is not None]
    findings = [*loader.findings, *rules.broken(owner, regions)]
    if not any(finding.file == _OWNER_FILE for finding in findings):
        findings += loader.consequences
    if findings:
        raise SettingsError(_located(_without_consequences(findings)))
    return owner, regions


def _without_consequences(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those of values that contain an invalid value of the owner."""
    wrong = [finding.problem for finding in findings if finding.file == _OWNER_FILE]
    return [
        finding
        for finding in findings
        if finding.file == _OWNER_FILE or not any(_is_consequence(finding.problem, cause) for cause in wrong)
    ]


def _is_consequence(problem: Problem, cause: Problem) -> bool:
    """Whether a value is the owner's invalid one, or seems to contain it."""
    if isinstance(problem.value, str) and isinstance(cause.value, str) and len(cause.value) > _SHORT:
        return cause.value in problem.value
    same = (problem.value, problem.message) == (cause.value, cause.message)
    return same and not cause.message.startswith("required")


def _located(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with their lines, each once, sorted by file; the owner's come first."""
    located = [
        finding if finding.line else finding._replace(line=line_of(_ROOT / finding.file, finding.problem.field))
        for finding in findings
    ]
    # An error in a file that others import is found once for each of them.
    unique = {str(finding): finding for finding in located}.values()
    return sorted(unique, key=lambda finding: (finding.file != _OWNER_FILE, finding.file))
