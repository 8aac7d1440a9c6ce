"""The IAM roles that GitHub workflows assume, and the role that administrators assume to access a cluster."""

from collections.abc import Mapping, Sequence

from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from constructs import Construct

from eks_gitops.backup_bucket import backup_bucket_name
from eks_gitops.delivery import plan_policy
from eks_gitops.delivery.boundary import PermissionsBoundary, delivery_path
from eks_gitops.delivery.state_access import StateLocation, read_state, write_state
from eks_gitops.github import GithubRepository, github_trust
from eks_gitops.iam import Role, Statement, policy_document
from eks_gitops.key import key_alias
from eks_gitops.location import Location
from eks_gitops.observability import Observability

# Upgrading a cluster and its nodes takes more than an hour. If the credentials expire, Terraform cannot save its state.
_APPLY_SECONDS = 2 * 60 * 60

PLAN_ENVIRONMENT = "plan"
"""The GitHub environment in which pull requests are planned, after one of its reviewers has approved the run."""


_NOTHING = Observability()


class ReadPolicy(Construct):
    """Read access to every resource of the region's stacks, for plans and applies.

    The only secret values it can read are the credentials of private GitOps repositories.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        repository_credentials: Sequence[str] = (),
        access_host: bool = False,
        runners: bool = False,
        cost_tags: bool = False,
        budgets: bool = False,
        observability: Observability = _NOTHING,
        threat_detection: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        policy = IamPolicy(
            self,
            "policy",
            name=location.name("read"),
            path=delivery_path(location),
            description=f"Reads what the stacks of {location.region} hold",
            policy=policy_document(
                *plan_policy.read_statements(
                    location,
                    repository_credentials=repository_credentials,
                    access_host=access_host,
                    runners=runners,
                    cost_tags=cost_tags,
                    budgets=budgets,
                    observability=observability,
                    threat_detection=threat_detection,
                )
            ),
        )
        self.arn: str = policy.arn


class PlanRole(Construct):
    """A read-only role that plans every stack of the region: in the GitHub environment `plan`, and on `main` (drift).

    A pull request alone cannot assume it: its branch contains the code that runs with the role, and the workflow that
    asks for it. GitHub's reviewers of the environment, whom no branch can change, look at that code first.
    Source: https://docs.github.com/actions/reference/security/oidc, on the `sub` claim of a job with an environment
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        repository: GithubRepository,
        state: StateLocation,
        read: ReadPolicy,
        delegation_role_arn: str | None = None,
    ) -> None:
        """`delegation_role_arn` reads the zone above those of the environments, if that is in another account."""
        super().__init__(scope, id_)
        of_zone = (
            [Statement(actions=["sts:AssumeRole"], resources=[delegation_role_arn])] if delegation_role_arn else []
        )
        contexts = (f"environment:{PLAN_ENVIRONMENT}", "ref:refs/heads/main")
        subjects = [subject for context in contexts for subject in repository.subjects(context)]
        role = _delivery_role(
            self,
            location,
            "plan",
            description="Plans: reads every stack of the region and changes nothing",
            trust=[github_trust(location, subjects)],
            boundary=None,
            policies={"state": policy_document(*read_state(location, state), *of_zone)},
        )
        role.attach("read", read.arn)
        self.arn: str = role.arn


