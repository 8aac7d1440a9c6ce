"""Typed constructs of an AWS EKS GitOps platform: each file has one concept, its construct and its config.

Importing any module of this package first installs lazy loading of the provider packages (see `_lazy_providers`) and
the direct start of the jsii kernel (see `_direct_kernel`), so import it before `cdktf_cdktf_provider_*`.
"""

from eks_gitops import _direct_kernel, _lazy_providers

_lazy_providers.install()
_direct_kernel.install()
