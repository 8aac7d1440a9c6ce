"""Terraform: the runner, the synthesized stacks, their plans, and their dependency order."""
