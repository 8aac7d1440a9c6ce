"""Planning and deploying stacks, and the plans that were reviewed."""
