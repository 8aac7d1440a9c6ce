"""The guard: refuses plans that lose data, and reports those that widen access or lower protection."""
