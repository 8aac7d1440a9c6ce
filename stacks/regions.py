"""The regions of the platform. `make region` adds one, and removes one."""

REGIONS = ("stacks.ap_northeast_2",)
"""The packages with the settings of each region."""
