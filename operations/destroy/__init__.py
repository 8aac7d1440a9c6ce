"""Destroying stacks, and finding the resources that remain in AWS and in a cluster."""
