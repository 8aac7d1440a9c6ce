"""Creates a new service by copying an existing one, so that a fix in that one also reaches new services.

This module contains no templates. The service's folder, and a new team's files in `management/`, are copies of the
model's files under other names. The database is not copied: the settings have none for the new service.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationError
from operations.repository import all_or_nothing, names, settings_files
from operations.terraform.stacks import Region

EXAMPLE_TAG = "0.0.0-example"
EXAMPLE_DIGEST = f"sha256:{'0' * 64}"
PLACEHOLDER_ID = 9
"""A placeholder for the GitHub id of a repository; `make synth` warns about it."""

_RESERVED_NAMES = {"argocd": "its host name is used by Argo CD"}
_RESERVED_TEAMS = {"default": "is a project of Argo CD", "management": "is a project of the platform"}
_SHORTEST_NAME = 2  # as in the settings of image repositories
_LONGEST_CRON_JOB = 52
"""Kubernetes appends 11 characters for each Job. Source:
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/"""
_LONGEST_IAM_NAME = 64
_DATABASE = Path("base/database")
_PROJECTS = Path("management/bootstrap/projects")
_CODE_OWNERS = Path(".github/CODEOWNERS")


@dataclass(frozen=True, kw_only=True)
class NewService:
    """The service to create. `repository_id` is the GitHub id of the repository that pushes its images."""

    name: str
    team: str
    like: str = "bubblepool"
    repository_id: int | None = None


def write_service(root: Path, new: NewService, regions: Sequence[Region], say: Callable[[str], None]) -> None:
    """Write a service, its team's project and permissions, and its image repository to `root`: either all or nothing.

    The team also becomes the code owner of the service. The image repository is added to each of `regions`.

    Raises:
        OperationError: if any value is invalid or conflicts with an existing one; the message lists all problems.
            Also if a file cannot be read.
    """
    tree = _Tree(root, regions)
    if not tree.models:
        raise OperationError(f"{root.absolute()}: has no service to copy; run this in the root of the repository")
    problems = [*_name_problems(tree, new.name), *_team_problems(tree, new.team), *_other_problems(tree, new)]
    if problems:
        raise OperationError("\n".join(problems))
    files = _files(tree, new)
    all_or_nothing.write_files({root / path: text for path, text in files.items()})
    for path in sorted(files):
        say(str(path))


class _Tree:
    """The files of the repository. All paths are relative to its root."""

    def __init__(self, root: Path, regions: Sequence[Region]) -> None:
        self.root = root
        self.regions = regions
        self.settings = [Path(region.shared_settings_file) for region in regions]
        self.models = sorted(path.parents[1].name for path in root.glob("service/*/base/kustomization.yaml"))
        self.environments = sorted({path.name for path in root.glob("service/*/overlays/*")})

    def read(self, path: Path) -> str:
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise OperationError(f"{path}: cannot be read: {error}; correct the file") from error

    def has(self, path: Path) -> bool:
        return (self.root / path).exists()

    def files(self, folder: Path) -> list[Path]:
        return sorted(path.relative_to(self.root) for path in (self.root / folder).rglob("*") if path.is_file())

    def of_team(self, team: str) -> list[Path]:
        """The files in `management/` with the team in their names, such as `policy.<team>.csv`."""
        return [path for path in self.files(Path("management")) if team in path.name.split(".")]


# Validation


def _name_problems(tree: _Tree, name: str) -> Iterator[str]:
    if names.NAME.fullmatch(name) is None:
        yield f"name: {name!r}: {names.REMEDY}"
        return
    if len(name) < _SHORTEST_NAME:
        yield f"name: {name!r}: too short for an image repository; use at least {_SHORTEST_NAME} characters"
    if name in names.YAML_KEYWORDS:
        yield f"name: {name!r}: is a keyword in YAML; choose another"
    if name in _RESERVED_NAMES:
        yield f"name: {name!r}: {_RESERVED_NAMES[name]}; choose another"
    lengths = [(f"{region.push_role_prefix}{name}", "IAM role", _LONGEST_IAM_NAME) for region in tree.regions]
    # It rotates the password of the database's user, and has the name of the namespace, which may be longer.
    lengths += [(f"{name}-{environment}", "CronJob", _LONGEST_CRON_JOB) for environment in tree.environments]
    longest, what, limit = max(lengths, key=lambda length: len(length[0]) - length[2])
    if len(longest) > limit:
        problem = f"the {what} {longest} has {len(longest)} characters, more than {limit}"
        yield f"name: {name!r}: {problem}; choose a shorter one"
    if tree.has(Path("service") / name):
        yield f"name: {name!r}: service/{name} exists already; choose another"
    if tree.has(Path("management") / name):
        yield f"name: {name!r}: its Applications would have the names of those of management/{name}; choose another"
    for path in tree.settings:
        repositories = settings_files.read_image_repositories(tree.root / path)
        if repositories is not None and name in repositories.names:
            yield f"name: {name!r}: {path} has an image repository of this name; choose another"


def _team_problems(tree: _Tree, team: str) -> Iterator[str]:
    if not team:
        yield f"team: {team!r}: every service needs an owner; name the team"
    elif names.NAME.fullmatch(team) is None or len(team) > names.LONGEST_LABEL:
        yield f"team: {team!r}: {names.REMEDY}, at most {names.LONGEST_LABEL} characters"
    elif team in names.YAML_KEYWORDS:
        yield f"team: {team!r}: is a keyword in YAML; choose another"
    elif team in _RESERVED_TEAMS:
        yield f"team: {team!r}: {_RESERVED_TEAMS[team]}; choose another"
    elif not tree.has(_project(team)) and (others := tree.of_team(team)):
        yield f"team: {team!r}: {others[0]} has this name, but belongs to no team; choose another"


def _other_problems(tree: _Tree, new: NewService) -> Iterator[str]:
    if new.like not in tree.models:
        yield f"like: {new.like!r}: not a service with a base; use one of {', '.join(tree.models)}"
    if new.repository_id is not None and new.repository_id <= 0:
        yield f"repository id: {new.repository_id}: must be positive; `gh api repos/OWNER/NAME --jq .id` prints it"
    if _organisation(tree) is None:
        yield f"{_CODE_OWNERS}: has no owner of everything; write a line such as `* @your-org/platform`"
    for path in tree.settings:
        if settings_files.read_image_repositories(tree.root / path) is None:
            yield f"{path}: image_repositories: must have one entry per line; reformat them"


# Generation


def _files(tree: _Tree, new: NewService) -> dict[Path, str]:
    model = _Model(tree, new)
    files = dict(model.service())
    files[_CODE_OWNERS] = _with_owner(tree, new)
    project = _project(new.team)
    if tree.has(project):
        text = tree.read(project)
        old = _destinations(project, text)
        files[project] = text.replace(old, old + model.renamed(model.destinations()))
    else:
        for path in tree.of_team(model.team):
            copy = path.with_name(".".join(new.team if part == model.team else part for part in path.name.split(".")))
            text = tree.read(path)
            if path == _project(model.team):
                text = text.replace(_destinations(path, text), model.destinations())
            files[copy] = model.renamed(text)
            files |= _kustomizations(tree, files, path, copy)
    for path in tree.settings:
        repositories = settings_files.read_image_repositories(tree.root / path)
        if repositories is not None:
            files[path] = settings_files.with_one_more(
                tree.root / path, repositories.last_line, new.name, new.repository_id or PLACEHOLDER_ID
            )
    return files


class _Model:
    """The service that is copied."""

    def __init__(self, tree: _Tree, new: NewService) -> None:
        self._tree = tree
        self._new = new
        self._folder = Path("service") / new.like
        overlay = next(path for path in tree.files(self._folder) if path.name == "application.yaml")
        team = re.search(r"^team: (\S+)$", tree.read(overlay), re.MULTILINE)
        if team is None:
            raise OperationError(f"{overlay}: has no team; write the owner of the service, such as `team: bubble`")
        self.team = team[1]

    def renamed(self, text: str) -> str:
        """The text with the model's name and team replaced by the new ones. Only whole words are replaced."""
        new = {self._new.like: self._new.name, self.team: self._new.team}
        return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, new))})(?!\w)", lambda found: new[found[1]], text)

    def service(self) -> Iterator[tuple[Path, str]]:
        """The files of the new service, with an example image, because none was delivered yet."""
        for path in self._tree.files(self._folder):
            relative = path.relative_to(self._folder)
            if _DATABASE in relative.parents:
                continue
            text = re.sub(r"^database: .*$", 'database: ""', self._tree.read(path), flags=re.MULTILINE)
            if path.name == "kustomization.yaml":
                text = re.sub(r"^components:\n((?:- .*\n)+)", _without_database, text, flags=re.MULTILINE)
                text = re.sub(r"^- digest: .*$", f"- digest: {EXAMPLE_DIGEST}", text, flags=re.MULTILINE)
                text = re.sub(r"^  newTag: .*$", f"  newTag: {EXAMPLE_TAG}", text, flags=re.MULTILINE)
            yield Path("service") / self._new.name / relative, self.renamed(text)

    def destinations(self) -> str:
        """The model's own destinations in the project of its team."""
        file = _project(self.team)
        entries = re.findall(r"    - .*\n(?:      .*\n)*", _destinations(file, self._tree.read(file)))
        return "".join(entry for entry in entries if f"namespace: {self._new.like}-" in entry)


