"""The table of services and environments: the image in Git, how far behind it is, and what Argo CD says."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from operations.clients import git
from operations.delivery.images import SERVICES, Image, Overlay
from operations.errors import OperationError
from operations.portal import argo_cd
from operations.portal.argo_cd import ArgoCd
from operations.portal.clusters import Described
from operations.portal.model import Behind, Cell, Code, Level, State, Table, Unknown
from operations.portal.sources import Row, Sources, place_of
from operations.terraform.stacks import Stack

_MOST_COMMITS = 200
_LEVELS: Mapping[str, Level] = {"Synced": "good", "Healthy": "good", "Degraded": "bad", "Missing": "bad"}


def argo_cds(stacks: list[Stack], running: Mapping[str, Described | Unknown]) -> dict[str, ArgoCd]:
    """The Argo CD that deploys to each cluster, by environment stack; `running` is what EKS says of each."""
    environments = [stack for stack in stacks if stack.kind == "environment"]
    trials = {(stack.region, stack.short_name) for stack in stacks if stack.is_in_cluster and stack.kubeconfig}
    own: dict[tuple[str, str], ArgoCd] = {}
    try:
        known = argo_cd.contexts()
    except OperationError as error:
        return {stack.name: Unknown("no-kubectl", "kubectl config get-contexts", str(error)) for stack in environments}
    for stack in environments:
        place = stack.region, stack.short_name
        if stack.hub:
            continue
        assert stack.cluster is not None
        found, name = running[stack.name], stack.cluster.name
        arn = f":eks:{stack.region}:{stack.account_id}:cluster/{name}"  # without the partition
        endpoint = None if isinstance(found, Unknown) else found.get("endpoint")
        own[place] = argo_cd.of_context("") if place in trials else argo_cd.of_cluster(known, name, arn, endpoint)
    return {stack.name: own[stack.region, stack.hub or stack.short_name] for stack in environments}


def table(sources: Sources) -> Table:
    """A row for each service in each cluster."""
    columns = ["service", "region", "environment", "tag", "digest", "behind", "sync", "health"]
    names = sorted(path.name for path in (sources.root / SERVICES).glob("*") if (path / "overlays").is_dir())
    return Table("services", columns, [row for name in names for row in _rows(sources, name)])


def _rows(sources: Sources, service: str) -> Iterator[Row]:
    before = {
        (region.name, environment): previous
        for region in sources.platform.regions
        for previous, environment in pairwise(one for one in region.environments if _has(sources.root, service, one))
    }
    for stack in sources.environments:
        if _has(sources.root, service, stack.environment):
            previous = before.get((stack.region, stack.environment))
            image = _image(sources.root, service, stack.environment)
            shown: list[Cell] = [image, image] if isinstance(image, Unknown) else [Code(image.tag), _digest(image)]
            behind = _behind(sources.root, service, image, previous) if previous else None
            yield [service, *place_of(stack), *shown, behind, *_running(sources, stack, service)]


def _has(root: Path, service: str, environment: str) -> bool:
    return (root / SERVICES / service / "overlays" / environment).is_dir()


def _image(root: Path, service: str, environment: str) -> Image | Unknown:
    try:
        return Overlay(root, service, environment).image()
    except OperationError as error:
        return Unknown("no-image", "", str(error))


def _digest(image: Image) -> Cell:
    return State("not-delivered") if image.is_example else Code(image.digest)


def _behind(root: Path, service: str, image: Image | Unknown, previous: str) -> Cell:
    """How many images the previous environment has had since it had this one, by the history in Git."""
    if isinstance(image, Unknown) or image.is_example:
        return None
    newer = dict[str, datetime]()
    for digest, since in _history(root, Overlay(root, service, previous)):
        if digest == image.digest:
            return Behind(len(newer), min(newer.values(), default=None))
        newer[digest] = since
    return Unknown("not-in-history", "git fetch --unshallow origin", previous)


def _history(root: Path, overlay: Overlay) -> Iterator[tuple[str, datetime]]:
    """The digests of an overlay, that of the work tree first, each with when it was committed."""
    try:
        file = overlay.file
        yield overlay.image().digest, datetime.now().astimezone()
    except OperationError:
        return
    listed = git.run(root, "log", f"--max-count={_MOST_COMMITS}", "--format=%H %cI", "--", str(file))
    for line in listed.stdout.splitlines():
        commit, _, at = line.partition(" ")
        shown = git.run(root, "show", f"{commit}:{file}")
        try:
            yield overlay.image_in(shown.stdout).digest, datetime.fromisoformat(at)
        except OperationError:  # the file was removed, or had another format
            continue


def _running(sources: Sources, stack: Stack, service: str) -> list[Cell]:
    """The sync and health of the Application, which has the name of its folder."""
    found = sources.argo_cd[stack.name]
    if isinstance(found, Unknown):
        return [found, found]
    application = found.get(f"{service}-{stack.environment}")
    if application is None:
        return [State("no-application", "warn"), None]
    return [_status(application.sync), _status(application.health)]


def _status(name: str) -> State:
    return State(name, _LEVELS.get(name, "warn"))
