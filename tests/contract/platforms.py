"""Three platforms: one with every optional setting, one with none, and one with an existing VPC."""

from typing import Any, get_args

from eks_gitops.access_host import AccessHostConfig
from eks_gitops.access_logs import AccessLogsConfig
from eks_gitops.addons import AddonConfig, AddonIdentityConfig, AddonsConfig
from eks_gitops.aurora import AuroraCapacity, AuroraConfig
from eks_gitops.auto_mode import AutoModeConfig
from eks_gitops.backend import StateBackendConfig
from eks_gitops.backup_plan import BackupConfig
from eks_gitops.budget import BudgetConfig
from eks_gitops.cluster import ClusterConfig
from eks_gitops.config import MAX_INTEGER
from eks_gitops.connections import Connection
from eks_gitops.container_logs import ContainerLogsConfig
from eks_gitops.controllers import ControllersConfig, ControllerTarget
from eks_gitops.database import DatabaseConfig
from eks_gitops.dns import DnsConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.existing_vpc import ExistingVpcConfig, ExistingZone
from eks_gitops.file_system import AccessPoint, FileSystemConfig
from eks_gitops.github import GithubRepository
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig, OidcConfig, TuningConfig
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.in_cluster.repository_credential import RepositoryCredentialConfig
from eks_gitops.karpenter import KarpenterConfig
from eks_gitops.node_group import NodeGroupConfig, NodeRepairConfig, RepairOverride, Taint
from eks_gitops.runners import RunnersConfig
from eks_gitops.threat_detection import ThreatDetectionConfig
from eks_gitops.vpc import InterfaceEndpoint, VpcConfig, Zone
from eks_gitops.web_acl import WebAclConfig
from stacks.settings import (
    AccountSettings,
    Environment,
    EnvironmentSettings,
    FurtherCluster,
    GitopsSettings,
    Owner,
    Region,
    SharedSettings,
)
from stacks.usage import EnvironmentUsage, SharedUsage

Settings = tuple[Owner, list[Region]]

_ACCOUNT = "123456789012"
_ADMINISTRATOR = f"arn:aws:iam::{_ACCOUNT}:role/administrator"
_TARGET = f"arn:aws:iam::210987654321:role/{'x' * 64}"
_KEY = f"arn:aws:kms:ap-northeast-2:{_ACCOUNT}:key/mrk-{'1' * 32}"
_BOUNDARY = f"arn:aws:iam::{_ACCOUNT}:policy/company/limits"
_ROLE = f"arn:aws:iam::{_ACCOUNT}:role/company/"
_WEB_ACL = f"arn:aws:wafv2:ap-northeast-2:{_ACCOUNT}:regional/webacl/argo-cd/1"
_CONNECTION = f"arn:aws:codeconnections:ap-northeast-2:{_ACCOUNT}:connection/01234567-89ab-cdef-0123-456789abcdef"
_TLS_POLICY = "ELBSecurityPolicy-TLS13-1-3-2021-06"
_USAGE = {"hours": 744, "logs_gb": 1, "stored_logs_gb": 1, "bucket_gb": 1, "bucket_requests": 1}
_ENDPOINTS = get_args(InterfaceEndpoint)


