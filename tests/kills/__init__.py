"""Commands, Terraform and its providers, killed at chosen moments: whether the documented commands recover everything."""
