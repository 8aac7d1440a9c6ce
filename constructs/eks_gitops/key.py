"""Key: a KMS key with rotation, an alias, and a least-privilege key policy; or an existing key."""

from collections.abc import Sequence

from cdktf import ITerraformDependable, TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from eks_gitops.iam import Statement, policy_document
from eks_gitops.location import Location

_DELETION_WINDOW_DAYS = 30
_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
_GRANTS = ("kms:CreateGrant", "kms:ListGrants", "kms:RetireGrant")


class Key(Construct):
    """A customer managed key. Access is controlled by the account's IAM policies and by `services` and `log_groups`.

    `services` are AWS services that use the key on behalf of any principal of the account, such as `ec2`. They are
    allowed by `kms:ViaService` and `kms:CallerAccount`, because their service-linked roles may not exist yet, and a key
    policy cannot contain a principal that does not exist.
    `log_groups` are name patterns of the CloudWatch log groups that are encrypted with the key.
    `provider` creates the key in another region than that of the stack.

    With `existing_arn`, nothing is created: the key is that one, whose policy must have `required_statements`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        description: str,
        services: Sequence[str] = (),
        log_groups: Sequence[str] = (),
        prevent_destroy: bool = False,
        provider: TerraformProvider | None = None,
        existing_arn: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        statements = []
        if services:
            statements.extend(_services_of_the_account(location, services))
        if log_groups:
            statements.append(_cloudwatch_logs(location, log_groups))
        self.resources: list[ITerraformDependable] = []
        self.required_statements: list[Statement] = []
        if existing_arn is not None:
            self.arn: str = existing_arn
            self.required_statements = [_iam_policies_of_the_account(location, (*_USE, *_GRANTS)), *statements]
            return
        key = KmsKey(
            self,
            "key",
            description=description,
            enable_key_rotation=True,
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=policy_document(_iam_policies_of_the_account(location, ["kms:*"]), *statements),
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if prevent_destroy else None,
            provider=provider,
        )
        KmsAlias(self, "alias", name=key_alias(location), target_key_id=key.key_id, provider=provider)
        self.arn = key.arn
        self.resources.append(key)


def key_alias(location: Location) -> str:
    """The alias of an environment's key."""
    return f"alias/{location.region}/{location.environment}"


def _iam_policies_of_the_account(location: Location, actions: Sequence[str]) -> Statement:
    # In a key policy, "*" means this key. Without this statement, no principal could manage the key, even its creator.
    root = location.arn("iam", "root")
    return Statement(sid="AccountDecidesByIam", actions=actions, resources=["*"], principals={"AWS": [root]})


def _services_of_the_account(location: Location, services: Sequence[str]) -> list[Statement]:
    through_services = {
        "kms:CallerAccount": location.account_id,
        "kms:ViaService": sorted(f"{service}.{location.region}.{location.dns_suffix}" for service in services),
    }
    return [
        Statement(
            sid="ServicesOfThisAccount",
            actions=_USE,
            resources=["*"],
            principals={"AWS": ["*"]},
            conditions={"StringEquals": through_services},
        ),
        Statement(
            sid="GrantsOfServices",
            actions=["kms:CreateGrant"],
            resources=["*"],
            principals={"AWS": ["*"]},
            conditions={"StringEquals": through_services, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ]


def _cloudwatch_logs(location: Location, log_groups: Sequence[str]) -> Statement:
    arns = sorted(location.arn("logs", f"log-group:{name}") for name in log_groups)
    return Statement(
        sid="CloudWatchLogs",
        actions=_USE,
        resources=["*"],
        principals={"Service": [f"logs.{location.region}.amazonaws.com"]},
        conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": arns}},
    )
