"""NodeGroup: a managed node group of a cluster, with its launch template."""

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from cdktf import ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.eks_node_group import (
    EksNodeGroup,
    EksNodeGroupLaunchTemplate,
    EksNodeGroupNodeRepairConfig,
    EksNodeGroupNodeRepairConfigNodeRepairConfigOverrides,
    EksNodeGroupScalingConfig,
    EksNodeGroupTaint,
    EksNodeGroupUpdateConfig,
)
from cdktf_cdktf_provider_aws.launch_template import (
    LaunchTemplate,
    LaunchTemplateBlockDeviceMappings,
    LaunchTemplateBlockDeviceMappingsEbs,
    LaunchTemplateMetadataOptions,
    LaunchTemplateTagSpecifications,
)
from constructs import Construct
from pydantic import Field, TypeAdapter, ValidationError

from eks_gitops import instance_types
from eks_gitops.cluster import Cluster
from eks_gitops.config import MAX_INTEGER, Config, Count, Problem, RoleArn, known_problems, matching
from eks_gitops.context import Context
from eks_gitops.iam import Role, service_trust
from eks_gitops.key import Key
from eks_gitops.values import LabelKey, LabelValue, TaintValue

AmiType = Literal[
    "AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD", "BOTTLEROCKET_x86_64", "BOTTLEROCKET_ARM_64"
]  # fmt: skip

_RELEASES = {
    "AL2023": (r"\d+\.\d+\.\d+-20\d{6}", "1.36.0-20261101"),
    # A commit has eight hexadecimal digits, which a date is, too: the release that an Amazon Linux group had before.
    "BOTTLEROCKET": (r"\d+\.\d+\.\d+-(?!20\d\d(0[1-9]|1[0-2])[0-3]\d)[0-9a-f]{8}", "1.64.0-7c4f0d2b"),
}
"""The pattern of a release and an example, by operating system: the version of Kubernetes and a date, or the version of
Bottlerocket and a commit.

Source: https://docs.aws.amazon.com/eks/latest/userguide/eks-linux-ami-versions.html, and for Bottlerocket
https://github.com/aws/containers-roadmap/issues/1945
"""
_MOST_INSTANCE_TYPES = 20
"""Source: `instanceTypes` of https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html"""
# The kubelet refuses to start with another label of these domains, and the node does not join.
# Source: k8s.io/kubelet v0.36.0 (`pkg/apis/well_known_labels.go`).
_KUBERNETES_DOMAINS = ("kubernetes.io", "k8s.io")
_DOMAINS_OF_NODES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_LABELS_OF_NODES = {
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
}
# Source: https://github.com/eksctl-io/eksctl/issues/4007, with the error message of CreateNodegroup.
_EKS_DOMAINS = ("eks.amazonaws.com",)
_MOST_TAINTS = 50  # Source: the documentation of aws_eks_node_group of the AWS provider

_LABEL_KEY: TypeAdapter[str] = TypeAdapter(LabelKey)


class Taint(Config):
    """A taint on all nodes of a group."""

    key: LabelKey
    """The key that a Pod's toleration names."""
    value: TaintValue = ""
    """The value that a Pod's toleration names."""
    effect: Literal["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"]
    """What happens to Pods without a toleration: not scheduled, also evicted, or scheduled only if no other node has
    room."""


class RepairOverride(Config):
    """What EKS does about one failure of a node, in place of its own table."""

    # Source: https://docs.aws.amazon.com/eks/latest/userguide/node-health.html
    condition: Literal[
        "AcceleratedHardwareReady",
        "ContainerRuntimeReady",
        "DiskPressure",
        "KernelReady",
        "MemoryPressure",
        "NetworkingReady",
        "Ready",
        "StorageReady",
    ]
    """The condition of the node that the kubelet or the node monitoring agent reports."""
    reason: Annotated[
        str,
        matching(r"[A-Za-z]([A-Za-z0-9_,:]{0,1022}[A-Za-z0-9_])?", "not the reason of a condition of a node; see AWS"),
    ]
    """The reason of the condition, such as `IPAMDNotReady`
    ([AWS](https://docs.aws.amazon.com/eks/latest/userguide/node-health-nma.html))."""
    wait_minutes: Count
    """Minutes that the condition must last before the action."""
    action: Literal["Replace", "Reboot", "NoAction"]
    """Replace the node, reboot it, or leave it as it is."""


