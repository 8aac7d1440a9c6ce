"""Write `cloudformation.json`: the published rules of the CloudFormation types in `mapping.toml`.

The source is the data of cfn-lint: the schemas that CloudFormation publishes, with the corrections of cfn-lint.
`make contract-data` runs this file with the Python of a temporary virtual environment that contains cfn-lint.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import reduce
from importlib import import_module, metadata
from operator import getitem
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

_FOLDER = Path(__file__).parent
_REGION = "ap-northeast-2"
_KEYWORDS = ("enum", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern")


def main() -> None:
    """Replace `cloudformation.json`."""
    schemas = import_module("cfnlint.schema").PROVIDER_SCHEMA_MANAGER
    formats = _formats()
    rules = {}
    for name in _types():
        schema = schemas.get_resource_schema(_REGION, name).schema
        rules[name] = {path: rule for path, rule in sorted(_flat(schema, formats, schema)) if rule}
    text = json.dumps({"source": f"cfn-lint {metadata.version('cfn-lint')}", "types": rules}, indent=1)
    (_FOLDER / "cloudformation.json").write_text(text + "\n")


def _types() -> list[str]:
    """All CloudFormation types in the table, as `AWS::EC2::VPC`."""
    table = tomllib.loads((_FOLDER / "mapping.toml").read_text())
    lists = [[*entry["models"], *entry.get("names", {}).values()] for entry in table.values()]
    return sorted({name.partition(".")[0] for name in _strings(lists) if "::" in name})


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [text for item in value for text in _strings(item)]


def _formats() -> dict[str, str]:
    """The patterns that cfn-lint has for the `format` of properties, and the format of networks itself."""
    package = import_module("cfnlint.rules.formats")
    base = import_module("cfnlint.rules.formats.FormatKeyword").FormatKeyword
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    rules = [rule() for rule in base.__subclasses__()]
    return {"ipv4-network": "ipv4-network", **{rule.format_keyword: rule.pattern for rule in rules}}


def _flat(
    schema: Any, formats: Mapping[str, str], node: Any, path: tuple[str, ...] = (), seen: tuple[str, ...] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each property, as `Rules.Lifecycle.DeleteAfterDays`, and its rules. The items of a list have its path.

    Rules under a condition (`if`, `anyOf` and so on) are left out.
    """
    rule: dict[str, Any] = {}
    while True:
        rule |= {keyword: node[keyword] for keyword in _KEYWORDS if keyword in node}
        if node.get("format") in formats:
            rule["format"] = formats[node["format"]]
        if "$ref" in node:
            if node["$ref"] in seen:
                return
            seen = (*seen, node["$ref"])
            node = reduce(getitem, node["$ref"].removeprefix("#/").split("/"), schema)
        elif "items" in node:
            node = node["items"]
        else:
            break
    yield ".".join(path), rule
    for name, child in node.get("properties", {}).items():
        yield from _flat(schema, formats, child, (*path, name), seen)


if __name__ == "__main__":
    main()
