"""Finding drift, and the issues that report it."""