class ApplyRole(Construct):
    """Applies the stacks of one environment. Only the GitHub environment of the same name can assume it.

    It is limited to the environment's names, tags and IAM path. The roles that it creates must have the same boundary
    as itself. It can change neither the boundary nor a delivery role. `policies` are its statements by policy name.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        repository: GithubRepository,
        state: StateLocation,
        read: ReadPolicy,
        boundary: PermissionsBoundary,
        policies: Mapping[str, Sequence[Statement]],
        reads: Sequence[str] = (),
    ) -> None:
        """`reads` are other environments whose outputs the stacks read."""
        super().__init__(scope, id_)
        role = _delivery_role(
            self,
            location,
            "apply",
            description=f"Applies {location.region} {location.environment}",
            trust=[github_trust(location, repository.subjects(f"environment:{location.environment}"))],
            boundary=boundary,
            max_session_seconds=_APPLY_SECONDS,
            policies={"state": policy_document(*write_state(location, state, reads))},
        )
        role.attach("read", read.arn)
        for name, statements in policies.items():  # managed policies: inline policies have a smaller size limit
            policy = IamPolicy(
                self,
                name,
                name=location.name(f"apply-{name}"),
                path=delivery_path(location),
                policy=policy_document(*statements),
            )
            role.attach(name, policy.arn)
        self.arn: str = role.arn


class ArgoCdBackupRole(Construct):
    """Backs up one environment's Argo CD, from the branch `main`, so that nightly backups need no reviewer.

    It can encrypt and write backups, but can neither read nor delete them. Its access entry permits running
    `argocd admin export` in the cluster.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        repository: GithubRepository,
        cluster_names: Sequence[str],
        organisation: str,
        boundary: PermissionsBoundary,
        existing_key_arn: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        bucket = backup_bucket_name(location, organisation)
        # By alias, because the environment's stack owns the key and depends on this stack.
        by_alias = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": key_alias(location)}}
        role = _delivery_role(
            self,
            location,
            "argo-cd-backup",
            description=f"Backs up the Argo CD of {location.region} {location.environment}",
            trust=[github_trust(location, repository.subjects("ref:refs/heads/main"))],
            boundary=boundary,
            policies={
                "backup": policy_document(
                    Statement(
                        actions=["eks:DescribeCluster"],
                        resources=[location.arn("eks", f"cluster/{name}") for name in cluster_names],
                    ),
                    Statement(actions=["s3:PutObject"], resources=[location.arn("s3", f"{bucket}/*")]),
                    Statement(
                        actions=["kms:GenerateDataKey"],
                        resources=[existing_key_arn or location.arn("kms", "key/*")],
                        conditions=by_alias if existing_key_arn is None else {},
                    ),
                )
            },
        )
        self.arn: str = role.arn


class ImagePushRole(Construct):
    """Pushes images to one ECR repository, from the GitHub environment `delivery` of the application repository.

    That environment should allow deployments from the main branch only. It also contains the other values that
    `build-service` needs.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        repository: GithubRepository,
        ecr_repository: str,
        ecr_repository_arn: str,
        boundary: PermissionsBoundary,
    ) -> None:
        super().__init__(scope, id_)
        role = Role(
            self,
            "role",
            location=location,
            name=f"push-{ecr_repository}",
            description=f"Pushes images of {ecr_repository}",
            trust=[github_trust(location, repository.subjects("environment:delivery"))],
            permissions_boundary=boundary.arn,
            policies={
                "push": policy_document(
                    Statement(actions=["ecr:GetAuthorizationToken"], resources=["*"]),
                    Statement(
                        actions=[
                            "ecr:BatchCheckLayerAvailability",
                            "ecr:BatchGetImage",
                            "ecr:CompleteLayerUpload",
                            "ecr:DescribeImages",
                            "ecr:GetDownloadUrlForLayer",
                            "ecr:InitiateLayerUpload",
                            "ecr:ListImages",
                            "ecr:PutImage",
                            "ecr:UploadLayerPart",
                        ],
                        resources=[ecr_repository_arn],
                    ),
                )
            },
        )
        self.arn: str = role.arn


class ClusterAdministratorRole(Construct):
    """The role that administrators assume to access a cluster.

    An access entry gives it access to the cluster. In AWS, it can only list and describe clusters. Unlike the names of
    roles that IAM Identity Center creates, its name does not change.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        trusted_roles: Sequence[str],
        boundary: PermissionsBoundary,
    ) -> None:
        super().__init__(scope, id_)
        role = _delivery_role(
            self,
            location,
            "cluster-admin",
            description="Administers the clusters of the region through kubectl",
            trust=[administrator_trust(trusted_roles)],
            boundary=boundary,
            policies={
                "find-clusters": policy_document(
                    Statement(actions=["eks:ListClusters"], resources=["*"]),
                    Statement(actions=["eks:DescribeCluster"], resources=[location.arn("eks", "cluster/*")]),
                )
            },
        )
        self.arn: str = role.arn


def administrator_trust(trusted_roles: Sequence[str]) -> Statement:
    """Trust for administrators to assume the role that administers clusters."""
    return Statement(actions=["sts:AssumeRole"], principals={"AWS": trusted_roles})


def _delivery_role(
    scope: Construct,
    location: Location,
    name: str,
    *,
    description: str,
    trust: Sequence[Statement],
    boundary: PermissionsBoundary | None,
    policies: Mapping[str, str],
    max_session_seconds: int | None = None,
) -> Role:
    """A role on the delivery path, so that the apply role of `shared` cannot change it."""
    return Role(
        scope,
        "role",
        location=location,
        name=name,
        path=delivery_path(location),
        description=description,
        trust=trust,
        permissions_boundary=boundary.arn if boundary is not None else None,
        policies=policies,
        max_session_seconds=max_session_seconds,
    )
