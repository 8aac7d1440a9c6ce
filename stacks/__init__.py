"""The stacks: wiring of constructs, fed by the settings of each region's folder."""

import eks_gitops  # noqa: F401  (first: it makes the provider packages load lazily)
