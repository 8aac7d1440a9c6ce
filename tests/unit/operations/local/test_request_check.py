"""The check of requests against the API models of AWS."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import pytest
from botocore.model import OperationModel
from botocore.serialize import create_serializer

from operations.local import request_check
from operations.local.request_check import Request

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
USED = (
    "acm", "backup", "budgets", "cognito-idp", "dynamodb", "ec2", "ecr", "eks", "elasticfilesystem",
    "elasticloadbalancing", "events", "iam", "kms", "logs", "monitoring", "rds", "route53", "s3", "secretsmanager",
    "sns", "sqs", "ssm", "sts", "wafv2",
)  # fmt: skip
"""The services that a platform of this kind uses, by their names in MiniStack."""


def operation(service: str, name: str) -> OperationModel:
    return next(model.operation_model(name) for model in request_check.models(service) if name in model.operation_names)


def request(service: str, model: OperationModel, members: dict[str, Any]) -> Request:
    """The request that botocore would send for an operation, without its validation."""
    protocol = model.service_model.metadata["protocol"].replace("smithy-rpc-v2-cbor", "query")
    sent: Any = create_serializer(protocol, include_validation=False).serialize_to_request(members, model)
    body = urlencode(sent["body"]) if isinstance(sent["body"], dict) else sent["body"]
    url = urlsplit(sent["url_path"])
    query = parse_qs(url.query, keep_blank_values=True)
    for key, value in dict(sent["query_string"]).items():
        query[key] = value if isinstance(value, list) else [json.dumps(value).strip('"')]
    headers = {key.lower(): value for key, value in sent["headers"].items()}
    body = body if isinstance(body, bytes) else body.encode()
    return Request(service, sent["method"], unquote(url.path), headers, body, query)


def refusal(service: str, name: str, members: dict[str, Any]) -> tuple[str, str] | None:
    """The error code and the message for a request."""
    answer = request_check.refusal(request(service, operation(service, name), members))
    if answer is None:
        return None
    status, headers, body = answer
    assert status == 400
    if headers["Content-Type"] == "application/json":
        document = json.loads(body)
        return document["__type"], document["message"]
    found = re.search("<Code>(.+)</Code><Message>(.+)</Message>", body.decode(), re.DOTALL)
    assert found is not None
    return found[1], found[2]


# --- parsing ----------------------------------------------------------------------------------------------------------


def _sample(shape: Any, path: tuple[str, ...] = ()) -> Any:
    """A value with every member of a shape, except those whose values have no single form."""
    kind = shape.type_name
    if shape.name in path or len(path) > 6 or kind in {"blob", "timestamp"} or shape.metadata.get("document"):
        return None
    path = (*path, shape.name)
    if kind == "structure":
        members = {name: _sample(member, path) for name, member in shape.members.items()}
        return {name: value for name, value in members.items() if value is not None} or None
    if kind == "list":
        item = _sample(shape.member, path)
        return None if item is None else [item, item]
    if kind == "map":
        item = _sample(shape.value, path)
        is_prefix = shape.serialization.get("location")  # of headers or of query parameters, which are not parsed
        return None if item is None or is_prefix else {"key": item}
    return {"string": "text", "boolean": True, "float": 1.5, "double": 1.5}.get(kind, 2)


def _operations() -> Iterator[tuple[str, OperationModel]]:
    for service in USED:
        for model in request_check.models(service):
            for name in model.operation_names:
                found = model.operation_model(name)
                same_as_list_buckets = name == "ListDirectoryBuckets"  # except for the host name
                if found.input_shape and not (found.deprecated or found.has_streaming_input or same_as_list_buckets):
                    yield service, found


@pytest.mark.slow
def test_every_operation_of_the_used_services_is_parsed_as_it_was_sent() -> None:
    wrong = []
    for service, model in _operations():
        members = _sample(model.input_shape) or {}
        sent = request(service, model, members)
        found = request_check.operation_of(sent)
        if found is None or found is not model:
            wrong.append(f"{model.name} of {service} is taken for {found and found.name}")
        elif request_check.members_of(sent, found) != members:
            wrong.append(f"{model.name} of {service}: {request_check.members_of(sent, found)} instead of {members}")
    assert wrong == []


RULE = {"IpProtocol": "tcp", "FromPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "10.1.0.0/16"}]}
NETWORK = {"subnetIds": ["subnet-1", "subnet-2"], "endpointPrivateAccess": True}
LIFECYCLE = {"Rules": [{"ID": "one", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 7}}]}
RECORDS = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": {"Name": "a.example.com", "Type": "A", "TTL": 60}}]}


@pytest.mark.parametrize(
    ("service", "name", "members"),
    [
        ("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "sg-1", "IpPermissions": [RULE, RULE]}),
        ("iam", "CreateRole", {"RoleName": "a", "MaxSessionDuration": 3600, "Tags": [{"Key": "a", "Value": "b"}]}),
        ("rds", "CreateDBInstance", {"DBInstanceIdentifier": "a", "VpcSecurityGroupIds": ["sg-1", "sg-2"]}),
        ("sns", "CreateTopic", {"Name": "a", "Attributes": {"DisplayName": "A", "FifoTopic": "true"}}),
        ("dynamodb", "PutItem", {"TableName": "a", "Item": {"id": {"L": [{"S": "x"}, {"M": {"n": {"N": "1"}}}]}}}),
        ("eks", "CreateCluster", {"name": "dev", "resourcesVpcConfig": NETWORK, "tags": {"a": "b"}}),
        ("eks", "UntagResource", {"resourceArn": "arn:aws:eks:a:1:cluster/dev", "tagKeys": ["a", "b"]}),
        ("eks", "ListClusters", {"maxResults": 5}),
        ("backup", "DeleteBackupVault", {"BackupVaultName": "data"}),
        ("s3", "PutBucketLifecycleConfiguration", {"Bucket": "b", "LifecycleConfiguration": LIFECYCLE}),
        ("s3", "GetObjectAttributes", {"Bucket": "b", "Key": "a/b", "ObjectAttributes": ["ETag", "ObjectSize"]}),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "a/", "MaxKeys": 7, "FetchOwner": True}),
        ("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"}),
        ("route53", "ChangeResourceRecordSets", {"HostedZoneId": "Z1", "ChangeBatch": RECORDS}),
        ("lambda", "Invoke", {"FunctionName": "a", "Payload": b"{}", "InvocationType": "Event"}),
    ],
)
def test_a_request_is_parsed(service: str, name: str, members: dict[str, Any]) -> None:
    sent = request(service, operation(service, name), members)
    found = request_check.operation_of(sent)
    assert found is operation(service, name)
    assert request_check.members_of(sent, found) == members


# --- violations -------------------------------------------------------------------------------------------------------


BAD_RULE = {"IpProtocol": "tcp", "FromPort": "https"}


@pytest.mark.parametrize(
    ("service", "name", "members", "code", "message"),
    [
        # required members
        ("eks", "CreateCluster", {"name": "dev"}, "ValidationException",
         ('Missing required parameter in input: "roleArn"\n'
         'Missing required parameter in input: "resourcesVpcConfig"')),
        ("ec2", "CreateSubnet", {"CidrBlock": "10.0.0.0/24"}, "InvalidParameterValue",
         'Missing required parameter in input: "VpcId"'),
        # enumerations
        ("kms", "CreateKey", {"KeyUsage": "SIGN"}, "ValidationException",
         ("Invalid value for parameter KeyUsage, value: SIGN, "
         "valid values: SIGN_VERIFY, ENCRYPT_DECRYPT, GENERATE_VERIFY_MAC, KEY_AGREEMENT")),
        ("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "On"}}, "InvalidArgument",
         "Invalid value for parameter VersioningConfiguration.Status, value: On, valid values: Enabled, Suspended"),
        ("s3", "CreateBucket", {"Bucket": "b", "ACL": "hidden"}, "InvalidArgument",
         ("Invalid value for parameter ACL, value: hidden, "
         "valid values: private, public-read, public-read-write, authenticated-read")),
        # patterns and lengths
        ("iam", "CreateUser", {"UserName": "a b"}, "ValidationError",
         r"Invalid value for parameter UserName, value: a b, valid pattern: [\w+=,.@-]+"),
        ("iam", "TagUser", {"UserName": "a", "Tags": [{"Key": "Cost (KRW)", "Value": ""}]}, "ValidationError",
         r"Invalid value for parameter Tags[0].Key, value: Cost (KRW), valid pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+"),
        ("eks", "CreateNodegroup", {"clusterName": "a", "nodegroupName": "b", "subnets": [], "nodeRole": "c",
                                    "labels": {"role": "x" * 64}}, "ValidationException",
         f"Invalid length for parameter labels.role, value: {'x' * 64}, valid max length: 63"),
        ("ecr", "DescribeRepositories", {"repositoryNames": ["ab"] * 101}, "ValidationException",
         f"Invalid length for parameter repositoryNames, value: {['ab'] * 101}, valid max length: 100"),
        ("ecr", "BatchGetImage", {"repositoryName": "ab", "imageIds": []}, "ValidationException",
         "Invalid length for parameter imageIds, value: 0, valid min length: 1"),
        # numbers
        ("iam", "CreateRole", {"RoleName": "a", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 60},
         "ValidationError", "Invalid value for parameter MaxSessionDuration, value: 60, valid min value: 3600"),
        ("iam", "CreateRole", {"RoleName": "a", "AssumeRolePolicyDocument": "{}", "MaxSessionDuration": 86400},
         "ValidationError", "Invalid value for parameter MaxSessionDuration, value: 86400, valid max value: 43200"),
        ("route53", "ListHostedZones", {"MaxItems": "x", "HostedZoneType": "Private"}, "InvalidInput",
         "Invalid value for parameter HostedZoneType, value: Private, valid values: PrivateHostedZone"),
        # types
        ("ec2", "AuthorizeSecurityGroupIngress", {"IpPermissions": [BAD_RULE]}, "InvalidParameterValue",
         ("Invalid type for parameter IpPermissions[0].FromPort, value: https, "
         "type: &lt;class 'str'&gt;, valid types: &lt;class 'int'&gt;")),
    ],
)  # fmt: skip
def test_refuses_what_violates_the_model(
    service: str, name: str, members: dict[str, Any], code: str, message: str
) -> None:
    assert refusal(service, name, members) == (code, f"{name}: {message}")


def test_refuses_unknown_members_in_json() -> None:
    body = json.dumps({"name": "dev", "roleArn": "a", "resourcesVpcConfig": {"subnets": ["a"], "subnetIds": None}})
    answer = request_check.refusal(Request("eks", "POST", "/clusters", {}, body.encode()))
    assert answer is not None
    message = json.loads(answer[2])["message"]
    assert message.startswith('CreateCluster: Unknown parameter in resourcesVpcConfig: "subnets", must be one of: ')


def test_refuses_unknown_parameters_of_ec2_but_not_of_other_query_services() -> None:
    body = b"Action=DescribeVpcs&Version=2016-11-15&Vpc.1=vpc-1"
    answer = request_check.refusal(Request("ec2", "POST", "/", FORM, body))
    assert answer is not None
    assert b'DescribeVpcs: Unknown parameter in input: "Vpc", must be one of: Filters, ' in answer[2]
    body = b"Action=GetUser&Version=2010-05-08&User=a"
    assert request_check.refusal(Request("iam", "POST", "/", FORM, body)) is None


def test_refuses_a_list_or_structure_where_a_value_belongs() -> None:
    answer = request_check.refusal(Request("ec2", "POST", "/", FORM, b"Action=DescribeVpcs&MaxResults.1=5"))
    assert answer is not None
    assert b"DescribeVpcs: Invalid type for parameter MaxResults, value: {'1': '5'}, " in answer[2]


def test_an_error_in_xml_has_no_characters_that_xml_has_not() -> None:
    _, message = refusal("iam", "GetRole", {"RoleName": "a\0<b>"}) or ("", "")
    assert message == r"GetRole: Invalid value for parameter RoleName, value: a?&lt;b&gt;, valid pattern: [\w+=,.@-]+"


def test_an_error_has_the_form_of_the_protocol() -> None:
    refused = {
        ("ec2", "CreateSubnet"): b"<Response><Errors><Error><Code>InvalidParameterValue</Code>",
        ("iam", "GetRole"): b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>",
        ("route53", "CreateHostedZone"): b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidInput</Code>",
    }
    for (service, name), start in refused.items():
        answer = request_check.refusal(request(service, operation(service, name), {}))
        assert answer is not None
        assert answer[2].startswith(start)
    members = {"Bucket": "b", "VersioningConfiguration": {"Status": "x"}}
    answer = request_check.refusal(request("s3", operation("s3", "PutBucketVersioning"), members))
    assert answer is not None
    assert answer[2].startswith(b"<Error><Code>InvalidArgument</Code>")


# --- what is left to MiniStack ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        Request("imds", "GET", "/latest/meta-data", {}),
        Request("ec2", "POST", "/", FORM, b"Action=NoSuchAction"),
        Request("eks", "GET", "/no/such/path", {}),
        Request("kms", "POST", "/", {"x-amz-target": "TrentService.NoSuchAction"}),
        Request("kms", "POST", "/", {"x-amz-target": "TrentService.ListKeys"}, b"no JSON"),
        Request("kms", "POST", "/", {"x-amz-target": "TrentService.ListKeys"}, b"[]"),
        Request("sns", "POST", "/", FORM, b"Action=CreateTopic&Name=a&Attributes.entry.1=x"),
        Request("s3", "PUT", "/b", {}, b"no XML", {"versioning": [""]}),
        Request("s3", "PUT", "/b/key", {"x-amz-meta-any": "thing"}, bytes(range(256))),
        Request("s3", "GET", "/", {}),
        Request("monitoring", "POST", "/", {"smithy-protocol": "rpc-v2-cbor"}, b"\xa0"),
        Request("sts", "GET", "/", {}, b"", {"Action": ["GetCallerIdentity"], "X-Amz-Algorithm": ["x"]}),
        Request("ec2", "POST", "/", FORM, b"Action=CreateVpc&CidrBlock=10.0.0.0%2F16&InstanceTenancy="),
        Request("lambda", "POST", "/2015-03-31/functions/a/invocations", {}, b""),
    ],
    ids=lambda sent: f"{sent.service} {sent.method} {sent.path}",
)
def test_what_cannot_be_checked_is_not_refused(sent: Request) -> None:
    assert request_check.refusal(sent) is None


def test_an_empty_list_is_not_refused_in_a_query() -> None:
    members: dict[str, Any] = {"DBInstanceIdentifier": "a", "VpcSecurityGroupIds": []}
    assert refusal("rds", "ModifyDBInstance", members) is None


def test_an_action_of_two_versions_of_a_service_is_the_one_of_the_version() -> None:
    bodies = [f"Action=DescribeLoadBalancers&Version={version}".encode() for version in ("2012-06-01", "2015-12-01")]
    found = [request_check.operation_of(Request("elasticloadbalancing", "POST", "/", FORM, body)) for body in bodies]
    assert [model and model.service_model.service_name for model in found] == ["elb", "elbv2"]


def test_only_these_patterns_cannot_be_compiled() -> None:
    patterns = {
        pattern
        for service in USED
        for model in request_check.models(service)
        for name in model.shape_names
        if (pattern := model.shape_for(name).metadata.get("pattern"))
    }
    assert len(patterns) > 300
    assert {pattern for pattern in patterns if request_check.compiled(pattern) is None} == {
        r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*",  # AutoScalingRoleArn of DynamoDB
        r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*",  # AuditContext of S3 Control
        r"[\w-_]*",  # ResourceType of CloudWatch Logs
        r"\p{ASCII}+",  # CidrNonce of Route 53
        r"\p{Print}+",  # AutoScalingPolicyName of DynamoDB
        r"^(?![^:\\]*/action/|(?i).*<script>.*</script>.*)[^:\\]+$",  # BudgetName of Budgets
        r"^arn:aws[a-z0-9-]*:iam::\d{12}:role\/[\w-\/.@+=,]{1,1017}$",  # CloudConnectorIamRoleArn of Systems Manager
    }