def maximal() -> Settings:
    """Every optional setting, in prod with the longest names.

    Where there is a choice, dev has IRSA and prod has EKS Pod Identity; test has EKS Auto Mode.
    """
    owner = _owner(project="shop-platform", team="shop")
    shared = _shared(
        owner,
        state=StateBackendConfig(
            # The name of the copy is the longest one.
            bucket="minji-state".ljust(58, "x"),
            lock="both",
            noncurrent_version_retention_days=30,
            copy_region="us-west-2",
        ),
        vpc=VpcConfig(
            name="shop".ljust(63, "x"),
            cidr="10.0.0.0/16",
            secondary_cidrs=("100.64.0.0/16",),
            zones=tuple(
                Zone(
                    name=f"ap-northeast-2{letter}",
                    public=f"10.0.{number}.0/24",
                    private=f"100.64.{32 * number}.0/19",
                    database=f"10.0.1{number}.0/24",
                )
                for number, letter in enumerate("abcd", start=1)
            ),
            nat_gateways="regional",
            interface_endpoints=_ENDPOINTS,
            endpoint_principals="account",
            connections=(
                Connection(id="tgw-0123456789abcdef0", cidrs=("172.16.0.0/12",)),
                Connection(id="pcx-0123456789abcdef0", cidrs=("192.168.0.0/16",)),
            ),
            flow_log_retention_days=3653,
        ),
        dns=DnsConfig(domain=owner.domain, hosted_zone_id="Z0123456789ABC", certificate=True),
        image_repositories=(
            EcrRepositoryConfig(
                name="shop",
                pushed_by=GithubRepository(owner="minji", owner_id=1, name="shop", id=3),
                kept_images=50,
                moving_tags=("cache", "x" * 127 + "*"),
            ),
            EcrRepositoryConfig(
                name="legacy-shop",
                pushed_by=GithubRepository(owner="minji", owner_id=1, name="legacy", id=4),
                existing=True,
            ),
        ),
        image_replica_regions=("ap-northeast-1", "us-west-2"),
        access_host=AccessHostConfig(zone="ap-northeast-2d", instance_type="t4g.micro"),
        runners=RunnersConfig(connection_arn=_CONNECTION, size="large", jobs=100, log_retention_days=3653),
        cost_allocation_tags=("Cluster", "CostCenter", "Environment"),
        usage=SharedUsage(nat_gb=1, endpoint_gb=1, image_gb=1, **_USAGE),
    )
    gitops = GitopsSettings(
        revision="v1.2.0",
        dns_weight=255,
        ingress=IngressClassConfig(scheme="internet-facing", allowed_cidrs=("203.0.113.0/24",), tls_policy=_TLS_POLICY),
        argo_cd=ArgoCdConfig(
            chart_version="10.4.1",
            domain=f"argocd.prod.{owner.domain}",
            availability="high-availability",
            ingress=IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/16",), tls_policy=_TLS_POLICY),
            web_acl_arn=_WEB_ACL,
            sso=OidcConfig(
                provider="okta",
                issuer="https://your-company.okta.com/oauth2/aus9abcdefgABCDEFGd7",
                client_id="0oa9abcdefgh123AB5d7",
                cli_client_id="0oa9abcdefgh123AB5d8",
            ),
            tuning=TuningConfig(
                status_processors=50,
                operation_processors=25,
                kubectl_parallelism=10,
                repo_server_timeout_seconds=300,
                repo_server_parallelism=5,
                reconciliation_seconds=300,
                reconciliation_jitter_seconds=30,
            ),
        ),
        repository_credential=RepositoryCredentialConfig(
            kind="deploy-key",
            secret_name="ap-northeast-2/prod/argo-cd/repository",  # noqa: S106 (a name)
            revision=2,
        ),
    )
    prod = EnvironmentSettings(
        account_id=_ACCOUNT,
        production=True,
        cluster=_cluster(
            "shop-prod".ljust(100, "x"),
            service_ipv4_cidr="172.16.0.0/12",
            public_access_cidrs=("203.0.113.0/24", "198.51.100.7/32"),
            private_access_cidrs=("192.0.2.0/24", "192.168.0.0/16"),
            log_retention_days=3653,
            deletion_protection=True,
        ),
        node_groups=(
            _nodes(
                "main".ljust(31, "x"),
                min_size=3,
                desired_size=3,
                max_size=5,
                disk_size_gib=16384,
                repair=NodeRepairConfig(stop_above_count=2, parallel_percentage=50),
            ),
            _nodes(
                "arm",
                instance_types=("m7g.large", "c8g.xlarge"),
                ami_type="BOTTLEROCKET_ARM_64",
                release_version="1.64.0-7c4f0d2b",
                capacity_type="SPOT",
                labels={"team": "shop", "node.example.com/disk": "fast"},
                taints=(
                    Taint(key="spot", value="true", effect="NO_SCHEDULE"),
                    Taint(key="team", value="shop", effect="NO_EXECUTE"),
                    Taint(key="slow", effect="PREFER_NO_SCHEDULE"),
                ),
                repair=NodeRepairConfig(
                    stop_above_percentage=40,
                    parallel_count=1,
                    overrides=(
                        RepairOverride(
                            condition="KernelReady", reason="SoftLockup", wait_minutes=MAX_INTEGER, action="Replace"
                        ),
                    ),
                ),
            ),
        ),
        addons=AddonsConfig(
            versions={
                "aws-ebs-csi-driver": "v1.60.0-eksbuild.1",
                "coredns": "v1.13.2-eksbuild.4",
                "kube-proxy": "v1.36.0-eksbuild.2",
                "vpc-cni": "v1.21.1-eksbuild.3",
            },
            others=(
                AddonConfig(name="snapshot-controller", version="v8.5.0-eksbuild.1", configuration={"replicaCount": 2}),
                AddonConfig(
                    name="amazon-cloudwatch-observability",
                    identity=AddonIdentityConfig(
                        namespace="amazon-cloudwatch",
                        service_account="cloudwatch-agent",
                        policy_arns=(
                            "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",
                            f"arn:aws:iam::{_ACCOUNT}:policy/shop/metrics",
                        ),
                    ),
                ),
            ),
        ),
        controllers=ControllersConfig(
            targets=(
                ControllerTarget(controller="external_secrets", role_arn=_TARGET, disable_session_tags=True),
                ControllerTarget(controller="kyverno", role_arn=_TARGET),
            )
        ),
        karpenter=KarpenterConfig(
            max_nodes=10,
            max_vcpus=80,
            architectures=("amd64", "arm64"),
            capacity_types=("spot", "on-demand"),
        ),
        gitops=gitops,
        file_system=FileSystemConfig(
            access_points=(
                AccessPoint(
                    name="media".ljust(63, "x"), path="/media/uploads/new/large", uid=4294967295, gid=4294967295
                ),
                AccessPoint(name="root", path="/root", uid=0, gid=0),
            )
        ),
        databases=(
            _database(
                "orders".ljust(20, "x"),
                instance_class="db.m7g.large",
                allocated_storage_gib=500,
                max_allocated_storage_gib=65536,
                backup_retention_days=35,
                final_snapshot_suffix="final-2",
                log_retention_days=3653,
                monitoring_interval_seconds=1,
            ),
            _database("carts", engine_version="16", major_upgrade_to="16.15"),
            _database("stock", engine="mysql", engine_version="8.4", instance_class="db.t4g.micro"),
        ),
        aurora_databases=(
            _aurora(
                "reports".ljust(20, "x"),
                major_upgrade_to="17.9",
                readers=15,
                backup_retention_days=35,
                final_snapshot_suffix="final-2",
                log_retention_days=3653,
                monitoring_interval_seconds=1,
            ),
            _aurora(
                "events".ljust(18, "x"),
                engine="aurora-mysql",
                engine_version="8.0",
                instance_class="db.serverless",
                capacity=AuroraCapacity(min_acu=0.5, max_acu=256),
            ),
        ),
        backup=BackupConfig(
            daily_retention_days=60,
            monthly_retention_days=730,
            argo_cd_retention_days=120,
            copy_to_vault=f"arn:aws:backup:ap-northeast-1:{_ACCOUNT}:backup-vault:copies",
            clusters=True,
        ),
        usage=EnvironmentUsage(
            load_balancer_zones=2,
            load_balancer_units=1,
            file_system_gb=1,
            file_backup_gb=1,
            database_backup_gb=1,
            aurora_storage_gb=1,
            aurora_requests=1,
            snapshot_gb=1,
            **_USAGE,
        ),
        further_clusters=(
            FurtherCluster(
                name="blue".ljust(10, "x"),
                teardown=True,
                cluster=_cluster("shop-blue".ljust(100, "x"), log_retention_days=3653, deletion_protection=False),
                node_groups=(_nodes("main".ljust(31, "x"), min_size=3, desired_size=3, max_size=5),),
                addons=AddonsConfig(versions={"coredns": "v1.13.2-eksbuild.4"}),
                karpenter=KarpenterConfig(max_nodes=5),
                gitops=GitopsSettings(
                    revision="v1.2.0",
                    dns_weight=0,
                    ingress=gitops.ingress,
                    argo_cd=gitops.argo_cd.model_copy(update={"domain": f"argocd-blue.prod.{owner.domain}"}),
                    repository_credential=gitops.repository_credential,
                ),
            ),
        ),
    )
    dev = EnvironmentSettings(
        **{
            **vars(prod),
            "production": False,
            "teardown": True,
            "cluster": _cluster("shop-dev", log_retention_days=1, zonal_shift=False),
            "addons": AddonsConfig(vpc_cni_identity="irsa", ebs_csi_identity="irsa", efs_csi_identity="irsa"),
            "controllers": ControllersConfig(
                load_balancer_controller="irsa",
                external_secrets="irsa",
                external_dns="irsa",
                kyverno="irsa",
                database_users="irsa",
            ),
            "karpenter": KarpenterConfig(max_nodes=5, identity="irsa"),
            "gitops": GitopsSettings(
                revision="main",
                policies="audit",
                ingress=gitops.ingress,
                argo_cd=_argo_cd(owner, "dev"),
                repository_credential=gitops.repository_credential,
                kubeconfig="/srv/kubeconfig",
            ),
            "databases": (_database("orders", multi_az=False, deletion_protection=False, backup_retention_days=1),),
            "aurora_databases": (),
            "backup": BackupConfig(daily_retention_days=1, monthly_retention_days=31, argo_cd_retention_days=1),
            "further_clusters": (),
        }
    )
    test = EnvironmentSettings(
        **{
            **vars(dev),
            "teardown": False,
            "key_arn": _KEY,
            "cluster": _cluster(
                "shop-test", auto_mode=AutoModeConfig(node_pools=("general-purpose",)), zonal_shift=False
            ),
            "node_groups": (),
            "addons": AddonsConfig(versions={"aws-efs-csi-driver": "v3.4.1-eksbuild.1"}),
            "karpenter": None,
            "gitops": GitopsSettings(
                revision="main", ingress=gitops.ingress, argo_cd=_argo_cd(owner, "test", web_acl_arn=_WEB_ACL)
            ),
        }
    )
    return owner, [_region(shared, dev=dev, test=test, prod=prod)]


