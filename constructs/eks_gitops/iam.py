"""IAM: policy documents as typed statements, and Role, which creates all roles."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from cdktf_cdktf_provider_aws.iam_role_policy_attachment import IamRolePolicyAttachment
from constructs import Construct

from eks_gitops.location import Location

LONGEST_POLICY = 6_144
"""The characters of a managed policy, at most. Source: IAM and AWS STS quotas."""

_TOKEN = re.compile(r"\$\{TfToken\[TOKEN\.\d+\]\}")

Conditions = Mapping[str, Mapping[str, str | Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy. A trust policy has no `resources`, an identity policy has no `principals`.

    A statement that denies everything but a few actions has `except_actions` (`NotAction`) instead of `actions`.

    Raises:
        ValueError: if `actions` or a list of `principals` is empty, which IAM rejects (MalformedPolicyDocument), or if
            it allows everything but `except_actions`.
    """

    actions: Sequence[str] = ()
    except_actions: Sequence[str] = ()
    resources: Sequence[str] = ()
    principals: Mapping[str, Sequence[str]] | Literal["*"] | None = None
    conditions: Conditions = field(default_factory=dict)
    effect: Literal["Allow", "Deny"] = "Allow"
    sid: str = ""

    def __post_init__(self) -> None:
        lists = [
            self.actions or self.except_actions,
            *(self.principals.values() if isinstance(self.principals, Mapping) else ()),
        ]
        if not all(lists):
            message = f"{self}: has an empty list; leave the statement out"
            raise ValueError(message)
        if self.except_actions and (self.actions or self.effect == "Allow"):
            message = f"{self}: except_actions is only for a Deny without actions"
            raise ValueError(message)

    def render(self) -> dict[str, object]:
        """The statement in the IAM JSON grammar, with sorted lists so that the output is deterministic."""
        element, actions = ("Action", self.actions) if self.actions else ("NotAction", self.except_actions)
        rendered: dict[str, object] = {"Effect": self.effect, element: sorted(actions)}
        if self.sid:
            rendered["Sid"] = self.sid
        if self.resources:
            rendered["Resource"] = _sorted(self.resources)
        if self.principals == "*":
            rendered["Principal"] = "*"
        elif self.principals is not None:
            rendered["Principal"] = {kind: _sorted(names) for kind, names in self.principals.items()}
        if self.conditions:
            rendered["Condition"] = {test: dict(values) for test, values in self.conditions.items()}
        return rendered


def _sorted(arns: Sequence[str]) -> list[str]:
    """Sorted, but references among themselves stay in order: the number in their token depends on all other tokens."""
    return sorted(arns, key=lambda arn: _TOKEN.sub("${}", arn))


def policy_document(*statements: Statement) -> str:
    """The JSON of an identity or resource policy. The output is deterministic.

    Raises:
        ValueError: if there is no statement, or one without resources, which IAM rejects (MalformedPolicyDocument).
            Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    for statement in statements:
        if not statement.resources:
            message = f"{statement}: has no resources; leave the statement out"
            raise ValueError(message)
    return _document(statements)


def policy_length(*statements: Statement) -> int:
    """The characters of a policy, as IAM counts them: without white space."""
    return len("".join(policy_document(*statements).split()))


def trust_policy(*statements: Statement) -> str:
    """The JSON of a trust policy: its resource is the role itself. The output is deterministic.

    Raises:
        ValueError: if there is no statement, one with resources, or one without principals, which IAM rejects.
    """
    for statement in statements:
        if statement.resources or statement.principals is None:
            message = f"{statement}: a trust policy has principals and no resources"
            raise ValueError(message)
    return _document(statements)


def _document(statements: Sequence[Statement]) -> str:
    if not statements:
        message = "a policy without a statement; leave the policy out"
        raise ValueError(message)
    rendered = [statement.render() for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": rendered}, sort_keys=True)


def service_trust(service: str, *, conditions: Conditions | None = None) -> Statement:
    """Trust for an AWS service, such as `eks.amazonaws.com`, to assume a role."""
    return Statement(actions=["sts:AssumeRole"], principals={"Service": [service]}, conditions=conditions or {})


class Role(Construct):
    """An IAM role on the environment's path, limited by a permissions boundary.

    `policies` are inline policies by name, which are deleted with the role. `managed_policies` are names of AWS managed
    policies. Sessions last at most one hour, unless `max_session_seconds` is set. `permissions` are the policies and
    attachments that resources which use the role must depend on.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        name: str,
        description: str,
        trust: Sequence[Statement],
        permissions_boundary: str | None,
        path: str | None = None,
        policies: Mapping[str, str] | None = None,
        managed_policies: Sequence[str] = (),
        max_session_seconds: int | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self._role = IamRole(
            self,
            "role",
            name=location.name(name),
            path=path or location.iam_path,
            description=description,
            assume_role_policy=trust_policy(*trust),
            permissions_boundary=permissions_boundary,
            max_session_duration=max_session_seconds,
        )
        self.permissions: list[ITerraformDependable] = [
            IamRolePolicy(self, policy, name=policy, role=self._role.name, policy=document)
            for policy, document in (policies or {}).items()
        ]
        self.arn: str = self._role.arn
        self.name: str = self._role.name
        for policy in managed_policies:
            self.attach(policy.rsplit("/", maxsplit=1)[-1], location.managed_policy_arn(policy))

    def attach(self, id_: str, policy_arn: str) -> None:
        """Attach a managed policy."""
        self.permissions.append(IamRolePolicyAttachment(self, id_, role=self.name, policy_arn=policy_arn))
