"""The Helm releases of in-cluster stacks, as their records in the cluster say."""
