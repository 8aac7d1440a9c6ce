"""Lists in the settings: each can be empty or is rejected, and no policy grows with one."""

from pathlib import Path

import pytest

from eks_gitops.database import DatabaseConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.github import GithubRepository
from eks_gitops.in_cluster.repository_credential import RepositoryCredentialConfig
from stacks import rules
from stacks.settings import Owner, Region
from tests.edited_settings import EditedSettings
from tests.policies import all_policies, resource_policies, trust_policies
from tests.template import Template, every_stack

IMAGES, DATABASES = 500, 100

EMPTY = {
    "image-repositories": ("shared.py", "image_repositories=(", "image_repositories=() and ("),
    "image-replica-regions": ("shared.py", "owns_github", "image_replica_regions=(), owns_github"),
    "interface-endpoints": ("shared.py", '("ecr.api", "ecr.dkr")', "()"),
    "databases": ("prod.py", "databases=(", "databases=() and ("),
    "access-points": ("prod.py", "FileSystemConfig()", "FileSystemConfig(access_points=())"),
    "taints": ("prod.py", "max_size=10,", "max_size=10, taints=(),"),
    "labels": ("prod.py", "max_size=10,", "max_size=10, labels={},"),
    "private-access-cidrs": ("prod.py", "public_access_cidrs=(),", "private_access_cidrs=(),"),
    "add-on-versions": ("prod.py", "databases=(", 'addons={"versions": {}}, databases=('),
}


def _assert_valid(stacks: dict[str, Template]) -> None:
    """Every statement has what IAM requires of a policy of its kind."""
    for name, stack in stacks.items():
        trusting, of_resources = trust_policies(stack), resource_policies(stack)
        for policy in all_policies(stack):
            assert policy.statements, (name, policy.address)
            for statement in policy.statements:
                required = {"Effect", "NotAction" if "NotAction" in statement else "Action"}
                required |= {"Principal"} if policy in (*trusting, *of_resources) else set()
                required |= {"Resource"} if policy not in trusting else set()
                assert required == {key for key in statement if key not in ("Sid", "Condition") and statement[key]}, (
                    name,
                    policy.address,
                )


@pytest.mark.parametrize("empty", EMPTY)
def test_policies_are_valid_with_an_empty_list(edited: EditedSettings, tmp_path: Path, empty: str) -> None:
    file, old, new = EMPTY[empty]
    edited.replace(f"ap_northeast_2/{file}", old, new)
    _assert_valid(every_stack(edited.load(), tmp_path / "out"))


def test_policies_are_valid_with_alternative_settings(alternative: dict[str, Template]) -> None:
    _assert_valid(alternative)


def _region_with_long_lists(region: Region) -> Region:
    """The region with many image repositories, and many databases in each environment."""
    images = tuple(
        EcrRepositoryConfig(
            name=f"service-{number}",
            pushed_by=GithubRepository(owner="your-org", owner_id=1, name=f"service-{number}", id=1000 + number),
        )
        for number in range(IMAGES)
    )
    shared = region.shared.model_copy(update={"image_repositories": (*region.shared.image_repositories, *images)})
    (database, *_) = region.environments[0].settings.databases
    databases = tuple(
        DatabaseConfig(**{**database.model_dump(), "name": f"service{number}"}) for number in range(DATABASES)
    )
    environments = tuple(
        environment._replace(
            settings=environment.settings.model_copy(
                update={"databases": (*environment.settings.databases, *databases)}
            )
        )
        for environment in region.environments
    )
    return region._replace(shared=shared, environments=environments)


@pytest.mark.slow
def test_no_policy_grows_with_image_repositories_and_databases(
    committed: tuple[Owner, list[Region]], platform: dict[str, Template], tmp_path: Path
) -> None:
    owner, (region,) = committed
    many = every_stack((owner, [_region_with_long_lists(region)]), tmp_path)
    assert len(many[f"{region.name}-shared"].resources("aws_ecr_repository")) > IMAGES
    assert len(many[f"{region.name}-prod"].resources("aws_db_instance")) > DATABASES
    for name, stack in platform.items():
        grown = {policy.address: policy.text for policy in all_policies(many[name])}
        for policy in all_policies(stack):
            assert grown[policy.address] == policy.text, (name, policy.address)
    _assert_valid(many)


def test_many_repository_credentials_are_rejected(committed: tuple[Owner, list[Region]]) -> None:
    """The plan role reads each credential, whose names cannot be summarized."""
    owner, (region,) = committed
    (dev, *_) = region.environments

    def with_credentials(count: int) -> Region:
        environments = []
        for number in range(count):
            credential = RepositoryCredentialConfig(kind="deploy-key", secret_name=f"{number}/{'a' * 500}")
            gitops = dev.settings.gitops.model_copy(update={"repository_credential": credential})
            environments.append(dev._replace(settings=dev.settings.model_copy(update={"gitops": gitops})))
        return region._replace(environments=tuple(environments))

    message = (
        "stacks/ap_northeast_2/__init__.py: ENVIRONMENTS: '5 repository credentials': the policy of the plan role "
        "would have 6313 characters; IAM allows 6144, use one secret in several environments, or shorter names"
    )
    assert message in [str(finding) for finding in rules.broken(owner, [with_credentials(5)])]
    assert "credentials" not in "".join(str(finding) for finding in rules.broken(owner, [with_credentials(4)]))
