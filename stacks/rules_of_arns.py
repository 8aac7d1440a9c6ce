"""Validation rules for ARNs and URLs of AWS in the settings of a region: their region, partition and owner."""

import re
from collections.abc import Iterator, Sequence

from eks_gitops import aws_data
from eks_gitops.config import Problem
from eks_gitops.in_cluster.argo_cd_config import OIDC_PROVIDERS
from eks_gitops.values import account
from stacks.settings import Environment, EnvironmentSettings, Region, SharedSettings


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    rules = [
        (region.shared_file, _cluster_administrators(region)),
        (region.shared_file, _key(region, region.shared)),
        (region.shared_file, _boundary(region, region.shared)),
        (region.shared_file, _connection_of_runners(region)),
        (region.shared_file, _topic_of_findings(region)),
    ]
    for environment in region.environments:
        rules += [
            (environment.file, rule(region, environment)) for rule in (_copies_of_backups, _targets_of_controllers)
        ]
        rules += [
            (cluster.file, cluster.below(rule(region, cluster)))
            for cluster in environment.clusters
            for rule in (_administrators, _existing_roles, _policies_of_addons, _region_of_the_user_pool)
        ]
        rules += [
            (environment.file, _key(region, environment.settings)),
            (environment.file, _boundary(region, environment.settings)),
        ]
    return rules


def _cluster_administrators(region: Region) -> Iterator[Problem]:
    yield from _roles(region, "cluster_administrators", region.shared.cluster_administrators)


def _connection_of_runners(region: Region) -> Iterator[Problem]:
    runners = region.shared.runners
    if runners is not None:
        arn = runners.connection_arn
        yield from _in_another_partition(region, "runners.connection_arn", arn)
        if f":{region.name}:{region.shared.account_id}:" not in arn:
            message = f"not a connection of {region.name} in {region.shared.account_id}; create one there"
            yield Problem("runners.connection_arn", arn, message)


def _topic_of_findings(region: Region) -> Iterator[Problem]:
    """EventBridge sends events to topics of its own region.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html
    """
    config = region.shared.threat_detection
    if config is not None and config.topic_arn is not None:
        prefix = region.location("shared").arn("sns", "")
        if not config.topic_arn.startswith(prefix):
            message = f"not a topic of {region.name} in {region.shared.account_id}; use one of this region and account"
            yield Problem("threat_detection.topic_arn", config.topic_arn, message)


def _administrators(region: Region, environment: Environment) -> Iterator[Problem]:
    yield from _roles(region, "cluster.administrators", environment.settings.cluster.administrators)


def _existing_roles(region: Region, environment: Environment) -> Iterator[Problem]:
    """A role that a service assumes for the account must be in it, and the platform's own ones are no existing ones.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    settings = environment.settings
    roles = {
        "cluster.role_arn": settings.cluster.role_arn,
        **{f"node_groups[{index}].role_arn": group.role_arn for index, group in enumerate(settings.node_groups)},
    }
    for field, role in roles.items():
        if role is None:
            continue
        if not role.startswith(region.location(environment.name).arn("iam", "role/")):
            message = f"not a role of the account {region.shared.account_id}; use one of this account"
            yield Problem(field, role, message)
        elif f":role/{region.name}/" in role:
            message = f"roles on the path /{region.name}/ are those that the platform creates; remove it"
            yield Problem(field, role, message)


def _roles(region: Region, field: str, roles: Sequence[str]) -> Iterator[Problem]:
    for index, role in enumerate(roles):
        yield from _in_another_partition(region, f"{field}[{index}]", role)
        yield from _created_by_the_platform(region, f"{field}[{index}]", role)


def _key(region: Region, settings: SharedSettings | EnvironmentSettings) -> Iterator[Problem]:
    """A service encrypts with a key of its own region. Keys of other accounts are not supported.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
    """
    arn = settings.key_arn
    if arn is not None and not arn.startswith(region.location("shared").arn("kms", "key/")):
        message = f"not a key of {region.name} in {region.shared.account_id}; use one of this region and account"
        yield Problem("key_arn", arn, message)


def _boundary(region: Region, settings: SharedSettings | EnvironmentSettings) -> Iterator[Problem]:
    """A boundary is a managed policy of AWS or of the account of the role.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    if settings.permissions_boundary_arn is not None:
        account_id = region.shared.account_id
        yield from _policy("permissions_boundary_arn", region, account_id, settings.permissions_boundary_arn)


def _copies_of_backups(region: Region, environment: Environment) -> Iterator[Problem]:
    vault = environment.settings.backup.copy_to_vault
    if vault is not None:
        yield from _in_another_partition(region, "backup.copy_to_vault", vault)
        _, partition, _, name, *_ = vault.split(":")
        found = aws_data.region(name)
        if found is None or found.partition != partition:
            message = f"{name} is no region of the partition {partition}; use a vault of a region that exists"
            yield Problem("backup.copy_to_vault", vault, message)


def _policies_of_addons(region: Region, environment: Environment) -> Iterator[Problem]:
    """A managed policy belongs to AWS or to the account of the role that it is attached to.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-vs-inline.html
    """
    for number, addon in enumerate(environment.settings.addons.others):
        for index, arn in enumerate(addon.identity.policy_arns if addon.identity is not None else ()):
            field = f"addons.others[{number}].identity.policy_arns[{index}]"
            yield from _policy(field, region, environment.settings.account_id, arn)


def _policy(field: str, region: Region, account_id: str, arn: str) -> Iterator[Problem]:
    yield from _in_another_partition(region, field, arn)
    if account(arn) not in ("aws", account_id):
        yield Problem(field, arn, "a policy of another account; use one of AWS or of your account")


def _targets_of_controllers(region: Region, environment: Environment) -> Iterator[Problem]:
    for index, target in enumerate(environment.settings.controllers.targets):
        field = f"controllers.targets[{index}].role_arn"
        yield from _in_another_partition(region, field, target.role_arn)
        if account(target.role_arn) == environment.settings.account_id:
            message = "a role of this account, where the controller has its own; use a role of another account"
            yield Problem(field, target.role_arn, message)


def _region_of_the_user_pool(_region: Region, environment: Environment) -> Iterator[Problem]:
    sso = environment.settings.gitops.argo_cd.sso
    pool = re.fullmatch(OIDC_PROVIDERS["cognito"].issuer, sso.issuer) if sso is not None else None
    if pool is not None and aws_data.region(pool[1]) is None:
        message = f"{pool[1]} is no AWS region; write the region of the user pool"
        yield Problem("gitops.argo_cd.sso.issuer", pool[0], message)


def _in_another_partition(region: Region, field: str, arn: str) -> Iterator[Problem]:
    """Identities and resources of one partition do not exist in another.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
    """
    partition = region.location("shared").partition
    if arn.split(":")[1] != partition:
        yield Problem(
            field, arn, f"not in the partition of {region.name}; use an ARN that starts with arn:{partition}:"
        )


def _created_by_the_platform(region: Region, field: str, role: str) -> Iterator[Problem]:
    """A role on the path of this region: a cluster has only one access entry for it, which the platform creates.

    Source: `CreateAccessEntryRequest` of EKS in botocore 1.43.
    """
    if f":iam::{region.shared.account_id}:role/{region.name}/" in role:
        yield Problem(field, role, "the platform creates this role and its access; use a role of your administrators")
