"""The form of names that this repository gives to services, teams and components."""

import re

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
REMEDY = "use lower-case letters and digits, a letter first, with single hyphens between"
YAML_KEYWORDS = {"false", "n", "no", "null", "off", "on", "true", "y", "yes"}
LONGEST_LABEL = 63
"""A DNS label, which a Kubernetes namespace and the value of a label are, too."""
