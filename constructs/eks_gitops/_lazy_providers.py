"""Makes the CDKTF provider packages load only what is used, in Python and in the jsii kernel's Node.

The `__init__` of `cdktf_cdktf_provider_aws` imports all of its 2,137 submodules, and the kernel then `require`s an
`index.js` that loads them all again: 10 to 20 s for every synth (hashicorp/terraform-cdk#3753). Both halves below skip
that, and the synthesized files stay byte-identical (`tests/unit/eks_gitops/test_lazy_providers.py`).

Set `CDKTF_EAGER_PROVIDERS=1` to load the packages the documented way, should a future release need it.
"""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

_PACKAGES = ("cdktf_cdktf_provider_aws", "cdktf_cdktf_provider_helm", "cdktf_cdktf_provider_kubernetes")
_NODE_HOOK = Path(__file__).with_name("_lazy_providers.cjs")


def install() -> None:
    """Install both halves; it must run before the first import of a provider package and of the jsii kernel."""
    if os.environ.get("CDKTF_EAGER_PROVIDERS") == "1":
        return
    for package in _PACKAGES:
        _register_without_executing(package)
    # Appended: the caller's own options stay. The kernel's process copies the environment when it starts.
    os.environ["NODE_OPTIONS"] = f'{os.environ.get("NODE_OPTIONS", "")} --require="{_NODE_HOOK}"'.strip()


def _register_without_executing(package: str) -> None:
    """Put `package` into `sys.modules` without running its `__init__`; submodules are imported on demand."""
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None:  # the user imported it already, or does not have it
        return
    module = importlib.util.module_from_spec(spec)

    def __getattr__(name: str) -> object:  # noqa: N807 (the hook of PEP 562)
        if name.startswith("__"):
            raise AttributeError(name)
        return importlib.import_module(f"{package}.{name}")

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    sys.modules[package] = module
