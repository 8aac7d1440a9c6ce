"""Seoul."""

REGION = "ap-northeast-2"

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a change is promoted; each is a module of this folder."""
