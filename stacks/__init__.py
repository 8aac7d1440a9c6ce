"""The stacks: wiring of constructs, configured by the settings of each region.

Importing any module of this package first starts the jsii kernel, which is ready when Python has imported the rest.
"""

from eks_gitops import _direct_kernel

_direct_kernel.start()
