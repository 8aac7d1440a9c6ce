"""`python -m operations`: the command line."""

from operations.cli import app

app(prog_name="operations")
