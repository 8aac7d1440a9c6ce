"""Bad input to every command."""