class NodeRepairConfig(Config):
    """How EKS repairs the nodes of a group that fail."""

    stop_above_count: Count | None = None
    """The number of failed nodes above which EKS repairs none: the cause is then likely not the nodes."""
    stop_above_percentage: int | None = Field(strict=True, default=None, ge=1, le=100)
    """The same, as a part of the group. Without either, EKS stops above 20 % of more than five nodes."""
    parallel_count: Count | None = None
    """The greatest number of nodes that EKS repairs at once."""
    parallel_percentage: int | None = Field(strict=True, default=None, ge=1, le=100)
    """The same, as a part of the failed nodes."""
    overrides: tuple[RepairOverride, ...] = ()
    """What EKS does about particular failures. It replaces nodes after 30 minutes otherwise, or after 10 if
    accelerators fail."""

    def problems(self) -> Iterator[Problem]:
        """A number and a percentage of the same, or two overrides of the same failure."""
        # Source: `NodeRepairConfig` of EKS in botocore 1.43
        for name in ("stop_above", "parallel"):
            percentage = getattr(self, f"{name}_percentage")
            if getattr(self, f"{name}_count") is not None and percentage is not None:
                message = f"EKS accepts this or {name}_count; remove one of them"
                yield Problem(f"{name}_percentage", percentage, message)
        failures = [(override.condition, override.reason) for override in self.overrides]
        for index, (condition, reason) in enumerate(failures):
            if (condition, reason) in failures[:index]:
                yield Problem(f"overrides[{index}].reason", reason, f"duplicate; list it once for {condition}")


class NodeGroupConfig(Config):
    """A managed node group."""

    name: Annotated[
        str,
        matching(r"[a-z][a-z0-9-]{0,30}", "use 1 to 31 lower-case letters, digits and hyphens, starting with a letter"),
    ]
    """The name of the launch template, and the start of the group's name in EKS, which ends with the time of its
    creation. A change creates another group while this one is destroyed: add a group, deploy, then remove this one."""
    instance_types: tuple[str, ...]
    """EC2 instance types of the nodes, by priority for `ON_DEMAND`. The smallest limits the Pods of each node. A change
    replaces the group: the new one is created first."""
    ami_type: AmiType
    """The operating system and architecture of the nodes. A change replaces the group: the new one is created first."""
    release_version: str | None = None
    """The release of the AMI, such as `1.36.0-20261101`; `make ami-releases` writes the newest. A change replaces the
    nodes gradually; EKS refuses an earlier release. Raise it together with `disk_size_gib`, `cluster.version` and tags:
    EKS uses its newest release when these change. None is the newest one when the group was created."""
    capacity_type: Literal["ON_DEMAND", "SPOT"]
    """On-demand or Spot instances. A change replaces the group: the new one is created first."""
    min_size: int = Field(strict=True, ge=0, le=MAX_INTEGER)
    """The least number of nodes. The sum of all groups must suffice for Argo CD and for production."""
    desired_size: int = Field(strict=True, ge=0, le=MAX_INTEGER)
    """The number of nodes. A change adds nodes, or drains and terminates some. Nothing else changes it: Karpenter has
    nodes of its own."""
    max_size: Count
    """The greatest number of nodes. The private subnets must have enough addresses for these nodes full of Pods."""
    disk_size_gib: int = Field(strict=True, default=50, ge=20, le=16384)
    """The size of each node's data volume in GiB. A change replaces the nodes gradually."""
    labels: dict[str, LabelValue] = {}
    """Kubernetes labels of the nodes, which Pods select nodes by. A change updates existing nodes."""
    taints: tuple[Taint, ...] = ()
    """Taints of the nodes. A change updates existing nodes."""
    role_arn: RoleArn | None = None
    """An existing IAM role of the account for the nodes, such as that of a node group to adopt. With None, they have
    the role that is created for all groups. `make preflight` checks its trust and its policies. A change replaces the
    group: the new one is created first."""
    repair: NodeRepairConfig = NodeRepairConfig()
    """How EKS repairs nodes that fail. A change applies to later failures."""

    def problems(self) -> Iterator[Problem]:
        """Sizes out of order, instance types that EKS or the AMI does not accept, labels, taints."""
        yield from known_problems(self._problems_of_labels())
        yield from known_problems(self._problems_of_taints())
        if self.min_size > self.max_size:
            message = f"above max_size, which is {self.max_size}; lower it, or raise max_size"
            yield Problem("min_size", self.min_size, message)
        elif not self.min_size <= self.desired_size <= self.max_size:
            message = f"not between min_size and max_size; choose {self.min_size} to {self.max_size}"
            yield Problem("desired_size", self.desired_size, message)
        if not self.instance_types:
            yield Problem("instance_types", "()", "no instance type; add at least one, such as t3.medium")
        if len(self.instance_types) > _MOST_INSTANCE_TYPES:
            message = f"EKS accepts at most {_MOST_INSTANCE_TYPES}; remove some"
            yield Problem("instance_types", f"{len(self.instance_types)} instance types", message)
        yield from self._instance_type_problems()
        yield from self._problem_of_release()

    def _problem_of_release(self) -> Iterator[Problem]:
        pattern, example = _RELEASES[self.ami_type.partition("_")[0]]
        if self.release_version is not None and not re.fullmatch(pattern, self.release_version, re.ASCII):
            message = f"not a release of {self.ami_type}; run make ami-releases, or write one such as {example}"
            yield Problem("release_version", self.release_version, message)

    def _instance_type_problems(self) -> Iterator[Problem]:
        needed: instance_types.Architecture = "arm64" if "ARM_64" in self.ami_type else "x86_64"
        for index, name in enumerate(self.instance_types):
            field = f"instance_types[{index}]"
            if name in self.instance_types[:index]:
                yield Problem(field, name, "duplicate; list each instance type once")
            elif not instance_types.is_known(name):
                message = f"unknown instance type; choose one such as {instance_types.similar(name, needed)}"
                yield Problem(field, name, message)
            elif instance_types.architecture(name) != needed:
                other = "x86_64" if needed == "arm64" else "ARM_64"
                message = f"cannot boot AMI type {self.ami_type}; choose an AMI type for {other}"
                yield Problem(field, name, message)

    def _problems_of_labels(self) -> Iterator[Problem]:
        for key in self.labels:
            domain = key.rpartition("/")[0]
            if _is_below(domain, _EKS_DOMAINS):
                yield Problem("labels", key, "EKS sets the labels of this domain itself; use a domain of your own")
            elif (
                _is_below(domain, _KUBERNETES_DOMAINS)
                and not _is_below(domain, _DOMAINS_OF_NODES)
                and key not in _LABELS_OF_NODES
            ):
                message = (
                    "nodes with this label cannot join the cluster; use a domain of your own, or node.kubernetes.io"
                )
                yield Problem("labels", key, message)
            else:
                yield from _problem_of_key(key)

    def _problems_of_taints(self) -> Iterator[Problem]:
        if len(self.taints) > _MOST_TAINTS:
            yield Problem("taints", len(self.taints), f"EKS accepts {_MOST_TAINTS} taints; remove some of them")
        # Source: `validateNodeTaints` of Kubernetes, which requires that key and effect are unique.
        taints = [(taint.key, taint.effect) for taint in self.taints]
        for index, (key, effect) in enumerate(taints):
            if (key, effect) in taints[:index]:
                yield Problem(f"taints[{index}].key", key, f"duplicate; list each key once with {effect}")

    @property
    def kubernetes_of_release(self) -> str | None:
        """The version of Kubernetes that the AMI release is for, such as `1.36`; None if it can be for any."""
        release, is_linux = self.release_version or "", self.ami_type.startswith("AL2023")
        return release.rpartition(".")[0] if is_linux and re.fullmatch(_RELEASES["AL2023"][0], release) else None

    @property
    def max_pods(self) -> int:
        """The maximum number of Pods on each node of the group: the minimum over its instance types."""
        return min(instance_types.max_pods(name) for name in self.instance_types)


