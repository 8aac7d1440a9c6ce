"""The guard: refuses plans that lose data or all nodes, and reports those that widen access or lower protection."""