def minimal() -> Settings:
    """A budget, observability and what exists already; no databases, files and images, nor other optional settings.

    The Argo CD of one environment deploys to the other.
    """
    owner = _owner()
    shared = _shared(
        owner,
        state=StateBackendConfig(bucket="minji-state", lock="dynamodb"),
        vpc=VpcConfig(
            name="vpc",
            cidr="10.0.0.0/20",
            zones=(
                Zone(name="ap-northeast-2a", public="10.0.0.0/27", private="10.0.4.0/22"),
                Zone(name="ap-northeast-2b", public="10.0.0.32/27", private="10.0.8.0/22"),
            ),
            nat_gateways="one",
            nat_gateway_zone="ap-northeast-2a",
        ),
        dns=DnsConfig(domain=owner.domain),
        image_repositories=(),
        owns_github_provider=False,
        github_provider_exists=True,
        threat_detection=ThreatDetectionConfig(
            detector="platform",
            runtime_monitoring=True,
            topic_arn=f"arn:aws:sns:ap-northeast-2:{_ACCOUNT}:{'x' * 256}",
            least_severity=10,
        ),
        key_arn=_KEY,
        permissions_boundary_arn=_BOUNDARY,
    )
    qa = _minimal_dev(owner, cluster=_cluster("qa"))
    qa = qa.model_copy(update={"gitops": qa.gitops.model_copy(update={"hub": "dev", "argo_cd": _argo_cd(owner, "qa")})})
    return owner, [_region(shared, dev=_minimal_dev(owner), qa=qa)]


