import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The root of the repository."""

GO_MODULES = Path(os.environ.get("GOMODCACHE", Path.home() / "go/pkg/mod"))
"""Where Go keeps the files of modules."""

HELM = "TESTED_HELM"
"""The environment variable that names the Helm with which the tests of charts run, in place of the pinned one."""
