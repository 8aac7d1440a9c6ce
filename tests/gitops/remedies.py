"""What controllers say to a field, with its path, its value and a remedy where they name none, or another one.

Sources: ValidateMetrics in utils/analysis/factory.go and pkg/apis/rollouts/validation/validation.go of Argo Rollouts
1.10.2; ValidateProject and the methods of sync windows in pkg/apis/application/v1alpha1 of Argo CD 3.6.1; the
validation of types in k8s.io/apiextensions-apiserver v0.37.2.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.gitops.decoding import REMEDIES
from tests.gitops.rules import with_paths
from tests.gitops.tree import Json

# What is said to a metric, the field that it means, and the remedy.
_OF_METRICS: Sequence[tuple[str, str, str]] = (
    (r"(\w+) must be >= .*", r"\1", "write a number in this range"),
    (r"(count) \(\d+\) must be >= .*", r"\1", "write a higher count, or lower limits"),
    (r"(failureLimit) and consecutiveSuccessLimit cannot .*", r"\1", "set one of them"),
    (r"(interval) must be specified .*", r"\1", "write such as 30s"),
    (r"invalid (interval) string: .*", r"\1", "write such as 30s"),
    (r"invalid startDelay string: .*", "initialDelay", "write such as 30s"),
    (r"duplicate (name) .*", r"\1", "write another one"),
    (r"(?:no|multiple) (provider)s? specified", r"\1", "name exactly one"),
)

# What is said to an AppProject, the field with the value in quotes, and the remedy.
_OF_PROJECTS: Sequence[tuple[str, str, str]] = (
    (r"kind '(.*)' mismatch: .*", "spec.syncWindows[].kind", "write allow or deny"),
    (r"cannot parse schedule '(.*?)': (.*)", "spec.syncWindows[].schedule", "write such as 0 10 * * 1-5"),
    (r"cannot parse duration '(.*?)': (.*)", "spec.syncWindows[].duration", "write such as 1h30m"),
    (r"source repository has an invalid format, '(.*)'", "spec.sourceRepos[]", "write an address, or * without !"),
    (r"source repository '(.*)' (already added)", "spec.sourceRepos[]", "remove one"),
    (r"source namespace '(.*)' (already added)", "spec.sourceNamespaces[]", "remove one"),
    (r"(?:server|namespace|name) has an invalid format, '(.*)'", "spec.destinations[].*", "write one without !"),
    (r"role '(.*)' (already exists)", "spec.roles[].name", "write another name"),
    (r"invalid role name '(.*)'\. (Must .*)", "spec.roles[].name", "correct it"),
    (r"invalid policy rule '(.*)': (.*)", "spec.roles[].policies[]", "correct it"),
    (r"policy '(.*)' (already exists) for role '.*'", "spec.roles[].policies[]", "remove one"),
    (r"group '(.*)' (already exists) for role '.*'", "spec.roles[].groups[]", "remove one"),
)

# What is said in other words, and the remedy.
_ENDS: Mapping[str, str] = {
    r"MaxSurge and MaxUnavailable both can not be zero": "write at least 1 for one of them",
    r"Multiple Strategies can not be listed": "remove one",
    r"Rollout has missing field '.*'": "add it",
    r".*two different services are required\.": "name another one",
    r"`selector` does not match template `labels`": "write the same labels in both",
    r"destination '.*' already added": "remove one of spec.destinations",
    r"window '.*' requires one of application, cluster or namespace": "set one in spec.syncWindows",
    r"sync window with kind .* already exists .*": "remove one of spec.syncWindows",
    r"args\.[\w.-]+ was not resolved": "give it a value in args",
    r"failed to resolve \{\{.*\}\}": "add the argument to spec.args of the template",
    r".* runs indefinitely\. .*": "set count",
    r'Service ".*" has unmatch label ".*" in rollout': "write the labels of its Pods in the selector of the Service",
    r"ingress `.*` has no rules using service .* backend": "name the Service of one of its backends",
    r".* Both are configured\.": "remove one",
    r"template must be empty for workload reference rollout": "remove it",
    r".*: no such AppProject": "add it, or name another",
    r".*: does not exist": "correct it",
    r"application destination can't have both name and server defined: .*": "remove one of spec.destination",
    r"Destination server missing from app spec": "add spec.destination.server or name",
    r"error getting cluster by server .* not found": "correct spec.destination.server",
    r"there are no clusters with this name: .*": "correct spec.destination.name",
    r"application repo .* is not permitted in project '.*'": "add it to spec.sourceRepos of the AppProject",
    r"application destination .* do not match any .*": "add it to spec.destinations of the AppProject",
    r'.*map has no entry for key ".*"': "correct the key",
}

_STEPS = "analysis, experiment, pause, plugin, setCanaryScale, setHeaderRoute, setMirrorRoute and setWeight"

_TYPE = re.compile(r'(\S+): Invalid value: "\w+": \S* ?in body must be of type (\w+): "\w+"')
_STEP = re.compile(r'(.*steps\[(\d+)\]): Invalid value: "step\.Experiment: .*": Step must have one of .*')
_DUPLICATE_PORT = re.compile(r'(spec\.ports\[\d+\]): Duplicate value: (\{"Name":.*\})')
_NO_ARGUMENT = re.compile(r": no argument of ; .*$")
_SLEEP = re.compile(
    r"(\S+\.sleep: Invalid value: (-?\d+)): must be greater than 0( and less than \S+ \(\d+\))\. Enable .*"
)
_DEFAULT_ABOVE_MAX = re.compile(r'(\S+\.default\[\S+\]: Invalid value: )"\S+"(: default value (\S+) is greater .*)')


def with_remedy(manifest: Json, problem: str) -> str:
    """The problem of a manifest, in the words of its file."""
    if manifest["kind"] == "Rollout":
        problem = _of_strategy(manifest, problem)
    if found := re.fullmatch(r"(.*?)metrics: Invalid value: \d+: (no metrics specified|\w+\[\d+\]: .*)", problem):
        problem = _of_metrics(manifest, *found.groups())
    if manifest["kind"] == "AppProject":
        problem = _of_project(manifest, problem)
    if found := _TYPE.fullmatch(problem):
        path, wanted = found.groups()
        wanted = {"boolean": "bool", "integer": "number"}.get(wanted, wanted)
        remedy = REMEDIES.get(wanted, f"write one of type {wanted}")
        return f"{path}: Invalid value: {json.dumps(value_at(manifest, path))}: must be of type {wanted}; {remedy}"
    if found := _DEFAULT_ABOVE_MAX.fullmatch(problem):
        return f'{found[1]}"{found[3]}"{found[2]}'
    if found := _DUPLICATE_PORT.fullmatch(problem):
        port = json.loads(found[2])
        return f"{found[1]}: Duplicate value: {port['Port']}/{port['Protocol']}; write another port, or remove one"
    if found := _SLEEP.fullmatch(problem):  # the API server says the same, except of 0, in its own words
        return f"{found[1]}: must be {'greater than 0' if found[2] == '0' else 'non-negative'}{found[3]}"
    problem = _NO_ARGUMENT.sub(": no templates have it; name one in templates, or remove it", problem)
    remedies = [remedy for text, remedy in _ENDS.items() if re.fullmatch(rf"(.*: )?{text}", problem)]
    return "; ".join([problem.rstrip("."), *remedies]) if remedies else problem


def _of_strategy(rollout: Json, problem: str) -> str:
    """Argo Rollouts names the fields of a strategy without its name."""
    has_canary = value_at(rollout, "spec.strategy.canary") is not None
    strategy = "canary" if has_canary else "blueGreen"
    problem = problem.replace("spec.strategy.strategy: ", "spec.strategy: ", 1)
    problem = re.sub(r"^spec\.strategy\.(?!canary\b|blueGreen\b)", f"spec.strategy.{strategy}.", problem)
    problem = re.sub(r"^(\S+\])\.analyses: ", r"\1.analysis.args: ", problem)
    if found := _STEP.fullmatch(problem):
        step = value_at(rollout, f"spec.strategy.canary.steps[{found[2]}]") or {}
        return f"{found[1]}: Invalid value: {json.dumps(', '.join(sorted(step)))}: write a step for each of {_STEPS}"
    return problem


def _of_metrics(manifest: Json, above: str, said: str) -> str:
    """Argo Rollouts names the number of metrics as the wrong value."""
    found = re.fullmatch(r"(\w+)\[(\d+)\]: (.*)", said)
    if found is None:
        return f"{above}metrics: Required value: {said}; add one"
    kind, index, text = found.groups()
    if kind != "metrics":
        field = f"{above}{kind}[{index}].metricName"
        names = ", ".join(one["name"] for one in manifest["spec"].get("metrics") or [])
        return f"{field}: {_given(manifest, field)}: matches no metric; write one of {names}"
    at = f"{above}metrics[{index}]"
    for pattern, name, remedy in _OF_METRICS:
        if matched := re.fullmatch(pattern, text):
            field, text = f"{at}.{matched.expand(name)}", text.replace("startDelay", "initialDelay")
            value = f"{_given(manifest, field)}: " if above == "spec." else ""  # else of another object
            return f"{field}: {value}{text}; {remedy}"
    return f"{at}: {text}"


def _given(manifest: Json, path: str) -> str:
    """The value of a field, as the API server writes it: the keys of an object."""
    value = value_at(manifest, path)
    if value is None:
        return "Required value"
    return f"Invalid value: {json.dumps(', '.join(value) if isinstance(value, dict) else value)}"


def _of_project(project: Json, problem: str) -> str:
    for pattern, field, remedy in _OF_PROJECTS:
        if found := re.fullmatch(pattern, problem):
            places = [path for path, text in _texts(project) if text == found[1] and _is_at(path, field)]
            text = found[2] if found.re.groups > 1 else "not permitted"
            return f"{places[-1] if places else field}: {found[1]}: {text}; {remedy}"
    return problem


def _is_at(path: str, field: str) -> bool:
    """Whether a path is the one of a field, in which [] is any item, and * any key."""
    return re.fullmatch(re.escape(field).replace(r"\[\]", r"\[\d+\]").replace(r"\*", r"\w+"), path) is not None


def _texts(manifest: Json) -> Iterator[tuple[str, str]]:
    for path, holder in with_paths(manifest):
        for key, value in holder.items():
            at = f"{path}.{key}" if path else key
            if isinstance(value, str):
                yield at, value
            elif isinstance(value, list):
                yield from ((f"{at}[{index}]", one) for index, one in enumerate(value) if isinstance(one, str))


def value_at(manifest: Json, path: str) -> Any:
    """The value at the path of a field; None if there is none."""
    value: Any = manifest
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            value = value[int(index)] if index else value[key]
        except (IndexError, KeyError, TypeError):
            return None
    return value
