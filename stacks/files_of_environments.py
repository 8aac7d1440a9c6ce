"""What the rest of the repository has for each environment: deploy jobs, overlays of services, permissions of teams.

`make environment` writes all of it, and `make synth` warns about what is missing.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from stacks.settings import Region

_WORKFLOW = ".github/workflows/deploy.yaml"
_PERMISSIONS = "management/argo-cd/manifests/rbac"


def missing(root: Path, regions: Sequence[Region]) -> Iterator[tuple[str, str, str]]:
    """The region, the environment and a warning for each kind of file that an environment lacks.

    Nothing is reported of a repository without such files at all, such as one that only has the stacks.
    """
    first = {environment.name: region.name for region in reversed(regions) for environment in region.environments}
    workflow, policies = root / _WORKFLOW, sorted((root / _PERMISSIONS).glob("policy.*.csv"))
    text = workflow.read_text(encoding="utf-8") if workflow.is_file() else ""
    jobs = re.findall(r"^  ([a-z0-9-]+):$", text, re.MULTILINE)
    permitted = "\n".join(path.read_text(encoding="utf-8") for path in policies)
    overlays = {path.name for path in root.glob("service/*/overlays/*") if path.is_dir()}
    for name, region in first.items():
        for job in (name, f"{name}-cluster"):
            if jobs and job not in jobs:
                yield region, name, f"{_WORKFLOW}: has no job {job}; copy that of another environment"
        if overlays and name not in overlays:
            yield region, name, f"service: no service has an overlay {name}; copy those of another environment"
        if permitted and not re.search(rf"/\*-{name}\b", permitted):
            yield region, name, f"{_PERMISSIONS}: no team may do anything in {name}; add lines with */*-{name}"
    for name in sorted(overlays - first.keys()):
        services = ", ".join(sorted(path.parents[1].name for path in root.glob(f"service/*/overlays/{name}")))
        yield regions[0].name, "shared", f"service: overlays/{name} of {services}: no such environment; remove them"
