"""The permissions of the delivery roles. An IAM evaluator decides them from the synthesized policies."""

import re

import pytest

from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack

ACCOUNT = "123456789012"
IAM = f"arn:aws:iam::{ACCOUNT}"
OWN_ROLE = f"{IAM}:role/ap-northeast-2/dev/ap-northeast-2-dev-node"
OWN_PROFILE = f"{IAM}:instance-profile/ap-northeast-2/dev/ap-northeast-2-dev-karpenter-node"
DELIVERY_ROLE = f"{IAM}:role/ap-northeast-2/delivery/ap-northeast-2-dev-apply"
CLUSTER_ADMINISTRATOR = f"{IAM}:role/ap-northeast-2/delivery/ap-northeast-2-shared-cluster-admin"
DELIVERY_POLICY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-dev-apply-identity"
BOUNDARY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-dev-boundary"
PRODS_BOUNDARY = f"{IAM}:policy/ap-northeast-2/delivery/ap-northeast-2-prod-boundary"
ISSUER = f"{IAM}:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/1"
REPLICA = f"arn:aws:ecr:us-west-2:{ACCOUNT}:repository/bubblepool"
REPLICAS_ROLE = f"{IAM}:role/ap-northeast-2/shared/ap-northeast-2-shared-image-replicas"
BACKUPS = "arn:aws:s3:::your-org-ap-northeast-2-dev-backups"
STATES = "arn:aws:s3:::your-org-terraform-state-ap-northeast-2"
BOUND = {"iam:PermissionsBoundary": BOUNDARY}
BOUND_LIKE_PROD = {"iam:PermissionsBoundary": PRODS_BOUNDARY}
BOUND_LIKE_SHARED = {"iam:PermissionsBoundary": BOUNDARY.replace("dev", "shared")}
DEVS = {"Environment": "dev"}
PRODS = {"Environment": "prod"}
SHAREDS = {"Environment": "shared"}
BACKENDS = {"Environment": "backend"}
TAGGED_DEV = {"aws:RequestTag/Environment": "dev"}
TAGGED_PROD = {"aws:RequestTag/Environment": "prod"}
TAGGED_SHARED = {"aws:RequestTag/Environment": "shared"}
TAGGED_COST_CENTER = {"aws:RequestTag/CostCenter": "any"}
BACKEND_KEY = {"kms:ResourceAliases": "alias/ap-northeast-2/backend"}

OF_DEVS_DATABASE = {"aws:rds:primaryDBInstanceArn": f"arn:aws:rds:ap-northeast-2:{ACCOUNT}:db:ap-northeast-2-dev-any"}
OF_PRODS_DATABASE = {key: arn.replace("-dev-", "-prod-") for key, arn in OF_DEVS_DATABASE.items()}

OF_DEVS_CLUSTER = {"aws:eks:cluster-name": "gitops-cluster-dev"}
OF_PRODS_CLUSTER = {"aws:eks:cluster-name": "gitops-cluster-prod"}


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:ap-northeast-2:{ACCOUNT}:{resource}"


def _making(action: str) -> dict[str, str]:
    """The condition keys when EFS tags what dev creates by this action."""
    return {**TAGGED_DEV, "elasticfilesystem:CreateAction": action}


FROM_TEMPLATE = {"ec2:LaunchTemplate": _arn("ec2", "launch-template/lt-1")}

Request = tuple[str, str, dict[str, str], dict[str, str]]
"""An action, a resource, the tags of the resource, and condition keys of the request."""


