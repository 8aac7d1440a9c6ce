"""The local platform: the embedded AWS, and every AWS stack deployed against it, without an account.

It lives in `.local/`, apart from what is synthesized for real accounts, and is pointed to by environment variables
alone: the stacks know nothing of it.
"""

import re
from pathlib import Path

HOME = Path(".local")
_OUTPUT = HOME / "cdktf.out"
_RUNNING = HOME / "emulator.json"
_LOG = HOME / "deploy.log"

_FOREIGN = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_DONE = re.compile(r"^(?P<stack>\S+)\s+\S.*: (?:Creation|Modifications|Destruction) complete")
