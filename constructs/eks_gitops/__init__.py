"""Typed constructs of an AWS EKS GitOps platform: one concept, one file, one class, its config beside it.

Importing any module of this package first makes the provider packages load lazily (see `_lazy_providers`), so
import it before `cdktf_cdktf_provider_*`.
"""

from eks_gitops import _lazy_providers

_lazy_providers.install()
