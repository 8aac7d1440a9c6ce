"""This Git repository: other revisions of it, and files that are written or reviewed."""
