"""AccessHost: an EC2 instance without a public address, through which people reach the clusters of the VPC."""

from collections.abc import Iterator

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_ssm_parameter import DataAwsSsmParameter
from cdktf_cdktf_provider_aws.iam_instance_profile import IamInstanceProfile
from cdktf_cdktf_provider_aws.instance import (
    Instance,
    InstanceCreditSpecification,
    InstanceMetadataOptions,
    InstanceRootBlockDevice,
)
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import VpcSecurityGroupEgressRule
from constructs import Construct

from eks_gitops import instance_types
from eks_gitops.config import Config, Problem
from eks_gitops.context import Context
from eks_gitops.iam import Role, service_trust
from eks_gitops.security_group import group_description

ENDPOINTS = ("ssm", "ssmmessages")
"""The interface endpoints that the host needs in a VPC without NAT gateways.

Its agent is newer than 3.3.40.0, from which on it needs no `ec2messages`. Source:
https://docs.aws.amazon.com/systems-manager/latest/userguide/systems-manager-setting-up-messageAPIs.html
"""

IMAGES = "aws/service/ami-amazon-linux-latest"
"""The path of the public parameters with the newest images of Amazon Linux.

Source: https://docs.aws.amazon.com/linux/al2023/ug/ec2.html
"""

_IMAGE = f"/{IMAGES}/al2023-ami-kernel-default-arm64"
_HTTPS = 443


class AccessHostConfig(Config):
    """A host in a private subnet for AWS Systems Manager Session Manager. `make tunnel` uses it."""

    zone: str
    """The Availability Zone of the host: one of the VPC. A change replaces the host; tunnels through it end."""
    instance_type: str = "t4g.nano"
    """The EC2 instance type, of the architecture ARM. A change stops the host, and starts it again with the new type:
    tunnels through it end."""

    def problems(self) -> Iterator[Problem]:
        """An instance type that does not exist, or cannot boot the image."""
        name = self.instance_type
        if not instance_types.is_known(name):
            message = f"unknown instance type; choose one such as {instance_types.similar(name, 'arm64')}"
            yield Problem("instance_type", name, message)
        elif instance_types.architecture(name) != "arm64":
            yield Problem("instance_type", name, "cannot boot the image, which is for ARM; choose one such as t4g.nano")


class AccessHost(Construct):
    """The host: it has no public address and no key pair, and its security group admits nothing.

    The agent of Systems Manager connects from the host to AWS. Who may start a session is decided by IAM, and what the
    session reaches by the security groups that admit `security_group_id`. The image is the newest one when the host is
    created; a newer one does not replace it (docs/runbook/network.md).
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AccessHostConfig,
        *,
        context: Context,
        vpc_id: str,
        subnet_id: str,
    ) -> None:
        super().__init__(scope, id_)
        name = context.location.name("access-host")
        role = Role(
            self,
            "role",
            location=context.location,
            name="access-host",
            description="The host for Session Manager",
            trust=[service_trust("ec2.amazonaws.com")],
            permissions_boundary=context.permissions_boundary,
            managed_policies=["AmazonSSMManagedInstanceCore"],
        )
        profile = IamInstanceProfile(
            self, "instance-profile", name=name, path=context.location.iam_path, role=role.name
        )
        group = SecurityGroup(
            self,
            "security-group",
            name=name,
            description=group_description("The host for Session Manager, which nothing connects to"),
            vpc_id=vpc_id,
            tags={"Name": name},
        )
        VpcSecurityGroupEgressRule(
            self,
            "https",
            security_group_id=group.id,
            description=group_description("HTTPS to Systems Manager and to the API of the clusters"),
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            cidr_ipv4="0.0.0.0/0",
        )
        image = DataAwsSsmParameter(self, "image", name=_IMAGE)
        Instance(
            self,
            "instance",
            ami=image.insecure_value,  # `value` would hide it in plans
            instance_type=config.instance_type,
            subnet_id=subnet_id,
            associate_public_ip_address=False,
            vpc_security_group_ids=[group.id],
            iam_instance_profile=profile.name,
            metadata_options=InstanceMetadataOptions(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,
                instance_metadata_tags="disabled",
            ),
            root_block_device=InstanceRootBlockDevice(
                volume_type="gp3", encrypted=True, kms_key_id=context.key.arn, delete_on_termination=True
            ),
            credit_specification=InstanceCreditSpecification(cpu_credits="standard"),  # `unlimited` can cost more
            tags={"Name": name},
            lifecycle=TerraformResourceLifecycle(ignore_changes=["ami"]),
            depends_on=role.permissions,
        )
        self.security_group_id: str = group.id
