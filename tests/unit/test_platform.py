"""`platform.json`: its content, and that no command depends on the names of stacks and their parts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from operations.backup import backup
from operations.clients import aws
from operations.deploy import reviewed
from operations.destroy import destroy, leftovers
from operations.services import scaffold
from operations.services.scaffold import NewService
from operations.state.states import Resource
from operations.terraform.stacks import Platform, backend_stacks, read_platform
from tests import ROOT
from tests.edited_settings import EXAMPLE


def _synthesize(folder: Path) -> Path:
    """Synthesize the copy of this repository in `folder`, with the code of the copy."""
    output = folder / "cdktf.out"
    paths = f"{folder / 'constructs'}{os.pathsep}{folder}"
    subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env={**os.environ, "CDKTF_OUTDIR": str(output), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
        capture_output=True,
    )
    return output


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthesized copy with another name for the in-cluster part and another folder for the region."""
    folder = tmp_path_factory.mktemp("renamed")
    for name in ("constructs", "management", "service", ".github"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "stacks").mkdir()
    for file in (ROOT / "stacks").glob("*.py"):
        shutil.copy(file, folder / "stacks")
    shutil.copy(EXAMPLE / "stacks/owner.py", folder / "stacks")
    shutil.copytree(EXAMPLE / "stacks/ap_northeast_2", folder / "stacks/seoul")
    shutil.copy(ROOT / "main.py", folder)
    (folder / "stacks/regions.py").write_text('REGIONS = ("stacks.seoul",)\n')
    _replace(folder / "stacks/names.py", '"gitops"', '"workloads"')
    _synthesize(folder)
    return folder


@pytest.fixture(scope="module")
def renamed(copy: Path) -> Platform:
    return read_platform(copy / "cdktf.out")


@pytest.mark.slow
def test_kinds_of_stacks_do_not_depend_on_names(renamed: Platform) -> None:
    assert {stack.name: stack.kind for stack in renamed.stacks} == {
        "ap-northeast-2-backend": "backend",
        "ap-northeast-2-shared": "shared",
        **{f"ap-northeast-2-{name}": "environment" for name in ("dev", "staging", "prod")},
        **{f"ap-northeast-2-{name}-workloads": "in-cluster" for name in ("dev", "staging", "prod")},
    }
    assert [stack.name for stack in backend_stacks(renamed.stacks)] == ["ap-northeast-2-backend"]


def test_state_location_is_that_of_the_backend_configuration(renamed: Platform) -> None:
    for stack in renamed.stacks:
        backend = stack.configuration["terraform"]["backend"]["s3"]
        assert (stack.state.bucket, stack.state.key) == (backend["bucket"], backend["key"])
        assert [stack.account_id] == backend["allowed_account_ids"]
        assert stack.tags == stack.configuration["provider"]["aws"][0]["default_tags"][0]["tags"]


def test_backup_location_is_found(renamed: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "session", lambda *_, **_of: None)
    monkeypatch.setattr(backup, "server", lambda: "https://prod")
    monkeypatch.setattr(backup, "_endpoint", lambda _: "https://prod")
    at = backup.find_location(renamed.stacks, "prod")
    assert (at.bucket, at.cluster) == ("your-org-ap-northeast-2-prod-backups", "gitops-cluster-prod")
    made = next(stack for stack in renamed.stacks if stack.name == "ap-northeast-2-prod")
    resources = [(kind, arguments) for kind, _, arguments in made.resources()]
    assert ("aws_kms_alias", at.key_id) in [(kind, arguments.get("name")) for kind, arguments in resources]
    assert ("aws_s3_bucket", at.bucket) in [(kind, arguments.get("bucket")) for kind, arguments in resources]


