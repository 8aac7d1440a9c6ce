"""IAM for delivery pipelines: roles, their policies and permissions boundaries."""
