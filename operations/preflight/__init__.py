"""Checks before a deploy: nothing is changed."""
