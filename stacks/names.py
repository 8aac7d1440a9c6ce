"""Names of stacks and state objects. Both are a public interface: changing them requires a migration."""

IN_CLUSTER = "gitops"
"""The part of an environment's stacks that installs resources in the cluster."""

PARTS = ("", IN_CLUSTER)
"""The parts of an environment, each with its own stack: the AWS resources, and the resources in the cluster."""


def stack_name(region: str, environment: str, part: str = "") -> str:
    """`<region>-<environment>[-<part>]`."""
    return "-".join(filter(None, (region, environment, part)))


def state_key(region: str, environment: str, part: str = "") -> str:
    """`<region>/<environment>/[<part>/]terraform.tfstate`."""
    return "/".join(filter(None, (region, environment, part, "terraform.tfstate")))
