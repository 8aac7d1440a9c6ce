"""Adds an environment to this repository as a copy of another one, or removes it.

There are no templates. Everything that names the model is copied under the new name: its settings, the overlays of the
services, the permissions of the teams, its deploy jobs and the exceptions of the scanner. `make synth` warns about an
environment that lacks such files (`stacks/files_of_environments.py`).
"""

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationError
from operations.repository import settings_files
from operations.repository.names import YAML_KEYWORDS
from operations.repository.text import read_text
from operations.terraform.stacks import Region

_WORKFLOW = Path(".github/workflows/deploy.yaml")
_CODE_OWNERS = Path(".github/CODEOWNERS")
_EXCEPTIONS = Path("scanner-exceptions.toml")
_PERMISSIONS = "management/argo-cd/manifests/rbac/policy.*.csv"
_OVERLAYS = "service/*/overlays"
_IN_CLUSTER = "-cluster"
_HOST_OF_OTHERS = re.compile(r"(dev\.azure\.com|://[\w.-]+\.dev(?![\w.-]))")
"""A host with the word `dev` that is no environment: that of Azure DevOps, and those below the top-level domain."""
_DEPLOYS = "    uses: ./.github/workflows/deploy-stacks.yaml\n"
_JOB = re.compile(r"(?m)^  ([a-z0-9-]+):\n(?:(?:    .*)?\n)+")
_RESERVED = {
    "backend": "a stack of the region",
    "shared": "a stack of the region",
    "plan": "the GitHub environment of plans",
    "delivery": "the GitHub environment of the GitHub App",
    "reviewed": f"a job of {_WORKFLOW}",
}

Files = Mapping[Path, str | None]
"""The new content of files by their path in the repository; None removes one."""


@dataclass(frozen=True, kw_only=True)
class NewEnvironment:
    """The environment to add: a copy of `like` in the same region, and after it in the order of promotion."""

    name: str
    like: str
    region: str = ""


def with_environment(root: Path, new: NewEnvironment, regions: Sequence[Region]) -> Files:
    """The files that change if an environment is added.

    Files of an environment of the same name in another region stay as they are.

    Raises:
        OperationError: if a value is invalid; the message lists all problems. Also if a file cannot be read.
    """
    region, problems = _region(new.region, regions)
    problems += _name_problems(new.name)
    settings = _settings(region, new.name) if region is not None else Path()
    if region is not None:
        if new.name in region.environments:
            problems.append(f"name: {new.name!r}: {region.name} has this environment already; choose another")
        elif (root / settings).exists():
            problems.append(f"name: {new.name!r}: {settings} exists already; choose another")
        if new.like not in region.environments:
            known = ", ".join(region.environments)
            problems.append(f"like: {new.like!r}: no environment of {region.name}; use one of {known}")
        else:
            problems += _job_problems(root, new.like)
        if not problems and not any(new.name in one.environments for one in regions) and _has_word(root, region, new):
            message = f"{new.like} has this word in its settings or deploy jobs, and a copy would rename it"
            problems.append(f"name: {new.name!r}: {message}; choose another")
    if problems or region is None:
        raise OperationError("\n".join(problems))
    place = region.environments.index(new.like) + 1
    names = [*region.environments[:place], new.name, *region.environments[place:]]
    package = _package(region)
    files: dict[Path, str | None] = {
        settings: renamed(
            read_text(root / _settings(region, new.like)),
            {new.like: new.name, new.like.upper(): new.name.upper()},
        ),
        package: settings_files.with_names(root / package, "ENVIRONMENTS", names),
    }
    if any(new.name in other.environments for other in regions):
        return files
    return {**files, **_changed(root, dict(_copies(root, new)))}


