"""The IAM policy of the AWS Load Balancer Controller, with the same statements as the published policy.

With a web ACL, it may also look for web ACLs by name, as the documentation of `wafv2-acl-name` requires.

Source: https://github.com/kubernetes-sigs/aws-load-balancer-controller/blob/v3.5.0/docs/install/iam_policy.json
The controller tags the resources that it creates with `elbv2.k8s.aws/cluster`. Most statements require that tag.
"""

from eks_gitops.controller_tags import LOAD_BALANCER_CONTROLLER_TAG
from eks_gitops.iam import Statement
from eks_gitops.location import Location

_REQUESTED = f"aws:RequestTag/{LOAD_BALANCER_CONTROLLER_TAG}"
_OWNED = f"aws:ResourceTag/{LOAD_BALANCER_CONTROLLER_TAG}"
_IS_REQUESTED = {"Null": {_REQUESTED: "false"}}
_IS_OWNED = {"Null": {_OWNED: "false"}}
_STAYS_OWNED = {"Null": {_REQUESTED: "true", _OWNED: "false"}}


def statements(location: Location, *, web_acl: bool = False) -> list[Statement]:
    """All statements, with ARNs in the partition of `location`."""
    found = [*_discover(), *_security_groups(location), *_load_balancers(), *_tags(location), *_targets(location)]
    if web_acl:
        found.append(Statement(actions=["wafv2:ListWebACLs"], resources=["*"]))
    return found


def _elb(location: Location, *resources: str) -> list[str]:
    return [location.arn("elasticloadbalancing", name, region="*", account_id="*") for name in resources]


def _discover() -> list[Statement]:
    return [
        Statement(
            actions=["iam:CreateServiceLinkedRole"],
            resources=["*"],
            conditions={"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        ),
        Statement(
            actions=[
                "ec2:DescribeAccountAttributes",
                "ec2:DescribeAddresses",
                "ec2:DescribeAvailabilityZones",
                "ec2:DescribeCoipPools",
                "ec2:DescribeInstances",
                "ec2:DescribeInternetGateways",
                "ec2:DescribeIpamPools",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRouteTables",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
                "ec2:DescribeVpcPeeringConnections",
                "ec2:DescribeVpcs",
                "ec2:GetCoipPoolUsage",
                "ec2:GetSecurityGroupsForVpc",
                "elasticloadbalancing:DescribeCapacityReservation",
                "elasticloadbalancing:DescribeListenerAttributes",
                "elasticloadbalancing:DescribeListenerCertificates",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeLoadBalancerAttributes",
                "elasticloadbalancing:DescribeLoadBalancers",
                "elasticloadbalancing:DescribeRules",
                "elasticloadbalancing:DescribeSSLPolicies",
                "elasticloadbalancing:DescribeTags",
                "elasticloadbalancing:DescribeTargetGroupAttributes",
                "elasticloadbalancing:DescribeTargetGroups",
                "elasticloadbalancing:DescribeTargetHealth",
                "elasticloadbalancing:DescribeTrustStores",
            ],
            resources=["*"],
        ),
        Statement(
            actions=[
                "acm:DescribeCertificate",
                "acm:ListCertificates",
                "cognito-idp:DescribeUserPoolClient",
                "iam:GetServerCertificate",
                "iam:ListServerCertificates",
                "shield:CreateProtection",
                "shield:DeleteProtection",
                "shield:DescribeProtection",
                "shield:GetSubscriptionState",
                "waf-regional:AssociateWebACL",
                "waf-regional:DisassociateWebACL",
                "waf-regional:GetWebACL",
                "waf-regional:GetWebACLForResource",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
            ],
            resources=["*"],
        ),
    ]


def _security_groups(location: Location) -> list[Statement]:
    groups = [location.arn("ec2", "security-group/*", region="*", account_id="*")]
    rules = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]
    return [
        Statement(actions=rules, resources=["*"]),
        Statement(actions=["ec2:CreateSecurityGroup"], resources=["*"]),
        Statement(
            actions=["ec2:CreateTags"],
            resources=groups,
            conditions={"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}, **_IS_REQUESTED},
        ),
        Statement(actions=["ec2:CreateTags", "ec2:DeleteTags"], resources=groups, conditions=_STAYS_OWNED),
        Statement(actions=[*rules, "ec2:DeleteSecurityGroup"], resources=["*"], conditions=_IS_OWNED),
    ]


def _load_balancers() -> list[Statement]:
    return [
        Statement(
            actions=["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"],
            resources=["*"],
            conditions=_IS_REQUESTED,
        ),
        Statement(
            actions=[
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:CreateRule",
                "elasticloadbalancing:DeleteListener",
                "elasticloadbalancing:DeleteRule",
            ],
            resources=["*"],
        ),
        Statement(
            actions=[
                "elasticloadbalancing:DeleteLoadBalancer",
                "elasticloadbalancing:DeleteTargetGroup",
                "elasticloadbalancing:ModifyCapacityReservation",
                "elasticloadbalancing:ModifyIpPools",
                "elasticloadbalancing:ModifyListenerAttributes",
                "elasticloadbalancing:ModifyLoadBalancerAttributes",
                "elasticloadbalancing:ModifyTargetGroup",
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "elasticloadbalancing:SetIpAddressType",
                "elasticloadbalancing:SetSecurityGroups",
                "elasticloadbalancing:SetSubnets",
            ],
            resources=["*"],
            conditions=_IS_OWNED,
        ),
        Statement(
            actions=[
                "elasticloadbalancing:AddListenerCertificates",
                "elasticloadbalancing:ModifyListener",
                "elasticloadbalancing:ModifyRule",
                "elasticloadbalancing:RemoveListenerCertificates",
                "elasticloadbalancing:SetRulePriorities",
                "elasticloadbalancing:SetWebAcl",
            ],
            resources=["*"],
        ),
    ]


def _tags(location: Location) -> list[Statement]:
    tagging = ["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"]
    balancers = _elb(location, "targetgroup/*/*", "loadbalancer/net/*/*", "loadbalancer/app/*/*")
    listeners = _elb(
        location, "listener/net/*/*/*", "listener/app/*/*/*", "listener-rule/net/*/*/*", "listener-rule/app/*/*/*"
    )
    return [
        Statement(actions=tagging, resources=balancers, conditions=_STAYS_OWNED),
        Statement(actions=tagging, resources=listeners),
        Statement(
            actions=["elasticloadbalancing:AddTags"],
            resources=balancers,
            conditions={
                "StringEquals": {"elasticloadbalancing:CreateAction": ["CreateTargetGroup", "CreateLoadBalancer"]},
                **_IS_REQUESTED,
            },
        ),
    ]


def _targets(location: Location) -> list[Statement]:
    return [
        Statement(
            actions=["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
            resources=_elb(location, "targetgroup/*/*"),
        )
    ]
