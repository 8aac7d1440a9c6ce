"""FileSystem: an EFS file system with a mount target in every zone, reachable only from a cluster's nodes."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from cdktf_cdktf_provider_aws.efs_access_point import (
    EfsAccessPoint,
    EfsAccessPointPosixUser,
    EfsAccessPointRootDirectory,
    EfsAccessPointRootDirectoryCreationInfo,
)
from cdktf_cdktf_provider_aws.efs_file_system import EfsFileSystem, EfsFileSystemLifecyclePolicy
from cdktf_cdktf_provider_aws.efs_file_system_policy import EfsFileSystemPolicy
from cdktf_cdktf_provider_aws.efs_mount_target import EfsMountTarget
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct
from pydantic import Field

from eks_gitops.config import Config, Problem, matching
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.security_group import group_description
from eks_gitops.values import named_twice

_NFS_PORT = 2049

PosixId = Annotated[int, Field(strict=True, ge=0, le=4_294_967_295)]
"""The ID of a user or group. Source: `Uid` and `Gid` of EFS in botocore 1.43."""


class AccessPoint(Config):
    """An access point: a directory of the file system as the root of its mounts, and the user of all access."""

    name: Annotated[
        str, matching(r"[a-z][a-z0-9-]{0,62}", "use lower-case letters, digits and hyphens, starting with a letter")
    ]
    """The name of the access point. A change replaces it; its files remain."""
    path: Annotated[
        str,
        # Source: `Path` of EFS in botocore 1.43
        matching(
            r"(?=.{1,100}$)(/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,4}",
            "use 1 to 4 directories, each after a slash and not starting with a dot, and at most 100 characters",
        ),
    ]
    """The directory that clients see as the root. A change replaces the access point; the files remain in the old
    directory."""
    uid: PosixId
    """The user ID of all access, and the owner of the directory if EFS creates it. A change replaces the access
    point."""
    gid: PosixId
    """The group ID of all access, and the group of the directory if EFS creates it. A change replaces the access
    point."""


class FileSystemConfig(Config):
    """An EFS file system."""

    access_points: tuple[AccessPoint, ...] = ()
    """Access points in addition to those of dynamically provisioned volumes."""

    def problems(self) -> Iterator[Problem]:
        """Duplicate names of access points."""
        yield from named_twice("access_points", [point.name for point in self.access_points])


class FileSystem(Construct):
    """An encrypted EFS file system. `BackupPlan` backs it up, so it has no EFS backup policy."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: FileSystemConfig,
        *,
        context: Context,
        vpc_id: str,
        subnet_ids: Mapping[str, str],
        client_security_group_id: str,
    ) -> None:
        super().__init__(scope, id_)
        name = context.location.name("efs")
        file_system = EfsFileSystem(
            self,
            "file-system",
            encrypted=True,
            kms_key_id=context.key.arn,
            performance_mode="generalPurpose",
            throughput_mode="elastic",
            lifecycle_policy=[EfsFileSystemLifecyclePolicy(transition_to_ia="AFTER_30_DAYS")],
            tags={"Name": name},
        )
        group = SecurityGroup(
            self,
            "security-group",
            name=name,
            description=group_description("NFS from the nodes of the cluster"),
            vpc_id=vpc_id,
            tags={"Name": name},
        )
        self._security_group_id: str = group.id
        self.admit(self, "nfs-from-nodes", client_security_group_id)
        for zone, subnet_id in subnet_ids.items():
            EfsMountTarget(
                self,
                f"mount-target-{zone}",
                file_system_id=file_system.id,
                subnet_id=subnet_id,
                security_groups=[group.id],
            )
        EfsFileSystemPolicy(self, "policy", file_system_id=file_system.id, policy=_tls_only(file_system.arn))
        self.id: str = file_system.id
        self.arn: str = file_system.arn
        self.access_point_ids = {point.name: self._access_point(point) for point in config.access_points}

    def admit(self, scope: Construct, id_: str, client_security_group_id: str) -> None:
        """Admit the nodes of a cluster, by a rule in `scope`."""
        VpcSecurityGroupIngressRule(
            scope,
            id_,
            security_group_id=self._security_group_id,
            description=group_description("NFS from the nodes of the cluster"),
            ip_protocol="tcp",
            from_port=_NFS_PORT,
            to_port=_NFS_PORT,
            referenced_security_group_id=client_security_group_id,
        )

    def _access_point(self, point: AccessPoint) -> str:
        return EfsAccessPoint(
            self,
            f"access-point-{point.name}",
            file_system_id=self.id,
            posix_user=EfsAccessPointPosixUser(uid=point.uid, gid=point.gid),
            root_directory=EfsAccessPointRootDirectory(
                path=point.path,
                creation_info=EfsAccessPointRootDirectoryCreationInfo(
                    owner_uid=point.uid, owner_gid=point.gid, permissions="750"
                ),
            ),
            tags={"Name": point.name},
        ).id


def _tls_only(file_system_arn: str) -> str:
    # A file system policy replaces the default one, which allows every client that uses a mount target.
    return policy_document(
        Statement(
            sid="ClientsOfMountTargets",
            actions=[
                "elasticfilesystem:ClientMount",
                "elasticfilesystem:ClientRootAccess",
                "elasticfilesystem:ClientWrite",
            ],
            resources=[file_system_arn],
            principals={"AWS": ["*"]},
            conditions={"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
        ),
        Statement(
            sid="DenyWithoutTls",
            effect="Deny",
            actions=["elasticfilesystem:*"],
            resources=[file_system_arn],
            principals={"AWS": ["*"]},
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        ),
    )
