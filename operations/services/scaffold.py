"""A new service in the Git tree, in the shape of one that is there: what is mended in that one is right in the next.

Nothing of the shape stands here. The service's folder, and what a new team gets below `management/`, are those of the
model under other names. Its database stays behind: the settings have none for the new service.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.errors import OperationError
from operations.repository import all_or_nothing, settings_files
from operations.terraform.stacks import Region

EXAMPLE_TAG = "0.0.0-example"
EXAMPLE_DIGEST = f"sha256:{'0' * 64}"
PLACEHOLDER_ID = 9
"""GitHub's number of no repository of ours: `make synth` warns of it."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAME_REMEDY = "use lower-case letters and digits, a letter first, with single hyphens between"
_YAML_WORDS = {"false", "n", "no", "null", "off", "on", "true", "y", "yes"}
_OTHERS_NAMES = {"argocd": "Argo CD has its host"}
_OTHERS_TEAMS = {"default": "Argo CD has a project of this name", "management": "the platform has this project"}
_LONGEST_LABEL = 63
_LONGEST_IAM_NAME = 64
_DATABASE = Path("base/database")
_PROJECTS = Path("management/bootstrap/projects")


@dataclass(frozen=True, kw_only=True)
class NewService:
    """What is asked for. Without a `repository_id` of GitHub a placeholder is trusted to push the images."""

    name: str
    team: str
    like: str = "bubblepool"
    repository_id: int | None = None


def write_service(root: Path, new: NewService, regions: Sequence[Region], say: Callable[[str], None]) -> None:
    """Write a service, its team's project and rights, and its image repository below `root`: all of it or nothing.

    Every one of `regions` gets the image repository.

    Raises:
        OperationError: with everything that is in the way.
    """
    tree = _Tree(root, regions)
    problems = [*_wrong_name(tree, new.name), *_wrong_team(tree, new.team), *_wrong_rest(tree, new)]
    if problems:
        raise OperationError("\n".join(problems))
    files = _files(tree, new)
    all_or_nothing.write_files({root / path: text for path, text in files.items()})
    for path in sorted(files):
        say(str(path))


class _Tree:
    """What stands below the root of the repository. Paths are seen from there."""

    def __init__(self, root: Path, regions: Sequence[Region]) -> None:
        self.root = root
        self.regions = regions
        self.settings = [Path(region.shared_settings_file) for region in regions]
        self.models = sorted(path.parents[1].name for path in root.glob("service/*/base/kustomization.yaml"))
        self.environments = sorted({path.name for path in root.glob("service/*/overlays/*")})

    def read(self, path: Path) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def has(self, path: Path) -> bool:
        return (self.root / path).exists()

    def files(self, folder: Path) -> list[Path]:
        return sorted(path.relative_to(self.root) for path in (self.root / folder).rglob("*") if path.is_file())

    def of_team(self, team: str) -> list[Path]:
        """The files below `management/` whose names have the team's in them, such as `policy.<team>.csv`."""
        return [path for path in self.files(Path("management")) if team in path.name.split(".")]


# What is in the way


def _wrong_name(tree: _Tree, name: str) -> Iterator[str]:
    if _NAME.fullmatch(name) is None:
        yield f"name: {name!r}: {_NAME_REMEDY}"
        return
    if name in _YAML_WORDS:
        yield f"name: {name!r}: YAML takes it for another value; choose another"
    if name in _OTHERS_NAMES:
        yield f"name: {name!r}: {_OTHERS_NAMES[name]}; choose another"
    lengths = [(f"{name}-{environment}", "namespace", _LONGEST_LABEL) for environment in tree.environments]
    lengths += [(f"{region.push_role_prefix}{name}", "IAM role", _LONGEST_IAM_NAME) for region in tree.regions]
    longest, what, limit = max(lengths, key=lambda length: len(length[0]) - length[2])
    if len(longest) > limit:
        yield f"name: {name!r}: the {what} {longest} has {len(longest)} characters, not {limit}; choose a shorter one"
    if tree.has(Path("service") / name):
        yield f"name: {name!r}: service/{name} exists; choose another"
    for path in tree.settings:
        repositories = settings_files.read_image_repositories(tree.root / path)
        if repositories is not None and name in repositories.names:
            yield f"name: {name!r}: {path} has an image repository of this name; choose another"


def _wrong_team(tree: _Tree, team: str) -> Iterator[str]:
    if not team:
        yield f"team: {team!r}: every service has an owner; name the team"
    elif _NAME.fullmatch(team) is None or len(team) > _LONGEST_LABEL:
        yield f"team: {team!r}: {_NAME_REMEDY}, {_LONGEST_LABEL} at most"
    elif team in _YAML_WORDS:
        yield f"team: {team!r}: YAML takes it for another value; choose another"
    elif team in _OTHERS_TEAMS:
        yield f"team: {team!r}: {_OTHERS_TEAMS[team]}; choose another"
    elif not tree.has(_project(team)) and (others := tree.of_team(team)):
        yield f"team: {team!r}: {others[0]} is named so, and of no team; choose another"


