"""EcrRepositories: one ECR repository per service, with immutable tags, scanning, encryption and a lifecycle policy."""

import json
from collections.abc import Sequence
from typing import Annotated

from cdktf_cdktf_provider_aws.ecr_lifecycle_policy import EcrLifecyclePolicy
from cdktf_cdktf_provider_aws.ecr_replication_configuration import (
    EcrReplicationConfiguration,
    EcrReplicationConfigurationReplicationConfiguration,
    EcrReplicationConfigurationReplicationConfigurationRule,
    EcrReplicationConfigurationReplicationConfigurationRuleDestination,
)
from cdktf_cdktf_provider_aws.ecr_repository import (
    EcrRepository,
    EcrRepositoryEncryptionConfiguration,
    EcrRepositoryImageScanningConfiguration,
)
from constructs import Construct

from eks_gitops.config import Config, Count, matching
from eks_gitops.context import Context
from eks_gitops.github import GithubRepository
from eks_gitops.key import Key
from eks_gitops.location import Location


class EcrRepositoryConfig(Config):
    """The ECR repository of one service."""

    name: Annotated[
        str,
        # Source: `RepositoryName` of ECR in botocore 1.43
        matching(
            r"(?=.{2,256}$)[a-z][a-z0-9]*([._-][a-z0-9]+)*",
            "use 2 to 256 lower-case letters and digits, separated by single . _ or -",
        ),
    ]
    """The name of the service's image repository. A change replaces it with its images, which the guard refuses."""
    pushed_by: GithubRepository
    """The application repository that pushes its images: only workflows of its GitHub environment `delivery` can assume
    the push role."""
    kept_images: Count = 200
    """The number of newest tagged images that ECR keeps. It deletes older ones, also if they are still in use."""


class EcrRepositories(Construct):
    """The ECR repositories of a region, and their replication to other regions."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        configs: Sequence[EcrRepositoryConfig],
        *,
        context: Context,
        replica_regions: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id_)
        self.registry = f"{context.location.account_id}.dkr.ecr.{context.location.region}.{context.location.dns_suffix}"
        self.arns: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        for config in configs:
            self._repository(config, context.key)
        if replica_regions:
            self._replicate(context.location, replica_regions)

    def _repository(self, config: EcrRepositoryConfig, key: Key) -> None:
        repository = EcrRepository(
            self,
            f"repository-{config.name}",
            name=config.name,
            # A tag always refers to the image that was tested. A pipeline that runs again cannot replace it.
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=EcrRepositoryImageScanningConfiguration(scan_on_push=True),
            encryption_configuration=[EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=key.arn)],
        )
        EcrLifecyclePolicy(
            self, f"lifecycle-{config.name}", repository=repository.name, policy=_lifecycle(config.kept_images)
        )
        self.arns[config.name] = repository.arn
        self.urls[config.name] = repository.repository_url

    def _replicate(self, location: Location, regions: Sequence[str]) -> None:
        destinations = [
            EcrReplicationConfigurationReplicationConfigurationRuleDestination(
                region=region, registry_id=location.account_id
            )
            for region in regions
        ]
        EcrReplicationConfiguration(
            self,
            "replication",
            replication_configuration=EcrReplicationConfigurationReplicationConfiguration(
                rule=[EcrReplicationConfigurationReplicationConfigurationRule(destination=destinations)]
            ),
        )


def _lifecycle(kept_images: int) -> str:
    """A lifecycle policy that counts tagged images only.

    Signatures and attestations have no tag, and are deleted with the image that they refer to. There are no other
    untagged images, because tags are immutable.
    """
    rule = {
        "rulePriority": 1,
        "description": f"keep the newest {kept_images} images",
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["*"],
            "countType": "imageCountMoreThan",
            "countNumber": kept_images,
        },
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [rule]}, sort_keys=True)
