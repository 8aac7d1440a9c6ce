"""Terraform state in S3: its bucket, locks, resources and older versions."""
