"""Every field of the settings, changed: what the plan is, and what the guard says."""
