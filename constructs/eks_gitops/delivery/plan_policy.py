"""The read-only policy for plans. It can read every resource of the region's stacks, but only one kind of secret value.

Terraform reads the credential of a private GitOps repository during a plan. It gives access to that repository only.
"""

from collections.abc import Sequence

from eks_gitops.access_host import IMAGES
from eks_gitops.delivery.boundary import READ_WITHOUT_RESOURCE
from eks_gitops.iam import Statement
from eks_gitops.location import Location
from eks_gitops.observability import Observability
from eks_gitops.runners import runner_name

_NOTHING = Observability()


def read_statements(
    location: Location,
    *,
    repository_credentials: Sequence[str] = (),
    access_host: bool = False,
    runners: bool = False,
    cost_tags: bool = False,
    budgets: bool = False,
    observability: Observability = _NOTHING,
    threat_detection: bool = False,
) -> list[Statement]:
    """Read every resource of the region's stacks, and the values of the secrets named `repository_credentials`.

    With an access host also which image of Amazon Linux is the newest, which AWS publishes, and with runners their
    CodeBuild projects. `cost_tags` and `budgets` are whether the stacks have such, `observability` what any environment
    has, and `threat_detection` whether the account has settings of GuardDuty.
    """
    region = location.region
    named = {
        "acm": ["certificate/*"],
        "backup": ["backup-plan:*", "backup-vault:*"],
        "dynamodb": ["table/*"],
        "ecr": ["repository/*"],
        "eks": ["*"],
        "elasticfilesystem": ["*"],
        "events": [f"rule/{region}-*"],
        "logs": ["log-group:*"],
        "rds": ["*"],
        "secretsmanager": [f"secret:{region}/*"],
        "sqs": [f"{region}-*"],
    }
    # Secrets Manager adds a hyphen and six random characters to the ARN of a secret.
    credentials = [
        location.arn("secretsmanager", f"secret:{name}-??????") for name in sorted(set(repository_credentials))
    ]
    of_repository = Statement(
        sid="ReadRepositoryCredentials",
        actions=["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
        resources=credentials,
    )
    images = Statement(
        sid="ReadImages",
        actions=["ssm:GetParameter"],
        resources=[location.arn("ssm", f"parameter/{IMAGES}/*", account_id="")],
    )
    projects = Statement(
        sid="ReadRunners",
        actions=["codebuild:BatchGetProjects"],
        resources=[location.arn("codebuild", f"project/{runner_name(location, '*')}")],
    )
    tags = Statement(sid="ReadCostTags", actions=["ce:ListCostAllocationTags"], resources=["*"])
    of_budgets = Statement(
        sid="ReadBudgets",
        actions=["budgets:ListTagsForResource", "budgets:ViewBudget"],
        resources=[location.arn("budgets", f"budget/{region}-*")],
    )
    queries = Statement(sid="ReadQueries", actions=["logs:DescribeQueryDefinitions"], resources=["*"])
    web_acls = Statement(
        sid="ReadWebAcls",
        actions=["wafv2:GetWebACL", "wafv2:ListTagsForResource"],
        resources=[location.arn("wafv2", f"regional/webacl/{region}-*/*")],
    )
    detectors = [
        Statement(sid="ListDetectors", actions=["guardduty:ListDetectors"], resources=["*"]),
        Statement(
            sid="ReadDetectors",
            actions=["guardduty:GetDetector", "guardduty:ListTagsForResource"],
            resources=[location.arn("guardduty", "detector/*")],
        ),
    ]
    return [
        *([queries] if observability.container_logs else []),
        *([web_acls] if observability.web_acl else []),
        *(detectors if threat_detection else []),
        *([of_repository] if credentials else []),
        *([images] if access_host else []),
        *([projects] if runners else []),
        *([tags] if cost_tags else []),
        *([of_budgets] if budgets else []),
        Statement(sid="ReadWithoutResource", actions=READ_WITHOUT_RESOURCE, resources=["*"]),
        Statement(
            sid="ReadRegionalServices",
            actions=[
                "acm:DescribeCertificate",
                "acm:ListTagsForCertificate",
                "backup:DescribeBackupVault",
                "backup:GetBackupPlan",
                "backup:GetBackupSelection",
                "backup:ListTags",
                "dynamodb:Describe*",
                "dynamodb:ListTagsOfResource",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
                "ecr:ListTagsForResource",
                "eks:Describe*",
                "eks:List*",
                "elasticfilesystem:Describe*",
                "elasticfilesystem:ListTagsForResource",
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
                "logs:ListTagsForResource",
                "rds:Describe*",
                "rds:ListTagsForResource",
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetResourcePolicy",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ListQueueTags",
            ],
            resources=[location.arn(service, name) for service, names in named.items() for name in names],
        ),
        Statement(
            sid="ReadKeys",
            actions=[
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListKeyPolicies",
                "kms:ListResourceTags",
            ],
            resources=[location.arn("kms", "key/*")],
        ),
        Statement(
            sid="ReadIam",
            actions=["iam:Get*", "iam:List*"],
            resources=[
                *[location.arn("iam", f"{kind}/{region}/*") for kind in ("role", "policy", "instance-profile")],
                location.arn("iam", "oidc-provider/*"),
                location.arn("iam", "policy/service-role/*", account_id="aws"),
            ],
        ),
        Statement(
            sid="ReadZones",
            actions=[
                "route53:GetHostedZone",
                "route53:ListResourceRecordSets",
                "route53:ListTagsForResource",
                "route53:GetChange",
            ],
            resources=[location.arn("route53", "hostedzone/*"), location.arn("route53", "change/*")],
        ),
        Statement(
            sid="ReadBuckets",
            actions=[
                "s3:GetBucket*",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetAccelerateConfiguration",
                "s3:GetReplicationConfiguration",
                "s3:ListBucket",  # required by HeadBucket
                "s3:ListTagsForResource",
            ],
            resources=[location.arn("s3", "*")],
            conditions={"StringEquals": {"aws:ResourceAccount": location.account_id}},
        ),
    ]
