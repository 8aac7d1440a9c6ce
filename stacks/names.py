"""The names of stacks and of their state: both are API, a change of one is a migration."""

IN_CLUSTER = "gitops"
"""The part of an environment that Terraform installs in its cluster."""

PARTS = ("", IN_CLUSTER)
"""The stacks of an environment: the AWS resources, and what Terraform installs in the cluster."""


def stack_name(region: str, environment: str, part: str = "") -> str:
    """`<region>-<environment>[-<part>]`."""
    return "-".join(filter(None, (region, environment, part)))


def state_key(region: str, environment: str, part: str = "") -> str:
    """`<region>/<environment>/[<part>/]terraform.tfstate`."""
    return "/".join(filter(None, (region, environment, part, "terraform.tfstate")))
