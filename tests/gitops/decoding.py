"""What Go says to a value that it cannot decode, with the field in the manifest, its value and a remedy.

Sources: UnmarshalTypeError of sigs.k8s.io/json, and the errors of pkg/api/resource/quantity.go of k8s.io/apimachinery
v0.36, which do not name a field.
"""

import json
import re
from collections.abc import Iterator, Sequence

from tests.gitops.quantities import wrong_quantities
from tests.gitops.rules import with_paths
from tests.gitops.tree import Json

_TYPE = re.compile(r"cannot unmarshal (\w+)(?: [^ ]+)? into Go struct field \w+\.([\w.]+) of type \*?(\[\])?([\w.]+)")
_CONVERSION = re.compile(r"cannot restore|unrecognized type")
_VAGUE = re.compile(r"(\w+ [^ ]+): spec: Invalid value: null: (?:cannot restore|unrecognized type)")
_QUANTITY = re.compile(r"quantities must match|unable to parse (?:quantity|numeric part)")
REMEDIES = {
    "bool": "write true or false, without quotes",
    "list": "write a list",
    "number": "write a number, without quotes",
    "string": "write it in quotes",
}


def with_fields(manifest: Json, problem: str, schema: Json | None = None) -> list[str]:
    """The problem, or one line for each field that it may mean. The schema is that of the CRD."""
    if schema and _CONVERSION.search(problem):
        return [*wrong_types(manifest, schema)] or [problem]
    if found := _TYPE.search(problem):
        given, field, is_list, wanted = found.groups()
        wanted = "list" if is_list else wanted
        wanted = "number" if wanted.startswith(("int", "uint", "float")) else wanted
        remedy = REMEDIES.get(wanted, f"write one of type {wanted}")
        places = [f"{path}: {json.dumps(value)}" for path, value in _values(manifest, field, given)]
        return [f"{place}: of type {given}; {remedy}" for place in places or [field]]
    if _QUANTITY.search(problem):
        return [*wrong_quantities(manifest)] or [problem]
    return [problem]


def without_vague_lines(lines: Sequence[str]) -> list[str]:
    """Argo Rollouts does not name the field of a wrong type, but the API server does, whose line is enough.

    Source: pkg/runtime/converter.go of k8s.io/apimachinery v0.36.
    """
    vague = {line: f"{found[1]}: " for line in lines if (found := _VAGUE.match(line))}
    clear = [line for line in lines if line not in vague]
    return [line for line in lines if line in clear or not any(one.startswith(vague[line]) for one in clear)]


def wrong_types(value: object, schema: Json, path: str = "") -> Iterator[str]:
    """The values that have another type than the schema of a CRD says: the controllers do not name their fields."""
    wanted, given = _TYPES_OF_SCHEMAS.get(str(schema.get("type"))), _type(value)
    if wanted and given and given != wanted:
        remedy = REMEDIES.get(wanted, f"write one of type {wanted}")
        yield f"{path}: {json.dumps(value)}: of type {given}; {remedy}"
    elif isinstance(value, dict):
        others = schema.get("additionalProperties")
        for key, below in value.items():
            known = (schema.get("properties") or {}).get(key, others)
            if isinstance(known, dict):
                yield from wrong_types(below, known, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from wrong_types(item, schema.get("items") or {}, f"{path}[{index}]")


_TYPES_OF_SCHEMAS = {
    "array": "array",
    "boolean": "bool",
    "integer": "number",
    "number": "number",
    "object": "object",
    "string": "string",
}


def _values(manifest: Json, field: str, given: str) -> Iterator[tuple[str, object]]:
    """The values of a type in a field, whose path in Go has no indices."""
    for path, holder in with_paths(manifest):
        for key, value in holder.items():
            at = f"{path}.{key}" if path else key
            items = [(f"{at}[{index}]", item) for index, item in enumerate(value)] if isinstance(value, list) else []
            if re.sub(r"\[\d+\]", "", at) == field:
                yield from ((where, one) for where, one in [(at, value), *items] if _type(one) == given)


def _type(value: object) -> str:
    names = {bool: "bool", dict: "object", float: "number", int: "number", list: "array", str: "string"}
    return names.get(type(value), "")
