"""What a new owner changes first: placeholders, which `cdktf synth` warns about until they are yours."""

from eks_gitops.github import GithubRepository
from stacks.settings import Owner

OWNER = Owner(
    organisation="your-org",  # lower case: it begins the names of buckets, which are global in AWS
    account_id="123456789012",
    domain="your-domain.com",
    # The clone of this repository. `gh api repos/OWNER/NAME --jq '.owner.id, .id'` prints the two numbers.
    repository=GithubRepository(owner="your-org", owner_id=1, name="platform", id=2),
    administrator_role_arn="arn:aws:iam::123456789012:role/your-admin-role",
    cost_center="your-cost-center",
)
