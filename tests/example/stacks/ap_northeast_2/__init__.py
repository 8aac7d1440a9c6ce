"""Seoul."""

REGION = "ap-northeast-2"

ENVIRONMENTS = ("dev", "staging", "prod")
"""The environments in order of promotion. Each is a module of this package."""
