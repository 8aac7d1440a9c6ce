"""The creation of services, and the documentation of the Helm chart."""
