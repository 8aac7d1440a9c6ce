"""This Git repository: its other revisions, its settings files, and reviewed files of exceptions."""
