"""IAM roles of the controllers in a cluster: the AWS Load Balancer Controller, and those deployed from Git."""

from collections.abc import Iterator, Sequence
from typing import Literal

from constructs import Construct
from pydantic import StrictBool

from eks_gitops import load_balancer_controller_policy
from eks_gitops.cluster import Cluster
from eks_gitops.config import Config, Problem, RoleArn
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.master_passwords import master_passwords
from eks_gitops.private_database import user_secret_name
from eks_gitops.workload_identity import ServiceAccount, WorkloadIdentity, WorkloadRole


class ControllerTarget(Config):
    """A role in another account, which EKS Pod Identity assumes with the role of a controller."""

    controller: Literal["external_dns", "external_secrets", "kyverno"]
    """The controller, with EKS Pod Identity. Others act on what is in the account of the cluster."""
    role_arn: RoleArn
    """The role in the other account, whose permissions the Pods get. Its trust policy must name the role that the
    platform creates (docs/in-cluster.md). A change reaches a Pod when its credentials end, after up to six hours, or
    when it is created again."""
    disable_session_tags: StrictBool = False
    """Leaves out the session tags of EKS Pod Identity, if AWS answers `PackedPolicyTooLarge`. The trust policy of the
    target must then compare `sts:ExternalId` in place of the tags: without them, any service account of the account's
    clusters can be associated with the first role."""


class ControllersConfig(Config):
    """How each controller assumes its role: by EKS Pod Identity or IRSA."""

    load_balancer_controller: WorkloadIdentity = "pod-identity"
    """The AWS Load Balancer Controller, which Terraform installs."""
    external_secrets: WorkloadIdentity = "pod-identity"
    """External Secrets, which reads the environment's secrets in Secrets Manager."""
    external_dns: WorkloadIdentity = "pod-identity"
    """External DNS, which writes records to the environment's hosted zone."""
    kyverno: WorkloadIdentity = "pod-identity"
    """Kyverno, which reads the signatures of images in ECR."""
    database_users: WorkloadIdentity = "pod-identity"
    """The Job that creates the database users of services. It has a role only if there are databases."""
    targets: tuple[ControllerTarget, ...] = ()
    """Roles in other accounts, such as one for the secrets or images of a central account. A controller with one has
    only the permissions of that role, none in this account. Deploy `shared` first: its permissions boundary names
    them."""

    def problems(self) -> Iterator[Problem]:
        """Several targets of a controller, or one of a controller with IRSA."""
        controllers = [target.controller for target in self.targets]
        for index, controller in enumerate(controllers):
            field = f"targets[{index}].controller"
            if controller in controllers[:index]:
                yield Problem(field, controller, "duplicate; a service account has one target, keep one of them")
            elif getattr(self, controller) == "irsa":
                yield Problem(field, controller, "has no association with IRSA; set its identity to pod-identity")


class ControllerRoles(Construct):
    """One least-privilege IAM role per controller.

    `arns` maps controllers to role ARNs. `irsa_arns` has only the roles that must be set in the annotation of a service
    account. External Secrets reads the secrets named `<region>/<environment>/…`. Only the Job that creates database
    users reads master passwords. Policies name resources by prefix or tag, so that they do not grow with the settings:
    the inline policies of a role may have 10,240 characters together.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: ControllersConfig,
        *,
        context: Context,
        cluster: Cluster,
        zone_arn: str,
        has_databases: bool,
        has_aurora: bool,
        has_load_balancer_controller: bool,
        has_web_acl: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        self.arns: dict[str, str] = {}
        self.irsa_arns: dict[str, str] = {}
        targets = {target.controller.replace("_", "-"): target for target in config.targets}

        def role(name: str, identity: WorkloadIdentity, account: str, statements: Sequence[Statement]) -> None:
            namespace, _, account_name = account.partition("/")
            target = targets.get(name)
            self.arns[name] = WorkloadRole(
                self,
                name,
                identity,
                ServiceAccount(namespace=namespace, name=account_name),
                context=context,
                name=name,
                cluster=cluster,
                policies={name: policy_document(*statements)},
                target_role_arn=target.role_arn if target is not None else None,
                session_tags=target is None or not target.disable_session_tags,
            ).arn

            if identity == "irsa":
                self.irsa_arns[name] = self.arns[name]

        if has_load_balancer_controller:
            role(
                "aws-load-balancer-controller",
                config.load_balancer_controller,
                "kube-system/aws-load-balancer-controller",
                load_balancer_controller_policy.statements(context.location, web_acl=has_web_acl),
            )
        role(
            "external-secrets",
            config.external_secrets,
            "external-secrets/external-secrets",
            _read_secrets(context.location, context.key),
        )
        role("external-dns", config.external_dns, "external-dns/external-dns", _write_records(zone_arn))
        role("kyverno", config.kyverno, "kyverno/kyverno-admission-controller", _read_images(context.location))
        if has_databases:
            role(
                "database-users",
                config.database_users,
                "database-users/database-users",
                _manage_database_users(context.location.of_environment, context.key, has_aurora=has_aurora),
            )


def _read_secrets(location: Location, key: Key) -> list[Statement]:
    return [
        Statement(
            actions=["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            resources=[location.arn("secretsmanager", f"secret:{location.secret_prefix}*")],
        ),
        Statement(actions=["kms:Decrypt"], resources=[key.arn]),
    ]


def _manage_database_users(location: Location, key: Key, *, has_aurora: bool) -> list[Statement]:
    return [
        Statement(actions=["secretsmanager:GetRandomPassword"], resources=["*"]),
        *[
            Statement(
                sid=f"{one.product}MasterPasswords",
                actions=["secretsmanager:GetSecretValue"],
                resources=[location.arn("secretsmanager", one.secrets)],
                conditions={"ArnLike": {one.tag: location.arn("rds", f"{one.kind}:{location.name('*')}")}},
            )
            for one in master_passwords(aurora=has_aurora)
        ],
        Statement(
            sid="Users",
            actions=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
            resources=[location.arn("secretsmanager", f"secret:{user_secret_name(location, '*')}-??????")],
        ),
        Statement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[key.arn]),
    ]


def _write_records(zone_arn: str) -> list[Statement]:
    return [
        Statement(
            actions=[
                "route53:ChangeResourceRecordSets",
                "route53:ListResourceRecordSets",
                "route53:ListTagsForResource",
            ],
            resources=[zone_arn],
        ),
        Statement(actions=["route53:ListHostedZones"], resources=["*"]),
    ]


def _read_images(location: Location) -> list[Statement]:
    # Signatures and attestations are stored in the repository of the image that they refer to. The tag selects the
    # repositories of the region's stack `shared`: a list of their ARNs would grow with each service.
    # Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-supported-iam-actions-tagging.html
    return [
        Statement(
            actions=[
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:ListImages",
            ],
            resources=[location.arn("ecr", "repository/*")],
            conditions={"StringEquals": {"aws:ResourceTag/Environment": "shared"}},
        ),
        Statement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
    ]
