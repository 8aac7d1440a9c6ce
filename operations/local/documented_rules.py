"""Rules of AWS on a single request that stand in its documentation only, not in its API models."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any, NamedTuple

Members = Mapping[str, Any]


class Violation(NamedTuple):
    """An error code of AWS, and a message."""

    code: str
    message: str


_RULES: dict[tuple[str, str], list[Callable[[Members], Iterator[Violation]]]] = {}
"""The functions that check the members of a request, by botocore's name of the service and the operation."""


def violations(service: str, operation: str, members: Members) -> Iterator[Violation]:
    """The violations of a request whose members are valid in the API model."""
    for rule in _RULES.get((service, operation), ()):
        yield from rule(members)


def _rule(service: str, *operations: str) -> Callable[..., Callable[[Members], Iterator[Violation]]]:
    def register(rule: Callable[[Members], Iterator[Violation]]) -> Callable[[Members], Iterator[Violation]]:
        for operation in operations:
            _RULES.setdefault((service, operation), []).append(rule)
        return rule

    return register


# --- EC2 --------------------------------------------------------------------------------------------------------------

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html and API_IpRange.html
_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")


@_rule("ec2", "CreateSecurityGroup")
def _security_group(members: Members) -> Iterator[Violation]:
    name = members["GroupName"]
    yield from _text("GroupName", name)
    yield from _text("GroupDescription", members["Description"])
    if name.startswith("sg-"):
        yield Violation("InvalidParameterValue", f"GroupName: {name}: group names cannot start with sg-")


@_rule("ec2", "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "ModifySecurityGroupRules")
@_rule("ec2", "UpdateSecurityGroupRuleDescriptionsEgress", "UpdateSecurityGroupRuleDescriptionsIngress")
def _descriptions(members: Members) -> Iterator[Violation]:
    yield from _text("Description", members.get("Description", ""))
    for value in members.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from _descriptions(item)


def _text(name: str, value: str) -> Iterator[Violation]:
    if not _TEXT.fullmatch(value):
        rule = "valid are up to 255 of the characters a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*"
        yield Violation("InvalidParameterValue", f"{name}: {value}: {rule}")


# --- EKS --------------------------------------------------------------------------------------------------------------

# `KubernetesNetworkConfigRequest` in botocore 1.43
_SERVICES = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_SIZES_OF_SERVICES = range(12, 25)


@_rule("eks", "CreateCluster")
def _addresses_of_services(members: Members) -> Iterator[Violation]:
    addresses = members.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
    if addresses is None:
        return
    network = IPv4Network(addresses)
    if network.prefixlen not in _SIZES_OF_SERVICES or not any(network.subnet_of(private) for private in _SERVICES):
        rule = "must be between /24 and /12, in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        yield Violation("InvalidParameterException", f"serviceIpv4Cidr: {addresses}: {rule}")


# https://docs.aws.amazon.com/eks/latest/userguide/auto-enable-existing.html
@_rule("eks", "CreateCluster", "UpdateClusterConfig")
def _auto_mode(members: Members) -> Iterator[Violation]:
    balancing = members.get("kubernetesNetworkConfig", {}).get("elasticLoadBalancing", {})
    capabilities = {
        "computeConfig": members.get("computeConfig", {}).get("enabled", False),
        "kubernetesNetworkConfig.elasticLoadBalancing": balancing.get("enabled", False),
        "storageConfig.blockStorage": members.get("storageConfig", {}).get("blockStorage", {}).get("enabled", False),
    }
    if len(set(capabilities.values())) > 1:
        message = f"{capabilities}: the capabilities of EKS Auto Mode must all be enabled or disabled"
        yield Violation("InvalidParameterException", message)


# --- IAM --------------------------------------------------------------------------------------------------------------

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: characters without white space; that of
# trust policies is a default, the others cannot be changed.
_MANAGED_POLICY = 6144
_TRUST_POLICY = 2048
ROLE_POLICIES = 10240
"""The maximum size of all inline policies of a role."""


def size(policy: str) -> int:
    """The number of characters of a policy that count for IAM's quotas."""
    return len(re.sub(r"\s", "", policy))


@_rule("iam", "CreatePolicy", "CreatePolicyVersion")
def _managed_policy(members: Members) -> Iterator[Violation]:
    policy = members["PolicyDocument"]
    yield from _identity_policy(members)
    if size(policy) > _MANAGED_POLICY:
        yield Violation("LimitExceeded", f"PolicyDocument: {size(policy)} characters: the maximum is {_MANAGED_POLICY}")


@_rule("iam", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy")
def _identity_policy(members: Members) -> Iterator[Violation]:
    yield from _policy(members["PolicyDocument"], required=["Resource"], prohibited=["Principal"])


@_rule("iam", "CreateRole", "UpdateAssumeRolePolicy")
def _trust_policy(members: Members) -> Iterator[Violation]:
    policy = members.get("AssumeRolePolicyDocument") or members["PolicyDocument"]
    yield from _policy(policy, required=["Principal"], prohibited=[])
    if size(policy) > _TRUST_POLICY:
        yield Violation("LimitExceeded", f"Trust policy: {size(policy)} characters: the maximum is {_TRUST_POLICY}")


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
def _policy(document: str, *, required: list[str], prohibited: list[str]) -> Iterator[Violation]:
    try:
        statements = json.loads(document)["Statement"]
        statements = [dict(item) for item in (statements if isinstance(statements, list) else [statements])]
    except (ValueError, TypeError, KeyError):
        rule = "a policy is a JSON object with statements, which are objects"
        yield Violation("MalformedPolicyDocument", f"{document}: {rule}")
        return
    for statement in statements:
        if statement.get("Effect") not in ["Allow", "Deny"]:
            yield Violation("MalformedPolicyDocument", f"{statement}: Effect must be Allow or Deny")
        for element in ["Action", *required]:
            if not (statement.get(element) or statement.get(f"Not{element}")):
                yield Violation("MalformedPolicyDocument", f"{statement}: lacks {element} or Not{element}")
        for element in prohibited:
            if statement.keys() & {element, f"Not{element}"}:
                yield Violation("MalformedPolicyDocument", f"{statement}: {element} is not allowed here")


# --- RDS --------------------------------------------------------------------------------------------------------------


# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
@_rule("rds", "CreateDBInstance")
def _autoscaled_storage(members: Members) -> Iterator[Violation]:
    now, most = members.get("AllocatedStorage"), members.get("MaxAllocatedStorage")
    if now and most and most * 10 < now * 11:
        rule = f"must be at least 10% more than AllocatedStorage: {now}"
        yield Violation("InvalidParameterCombination", f"MaxAllocatedStorage: {most}: {rule}")


@_rule("rds", "ModifyDBInstance")
def _changed_storage(members: Members) -> Iterator[Violation]:
    if members.get("AllocatedStorage") != members.get("MaxAllocatedStorage"):  # the same number turns autoscaling off
        yield from _autoscaled_storage(members)
