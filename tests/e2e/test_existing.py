"""What the account has already: a key, an image repository, the provider for GitHub and a permissions boundary.

They are made with boto3, used by the stacks, and left alone by their teardown. So are a key and a repository that the
platform created, once Terraform has forgotten them.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from operations.local.emulator_process import Emulator
from operations.terraform import program
from tests.e2e.clone import clone_into, synthesize
from tests.e2e.region import operations, reported

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_SHARED, _DEV = "ap-northeast-2-shared", "ap-northeast-2-dev"
_AUDIENCE = "sts.amazonaws.com"
_ROOT = "arn:aws:iam::123456789012:root"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the working tree as working directory, and an emulated AWS of its own."""
    folder = clone_into(tmp_path / "clone")
    monkeypatch.chdir(folder)
    with Emulator(tmp_path / "emulator.log") as emulator:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        yield folder


@pytest.mark.long
def test_what_exists_already_is_used_and_left_alone(copy: Path) -> None:
    aws = boto3.Session()
    existing = _make(aws)
    settings = copy / "stacks/ap_northeast_2"
    _write_settings(settings, existing)
    synthesize(copy / "cdktf.out")

    assert "its key policy does not allow what the stack needs" in _preflight("failed")[f"key of {_DEV}"]
    _allow_use_of_the_key(aws, copy / "cdktf.out")
    boundaries = {f"permissions boundary of {stack}" for stack in (_SHARED, _DEV)}
    passed = {f"key of {_DEV}", *boundaries, "image repository hello", "identity provider for GitHub"}
    assert _preflight("passed").keys() >= passed

    operations("bootstrap")
    operations("deploy", _SHARED, _DEV, "--yes")
    operations("plan", _SHARED, _DEV, "--all")  # fails if anything is left to do
    cluster = aws.client("eks").describe_cluster(name="gitops-cluster-dev")["cluster"]
    assert cluster["encryptionConfig"][0]["provider"]["keyArn"] == existing["dev"]
    role = aws.client("iam").get_role(RoleName=f"{_SHARED}-push-hello")["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == existing["boundary"]

    key = aws.client("kms").describe_key(KeyId="alias/ap-northeast-2/shared")["KeyMetadata"]["Arn"]
    existing["shared"] = key
    _replace(settings / "shared.py", "owns_github_provider=False,", f'owns_github_provider=False, key_arn="{key}",')
    _replace(settings / "shared.py", '            name="guestbook",', '            name="guestbook", existing=True,')
    synthesize(copy / "cdktf.out")
    assert _preflight("passed").keys() >= {f"key of {_SHARED}", "image repository guestbook"}
    _forget_what_the_guard_keeps(copy / "cdktf.out/stacks" / _SHARED)
    operations("deploy", _SHARED, "--yes")
    operations("plan", _SHARED, _DEV, "--all")

    status, report = reported("destroy", _SHARED, _DEV, "--confirm", "dev,shared")
    assert (status, {entry["outcome"] for entry in report["stacks"].values()}) == (0, {"destroyed"})
    assert _left(aws, existing) == {
        "shared": "Enabled", "dev": "Enabled", "hello": "IMMUTABLE", "guestbook": "IMMUTABLE", "provider": _AUDIENCE,
    }  # fmt: skip


def _make(aws: boto3.Session) -> dict[str, str]:
    """What a company has: the ARNs of a key with the default policy, of the provider and of the boundary."""
    iam, kms = aws.client("iam"), aws.client("kms")
    aws.client("ecr").create_repository(
        repositoryName="hello", imageTagMutability="IMMUTABLE", encryptionConfiguration={"encryptionType": "KMS"}
    )
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    policy = iam.create_policy(PolicyName="limits", Path="/company/", PolicyDocument=json.dumps(document))["Policy"]
    provider = iam.create_open_id_connect_provider(
        Url="https://token.actions.githubusercontent.com", ClientIDList=[_AUDIENCE]
    )
    return {
        "dev": kms.create_key(Policy=_key_policy())["KeyMetadata"]["Arn"],
        "boundary": policy["Arn"],
        "provider": provider["OpenIDConnectProviderArn"],
    }


def _key_policy(*more: Mapping[str, Any]) -> str:
    """The default policy of a key that AWS creates without one, with more statements."""
    default = {"Effect": "Allow", "Principal": {"AWS": _ROOT}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [default, *more]})


def _write_settings(folder: Path, existing: Mapping[str, str]) -> None:
    """The region with dev alone, without databases and files, which take minutes to create."""
    _replace(folder / "__init__.py", '("dev", "staging", "prod")', '("dev",)')
    boundary = f'permissions_boundary_arn="{existing["boundary"]}"'
    _replace(
        folder / "shared.py",
        "owns_github_provider=True,",
        f"""owns_github_provider=False,
    github_provider_exists=True,
    {boundary},""",
    )
    _replace(folder / "shared.py", '            name="hello",', '            name="hello", existing=True,')
    key = f'key_arn="{existing["dev"]}"'
    _replace(folder / "dev.py", "production=False,", f"production=False, teardown=True, {key}, {boundary},")
    _replace(folder / "dev.py", "file_system=FileSystemConfig(),", "")
    _replace(folder / "dev.py", "databases=(", "databases=() and (")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, file
    file.write_text(text.replace(old, new))


def _preflight(outcome: str) -> dict[str, str]:
    """The checks with this outcome, by subject, with their messages."""
    _, report = reported("preflight", _SHARED, _DEV)
    return {line["subject"]: line["message"] for line in report["checks"] if line["outcome"] == outcome}


def _allow_use_of_the_key(aws: boto3.Session, output: Path) -> None:
    """Add the statements that the stack needs to the policy of its key."""
    key = json.loads((output / "platform.json").read_text())["stacks"][_DEV]["existing"]["key"]
    aws.client("kms").put_key_policy(KeyId=key["arn"], Policy=_key_policy(*key["statements"]))


def _forget_what_the_guard_keeps(stack: Path) -> None:
    """Run the commands that the guard names when it refuses to destroy a key and an image repository."""
    status, report = reported("deploy", _SHARED, "--yes")
    assert (status, report["stacks"][_SHARED]["outcome"]) == (2, "refused")
    refused = [finding for finding in report["findings"] if finding["verdict"] == "refused"]
    addresses = [re.findall(r"`terraform state rm (\S+)`", finding["remedy"]) for finding in refused]
    assert sorted(address.split(".")[0] for (address,) in addresses) == ["aws_ecr_repository", "aws_kms_key"]
    for (address,) in addresses:
        subprocess.run([program.name(), "state", "rm", address], cwd=stack, check=True, capture_output=True)


def _left(aws: boto3.Session, existing: Mapping[str, str]) -> dict[str, str]:
    """The state of what existed before."""
    iam, kms = aws.client("iam"), aws.client("kms")
    assert iam.get_policy(PolicyArn=existing["boundary"])["Policy"]["PolicyName"] == "limits"
    repositories = aws.client("ecr").describe_repositories()["repositories"]
    provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=existing["provider"])
    return {
        **{name: kms.describe_key(KeyId=existing[name])["KeyMetadata"]["KeyState"] for name in ("shared", "dev")},
        **{one["repositoryName"]: one["imageTagMutability"] for one in repositories},
        "provider": ",".join(provider["ClientIDList"]),
    }