def existing_vpc() -> Settings:
    """An existing VPC in each of two accounts, with subnets of every kind and in both forms, and images to pull.

    There is no other optional setting.
    """
    owner, other = _owner(), "210987654321"
    vpc = ExistingVpcConfig(
        id="vpc-0123456789abcdef0",
        name="company network",
        cidr="10.0.0.0/20",
        zones=tuple(
            ExistingZone(
                name=f"ap-northeast-2{letter}",
                private=f"subnet-0123456789abcde0{letter}",
                public="tag:company/tier=public",
                database=f"tag:Name=database-{letter}",
            )
            for letter in "ab"
        ),
    )
    shared = _shared(
        owner,
        state=StateBackendConfig(bucket="minji-state", lock="lockfile"),
        vpc=vpc,
        accounts=(
            AccountSettings(
                name="second",
                account_id=other,
                state=StateBackendConfig(bucket="minji-second-state", lock="lockfile"),
                vpc=vpc,
                owns_github_provider=True,
                cluster_administrators=(_ADMINISTRATOR.replace(_ACCOUNT, other),),
            ),
        ),
        dns=DnsConfig(domain=owner.domain),
        image_repositories=(EcrRepositoryConfig(name="shop", pushed_by=owner.repository),),
    )
    qa = _minimal_dev(owner, account_id=other, permissions_boundary_arn=None, cluster=_cluster("qa"))
    argo_cd = qa.gitops.model_copy(update={"argo_cd": _argo_cd(owner, "qa")})
    qa = qa.model_copy(update={"gitops": argo_cd, "node_groups": (_nodes("main"),)})
    return owner, [_region(shared, dev=_minimal_dev(owner), qa=qa)]


