"""Adds a region to this repository as a copy of another one, or removes it.

There are no templates: the settings are those of the model with other names, networks and zones. Environments have the
names of the model's, so that they take the same overlays, permissions and deploy jobs; their domains are below a
subdomain of the region.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.repository import environments, settings_files
from operations.repository.environments import Files
from operations.repository.text import read_text
from operations.terraform.stacks import Region

_FILE = Path("stacks/regions.py")
_REGIONS = "REGIONS"
_AWS_DATA = Path("constructs/eks_gitops/aws_data.json")


@dataclass(frozen=True, kw_only=True)
class NewRegion:
    """The region to add: a copy of the region `like`, whose VPC has the network `cidr`, such as 10.1.0.0/16."""

    name: str
    like: str
    cidr: str


def read_regions(root: Path) -> list[Region]:
    """The regions as the settings name them. They may be invalid otherwise, so that a new one can be removed again.

    Raises:
        OperationError: if a file cannot be read, or has something other than names.
    """
    folders = [Path(*package.split(".")) for package in settings_files.read_names(root / _FILE, _REGIONS)]
    return [
        Region(
            name=settings_files.read_name(root / folder / "__init__.py", "REGION"),
            shared_settings_file=str(folder / "shared.py"),
            environments=settings_files.read_names(root / folder / "__init__.py", "ENVIRONMENTS"),
            push_role_prefix="",
        )
        for folder in folders
    ]


def with_region(root: Path, new: NewRegion, regions: Sequence[Region]) -> Files:
    """The files that change if a region is added.

    Raises:
        OperationError: if a value is invalid; the message lists all problems. Also if a file cannot be read.
    """
    published: dict[str, Any] = json.loads(read_text(root / _AWS_DATA))["regions"]
    folder = Path("stacks") / _folder(new.name)
    problems = []
    if new.name not in published:
        problems.append(f"name: {new.name!r}: not a region of AWS; write one such as us-west-2")
    elif new.name in [region.name for region in regions]:
        problems.append(f"name: {new.name!r}: the platform has this region already; choose another")
    elif (root / folder).exists():
        problems.append(f"name: {new.name!r}: {folder} exists already; choose another")
    model = next((region for region in regions if region.name == new.like), None)
    if model is None:
        known = ", ".join(region.name for region in regions)
        problems.append(f"like: {new.like!r}: not a region of this platform; use one of {known}")
        raise OperationError("\n".join(problems))
    shared = root / model.shared_settings_file
    if settings_files.has(shared, "vpc", "id"):
        problems.append(
            f"like: {new.like!r}: its VPC exists already, and a copy cannot name that of another region; use a region "
            f"with VpcConfig, or copy {shared.parent.relative_to(root)} by hand, and set vpc"
        )
        raise OperationError("\n".join(problems))
    old, network = IPv4Network(settings_files.text_of(shared, "vpc", "cidr")), _network(new.cidr)
    if network is None or network.prefixlen != old.prefixlen:
        example = f"10.1.0.0/{old.prefixlen}"
        problems.append(
            f"cidr: {new.cidr!r}: not a network as large as that of {model.name} ({old}); use one such as {example}"
        )
    if new.name in published and published[new.name]["partition"] != published[model.name]["partition"]:
        problems.append(
            f"name: {new.name!r}: another partition of AWS than {model.name}, with its own accounts; choose another"
        )
    zones = dict(
        zip(published.get(model.name, {}).get("zones", []), published.get(new.name, {}).get("zones", []), strict=False)
    )
    used = sorted(set(re.findall(rf"\b{re.escape(model.name)}[a-z]\b", read_text(shared))))
    if new.name in published and (lacking := [zone for zone in used if zone not in zones]):
        problems.append(
            f"name: {new.name!r}: has fewer zones than {model.name} uses, none for {', '.join(lacking)}; "
            "choose another region"
        )
    if problems or network is None:
        raise OperationError("\n".join(problems))
    copy = _Copy(model.name, new.name, settings_files.source_of(shared, "dns", "domain"), zones, (old, network))
    texts = {path.name: read_text(path) for path in sorted(shared.parent.glob("*.py"))}
    packages = settings_files.read_names(root / _FILE, _REGIONS)
    return {
        **{folder / name: copy.of(name, text) for name, text in texts.items()},
        _FILE: settings_files.with_names(root / _FILE, _REGIONS, [*packages, f"stacks.{folder.name}"]),
    }


def without_region(root: Path, name: str, regions: Sequence[Region]) -> Files:
    """The files that change if a region is removed: also those of environments that no other region has.

    Raises:
        OperationError: if the platform does not have the region, or has no other.
    """
    region = next((region for region in regions if region.name == name), None)
    if region is None:
        known = ", ".join(region.name for region in regions)
        raise OperationError(f"name: {name!r}: not a region of this platform; use one of {known}")
    if len(regions) == 1:
        raise OperationError(f"name: {name!r}: the only region of this platform; add another one first")
    folder = Path(region.shared_settings_file).parent
    packages = [one for one in settings_files.read_names(root / _FILE, _REGIONS) if one != f"stacks.{folder.name}"]
    others = {environment for other in regions if other is not region for environment in other.environments}
    gone = [environment for environment in region.environments if environment not in others]
    return {
        **{path.relative_to(root): None for path in sorted((root / folder).glob("*.py"))},
        _FILE: settings_files.with_names(root / _FILE, _REGIONS, packages),
        **(environments.files_without(root, gone) if gone else {}),
    }


def _folder(region: str) -> str:
    return region.replace("-", "_")


def _network(cidr: str) -> IPv4Network | None:
    try:
        return IPv4Network(cidr)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Copy:
    """How the settings of a region become those of another one. `networks` are the old and the new VPC."""

    old: str
    new: str
    domain: str
    zones: dict[str, str]
    networks: tuple[IPv4Network, IPv4Network]

    def of(self, name: str, text: str) -> str:
        """The text of a settings file of the new region."""
        if name == "__init__.py":
            text = re.sub(r'\A"""[^"]*"""', f'"""The region {self.new}."""', text)
        names = {**self.zones, self.old: self.new, _folder(self.old): _folder(self.new)}
        parts = re.split(r"(\barn:[^\s\"']+)", text)  # an ARN names what exists, only where it is
        text = "".join(part if part.startswith("arn:") else environments.renamed(part, names) for part in parts)
        text = re.sub(r"\b\d+\.\d+\.\d+\.\d+(/\d+)?\b", lambda found: self._moved(found[0]), text)
        text = text.replace("owns_github_provider=True", "owns_github_provider=False")
        text = re.sub(r"\bhosted_zone_id=[^,)\n]+", "hosted_zone_id=None", text)  # the subdomain has a zone of its own
        if self.new in environments.renamed(self.domain, {self.old: self.new}):
            return text  # the domain is already below a subdomain with the name of the region
        if self.domain.startswith(('f"', '"')):
            inner = self.domain.lstrip("f").strip('"')
            return re.sub(rf'(?<=["{{.]){re.escape(inner)}(?=")', f"{self.new}.{inner}", text)
        text = text.replace(f"{{{self.domain}}}", f"{self.new}.{{{self.domain}}}")
        below = f'domain=f"{self.new}.{{{self.domain}}}"'
        return re.sub(rf"\bdomain={re.escape(self.domain)}(?=[,)])", lambda _: below, text)

    def _moved(self, cidr: str) -> str:
        """An address or a network of the old VPC in the new one; others stay, such as one that contains the VPC."""
        old, new = self.networks
        address, slash, prefix = cidr.partition("/")
        try:
            if not IPv4Network(cidr, strict=False).subnet_of(old):
                return cidr
        except ValueError:
            return cidr
        offset = int(IPv4Address(address)) - int(old.network_address)
        return f"{new.network_address + offset}{slash}{prefix}"
