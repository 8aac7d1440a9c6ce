"""The messages of controllers name the field to correct, its value and a remedy."""

from pathlib import Path

import pytest

from tests.gitops.problems import once
from tests.gitops.remedies import with_remedy
from tests.gitops.tree import Json
from tests.gitops.unknown_fields import with_known_field

_METRIC = {
    "name": "a", "count": 5, "failureLimit": -2, "initialDelay": "soon", "provider": {"job": {}, "web": {}},
}  # fmt: skip
_TEMPLATE = {"kind": "AnalysisTemplate", "spec": {"metrics": [_METRIC], "dryRun": [{"metricName": "b"}]}}
_CANARY = {"kind": "Rollout", "spec": {"strategy": {"canary": {"steps": [{"setWeight": 20, "pause": {}}]}}}}
_BLUE_GREEN = {"kind": "Rollout", "spec": {"strategy": {"blueGreen": {}}}}
_WINDOWS = [{"kind": "alow", "schedule": "always", "duration": "1h"}, {"kind": "deny", "duration": "1 day"}]
_PROJECT = {
    "kind": "AppProject",
    "spec": {"syncWindows": _WINDOWS, "sourceRepos": ["a", "a"], "destinations": [{"namespace": "!*"}]},
}


@pytest.mark.parametrize(
    ("manifest", "said", "expected"),
    [
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: metrics[0]: failureLimit must be >= 0, or -1 to be disabled",
            (
                "spec.metrics[0].failureLimit: Invalid value: -2: failureLimit must be >= 0, or -1 to be disabled; "
                "write a number in this range"
            ),
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: metrics[0]: interval must be specified when count > 1",
            "spec.metrics[0].interval: Required value: interval must be specified when count > 1; write such as 30s",
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: metrics[0]: invalid startDelay string: time: a",
            (
                'spec.metrics[0].initialDelay: Invalid value: "soon": invalid initialDelay string: time: a; '
                "write such as 30s"
            ),
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: metrics[0]: multiple providers specified",
            'spec.metrics[0].provider: Invalid value: "job, web": multiple providers specified; name exactly one',
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: metrics[0]: something new",
            "spec.metrics[0]: something new",
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 1: dryRun[0]: Rule didn't match any metric name(s)",
            'spec.dryRun[0].metricName: Invalid value: "b": matches no metric; write one of a',
        ),
        (
            _TEMPLATE,
            "spec.metrics: Invalid value: 0: no metrics specified",
            "spec.metrics: Required value: no metrics specified; add one",
        ),
        (
            {"kind": "Service", "spec": {}},
            (
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"UDP","AppProtocol":null,"Port":80,'
                '"TargetPort":0,"NodePort":0}'
            ),
            "spec.ports[1]: Duplicate value: 80/UDP; write another port, or remove one",
        ),
        (
            _CANARY,
            (
                'spec.strategy.canary.analysis.args[0]: Invalid value: "a": no argument of ; remove it, or add it to '
                "the template"
            ),
            (
                'spec.strategy.canary.analysis.args[0]: Invalid value: "a": no templates have it; '
                "name one in templates, or remove it"
            ),
        ),
        (
            _CANARY,
            (
                "lifecycle.preStop.sleep: Invalid value: 60: must be greater than 0 and less than "
                "terminationGracePeriodSeconds (30). Enable AllowPodLifecycleSleepActionZeroValue feature gate for "
                "zero sleep."
            ),
            (
                "lifecycle.preStop.sleep: Invalid value: 60: must be non-negative and less than "
                "terminationGracePeriodSeconds (30)"
            ),
        ),
        (  # what a Rollout gives to a template
            _CANARY,
            (
                'spec.strategy.canary.analysis.templates: Invalid value: "a": metrics: Invalid value: 1: metrics[0]: '
                "invalid interval string: b"
            ),
            (
                'spec.strategy.canary.analysis.templates: Invalid value: "a": metrics[0].interval: '
                "invalid interval string: b; write such as 30s"
            ),
        ),
        (
            _CANARY,
            "spec.strategy.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero",
            (
                "spec.strategy.canary.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero; "
                "write at least 1 for one of them"
            ),
        ),
        (
            _CANARY,
            'spec.strategy.steps[0]: Invalid value: "step.Experiment: false step.Pause: true": Step must have one of a',
            (
                'spec.strategy.canary.steps[0]: Invalid value: "pause, setWeight": write a step for each of analysis, '
                "experiment, pause, plugin, setCanaryScale, setHeaderRoute, setMirrorRoute and setWeight"
            ),
        ),
        (
            _BLUE_GREEN,
            'spec.strategy.activeService: Invalid value: "a": two different services are required.',
            (
                'spec.strategy.blueGreen.activeService: Invalid value: "a": two different services are required; '
                "name another one"
            ),
        ),
        (
            _PROJECT,
            "kind 'alow' mismatch: can only be",
            "spec.syncWindows[0].kind: alow: not permitted; write allow or deny",
        ),
        (
            _PROJECT,
            "cannot parse duration '1 day': time: unknown unit",
            "spec.syncWindows[1].duration: 1 day: time: unknown unit; write such as 1h30m",
        ),
        (
            _PROJECT,
            "source repository 'a' already added",
            "spec.sourceRepos[1]: a: already added; remove one",
        ),
        (
            _PROJECT,
            "namespace has an invalid format, '!*'",
            "spec.destinations[0].namespace: !*: not permitted; write one without !",
        ),
        (
            {"kind": "Prometheus", "spec": {"replicas": "two"}},
            'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
            'spec.replicas: Invalid value: "two": must be of type number; write a number, without quotes',
        ),
        (
            {"kind": "LimitRange", "spec": {}},
            'spec.limits[0].default[memory]: Invalid value: "1Mi": default value 256Mi is greater than max value 1Mi',
            'spec.limits[0].default[memory]: Invalid value: "256Mi": default value 256Mi is greater than max value 1Mi',
        ),
        (
            {"kind": "Application", "spec": {}},
            "spec: application destination can't have both name and server defined: a https://b",
            (
                "spec: application destination can't have both name and server defined: a https://b; "
                "remove one of spec.destination"
            ),
        ),
        (
            {"kind": "Application", "spec": {}},
            "spec: Destination server missing from app spec",
            "spec: Destination server missing from app spec; add spec.destination.server or name",
        ),
        ({"kind": "Job", "spec": {}}, "spec.template: Required value", "spec.template: Required value"),
    ],
)
def test_names_the_field_its_value_and_a_remedy(manifest: Json, said: str, expected: str) -> None:
    assert with_remedy(manifest, said) == expected


