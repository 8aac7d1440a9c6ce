"""IAM for pipelines: the roles, their policies and the permissions boundary."""
