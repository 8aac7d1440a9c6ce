"""GitopsStack: the resources that bootstrap Argo CD in a cluster. Everything else is deployed from Git.

It is separate from the stack of the cluster, because a provider that is configured with attributes of a resource in the
same stack fails on later plans (docs/adr/0002).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import ITerraformDependable, TerraformOutput
from constructs import Construct

from eks_gitops.access_logs import access_logs_bucket_name
from eks_gitops.ecr import registry
from eks_gitops.in_cluster.argo_cd import ArgoCd
from eks_gitops.in_cluster.auto_mode import NetworkPolicies
from eks_gitops.in_cluster.cluster_connection import ClusterConnection
from eks_gitops.in_cluster.cluster_secret import (
    OWN_CLUSTER,
    ClusterAnnotations,
    ClusterLabels,
    ClusterSecret,
    RegisteredCluster,
    eks_cluster,
)
from eks_gitops.in_cluster.load_balancer_controller import (
    INGRESS_CLASS,
    LoadBalancerController,
    ingress_class,
    ingress_class_params,
    ingress_group,
)
from eks_gitops.in_cluster.repository_credential import RepositoryCredential, repository_url
from eks_gitops.in_cluster.root_application import RootApplication
from eks_gitops.in_cluster.storage_classes import StorageClasses
from eks_gitops.web_acl import web_acl_name
from stacks import platform
from stacks.base import RegionStack
from stacks.environment import ClusterStack
from stacks.names import IN_CLUSTER
from stacks.settings import Environment, Owner, Region
from stacks.shared import SharedStack

_NONE = "none"


class GitopsStack(RegionStack):
    """The AWS Load Balancer Controller, storage classes, Argo CD and its root Application of one cluster.

    A cluster with a hub has only the first two. `spokes` are the stacks of the environments whose hub this cluster is.
    """

    kind = "in-cluster"

    def __init__(
        self,
        scope: Construct,
        region: Region,
        environment: Environment,
        *,
        owner: Owner,
        shared: SharedStack,
        aws: ClusterStack,
        spokes: Sequence[ClusterStack] = (),
    ) -> None:
        super().__init__(
            scope,
            region,
            environment.name,
            cluster=environment.cluster,
            owner=owner,
            settings_file=environment.file,
            part=IN_CLUSTER,
        )
        self._region, self._environment, self._shared, self._aws = region, environment, shared, aws
        self._spokes, self._organisation = spokes, owner.organisation
        connection = ClusterConnection(
            cluster_name=environment.settings.cluster.name,
            region=region.name,
            endpoint=aws.cluster.endpoint,
            certificate_authority=aws.cluster.certificate_authority,
            kubeconfig=environment.settings.gitops.kubeconfig,
        )
        connection.add_providers(self)
        auto_mode = aws.cluster.auto_mode
        if auto_mode:
            NetworkPolicies(self, "network-policies")
        controller = None if auto_mode else self._load_balancer_controller()
        StorageClasses(
            self,
            "storage-classes",
            key_arn=aws.key.arn,
            file_system_id=aws.file_system.id if aws.file_system is not None else None,
            auto_mode=auto_mode,
            tags=self.tags,
        )
        if environment.hub is None:
            self._add_argo_cd(connection, controller)

    def describe(self) -> platform.Stack:
        """The description of this stack and its cluster for `platform.json`."""
        return {**super().describe(), "cluster": self._aws.describe()["cluster"]}

    def _add_argo_cd(self, connection: ClusterConnection, controller: LoadBalancerController | None) -> None:
        region, environment, aws = self._region, self._environment, self._aws
        settings = environment.settings.gitops
        argo_cd = ArgoCd(
            self,
            "argo-cd",
            settings.argo_cd,
            certificate_arn=aws.dns.certificate_arn,
            tags=self.tags,
            load_balancer_controller=controller,
            more_objects=self._ingress_class_of_auto_mode() if aws.cluster.auto_mode else (),
        )
        url = repository_url(region.shared.repository, settings.repository_credential)
        dependencies: list[ITerraformDependable] = [argo_cd.release.resource]
        if controller is not None:
            dependencies.insert(0, controller.release.resource)
        dependencies.append(self._cluster_secret("cluster-secret", argo_cd, url, aws).resource)
        for spoke in self._spokes:
            name = spoke.environment.name
            cluster = eks_cluster(
                name,
                cluster_name=spoke.environment.settings.cluster.name,
                endpoint=spoke.cluster.endpoint,
                certificate_authority=spoke.cluster.certificate_authority,
            )
            dependencies.append(self._cluster_secret(f"cluster-secret-{name}", argo_cd, url, spoke, cluster).resource)
        if settings.repository_credential is not None:
            credential = RepositoryCredential(
                self, "repository", settings.repository_credential, namespace=argo_cd.namespace, url=url
            )
            dependencies.append(credential.resource)
        RootApplication(
            self,
            "root-application",
            repository_url=url,
            revision=settings.revision,
            environment=environment.name,
            production=environment.settings.production,
            spokes={one.environment.name: one.environment.settings.production for one in self._spokes},
            namespace=argo_cd.namespace,
            connection=connection,
            depends_on=dependencies,
        )
        TerraformOutput(
            self,
            "argo_cd_url",
            value=f"https://{settings.argo_cd.domain}",
            description="Argo CD, in a browser or by its CLI",
        )

    def _ingress_class_of_auto_mode(self) -> list[dict[str, Any]]:
        """The IngressClass of the services. The release of Argo CD contains it, as its kind has no other chart."""
        params = ingress_class_params(
            self._environment.settings.gitops.ingress,
            group=ingress_group(self.location),
            tags=self.tags,
            certificate_arns=self._certificate_arns,
            access_logs_bucket=self._access_logs_bucket,
        )
        return ingress_class(INGRESS_CLASS, params, auto_mode=True)

    def _load_balancer_controller(self) -> LoadBalancerController:
        settings = self._environment.settings
        name = "aws-load-balancer-controller"
        irsa = settings.controllers.load_balancer_controller == "irsa"
        return LoadBalancerController(
            self,
            name,
            settings.gitops.ingress,
            location=self.location,
            cluster_name=settings.cluster.name,
            vpc_id=self._shared.vpc.id,
            certificate_arns=self._certificate_arns,
            role_arn=self._aws.controllers.arns[name] if irsa else None,
            tags=self.tags,
            access_logs_bucket=self._access_logs_bucket,
            web_acl=None if settings.web_acl is None else web_acl_name(self.location),
            outside_aws=settings.gitops.kubeconfig is not None,
        )

    @property
    def _access_logs_bucket(self) -> str | None:
        """The bucket of the environment, which all of its clusters use."""
        if self._environment.settings.access_logs is None:
            return None
        return access_logs_bucket_name(self.location.of_environment, self._organisation)

    @property
    def _certificate_arns(self) -> list[str]:
        """The certificates of the services: of the environment's zone and, while hosts move, of the parent's."""
        of_parent = None if self._shared.dns is None else self._shared.dns.certificate_arn
        return [self._aws.dns.certificate_arn, *([] if of_parent is None else [of_parent])]

    def _cluster_secret(
        self,
        id_: str,
        argo_cd: ArgoCd,
        url: str,
        aws: ClusterStack,
        cluster: RegisteredCluster = OWN_CLUSTER,
    ) -> ClusterSecret:
        """The Secret of a cluster: its own, or that of a spoke."""
        repository = self._region.shared.repository
        environment, shared, karpenter = aws.environment, self._shared, aws.karpenter
        settings = environment.settings
        pool = settings.karpenter
        labels = ClusterLabels(
            environment=environment.name,
            region=self._region.name,
            purpose="production" if settings.production else "development",
            policies=settings.gitops.policies,
            karpenter="true" if karpenter is not None else "false",
            container_logs=None if aws.container_logs is None else "true",
            hub=environment.hub,
        )
        annotations = ClusterAnnotations(
            account_id=aws.location.account_id,
            vpc_id=shared.vpc.id,
            vpc_cidr=str(self._region.shared.vpc.cidr),
            vpc_peers=_json([{"ipBlock": {"cidr": str(cidr)}} for cidr in self._region.shared.vpc.cidrs]),
            vpc_name=self._region.shared.vpc.name,
            cluster_name=settings.cluster.name,
            domain=aws.dns.domain,
            hosted_zone_id=aws.dns.zone_id,
            certificate_arn=aws.dns.certificate_arn,
            image_registry=registry(self._region.main_location),
            repository_name=f"{repository.owner}/{repository.name}",
            repository_url=url,
            repository_revision=settings.gitops.revision,
            argo_cd_url=f"https://{self._environment.settings.gitops.argo_cd.domain}",
            secret_prefix=aws.location.secret_prefix,
            databases=_json(
                {
                    name: {
                        "host": database.address,
                        "master_secret": database.secret_arn,
                        "user_secret": database.user_secret_name,
                        **({} if database.engine.protocol == "postgres" else {"engine": database.engine.protocol}),
                    }
                    for name, database in aws.databases.items()
                }
            ),
            controller_roles=_json(aws.role_arns),
            irsa_roles=_json(aws.irsa_role_arns),
            file_system_id=aws.file_system.id if aws.file_system is not None else _NONE,
            karpenter_queue=karpenter.queue_name if karpenter is not None else _NONE,
            karpenter_instance_profile=karpenter.instance_profile if karpenter is not None else _NONE,
            karpenter_limits=_json(pool.limits) if pool is not None else _NONE,
            karpenter_architectures=_json(pool.architectures) if pool is not None else _NONE,
            karpenter_capacity_types=_json(pool.capacity_types) if pool is not None else _NONE,
            tags=_json(aws.tags),
            zonal_shift="true" if settings.cluster.zonal_shift else "false",
            dns_weight=None if settings.gitops.dns_weight is None else str(settings.gitops.dns_weight),
            further_cluster=environment.cluster or None,
            container_log_group=None if aws.container_logs is None else aws.container_logs.group_name,
        )
        return ClusterSecret(
            self,
            id_,
            labels,
            annotations,
            cluster=cluster,
            namespace=argo_cd.namespace,
            depends_on=[argo_cd.release.resource],
        )


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return json.dumps(value, sort_keys=True)
