"""What a command prints: a report, and progress while it runs."""
