"""The rules on a single request that stand in AWS's documentation only."""

import json
from typing import Any

import pytest

from operations.local.documented_rules import size, violations

RULE = "valid are up to 255 of the characters a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}


def found(service: str, operation: str, members: dict[str, Any]) -> list[tuple[str, str]]:
    return [(code, message) for code, message in violations(service, operation, members)]


def described(description: str, kind: str = "IpRanges") -> dict[str, Any]:
    return {"IpPermissions": [{"IpProtocol": "-1"}, {kind: [{}, {"Description": description}]}]}


def policy(*statements: dict[str, Any], operation: str = "CreatePolicy", indent: int | None = None) -> list[str]:
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=indent)
    name = "AssumeRolePolicyDocument" if operation == "CreateRole" else "PolicyDocument"
    codes = {"MalformedPolicyDocument", "LimitExceeded"}
    violated = found("iam", operation, {name: document})
    assert {code for code, _ in violated} <= codes
    return [message.removeprefix(f"{statements[0]}: ") for _, message in violated]


@pytest.mark.parametrize("description", ["", "a Z 0 ._-:/()#,@[]+=&;{}!$*", "x" * 255])
def test_accepts_a_description(description: str) -> None:
    assert found("ec2", "AuthorizeSecurityGroupIngress", described(description)) == []
    assert found("ec2", "CreateSecurityGroup", {"GroupName": "a", "Description": description}) == []


@pytest.mark.parametrize("description", ["The cluster's API", "a%b", "é", "x" * 256, "a\nb", "a?"])
def test_rejects_a_description(description: str) -> None:
    code = "InvalidParameterValue"
    assert found("ec2", "CreateSecurityGroup", {"GroupName": "a", "Description": description}) == [
        (code, f"GroupDescription: {description}: {RULE}")
    ]
    for kind in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"):
        for operation in ("AuthorizeSecurityGroupEgress", "UpdateSecurityGroupRuleDescriptionsIngress"):
            expected = [(code, f"Description: {description}: {RULE}")]
            assert found("ec2", operation, described(description, kind)) == expected
    modified = {"SecurityGroupRules": [{"SecurityGroupRule": {"Description": description}}]}
    assert found("ec2", "ModifySecurityGroupRules", modified) == [(code, f"Description: {description}: {RULE}")]


def test_rejects_a_name_of_a_security_group() -> None:
    names = [found("ec2", "CreateSecurityGroup", {"GroupName": name, "Description": "a"}) for name in ("sg-a", "it's")]
    assert names == [
        [("InvalidParameterValue", "GroupName: sg-a: group names cannot start with sg-")],
        [("InvalidParameterValue", f"GroupName: it's: {RULE}")],
    ]


@pytest.mark.parametrize("addresses", [None, "10.96.0.0/12", "172.20.0.0/16", "192.168.1.0/24"])
def test_accepts_addresses_of_services(addresses: str | None) -> None:
    network = {} if addresses is None else {"kubernetesNetworkConfig": {"serviceIpv4Cidr": addresses}}
    assert found("eks", "CreateCluster", network) == []


@pytest.mark.parametrize("addresses", ["10.0.0.0/11", "172.20.0.0/25", "100.64.0.0/16"])
def test_rejects_addresses_of_services(addresses: str) -> None:
    rule = "must be between /24 and /12, in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    assert found("eks", "CreateCluster", {"kubernetesNetworkConfig": {"serviceIpv4Cidr": addresses}}) == [
        ("InvalidParameterException", f"serviceIpv4Cidr: {addresses}: {rule}")
    ]


def test_accepts_policies() -> None:
    assert policy(ALLOW, {"Effect": "Deny", "NotAction": ["s3:*"], "NotResource": ["*"]}) == []
    assert policy(ALLOW, operation="PutRolePolicy") == []
    assert policy(TRUST, operation="CreateRole") == []
    assert policy({**TRUST, "NotPrincipal": {"AWS": "*"}}, operation="UpdateAssumeRolePolicy") == []
    assert found("iam", "PutUserPolicy", {"PolicyDocument": json.dumps({"Statement": ALLOW})}) == []


