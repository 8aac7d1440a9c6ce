"""Loading of the settings: imports the files of the owner and all regions, and reports all errors at once."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from eks_gitops.config import (
    AnyConfig,
    Problem,
    all_problems,
    as_far_as_known,
    deferred_errors,
    shape_errors,
    without_validation,
)
from stacks import rules
from stacks.settings import Environment, EnvironmentSettings, Finding, Owner, Region, SharedSettings

_ROOT = Path(__file__).parent.parent
"""The root of the repository, to which the paths in error messages are relative."""


class SettingsError(Exception):
    """The settings are invalid; `findings` lists the errors."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


class _Loader:
    """Loads modules and collects their errors, instead of stopping at the first."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def region(self, package: str) -> Region | None:
        """The region in the package `package`; None if its `__init__` cannot be loaded."""
        try:
            module = importlib.import_module(package)
            name, environments = module.REGION, module.ENVIRONMENTS
        except Exception as error:  # noqa: BLE001 (any exception of a settings file is reported with its line)
            self._add_exception(package, error)
            return None
        if not isinstance(name, str):
            message = 'not a string; write the name of an AWS region, such as "us-west-2"'
            self.findings.append(Finding(_file(package), Problem("REGION", name, message)))
            return None
        if isinstance(environments, str):
            problem = Problem(
                "ENVIRONMENTS", environments, f'a string, not a tuple of names; write ("{environments}",)'
            )
            self.findings.append(Finding(_file(package), problem))
            return None
        return Region(
            name=name,
            file=_file(package),
            shared_file=_file(f"{package}.shared"),
            shared=self.settings(f"{package}.shared", "SHARED", SharedSettings),
            environments=tuple(self._environment(package, environment) for environment in environments),
        )

    def _environment(self, package: str, name: str) -> Environment:
        module = f"{package}.{name}"
        return Environment(name, _file(module), self.settings(module, name.upper(), EnvironmentSettings))

    def settings(self, module: str, name: str, kind: type[AnyConfig]) -> AnyConfig:
        """The config `name` of a module, without its invalid fields, or without any fields if it cannot be loaded."""
        file = _file(module)
        try:
            with deferred_errors():
                literal = getattr(importlib.import_module(module), name)
        except Exception as error:  # noqa: BLE001
            self._add_exception(module, error)
            return without_validation(kind, {})
        if not isinstance(literal, kind):
            problem = Problem(name, type(literal).__name__, f"wrong type; assign {kind.__name__}(...)")
            self.findings.append(Finding(file, problem))
            return without_validation(kind, {})
        known = as_far_as_known(literal)
        self.findings += [Finding(file, problem) for problem in (*shape_errors(literal), *all_problems(known))]
        return known

    def _add_exception(self, module: str, error: Exception) -> None:
        places: list[tuple[str, int | None]] = [
            (_relative(frame.filename), frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if _relative(frame.filename).startswith("stacks/") and frame.filename != __file__
        ]
        if isinstance(error, SyntaxError) and error.filename is not None:
            places.append((_relative(error.filename), error.lineno))
        file, line = places[-1] if places else (_file(module), None)
        where = f"line {line}" if line else "module"
        self.findings.append(Finding(file, Problem(where, type(error).__name__, f"{error}; fix the Python code")))


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
        SettingsError: if there are errors; contains the errors of all files and of the rules between them.
    """
    loader = _Loader()
    owner = loader.settings("stacks.owner", "OWNER", Owner)
    regions = [region for package in packages if (region := loader.region(package)) is not None]
    findings = [*loader.findings, *rules.broken(owner, regions)]
    if findings:
        # An error in a file that others import is found once for each of them.
        unique = {str(finding): finding for finding in findings}.values()
        raise SettingsError(sorted(unique, key=lambda finding: finding.file))
    return owner, regions