def _is_below(domain: str, domains: Sequence[str]) -> bool:
    return any(f".{domain}".endswith(f".{parent}") for parent in domains)


def _problem_of_key(key: str) -> Iterator[Problem]:
    try:
        _LABEL_KEY.validate_python(key)
    except ValidationError as error:
        yield Problem("labels", key, error.errors()[0]["msg"].removeprefix("Value error, "))


NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy")
"""The managed policies of a node's role: https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html"""


class NodeRole(Construct):
    """The IAM role of a cluster's nodes, to join the cluster and to pull images. Workloads have their own roles.

    With `existing_arn`, nothing is created, and that role is used as it is.
    """

    def __init__(
        self, scope: Construct, id_: str, *, context: Context, name: str = "node", existing_arn: str | None = None
    ) -> None:
        super().__init__(scope, id_)
        self.permissions: list[ITerraformDependable] = []
        if existing_arn is not None:
            self.arn: str = existing_arn
            self.name: str = existing_arn.rpartition("/")[2]
            return
        role = Role(
            self,
            "role",
            location=context.location,
            name=name,
            description="Nodes of the EKS cluster: join it and pull images",
            trust=[service_trust("ec2.amazonaws.com")],
            permissions_boundary=context.permissions_boundary,
            managed_policies=NODE_POLICIES,
        )
        self.arn = role.arn
        self.name = role.name
        self.permissions = role.permissions


