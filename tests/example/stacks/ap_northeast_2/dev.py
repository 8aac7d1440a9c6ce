"""The environment dev of ap-northeast-2: low cost, can be rebuilt at any time."""

import os

from eks_gitops.backup_plan import BackupConfig
from eks_gitops.cluster import ClusterConfig
from eks_gitops.database import DatabaseConfig
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.node_group import NodeGroupConfig
from stacks.owner import OWNER
from stacks.settings import EnvironmentSettings, GitopsSettings

DEV = EnvironmentSettings(
    account_id=OWNER.account_id,
    production=False,
    cluster=ClusterConfig(
        name="gitops-cluster-dev",
        version="1.36",
        zones=("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"),
        administrators=(OWNER.administrator_role_arn,),
        public_access_cidrs=(),  # private; add the networks of your office to give them access
        log_retention_days=14,
    ),
    node_groups=(
        NodeGroupConfig(
            name="main",
            instance_types=("t3.medium",),
            ami_type="AL2023_x86_64_STANDARD",
            capacity_type="ON_DEMAND",
            min_size=2,
            desired_size=3,
            max_size=10,
        ),
    ),
    gitops=GitopsSettings(
        revision="main",
        policies="audit",  # work in progress runs here
        kubeconfig=os.environ.get("LOCAL_KUBECONFIG"),  # set by `KUBECONFIG=… make local`
        ingress=IngressClassConfig(scheme="internet-facing", allowed_cidrs=("0.0.0.0/0",)),
        argo_cd=ArgoCdConfig(
            chart_version="10.4.1",
            domain=f"argocd.dev.{OWNER.domain}",
            availability="single-node",
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
            instance_class="db.t4g.medium",
            allocated_storage_gib=20,
            max_allocated_storage_gib=50,
            multi_az=False,
            deletion_protection=False,
            backup_retention_days=3,
            log_retention_days=14,
        ),
    ),
    backup=BackupConfig(
        daily_retention_days=7,
        monthly_retention_days=31,
        argo_cd_retention_days=30,
    ),
)
