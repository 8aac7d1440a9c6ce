"""Lazy loading of the CDKTF provider packages, in Python and in the Node.js process of the jsii kernel.

The `__init__` of `cdktf_cdktf_provider_aws` imports all of its 2,137 submodules, and the kernel then `require`s an
`index.js` that loads them all again. This takes 10 to 20 s on every synth (hashicorp/terraform-cdk#3753). The two hooks
below avoid it. The synthesized files stay byte-identical (`tests/unit/eks_gitops/test_lazy_providers.py`).

Set `CDKTF_EAGER_PROVIDERS=1` to load the packages in the documented way, if a future release needs it.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

_PACKAGES = ("cdktf_cdktf_provider_aws", "cdktf_cdktf_provider_helm", "cdktf_cdktf_provider_kubernetes")
_NODE_HOOK = Path(__file__).with_name("_lazy_providers.cjs")


def install() -> None:
    """Install both hooks. Must run before the first import of a provider package and before the jsii kernel starts."""
    if os.environ.get("CDKTF_EAGER_PROVIDERS") == "1":
        return
    for package in _PACKAGES:
        _register_without_executing(package)
    # Append, to keep the caller's own options. The kernel process copies the environment when it starts.
    os.environ["NODE_OPTIONS"] = f'{os.environ.get("NODE_OPTIONS", "")} --require="{_NODE_HOOK}"'.strip()


def _register_without_executing(package: str) -> None:
    """Add `package` to `sys.modules` without executing its `__init__`; submodules are imported on demand."""
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None:  # already imported, or not installed
        return
    module = importlib.util.module_from_spec(spec)

    def __getattr__(name: str) -> object:  # noqa: N807 (the hook of PEP 562)
        if name.startswith("__"):
            raise AttributeError(name)
        return importlib.import_module(f"{package}.{name}")

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    sys.modules[package] = module
