"""Destroying stacks, and finding what remains in AWS and in a cluster."""
