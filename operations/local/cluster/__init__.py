"""A local cluster with real Kubernetes and Argo CD processes, without Docker, for tests and for interactive use."""
