"""What the repository must be like before a Kubernetes version changes: the tables of versions, charts and APIs."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from operations.delivery import manifests
from operations.delivery.manifests import Source
from operations.errors import OperationError
from operations.preflight.check import Line, Outcome
from operations.terraform.stacks import Platform, Stack
from operations.upgrade import removed_apis
from operations.upgrade.cluster import Change, minor

_PARALLELISM = 8
_EXCLUDED = "chart requires kubeVersion"  # of Helm


def known_version(platform: Platform, version: str) -> Iterator[Line]:
    """Whether the version has a row in the table of Kubernetes versions, without which the settings reject it."""
    if known := platform.kubernetes.get(version):
        yield Line("versions.py", "passed", f"{version}: standard support ends on {known.end_of_standard_support}")
    else:
        message = f"{version}: not one of {', '.join(platform.kubernetes)}; add it to EKS_VERSIONS, with its dates"
        yield Line("versions.py", "failed", message)


def releases(platform: Platform, stack: Stack, version: str) -> Iterator[Line]:
    """Whether the charts that Terraform installs in the cluster are tested with the version."""
    known = {(chart.name, chart.version): chart for chart in platform.charts}
    installed = {(it["chart"], it["version"]) for it in stack.resources_of("helm_release").values()}
    for name, release in sorted(installed):
        subject, chart = f"chart {name}", known.get((name, release))
        if chart is None:
            yield Line(subject, "warning", f"{release}: no row in versions.py; read its release notes")
            continue
        tested = f"{chart.version}: tested with Kubernetes {chart.first} to {chart.last}"
        if minor(chart.first) <= minor(version) <= minor(chart.last):
            yield Line(subject, "passed", tested)
        else:
            yield Line(subject, "failed", f"{tested} only; choose another version of the chart before")


def removed(root: Path, version: str) -> Iterator[Line]:
    """Whether manifests and templates of the Git tree use an API that the version does not serve."""
    found = list(removed_apis.in_tree(root, minor(version)))
    for file, what in found:
        message = f"{what} is not served by Kubernetes {version}; use a newer API: {removed_apis.GUIDE}"
        yield Line(f"API in {file}", "failed", message)
    if not found:
        yield Line("APIs in the Git tree", "passed", f"Kubernetes {version} serves all of them")


def charts(root: Path, version: str) -> Iterator[Line]:
    """Whether the charts of the components accept the version, and what they install uses its APIs.

    Helm renders them, which needs their repositories. Charts with the same result are in one line.
    """
    found = manifests.charts(root, version)
    names: dict[tuple[Outcome, str], list[str]] = {}
    with ThreadPoolExecutor(_PARALLELISM) as pool:
        for source, result in zip(found, pool.map(lambda source: _chart(source, version), found), strict=True):
            same = names.setdefault(result, [])
            same += [source.name] if source.name not in same else []
    for (outcome, message), same in names.items():
        yield Line(f"charts of {', '.join(same)}", outcome, message)


def _chart(source: Source, version: str) -> tuple[Outcome, str]:
    try:
        objects = source.render()
    except OperationError as error:
        if _EXCLUDED in str(error):
            return "failed", f"{error}; choose a version of the chart that accepts it"
        return "warning", f"not checked: {error}; read the release notes"
    if gone := removed_apis.in_text(objects, minor(version)):
        message = f"installs {', '.join(gone)}, which Kubernetes {version} does not serve; choose a newer version"
        return "failed", message
    return "passed", f"accept Kubernetes {version}"


def order(change: Change, environments: Sequence[str], environment: str, settings: dict[str, str]) -> Iterator[Line]:
    """Whether the settings of the other environments of the region allow the version of this one.

    `environments` are in the order of promotion; `settings` are their versions in the settings. The settings reject the
    same (`stacks/rules_of_environments.py`), after this change.
    """
    at = environments.index(environment)
    for name in environments[:at]:
        if minor(settings[name]) < minor(change.version):
            message = f"has {settings[name]}, and is promoted first; upgrade it before"
            yield Line(f"environment {name}", "failed", message)
    for name in environments[at + 1 : at + 2]:
        ahead = minor(change.version) - minor(settings[name])
        if ahead < 0:
            message = f"has {settings[name]}, and is promoted after {environment}; take it back before"
            yield Line(f"environment {name}", "failed", message)
        elif ahead > 1:
            message = f"has {settings[name]}, more than one minor version behind; upgrade it before"
            yield Line(f"environment {name}", "failed", message)
