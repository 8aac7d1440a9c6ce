"""The guard: it refuses plans that lose data, and flags those that widen access or lower protection."""
