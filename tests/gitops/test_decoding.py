"""The messages of Go about values that it cannot decode."""

import pytest

from tests.gitops.decoding import with_fields, without_vague_lines
from tests.gitops.tree import Json


def _pod(container: Json) -> Json:
    return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "a"}, container]}}}}


_CONTAINER = "spec.template.spec.containers[1]"
_GO = "into Go struct field"


@pytest.mark.parametrize(
    ("manifest", "said", "expected"),
    [
        (
            _pod({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": 1}, {"name": "C", "value": 2.5}]}),
            f"json: cannot unmarshal number {_GO} EnvVar.spec.template.spec.containers.env.value of type string",
            [
                f"{_CONTAINER}.env[{i}].value: {value}: of type number; write it in quotes"
                for i, value in ((1, 1), (2, 2.5))
            ],
        ),
        (
            _pod({"args": ["--port", 80]}),
            f"json: cannot unmarshal number {_GO} Container.spec.template.spec.containers.args of type string",
            [f"{_CONTAINER}.args[1]: 80: of type number; write it in quotes"],
        ),
        (
            {"spec": {"syncPolicy": {"automated": {"prune": True, "selfHeal": "true"}}}},
            f"json: cannot unmarshal string {_GO} SyncPolicyAutomated.spec.syncPolicy.automated.selfHeal of type bool",
            ['spec.syncPolicy.automated.selfHeal: "true": of type string; write true or false, without quotes'],
        ),
        (
            {"spec": {"replicas": "2"}},
            f"json: cannot unmarshal string {_GO} DeploymentSpec.spec.replicas of type int32",
            ['spec.replicas: "2": of type string; write a number, without quotes'],
        ),
        (
            {"spec": {"kubelet": {"clusterDNS": "10.0.0.10"}}},
            f"json: cannot unmarshal string {_GO} KubeletConfiguration.spec.kubelet.clusterDNS of type []string",
            ['spec.kubelet.clusterDNS: "10.0.0.10": of type string; write a list'],
        ),
        (  # the text of a patch, which Argo CD renders
            {"spec": {"templatePatch": "spec: {syncPolicy: {automated: {selfHeal: 'true'}}}"}},
            f"json: cannot unmarshal string {_GO} SyncPolicyAutomated.spec.syncPolicy.automated.selfHeal of type bool",
            ["spec.syncPolicy.automated.selfHeal: of type string; write true or false, without quotes"],
        ),
        (
            _pod({"resources": {"limits": {"cpu": "1", "memory": "64MB"}}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            [f"{_CONTAINER}.resources.limits.memory: 64MB: not a quantity; write such as 64Mi or 1Gi"],
        ),
        ({"spec": {}}, "spec.replicas: Required value", ["spec.replicas: Required value"]),
    ],
)
def test_names_the_field_its_value_and_the_remedy(manifest: Json, said: str, expected: list[str]) -> None:
    assert with_fields(manifest, said) == expected


def test_a_line_without_a_field_is_left_out_only_if_another_one_names_it() -> None:
    vague = "spec: Invalid value: null: unrecognized type: string"
    clear = "Rollout a: spec.template.spec.containers[0].args[0]: 1: of type number; write it in quotes"
    lines = [f"Rollout a: {vague}", f"Rollout b: {vague}", clear]
    assert without_vague_lines(lines) == [f"Rollout b: {vague}", clear]


def test_names_the_fields_whose_type_differs_from_that_of_the_crd() -> None:
    automated = {"type": "object", "properties": {"prune": {"type": "boolean"}, "selfHeal": {"type": "boolean"}}}
    schema = {
        "type": "object",
        "properties": {
            "automated": automated,
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "limits": {"type": "array", "items": {"type": "integer"}},
            "free": {"x-kubernetes-preserve-unknown-fields": True},
        },
    }
    manifest = {
        "automated": {"prune": True, "selfHeal": "true"},
        "labels": {"a": "true", "b": 1},
        "limits": [1, "2"],
        "free": {"c": 1},
        "unknown": 1,
    }
    assert with_fields(manifest, "unrecognized type: bool", schema) == [
        'automated.selfHeal: "true": of type string; write true or false, without quotes',
        "labels.b: 1: of type number; write it in quotes",
        'limits[1]: "2": of type string; write a number, without quotes',
    ]
    assert with_fields({"labels": {}}, "unrecognized type: bool", schema) == ["unrecognized type: bool"]
