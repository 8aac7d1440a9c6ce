"""The IAM policies of a stack, and their evaluation."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from ministack.core.iam_evaluator import (  # type: ignore[import-untyped]
    EvalContext,
    ParsedStatement,
    evaluate,
    parse_policy_document,
)

from tests.template import Json, Template

_IDENTITY = {"aws_iam_policy": "policy", "aws_iam_role_policy": "policy"}
_TRUST = {"aws_iam_role": "assume_role_policy"}
_RESOURCE = {
    "aws_efs_file_system_policy": "policy",
    "aws_kms_key": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_sqs_queue_policy": "policy",
}


class Policy(NamedTuple):
    """The address of the resource with a policy, and the text of the policy."""

    address: str
    text: str

    @property
    def statements(self) -> list[Json]:
        statements: list[Json] = json.loads(self.text)["Statement"]
        return statements


def identity_policies(template: Template) -> list[Policy]:
    """The permissions policies of roles, including boundaries."""
    return list(_policies(template, _IDENTITY))


def trust_policies(template: Template) -> list[Policy]:
    """The trust policies of roles."""
    return list(_policies(template, _TRUST))


def resource_policies(template: Template) -> list[Policy]:
    """The resource policies of keys, buckets, queues and file systems."""
    return list(_policies(template, _RESOURCE))


def all_policies(template: Template) -> list[Policy]:
    """All policies of a stack. Fails if a resource of another type has a policy."""
    known = {**_IDENTITY, **_TRUST, **_RESOURCE}
    for kind, name, arguments in template.all_resources():
        for attribute, value in arguments.items():
            is_policy = isinstance(value, str) and '"Statement"' in value
            assert not is_policy or known.get(kind) == attribute, f"{kind}.{name}: add its policy to tests/policies.py"
    return list(_policies(template, known))


def _policies(template: Template, kinds: Mapping[str, str]) -> Iterator[Policy]:
    for kind, name, arguments in template.all_resources():
        if kind in kinds:
            yield Policy(f"{kind}.{name}", arguments[kinds[kind]])


def statement(policy: Json, sid: str) -> Json:
    """The statement with this `Sid`."""
    found: Json
    (found,) = [statement for statement in policy["Statement"] if statement.get("Sid") == sid]
    return found


class Role:
    """A role of a stack, and the permissions by its policies and its boundary, without AWS managed policies.

    A boundary can be evaluated only in the stack that creates it. Set `boundary` to None to evaluate only the policies.
    """

    def __init__(self, template: Template, name: str) -> None:
        self.arguments = template.resources("aws_iam_role")[name]
        self.trust: Json = json.loads(self.arguments["assume_role_policy"])
        self.inline = [
            policy["policy"]
            for policy in template.resources("aws_iam_role_policy").values()
            if policy["role"] == f"${{aws_iam_role.{name}.name}}"
        ]
        attachments = [
            attachment["policy_arn"]
            for attachment in template.resources("aws_iam_role_policy_attachment").values()
            if attachment["role"] == f"${{aws_iam_role.{name}.name}}"
        ]
        self.aws_managed = sorted(arn.rsplit("/", maxsplit=1)[-1] for arn in attachments if arn.startswith("arn:"))
        self.managed = [_policy(template, arn) for arn in attachments if not arn.startswith("arn:")]
        self._template = template
        self.boundary = self.arguments.get("permissions_boundary")

    def may(self, action: str, resource: str, *, tags: Mapping[str, str], **context: str) -> bool:
        """Whether `action` on `resource`, which has these tags, is allowed for a request with these condition keys."""
        context |= {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        request = EvalContext(
            principal_arn="arn:aws:iam::123456789012:role/test",
            principal_type="AssumedRole",
            principal_account="123456789012",
            action=action,
            resource_arn=resource,
            region=context.get("aws:RequestedRegion", "ap-northeast-2"),
            service_context={key.lower(): value for key, value in context.items()},
        )
        policies = [_parsed(policy) for policy in (*self.inline, *self.managed)]
        limits = [[_parsed(_policy(self._template, self.boundary))]] if self.boundary else []
        return bool(evaluate(request, policies, *limits).decision == "Allow")

    @property
    def statements(self) -> list[Json]:
        """All statements of all policies of the role."""
        return [statement for text in (*self.inline, *self.managed) for statement in json.loads(text)["Statement"]]


@cache
def _parsed(text: str) -> list[ParsedStatement]:
    parsed: list[ParsedStatement] = parse_policy_document(text)
    return parsed


def _policy(template: Template, reference: str) -> str:
    name = re.fullmatch(r"\$\{aws_iam_policy\.(.+)\.arn\}", reference)
    assert name is not None, reference
    text: str = template.resources("aws_iam_policy")[name[1]]["policy"]
    return text
