"""The environment prod of ap-northeast-2."""

from eks_gitops.backup_plan import BackupConfig
from eks_gitops.cluster import ClusterConfig
from eks_gitops.database import DatabaseConfig
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.node_group import NodeGroupConfig
from stacks.owner import OWNER
from stacks.settings import EnvironmentSettings, GitopsSettings
from stacks.usage import EnvironmentUsage

PROD = EnvironmentSettings(
    account_id=OWNER.account_id,
    production=True,
    cluster=ClusterConfig(
        name="gitops-cluster-prod",
        version="1.36",
        zones=("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"),
        administrators=(OWNER.administrator_role_arn,),
        public_access_cidrs=(),
        log_retention_days=365,
        deletion_protection=True,
    ),
    node_groups=(
        NodeGroupConfig(
            name="main",
            instance_types=("m7i.large",),
            ami_type="AL2023_x86_64_STANDARD",
            capacity_type="ON_DEMAND",
            min_size=3,
            desired_size=3,
            max_size=10,
            disk_size_gib=100,
        ),
    ),
    gitops=GitopsSettings(
        revision="main",
        ingress=IngressClassConfig(scheme="internet-facing", allowed_cidrs=("0.0.0.0/0",)),
        argo_cd=ArgoCdConfig(
            chart_version="10.4.1",
            domain=f"argocd.prod.{OWNER.domain}",
            availability="high-availability",
            ingress=IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/16",)),
            sso=None,  # OidcConfig(provider=..., issuer=..., client_id=...), once your provider has a client
            local_admin=True,
        ),
    ),
    file_system=FileSystemConfig(),
    databases=(
        DatabaseConfig(
            name="bubblepool",
            engine_version="17",
            instance_class="db.m7g.large",
            allocated_storage_gib=100,
            max_allocated_storage_gib=500,
            multi_az=True,
            deletion_protection=True,
            backup_retention_days=35,
            log_retention_days=365,
        ),
        DatabaseConfig(
            name="guestbook",
            engine_version="17",
            instance_class="db.t4g.medium",
            allocated_storage_gib=50,
            max_allocated_storage_gib=200,
            multi_az=True,
            deletion_protection=True,
            backup_retention_days=35,
            log_retention_days=365,
        ),
    ),
    backup=BackupConfig(
        daily_retention_days=35,
        monthly_retention_days=365,
        argo_cd_retention_days=90,
        copy_to_vault=None,  # the ARN of a vault in another region, once you have one
    ),
    usage=EnvironmentUsage(logs_gb=40),
)