@pytest.mark.usefixtures("with_existing")
def test_what_no_stack_creates_is_described(with_existing_folder: Path) -> None:
    stacks = {stack.name: stack for stack in read_platform(with_existing_folder).stacks}
    shared, dev = (stacks[f"us-east-1-{name}"] for name in ("shared", "dev"))
    assert shared.existing.repositories == ["arn:aws:ecr:us-east-1:123456789012:repository/hello"]
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    assert shared.existing.github_provider == provider
    assert shared.existing.permissions_boundary == "arn:aws:iam::123456789012:policy/company/limits"
    ids = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")
    for stack, id_ in zip((shared, dev), ids, strict=True):
        assert stack.existing.key is not None
        assert stack.existing.key.arn == f"arn:aws:kms:us-east-1:123456789012:key/{id_}"
        sids = [statement["Sid"] for statement in stack.existing.key.statements]
        assert sids == ["AccountDecidesByIam", "ServicesOfThisAccount", "GrantsOfServices", "CloudWatchLogs"]
    assert [(role.arn.rpartition("/")[2], role.service, role.policies) for role in dev.existing.roles] == [
        ("eks-cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"]),
        ("eks-nodes", "ec2.amazonaws.com", ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]),
    ]
    assert {role.arn for role in dev.existing.roles} < dev.existing.arns
    assert dev.backups is not None
    assert dev.backups.key_id == dev.existing.key.arn  # type: ignore[union-attr]
    for name in ("backend", "dev-gitops"):
        assert not any(vars(stacks[f"us-east-1-{name}"].existing).values())


def test_every_stack_is_deployed_by_a_job(renamed: Platform, copy: Path) -> None:
    deploy = reviewed.accept(["everything"], renamed.stacks, copy).data["deploy"]
    region = "ap-northeast-2"
    assert deploy["dev"] == {
        "aws": [{"place": region, "region": region, "stacks": f"{region}-dev"}],
        "cluster": [{"place": region, "region": region, "stacks": f"{region}-dev-workloads"}],
    }
    assert deploy["shared"] == {"aws": [{"place": region, "region": region, "stacks": f"{region}-shared"}]}


def test_error_about_protection_names_the_settings_file(renamed: Platform, copy: Path) -> None:
    for stack in renamed.stacks:
        assert (copy / stack.settings_file).is_file()
    prod = next(stack for stack in renamed.stacks if stack.name == "ap-northeast-2-prod")
    held = [Resource(prod.name, "aws_db_instance.it", "aws_db_instance", {"deletion_protection": True})]
    assert any("in stacks/seoul/prod.py, set" in problem for problem in destroy.protected(prod, held))


def test_resources_of_controllers_are_identified_by_the_clusters_tags(renamed: Platform) -> None:
    dev = next(stack for stack in renamed.stacks if stack.name == "ap-northeast-2-dev")
    assert leftovers.environment(dev).owns({"kubernetes.io/cluster/gitops-cluster-dev": "owned"})
    assert leftovers.environment(dev).iam_path == "/ap-northeast-2/dev/"


def test_a_new_service_gets_an_image_repository(renamed: Platform, copy: Path) -> None:
    scaffold.write_service(copy, NewService(name="xylophone", team="percussion"), renamed.regions, lambda _: None)
    assert 'name="xylophone"' in (copy / "stacks/seoul/shared.py").read_text()


@pytest.mark.usefixtures("platform")
@pytest.mark.slow
def test_file_is_deterministic_and_contains_no_local_path(platform_folder: Path, tmp_path: Path) -> None:
    file = platform_folder / "platform.json"
    subprocess.run(
        [sys.executable, "main.py"],
        cwd=ROOT,
        env={**os.environ, "CDKTF_OUTDIR": str(tmp_path)},
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "platform.json").read_bytes() == file.read_bytes()
    assert '"/home' not in file.read_text()
    assert str(ROOT) not in file.read_text()
    assert json.loads(file.read_text())["regions"][0]["environments"] == ["dev", "staging", "prod"]


@pytest.mark.slow
@pytest.mark.usefixtures("platform")
def test_cdktf_cli_keeps_the_file(platform_folder: Path, tmp_path: Path) -> None:
    """It deletes only the output of stacks that no longer exist."""
    (tmp_path / "stacks/gone").mkdir(parents=True)
    subprocess.run(
        [ROOT / "node_modules/.bin/cdktf", "synth", "--output", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1"},
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "platform.json").read_bytes() == (platform_folder / "platform.json").read_bytes()
    assert not (tmp_path / "stacks/gone").exists()