@pytest.mark.parametrize(
    ("kind", "field", "remedy"),
    [
        ("argoproj.io/v1alpha1 Rollout", "spec.strategy.maxSurge", "move it to spec.strategy.canary.maxSurge"),
        ("argoproj.io/v1alpha1 Rollout", "spec.strategy.canary.steps[1].setweight", "write setWeight"),
        ("argoproj.io/v1alpha1 AnalysisTemplate", "spec.metrics[0].startDelay", "write initialDelay"),
        ("apps/v1 Deployment", "spec.template.spec.containers[0].envs", "write env"),
        ("apps/v1 Deployment", "spec.template.replicas", "move it to spec.replicas"),
        (
            "autoscaling/v2 HorizontalPodAutoscaler",
            "spec.cpu",
            "write one of behavior, maxReplicas, metrics, minReplicas, scaleTargetRef",
        ),
        ("v1 Pod", "spec.cpu", "remove it"),
        ("example.com/v1 Widget", "spec.a", "remove it"),
    ],
)
def test_names_the_field_that_is_meant(kind: str, field: str, remedy: str, crds: Path) -> None:
    version, name = kind.split()
    manifest = {"apiVersion": version, "kind": name}
    said = f'unknown field "{field}"'
    assert with_known_field(manifest, said, crds) == f"{said}; {remedy}"


def test_leaves_other_problems_as_they_are(crds: Path) -> None:
    assert with_known_field({}, "spec.a: Required value", crds) == "spec.a: Required value"


def test_says_a_problem_of_several_environments_once() -> None:
    said = [
        "service/a/overlays/dev: Rollout a: no Secret in a-dev",
        "service/a/overlays/prod: Rollout a: no Secret in a-prod",
        "service/b/overlays/dev: Rollout b: dev",
        "service/a/overlays/dev: Rollout a: no Secret in a-dev",
        "dev: Application a-dev: b",
        "prod: Application a-prod: b",
        "management/a: management",
        "management/b: management",
        "without a place",
    ]
    assert list(once(said)) == [
        "service/a/overlays/{dev,prod}: Rollout a: no Secret in a-ENVIRONMENT",
        "service/b/overlays/dev: Rollout b: dev",
        "dev, prod: Application a-ENVIRONMENT: b",
        "management/{a,b}: management",
        "without a place",
    ]
