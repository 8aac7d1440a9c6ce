"""A copy of the example settings that a test can edit and load.

The example is in `tests/example`, so that tests of the code do not depend on the settings of the owner of a clone.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stacks
from stacks import loading
from stacks.settings import Owner, Region

EXAMPLE = Path(__file__).parent / "example"
_SEOUL = "ap_northeast_2"
_IMPORTS = """\
from eks_gitops.karpenter import KarpenterConfig
from stacks.settings import EnvironmentSettings, FurtherCluster, GitopsSettings"""

EXISTING_VPC = """\
    vpc=ExistingVpcConfig(
        id="vpc-0123456789abcdef0",
        name="company",
        cidr="10.0.0.0/16",
        zones=(
            ExistingZone(
                name="ap-northeast-2a",
                private="subnet-0123456789abcde0a",
                public="tag:tier=public",
                database="subnet-0123456789abcde1a",
            ),
            ExistingZone(
                name="ap-northeast-2b",
                private="subnet-0123456789abcde0b",
                public="tag:tier=public",
                database="subnet-0123456789abcde1b",
            ),
            ExistingZone(
                name="ap-northeast-2c",
                private="subnet-0123456789abcde0c",
                public="tag:tier=public",
                database="subnet-0123456789abcde1c",
            ),
        ),
    ),
"""
"""A VPC that exists already, in place of that of the example."""
_VPC = re.compile(r"^    vpc=VpcConfig\(\n.*?^    \),\n", re.MULTILINE | re.DOTALL)


def with_existing_vpc(text: str, vpc: str = EXISTING_VPC) -> str:
    """The shared settings of the example with an existing VPC."""
    text = text.replace("vpc import VpcConfig, Zone", "existing_vpc import ExistingVpcConfig, ExistingZone")
    replaced, times = _VPC.subn(lambda _: vpc, text)
    assert times == 1
    return replaced


OTHER_ACCOUNT = "210987654321"
"""The account of `EditedSettings.add_account`."""


def _argument(text: str, name: str) -> str:
    """An argument of the settings, as it is written."""
    found = re.search(rf"^    ({name}=.*?^    \)),$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def add_account(folder: Path, *environments: str) -> None:
    """Move environments of a region's folder to a further account, whose VPC has the same network."""
    path = folder / "shared.py"
    text = path.read_text()
    fields = {name: _argument(text, name) for name in ("state", "vpc")}
    account = f"""    accounts=(
        AccountSettings(
            name="production",
            account_id="{OTHER_ACCOUNT}",
            {fields["state"].replace("-ap-northeast-2", "-production-ap-northeast-2")},
            {fields["vpc"]},
            owns_github_provider=True,
            cluster_administrators=("arn:aws:iam::{OTHER_ACCOUNT}:role/your-admin-role",),
        ),
    ),
)
"""
    text = text.replace("import SharedSettings", "import AccountSettings, SharedSettings")
    path.write_text(text.rstrip().removesuffix(")") + account)
    for name in environments:
        settings = folder / f"{name}.py"
        settings.write_text(
            settings.read_text().replace("account_id=OWNER.account_id", f'account_id="{OTHER_ACCOUNT}"')
        )


FURTHER_CLUSTER = """\
    further_clusters=(
        FurtherCluster(
            name="blue",
            cluster=ClusterConfig(
                name="gitops-cluster-dev-blue",
                version="1.36",
                zones=("ap-northeast-2a", "ap-northeast-2c"),
                administrators=(OWNER.administrator_role_arn,),
            ),
            node_groups=(
                NodeGroupConfig(
                    name="main",
                    instance_types=("t3.large",),
                    ami_type="AL2023_x86_64_STANDARD",
                    capacity_type="ON_DEMAND",
                    min_size=1,
                    desired_size=2,
                    max_size=3,
                    disk_size_gib=50,
                ),
            ),
            karpenter=KarpenterConfig(max_nodes=5),
            gitops=GitopsSettings(
                revision="main",
                dns_weight=0,
                policies="audit",
                ingress=IngressClassConfig(scheme="internet-facing", allowed_cidrs=("0.0.0.0/0",)),
                argo_cd=ArgoCdConfig(
                    chart_version="10.4.1",
                    domain=f"argocd-blue.dev.{OWNER.domain}",
                    availability="single-node",
                    ingress=IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/16",)),
                    sso=None,
                    local_admin=True,
                ),
            ),
        ),
    ),
"""
"""A cluster of dev beside the first one."""


