"""Plans a change of the settings from the deployed region: edits a copy of the repository, synthesizes and plans it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from operations.deploy import effects
from operations.guard import guard
from operations.local import aws_provider
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, TerraformError, new_log
from operations.terraform.stacks import Stack, read_stacks
from tests.changes.cases import FILES, Edit, SettingsChange
from tests.e2e.clone import clone_into

_REGION = "ap-northeast-2"
_SUFFIX = re.compile(r"-\d{18}[0-9a-f]{8}$")
"""What the AWS provider adds to `node_group_name_prefix`: the time and a counter."""


class Outcome(NamedTuple):
    """What a change of the settings leads to."""

    kind: str
    """`in place`, `new first`, `replaced`, `removed`, `nothing`, `needs steps`, `refused by the settings` or `by the
    guard`."""
    what: str
    """The plans and their effects, or the errors of the settings, a line each."""
    guard: str = ""
    """The verdicts and rules of the guard, a line each."""


class Planner:
    """A copy of the repository that plans against the deployed region of the environment, without refreshing."""

    def __init__(self, folder: Path, base: Sequence[Edit] = ()) -> None:
        self.root = clone_into(folder)
        self._output = folder / "cdktf.out"
        for edit in base:
            self._edit(edit)
        assert self._synthesize() == ""
        self._deployed = self._stacks()
        shutil.copytree(self.root / "stacks", folder / "as-deployed")

    def outcome(self, change: SettingsChange) -> Outcome:
        """Make a change, plan it and take it back."""
        for edit in change.edits:
            self._edit(edit)
        try:
            errors = self._synthesize()
            return Outcome("refused by the settings", errors) if errors else self._planned()
        finally:
            shutil.rmtree(self.root / "stacks")
            shutil.copytree(self.root / "as-deployed", self.root / "stacks")

    def _edit(self, edit: Edit) -> None:
        path = self.root / "stacks" / FILES[edit.file]
        text = path.read_text(encoding="utf-8")
        assert edit.old in text, f"{path.name} does not contain {edit.old!r}"
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")

    def _synthesize(self) -> str:
        """The errors of the settings, or nothing."""
        finished = subprocess.run(
            [sys.executable, "main.py"],
            cwd=self.root,
            env={**os.environ, "CDKTF_OUTDIR": str(self._output)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert "Traceback" not in finished.stderr, finished.stderr
        lines = [line for line in finished.stderr.splitlines() if not line.startswith("warning:")]
        return "\n".join(lines) if finished.returncode else ""

    def _stacks(self) -> dict[str, tuple[Stack, dict[str, Any]]]:
        """The stacks by name, with what of their JSON reaches AWS. Changes their files for the emulated AWS."""
        found = {}
        for stack in read_stacks(self._output):
            document = json.loads((stack.directory / "cdk.tf.json").read_text(encoding="utf-8"))
            found[stack.name] = stack, {key: value for key, value in document.items() if key != "//"}
        aws_provider.use(self._output)
        return found

    def _planned(self) -> Outcome:
        """The plans of the stacks that differ, and the stacks that read an output which changes.

        A stack that reads a new output of another one cannot be planned before that is applied.
        """
        now = self._stacks()
        plans, texts = [], [f"{_short(name)}: no longer a stack" for name in self._deployed.keys() - now.keys()]
        outputs: dict[str, str] = {}
        for name, (stack, document) in now.items():
            _, before = self._deployed.get(name, (None, {}))
            reads = json.dumps(document)
            producers = sorted({_short(producer) for output, producer in outputs.items() if output in reads})
            if before == document:
                texts += [f"{_short(name)}: planned after {', '.join(producers)}"] if producers else []
            elif not before:
                texts.append(f"{_short(name)}: a new stack")
            elif before["terraform"]["backend"] != document["terraform"]["backend"]:
                texts.append(f"{_short(name)}: cannot be planned: its backend changes")
            elif stack.is_in_cluster or aws_provider.adapted(before) == aws_provider.adapted(document):
                texts.append(f"{_short(name)}: {_difference(before, document)}")
            else:
                try:
                    plans.append(self._plan(stack))
                except TerraformError as error:
                    waits = producers and "Unsupported attribute" in str(error)
                    why = f"planned after {', '.join(producers)}" if waits else f"cannot be planned: {_summary(error)}"
                    texts.append(f"{_short(name)}: {why}")
                else:
                    outputs |= {f"-{name}.outputs.{output}}}": name for output in plans[-1].outputs}
        return _outcome(plans, texts)

    def _plan(self, stack: Stack) -> Plan:
        log = new_log(self._output / "logs", stack.name)
        file = self._output / f"{stack.name}.tfplan"
        options = ("-lock=false", "-refresh=false")
        return Plan(stack.name, Terraform(stack.directory).stream_plan(file, log, lambda _: None, *options))


def _outcome(plans: Sequence[Plan], texts: Sequence[str]) -> Outcome:
    findings = [finding for plan in plans for finding in guard.findings(plan)]
    actions = {"new first" if change.creates_first else change.action for plan in plans for change in plan.changes}
    kind = next((name for action, name in _KINDS if action in actions), "in place" if actions or texts else "nothing")
    if any("cannot be planned" in text for text in texts):
        kind = "needs steps"
    elif any(finding.is_refused for finding in findings):
        kind = "refused by the guard"
    lines = [f"{_short(plan.stack)}: {plan.summary}" for plan in plans if not plan.is_empty]
    affected: dict[str, set[str]] = {}
    for plan in plans:
        for text, resources in effects.effects(plan).items():
            affected.setdefault(text, set()).update(_SUFFIX.sub("", name) for name in resources)
    lines += [f"{', '.join(sorted(resources))}: {text}" for text, resources in affected.items()]
    rules = sorted({f"{finding.verdict}: {finding.rule}" for finding in findings})
    return Outcome(kind, "\n".join([*lines, *sorted(texts)]), "\n".join(rules))


def _summary(error: TerraformError) -> str:
    """The summary of the first error, without what differs between runs."""
    summary = error.details[0].splitlines()[0] if error.details else str(error)
    return re.sub(r",? ?(RequestID|HostID): [\w+/=-]*,?", "", summary)


_KINDS = (("replace", "replaced"), ("new first", "new first"), ("destroy", "removed"))


def _short(stack: str) -> str:
    return stack.removeprefix(f"{_REGION}-")


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The resources that differ, as a plan would say, where the provider or what is new in it cannot be had."""
    old, new = (
        {(kind, name): arguments for kind, all_ in side.get("resource", {}).items() for name, arguments in all_.items()}
        for side in (before, after)
    )
    counts = {
        "to create": len(new.keys() - old.keys()),
        "to update": sum(old[key] != new[key] for key in old.keys() & new.keys()),
        "to destroy": len(old.keys() - new.keys()),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "the connection to the cluster"
