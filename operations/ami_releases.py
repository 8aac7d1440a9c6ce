"""`ami-releases`: pins the newest AMI of each managed node group in the settings.

EKS updates no AMI by itself. AWS publishes the newest release of each AMI as a parameter of Systems Manager, in every
region, and Renovate has no data source for those.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html, the documentation of aws_eks_node_group
of the AWS provider (`release_version`), and for Bottlerocket
https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id-bottlerocket.html and
https://github.com/aws/containers-roadmap/issues/1945 (`image_version`)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from operations.output.report import Report, Status, Table, counted
from operations.repository import settings_files
from operations.terraform.stacks import Stack

_AMAZON_LINUX = "/aws/service/eks/optimized-ami/{}/amazon-linux-2023/{}/standard/recommended/release_version"
_BOTTLEROCKET = "/aws/service/bottlerocket/aws-k8s-{}/{}/latest/image_version"


class Pin(NamedTuple):
    """A managed node group with its AMI release in the settings, and the newest release that EKS accepts for it."""

    stack: str
    settings_file: str
    group: str
    old: str | None
    newest: str


def pin(stacks: Sequence[Stack], root: Path) -> Report:
    """Write the newest AMI release of each managed node group into the settings below `root`.

    Those of further clusters, which live for a short time, stay as they are.

    Raises:
        OperationError: if there are no credentials, or a group cannot be found in its file.
    """
    pins = [one for stack in stacks if stack.kind == "environment" and not stack.further for one in _pins(stack)]
    changed = [one for one in pins if one.newest != one.old]
    for one in changed:
        file = root / one.settings_file
        file.write_text(settings_files.with_release(file, one.group, one.newest), encoding="utf-8")
    rows = [[one.stack, one.group, one.old or "none", one.newest] for one in pins]
    return Report(
        title=f"{len(changed)} of {counted(len(pins), 'node group')} with a newer AMI",
        status=Status.FINE,
        data={"pins": [one._asdict() for one in pins]},
        tables=[Table("AMI releases", ["stack", "node group", "in the settings", "newest"], rows)],
        notes=["read the difference with git diff; a deploy replaces the nodes gradually"] if changed else [],
    )


def _pins(stack: Stack) -> Iterator[Pin]:
    groups = stack.resources_of("aws_eks_node_group").values()
    ssm = stack.aws_session().client("ssm")
    for group in groups:
        newest = str(ssm.get_parameter(Name=parameter(group["ami_type"], group["version"]))["Parameter"]["Value"])
        name, old = group["node_group_name_prefix"].removesuffix("-"), group.get("release_version")
        if old is not None and _order(group, newest) < _order(group, old):
            newest = old  # AWS withdrew a release, and EKS cannot go back
        yield Pin(stack.name, stack.settings_file, name, old, newest)


def parameter(ami_type: str, version: str) -> str:
    """The parameter with the newest release of an AMI type for a version of Kubernetes."""
    template = _BOTTLEROCKET if ami_type.startswith("BOTTLEROCKET") else _AMAZON_LINUX
    return template.format(version, "arm64" if "ARM_64" in ami_type else "x86_64")


def _order(group: dict[str, Any], release: str) -> tuple[list[int], str]:
    """What a release sorts by: its version and, for Amazon Linux, its date; that of Bottlerocket ends with a commit."""
    version, _, suffix = release.partition("-")
    return [int(part) for part in version.split(".")], suffix if group["ami_type"].startswith("AL2023") else ""
