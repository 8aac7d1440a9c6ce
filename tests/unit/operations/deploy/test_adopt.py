"""`adopt` with a fake `terraform`; `tests/e2e/test_adopt.py` adopts real resources."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from operations.deploy import deploy
from operations.deploy.adopt import FIELDS, Adoption, parse_ids
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.state import existing, states
from operations.state.states import Resource
from operations.terraform.plans import Plan
from operations.terraform.stacks import Stack
from stacks.settings import EnvironmentSettings, SharedSettings
from tests.unit.operations.deploy.fake_terraform import FakeTerraform, Resources

pytestmark = pytest.mark.slow

_VPC: Resources = {"aws_vpc.it": {"cidr_block": "10.0.0.0/16"}}
_BOTH: Resources = {**_VPC, "aws_eip.it": {}}
_NO_SETTING = "no setting changes it: docs/adoption.md#what-cannot-be-adopted"


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    monkeypatch.setattr(Stack, "aws_session", lambda _: boto3.Session(region_name="ap-northeast-2"))
    _hold(monkeypatch)
    return FakeTerraform(tmp_path, monkeypatch)


def _find(monkeypatch: pytest.MonkeyPatch, **ids: list[str]) -> None:
    """What exists: import IDs by type."""

    def find(account: object, kind: str, values: Mapping[str, Any], *, by_name: bool) -> list[str]:
        assert isinstance(account, existing.Account)
        assert by_name
        assert values is not None
        return ids.get(kind, [])

    monkeypatch.setattr(existing, "find", find)


def _hold(monkeypatch: pytest.MonkeyPatch, *resources: Resource) -> None:
    """What states hold."""
    monkeypatch.setattr(
        states, "read_resources", lambda _, stack: [one for one in resources if one.stack == stack.name]
    )


def _stack(terraform: FakeTerraform, wanted: Resources, actual: Resources, **more: Any) -> Stack:
    stack = terraform.stack("dev", wanted, **more)
    by_kind: dict[str, dict[str, Any]] = {}
    for address, arguments in wanted.items():
        kind, _, name = address.partition(".")
        by_kind.setdefault(kind, {})[name] = arguments
    document = {
        "terraform": {"backend": {"s3": {}}},
        "provider": {"aws": [{"region": "ap-northeast-2"}]},
        "resource": by_kind,
    }
    (stack.directory / "cdk.tf.json").write_text(json.dumps(document))
    (stack.directory / "actual.json").write_text(json.dumps(actual))
    return stack


def _adopt(
    tmp_path: Path, stack: Stack, ids: Mapping[str, str] | None = None, others: Sequence[Stack] = (), **options: Any
) -> Report:
    chosen = {"applies_unreviewed": True, "is_guarded": False, "logs": tmp_path / "logs", **options}
    adoption = Adoption(stack, ids or {}, [stack, *others])
    progress = Progress(Console(file=io.StringIO()))
    return deploy.deploy([stack], {"dev": set()}, deploy.Options(adoption=adoption, **chosen), progress, " ".join)


def _what(report: Report) -> str:
    return str(report.data["stacks"]["dev"]["what"])


def test_what_exists_is_imported_and_what_is_absent_is_created(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    wanted = {**_BOTH, "aws_acm_certificate_validation.it": {}}
    stack = _stack(terraform, wanted, _VPC)
    report = _adopt(tmp_path, stack)
    assert (report.status, report.title) == (Status.FINE, "adopt: 1 applied")
    assert report.data["stacks"]["dev"]["imported"] == {"aws_vpc.it": "vpc-1"}
    assert report.data["stacks"]["dev"]["absent"] == {"aws_eip.it": ""}
    assert {table.title: table.rows for table in report.tables if table.title in {"Imported", "Absent"}} == {
        "Imported": [["dev", "aws_vpc.it", "vpc-1"]],
        "Absent": [["dev", "aws_eip.it", ""]],
    }
    assert terraform.state("dev") == terraform.actual("dev") == wanted
    assert not (stack.directory / "imports.tf.json").exists()

    again = _adopt(tmp_path, stack)
    assert (again.status, again.title, _what(again)) == (Status.FINE, "adopt: 1 unchanged", "nothing to adopt")


def test_the_question_lists_what_is_adopted_and_what_is_created(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    questions: list[str] = []

    def ask(_: str, plan: str) -> bool:
        questions.append(plan)
        return False

    report = _adopt(tmp_path, _stack(terraform, _BOTH, _VPC), applies_unreviewed=False, ask=ask)
    assert _what(report) == "the plan was not reviewed, and was declined"
    assert questions[0].endswith("\nadopt aws_vpc.it: vpc-1\ncreate aws_eip.it")
    assert terraform.actual("dev") == _VPC


def test_without_a_terminal_and_yes_nothing_is_changed(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    stack = _stack(terraform, _BOTH, _VPC)
    report = _adopt(tmp_path, stack, applies_unreviewed=False)
    assert report.status is Status.ATTENTION
    assert report.data["stacks"]["dev"]["imported"] == {"aws_vpc.it": "vpc-1"}
    assert not (stack.directory / "state.json").exists()


def test_import_blocks_of_a_killed_command_are_removed_even_if_the_plan_fails(
    tmp_path: Path, terraform: FakeTerraform
) -> None:
    stack = _stack(terraform, {"aws_vpc.it": {"plan_error": "no"}}, _VPC)
    (stack.directory / "imports.tf.json").write_text('{"import": [{"to": "aws_vpc.it", "id": "vpc-1"}]}')
    assert _adopt(tmp_path, stack).status is Status.ERROR
    assert not (stack.directory / "imports.tf.json").exists()


def test_a_key_is_looked_for_by_its_alias(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    aliases = dict[str, str | None]()

    def find(_: object, kind: str, values: Mapping[str, Any], *, by_name: bool) -> list[str]:
        assert by_name
        aliases[kind] = values.get("alias")
        return []

    monkeypatch.setattr(existing, "find", find)
    stack = _stack(terraform, {"aws_kms_key.it": {}}, {})
    file = stack.directory / "cdk.tf.json"
    document = json.loads(file.read_text())
    document["resource"]["aws_kms_alias"] = {
        "other": {"name": "alias/other", "target_key_id": "${aws_kms_key.other.key_id}"},
        "it": {"name": "alias/dev", "target_key_id": "${aws_kms_key.it.key_id}"},
    }
    file.write_text(json.dumps(document))
    _adopt(tmp_path, stack)
    assert aliases == {"aws_kms_key": "alias/dev"}


def test_if_nothing_exists_deploy_creates_the_stack(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch)
    report = _adopt(tmp_path, _stack(terraform, _VPC, {}))
    assert report.status is Status.ATTENTION
    assert _what(report) == "nothing to adopt (1 to create); deploy the changes: make deploy STACK=dev"
    assert terraform.actual("dev") == {}


def test_an_interrupted_adoption_goes_on(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    _stack(terraform, {**_VPC, "aws_eip.it": {"apply_error": ""}}, _VPC)  # Terraform is killed
    report = _adopt(tmp_path, _stack(terraform, {**_VPC, "aws_eip.it": {"apply_error": ""}}, _VPC))
    assert report.data["stacks"]["dev"]["outcome"] == "failed"
    assert report.data["again"] == "dev"
    assert "make recover" not in _what(report)
    assert terraform.state("dev") == _VPC

    report = _adopt(tmp_path, _stack(terraform, _BOTH, _VPC))
    assert report.title == "adopt: 1 applied"
    assert terraform.state("dev") == _BOTH


def test_a_resource_whose_creation_was_interrupted_is_not_replaced(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    stack = _stack(terraform, _BOTH, _BOTH)
    (stack.directory / "state.json").write_text('{"aws_eip.it": {}}')
    (stack.directory / "tainted.json").write_text('["aws_eip.it"]')
    (stack.directory / ".applying").touch()
    report = _adopt(tmp_path, stack, applies_unreviewed=False)
    assert _what(report).startswith("replace aws_eip.it: tainted by a failed apply; if it works, keep it: ")


def test_several_that_can_be_meant_must_be_chosen_among(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1", "vpc-2"], aws_eip=["eip-1", "eip-2"])
    stack = _stack(terraform, _BOTH, _VPC)
    assert _what(_adopt(tmp_path, stack)).splitlines() == [
        f'{address}: {ids}: 2 exist with its name; choose one: ID="{address}=…"; if none is meant: ID="{address}="'
        for address, ids in (("aws_eip.it", "eip-1, eip-2"), ("aws_vpc.it", "vpc-1, vpc-2"))
    ]
    report = _adopt(tmp_path, stack, {"aws_vpc.it": "vpc-2", "aws_eip.it": ""})
    assert report.data["stacks"]["dev"]["imported"] == {"aws_vpc.it": "vpc-2"}
    assert report.title == "adopt: 1 applied"


def test_a_type_that_cannot_be_found_must_be_chosen(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch)
    function: Resources = {"aws_lambda_function.it": {}}
    stack = _stack(terraform, function, function)
    assert _what(_adopt(tmp_path, stack)) == (
        "aws_lambda_function.it: aws_lambda_function: adopt cannot find it; "
        'choose it: ID="aws_lambda_function.it=…"; if none is meant: ID="aws_lambda_function.it="'
    )
    assert _adopt(tmp_path, stack, {"aws_lambda_function.it": "f"}).title == "adopt: 1 applied"


@pytest.mark.parametrize("ids", [{}, {"aws_vpc.it": "vpc-1"}])
def test_what_the_state_of_another_stack_holds_is_refused(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, ids: dict[str, str]
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    _hold(monkeypatch, Resource("shared", "aws_vpc.vpc", "aws_vpc", {"id": "vpc-1"}))
    others = [terraform.stack("shared", {}), terraform.stack("dev-gitops", {}, kind="in-cluster")]
    assert _what(_adopt(tmp_path, _stack(terraform, _VPC, _VPC), ids, others)) == (
        'aws_vpc.it: vpc-1: is in the state of shared, and can be in one only; if none is meant: ID="aws_vpc.it="'
    )


@pytest.mark.parametrize(("kind", "is_refused"), [("aws_ecr_repository", False), ("aws_iam_role", True)])
def test_only_global_names_can_be_in_the_state_of_another_region(
    terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, kind: str, *, is_refused: bool
) -> None:
    _find(monkeypatch, **{kind: ["app"]})
    _hold(monkeypatch, Resource("other", f"{kind}.it", kind, {"id": "app"}))
    stack = _stack(terraform, {f"{kind}.it": {}}, {})
    adoption = Adoption(stack, {}, [stack, terraform.stack("other", {}, region="us-west-2")])
    entry = {"address": f"{kind}.it", "type": kind, "name": "it", "change": {"after": {}}}
    if is_refused:
        with pytest.raises(OperationError, match="is in the state of other"):
            adoption.find(entry)
    else:
        assert adoption.find(entry) == "app"


def test_another_resource_of_the_stack_is_not_taken(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a second key with the same tags."""
    _find(monkeypatch, aws_vpc=["vpc-1", "vpc-2"])
    _hold(monkeypatch, Resource("dev", "aws_vpc.other", "aws_vpc", {"id": "vpc-1"}))
    report = _adopt(tmp_path, _stack(terraform, _VPC, _VPC))
    assert report.data["stacks"]["dev"]["imported"] == {"aws_vpc.it": "vpc-2"}


