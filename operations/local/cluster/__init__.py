"""A real Kubernetes and a real Argo CD on loopback, without Docker: for the tests, and for people."""
