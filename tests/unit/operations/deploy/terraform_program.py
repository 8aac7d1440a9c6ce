"""The program that replaces `terraform` in tests, which `FakeTerraform` installs.

Each stack is a folder: `configuration.json` has its resources, `state.json` those that were applied last, and
`actual.json` those that exist. All of them map addresses to arguments. A value `${NAME}` is the output of the stack
NAME: the argument `value` in its state. A changed argument `id` forces a replacement. An argument `apply_error` makes
the creation or update fail, and `plan_error` the plan. `imports.tf.json` names resources that exist, to import.
`tainted.json` lists the addresses of those to replace.
"""

import json
import sys
from pathlib import Path
from typing import Any

Resources = dict[str, dict[str, Any]]


def main(arguments: list[str]) -> int:
    folder = Path.cwd()
    with (folder.parent / "calls").open("a") as calls:
        calls.write(f"{folder.name}: {' '.join(arguments)}\n")
    command, *options = (argument for argument in arguments if argument != "-no-color")
    if command in {"plan", "apply"} and (folder / "lock").exists() and "-lock=false" not in options:
        who = (folder / "lock").read_text()
        info = f"Lock Info:\n  ID:        6f1c\n  Operation: OperationTypeApply\n  Who:       {who}\n  Created:   today"
        return _fail("Error acquiring the state lock", info)
    match command:
        case "plan":
            (out,) = (option.removeprefix("-out=") for option in options if option.startswith("-out="))
            return _plan(folder, Path(out))
        case "show" if "-json" in options:
            print(Path(options[-1]).read_text())
        case "show":
            changes = json.loads(Path(options[-1]).read_text())["resource_changes"]
            print(*(f"{change['address']} will be {change['change']['actions'][-1]}d" for change in changes), sep="\n")
        case "untaint":
            _write(folder / "tainted.json", [one for one in _tainted(folder) if one != options[-1]])
        case "apply":
            return _apply(folder, json.loads(Path(options[-1]).read_text())["resource_changes"])
    return 0


def _plan(folder: Path, out: Path) -> int:
    state, actual = _read(folder / "state.json"), _known(folder)
    blocks: Any = _read(folder / "imports.tf.json").get("import", [])
    imports = {block["to"]: block["id"] for block in blocks if block["to"] not in state}
    actual |= {address: _read(folder / "actual.json")[address] for address in imports}
    wanted = {address: _resolved(folder, one) for address, one in _read(folder / "configuration.json").items()}
    for address, arguments in wanted.items():
        if "plan_error" in arguments:
            return _fail(arguments["plan_error"], f"with {address}")
    drift = [_entry(address, state[address], actual.get(address)) for address in state]
    drift = [entry for entry in drift if entry["change"]["actions"] != ["no-op"]]
    changes = [_entry(address, actual.get(address), wanted.get(address)) for address in sorted({*actual, *wanted})]
    for entry in changes:
        if entry["address"] in _tainted(folder):
            entry["change"]["actions"], entry["action_reason"] = ["delete", "create"], "replace_because_tainted"
        if entry["address"] in imports:
            entry["change"]["importing"] = {"id": imports[entry["address"]]}
    _write(out, {"resource_changes": changes, "resource_drift": drift})
    return 0


def _resolved(folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    def value(argument: Any) -> Any:
        if not str(argument).startswith("${"):
            return argument
        producer = folder.parent / argument.removeprefix("${").removesuffix("}")
        return next(one["value"] for one in _read(producer / "state.json").values() if "value" in one)

    return {name: value(argument) for name, argument in arguments.items()}


def _entry(address: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    if before == after:
        actions = ["no-op"]
    elif before is None or after is None:
        actions = ["create" if before is None else "delete"]
    else:
        actions = ["update"] if before.get("id") == after.get("id") else ["delete", "create"]
    paths = {"replace_paths": [["id"]]} if len(actions) > 1 else {}
    return {
        "address": address, "type": address.partition(".")[0], "name": address.partition(".")[2],
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": {}, **paths},
    }  # fmt: skip


def _apply(folder: Path, changes: list[dict[str, Any]]) -> int:
    imported = {entry["address"]: entry["change"]["before"] for entry in changes if "importing" in entry["change"]}
    resources = _known(folder) | imported
    _write(folder / "state.json", resources)
    for entry in changes:
        address, change = entry["address"], entry["change"]
        for action in change["actions"]:
            if action == "no-op":
                continue
            hook = {"resource": {"addr": address}, "action": action, "elapsed_seconds": 0}
            _print(f"{address}: {action}", type="apply_start", hook=hook)
            if action != "delete" and "apply_error" in change["after"]:
                _print(f"{address}: errored", type="apply_errored", hook=hook)
                error = change["after"]["apply_error"]
                if error == "Failed to save state":
                    (folder / "errored.tfstate").touch()
                return _fail(error, f"with {address}") if error else 137
            if action == "delete":
                del resources[address]
            else:
                resources[address] = change["after"]
            _print(f"{address}: complete", type="apply_complete", hook=hook)
            for name in ("state.json", "actual.json"):
                _write(folder / name, resources)
    return 0


def _known(folder: Path) -> Resources:
    """The resources in the state, as they exist now."""
    actual = _read(folder / "actual.json")
    return {address: actual[address] for address in _read(folder / "state.json") if address in actual}


def _tainted(folder: Path) -> list[str]:
    return list(_read(folder / "tainted.json"))


def _fail(summary: str, detail: str) -> int:
    diagnostic = {"severity": "error", "summary": summary, "detail": detail}
    _print(f"Error: {summary}", type="diagnostic", diagnostic=diagnostic)
    return 1


def _print(message: str, **fields: Any) -> None:
    print(json.dumps({"@message": message, **fields}), flush=True)


def _read(file: Path) -> Resources:
    resources: Resources = json.loads(file.read_text()) if file.exists() else {}
    return resources


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
