"""Writing services into the Git tree."""