def _minimal_dev(owner: Owner, **others: Any) -> EnvironmentSettings:
    own = {
        "account_id": _ACCOUNT,
        "permissions_boundary_arn": f"{_BOUNDARY}-of-dev",
        "cluster": _cluster("dev", role_arn=f"{_ROLE}eks"),
        **others,
    }
    return EnvironmentSettings(
        **own,
        production=False,
        node_groups=(_nodes("main", role_arn=f"{_ROLE}nodes"),),
        gitops=GitopsSettings(
            revision="main",
            ingress=IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/20",)),
            argo_cd=_argo_cd(owner, "dev"),
        ),
        budget=BudgetConfig(
            monthly_limit=MAX_INTEGER,
            alert_percentages=(1, 1000),
            topic_arn=f"arn:aws:sns:ap-northeast-2:{_ACCOUNT}:{'x' * 256}",
            emails=("platform@your-domain.com",),
        ),
        access_logs=AccessLogsConfig(retention_days=36500),
        container_logs=ContainerLogsConfig(retention_days=3653),
        web_acl=WebAclConfig(mode="count", counted_rules=("x" * 128,), requests_per_5_minutes=2_000_000_000),
        backup=BackupConfig(),
    )


def _owner(**more: Any) -> Owner:
    return Owner(
        organisation="minji",
        account_id=_ACCOUNT,
        domain="platform.your-domain.com",
        repository=GithubRepository(owner="minji", owner_id=1, name="platform", id=2),
        administrator_role_arn=_ADMINISTRATOR,
        cost_center="1234",
        **more,
    )


def _shared(owner: Owner, **more: Any) -> SharedSettings:
    values: dict[str, Any] = {"owns_github_provider": True, **more}
    return SharedSettings(
        account_id=_ACCOUNT, repository=owner.repository, cluster_administrators=(_ADMINISTRATOR,), **values
    )


def _region(shared: SharedSettings, **environments: EnvironmentSettings) -> Region:
    folder = "stacks/ap_northeast_2"
    return Region(
        name="ap-northeast-2",
        file=f"{folder}/__init__.py",
        shared_file=f"{folder}/shared.py",
        shared=shared,
        environments=tuple(
            Environment(name, f"{folder}/{name}.py", settings) for name, settings in environments.items()
        ),
    )


def _cluster(name: str, **more: Any) -> ClusterConfig:
    zones = ("ap-northeast-2a", "ap-northeast-2b")
    return ClusterConfig(name=name, version="1.36", zones=zones, administrators=(_ADMINISTRATOR,), **more)


def _nodes(name: str, **more: Any) -> NodeGroupConfig:
    values: dict[str, Any] = {
        "instance_types": ("t3.medium",),
        "ami_type": "AL2023_x86_64_STANDARD",
        "capacity_type": "ON_DEMAND",
        "min_size": 1,
        "desired_size": 1,
        "max_size": 5,
    }
    return NodeGroupConfig(name=name, **{**values, **more})


def _database(name: str, **more: Any) -> DatabaseConfig:
    values: dict[str, Any] = {
        "engine_version": "17",
        "instance_class": "db.t4g.medium",
        "allocated_storage_gib": 20,
        "max_allocated_storage_gib": 22,
        "multi_az": True,
        "deletion_protection": True,
        "backup_retention_days": 14,
    }
    return DatabaseConfig(name=name, **{**values, **more})


def _aurora(name: str, **more: Any) -> AuroraConfig:
    values: dict[str, Any] = {
        "engine_version": "17",
        "instance_class": "db.r8g.large",
        "readers": 1,
        "deletion_protection": True,
        "backup_retention_days": 14,
    }
    return AuroraConfig(name=name, **{**values, **more})


def _argo_cd(owner: Owner, environment: str, **more: Any) -> ArgoCdConfig:
    return ArgoCdConfig(
        chart_version="10.4.1",
        domain=f"argocd.{environment}.{owner.domain}",
        availability="single-node",
        ingress=IngressClassConfig(scheme="internal", allowed_cidrs=("10.0.0.0/20",)),
        local_admin=True,
        **more,
    )
