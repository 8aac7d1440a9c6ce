"""Policy statements for access to Terraform state: reading it for a plan, and writing that of one environment."""

from collections.abc import Sequence
from typing import NamedTuple

from eks_gitops.iam import Statement
from eks_gitops.key import key_alias
from eks_gitops.location import Location


class StateLocation(NamedTuple):
    """Where the state of a region is stored: the names of the bucket and, if used, of the lock table."""

    bucket: str
    lock_table: str | None


def read_state(location: Location, state: StateLocation) -> list[Statement]:
    """Read the state of every stack of the region. A plan takes no lock."""
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
    """Read the holders of locks, because a plan reports who may be changing the state at the same time."""
    return [
        Statement(sid="ReadLocks", actions=["dynamodb:GetItem"], resources=[location.arn("dynamodb", f"table/{table}")])
    ]


def write_state(location: Location, state: StateLocation, reads: Sequence[str] = ()) -> list[Statement]:
    """Read, write and lock the environment's own state, and read the state of `shared` for its outputs.

    `reads` are other environments whose outputs the environment reads.
    """
    own = location.arn("s3", f"{state.bucket}/{location.region}/{location.environment}/*")
    others = [
        location.arn("s3", f"{state.bucket}/{location.region}/{name}/terraform.tfstate") for name in ("shared", *reads)
    ]
    statements = [
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[location.arn("s3", state.bucket)]),
        Statement(sid="ReadState", actions=["s3:GetObject"], resources=[own, *others]),
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
    # By alias, because the backend stack owns the key and there are no references between it and the other stacks.
    alias = key_alias(location.model_copy(update={"environment": "backend"}))
    return Statement(
        sid="BackendKey",
        actions=actions,
        resources=[location.arn("kms", "key/*")],
        conditions={"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
    )
