"""Environments in two accounts of the emulated AWS: dev in that of the region, and prod in a further one."""

from pathlib import Path

import pytest

from operations.local.emulator_process import Emulator
from operations.terraform.stacks import read_stacks
from tests.e2e.clone import clone_into, point_at, synthesize
from tests.e2e.region import operations, reported
from tests.e2e.tiny import client
from tests.edited_settings import OTHER_ACCOUNT, add_account

pytestmark = [pytest.mark.e2e, pytest.mark.long]

_REGION = "ap-northeast-2"
_MAIN = "123456789012"
_DOMAIN = "platform.your-domain.com"
_STACKS = {
    _MAIN: [f"{_REGION}-shared", f"{_REGION}-dev"],
    OTHER_ACCOUNT: [f"{_REGION}-shared-production", f"{_REGION}-prod"],
}


def _records(emulator: Emulator, account_id: str) -> dict[str, list[str]]:
    """The records of each zone of an account."""
    route53 = client("route53", {**emulator.environment, "AWS_ACCESS_KEY_ID": account_id})
    return {
        zone["Name"]: [
            f"{record['Name']} {record['Type']}"
            for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        ]
        for zone in route53.list_hosted_zones()["HostedZones"]
    }


@pytest.mark.usefixtures("aws_provider")
def test_two_accounts_are_deployed_checked_and_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = clone_into(tmp_path / "clone")
    folder = clone / "stacks/ap_northeast_2"
    add_account(folder, "prod")
    for name in ("dev", "prod"):
        text = (folder / f"{name}.py").read_text().replace("deletion_protection=True", "deletion_protection=False")
        (folder / f"{name}.py").write_text(
            text.replace("EnvironmentSettings(\n", "EnvironmentSettings(\n    teardown=True,\n")
        )
    with Emulator(tmp_path / "emulator.log") as emulator:
        point_at(monkeypatch, clone, emulator.environment)
        synthesize(clone / "cdktf.out")
        accounts = {stack.name: stack.account_id for stack in read_stacks(clone / "cdktf.out")}

        def use(account_id: str) -> None:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", account_id)

        use(_MAIN)
        said = operations("bootstrap")
        assert f"{_REGION}-backend-production: left as it is: run this again with credentials of account" in said
        use(OTHER_ACCOUNT)
        assert f"{_REGION}-backend: left as it is" in operations("bootstrap")
        for account_id, stacks in _STACKS.items():
            use(account_id)
            assert {accounts[name] for name in stacks} == {account_id}
            operations("deploy", *stacks, "--yes")
        for account_id, stacks in _STACKS.items():
            use(account_id)
            operations("plan", *stacks, "--all")  # fails if anything is left to do
            status, drift = reported("drift", *stacks)
            assert status == 0, drift
            eks = client("eks", {**emulator.environment, "AWS_ACCESS_KEY_ID": account_id})
            assert eks.list_clusters()["clusters"] == [f"gitops-cluster-{stacks[1].rpartition('-')[2]}"]
        zones = {account_id: _records(emulator, account_id) for account_id in _STACKS}
        assert f"prod.{_DOMAIN}. NS" in zones[_MAIN][f"{_DOMAIN}."]  # written by the stack of prod
        assert set(zones[OTHER_ACCOUNT]) == {f"prod.{_DOMAIN}."}
        status, refused = reported("deploy", *_STACKS[_MAIN], "--yes")
        assert (status, OTHER_ACCOUNT in str(refused)) == (1, True), refused
        for account_id, stacks in reversed(_STACKS.items()):
            use(account_id)
            operations("destroy", *stacks, "--confirm", f"{stacks[1].rpartition('-')[2]},shared")
            eks = client("eks", {**emulator.environment, "AWS_ACCESS_KEY_ID": account_id})
            assert eks.list_clusters()["clusters"] == []