def test_a_plan_that_replaces_what_it_adopts_is_refused(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    stack = _stack(terraform, {"aws_vpc.it": {"id": "b"}}, {"aws_vpc.it": {"id": "a"}})
    report = _adopt(tmp_path, stack, is_guarded=True)  # the guard has nothing to add
    assert report.status is Status.ATTENTION
    assert _what(report) == ('replace aws_vpc.it: vpc-1: id: "a" in AWS, "b" in the settings; ' + _NO_SETTING)
    assert terraform.actual("dev") == {"aws_vpc.it": {"id": "a"}}
    assert not (stack.directory / "state.json").exists()


def _refusals(terraform: FakeTerraform, address: str, path: list[str | int], **values: Any) -> list[str]:
    """The refusals of an adopted resource; `values` are before, after, and what the settings have."""
    change = {
        "actions": ["delete", "create"], "importing": {"id": "it"}, "after_unknown": {}, "replace_paths": [path],
        **{name: value for name, value in values.items() if name != "configured"},
    }  # fmt: skip
    entry = {"address": address, "type": address.partition(".")[0], "change": change}
    stack = _stack(terraform, {address: values.get("configured", {})}, {})
    return Adoption(stack, {}, []).refusals(Plan("dev", {"resource_changes": [entry]}))


@pytest.mark.parametrize(
    ("address", "path", "values", "expected"),
    [
        (
            "aws_eks_cluster.it",
            ["kubernetes_network_config", 0, "service_ipv4_cidr"],
            {
                "before": {"kubernetes_network_config": [{"service_ipv4_cidr": "10.0.0.0/16"}]},
                "after": {"kubernetes_network_config": [{"service_ipv4_cidr": "10.1.0.0/16"}]},
            },
            (
                'kubernetes_network_config[0].service_ipv4_cidr: "10.0.0.0/16" in AWS, "10.1.0.0/16" in the settings; '
                "set cluster.service_ipv4_cidr in stacks/ap_northeast_2/dev.py"
            ),
        ),
        (
            "aws_db_instance.it",
            ["kms_key_id"],
            {
                "before": {"kms_key_id": "arn:aws:kms:1"},
                "after": {},
                "after_unknown": {"kms_key_id": True},
                "configured": {"kms_key_id": "${aws_kms_key.key_F64E54E4.arn}"},
            },
            (
                'kms_key_id: "arn:aws:kms:1" in AWS, a value known only after the apply in the settings; it comes from '
                'aws_kms_key.key_F64E54E4: adopt that from AWS, too, if it can be: ID="aws_kms_key.key_F64E54E4=…"'
            ),
        ),
        (
            "aws_iam_role.it",
            ["path"],
            {"before": {"path": "x" * 500}, "after": {"path": None}, "before_sensitive": {"path": False}},
            f'path: "{"x" * 199}… in AWS, nothing in the settings; {_NO_SETTING}',
        ),
        (
            "aws_db_instance.it",
            ["password"],
            {"before": {"password": "a"}, "after": {"password": "b"}, "before_sensitive": {"password": True}},
            f"password: a secret in AWS, a secret in the settings; {_NO_SETTING}",
        ),
    ],
    ids=["a setting", "another resource", "no setting", "a secret"],
)
def test_a_refusal_names_the_value_in_aws_the_one_of_the_settings_and_what_to_do(
    terraform: FakeTerraform, address: str, path: list[str | int], values: dict[str, Any], expected: str
) -> None:
    assert _refusals(terraform, address, path, **values) == [f"replace {address}: it: {expected}"]


def test_a_replacement_without_an_argument_that_forces_it_is_refused(terraform: FakeTerraform) -> None:
    change = {"actions": ["delete", "create"], "importing": {"id": "it"}, "before": {}, "after": {}}
    entry = {"address": "aws_vpc.it", "type": "aws_vpc", "action_reason": "replace_by_triggers", "change": change}
    plan = Plan("dev", {"resource_changes": [entry]})
    assert Adoption(_stack(terraform, _VPC, {}), {}, []).refusals(plan) == [
        f"replace aws_vpc.it: it: replace_triggered_by; {_NO_SETTING}"
    ]


def test_a_change_in_place_that_aws_refuses_is_refused(terraform: FakeTerraform) -> None:
    values = {"before": {"db_subnet_group_name": "old", "name": "a"}, "after": {"db_subnet_group_name": "new"}}
    entry = {"address": "aws_db_instance.it", "type": "aws_db_instance"}
    changed = {**entry, "change": {"actions": ["update"], "importing": {"id": "it"}, **values}}
    plan = Plan("dev", {"resource_changes": [changed]})
    assert Adoption(_stack(terraform, {"aws_db_instance.it": {}}, {}), {}, []).refusals(plan) == [
        f'update aws_db_instance.it: it: db_subnet_group_name: "old" in AWS, "new" in the settings; {_NO_SETTING}'
    ]


def test_the_guard_judges_what_is_not_adopted(
    tmp_path: Path, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    _find(monkeypatch, aws_vpc=["vpc-1"])
    held: Resources = {"aws_sqs_queue.it": {}, "aws_ecr_repository.it": {}}
    stack = _stack(terraform, _VPC, {**_VPC, **held})
    (stack.directory / "state.json").write_text(json.dumps(held))
    report = _adopt(tmp_path, stack, is_guarded=True)
    assert _what(report).startswith("destroy aws_ecr_repository.it: the images in it are lost")
    assert len(_what(report).splitlines()) == 1


def test_a_stack_of_kubernetes_objects_is_refused(tmp_path: Path, terraform: FakeTerraform) -> None:
    assert "dev: not a stack of AWS resources" in _what(_adopt(tmp_path, _stack(terraform, {}, {}, kind="in-cluster")))


_ABSENT = {"cluster_name": "gitops", "identifier": "new", "name": "new"}


def _absent(terraform: FakeTerraform, kind: str, arguments: Mapping[str, str], **ids: str) -> str:
    """What is said about a resource that does not exist."""
    stack = _stack(terraform, {f"{kind}.it": dict(arguments)}, {})
    change = {"actions": ["create"], "before": None, "after": arguments, "after_unknown": {}}
    plan = Plan("dev", {"resource_changes": [{"address": f"{kind}.it", "type": kind, "name": "it", "change": change}]})
    (text,) = Adoption(stack, ids, [stack]).absent(plan).values()
    return text


@pytest.mark.parametrize(
    ("kind", "listed", "expected"),
    [
        (
            "aws_eks_cluster",
            ["b", "a"],
            "AWS has a, b; if one is meant, set cluster.name in stacks/ap_northeast_2/dev.py",
        ),
        (
            "aws_eks_node_group",
            ["main"],
            "AWS has gitops:main; if one is meant, EKS cannot rename it: docs/adoption.md#what-cannot-be-adopted",
        ),
        (
            "aws_db_instance",
            [{"DBInstanceIdentifier": "old"}, {"DBInstanceIdentifier": "held"}],
            "AWS has old; if one is meant, rename it in RDS to new",
        ),
        ("aws_db_instance", [{"DBInstanceIdentifier": "held"}], ""),
        (
            "aws_rds_cluster",
            [{"DBClusterIdentifier": "old"}],
            "AWS has old; if one is meant, rename it in RDS to new",
        ),
        (
            "aws_efs_file_system",
            [{"FileSystemId": "fs-1"}],
            'AWS has fs-1; if one is meant, choose it: ID="aws_efs_file_system.it=…"',
        ),
        (
            "aws_ecr_repository",
            [{"repositoryName": f"{number:02}"} for number in range(12)],
            (
                "AWS has 00, 01, 02, 03, 04, 05, 06, 07, 08, 09 and 2 more; "
                "if one is meant, set image_repositories.name in stacks/ap_northeast_2/dev.py"
            ),
        ),
    ],
)
def test_other_names_of_what_is_absent_are_shown(
    terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch, kind: str, listed: list[Any], expected: str
) -> None:
    _hold(monkeypatch, Resource("dev", "aws_db_instance.x", "aws_db_instance", {"id": "db-1", "identifier": "held"}))
    monkeypatch.setattr(existing.Account, "all", lambda *_, **__: listed)
    assert _absent(terraform, kind, _ABSENT) == expected
    assert _absent(terraform, kind, _ABSENT, **{f"{kind}.it": ""}) == ""


def test_node_groups_of_an_absent_cluster_are_not_listed(terraform: FakeTerraform) -> None:
    assert _absent(terraform, "aws_eks_node_group", {}) == ""


def test_ids_are_given_by_address(terraform: FakeTerraform) -> None:
    stack = _stack(terraform, _BOTH, {})
    assert parse_ids(stack, ["aws_vpc.it=vpc-1", "aws_eip.it=a=b"]) == {"aws_vpc.it": "vpc-1", "aws_eip.it": "a=b"}
    with pytest.raises(OperationError) as error:
        parse_ids(stack, ["vpc-1", "aws_vpc.its=vpc-1", "x=1", "aws_eip.it=1", "aws_eip.it=2"])
    assert str(error.value).splitlines() == [
        "'vpc-1': not an address and an ID; write ADDRESS=ID, or ADDRESS= if none is meant",
        "'aws_vpc.its': not a resource of dev; choose among aws_vpc.it, aws_eip.it",
        "'x': not a resource of dev; choose among those in its plan",
        "aws_eip.it: chosen twice; choose one ID",
    ]


@pytest.mark.parametrize("field", sorted({field for fields in FIELDS.values() for field in fields.values()}))
def test_fields_of_the_settings_exist(field: str) -> None:
    first, _, second = field.partition(".")
    settings = EnvironmentSettings if first in EnvironmentSettings.model_fields else SharedSettings
    of_first = settings.model_fields[first].annotation
    kinds = [of_first, *getattr(of_first, "__args__", ())]
    assert not second or any(second in getattr(kind, "model_fields", {}) for kind in kinds)
