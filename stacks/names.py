"""Names of stacks and state objects. Both are a public interface: changing them requires a migration."""

import re

IN_CLUSTER = "gitops"
"""The part of an environment's stacks that installs resources in the cluster."""

PARTS = ("", IN_CLUSTER)
"""The parts of a cluster, each with its own stack: the AWS resources, and the resources in the cluster."""


RESERVED = {"backend", "shared"}
"""What is no name of an environment: the region's own stacks have these names."""


RESERVED_FOR_FIRST = {
    "addon", "apply", "argo", "auto", "aws", "backup", "boundary", "cluster", "data", "database", "ebs", "efs",
    "external", "fluent", IN_CLUSTER, "karpenter", "kyverno", "node", "plan", "read", "vpc",
}  # fmt: skip
"""What is no name of a further cluster: names of an environment's other resources and stacks begin with it."""


def is_environment_name(name: str) -> bool:
    """Whether a name can be part of the names of AWS resources and of a module. It may be reserved nevertheless."""
    return re.fullmatch(r"[a-z][a-z0-9]*", name) is not None


def cluster_part(cluster: str, part: str = "") -> str:
    """`[<cluster>][-<part>]`, the part of an environment that a stack of a further cluster is."""
    return "-".join(filter(None, (cluster, part)))


def stack_name(region: str, environment: str, part: str = "") -> str:
    """`<region>-<environment>[-<part>]`."""
    return "-".join(filter(None, (region, environment, part)))


def state_key(region: str, environment: str, part: str = "") -> str:
    """`<region>/<environment>/[<part>/]terraform.tfstate`."""
    return "/".join(filter(None, (region, environment, part, "terraform.tfstate")))
