"""Running Terraform: the synthesized stacks, their plans, and the order of their dependencies."""
