"""The VPC of the deployed region is connected to another one, and its endpoints are limited to the account."""

import json
from pathlib import Path

import boto3
import pytest

from tests.e2e.clone import synthesize
from tests.e2e.region import Region, operations

pytestmark = [pytest.mark.e2e, pytest.mark.long]

_SHARED = "ap-northeast-2-shared"
_NETWORK = "10.9.0.0/16"


@pytest.mark.usefixtures("region")
def test_a_peering_connection_and_policies_of_endpoints_are_added_and_removed(
    region: Region, aws: boto3.Session, clone: Path
) -> None:
    ec2, settings = aws.client("ec2"), clone / "stacks/ap_northeast_2/shared.py"
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["gitops-vpc"]}])["Vpcs"]
    other = ec2.create_vpc(CidrBlock=_NETWORK)["Vpc"]["VpcId"]
    peering = ec2.create_vpc_peering_connection(VpcId=other, PeerVpcId=vpc["VpcId"])["VpcPeeringConnection"][
        "VpcPeeringConnectionId"
    ]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)

    def routes() -> set[tuple[str, str]]:
        tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]
        return {
            (next(tag["Value"] for tag in table["Tags"] if tag["Key"] == "Name"), route["VpcPeeringConnectionId"])
            for table in tables
            for route in table["Routes"]
            if route.get("DestinationCidrBlock") == _NETWORK
        }

    before = settings.read_text()
    connection = f'connections=({{"id": "{peering}", "cidrs": ("{_NETWORK}",)}},)'
    new = f'nat_gateways="one-per-zone", {connection}, endpoint_principals="account",'
    settings.write_text(before.replace('nat_gateways="one-per-zone",', new))
    synthesize(clone / "cdktf.out")
    operations("deploy", _SHARED, "--yes")
    assert routes() == {(f"gitops-vpc-private-ap-northeast-2{zone}", peering) for zone in "abc"}
    endpoints = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["VpcEndpoints"]
    account = region.stack("shared").account_id
    for endpoint in endpoints:
        own = json.loads(endpoint["PolicyDocument"])["Statement"][0]
        assert own["Condition"] == {"StringEquals": {"aws:PrincipalAccount": account}}
    operations("plan", _SHARED, "--all")  # fails if anything is left to do

    settings.write_text(before)
    synthesize(clone / "cdktf.out")
    operations("deploy", _SHARED, "--yes")
    assert not routes()
    operations("plan", *(stack.name for stack in region.stacks), "--all")
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)
    ec2.delete_vpc(VpcId=other)