class NodeGroup(Construct):
    """A managed node group in private subnets, with encrypted disks, tags, and IMDSv2 that Pods cannot reach.

    EKS cannot change the instance types, AMI type, capacity type, subnets and role of a group, so Terraform replaces
    it: the new group is created first, under a name of its own, and then EKS drains the nodes of the old one. A fixed
    name would be taken, also after a failed creation. The old group keeps its version of the launch template.

    Source: `ForceNew` in internal/service/eks/node_group.go of the AWS provider 5, and
    https://docs.aws.amazon.com/eks/latest/userguide/delete-managed-node-group.html
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: NodeGroupConfig,
        *,
        context: Context,
        cluster: Cluster,
        cluster_version: str,
        role: NodeRole,
        subnet_ids: Sequence[str],
        tags: dict[str, str],
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id_)
        template = self._launch_template(config, context.location.name(config.name), context.key, tags)
        self.resource = EksNodeGroup(
            self,
            "node-group",
            cluster_name=cluster.name,
            node_group_name_prefix=f"{config.name}-",
            version=cluster_version,
            release_version=config.release_version,
            node_role_arn=role.arn,
            subnet_ids=list(subnet_ids),
            ami_type=config.ami_type,
            capacity_type=config.capacity_type,
            instance_types=list(config.instance_types),
            scaling_config=EksNodeGroupScalingConfig(
                min_size=config.min_size, desired_size=config.desired_size, max_size=config.max_size
            ),
            launch_template=EksNodeGroupLaunchTemplate(
                id=template.id, version=f"${{tostring({template.fqn}.latest_version)}}"
            ),
            update_config=EksNodeGroupUpdateConfig(max_unavailable_percentage=33),
            node_repair_config=_repair(config.repair),
            labels=config.labels,
            taint=[EksNodeGroupTaint(key=taint.key, value=taint.value, effect=taint.effect) for taint in config.taints],
            # Terraform then replaces everything that the group depends on in the same order. What has a fixed name of
            # that is replaced only with the cluster, or after a failed creation (docs/runbook/clusters.md).
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
            depends_on=[*role.permissions, *depends_on],
        )

    def _launch_template(self, config: NodeGroupConfig, name: str, key: Key, tags: dict[str, str]) -> LaunchTemplate:
        bottlerocket = config.ami_type.startswith("BOTTLEROCKET")
        # Bottlerocket has its operating system on the first volume, whose size the AMI sets, and data on the second.
        # Source: https://github.com/bottlerocket-os/bottlerocket#default-volumes
        size = config.disk_size_gib
        disks = {"/dev/xvda": None, "/dev/xvdb": size} if bottlerocket else {"/dev/xvda": size}
        return LaunchTemplate(
            self,
            "launch-template",
            name=name,
            update_default_version=True,
            user_data=_user_data(config.max_pods, bottlerocket=bottlerocket),
            metadata_options=LaunchTemplateMetadataOptions(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # not reachable from Pods, which have their own identities
                instance_metadata_tags="disabled",
            ),
            block_device_mappings=[_disk(device, size, key) for device, size in disks.items()],
            # Default tags do not apply to instances and volumes, because Auto Scaling creates them, not Terraform.
            tag_specifications=[
                LaunchTemplateTagSpecifications(resource_type=kind, tags={**tags, "Name": name})
                for kind in ("instance", "network-interface", "volume")
            ],
        )


def _repair(config: NodeRepairConfig) -> EksNodeGroupNodeRepairConfig:
    return EksNodeGroupNodeRepairConfig(
        enabled=True,
        max_unhealthy_node_threshold_count=config.stop_above_count,
        max_unhealthy_node_threshold_percentage=config.stop_above_percentage,
        max_parallel_nodes_repaired_count=config.parallel_count,
        max_parallel_nodes_repaired_percentage=config.parallel_percentage,
        node_repair_config_overrides=[
            EksNodeGroupNodeRepairConfigNodeRepairConfigOverrides(
                node_monitoring_condition=override.condition,
                node_unhealthy_reason=override.reason,
                min_repair_wait_time_mins=override.wait_minutes,
                repair_action=override.action,
            )
            for override in config.overrides
        ]
        or None,
    )


def _disk(device: str, gib: int | None, key: Key) -> LaunchTemplateBlockDeviceMappings:
    """A volume that is encrypted with the key; without a size it has that of the AMI."""
    return LaunchTemplateBlockDeviceMappings(
        device_name=device,
        ebs=LaunchTemplateBlockDeviceMappingsEbs(
            volume_type="gp3",
            volume_size=gib,
            encrypted="true",
            kms_key_id=key.arn,
            delete_on_termination="true",
        ),
    )


def _user_data(max_pods: int, *, bottlerocket: bool) -> str:
    """User data that sets the kubelet's Pod limit, because EKS computes it without prefix delegation."""
    if bottlerocket:
        text = f"[settings.kubernetes]\nmax-pods = {max_pods}\n"
    else:
        # EKS appends its own NodeConfig, which sets maxPods in the configuration file. A flag overrides the file.
        text = f"""MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    flags:
      - --max-pods={max_pods}

--//--
"""
    return base64.b64encode(text.encode()).decode()
