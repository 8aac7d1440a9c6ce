"""Access to Terraform's state: what a role needs to read it for a plan, or to write its own environment's."""

from collections.abc import Sequence
from typing import NamedTuple

from eks_gitops.iam import Statement
from eks_gitops.key import key_alias
from eks_gitops.location import Location


class StateLocation(NamedTuple):
    """Where the state of a region lies: the bucket's name and, if used, the lock table's."""

    bucket: str
    lock_table: str | None


def read_state(location: Location, state: StateLocation) -> list[Statement]:
    """Reading the state of every stack of the region. A plan does not lock."""
    return [
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[location.arn("s3", state.bucket)]),
        Statement(
            sid="ReadState",
            actions=["s3:GetObject"],
            resources=[location.arn("s3", f"{state.bucket}/{location.region}/*")],
        ),
        _use_backend_key(location, ["kms:Decrypt", "kms:DescribeKey"]),
        *(_read_locks(location, state.lock_table) if state.lock_table is not None else ()),
    ]


def _read_locks(location: Location, table: str) -> list[Statement]:
    """Who holds a lock: a plan takes none, and says whose work it may have seen."""
    return [
        Statement(sid="ReadLocks", actions=["dynamodb:GetItem"], resources=[location.arn("dynamodb", f"table/{table}")])
    ]


def write_state(location: Location, state: StateLocation) -> list[Statement]:
    """Reading and writing the environment's own state, taking its lock, and reading what `shared` offers."""
    own = location.arn("s3", f"{state.bucket}/{location.region}/{location.environment}/*")
    shared = location.arn("s3", f"{state.bucket}/{location.region}/shared/terraform.tfstate")
    statements = [
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[location.arn("s3", state.bucket)]),
        Statement(sid="ReadState", actions=["s3:GetObject"], resources=[own, shared]),
        Statement(sid="WriteState", actions=["s3:PutObject"], resources=[own]),
        Statement(sid="ReleaseLock", actions=["s3:DeleteObject"], resources=[f"{own}.tflock"]),
        _use_backend_key(location, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    ]
    if state.lock_table is not None:
        statements.append(
            Statement(
                sid="LockTable",
                actions=["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"],
                resources=[location.arn("dynamodb", f"table/{state.lock_table}")],
                conditions={
                    "ForAllValues:StringLike": {
                        "dynamodb:LeadingKeys": [f"{state.bucket}/{location.region}/{location.environment}/*"]
                    }
                },
            )
        )
    return statements


def _use_backend_key(location: Location, actions: Sequence[str]) -> Statement:
    # By alias: the key belongs to the backend's stack, which needs none of the others and is needed by none.
    alias = key_alias(location.model_copy(update={"environment": "backend"}))
    return Statement(
        sid="BackendKey",
        actions=actions,
        resources=[location.arn("kms", "key/*")],
        conditions={"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
    )
