"""The output of commands: a report, and progress while they run."""
