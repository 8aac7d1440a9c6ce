"""Quantities of resources, such as `500m` of CPU or `64Mi` of memory.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from tests.gitops.rules import with_paths

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)")
_DECIMAL = {suffix: Decimal(1000) ** power for power, suffix in enumerate(["n", "u", "m", "", *"kMGTPE"], -3)}
_BINARY = {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
_FACTORS = {**_DECIMAL, **_BINARY}

# The fields of containers, LimitRanges and ResourceQuotas whose values are quantities, by resource.
_FIELDS = ("requests", "limits", "default", "defaultRequest", "min", "max", "hard")
_IN_BYTES = re.compile(r"(.*[./])?(memory|storage|ephemeral-storage)|hugepages-.*")


def amount(quantity: object) -> Decimal | None:
    """The number that a quantity means, or None if it is not a quantity."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        return None
    return Decimal(found[1]) * Decimal(10) ** int(found[2] or 0) * _FACTORS[found[3] or ""]


def as_quantity(number: Decimal, like: object) -> str:
    """A number with the suffix of another quantity."""
    found = _QUANTITY.fullmatch(str(like))
    suffix = (found[3] if found else None) or ""
    return f"{(number / _FACTORS[suffix]).normalize():f}{suffix}"


def wrong_quantities(value: object) -> Iterator[str]:
    """The quantities in a manifest, or in the values of a chart, that are none, or contain a fraction of a byte.

    Kubernetes accepts `64m` of memory, 0.064 bytes, which it rounds up to one byte.
    """
    for path, holder in with_paths(value):
        given = {f"{field}.{name}": one for field in _FIELDS for name, one in _scalars(holder.get(field))}
        if "sizeLimit" in holder:
            given["sizeLimit"] = holder["sizeLimit"]
        for field, quantity in given.items():
            number, where = amount(quantity), f"{path}.{field}" if path else field
            in_bytes = field == "sizeLimit" or _IN_BYTES.fullmatch(field.partition(".")[2])
            if number is None:
                example = "64Mi or 1Gi" if in_bytes else "2 or 500m"
                yield f"{where}: {quantity}: not a quantity; write such as {example}"
            elif in_bytes and number % 1:
                yield f"{where}: {quantity}: a fraction of a byte; write such as 64Mi or 1Gi"


def _scalars(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((name, one) for name, one in value.items() if isinstance(one, str | int | float))
