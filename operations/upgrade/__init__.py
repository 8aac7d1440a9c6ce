"""A new Kubernetes version of an environment: what must be true before, and the change of the settings."""