def _without_database(components: re.Match[str]) -> str:
    kept = [line for line in components[1].splitlines(keepends=True) if Path(line.strip("- \n")).name != _DATABASE.name]
    return "".join(["components:\n", *kept]) if kept else ""


def _organisation(tree: _Tree) -> str | None:
    """The GitHub organisation of the team that owns all files without another owner."""
    text = tree.read(_CODE_OWNERS) if tree.has(_CODE_OWNERS) else ""
    found = re.search(r"^\* +@([\w-]+)/", text, re.MULTILINE)
    return found[1] if found is not None else None


def _with_owner(tree: _Tree, new: NewService) -> str:
    """The code owners with the team of the new service, in sorted order, and before the owners of parts of services.

    Of the lines that match a file, GitHub takes the last one.
    """
    lines = tree.read(_CODE_OWNERS).splitlines(keepends=True)
    line = f"/service/{new.name}/ @{_organisation(tree)}/{new.team}\n"
    others = [number for number, other in enumerate(lines) if re.match(r"/service/[a-z*]", other)]
    later = (number for number in others if lines[number] > line or lines[number].startswith("/service/*"))
    place = next(later, others[-1] + 1 if others else len(lines))
    return "".join([*lines[:place], line, *lines[place:]])


def _project(team: str) -> Path:
    return _PROJECTS / f"{team}.yaml"


def _destinations(file: Path, project: str) -> str:
    found = re.search(r"^  destinations:\n((?:    .*\n)+)", project, re.MULTILINE)
    if found is None:
        raise OperationError(f"{file}: destinations: must have one entry per line; reformat them")
    return found[1]


def _kustomizations(tree: _Tree, files: Mapping[Path, str], path: Path, copy: Path) -> Iterator[tuple[Path, str]]:
    """The kustomizations that list `path`, with `copy` added in sorted order."""
    for folder in path.parents:
        kustomization = folder / "kustomization.yaml"
        if tree.has(kustomization):
            text = files.get(kustomization) or tree.read(kustomization)
            found = re.search(rf"^( *- ){re.escape(str(path.relative_to(folder)))}\n", text, re.MULTILINE)
            if found is not None:
                entries = re.compile(rf"(?:^{found[1]}.*\n)+", re.MULTILINE)
                listed = next(run[0] for run in entries.finditer(text) if found[0] in run[0])
                ordered = sorted([*listed.splitlines(keepends=True), f"{found[1]}{copy.relative_to(folder)}\n"])
                yield kustomization, text.replace(listed, "".join(ordered))
