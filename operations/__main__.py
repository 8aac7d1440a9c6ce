"""`python -m operations`: the command line."""

from operations import cli_safety  # noqa: F401 (adds its commands)
from operations.cli import app

app(prog_name="operations")
