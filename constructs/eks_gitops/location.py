"""Location: the account, region and environment that a stack's resources live in, and the names that follow."""

from eks_gitops.config import AccountId, Config

_WITHOUT_REGION = {"iam", "route53", "s3"}
_WITHOUT_ACCOUNT = {"route53", "s3"}
_IAM_NAME_LIMIT = 64


class Location(Config):
    """Where resources live. Names and ARNs are derived from it, so that no two stacks choose the same ones.

    `environment` is the part of the region's layout: `shared`, `dev`, `staging`, `prod`, or `backend`.
    """

    account_id: AccountId
    region: str
    environment: str

    @property
    def partition(self) -> str:
        """The AWS partition of the region, which every ARN begins with."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def dns_suffix(self) -> str:
        """What the names of the partition's endpoints end with."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    @property
    def iam_path(self) -> str:
        """The IAM path of this environment's roles and policies; an apply role is limited to its own."""
        return f"/{self.region}/{self.environment}/"

    @property
    def secret_prefix(self) -> str:
        """What the names of this environment's secrets in Secrets Manager begin with: `<region>/<environment>/`."""
        return f"{self.region}/{self.environment}/"

    def name(self, suffix: str) -> str:
        """`<region>-<environment>-<suffix>`: unique in the account, also for IAM, whose names are global.

        Raises:
            ValueError: longer than the 64 characters that IAM allows.
        """
        name = f"{self.region}-{self.environment}-{suffix}"
        if len(name) > _IAM_NAME_LIMIT:
            message = f"name {name!r} has {len(name)} characters; IAM allows {_IAM_NAME_LIMIT}, choose a shorter one"
            raise ValueError(message)
        return name

    def arn(self, service: str, resource: str, *, account_id: str | None = None, region: str | None = None) -> str:
        """The ARN of `resource`, with the region and account only where the service's ARNs have them."""
        where = "" if service in _WITHOUT_REGION else (region or self.region)
        whose = "" if service in _WITHOUT_ACCOUNT else (self.account_id if account_id is None else account_id)
        return f"arn:{self.partition}:{service}:{where}:{whose}:{resource}"

    def managed_policy_arn(self, name: str) -> str:
        """The ARN of a policy that AWS manages, such as `service-role/AmazonEFSCSIDriverPolicy`."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"