@pytest.mark.parametrize("operation", ["CreatePolicy", "CreatePolicyVersion", "PutRolePolicy", "PutGroupPolicy"])
def test_rejects_statements_of_identity_policies(operation: str) -> None:
    assert policy({"Effect": "Allow"}, operation=operation) == [
        "lacks Action or NotAction",
        "lacks Resource or NotResource",
    ]
    assert policy({**ALLOW, "Action": []}, operation=operation) == ["lacks Action or NotAction"]
    assert policy({**ALLOW, "Principal": "*"}, operation=operation) == ["Principal is not allowed here"]
    assert policy({**ALLOW, "Effect": "allow"}, operation=operation) == ["Effect must be Allow or Deny"]


@pytest.mark.parametrize("operation", ["CreateRole", "UpdateAssumeRolePolicy"])
def test_rejects_statements_of_trust_policies(operation: str) -> None:
    assert policy({"Effect": "Allow"}, operation=operation) == [
        "lacks Action or NotAction",
        "lacks Principal or NotPrincipal",
    ]


@pytest.mark.parametrize("document", ["no JSON", "[]", "{}", '"text"', '{"Statement": "text"}', '{"Statement": [1]}'])
def test_rejects_what_is_no_policy(document: str) -> None:
    assert found("iam", "CreatePolicy", {"PolicyDocument": document}) == [
        ("MalformedPolicyDocument", f"{document}: a policy is a JSON object with statements, which are objects")
    ]


@pytest.mark.parametrize(
    ("operation", "statement", "maximum"), [("CreatePolicyVersion", ALLOW, 6144), ("CreateRole", TRUST, 2048)]
)
def test_rejects_policies_above_the_quota(operation: str, statement: dict[str, Any], maximum: int) -> None:
    used = size(json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Sid": ""}]}))
    longest = {**statement, "Sid": "x" * (maximum - used)}
    assert policy(longest, operation=operation, indent=8) == []
    (message,) = policy({**longest, "Sid": f"x{longest['Sid']}"}, operation=operation)
    assert message.endswith(f"{maximum + 1} characters: the maximum is {maximum}")


def test_capabilities_of_auto_mode_are_enabled_together() -> None:
    compute, storage = {"computeConfig": {"enabled": True}}, {"storageConfig": {"blockStorage": {"enabled": True}}}
    network = {"kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}}}
    assert found("eks", "CreateCluster", {}) == []
    assert found("eks", "CreateCluster", {**compute, **storage, **network}) == []
    ((code, message),) = found("eks", "UpdateClusterConfig", {**compute, **storage})
    assert code == "InvalidParameterException"
    assert "'kubernetesNetworkConfig.elasticLoadBalancing': False" in message


def test_autoscaled_storage_is_at_least_a_tenth_above_the_allocated() -> None:
    def storage(operation: str, now: int, most: int) -> list[tuple[str, str]]:
        return found("rds", operation, {"AllocatedStorage": now, "MaxAllocatedStorage": most})

    code = "InvalidParameterCombination"
    for operation in ("CreateDBInstance", "ModifyDBInstance"):
        assert storage(operation, 1000, 1100) == []
        message = "MaxAllocatedStorage: 1099: must be at least 10% more than AllocatedStorage: 1000"
        assert storage(operation, 1000, 1099) == [(code, message)]
        assert found("rds", operation, {"AllocatedStorage": 20}) == []
    message = "MaxAllocatedStorage: 20: must be at least 10% more than AllocatedStorage: 20"
    assert storage("CreateDBInstance", 20, 20) == [(code, message)]
    assert storage("ModifyDBInstance", 20, 20) == []  # turns autoscaling off
