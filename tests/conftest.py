"""Fixtures for all tests."""

import functools
import gc
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import eks_gitops  # noqa: F401  (before cdktf, to install lazy loading of the provider packages)

# isort: split
import botocore.loaders
import botocore.session
import pytest

from operations.errors import OperationError
from operations.local import aws_provider as local_provider
from operations.terraform import program
from stacks.loading import load
from stacks.regions import REGIONS
from stacks.settings import Owner, Region
from tests.edited_settings import EditedSettings
from tests.template import Template, every_stack

SEOUL = "ap-northeast-2"


def pytest_configure() -> None:
    """Collect garbage seldom, and handle SIGINT also in a background job, where it is ignored otherwise."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(50_000, 20, 50)  # with the default, looking for garbage takes a sixth of the time of all tests


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """Read the service models of AWS once: each session of boto3 has a loader of its own, which reads them again."""
    loaders = functools.cache(botocore.session.create_loader)

    def create_loader(path: str | None = None) -> botocore.loaders.Loader:
        loader = loaders(path)
        loader.search_paths[:] = dict.fromkeys(loader.search_paths)  # each session of boto3 adds its own folder
        return loader

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", create_loader)
        yield


@pytest.fixture(scope="session")
def aws_provider(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Require a supported Terraform and the AWS provider that is used with the emulated AWS, or skip the test.

    With INSIST_ON_TERRAFORM=1, the test fails instead of being skipped.
    """
    give_up = pytest.fail if os.environ.get("INSIST_ON_TERRAFORM") == "1" else pytest.skip
    try:
        program.check()
    except OperationError as error:
        give_up(str(error))
    folder = tmp_path_factory.mktemp("provider")
    provider = {"source": "hashicorp/aws", "version": local_provider.version()}
    (folder / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": {"aws": provider}}}))
    initialized = subprocess.run(
        [program.name(), "init", "-input=false", "-no-color"], cwd=folder, check=False, capture_output=True, text=True
    )
    if initialized.returncode:
        give_up(f"AWS provider {local_provider.version()}: cannot be installed:\n{initialized.stderr}")


@pytest.fixture(scope="session")
def own() -> tuple[Owner, list[Region]]:
    """The settings of this repository, which its owner edits."""
    return load(REGIONS)


@pytest.fixture(scope="session")
def own_platform(
    own: tuple[Owner, list[Region]], committed: tuple[Owner, list[Region]], request: pytest.FixtureRequest
) -> dict[str, Template]:
    """All stacks of this repository by name, synthesized once."""
    if own == committed:
        found: dict[str, Template] = request.getfixturevalue("platform")
        return found
    return every_stack(own, request.getfixturevalue("own_platform_folder"))


@pytest.fixture(scope="session")
def own_platform_folder(
    own: tuple[Owner, list[Region]],
    committed: tuple[Owner, list[Region]],
    platform_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The output folder of the fixture `own_platform`."""
    return platform_folder if own == committed else tmp_path_factory.mktemp("own")


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Owner, list[Region]]:
    """The example settings, which tests of the code use: those of this repository may be others."""
    return EditedSettings(tmp_path_factory.mktemp("example")).load()


@pytest.fixture(scope="session")
def platform_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the fixture `platform`."""
    return tmp_path_factory.mktemp("platform")


@pytest.fixture(scope="session")
def platform(committed: tuple[Owner, list[Region]], platform_folder: Path) -> dict[str, Template]:
    """All stacks of the example settings by name, synthesized once."""
    return every_stack(committed, platform_folder)


@pytest.fixture(scope="session")
def with_further_cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All stacks of the example settings with a cluster of dev beside the first."""
    settings = EditedSettings(tmp_path_factory.mktemp("further"))
    settings.add_further_cluster()
    return every_stack(settings.load(), tmp_path_factory.mktemp("further-out"))


@pytest.fixture(scope="session")
def with_hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All stacks of the example settings with dev as the hub of staging."""
    settings = EditedSettings(tmp_path_factory.mktemp("hub"))
    settings.use_hub()
    return every_stack(settings.load(), tmp_path_factory.mktemp("hub-out"))


@pytest.fixture(scope="session")
def backend(platform: dict[str, Template]) -> Template:
    return platform[f"{SEOUL}-backend"]


@pytest.fixture(scope="session")
def shared(platform: dict[str, Template]) -> Template:
    return platform[f"{SEOUL}-shared"]


@pytest.fixture(scope="session")
def dev(platform: dict[str, Template]) -> Template:
    return platform[f"{SEOUL}-dev"]


@pytest.fixture(scope="session")
def prod(platform: dict[str, Template]) -> Template:
    return platform[f"{SEOUL}-prod"]


@pytest.fixture(scope="session")
def alternative(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All stacks of alternative settings, which differ from the committed ones in most choices and in the partition."""
    folder = tmp_path_factory.mktemp("alternative")
    settings = EditedSettings(folder)
    settings.move("us-gov-west-1")
    settings.replace("owner.py", "arn:aws:", "arn:aws-us-gov:")
    settings.replace("ap_northeast_2/__init__.py", '("dev", "staging", "prod")', '("dev",)')
    for file, old, new in _ALTERNATIVE_SETTINGS:
        settings.replace(f"ap_northeast_2/{file}", old, new)
    (folder / "out").mkdir()
    return every_stack(settings.load(), folder / "out")


_ALTERNATIVE_SETTINGS = (
    ("shared.py", 'lock="lockfile"', 'lock="both", copy_region="us-gov-east-1"'),
    ("shared.py", "hosted_zone_id=None", 'hosted_zone_id="Z0123456789ABC"'),
    (
        "shared.py",
        "owns_github_provider=True,",
        """owns_github_provider=True, image_replica_regions=("us-gov-east-1",),
    access_host={"zone": "us-gov-west-1a"},
    runners={"connection_arn": "arn:aws-us-gov:codeconnections:us-gov-west-1:123456789012:"
             "connection/01234567-89ab-cdef-0123-456789abcdef"},""",
    ),
    ("shared.py", '            name="hello",', 'name="hello", moving_tags=("cache", "cache-*"),'),
    ("shared.py", ', database="10.0.11.0/24"', ""),
    ("shared.py", ', database="10.0.12.0/24"', ""),
    ("shared.py", ', database="10.0.13.0/24"', ""),
    ("dev.py", "allocated_storage_gib=20,", "allocated_storage_gib=400,"),
    ("dev.py", "max_allocated_storage_gib=50,", "max_allocated_storage_gib=500,"),
    ("dev.py", 'engine_version="17"', 'engine_version="18", major_upgrade_to="18.4", monitoring_interval_seconds=0'),
    ("dev.py", "public_access_cidrs=()", 'public_access_cidrs=("203.0.113.0/24",), deletion_protection=True'),
    ("dev.py", '"t3.medium"', '"m7g.large", "m7g.8xlarge"'),
    ("dev.py", '"AL2023_x86_64_STANDARD"', '"BOTTLEROCKET_ARM_64", release_version="1.64.0-7c4f0d2b"'),
    ("dev.py", "min_size=2", "min_size=3"),
    (
        "dev.py",
        "max_size=10,",
        """max_size=10, taints=({"key": "spot", "value": "true", "effect": "PREFER_NO_SCHEDULE"},),
            repair={"stop_above_percentage": 40, "parallel_count": 1, "overrides": (
                {"condition": "NetworkingReady", "reason": "IPAMDNotReady", "wait_minutes": 10, "action": "Reboot"},
            )},""",
    ),
    (
        "dev.py",
        "file_system=FileSystemConfig()",
        'file_system=FileSystemConfig(access_points=({"name": "media", "path": "/media", "uid": 1000, "gid": 2000},))',
    ),
    ("dev.py", 'os.environ.get("LOCAL_KUBECONFIG")', '"/srv/trial/kubeconfig"'),
    (
        "dev.py",
        'revision="main",',
        'revision="v1.2.0", repository_credential={"kind": "github-app", "secret_name": "gitops/repository"},',
    ),
    ("dev.py", '"single-node"', '"high-availability"'),
    (
        "dev.py",
        "sso=None,",
        """sso={"issuer": "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_Ab12Cd34E",
                 "client_id": "4cl1ent"},
            web_acl_arn="arn:aws-us-gov:wafv2:us-gov-west-1:123456789012:regional/webacl/argo-cd/1",""",
    ),
    (
        "dev.py",
        "daily_retention_days=7,",
        'daily_retention_days=7, copy_to_vault="arn:aws-us-gov:backup:us-gov-east-1:123456789012:backup-vault:copies",',
    ),
    ("dev.py", "local_admin=True", "local_admin=False"),
    (
        "dev.py",
        "databases=(",
        """karpenter={"max_nodes": 20, "max_vcpus": 100, "identity": "irsa", "architectures": ("amd64", "arm64"),
               "capacity_types": ("spot", "on-demand")},
    addons={"vpc_cni_identity": "irsa", "ebs_csi_identity": "irsa", "efs_csi_identity": "irsa",
            "versions": {"coredns": "v1.12.0-eksbuild.1"},
            "others": ({"name": "snapshot-controller", "version": "v8.5.0-eksbuild.1",
                        "configuration": {"replicaCount": 1}},
                       {"name": "aws-mountpoint-s3-csi-driver",
                        "identity": {"namespace": "kube-system", "service_account": "s3-csi-driver-sa",
                                     "policy_arns": ("arn:aws-us-gov:iam::aws:policy/AmazonS3ReadOnlyAccess",)}})},
    controllers={"load_balancer_controller": "irsa", "external_secrets": "irsa", "database_users": "irsa",
                 "targets": ({"controller": "kyverno", "role_arn": "arn:aws-us-gov:iam::210987654321:role/images",
                              "disable_session_tags": True},
                             {"controller": "external_dns", "role_arn": "arn:aws-us-gov:iam::210987654321:role/dns"})},
    aurora_databases=(
        {"name": "shop", "engine_version": "17", "instance_class": "db.serverless",
         "capacity": {"min_acu": 0.5, "max_acu": 4}, "readers": 3, "deletion_protection": True,
         "backup_retention_days": 14},
        {"name": "stock", "engine": "aurora-mysql", "engine_version": "8.4",
         "major_upgrade_to": "8.4.mysql_aurora.8.4.7", "instance_class": "db.t3.medium", "readers": 0,
         "deletion_protection": False, "backup_retention_days": 1, "monitoring_interval_seconds": 0}),
    databases=(
        DatabaseConfig(name="orders", engine="mysql", engine_version="8.4", major_upgrade_to="8.4.11",
                       instance_class="db.t4g.small", allocated_storage_gib=20, max_allocated_storage_gib=50,
                       multi_az=False, deletion_protection=False, backup_retention_days=1),""",
    ),
)


@pytest.fixture(scope="session")
def with_existing_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the fixture `with_existing`."""
    return tmp_path_factory.mktemp("with_existing_out")


@pytest.fixture(scope="session")
def with_existing(with_existing_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """All stacks of settings that name what exists already: keys, image repository, provider and boundaries."""
    folder = tmp_path_factory.mktemp("with_existing")
    settings = EditedSettings(folder)
    settings.move("us-east-1")
    settings.replace("ap_northeast_2/__init__.py", '("dev", "staging", "prod")', '("dev",)')
    for file, old, new in _EXISTING_SETTINGS:
        settings.replace(f"ap_northeast_2/{file}", old, new)
    return every_stack(settings.load(), with_existing_folder)


_EXISTING_SETTINGS = (
    (
        "shared.py",
        "owns_github_provider=True,",
        """owns_github_provider=False, github_provider_exists=True,
    key_arn="arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000001",
    permissions_boundary_arn="arn:aws:iam::123456789012:policy/company/limits",""",
    ),
    ("shared.py", '            name="hello",', 'name="hello", existing=True,'),
    (
        "dev.py",
        "production=False,",
        """production=False, key_arn="arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000002",
    permissions_boundary_arn="arn:aws:iam::123456789012:policy/company/limits-of-dev",""",
    ),
    (
        "dev.py",
        "public_access_cidrs=()",
        'role_arn="arn:aws:iam::123456789012:role/eks-cluster", public_access_cidrs=()',
    ),
    ("dev.py", 'name="main",', 'name="main", role_arn="arn:aws:iam::123456789012:role/company/eks-nodes",'),
)


@pytest.fixture
def edited(tmp_path: Path) -> EditedSettings:
    """A copy of the settings to edit."""
    return EditedSettings(tmp_path)
