"""Pictures of the platform, made from the synthesized stacks."""
