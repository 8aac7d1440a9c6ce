"""StorageClasses: encrypted gp3 volumes (the default), and directories of the environment's EFS file system."""

from collections.abc import Mapping

from cdktf_cdktf_provider_kubernetes.storage_class_v1 import StorageClassV1, StorageClassV1Metadata
from constructs import Construct

_EFS_GID_RANGE = ("1000", "2000")


class StorageClasses(Construct):
    """`gp3`, the default, and `efs-ap` if the environment has a file system. All parameters must be strings.

    A `gp3` volume is created only when its Pod is scheduled, because it can be attached only in its own zone. EKS Auto
    Mode has its own driver, which reads the tags of volumes here; that of the add-on has them in its configuration.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        key_arn: str,
        file_system_id: str | None,
        auto_mode: bool,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        StorageClassV1(
            self,
            "gp3",
            metadata=StorageClassV1Metadata(
                name="gp3", annotations={"storageclass.kubernetes.io/is-default-class": "true"}
            ),
            storage_provisioner="ebs.csi.eks.amazonaws.com" if auto_mode else "ebs.csi.aws.com",
            reclaim_policy="Delete",
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            parameters={
                "type": "gp3",
                "encrypted": "true",
                "kmsKeyId": key_arn,
                "csi.storage.k8s.io/fstype": "ext4",
                **(_tag_specifications(tags) if auto_mode else {}),
            },
        )
        if file_system_id is not None:
            first, last = _EFS_GID_RANGE
            StorageClassV1(
                self,
                "efs-ap",
                metadata=StorageClassV1Metadata(name="efs-ap"),
                storage_provisioner="efs.csi.aws.com",
                reclaim_policy="Delete",
                volume_binding_mode="Immediate",
                parameters={
                    "provisioningMode": "efs-ap",
                    "fileSystemId": file_system_id,
                    "directoryPerms": "700",
                    "gidRangeStart": first,
                    "gidRangeEnd": last,
                    "basePath": "/volumes",
                    # Variables of the CSI driver; the second dollar sign escapes them for Terraform.
                    "subPathPattern": "$${.PVC.namespace}/$${.PVC.name}",
                    "ensureUniqueDirectory": "true",
                },
            )


def _tag_specifications(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"tagSpecification_{number}": f"{key}={tags[key]}" for number, key in enumerate(sorted(tags), start=1)}
