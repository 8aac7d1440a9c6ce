"""Planning and deploying stacks, and finding their reviewed plans."""
