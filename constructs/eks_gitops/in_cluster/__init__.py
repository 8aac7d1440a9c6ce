"""Constructs that Terraform installs in a cluster to bootstrap Argo CD."""
