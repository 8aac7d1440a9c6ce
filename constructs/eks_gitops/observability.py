"""Observability: which of the optional resources that observe an environment it has, as its permissions need it."""

from typing import NamedTuple


class Observability(NamedTuple):
    """Whether an environment has logs of its load balancer, logs of its containers, and a web ACL."""

    access_logs: bool = False
    container_logs: bool = False
    web_acl: bool = False
