"""The synthesized stacks as a CDKTF program in TypeScript: the yardstick of the benchmark for `python main.py`.

Each resource is created with the arguments that were synthesized, so that both programs do the same work in the jsii
library or without it. The program is only measured: its output is not compared.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_PACKAGES = {
    "@cdktf/provider-aws": "21.22.1",
    "@cdktf/provider-helm": "12.1.2",
    "@cdktf/provider-kubernetes": "12.1.1",
    "@types/node": "20.17.6",
    "cdktf": "0.21.0",
    "constructs": "10.4.2",
    "ts-node": "10.9.2",
    "typescript": "5.6.3",
}
_OPTIONS = {
    "module": "CommonJS",
    "moduleResolution": "node",
    "outDir": "compiled",
    "skipLibCheck": True,
    "strict": True,
    "target": "ES2022",
}
_PLAIN_MAPS = {"annotations", "data", "data_wo", "labels", "match_labels", "parameters", "tags"}
"""Arguments whose keys are the user's, and no names of arguments."""
_LISTS = {"records"}
"""Arguments that are one reference to a list in the stacks, for which the classes want a list."""
_META = {"//", "depends_on", "lifecycle", "provider"}
_CLASS = re.compile(r"export declare class (\w+) extends cdktf\.TerraformResource")
_HEAD = """\
import { App, S3Backend, TerraformOutput, TerraformStack } from "cdktf";
import { Construct } from "constructs";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { HelmProvider } from "@cdktf/provider-helm/lib/provider";
import { KubernetesProvider } from "@cdktf/provider-kubernetes/lib/provider";
"""


def install(folder: Path) -> None:
    """Install the packages of the program into a folder, where they are not yet; half a gigabyte."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"private": True, "dependencies": _PACKAGES}, indent=1)
    if (folder / "installed").is_file() and (folder / "installed").read_text() == text:
        return
    (folder / "package.json").write_text(text)
    npm = shutil.which("npm") or "npm"
    command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--no-package-lock"]
    subprocess.run(command, cwd=folder, check=True)
    (folder / "installed").write_text(text)


def write(folder: Path, output: Path) -> None:
    """Write and compile the program of the stacks in `output`, where the packages are installed."""
    imports: set[str] = set()
    stacks: list[str] = []
    manifest = json.loads((output / "manifest.json").read_text())["stacks"]
    for name, entry in sorted(manifest.items()):
        document = json.loads((output / entry["synthesizedStackPath"]).read_text())
        body = "\n".join(_statements(document, folder, imports))
        stacks.append(f"class Stack{len(stacks)} extends TerraformStack {{")
        stacks[-1] += f" constructor(scope: Construct) {{ super(scope, {json.dumps(name)});\n{body}\n}} }}"
    made = [f"new Stack{number}(app);" for number in range(len(stacks))]
    program = [_HEAD + "\n".join(sorted(imports)), *stacks, "const app = new App({ stackTraces: false });", *made]
    (folder / "main.ts").write_text("\n".join([*program, "app.synth();", ""]))
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": _OPTIONS, "files": ["main.ts"]}))
    subprocess.run([folder / "node_modules/.bin/tsc"], cwd=folder, check=True)


def _statements(document: Mapping[str, Any], folder: Path, imports: set[str]) -> Iterator[str]:
    state = {name: value for name, value in document["terraform"]["backend"]["s3"].items() if name != "use_lockfile"}
    yield f"new S3Backend(this, {_literal(state)});"
    for name, (arguments, *_) in document["provider"].items():
        yield f"new {name.capitalize()}Provider(this, {json.dumps(name)}, {_literal(arguments)});"
    for kind, resources in document.get("resource", {}).items():
        found = _class_of(kind, folder, imports)
        for name, arguments in resources.items() if found else ():
            own = {argument: value for argument, value in arguments.items() if argument not in _META}
            yield f"new {found}(this, {json.dumps(name)}, {_literal(own)});"
    for name, output in document.get("output", {}).items():
        yield f"new TerraformOutput(this, {json.dumps(f'output-{name}')}, {_literal({'value': output['value']})});"


def _class_of(kind: str, folder: Path, imports: set[str]) -> str | None:
    """The class of a type of resource, which is imported; None of the few that are no resource of a provider."""
    provider, _, name = kind.partition("_")
    for module in (name, kind):
        path = f"@cdktf/provider-{provider}/lib/{module.replace('_', '-')}"
        declaration = folder / "node_modules" / path / "index.d.ts"
        if declaration.is_file() and (found := _CLASS.search(declaration.read_text())):
            imports.add(f'import {{ {found[1]} }} from "{path}";')
            return found[1]
    return None


def _literal(value: Any) -> str:
    return json.dumps(_camel(value))


def _camel(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {
            key if name in _PLAIN_MAPS else re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), key): _camel(
                item, key
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_camel(item, name) if isinstance(item, dict) else item for item in value]
    return [value] if name in _LISTS else value