def _wrong_rest(tree: _Tree, new: NewService) -> Iterator[str]:
    if new.like not in tree.models:
        yield f"like: {new.like!r}: no service with a base; use one of {', '.join(tree.models)}"
    if new.repository_id is not None and new.repository_id <= 0:
        yield f"repository id: {new.repository_id}: GitHub counts from 1; `gh api repos/OWNER/NAME --jq .id` prints it"
    for path in tree.settings:
        if settings_files.read_image_repositories(tree.root / path) is None:
            yield f"{path}: image_repositories: not one entry below the other; write them so"


# What is written


def _files(tree: _Tree, new: NewService) -> dict[Path, str]:
    model = _Model(tree, new)
    files = dict(model.service())
    project = _project(new.team)
    if tree.has(project):
        text = tree.read(project)
        files[project] = text.replace(_destinations(text), _destinations(text) + model.renamed(model.destinations()))
    else:
        for path in tree.of_team(model.team):
            ours = path.with_name(".".join(new.team if part == model.team else part for part in path.name.split(".")))
            text = tree.read(path)
            if path == _project(model.team):
                text = text.replace(_destinations(text), model.destinations())
            files[ours] = model.renamed(text)
            files |= _listed(tree, files, path, ours)
    for path in tree.settings:
        repositories = settings_files.read_image_repositories(tree.root / path)
        if repositories is not None:
            files[path] = settings_files.with_one_more(
                tree.root / path, repositories.last_line, new.name, new.repository_id or PLACEHOLDER_ID
            )
    return files


class _Model:
    """The service that the new one is shaped after."""

    def __init__(self, tree: _Tree, new: NewService) -> None:
        self._tree = tree
        self._new = new
        self._folder = Path("service") / new.like
        overlay = next(path for path in tree.files(self._folder) if path.name == "application.yaml")
        self.team = re.findall(r"^team: (\S+)$", tree.read(overlay), re.MULTILINE)[0]

    def renamed(self, text: str) -> str:
        """The text with the new service's name and team: whole words, both at once."""
        others = {self._new.like: self._new.name, self.team: self._new.team}
        return re.sub(rf"(?<!\w)({'|'.join(map(re.escape, others))})(?!\w)", lambda found: others[found[1]], text)

    def service(self) -> Iterator[tuple[Path, str]]:
        """Its files, with an example for the image, of which none was delivered yet."""
        for path in self._tree.files(self._folder):
            below = path.relative_to(self._folder)
            if _DATABASE in below.parents:
                continue
            text = re.sub(r"^database: .*$", 'database: ""', self._tree.read(path), flags=re.MULTILINE)
            if path.name == "kustomization.yaml":
                text = re.sub(r"^components:\n((?:- .*\n)+)", _without_database, text, flags=re.MULTILINE)
                text = re.sub(r"^- digest: .*$", f"- digest: {EXAMPLE_DIGEST}", text, flags=re.MULTILINE)
                text = re.sub(r"^  newTag: .*$", f"  newTag: {EXAMPLE_TAG}", text, flags=re.MULTILINE)
            yield Path("service") / self._new.name / below, self.renamed(text)

    def destinations(self) -> str:
        """Its own, of those of its team's project."""
        entries = re.findall(r"    - .*\n(?:      .*\n)*", _destinations(self._tree.read(_project(self.team))))
        return "".join(entry for entry in entries if f"namespace: {self._new.like}-" in entry)


def _without_database(components: re.Match[str]) -> str:
    kept = [line for line in components[1].splitlines(keepends=True) if Path(line.strip("- \n")).name != _DATABASE.name]
    return "".join(["components:\n", *kept]) if kept else ""


def _project(team: str) -> Path:
    return _PROJECTS / f"{team}.yaml"


def _destinations(project: str) -> str:
    return str(re.findall(r"^  destinations:\n((?:    .*\n)+)", project, re.MULTILINE)[0])


def _listed(tree: _Tree, files: Mapping[Path, str], path: Path, ours: Path) -> Iterator[tuple[Path, str]]:
    """The kustomizations that list `path`, with `ours` in its place among the others."""
    for folder in path.parents:
        kustomization = folder / "kustomization.yaml"
        if tree.has(kustomization):
            text = files.get(kustomization) or tree.read(kustomization)
            found = re.search(rf"^( *- ){re.escape(str(path.relative_to(folder)))}\n", text, re.MULTILINE)
            if found is not None:
                entries = re.compile(rf"(?:^{found[1]}.*\n)+", re.MULTILINE)
                listed = next(run[0] for run in entries.finditer(text) if found[0] in run[0])
                ordered = sorted([*listed.splitlines(keepends=True), f"{found[1]}{ours.relative_to(folder)}\n"])
                yield kustomization, text.replace(listed, "".join(ordered))
