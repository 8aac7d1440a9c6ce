"""RegionStack: the common base of all stacks, with name, S3 backend, AWS provider, default tags and pinned versions."""

from collections.abc import Sequence
from typing import ClassVar

from cdktf import S3Backend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from constructs import Construct

from eks_gitops.key import Key
from eks_gitops.versions import TERRAFORM_CONSTRAINT
from stacks import platform
from stacks.names import RESERVED, cluster_part, stack_name, state_key
from stacks.settings import Owner, Region
from stacks.usage import Usage


class RegionStack(TerraformStack):
    """A stack of one environment (or `shared`, or `backend`) of one account of a region."""

    kind: ClassVar[platform.Kind]

    def __init__(
        self,
        scope: Construct,
        region: Region,
        environment: str,
        *,
        owner: Owner,
        settings_file: str,
        cluster: str = "",
        part: str = "",
    ) -> None:
        location = region.location(environment, cluster)
        part = cluster_part(cluster, part)
        super().__init__(
            scope, stack_name(region.name, environment, part or (region.account if environment in RESERVED else ""))
        )
        self.location = location
        self._account, self._state = region.account, region.shared.state
        settings = {one.name: one.settings for one in region.environments}.get(environment, region.shared)
        self._usage: Usage = settings.usage
        self._settings_file, self._part = settings_file, part
        self.tags = {
            "Project": owner.project,
            "Environment": location.environment,
            "Region": location.region,
            "ManagedBy": "cdktf",
            "Owner": owner.team,
            "CostCenter": owner.cost_center,
            **({"Cluster": location.cluster} if location.cluster else {}),
        }
        self.add_override("terraform.required_version", TERRAFORM_CONSTRAINT)
        # CDK Terrain checks that each of these versions has what a stack uses; CDKTF does not.
        versions = TERRAFORM_CONSTRAINT.replace(",", "")
        self.node.set_context("targetVersions", {"terraform": versions, "opentofu": versions})
        self._add_backend()
        AwsProvider(
            self,
            "aws",
            region=location.region,
            allowed_account_ids=[location.account_id],
            default_tags=[AwsProviderDefaultTags(tags=self.tags)],
        )

    def describe(self) -> platform.Stack:
        """The description of this stack for `platform.json`."""
        return {
            "kind": self.kind,
            "region": self.location.region,
            "environment": self.location.environment,
            "part": self._part,
            "settings_file": self._settings_file,
            "account_id": self.location.account_id,
            "account": self._account,
            "state": {
                "bucket": self._state.bucket,
                "key": self._state_key,
                "region": self.location.region,
                "lock_table": self._state.lock_table,
                "backend": stack_name(self.location.region, "backend", self._account),
            },
            "tags": self.tags,
            "iam_path": self.location.iam_path,
            "cluster": None,
            "backups": None,
            "existing_vpc": None,
            "existing": self._existing(),
            "usage": vars(self._usage),
        }

    def _existing(
        self,
        *,
        key: Key | None = None,
        repositories: Sequence[str] = (),
        github_provider: str | None = None,
        permissions_boundary: str | None = None,
        roles: Sequence[platform.ExistingRole] = (),
    ) -> platform.Existing:
        """What the stack uses and no stack creates, for its description."""
        required = key.required_statements if key is not None else []
        return {
            "key": {"arn": key.arn, "statements": [one.render() for one in required]} if key and required else None,
            "repositories": list(repositories),
            "github_provider": github_provider,
            "permissions_boundary": permissions_boundary,
            "roles": list(roles),
        }

    @property
    def _state_key(self) -> str:
        return state_key(self.location.region, self.location.environment, self._part)

    def _add_backend(self) -> None:
        state = self._state
        # Without `encrypt`, which would request SSE-S3 instead of the bucket's default, SSE-KMS with the backend's key.
        backend = S3Backend(
            self,
            bucket=state.bucket,
            key=self._state_key,
            region=self.location.region,
            allowed_account_ids=[self.location.account_id],
            dynamodb_table=state.lock_table,
        )
        if state.lock != "dynamodb":
            # CDKTF 0.21 does not have the argument. Reading another stack's state needs no lock.
            backend.add_override("use_lockfile", True)
