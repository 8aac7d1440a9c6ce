"""The settings to change first. They are placeholders; `cdktf synth` warns about those that remain."""

from eks_gitops.github import GithubRepository
from stacks.settings import Owner

OWNER = Owner(
    organisation="your-org",  # lower case; the prefix of bucket names, which are global in AWS
    account_id="123456789012",
    domain="platform.your-domain.com",  # a subdomain that only the platform uses
    # Your copy of this repository. `gh api repos/OWNER/NAME --jq '.owner.id, .id'` prints the two IDs.
    repository=GithubRepository(owner="your-org", owner_id=1, name="platform", id=2),
    administrator_role_arn="arn:aws:iam::123456789012:role/your-admin-role",
    cost_center="your-cost-center",
)
