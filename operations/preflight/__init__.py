"""Read-only checks before a deploy."""
