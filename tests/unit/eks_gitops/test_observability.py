"""Access logs, a web ACL, logs of containers, backups of clusters and GuardDuty, all off in the example settings."""

import json

import pytest

from eks_gitops.delivery import apply_environment_policy
from eks_gitops.delivery.boundary import statements
from eks_gitops.dns import LONGEST_DOMAIN
from eks_gitops.iam import policy_document
from eks_gitops.location import Location
from eks_gitops.observability import Observability
from eks_gitops.threat_detection import ThreatDetection, ThreatDetectionConfig
from eks_gitops.web_acl import WebAcl, WebAclConfig
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Json, Template, every_stack, one_stack

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:ap-northeast-2:{ACCOUNT}:security"
DEV, SHARED = "ap-northeast-2-dev", "ap-northeast-2-shared"
BUCKET = "your-org-ap-northeast-2-dev-access-logs"
WEB_ACL = f"arn:aws:wafv2:ap-northeast-2:{ACCOUNT}:regional/webacl"
DETECTOR = f"arn:aws:guardduty:ap-northeast-2:{ACCOUNT}:detector/12abc34d567e8fa901bc2d34e56789f0"
CONTAINERS = f"arn:aws:logs:ap-northeast-2:{ACCOUNT}:log-group:/aws/eks/gitops-cluster-dev/containers"
LOCATION = Location(account_id=ACCOUNT, region="ap-northeast-2", environment="dev")
TYPES = ("aws_wafv2_web_acl", "aws_cloudwatch_query_definition", "aws_guardduty_detector")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks of the example settings with everything in dev, and GuardDuty in the account."""
    settings = EditedSettings(tmp_path_factory.mktemp("settings"))
    new = (
        '    access_logs={"retention_days": 30},\n    container_logs={"retention_days": 14},\n'
        '    web_acl={"counted_rules": ("SizeRestrictions_BODY",)},\n    backup='
    )
    settings.replace("ap_northeast_2/dev.py", "    backup=", new)
    settings.replace("ap_northeast_2/dev.py", "backup=BackupConfig(", "backup=BackupConfig(clusters=True, ")
    detection = f'threat_detection={{"detector": "platform", "topic_arn": "{TOPIC}"}}'
    settings.replace("ap_northeast_2/shared.py", "owns_github_provider=True", f"owns_github_provider=True, {detection}")
    return every_stack(settings.load(), tmp_path_factory.mktemp("observability"))


def _permitted(template: Template, role: str, action: str, resource: str) -> bool:
    """Whether the policies of a role permit an action. The boundary is in another stack."""
    found = Role(template, role)
    found.boundary = None
    return found.may(action, resource, tags={})


@pytest.mark.parametrize(
    ("action", "resource"),
    [("wafv2:ListWebACLs", "*"), ("logs:PutLogEvents", f"{CONTAINERS}:log-stream:any")],
)
def test_the_boundary_permits_what_the_roles_in_the_cluster_do(
    stacks: dict[str, Template], action: str, resource: str
) -> None:
    role = Role(stacks[SHARED], "apply-dev_role")
    role.inline, role.managed = ['{"Statement": [{"Effect": "Allow", "Action": ["*"], "Resource": ["*"]}]}'], []
    assert role.may(action, resource, tags={})


def _cluster_secret(stacks: dict[str, Template]) -> Json:
    metadata: Json = stacks[f"{DEV}-gitops"].resources("kubernetes_secret_v1")["cluster-secret"]["metadata"]
    return metadata


def _ingress_class(template: Template) -> Json:
    (release,) = [
        release for release in template.resources("helm_release").values() if "load-balancer" in release["chart"]
    ]
    (values,) = release["values"]
    params: Json = json.loads(values)["ingressClassParams"]["spec"]
    return params


def test_without_the_settings_there_is_nothing_of_it(platform: dict[str, Template]) -> None:
    for template in platform.values():
        for kind in TYPES:
            assert not template.resources(kind)
    assert not {"loadBalancerAttributes", "wafv2AclName"} & {*_ingress_class(platform[f"{DEV}-gitops"])}
    assert not _permitted(platform[DEV], "controllers_aws-load-balancer-controller_role", "wafv2:ListWebACLs", "*")
    assert "platform/container-logs" not in _cluster_secret(platform)["labels"]


def test_load_balancer_writes_to_a_private_bucket_that_expires(stacks: dict[str, Template]) -> None:
    attributes = {one["key"]: one["value"] for one in _ingress_class(stacks[f"{DEV}-gitops"])["loadBalancerAttributes"]}
    assert attributes == {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": BUCKET}
    template = stacks[DEV]
    assert template.resources("aws_s3_bucket")["access-logs_bucket"]["bucket"] == BUCKET
    (rule,) = template.resources("aws_s3_bucket_lifecycle_configuration")["access-logs_lifecycle"]["rule"]
    assert rule["expiration"] == [{"days": 30}]
    encryption = template.resources("aws_s3_bucket_server_side_encryption_configuration")["access-logs_encryption"]
    (rule,) = encryption["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"sse_algorithm": "AES256"}


def test_elastic_load_balancing_writes_the_logs_of_the_account_only(stacks: dict[str, Template]) -> None:
    policy = stacks[DEV].document("aws_s3_bucket_policy.access-logs_policy")
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    assert [(one["Action"], one["Principal"]) for one in allowed] == [
        (["s3:PutObject"], {"Service": ["logdelivery.elasticloadbalancing.amazonaws.com"]})
    ]
    assert allowed[0]["Resource"] == [f"arn:aws:s3:::{BUCKET}/AWSLogs/{ACCOUNT}/*"]
    denied = {one["Sid"] for one in policy["Statement"] if one["Effect"] == "Deny"}
    assert denied == {"DenyPlainHttp", "DenyOldTls"}  # not DenyOtherEncryption: it would refuse the logs


def test_ingress_class_names_the_web_acl_which_no_annotation_replaces(stacks: dict[str, Template]) -> None:
    web_acl = stacks[DEV].only("aws_wafv2_web_acl")
    assert _ingress_class(stacks[f"{DEV}-gitops"])["wafv2AclName"] == web_acl["name"] == f"{DEV}-services"
    assert _permitted(stacks[DEV], "controllers_aws-load-balancer-controller_role", "wafv2:ListWebACLs", "*")
    assert (web_acl["scope"], web_acl["default_action"]) == ("REGIONAL", {"allow": {}})


def _rules(config: WebAclConfig) -> dict[str, Json]:
    stack = one_stack(lambda stack: WebAcl(stack, "web-acl", config, location=LOCATION))
    return {rule["name"]: rule for rule in stack.only("aws_wafv2_web_acl")["rule"]}


def test_web_acl_blocks_what_managed_rules_match_and_addresses_with_too_many_requests() -> None:
    rules = _rules(WebAclConfig(counted_rules=("SizeRestrictions_BODY",)))
    assert [rule["priority"] for rule in rules.values()] == [0, 1, 2, 3]
    limit = rules["requests-of-an-address"]
    assert limit["action"] == {"block": {}}
    assert limit["statement"]["rate_based_statement"]["limit"] == 2000
    groups = {}
    for name in ("ip-reputation", "common", "known-bad-inputs"):
        assert rules[name]["override_action"] == {"none": {}}
        groups[name] = rules[name]["statement"]["managed_rule_group_statement"]
    assert {group["vendor_name"] for group in groups.values()} == {"AWS"}
    assert groups["common"]["rule_action_override"] == [
        {"name": "SizeRestrictions_BODY", "action_to_use": {"count": {}}}
    ]
    assert "rule_action_override" not in groups["ip-reputation"]


def test_web_acl_can_count_only_and_have_no_limit() -> None:
    rules = _rules(WebAclConfig(mode="count", requests_per_5_minutes=None))
    assert "requests-of-an-address" not in rules
    assert {json.dumps(rule["override_action"]) for rule in rules.values()} == {'{"count": {}}'}
    assert _rules(WebAclConfig(mode="count"))["requests-of-an-address"]["action"] == {"count": {}}


def test_logs_of_containers_are_encrypted_and_expire(stacks: dict[str, Template]) -> None:
    group = stacks[DEV].resources("aws_cloudwatch_log_group")["container-logs_log-group"]
    assert (group["name"], group["retention_in_days"]) == ("/aws/eks/gitops-cluster-dev/containers", 14)
    assert group["kms_key_id"] == "${aws_kms_key.key.arn}" or group["kms_key_id"].startswith("${aws_kms_key.")
    (of_logs,) = [
        one for one in stacks[DEV].document("aws_kms_key.key")["Statement"] if one.get("Sid") == "CloudWatchLogs"
    ]
    assert CONTAINERS in of_logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("logs:PutLogEvents", f"{CONTAINERS}:log-stream:any", True),
        ("logs:CreateLogStream", f"{CONTAINERS}:log-stream:any", True),
        ("logs:PutLogEvents", f"{CONTAINERS.replace('containers', 'cluster')}:log-stream:any", False),
        ("logs:CreateLogGroup", CONTAINERS, False),
        ("logs:DeleteLogGroup", CONTAINERS, False),
        ("logs:GetLogEvents", f"{CONTAINERS}:log-stream:any", False),
    ],
)
def test_fluent_bit_only_adds_lines(stacks: dict[str, Template], action: str, resource: str, *, allowed: bool) -> None:
    assert _permitted(stacks[DEV], "container-logs_fluent-bit_role", action, resource) is allowed


def test_queries_search_the_containers_and_the_audit_log(stacks: dict[str, Template]) -> None:
    queries = {one["name"]: one for one in stacks[DEV].resources("aws_cloudwatch_query_definition").values()}
    assert {name.partition("/")[0] for name in queries} == {"gitops-cluster-dev"}
    groups = {name.partition("/")[2]: query["log_group_names"] for name, query in queries.items()}
    assert groups["errors-by-service"] == ["/aws/eks/gitops-cluster-dev/containers"]
    assert groups["who-changed-what"] == ["/aws/eks/gitops-cluster-dev/cluster"]


def test_argo_cd_installs_fluent_bit_where_the_log_group_is(stacks: dict[str, Template]) -> None:
    metadata = _cluster_secret(stacks)
    assert metadata["labels"]["platform/container-logs"] == "true"
    assert metadata["annotations"]["platform/container-log-group"] == "/aws/eks/gitops-cluster-dev/containers"


def test_backup_plan_selects_the_clusters(stacks: dict[str, Template]) -> None:
    selected = [one["resources"] for one in stacks[DEV].resources("aws_backup_selection").values()]
    assert [f"arn:aws:eks:ap-northeast-2:{ACCOUNT}:cluster/gitops-cluster-dev"] in selected


def test_guardduty_reads_audit_logs_and_sends_findings(stacks: dict[str, Template]) -> None:
    template = stacks[SHARED]
    assert template.only("aws_guardduty_detector")["enable"] is True
    features = {one["name"]: one for one in template.resources("aws_guardduty_detector_feature").values()}
    assert {name: one["status"] for name, one in features.items()} == {
        "EKS_AUDIT_LOGS": "ENABLED",
        "RUNTIME_MONITORING": "DISABLED",
    }
    pattern = json.loads(template.only("aws_cloudwatch_event_rule")["event_pattern"])
    assert pattern["detail"] == {"severity": [{"numeric": [">=", 4]}]}
    assert template.only("aws_cloudwatch_event_target")["arn"] == TOPIC


def _detection(config: ThreatDetectionConfig) -> Template:
    return one_stack(lambda stack: ThreatDetection(stack, "detection", config, location=LOCATION))


def test_runtime_monitoring_installs_the_agent_in_clusters_only() -> None:
    stack = _detection(ThreatDetectionConfig(detector="platform", runtime_monitoring=True))
    (runtime,) = [
        one for one in stack.resources("aws_guardduty_detector_feature").values() if one["name"] == "RUNTIME_MONITORING"
    ]
    assert {one["name"]: one["status"] for one in runtime["additional_configuration"]} == {
        "EC2_AGENT_MANAGEMENT": "DISABLED",
        "ECS_FARGATE_AGENT_MANAGEMENT": "DISABLED",
        "EKS_ADDON_MANAGEMENT": "ENABLED",
    }
    assert not stack.resources("aws_cloudwatch_event_rule")


def test_of_an_existing_detector_only_the_findings_are_sent() -> None:
    stack = _detection(ThreatDetectionConfig(detector="existing", topic_arn=TOPIC, least_severity=7))
    assert not stack.resources("aws_guardduty_detector")
    assert stack.resources("aws_cloudwatch_event_rule")


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("apply-dev_role", "wafv2:CreateWebACL", f"{WEB_ACL}/{DEV}-services/1", True),
        ("apply-dev_role", "wafv2:CreateWebACL", f"{WEB_ACL}/ap-northeast-2-prod-services/1", False),
        ("apply-dev_role", "wafv2:DeleteWebACL", f"{WEB_ACL}/of-the-company/1", False),
        ("apply-dev_role", "s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}", True),
        ("apply-dev_role", "s3:PutBucketPolicy", "arn:aws:s3:::your-org-ap-northeast-2-prod-access-logs", False),
        ("apply-dev_role", "logs:PutQueryDefinition", "*", True),
        ("apply-dev_role", "logs:CreateLogGroup", CONTAINERS, True),
        ("apply-dev_role", "guardduty:DeleteDetector", DETECTOR, False),
        ("apply-staging_role", "logs:PutQueryDefinition", "*", False),
        ("apply-staging_role", "wafv2:CreateWebACL", f"{WEB_ACL}/ap-northeast-2-staging-services/1", False),
        ("plan_role", "wafv2:GetWebACL", f"{WEB_ACL}/{DEV}-services/1", True),
        ("plan_role", "wafv2:GetWebACL", f"{WEB_ACL}/of-the-company/1", False),
        ("plan_role", "logs:DescribeQueryDefinitions", "*", True),
        ("plan_role", "logs:PutQueryDefinition", "*", False),
        ("plan_role", "guardduty:GetDetector", DETECTOR, True),
        ("plan_role", "guardduty:UpdateDetector", DETECTOR, False),
    ],
)
def test_roles_manage_what_is_theirs(
    stacks: dict[str, Template], role: str, action: str, resource: str, *, allowed: bool
) -> None:
    assert Role(stacks[SHARED], role).may(action, resource, tags={}) is allowed


@pytest.mark.parametrize(("environment", "allowed"), [("shared", True), ("dev", False)])
def test_shared_changes_only_its_own_detector(stacks: dict[str, Template], environment: str, *, allowed: bool) -> None:
    role, tags = Role(stacks[SHARED], "apply-shared_role"), {"Environment": environment}
    assert role.may("guardduty:UpdateDetector", DETECTOR, tags=tags) is allowed
    assert role.may("events:PutRule", f"arn:aws:events:ap-northeast-2:{ACCOUNT}:rule/{SHARED}-guardduty", tags={})


@pytest.mark.parametrize(
    ("name", "sids"),
    [
        ("access_logs", ["OwnAccessLogs"]),
        ("container_logs", ["Queries"]),
        ("web_acl", ["OwnWebAcl", "MakeWebAcl"]),
    ],
)
def test_each_setting_adds_its_own_permissions_only(name: str, sids: list[str]) -> None:
    found = apply_environment_policy.statements(
        LOCATION, ["c"], domain="d", parent_zone_arn=None, observability=Observability(**{name: True})
    )
    assert [one.sid for one in found["observability"]] == sids


@pytest.mark.parametrize("region", ["ap-southeast-5", "us-gov-west-1", "cn-northwest-1"])
def test_boundaries_are_within_the_limit_with_the_longest_names(region: str) -> None:
    location = Location(account_id=ACCOUNT, region=region, environment="e" * 21)
    zone = location.arn("route53", f"hostedzone/{'Z' * 32}")
    of_environment = statements(
        location,
        ["c" * 100],
        "d" * LONGEST_DOMAIN,
        zone,
        observability=Observability(access_logs=True, container_logs=True, web_acl=True),
    )
    shared = statements(
        location.model_copy(update={"environment": "shared"}),
        [],
        None,
        None,
        access_host=True,
        runners=True,
        cost_tags=True,
        threat_detection=True,
    )
    for policy in (of_environment, shared):
        assert len(policy_document(*policy).replace(" ", "")) <= 6_144
