"""Commands, Terraform and providers, killed at chosen moments: do the documented commands recover everything?"""
