"""Backing up and restoring the objects of Argo CD."""
