"""The shared settings of ap-northeast-2: network, image repositories, domain and delivery roles."""

from eks_gitops.backend import StateBackendConfig
from eks_gitops.dns import DnsConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.github import GithubRepository
from eks_gitops.vpc import VpcConfig, Zone
from stacks.owner import OWNER
from stacks.settings import SharedSettings

SHARED = SharedSettings(
    account_id=OWNER.account_id,
    state=StateBackendConfig(
        bucket=f"{OWNER.organisation}-terraform-state-ap-northeast-2",
        lock="lockfile",
    ),
    vpc=VpcConfig(
        name="gitops-vpc",
        cidr="10.0.0.0/16",
        zones=(
            Zone(name="ap-northeast-2a", public="10.0.1.0/24", private="10.0.32.0/19", database="10.0.11.0/24"),
            Zone(name="ap-northeast-2b", public="10.0.2.0/24", private="10.0.64.0/19", database="10.0.12.0/24"),
            Zone(name="ap-northeast-2c", public="10.0.3.0/24", private="10.0.96.0/19", database="10.0.13.0/24"),
        ),
        nat_gateways="one-per-zone",  # required by prod
        interface_endpoints=("ecr.api", "ecr.dkr"),  # image pulls bypass the NAT gateways
        flow_log_retention_days=365,
    ),
    dns=DnsConfig(
        domain=OWNER.domain,
        hosted_zone_id=None,  # the ID of an existing zone; with None, a zone is created
    ),
    image_repositories=(
        EcrRepositoryConfig(
            name="bubblepool",
            pushed_by=GithubRepository(
                owner=OWNER.repository.owner, owner_id=OWNER.repository.owner_id, name="bubblepool", id=3
            ),
        ),
        EcrRepositoryConfig(
            name="guestbook",
            pushed_by=GithubRepository(
                owner=OWNER.repository.owner, owner_id=OWNER.repository.owner_id, name="guestbook", id=4
            ),
        ),
        EcrRepositoryConfig(
            name="hello",
            pushed_by=GithubRepository(
                owner=OWNER.repository.owner, owner_id=OWNER.repository.owner_id, name="hello", id=5
            ),
        ),
    ),
    repository=OWNER.repository,
    owns_github_provider=True,
    cluster_administrators=(OWNER.administrator_role_arn,),
)