def with_further_cluster(text: str) -> str:
    """The settings of dev of the example with a further cluster."""
    for old, new in (
        ("from stacks.settings import EnvironmentSettings, GitopsSettings", _IMPORTS),
        ('revision="main",', 'revision="main", dns_weight=100,'),
        ("    backup=BackupConfig(", f"{FURTHER_CLUSTER}    backup=BackupConfig("),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


class EditedSettings:
    """A copy of the settings files below `root`, which are loaded as if `root` were the repository root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stacks = root / "stacks"
        self.regions = [_SEOUL]
        shutil.copytree(
            EXAMPLE / "stacks" / _SEOUL, self._stacks / _SEOUL, ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(EXAMPLE / "stacks" / "owner.py", self._stacks)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace all occurrences of `old` in a settings file. If `old` is empty, append `new`."""
        path = self._stacks / file
        text = path.read_text()
        assert old in text, f"{file} does not contain {old!r}"
        path.write_text(text.replace(old, new) if old else text + new)

    def use_existing_vpc(self) -> None:
        """Let the first region use an existing VPC."""
        path = self._stacks / _SEOUL / "shared.py"
        path.write_text(with_existing_vpc(path.read_text()))

    def add_account(self, *environments: str) -> None:
        """Move environments of the first region to a further account, whose VPC has the same network."""
        add_account(self._stacks / _SEOUL, *environments)

    def add_further_cluster(self) -> None:
        """Add a cluster to dev of the first region."""
        path = self._stacks / _SEOUL / "dev.py"
        path.write_text(with_further_cluster(path.read_text()))

    def use_hub(self) -> None:
        """Let the Argo CD of dev also deploy to the cluster of staging, in the first region."""
        self.replace(
            "ap_northeast_2/staging.py", "gitops=GitopsSettings(", 'gitops=GitopsSettings(\n        hub="dev",'
        )

    def rename(self, old: str, new: str) -> None:
        """Rename a settings file."""
        (self._stacks / old).rename(self._stacks / new)

    def move(self, region: str) -> None:
        """Change the AWS region of the settings. The folder keeps its name."""
        self._rename(_SEOUL, "ap-northeast-2", region)

    def add_region(self, folder: str, *, network: int) -> None:
        """Add another region. `network` is the second number of its addresses."""
        shutil.copytree(self._stacks / _SEOUL, self._stacks / folder)
        self.regions.append(folder)
        region = folder.replace("_", "-")
        self._rename(folder, "ap-northeast-2", region)
        self._rename(folder, '"10.0.', f'"10.{network}.')
        self._rename(folder, ".{OWNER.domain}", f".{region}.{{OWNER.domain}}")
        self.replace(f"{folder}/shared.py", "domain=OWNER.domain", f'domain=f"{region}.{{OWNER.domain}}"')
        self.replace(f"{folder}/shared.py", "owns_github_provider=True", "owns_github_provider=False")

    def _rename(self, folder: str, old: str, new: str) -> None:
        for path in (self._stacks / folder).glob("*.py"):
            path.write_text(path.read_text().replace(old, new))

    def load(self) -> tuple[Owner, list[Region]]:
        """Load the files with `stacks.loading.load`."""
        with self._in_place():
            return loading.load([f"stacks.{region}" for region in self.regions])

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        committed = {name: module for name, module in sys.modules.items() if self._is_settings(name)}
        root = loading._ROOT
        for name in committed:
            del sys.modules[name]
        stacks.__path__.insert(0, str(self._stacks))
        loading._ROOT = self._stacks.parent
        try:
            yield
        finally:
            loading._ROOT = root
            stacks.__path__.pop(0)
            for name in [name for name in sys.modules if self._is_settings(name)]:
                del sys.modules[name]
            sys.modules.update(committed)

    def _is_settings(self, module: str) -> bool:
        return module == "stacks.owner" or any(f"{module}.".startswith(f"stacks.{region}.") for region in self.regions)