APPLY_DEV_MAY: list[Request] = [
    # its own roles
    ("iam:CreateRole", OWN_ROLE, {}, BOUND),
    ("iam:AttachRolePolicy", OWN_ROLE, {}, BOUND),
    ("iam:PutRolePolicy", OWN_ROLE, {}, BOUND),
    ("iam:UpdateAssumeRolePolicy", OWN_ROLE, {}, {}),
    ("iam:DeleteRole", OWN_ROLE, {}, {}),
    ("iam:GetRole", OWN_ROLE, {}, {}),
    ("iam:PassRole", OWN_ROLE, {}, {"iam:PassedToService": "eks.amazonaws.com"}),
    ("iam:PassRole", OWN_ROLE, {}, {"iam:PassedToService": "pods.eks.amazonaws.com"}),
    ("iam:PassRole", OWN_ROLE, {}, {"iam:PassedToService": "monitoring.rds.amazonaws.com"}),
    ("iam:CreateInstanceProfile", OWN_PROFILE, {}, {}),
    ("iam:AddRoleToInstanceProfile", OWN_PROFILE, {}, {}),
    ("iam:TagInstanceProfile", OWN_PROFILE, {}, {}),
    ("iam:RemoveRoleFromInstanceProfile", OWN_PROFILE, {}, {}),
    ("iam:DeleteInstanceProfile", OWN_PROFILE, {}, {}),
    (
        "iam:CreateServiceLinkedRole",
        f"{IAM}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS",
        {},
        {"iam:AWSServiceName": "rds.amazonaws.com"},
    ),
    ("iam:CreateOpenIDConnectProvider", ISSUER, {}, TAGGED_DEV),
    ("iam:TagOpenIDConnectProvider", ISSUER, {}, TAGGED_DEV),
    ("iam:DeleteOpenIDConnectProvider", ISSUER, DEVS, {}),
    (
        "iam:CreateServiceLinkedRole",
        f"{IAM}:role/aws-service-role/backup.amazonaws.com/AWSServiceRoleForBackup",
        {},
        {"iam:AWSServiceName": "backup.amazonaws.com"},
    ),
    # its own cluster and nodes
    ("eks:CreateCluster", "*", {}, TAGGED_DEV),
    ("eks:TagResource", _arn("eks", "cluster/gitops-cluster-dev"), {}, TAGGED_DEV),
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("eks:CreateNodegroup", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("eks:UpdateAddon", _arn("eks", "addon/gitops-cluster-dev/coredns/1"), DEVS, {}),
    ("eks:DeleteCluster", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("ec2:CreateLaunchTemplate", _arn("ec2", "launch-template/lt-1"), {}, TAGGED_DEV),
    ("ec2:CreateLaunchTemplateVersion", _arn("ec2", "launch-template/lt-1"), DEVS, {}),
    ("ec2:RunInstances", _arn("ec2", "instance/i-1"), {}, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "volume/vol-1"), {}, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "network-interface/eni-1"), {}, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "launch-template/lt-1"), DEVS, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "security-group/sg-1"), DEVS, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "security-group/sg-1"), OF_DEVS_CLUSTER, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "subnet/subnet-1"), SHAREDS, FROM_TEMPLATE),
    ("ec2:RunInstances", "arn:aws:ec2:ap-northeast-2::image/ami-1", {}, FROM_TEMPLATE),
    ("ec2:DeleteLaunchTemplate", _arn("ec2", "launch-template/lt-1"), DEVS, {}),
    ("ec2:CreateSecurityGroup", _arn("ec2", "security-group/sg-1"), {}, TAGGED_DEV),
    ("ec2:CreateSecurityGroup", _arn("ec2", "vpc/vpc-1"), SHAREDS, {}),
    (
        "ec2:CreateTags",
        _arn("ec2", "security-group/sg-1"),
        {},
        {**TAGGED_DEV, "ec2:CreateAction": "CreateSecurityGroup"},
    ),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), DEVS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), OF_DEVS_CLUSTER, {}),
    # its own zone and certificate
    ("route53:CreateHostedZone", "*", {}, {}),
    ("acm:RequestCertificate", "*", {}, TAGGED_DEV),
    ("acm:AddTagsToCertificate", _arn("acm", "certificate/1"), {}, TAGGED_DEV),
    ("acm:DeleteCertificate", _arn("acm", "certificate/1"), DEVS, {}),
    # its own data
    ("elasticfilesystem:CreateFileSystem", "*", {}, TAGGED_DEV),
    ("elasticfilesystem:TagResource", _arn("elasticfilesystem", "file-system/fs-1"), {}, _making("CreateFileSystem")),
    ("elasticfilesystem:CreateAccessPoint", _arn("elasticfilesystem", "file-system/fs-1"), DEVS, TAGGED_DEV),
    ("elasticfilesystem:TagResource", _arn("elasticfilesystem", "access-point/1"), {}, _making("CreateAccessPoint")),
    ("elasticfilesystem:CreateMountTarget", _arn("elasticfilesystem", "file-system/fs-1"), DEVS, {}),
    ("elasticfilesystem:DeleteMountTarget", _arn("elasticfilesystem", "file-system/fs-1"), DEVS, {}),
    ("elasticfilesystem:DeleteFileSystem", _arn("elasticfilesystem", "file-system/fs-1"), DEVS, {}),
    ("ec2:CreateNetworkInterface", _arn("ec2", "subnet/subnet-1"), SHAREDS, {}),
    ("ec2:CreateNetworkInterface", _arn("ec2", "network-interface/eni-1"), {}, {}),
    ("ec2:CreateNetworkInterface", _arn("ec2", "security-group/sg-1"), DEVS, {}),
    ("ec2:DeleteNetworkInterface", _arn("ec2", "network-interface/eni-1"), {}, {}),
    ("rds:CreateDBInstance", _arn("rds", "db:ap-northeast-2-dev-bubblepool"), {}, {}),
    ("rds:CreateDBParameterGroup", _arn("rds", "pg:ap-northeast-2-dev-bubblepool-postgres17"), {}, {}),
    ("rds:CreateDBInstance", _arn("rds", "og:default:postgres-17"), {}, {}),
    ("rds:ModifyDBInstance", _arn("rds", "og:default:postgres-17"), {}, {}),
    ("rds:DeleteDBInstance", _arn("rds", "db:ap-northeast-2-dev-bubblepool"), DEVS, {}),
    ("secretsmanager:CreateSecret", _arn("secretsmanager", "secret:rds!db-1"), {}, {}),
    ("secretsmanager:TagResource", _arn("secretsmanager", "secret:rds!db-1"), {}, {}),
    ("secretsmanager:TagResource", _arn("secretsmanager", "secret:rds!db-1"), OF_DEVS_DATABASE, {}),
    ("secretsmanager:RotateSecret", _arn("secretsmanager", "secret:rds!db-1"), OF_DEVS_DATABASE, {}),
    ("secretsmanager:CreateSecret", _arn("secretsmanager", "secret:ap-northeast-2/dev/bubblepool/database-1"), {}, {}),
    ("secretsmanager:GetRandomPassword", "*", {}, {}),
    ("logs:CreateLogGroup", _arn("logs", "log-group:/aws/eks/gitops-cluster-dev/cluster"), {}, {}),
    (
        "logs:PutRetentionPolicy",
        _arn("logs", "log-group:/aws/rds/instance/ap-northeast-2-dev-bubblepool/upgrade"),
        {},
        {},
    ),
    ("sqs:CreateQueue", _arn("sqs", "ap-northeast-2-dev-karpenter"), {}, {}),
    ("events:PutRule", _arn("events", "rule/ap-northeast-2-dev-karpenter-state-change"), {}, {}),
    ("kms:CreateKey", "*", {}, TAGGED_DEV),
    ("kms:TagResource", _arn("kms", "key/1"), {}, TAGGED_DEV),
    ("kms:PutKeyPolicy", _arn("kms", "key/1"), DEVS, {}),
    ("kms:ScheduleKeyDeletion", _arn("kms", "key/1"), DEVS, {}),
    ("kms:CreateAlias", _arn("kms", "alias/ap-northeast-2/dev"), {}, {}),
    # its own backups
    ("s3:CreateBucket", BACKUPS, {}, {}),
    # since the AWS provider 6.23.0 (its changelog); without them it uses the older tagging API
    ("s3:TagResource", BACKUPS, {}, {}),
    ("s3:UntagResource", BACKUPS, {}, {}),
    ("s3:ListTagsForResource", BACKUPS, {}, {"aws:ResourceAccount": ACCOUNT}),
    ("s3:ListBucket", BACKUPS, {}, {"aws:ResourceAccount": ACCOUNT}),
    ("s3:PutLifecycleConfiguration", BACKUPS, {}, {}),
    ("s3:PutObject", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("s3:GetObjectVersion", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("kms:GenerateDataKey", _arn("kms", "key/1"), DEVS, {}),
    ("kms:Decrypt", _arn("kms", "key/1"), DEVS, {}),
    ("backup:CreateBackupVault", _arn("backup", "backup-vault:ap-northeast-2-dev-data"), {}, TAGGED_DEV),
    ("backup-storage:MountCapsule", "*", {}, {}),
    ("backup:PutBackupVaultLockConfiguration", _arn("backup", "backup-vault:ap-northeast-2-dev-data"), DEVS, {}),
    ("backup:CreateBackupPlan", _arn("backup", "backup-plan:*"), {}, TAGGED_DEV),
    ("backup:TagResource", _arn("backup", "backup-plan:1"), {}, TAGGED_DEV),
    ("backup:DeleteBackupPlan", _arn("backup", "backup-plan:1"), DEVS, {}),
    ("backup:CreateBackupSelection", _arn("backup", "backup-plan:1"), DEVS, {}),
    ("iam:PassRole", OWN_ROLE, {}, {"iam:PassedToService": "backup.amazonaws.com"}),
    # its own state
    ("s3:GetObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/dev/gitops/terraform.tfstate.tflock", {}, {}),
    ("s3:DeleteObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate.tflock", {}, {}),
    ("s3:GetObject", f"{STATES}/ap-northeast-2/shared/terraform.tfstate", {}, {}),
    ("kms:GenerateDataKey", _arn("kms", "key/1"), {}, BACKEND_KEY),
    # a changed tag, which is sent without the others
    ("acm:AddTagsToCertificate", _arn("acm", "certificate/1"), DEVS, TAGGED_COST_CENTER),
    ("backup:TagResource", _arn("backup", "backup-plan:1"), DEVS, TAGGED_COST_CENTER),
    ("ec2:CreateTags", _arn("ec2", "security-group/sg-1"), DEVS, TAGGED_COST_CENTER),
    ("ec2:CreateTags", _arn("ec2", "security-group-rule/sgr-1"), DEVS, TAGGED_COST_CENTER),
    ("elasticfilesystem:TagResource", _arn("elasticfilesystem", "file-system/fs-1"), DEVS, TAGGED_COST_CENTER),
    ("iam:TagOpenIDConnectProvider", ISSUER, DEVS, TAGGED_COST_CENTER),
    ("iam:TagRole", OWN_ROLE, DEVS, TAGGED_COST_CENTER),
    ("kms:TagResource", _arn("kms", "key/1"), DEVS, TAGGED_COST_CENTER),
    # search for resources that remain after a destroy
    ("iam:ListRoles", "*", {}, {}),
    ("tag:GetResources", "*", {}, {}),
]

APPLY_DEV_MAY_NOT: list[Request] = [
    # privilege escalation
    ("iam:CreateRole", OWN_ROLE, {}, {}),
    ("iam:CreateRole", OWN_ROLE, {}, BOUND_LIKE_PROD),
    ("iam:CreateRole", DELIVERY_ROLE, {}, BOUND),
    ("iam:CreateRole", f"{IAM}:role/admin", {}, BOUND),
    ("iam:AttachRolePolicy", OWN_ROLE, {}, {}),
    ("iam:PutRolePermissionsBoundary", OWN_ROLE, {}, BOUND_LIKE_PROD),
    ("iam:DeleteRolePermissionsBoundary", OWN_ROLE, {}, BOUND),
    ("iam:DeleteRolePermissionsBoundary", DELIVERY_ROLE, {}, BOUND),
    ("iam:AttachRolePolicy", DELIVERY_ROLE, {}, BOUND),
    ("iam:PutRolePolicy", DELIVERY_ROLE, {}, BOUND),
    ("iam:UpdateAssumeRolePolicy", DELIVERY_ROLE, {}, BOUND),
    ("iam:PassRole", DELIVERY_ROLE, {}, {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("iam:PassRole", OWN_ROLE, {}, {"iam:PassedToService": "lambda.amazonaws.com"}),
    ("iam:CreatePolicyVersion", BOUNDARY, {}, {}),
    ("iam:SetDefaultPolicyVersion", BOUNDARY, {}, {}),
    ("iam:DeletePolicy", BOUNDARY, {}, {}),
    ("iam:CreatePolicyVersion", DELIVERY_POLICY, {}, {}),
    ("iam:CreatePolicy", f"{IAM}:policy/ap-northeast-2/dev/any", {}, {}),
    ("iam:CreateUser", f"{IAM}:user/alice", {}, {}),
    ("iam:CreateAccessKey", f"{IAM}:user/alice", {}, {}),
    ("iam:CreateOpenIDConnectProvider", f"{IAM}:oidc-provider/token.example.com", {}, {}),
    ("iam:DeleteOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com", {}, {}),
    ("sts:AssumeRole", DELIVERY_ROLE.replace("dev-apply", "prod-apply"), {}, {}),
    ("sts:AssumeRole", CLUSTER_ADMINISTRATOR, {}, {}),
    # access to another environment
    ("iam:DeleteRole", OWN_ROLE.replace("dev", "prod"), {}, BOUND),
    ("eks:DeleteCluster", _arn("eks", "cluster/gitops-cluster-prod"), {}, {}),
    ("eks:CreateAccessEntry", _arn("eks", "cluster/gitops-cluster-prod"), {}, {}),
    ("rds:DeleteDBInstance", _arn("rds", "db:ap-northeast-2-prod-bubblepool"), {}, {}),
    ("secretsmanager:RotateSecret", _arn("secretsmanager", "secret:rds!db-1"), OF_PRODS_DATABASE, {}),
    ("secretsmanager:DeleteSecret", _arn("secretsmanager", "secret:ap-northeast-2/prod/bubblepool/database-1"), {}, {}),
    ("iam:DeleteOpenIDConnectProvider", ISSUER, PRODS, {}),
    ("elasticfilesystem:DeleteFileSystem", _arn("elasticfilesystem", "file-system/fs-1"), PRODS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), PRODS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), OF_PRODS_CLUSTER, {}),
    ("ec2:CreateSecurityGroup", _arn("ec2", "security-group/sg-1"), {}, TAGGED_PROD),
    ("ec2:CreateTags", _arn("ec2", "security-group/sg-1"), PRODS, TAGGED_DEV),
    ("ec2:DeleteVpc", _arn("ec2", "vpc/vpc-1"), SHAREDS, {}),
    ("ec2:RunInstances", _arn("ec2", "instance/i-1"), {}, {}),
    ("ec2:RunInstances", _arn("ec2", "security-group/sg-1"), OF_PRODS_CLUSTER, FROM_TEMPLATE),
    ("ec2:RunInstances", _arn("ec2", "launch-template/lt-1"), PRODS, FROM_TEMPLATE),
    ("ec2:CreateNetworkInterface", _arn("ec2", "security-group/sg-1"), OF_PRODS_CLUSTER, {}),
    ("ec2:DeleteNetworkInterface", _arn("ec2", "network-interface/eni-1"), PRODS, {}),
    ("eks:CreateCluster", "*", {}, TAGGED_PROD),
    ("rds:AddTagsToResource", _arn("rds", "og:default:postgres-17"), {}, TAGGED_DEV),
    # taking what is not its own, by a tag
    ("kms:TagResource", _arn("kms", "key/1"), PRODS, TAGGED_DEV),
    ("kms:TagResource", _arn("kms", "key/1"), SHAREDS, TAGGED_DEV),
    ("kms:TagResource", _arn("kms", "key/1"), BACKENDS, TAGGED_DEV),
    ("iam:TagOpenIDConnectProvider", ISSUER, PRODS, TAGGED_DEV),
    ("elasticfilesystem:TagResource", _arn("elasticfilesystem", "file-system/fs-1"), {}, TAGGED_DEV),
    ("elasticfilesystem:TagResource", _arn("elasticfilesystem", "file-system/1"), PRODS, _making("CreateFileSystem")),
    ("backup:TagResource", _arn("backup", "backup-plan:1"), PRODS, TAGGED_DEV),
    ("secretsmanager:TagResource", _arn("secretsmanager", "secret:rds!db-1"), OF_PRODS_DATABASE, TAGGED_DEV),
    ("ecr:TagResource", _arn("ecr", "repository/bubblepool"), SHAREDS, TAGGED_DEV),
    # destroying what all environments stand on
    ("kms:ScheduleKeyDeletion", _arn("kms", "key/1"), BACKENDS, {}),
    ("ecr:DeleteRepository", _arn("ecr", "repository/bubblepool"), SHAREDS, {}),
    ("ec2:DeleteNatGateway", _arn("ec2", "natgateway/nat-1"), SHAREDS, {}),
    ("logs:DeleteLogGroup", _arn("logs", "log-group:/aws/vpc/gitops-vpc/flow-logs"), SHAREDS, {}),
    ("kms:ScheduleKeyDeletion", _arn("kms", "key/1"), PRODS, {}),
    ("kms:Decrypt", _arn("kms", "key/1"), PRODS, {}),
    ("kms:GenerateDataKey", _arn("kms", "key/1"), {}, {"kms:ResourceAliases": "alias/ap-northeast-2/prod"}),
    ("s3:GetObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate", {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate", {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/shared/terraform.tfstate", {}, {}),
    ("s3:GetObject", f"{BACKUPS.replace('dev', 'prod')}/argo-cd/export", {}, {}),
    ("s3:PutObject", f"{BACKUPS.replace('dev', 'prod')}/argo-cd/export", {}, {}),
    ("backup:UpdateBackupPlan", _arn("backup", "backup-plan:1"), PRODS, {}),
    ("backup:DeleteBackupVault", _arn("backup", "backup-vault:ap-northeast-2-prod-data"), PRODS, {}),
    ("acm:RequestCertificate", "*", {}, {}),
    ("acm:AddTagsToCertificate", _arn("acm", "certificate/1"), PRODS, TAGGED_DEV),
    ("acm:DeleteCertificate", _arn("acm", "certificate/1"), PRODS, {}),
    ("acm:DeleteCertificate", _arn("acm", "certificate/1"), SHAREDS, {}),
    # deletion of backups
    ("backup:DeleteRecoveryPoint", _arn("backup", "recovery-point:1"), DEVS, {}),
    ("backup:DeleteBackupVaultLockConfiguration", _arn("backup", "backup-vault:ap-northeast-2-dev-data"), DEVS, {}),
    ("s3:DeleteObject", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("s3:DeleteObjectVersion", f"{BACKUPS}/argo-cd/export", {}, {}),
    # deletion of state, or reading secrets
    ("s3:DeleteObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("s3:DeleteObjectVersion", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("s3:PutBucketPolicy", STATES, {}, {}),
    ("s3:DeleteBucket", STATES, {}, {}),
    ("secretsmanager:GetSecretValue", _arn("secretsmanager", "secret:rds!db-1"), {}, {}),
    ("secretsmanager:GetSecretValue", _arn("secretsmanager", "secret:ap-northeast-2/dev/any"), {}, {}),
    ("secretsmanager:PutSecretValue", _arn("secretsmanager", "secret:ap-northeast-2/dev/any"), {}, {}),
]

APPLY_SHARED_MAY: list[Request] = [
    ("ec2:CreateVpc", _arn("ec2", "vpc/vpc-1"), {}, TAGGED_SHARED),
    ("ec2:CreateSubnet", _arn("ec2", "subnet/subnet-1"), {}, TAGGED_SHARED),
    ("ec2:CreateSubnet", _arn("ec2", "vpc/vpc-1"), SHAREDS, {}),
    ("ec2:DeleteSubnet", _arn("ec2", "subnet/subnet-1"), SHAREDS, {}),
    ("ec2:CreateNatGateway", _arn("ec2", "natgateway/nat-1"), {}, TAGGED_SHARED),
    ("ec2:CreateFlowLogs", _arn("ec2", "vpc-flow-log/fl-1"), {}, TAGGED_SHARED),
    ("ecr:CreateRepository", _arn("ecr", "repository/bubblepool"), {}, TAGGED_SHARED),
    ("ecr:PutLifecyclePolicy", _arn("ecr", "repository/bubblepool"), SHAREDS, {}),
    ("route53:CreateHostedZone", "*", {}, {}),
    ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1", {}, {}),
    ("acm:RequestCertificate", "*", {}, TAGGED_SHARED),
    ("acm:AddTagsToCertificate", _arn("acm", "certificate/1"), {}, TAGGED_SHARED),
    ("acm:DeleteCertificate", _arn("acm", "certificate/1"), SHAREDS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), SHAREDS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group-rule/sgr-1"), {}, TAGGED_SHARED),
    ("ecr:TagResource", _arn("ecr", "repository/bubblepool"), {}, TAGGED_SHARED),
    ("ecr:PutReplicationConfiguration", "*", {}, {}),
    ("logs:CreateLogGroup", _arn("logs", "log-group:/aws/vpc/gitops-vpc/flow-logs"), {}, {}),
    ("ecr:CreateRepositoryCreationTemplate", "*", {}, {"aws:RequestedRegion": "us-west-2"}),
    ("ecr:DescribeRepositoryCreationTemplates", "*", {}, {"aws:RequestedRegion": "us-west-2"}),
    ("ecr:CreateRepository", REPLICA, {}, {"aws:RequestedRegion": "us-west-2"}),
    ("ecr:PutLifecyclePolicy", REPLICA, {}, {"aws:RequestedRegion": "us-west-2"}),
    ("iam:PassRole", REPLICAS_ROLE, {}, {"iam:PassedToService": "ecr.amazonaws.com"}),
    (
        "iam:CreateRole",
        f"{IAM}:role/ap-northeast-2/shared/ap-northeast-2-shared-flow-log",
        {},
        BOUND_LIKE_SHARED,
    ),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/shared/terraform.tfstate", {}, {}),
]

APPLY_SHARED_MAY_NOT: list[Request] = [
    ("ec2:CreateSubnet", _arn("ec2", "subnet/subnet-1"), {}, {}),
    ("ec2:DeleteSecurityGroup", _arn("ec2", "security-group/sg-1"), PRODS, {}),
    ("ec2:AuthorizeSecurityGroupIngress", _arn("ec2", "security-group/sg-1"), OF_PRODS_CLUSTER, TAGGED_SHARED),
    ("acm:AddTagsToCertificate", _arn("acm", "certificate/1"), PRODS, TAGGED_SHARED),
    ("acm:DeleteCertificate", _arn("acm", "certificate/1"), {}, {}),
    ("ecr:TagResource", _arn("ecr", "repository/bubblepool"), PRODS, TAGGED_SHARED),
    ("kms:TagResource", _arn("kms", "key/1"), BACKENDS, TAGGED_SHARED),
    ("kms:ScheduleKeyDeletion", _arn("kms", "key/1"), BACKENDS, {}),
    ("ecr:DeleteRepository", _arn("ecr", "repository/of-another-owner"), {}, {}),
    ("iam:UpdateAssumeRolePolicy", DELIVERY_ROLE, {}, BOUND_LIKE_SHARED),
    ("iam:UpdateAssumeRolePolicy", CLUSTER_ADMINISTRATOR, {}, BOUND_LIKE_SHARED),
    ("iam:CreatePolicyVersion", BOUNDARY, {}, {}),
    ("eks:DeleteCluster", _arn("eks", "cluster/gitops-cluster-prod"), {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate", {}, {}),
    ("ecr:CreateRepository", _arn("ecr", "repository/any"), {}, {"aws:RequestedRegion": "ap-northeast-2"}),
    ("ecr:DeleteRepository", REPLICA, {}, {"aws:RequestedRegion": "us-west-2"}),
]

PLAN_MAY: list[Request] = [
    ("s3:GetObject", f"{STATES}/ap-northeast-2/prod/terraform.tfstate", {}, {}),
    ("kms:Decrypt", _arn("kms", "key/1"), {}, BACKEND_KEY),
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-prod"), PRODS, {}),
    ("ec2:DescribeVpcs", "*", {}, {}),
    ("iam:GetRole", OWN_ROLE, {}, {}),
    ("rds:DescribeDBInstances", _arn("rds", "db:ap-northeast-2-prod-bubblepool"), {}, {}),
    ("backup:GetBackupPlan", _arn("backup", "backup-plan:1"), {}, {}),
    ("s3:GetLifecycleConfiguration", BACKUPS, {}, {"aws:ResourceAccount": ACCOUNT}),
    ("s3:ListBucket", BACKUPS, {}, {"aws:ResourceAccount": ACCOUNT}),  # required by HeadBucket
    # used by the preflight
    ("rds:DescribeDBEngineVersions", "*", {}, {}),
    ("rds:DescribeOrderableDBInstanceOptions", "*", {}, {}),
    ("servicequotas:GetAWSDefaultServiceQuota", "*", {}, {}),
    ("servicequotas:GetServiceQuota", "*", {}, {}),
    # used by the portal
    ("acm:ListCertificates", "*", {}, {}),
    ("eks:DescribeAddon", _arn("eks", "addon/gitops-cluster-prod/coredns/1"), {}, {}),
    ("eks:DescribeAddonVersions", "*", {}, {}),
    ("eks:DescribeNodegroup", _arn("eks", "nodegroup/gitops-cluster-prod/main-1/1"), {}, {}),
    ("eks:ListAddons", _arn("eks", "cluster/gitops-cluster-prod"), {}, {}),
    ("eks:ListNodegroups", _arn("eks", "cluster/gitops-cluster-prod"), {}, {}),
    ("kms:DescribeKey", _arn("kms", "key/1"), {}, {}),
    ("rds:DescribeDBSnapshots", _arn("rds", "db:ap-northeast-2-prod-bubblepool"), {}, {}),
    ("s3:ListBucket", STATES, {}, {}),
]

PLAN_MAY_NOT: list[Request] = [
    ("s3:PutObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("s3:PutObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate.tflock", {}, {}),
    ("s3:GetObject", "arn:aws:s3:::another-bucket/any", {}, {}),
    ("s3:GetObject", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("kms:Decrypt", _arn("kms", "key/1"), {}, {"kms:ResourceAliases": "alias/ap-northeast-2/prod"}),
    ("secretsmanager:GetSecretValue", _arn("secretsmanager", "secret:rds!db-1"), {}, {}),
    ("ssm:GetParameter", _arn("ssm", "parameter/any"), {}, {}),
    ("sqs:ReceiveMessage", _arn("sqs", "ap-northeast-2-dev-karpenter"), {}, {}),
    ("logs:GetLogEvents", _arn("logs", "log-group:/aws/eks/gitops-cluster-prod/cluster"), {}, {}),
    ("iam:CreateRole", OWN_ROLE, {}, BOUND),
    ("eks:UpdateClusterConfig", _arn("eks", "cluster/gitops-cluster-dev"), {}, {}),
    ("sts:AssumeRole", DELIVERY_ROLE, {}, {}),
]


BACKUP_DEV_MAY: list[Request] = [
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("s3:PutObject", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("kms:GenerateDataKey", _arn("kms", "key/1"), {}, {"kms:ResourceAliases": "alias/ap-northeast-2/dev"}),
]

BACKUP_DEV_MAY_NOT: list[Request] = [
    ("s3:GetObject", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("s3:DeleteObjectVersion", f"{BACKUPS}/argo-cd/export", {}, {}),
    ("s3:PutObject", f"{BACKUPS.replace('dev', 'prod')}/argo-cd/export", {}, {}),
    ("kms:Decrypt", _arn("kms", "key/1"), {}, {"kms:ResourceAliases": "alias/ap-northeast-2/dev"}),
    ("kms:GenerateDataKey", _arn("kms", "key/1"), {}, {"kms:ResourceAliases": "alias/ap-northeast-2/prod"}),
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-prod"), PRODS, {}),
    ("s3:GetObject", f"{STATES}/ap-northeast-2/dev/terraform.tfstate", {}, {}),
    ("sts:AssumeRole", DELIVERY_ROLE, {}, {}),
]

CLUSTER_ADMINISTRATOR_MAY: list[Request] = [
    ("eks:ListClusters", "*", {}, {}),
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("eks:DescribeCluster", _arn("eks", "cluster/gitops-cluster-prod"), PRODS, {}),
]

CLUSTER_ADMINISTRATOR_MAY_NOT: list[Request] = [
    ("eks:DeleteCluster", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("eks:CreateAccessEntry", _arn("eks", "cluster/gitops-cluster-dev"), DEVS, {}),
    ("sts:AssumeRole", DELIVERY_ROLE, SHAREDS, {}),
]


def _requests(role: str, *tables: tuple[bool, list[Request]]) -> list[tuple[str, Request, bool]]:
    return [(role, request, allowed) for allowed, requests in tables for request in requests]


def _id(value: Request | str | bool) -> str:  # noqa: FBT001 (pytest calls it)
    return " ".join((*value[:2], *value[2].values(), *value[3].values())) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(
    ("role", "request_", "allowed"),
    [
        *_requests("apply-dev_role", (True, APPLY_DEV_MAY), (False, APPLY_DEV_MAY_NOT)),
        *_requests("apply-shared_role", (True, APPLY_SHARED_MAY), (False, APPLY_SHARED_MAY_NOT)),
        *_requests("backup-dev_role", (True, BACKUP_DEV_MAY), (False, BACKUP_DEV_MAY_NOT)),
        *_requests(
            "cluster-administrator_role", (True, CLUSTER_ADMINISTRATOR_MAY), (False, CLUSTER_ADMINISTRATOR_MAY_NOT)
        ),
        *_requests("plan_role", (True, PLAN_MAY), (False, PLAN_MAY_NOT)),
    ],
    ids=_id,
)
def test_role_permissions(shared: Template, role: str, request_: Request, *, allowed: bool) -> None:
    action, resource, tags, context = request_
    assert Role(shared, role).may(action, resource, tags=tags, **context) is allowed


@pytest.mark.parametrize(
    ("role", "request_", "allowed"),
    [
        *_requests("apply-dev_role", (False, APPLY_DEV_MAY_NOT)),
        *_requests("apply-shared_role", (False, APPLY_SHARED_MAY_NOT)),
    ],
    ids=_id,
)
def test_policies_deny_even_without_the_boundary(
    shared: Template, role: str, request_: Request, *, allowed: bool
) -> None:
    unlimited = Role(shared, role)
    unlimited.boundary = None
    action, resource, tags, context = request_
    assert unlimited.may(action, resource, tags=tags, **context) is allowed


_PLATFORM = "arn:aws:route53:::hostedzone/PLATFORM"
_OTHER_ZONE = "arn:aws:route53:::hostedzone/OTHER"


@pytest.mark.parametrize(
    ("zone", "name", "kind", "allowed"),
    [
        (_PLATFORM, "dev.platform.your-domain.com", "NS", True),
        (_PLATFORM, "dev.platform.your-domain.com", "A", False),
        (_PLATFORM, "prod.platform.your-domain.com", "NS", False),
        (_PLATFORM, "platform.your-domain.com", "NS", False),
        (_PLATFORM, "shop.platform.your-domain.com", "CNAME", False),
        (_OTHER_ZONE, "_1a2b.dev.platform.your-domain.com", "CNAME", True),
        (_OTHER_ZONE, "_1a2b.prod.platform.your-domain.com", "CNAME", False),
        (_OTHER_ZONE, "notdev.platform.your-domain.com", "NS", False),
    ],
)
def test_apply_role_changes_only_its_delegation_and_its_own_records(
    shared: Template, zone: str, name: str, kind: str, *, allowed: bool
) -> None:
    key = "route53:ChangeResourceRecordSets"
    names = {f"{key}NormalizedRecordNames": name, f"{key}RecordTypes": kind}
    role = _with_zone_of_the_platform(shared)
    assert role.may(key, zone, tags={}, **names) is allowed
    role.boundary = None
    assert role.may(key, zone, tags={}, **names) is allowed


@pytest.mark.parametrize(
    "action", ["route53:ChangeTagsForResource", "route53:DeleteHostedZone", "route53:UpdateHostedZoneComment"]
)
def test_apply_role_cannot_delete_the_zone_of_the_platform(shared: Template, action: str) -> None:
    role = _with_zone_of_the_platform(shared)
    assert role.may(action, _OTHER_ZONE, tags={})
    assert not role.may(action, _PLATFORM, tags={})


def _with_zone_of_the_platform(shared: Template) -> Role:
    role = Role(shared, "apply-dev_role")
    role.managed = [text.replace("${aws_route53_zone.dns_zone.arn}", _PLATFORM) for text in role.managed]
    return role


def test_roles_of_an_environment_cannot_write_the_records_of_another_one(shared: Template) -> None:
    """Not even a role that the apply role creates with all permissions of the boundary."""
    role = Role(shared, "apply-dev_role")
    role.inline, role.managed = ['{"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}'], []
    key = "route53:ChangeResourceRecordSets"
    for name, allowed in (("shop.dev.platform.your-domain.com", True), ("shop.prod.platform.your-domain.com", False)):
        assert role.may(key, _OTHER_ZONE, tags={}, **{f"{key}NormalizedRecordNames": name}) is allowed


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_apply_role_can_take_only_its_own_locks_in_the_table(
    alternative: dict[str, Template], environment: str
) -> None:
    role = Role(alternative["us-gov-west-1-shared"], "apply-dev_role")
    table = f"arn:aws-us-gov:dynamodb:us-gov-west-1:{ACCOUNT}:table/your-org-terraform-state-us-gov-west-1-lock"
    key = f"your-org-terraform-state-us-gov-west-1/us-gov-west-1/{environment}/terraform.tfstate"
    assert role.may("dynamodb:PutItem", table, tags={}, **{"dynamodb:LeadingKeys": key}) is (environment == "dev")


def test_without_a_lock_table_no_role_can_write_to_dynamodb(shared: Template) -> None:
    table = f"arn:aws:dynamodb:ap-northeast-2:{ACCOUNT}:table/your-org-terraform-state-ap-northeast-2-lock"
    assert not Role(shared, "apply-dev_role").may("dynamodb:PutItem", table, tags={})


def test_plan_role_is_read_only(shared: Template) -> None:
    reads = re.compile(r"[a-z0-9-]+:(Get|List|Describe)[A-Za-z*]*|kms:Decrypt")
    actions = {action for statement in Role(shared, "plan_role").statements for action in statement["Action"]}
    assert [action for action in sorted(actions) if reads.fullmatch(action) is None] == []


def test_plan_role_can_read_metadata_of_secrets_but_not_their_values(shared: Template) -> None:
    actions = {action for statement in Role(shared, "plan_role").statements for action in statement["Action"]}
    assert {action for action in actions if action.startswith(("secretsmanager:", "ssm:"))} == {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetRandomPassword",  # generates a new password, reads none
        "secretsmanager:GetResourcePolicy",
    }


def test_plan_role_can_read_only_the_credential_of_a_private_repository(alternative: dict[str, Template]) -> None:
    role = Role(alternative["us-gov-west-1-shared"], "plan_role")
    secret = f"arn:aws-us-gov:secretsmanager:us-gov-west-1:{ACCOUNT}:secret"
    assert role.may("secretsmanager:GetSecretValue", f"{secret}:gitops/repository-a1B2c3", tags={})
    assert not role.may("secretsmanager:GetSecretValue", f"{secret}:gitops/repository-of-others-a1B2c3", tags={})
    assert not role.may(
        "secretsmanager:GetSecretValue", f"{secret}:us-gov-west-1/dev/bubblepool/database-a1B2c3", tags={}
    )


@pytest.mark.parametrize(
    "name", ["plan_role", "apply-shared_role", "apply-dev_role", "apply-prod_role", "cluster-administrator_role"]
)
def test_delivery_roles_are_on_their_own_path(shared: Template, name: str) -> None:
    assert Role(shared, name).arguments["path"] == "/ap-northeast-2/delivery/"


@pytest.mark.parametrize("environment", ["shared", "dev", "staging", "prod"])
def test_apply_role_has_the_boundary_of_its_environment(shared: Template, environment: str) -> None:
    boundary = Role(shared, f"apply-{environment}_role").arguments["permissions_boundary"]
    assert boundary == f"${{aws_iam_policy.boundary-{environment}_policy.arn}}"


def test_push_role_can_push_only_to_its_own_repository(shared: Template) -> None:
    pushes = [
        statement for statement in Role(shared, "push-bubblepool_role").statements if statement["Resource"] != ["*"]
    ]
    assert [statement["Resource"] for statement in pushes] == [["${aws_ecr_repository.ecr_repository-bubblepool.arn}"]]
    assert not [action for action in pushes[0]["Action"] if "Delete" in action]


def test_cluster_administrator_trusts_the_configured_roles(shared: Template) -> None:
    (trust,) = Role(shared, "cluster-administrator_role").trust["Statement"]
    assert trust["Principal"] == {"AWS": ["arn:aws:iam::123456789012:role/your-admin-role"]}


def test_cluster_administrator_can_only_find_clusters_in_aws(shared: Template) -> None:
    role = Role(shared, "cluster-administrator_role")
    actions = {action for statement in role.statements for action in statement["Action"]}
    assert actions == {"eks:DescribeCluster", "eks:ListClusters"}


# What exists already

EXISTING_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-000000000002"
OTHER_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-000000000003"


@pytest.fixture(scope="module")
def of_existing(with_existing: dict[str, Template]) -> Template:
    return with_existing["us-east-1-shared"]


def _unbound(template: Template, name: str) -> Role:
    """A role without its boundary, which no stack creates."""
    role = Role(template, name)
    role.boundary = None
    return role


@pytest.mark.parametrize("action", ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"])
def test_apply_role_uses_the_existing_key_only(of_existing: Template, action: str) -> None:
    role = _unbound(of_existing, "apply-dev_role")
    assert role.may(action, EXISTING_KEY, tags={})
    assert not role.may(action, OTHER_KEY, tags=DEVS)


@pytest.mark.parametrize("action", ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource"])
def test_apply_role_cannot_change_the_existing_key(of_existing: Template, action: str) -> None:
    assert not _unbound(of_existing, "apply-dev_role").may(action, EXISTING_KEY, tags=DEVS)


def test_backup_role_encrypts_with_the_existing_key_only(of_existing: Template) -> None:
    role = _unbound(of_existing, "backup-dev_role")
    assert role.may("kms:GenerateDataKey", EXISTING_KEY, tags={})
    alias = {"kms:ResourceAliases": "alias/us-east-1/dev"}
    assert not role.may("kms:GenerateDataKey", OTHER_KEY, tags={}, **alias)


@pytest.mark.parametrize(("environment", "name"), [("shared", "limits"), ("dev", "limits-of-dev")])
def test_roles_have_the_existing_boundary_and_create_roles_with_it(
    of_existing: Template, environment: str, name: str
) -> None:
    boundary = f"{IAM}:policy/company/{name}"
    role = _unbound(of_existing, f"apply-{environment}_role")
    assert role.arguments["permissions_boundary"] == boundary
    own, action = f"{IAM}:role/us-east-1/{environment}/us-east-1-{environment}-any", "iam:CreateRole"
    assert role.may(action, own, tags={}, **{"iam:PermissionsBoundary": boundary})
    assert not role.may(action, own, tags={}, **{"iam:PermissionsBoundary": f"{boundary}-of-others"})
    assert not role.may(action, own, tags={})


def test_no_boundary_is_created_beside_the_existing_ones(with_existing: dict[str, Template]) -> None:
    assert [name for name in with_existing["us-east-1-shared"].resources("aws_iam_policy") if "boundary" in name] == []
    dev = with_existing["us-east-1-dev"].resources("aws_iam_role").values()
    assert {role["permissions_boundary"] for role in dev} == {f"{IAM}:policy/company/limits-of-dev"}


EKS_ROLE = f"{IAM}:role/company/eks"
NODE_ROLE = f"{IAM}:role/nodes"


@pytest.fixture(scope="module")
def with_existing_roles(tmp_path_factory: pytest.TempPathFactory) -> Template:
    settings = EditedSettings(tmp_path_factory.mktemp("settings"))
    cluster, group = f'role_arn="{EKS_ROLE}", public_access_cidrs=()', f'role_arn="{NODE_ROLE}", name="main",'
    settings.replace("ap_northeast_2/dev.py", "public_access_cidrs=()", cluster)
    settings.replace("ap_northeast_2/dev.py", 'name="main",', group)
    return every_stack(settings.load(), tmp_path_factory.mktemp("out"))["ap-northeast-2-shared"]


@pytest.mark.parametrize(("role", "service"), [(EKS_ROLE, "eks.amazonaws.com"), (NODE_ROLE, "ec2.amazonaws.com")])
def test_existing_roles_can_be_read_and_passed_to_their_service_but_not_changed(
    with_existing_roles: Template, role: str, service: str
) -> None:
    dev, prod = (Role(with_existing_roles, f"apply-{name}_role") for name in ("dev", "prod"))
    passed = {"iam:PassedToService": service}
    assert dev.may("iam:PassRole", role, tags={}, **passed)
    assert not dev.may("iam:PassRole", role, tags={}, **{"iam:PassedToService": "lambda.amazonaws.com"})
    assert not prod.may("iam:PassRole", role, tags={}, **passed)
    assert not dev.may("iam:PassRole", f"{role}-of-others", tags={}, **passed)
    assert dev.may("iam:GetRole", role, tags={})
    assert dev.may("iam:ListAttachedRolePolicies", role, tags={})
    for action in ("AttachRolePolicy", "DeleteRole", "PutRolePolicy", "UpdateAssumeRolePolicy"):
        assert not dev.may(f"iam:{action}", role, tags={}, **BOUND)
