import cdktf
import pytest

from eks_gitops.existing_vpc import ExistingVpc, ExistingVpcConfig, ExistingZone, tag_of
from tests.template import Json, Template, one_stack

VPC = "vpc-0123456789abcdef0"
ZONES = ("ap-northeast-2a", "ap-northeast-2b")


def _zone(number: int) -> ExistingZone:
    return ExistingZone(
        name=ZONES[number],
        private=f"subnet-0123456789abcde0{number}",
        public="tag:tier=public",
        database=f"subnet-0123456789abcde1{number}",
    )


def _built(*zones: ExistingZone) -> Template:
    config = ExistingVpcConfig(id=VPC, name="company", cidr="10.0.0.0/16", zones=zones)

    def build(stack: cdktf.TerraformStack) -> None:
        vpc = ExistingVpc(stack, "vpc", config)
        outputs = {
            "id": vpc.id,
            "private": vpc.private_subnet_ids,
            "public": vpc.public_subnet_ids,
            "database": vpc.database_subnet_ids,
        }
        for name, value in outputs.items():
            cdktf.TerraformOutput(stack, name, value=value)

    return one_stack(build)


@pytest.fixture(scope="module")
def template() -> Template:
    return _built(_zone(0), _zone(1))


def _conditions(data: Json) -> list[str]:
    return [rule["condition"] for rule in data["lifecycle"]["postcondition"]]


def test_nothing_is_created(template: Template) -> None:
    assert list(template.all_resources()) == []


def test_the_ids_of_each_kind_of_subnet_are_known_by_zone(template: Template) -> None:
    outputs = {name: output["value"] for name, output in template.json["output"].items()}
    assert outputs == {
        "id": "${data.aws_vpc.vpc.id}",
        **{
            kind: {zone: f"${{data.aws_subnet.vpc_{kind}-{zone}.id}}" for zone in ZONES}
            for kind in ("private", "public", "database")
        },
    }


def test_without_public_and_database_subnets_there_are_none() -> None:
    zones = [ExistingZone(name=zone.name, private=zone.private) for zone in (_zone(0), _zone(1))]
    template = _built(*zones)
    assert len(template.json["data"]["aws_subnet"]) == len(ZONES)
    assert template.json["output"]["public"]["value"] == template.json["output"]["database"]["value"] == {}


def test_a_subnet_is_read_by_its_id_or_by_its_tag_in_the_vpc_and_zone(template: Template) -> None:
    subnets = template.json["data"]["aws_subnet"]
    by_id, by_tag = (subnets[f"vpc_{kind}-ap-northeast-2b"] for kind in ("private", "public"))
    assert by_id["id"] == "subnet-0123456789abcde01"
    assert (by_tag["vpc_id"], by_tag["availability_zone"], by_tag["tags"]) == (
        "${data.aws_vpc.vpc.id}",
        "ap-northeast-2b",
        {"tier": "public"},
    )


def test_a_plan_fails_with_another_network_or_without_dns(template: Template) -> None:
    (vpc,) = template.json["data"]["aws_vpc"].values()
    assert vpc["id"] == VPC
    assert _conditions(vpc) == [
        '${contains(concat([self.cidr_block], self.cidr_block_associations[*].cidr_block), "10.0.0.0/16")}',
        "${self.enable_dns_support && self.enable_dns_hostnames}",
    ]


def test_a_plan_fails_with_a_subnet_of_another_vpc_zone_or_network(template: Template) -> None:
    for name, subnet in template.json["data"]["aws_subnet"].items():
        assert _conditions(subnet) == [
            f'${{self.vpc_id == "{VPC}"}}',
            f'${{self.availability_zone == "{name[-15:]}"}}',
            '${cidrhost("${split("/", self.cidr_block)[0]}/16", 0) == "10.0.0.0"}',
        ]


def test_the_order_of_the_zones_has_no_effect(template: Template) -> None:
    assert _built(_zone(1), _zone(0)).json["data"] == template.json["data"]


@pytest.mark.parametrize(
    ("subnet", "tag"),
    [
        ("subnet-01234567", {}),
        ("tag:Name=private a", {"Name": "private a"}),
        ("tag:team/tier=a=b", {"team/tier": "a=b"}),
    ],
)
def test_a_tag_has_a_key_and_a_value(subnet: str, tag: dict[str, str]) -> None:
    assert ExistingZone(name="ap-northeast-2a", private=subnet).private == subnet
    assert tag_of(subnet) == tag


@pytest.mark.parametrize(
    "subnet", ["subnet-0123", "subnet-0123456789ABCDEF0", "Name=a", "tag:=a", "tag:Name=", "tag:aws:a=b", "tag:a=${b}"]
)
def test_rejects_what_is_neither_an_id_nor_a_tag(subnet: str) -> None:
    with pytest.raises(ValueError, match="neither the ID of a subnet nor a tag"):
        ExistingZone(name="ap-northeast-2a", private=subnet)
