"""Descriptions of security groups and of their rules."""

import re

_DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}")


def group_description(text: str) -> str:
    """`text`, which describes a security group or one of its rules.

    Raises:
        ValueError: if EC2 would reject it. Source: `CreateSecurityGroupRequest` of EC2 in botocore 1.43.
    """
    if _DESCRIPTION.fullmatch(text) is None:
        message = (
            f"{text!r}: not a description of a security group; use 1 to 255 of a-z A-Z 0-9 ._-:/()#,@[]+=&;{{}}!$*"
        )
        raise ValueError(message)
    return text
