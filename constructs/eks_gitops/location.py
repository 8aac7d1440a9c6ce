"""Location: the account, region and environment of a stack's resources, and the names derived from them."""

from eks_gitops.config import AccountId, Config

_WITHOUT_REGION = {"budgets", "iam", "route53", "s3"}
_WITHOUT_ACCOUNT = {"route53", "s3"}
_IAM_NAME_LIMIT = 64


class Location(Config):
    """Where resources are located. Names and ARNs are derived from it, so that they are unique per stack.

    `environment` is `shared`, `backend` or the name of an environment, such as `dev`, `staging` or `prod`. `cluster` is
    the name of a further cluster of the environment, which is part of the names of its resources; empty for the first.
    """

    account_id: AccountId
    region: str
    environment: str
    cluster: str = ""

    @property
    def of_environment(self) -> "Location":
        """The location of what all clusters of the environment share."""
        return self.model_copy(update={"cluster": ""})

    @property
    def partition(self) -> str:
        """The AWS partition of the region, as in ARNs."""
        return partition_of(self.region)

    @property
    def dns_suffix(self) -> str:
        """The domain name suffix of the partition's service endpoints."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def iam_path(self) -> str:
        """The IAM path of this environment's roles and policies. Its apply role is limited to this path."""
        return f"/{self.region}/{self.environment}/"

    @property
    def secret_prefix(self) -> str:
        """The prefix of the names of this environment's secrets in Secrets Manager: `<region>/<environment>/`."""
        return f"{self.region}/{self.environment}/"

    def name(self, suffix: str) -> str:
        """`<region>-<environment>-[<cluster>-]<suffix>`, which is unique in the account, also for global IAM names.

        Raises:
            ValueError: if the name is longer than the 64 characters that IAM allows.
        """
        name = "-".join(filter(None, (self.region, self.environment, self.cluster, suffix)))
        if len(name) > _IAM_NAME_LIMIT:
            message = f"name {name!r} has {len(name)} characters; IAM allows {_IAM_NAME_LIMIT}, choose a shorter one"
            raise ValueError(message)
        return name

    def arn(self, service: str, resource: str, *, account_id: str | None = None, region: str | None = None) -> str:
        """The ARN of `resource`, with a region and an account ID only if the ARNs of the service have them."""
        region = "" if service in _WITHOUT_REGION else (region or self.region)
        account_id = "" if service in _WITHOUT_ACCOUNT else (self.account_id if account_id is None else account_id)
        return f"arn:{self.partition}:{service}:{region}:{account_id}:{resource}"

    def managed_policy_arn(self, name: str) -> str:
        """The ARN of an AWS managed policy, such as `service-role/AmazonEFSCSIDriverPolicy`."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"


def partition_of(region: str) -> str:
    """The partition of a region: `aws`, `aws-cn` or `aws-us-gov`. The other partitions are not supported."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
