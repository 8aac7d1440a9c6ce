"""The stacks, which compose constructs from the settings in each region's folder."""

import eks_gitops  # noqa: F401  (first, to install lazy loading of the provider packages)
