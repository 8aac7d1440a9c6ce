"""EcrRepositories: one ECR repository per service, with immutable tags, scanning, encryption and a lifecycle policy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from cdktf import ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.ecr_lifecycle_policy import EcrLifecyclePolicy
from cdktf_cdktf_provider_aws.ecr_replication_configuration import (
    EcrReplicationConfiguration,
    EcrReplicationConfigurationReplicationConfiguration,
    EcrReplicationConfigurationReplicationConfigurationRule,
    EcrReplicationConfigurationReplicationConfigurationRuleDestination,
    EcrReplicationConfigurationReplicationConfigurationRuleRepositoryFilter,
)
from cdktf_cdktf_provider_aws.ecr_repository import (
    EcrRepository,
    EcrRepositoryEncryptionConfiguration,
    EcrRepositoryImageScanningConfiguration,
    EcrRepositoryImageTagMutabilityExclusionFilter,
)
from cdktf_cdktf_provider_aws.ecr_repository_creation_template import (
    EcrRepositoryCreationTemplate,
    EcrRepositoryCreationTemplateEncryptionConfiguration,
    EcrRepositoryCreationTemplateImageTagMutabilityExclusionFilter,
)
from cdktf_cdktf_provider_aws.ecr_repository_policy import EcrRepositoryPolicy
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct
from pydantic import StrictBool

from eks_gitops.config import Config, Count, Problem, matching
from eks_gitops.context import Context
from eks_gitops.github import GithubRepository
from eks_gitops.iam import Role, Statement, policy_document, service_trust
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.values import listed_twice

MOST_REPLICATED = 100
"""The repositories that a rule of replication can name. Source: `RepositoryFilterList` of ECR in botocore 1.43."""

MOST_MOVING_TAGS = 5
"""The patterns of tags that ECR excludes. Source: `ImageTagMutabilityExclusionFilters` of ECR in botocore 1.43."""

_EVERY_PREFIX = "ROOT"
_WILDCARD = "WILDCARD"
_DIGITS_OF_A_COMMIT = set("0123456789abcdef*")
# Source: `filter` in the documentation of aws_ecr_repository of the AWS provider 6
_MOST_WILDCARDS = 2
_KEPT_CACHES = 10  # of each pattern of moving tags
_KEPT_IMAGES = 200


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
    existing: StrictBool = False
    """Whether a repository of this name exists already in the account and region, and stays another owner's: only its
    push role is created. `make preflight` checks it. A change to True would destroy a repository that the platform
    created, with its images, which the guard refuses; docs/architecture.md says how Terraform forgets it before."""
    kept_images: Count = _KEPT_IMAGES
    """The number of newest tagged images that ECR keeps. It deletes older ones, also if they are still in use."""
    moving_tags: tuple[
        Annotated[
            str,
            # Source: `ImageTagMutabilityExclusionFilterValue` of ECR in botocore 1.43
            matching(r"[0-9a-zA-Z._*-]{1,128}", "not a pattern of tags; use 1 to 128 letters, digits and . _ * -"),
        ],
        ...,
    ] = ()
    """Patterns of tags that a push may overwrite, such as `cache` or `cache-*` for build caches. All other tags stay
    immutable. Of each pattern, ECR keeps the newest 10 images, beside `kept_images`; so give no released image such a
    tag. What a moved tag referred to before stays, without a tag, and costs its storage, because signatures have no tag
    either. A change applies to new pushes."""

    def problems(self) -> Iterator[Problem]:
        """Settings of an existing repository; moving tags that are too many, or match the tags of released images."""
        if self.existing:
            message = "the owner of an existing repository sets it; remove it here, or set existing to False"
            if self.kept_images != _KEPT_IMAGES:
                yield Problem("kept_images", self.kept_images, message)
            if self.moving_tags:
                yield Problem("moving_tags", self.moving_tags, message)
        if len(self.moving_tags) > MOST_MOVING_TAGS:
            message = f"ECR accepts {MOST_MOVING_TAGS} patterns; remove some, or combine them with *"
            yield Problem("moving_tags", len(self.moving_tags), message)
        yield from listed_twice("moving_tags", self.moving_tags, "pattern")
        for index, pattern in enumerate(self.moving_tags):
            if set(pattern) <= _DIGITS_OF_A_COMMIT:
                message = "may match the commit that is the tag of a released image; begin it with a word such as cache"
                yield Problem(f"moving_tags[{index}]", pattern, message)
            if pattern.count("*") > _MOST_WILDCARDS:
                yield Problem(f"moving_tags[{index}]", pattern, f"has more than {_MOST_WILDCARDS} *; remove some")


class EcrRepositories(Construct):
    """The ECR repositories of a region, and their replication to other regions.

    The accounts `pulled_by` may pull images.

    A registry has one replication configuration for all its repositories. In each of `replica_regions`, a template
    gives the repositories that ECR creates there the settings of the originals and `replica_tags`, so that the stack of
    that region can take them over. They are encrypted with AWS's own key, because no stack may exist there yet.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        configs: Sequence[EcrRepositoryConfig],
        *,
        context: Context,
        pulled_by: Sequence[str] = (),
        replica_regions: Sequence[str] = (),
        replica_tags: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.arns: dict[str, str] = {}
        self.urls: dict[str, str] = {}
        for config in configs:
            if config.existing:
                self.arns[config.name] = context.location.arn("ecr", f"repository/{config.name}")
                self.urls[config.name] = f"{registry(context.location)}/{config.name}"
            else:
                self._repository(
                    config, context.key, [context.location.arn("iam", "root", account_id=one) for one in pulled_by]
                )
        if configs and replica_regions:
            templates = self._templates(context, configs, replica_regions, replica_tags or {})
            self._replicate(context.location, configs, replica_regions, depends_on=templates)

    def _repository(self, config: EcrRepositoryConfig, key: Key, pulled_by: Sequence[str]) -> None:
        repository = EcrRepository(
            self,
            f"repository-{config.name}",
            name=config.name,
            image_tag_mutability=_mutability(config.moving_tags),
            image_tag_mutability_exclusion_filter=[
                EcrRepositoryImageTagMutabilityExclusionFilter(filter=pattern, filter_type=_WILDCARD)
                for pattern in config.moving_tags
            ]
            or None,
            image_scanning_configuration=EcrRepositoryImageScanningConfiguration(scan_on_push=True),
            encryption_configuration=[EcrRepositoryEncryptionConfiguration(encryption_type="KMS", kms_key=key.arn)],
            # It never changes in AWS: a repository that replication created has another key, and would be replaced.
            lifecycle=TerraformResourceLifecycle(ignore_changes=["encryption_configuration"]),
        )
        EcrLifecyclePolicy(
            self,
            f"lifecycle-{config.name}",
            repository=repository.name,
            policy=_lifecycle(config.kept_images, config.moving_tags),
        )
        if pulled_by:
            EcrRepositoryPolicy(
                self, f"policy-{config.name}", repository=repository.name, policy=_pull_policy(pulled_by)
            )
        self.arns[config.name] = repository.arn
        self.urls[config.name] = repository.repository_url

    def _replicate(
        self,
        location: Location,
        configs: Sequence[EcrRepositoryConfig],
        regions: Sequence[str],
        *,
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        destinations = [
            EcrReplicationConfigurationReplicationConfigurationRuleDestination(
                region=region, registry_id=location.account_id
            )
            for region in regions
        ]
        # A filter is the beginning of a name: other repositories of the account stay, unless their names begin so.
        filters = [
            EcrReplicationConfigurationReplicationConfigurationRuleRepositoryFilter(
                filter=config.name, filter_type="PREFIX_MATCH"
            )
            for config in configs
        ]
        rule = EcrReplicationConfigurationReplicationConfigurationRule(
            destination=destinations, repository_filter=filters
        )
        EcrReplicationConfiguration(
            self,
            "replication",
            replication_configuration=EcrReplicationConfigurationReplicationConfiguration(rule=[rule]),
            depends_on=depends_on,
        )

    def _templates(
        self,
        context: Context,
        configs: Sequence[EcrRepositoryConfig],
        regions: Sequence[str],
        tags: Mapping[str, str],
    ) -> list[EcrRepositoryCreationTemplate]:
        role, templates = self._template_role(context, regions), []
        moving_tags = list(dict.fromkeys(pattern for config in configs for pattern in config.moving_tags))
        for region in regions:
            provider = AwsProvider(
                self,
                f"aws-{region}",
                alias=region,
                region=region,
                allowed_account_ids=[context.location.account_id],
            )
            template = EcrRepositoryCreationTemplate(
                self,
                f"template-{region}",
                provider=provider,
                # A template's prefix ends at a slash, and our names have none.
                prefix=_EVERY_PREFIX,
                description=f"Repositories that ECR replicates from {context.location.region}",
                applied_for=["REPLICATION"],
                image_tag_mutability=_mutability(moving_tags),
                image_tag_mutability_exclusion_filter=[
                    EcrRepositoryCreationTemplateImageTagMutabilityExclusionFilter(
                        filter=pattern, filter_type=_WILDCARD
                    )
                    for pattern in moving_tags
                ]
                or None,
                encryption_configuration=[EcrRepositoryCreationTemplateEncryptionConfiguration(encryption_type="KMS")],
                lifecycle_policy=_lifecycle(max(config.kept_images for config in configs), moving_tags),
                resource_tags={**tags, "Region": region},
                custom_role_arn=role.arn,
                depends_on=role.permissions,
            )
            templates.append(template)
        return templates

    def _template_role(self, context: Context, regions: Sequence[str]) -> Role:
        """The role that ECR needs to create repositories with tags and a KMS key.

        Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html
        """
        location = context.location
        return Role(
            self,
            "template-role",
            location=location,
            name="image-replicas",
            description="ECR: create the repositories of replicated images",
            trust=[service_trust("ecr.amazonaws.com")],
            permissions_boundary=context.permissions_boundary,
            policies={
                "create-repositories": policy_document(
                    Statement(
                        actions=["ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource"],
                        resources=[location.arn("ecr", "repository/*", region=region) for region in regions],
                        # A repository that is being created has no tag yet.
                        conditions={"StringEqualsIfExists": {"aws:ResourceTag/Environment": location.environment}},
                    ),
                    Statement(
                        actions=["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
                        resources=[location.arn("kms", "key/*", region=region) for region in regions],
                    ),
                )
            },
        )


def registry(location: Location) -> str:
    """The host name of the registry of an account in a region."""
    return f"{location.account_id}.dkr.ecr.{location.region}.{location.dns_suffix}"


def _pull_policy(accounts: Sequence[str]) -> str:
    """The policy of a repository that lets these accounts pull, whose IAM policies decide which of their roles do.

    The key of the repository needs no statement: ECR decrypts with a grant of its own.
    Sources: https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html and
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    """
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    statement = {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": sorted(accounts)}, "Action": pull}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)


def _mutability(moving_tags: Sequence[str]) -> str:
    """A tag always refers to the image that was tested, unless it is one that may move."""
    return "IMMUTABLE_WITH_EXCLUSION" if moving_tags else "IMMUTABLE"


def _lifecycle(kept_images: int, moving_tags: Sequence[str]) -> str:
    """A lifecycle policy that counts tagged images only, those with moving tags apart.

    A later rule does not count what an earlier one matches: caches expire no image of a service. Signatures and
    attestations have no tag, and are deleted with the image that they refer to. So nothing without a tag expires, also
    not what a moving tag referred to before.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
    """
    kept = [*((pattern, _KEPT_CACHES) for pattern in moving_tags), ("*", kept_images)]
    rules = [
        {
            "rulePriority": priority,
            "description": f"keep the newest {number} images" + ("" if pattern == "*" else f" of {pattern}"),
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": [pattern],
                "countType": "imageCountMoreThan",
                "countNumber": number,
            },
            "action": {"type": "expire"},
        }
        for priority, (pattern, number) in enumerate(kept, start=1)
    ]
    return json.dumps({"rules": rules}, sort_keys=True)
