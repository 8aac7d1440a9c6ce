"""BackendStack: the bucket for the state of a region's stacks, including its own."""

from cdktf import TerraformOutput
from constructs import Construct

from eks_gitops.backend import StateBackend
from stacks.base import RegionStack
from stacks.settings import Owner, Region


class BackendStack(RegionStack):
    """The state bucket of a region. `make bootstrap` creates it once, before any other stack."""

    kind = "backend"

    def __init__(self, scope: Construct, region: Region, *, owner: Owner) -> None:
        super().__init__(scope, region, "backend", owner=owner, settings_file=region.shared_file)
        backend = StateBackend(self, "state", region.shared.state, location=self.location, tags=self.tags)
        TerraformOutput(
            self, "state_bucket", value=backend.bucket_name, description="The bucket that keeps Terraform's state"
        )