def without_environment(root: Path, name: str, region_name: str, regions: Sequence[Region]) -> Files:
    """The files that change if an environment is removed.

    What names the environment stays if another region has an environment of the same name.

    Raises:
        OperationError: if the environment does not exist, or is the last one of its region.
    """
    region, problems = _region(region_name, regions)
    if region is not None and name not in region.environments:
        known = ", ".join(region.environments)
        problems.append(f"name: {name!r}: no environment of {region.name}; use one of {known}")
    elif region is not None and len(region.environments) == 1:
        problems.append(
            f"name: {name!r}: the only environment of {region.name}; remove the region: make region REMOVE=1"
        )
    if problems or region is None:
        raise OperationError("\n".join(problems))
    package = _package(region)
    names = [other for other in region.environments if other != name]
    files: dict[Path, str | None] = {
        _settings(region, name): None,
        package: settings_files.with_names(root / package, "ENVIRONMENTS", names),
    }
    if any(name in other.environments for other in regions if other is not region):
        return files
    return {**files, **files_without(root, [name])}


def files_without(root: Path, names: Sequence[str]) -> Files:
    """The files outside of the settings that change if no region has environments of these names any more."""
    name = f"(?:{'|'.join(names)})"
    files: dict[Path, str | None] = {
        path.relative_to(root): None
        for one in names
        for folder in sorted(root.glob(f"{_OVERLAYS}/{one}"))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    for path, mark in _lines_of(root, name):
        lines = read_text(root / path).splitlines(keepends=True)
        files[path] = "".join(line for line in lines if not mark.search(line))
    exception = _block_of_exception(name)
    files[_EXCEPTIONS] = re.sub(rf"\n(?:{exception})+\Z|{exception}", "", _read(root, _EXCEPTIONS))
    jobs = _block_of_job(rf"{name}(?:{_IN_CLUSTER})?")
    files[_WORKFLOW] = _with_needs(re.sub(jobs, "", _read(root, _WORKFLOW)))
    return _changed(root, files)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with whole words replaced, except in hosts of others.

    `/dev/` at the start of a path is a folder of Linux, no environment.
    """
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = re.compile(rf"(?<!\w)(?!(?<=(?<!\w)/)dev/)(?:{words})(?!\w)")
    parts = _HOST_OF_OTHERS.split(text)  # the odd ones are hosts
    return "".join(
        part if number % 2 else pattern.sub(lambda found: names[found[0]], part) for number, part in enumerate(parts)
    )


def _region(name: str, regions: Sequence[Region]) -> tuple[Region | None, list[str]]:
    """The region of this name, or the only one if the name is empty; and what is wrong with the name."""
    found = [region for region in regions if name in (region.name, "")]
    if len(found) == 1:
        return found[0], []
    known = ", ".join(region.name for region in regions)
    return None, [f"region: {name!r}: {'not a region of this platform' if name else 'not named'}; use one of {known}"]


def _name_problems(name: str) -> Iterator[str]:
    if re.fullmatch(r"[a-z][a-z0-9]*", name) is None or keyword.iskeyword(name):
        yield f"name: {name!r}: use lower-case letters and digits, a letter first, and no word of Python"
    elif name in YAML_KEYWORDS:
        yield f"name: {name!r}: is a keyword in YAML; choose another"
    elif name in _RESERVED:
        yield f"name: {name!r}: is {_RESERVED[name]}; choose another"


def _job_problems(root: Path, like: str) -> Iterator[str]:
    for job in _jobs_of(root, like):
        if re.search(r"(?m)^    needs: \[.*\]$", job) is None:
            yield f"{_WORKFLOW}: {job.strip().partition(':')[0]}: needs: not on one line; write it as [a, b]"


def _jobs_of(root: Path, environment: str) -> list[str]:
    """The deploy jobs of an environment, as text."""
    return re.findall(_block_of_job(rf"{environment}(?:{_IN_CLUSTER})?"), _read(root, _WORKFLOW))


def _package(region: Region) -> Path:
    return Path(region.shared_settings_file).with_name("__init__.py")


def _settings(region: Region, environment: str) -> Path:
    return Path(region.shared_settings_file).with_name(f"{environment}.py")


def _has_word(root: Path, region: Region, new: NewEnvironment) -> bool:
    """Whether the model has the new name for something else, which is then renamed if the new environment is copied."""
    text = read_text(root / _settings(region, new.like)) + "".join(_jobs_of(root, new.like))
    return re.search(rf"(?<!\w){new.name}(?!\w)", re.sub(r'"""[^"]*"""|#.*', "", text)) is not None


def _copies(root: Path, new: NewEnvironment) -> Iterator[tuple[Path, str]]:
    """What is outside of the settings: copies of the model's overlays, and files with copies of its lines."""

    def copied(text: str) -> str:
        return renamed(text, {new.like: new.name})

    for folder in sorted(root.glob(f"{_OVERLAYS}/{new.like}")):
        copy = folder.with_name(new.name)
        for path in sorted(folder.rglob("*")) if not copy.exists() else ():
            if path.is_file():
                yield (copy / path.relative_to(folder)).relative_to(root), copied(read_text(path))
    for path, mark in _lines_of(root, new.like):
        lines = read_text(root / path).splitlines(keepends=True)  # the last one may lack the end of a line
        copies = [line.rstrip("\n") + "\n" + mark.sub(rf"\g<1>{new.name}", line) for line in lines]
        yield path, "".join(copy if mark.search(line) else line for line, copy in zip(lines, copies, strict=True))
    yield (
        _EXCEPTIONS,
        re.sub(
            _block_of_exception(new.like),
            lambda block: block[0].rstrip("\n") + "\n\n" + copied(block[0]),
            _read(root, _EXCEPTIONS),
        ),
    )
    yield (
        _WORKFLOW,
        _with_needs(
            re.sub(
                _block_of_job(new.like) + _block_of_job(new.like + _IN_CLUSTER),
                lambda jobs: jobs[0] + copied(jobs[0]),
                _read(root, _WORKFLOW),
            )
        ),
    )


def _lines_of(root: Path, name: str) -> Iterator[tuple[Path, re.Pattern[str]]]:
    """The files with one line for each environment, and how such a line of this environment starts, up to its name.

    The group 1 is what is before the name. The line may have the same word elsewhere, such as in the name of a team.
    """
    for path in sorted(root.glob(_PERMISSIONS)):
        yield path.relative_to(root), re.compile(rf"^([^#]*/[\w*-]*-){name}\b(?!-)")
    if (root / _CODE_OWNERS).is_file():
        yield _CODE_OWNERS, re.compile(rf"^([^#]*/overlays/){name}\b")


def _block_of_exception(environment: str) -> str:
    """An entry of the scanner's exceptions for the stacks of an environment."""
    stack = rf'stack = "[^"\n]*-{environment}(?:-\w+)?\*?"'
    return rf"(?m:^)\[\[exception\]\]\n(?:(?!stack).+\n)*{stack}\n(?:.+(?:\n|\Z))*\n?"


def _block_of_job(job: str) -> str:
    return rf"(?m:^)  {job}:\n(?:(?:    .*)?\n)+?(?=  \S|\Z)"


def _with_needs(workflow: str) -> str:
    """The workflow, of which each job that deploys waits for all of these before it, and for others as it did."""
    head, mark, jobs = workflow.partition("\njobs:\n")
    deploys = {found[1]: _DEPLOYS in found[0] for found in re.finditer(_JOB, jobs)}
    before: list[str] = []

    def job(found: re.Match[str]) -> str:
        needs = re.search(r"(?m)^    needs: \[(.*)\]$", found[0])
        names = re.split(", *", needs[1]) if needs is not None else []
        if deploys[found[1]]:
            names = [*(name for name in names if deploys.get(name) is False), *before]
            before.append(found[1])
        waits = f"    needs: [{', '.join(name for name in names if name in deploys)}]"
        return found[0] if needs is None else found[0].replace(needs[0], waits, 1)

    return head + mark + re.sub(_JOB, job, jobs)


def _changed(root: Path, files: Files) -> Files:
    return {path: text for path, text in files.items() if text is None or text != _read(root, path)}


def _read(root: Path, path: Path) -> str:
    """The text of a file; empty if there is none."""
    return read_text(root / path) if (root / path).is_file() else ""
