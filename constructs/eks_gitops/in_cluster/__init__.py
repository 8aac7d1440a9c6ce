"""What Terraform installs in a cluster so that Argo CD can start."""
