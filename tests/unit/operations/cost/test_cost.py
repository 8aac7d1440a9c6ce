"""`cost`: amounts computed by hand, what has no price, the difference of a change, and bad input."""

import json
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from operations.cost import cost, items
from operations.errors import OperationError
from operations.output.report import Report, markdown
from operations.repository import revision
from operations.terraform.stacks import read_platform
from tests import ROOT
from tests.stacks import REGION
from tests.template import Template
from tests.unit.operations.cost.conftest import Resources, Synthesized

DEV, PROD = f"{REGION}-dev", f"{REGION}-prod"
TODAY = date(2026, 7, 1)


def _node_group(nodes: Any = 3, **more: Any) -> Resources:
    return {
        "aws_launch_template": {
            "template": {"block_device_mappings": [{"ebs": {"volume_size": 50, "volume_type": "gp3"}}]}
        },
        "aws_eks_node_group": {
            "main": {
                "instance_types": ["t3.medium"],
                "scaling_config": {"desired_size": nodes, "max_size": 10, "min_size": 2},
                "launch_template": {"id": "${aws_launch_template.template.id}"},
                **more,
            }
        },
    }


def _cluster(version: str = "1.35", support_type: str = "EXTENDED") -> Resources:
    return {"aws_eks_cluster": {"main": {"version": version, "upgrade_policy": {"support_type": support_type}}}}


def _calculated(output: Path, prices: Path, *patterns: str, **more: Any) -> Report:
    return cost.cost(output, patterns, prices, more.pop("today", TODAY), **more)


def _items(report: Report, stack: str = DEV) -> dict[str, tuple[str, str]]:
    return {item["what"]: (item["quantity"], item["cost"]) for item in report.data["stacks"][stack]["items"]}


def _without_price(report: Report, stack: str = DEV) -> list[tuple[str, str]]:
    found = report.data["stacks"][stack]["without_price"]
    return [(item["resource"], item["price"] or item["what"]) for item in found]


def test_nodes_cost_their_hours_and_disks(synthesized: Synthesized, prices: Path) -> None:
    report = _calculated(synthesized(dev=_node_group()), prices)
    assert _items(report) == {
        "nodes t3.medium": ("2190", "113.88"),  # 3 nodes x 730 h x 0.052
        "disks of nodes, GB": ("150", "13.68"),  # 3 nodes x 50 GB x 0.0912
    }
    assert report.data["total"] == "127.56"  # 113.88 + 13.68
    assert report.title == "127.56 USD a month"


def test_nat_gateways_cost_hours_data_and_addresses(synthesized: Synthesized, prices: Path) -> None:
    resources: Resources = {"aws_nat_gateway": {"a": {}, "b": {}}, "aws_eip": {"a": {}, "b": {}}}
    report = _calculated(synthesized(dev=resources, usage={"hours": 744, "nat_gb": 1000}), prices)
    assert _items(report) == {
        "NAT gateway": ("744", "43.90"),  # 744 h x 0.059 = 43.896
        "public address": ("744", "3.72"),  # 744 h x 0.005
        "NAT gateways, GB": ("1000", "59.00"),  # 1000 GB x 0.059, of both gateways
    }
    assert report.data["total"] == "154.23"  # 2 x 43.896 + 2 x 3.72 + 59 = 154.232


def test_load_balancers_come_from_the_ingress_classes_of_charts(synthesized: Synthesized, prices: Path) -> None:
    values = ['{"extraObjects": [{"spec": {"scheme": "internal"}}]}', '{"spec": {"scheme": "internet-facing"}}']
    release: Resources = {"helm_release": {"argo-cd": {"values": values}}}
    report = _calculated(synthesized(dev=release, usage={"load_balancer_zones": 2}), prices)
    assert _items(report) == {
        "load balancer, internal": ("730", "16.43"),  # 730 h x 0.0225 = 16.425
        "load balancer, internet-facing": ("730", "16.43"),
        "public addresses of the load balancer": ("1460", "7.30"),  # 2 zones x 730 h x 0.005
    }
    assert report.data["total"] == "40.15"  # 16.425 + 16.425 + 7.30, not 16.43 + 16.43 + 7.30


@pytest.mark.parametrize(
    ("policy", "today", "total"),
    [
        ("EXTENDED", date(2026, 6, 30), "73.00"),  # 730 h x 0.10; the last day of standard support
        ("EXTENDED", date(2026, 7, 1), "438.00"),  # 730 h x (0.10 + 0.50)
        ("STANDARD", date(2026, 7, 1), "73.00"),  # EKS upgrades it
    ],
)
def test_extended_support_costs_more_after_the_end_of_the_version(
    synthesized: Synthesized, prices: Path, policy: str, today: date, total: str
) -> None:
    output = synthesized(dev=_cluster(support_type=policy))
    assert _calculated(output, prices, today=today).data["total"] == total


def test_interface_endpoints_cost_in_each_zone_and_gateway_endpoints_nothing(
    synthesized: Synthesized, prices: Path
) -> None:
    endpoints: Resources = {
        "aws_vpc_endpoint": {
            "ecr": {"vpc_endpoint_type": "Interface", "subnet_ids": ["a", "b", "c"]},
            "s3": {"vpc_endpoint_type": "Gateway"},
        }
    }
    report = _calculated(synthesized(dev=endpoints), prices)
    assert _items(report) == {"interface endpoint": ("2190", "28.47")}  # 3 zones x 730 h x 0.013


def test_usage_of_logs_and_snapshots_is_counted_once_for_a_stack(synthesized: Synthesized, prices: Path) -> None:
    resources: Resources = {**_cluster(support_type="STANDARD"), "aws_cloudwatch_log_group": {"a": {}, "b": {}}}
    report = _calculated(synthesized(dev=resources, usage={"logs_gb": 10, "snapshot_gb": 100}), prices)
    items = _items(report)
    assert items["logs, GB ingested"] == ("10", "7.60")  # 10 GB x 0.76
    assert items["snapshots of volumes, GB"] == ("100", "5.00")  # 100 GB x 0.05


def test_what_has_no_price_is_listed_by_resource(synthesized: Synthesized, prices: Path) -> None:
    database = {"engine": "postgres", "instance_class": "db.t4g.medium", "allocated_storage": 20, "storage_type": "gp3"}
    resources: Resources = {
        "aws_db_instance": {"one": {**database, "multi_az": False}, "two": {**database, "multi_az": True}},
        "aws_iam_role": {"free": {}},
        "aws_kms_key": {"key": {}},
        "aws_msk_cluster": {"unknown": {}},
        **_node_group(capacity_type="SPOT"),
        "aws_eks_cluster": _cluster("1.30")["aws_eks_cluster"],
    }
    report = _calculated(synthesized(dev=resources), prices)
    assert _without_price(report) == [
        ("aws_db_instance.one", "AmazonRDS InstanceUsage:db.t4g.medium PostgreSQL"),
        ("aws_db_instance.one", "AmazonRDS RDS:GP3-Storage"),
        ("aws_db_instance.two", "AmazonRDS Multi-AZUsage:db.t4g.medium PostgreSQL"),
        ("aws_db_instance.two", "AmazonRDS RDS:Multi-AZ-GP3-Storage"),
        ("aws_eks_cluster.main", "EKS extended support: the end of standard support of 1.30 is not known"),
        ("aws_eks_node_group.main", "nodes t3.medium: the Price List has no Spot prices"),
        ("aws_msk_cluster.unknown", "not known to this calculation"),
    ]
    assert "7 items without a price, not in the sums" in report.notes
    assert "| aws\\_msk" not in markdown(report)
    assert f"| {DEV} | aws_msk_cluster.unknown | not known to this calculation |  |" in markdown(report)


def test_an_instance_costs_its_hours_and_disk(synthesized: Synthesized, prices: Path) -> None:
    instance: Resources = {"aws_instance": {"host": {"instance_type": "t3.medium", "root_block_device": {}}}}
    assert _items(_calculated(synthesized(dev=instance), prices)) == {
        "instance t3.medium": ("730", "37.96"),  # 730 h x 0.052
        "disk, GB": ("8", "0.73"),  # 8 GB x 0.0912, the size of the image
    }


def test_auto_mode_says_that_its_nodes_are_not_known(synthesized: Synthesized, prices: Path) -> None:
    cluster = {"version": "1.35", "upgrade_policy": {"support_type": "STANDARD"}, "compute_config": {"enabled": True}}
    report = _calculated(synthesized(dev={"aws_eks_cluster": {"main": cluster}}), prices)
    assert _without_price(report) == [
        ("aws_eks_cluster.main", "EKS Auto Mode: its nodes and their fee follow from the workload")
    ]


def test_a_database_that_keeps_its_password_has_a_secret(synthesized: Synthesized, prices: Path) -> None:
    values = {"engine": "mysql", "instance_class": "db.t4g.micro", "allocated_storage": 20, "storage_type": "gp3"}
    database = {**values, "multi_az": False, "manage_master_user_password": True}
    report = _calculated(synthesized(dev={"aws_db_instance": {"one": database}}), prices)
    assert _without_price(report)[-1] == ("aws_db_instance.one", "AWSSecretsManager Secret")


def _aurora(engine: str, instance_class: str, min_capacity: float) -> Resources:
    """A cluster with a writer and a reader."""
    cluster = {"engine": engine, "serverlessv2_scaling_configuration": {"min_capacity": min_capacity}}
    instance = {"engine": engine, "instance_class": instance_class, "cluster_identifier": "${aws_rds_cluster.shop.id}"}
    return {
        "aws_rds_cluster": {"shop": {**cluster, "manage_master_user_password": True}},
        "aws_rds_cluster_instance": {"one": instance, "two": instance},
        "aws_rds_cluster_parameter_group": {"free": {}},
    }


@pytest.mark.parametrize(
    ("instance_class", "min_capacity", "price"),
    [
        ("db.r8g.large", 0, "AmazonRDS InstanceUsage:db.r8g.large Aurora MySQL"),
        ("db.serverless", 0.5, "AmazonRDS Aurora:ServerlessV2Usage Aurora MySQL"),
        ("db.serverless", 0, "database db.serverless: it pauses, and its capacity follows from the load"),
    ],
)
def test_each_instance_of_aurora_costs_its_hours_and_the_cluster_its_storage(
    synthesized: Synthesized, prices: Path, instance_class: str, min_capacity: float, price: str
) -> None:
    resources = _aurora("aurora-mysql", instance_class, min_capacity)
    usage = {"aurora_storage_gb": 50, "aurora_requests": 1000, "database_backup_gb": 10}
    report = _calculated(synthesized(dev=resources, usage=usage), prices)
    assert _without_price(report) == [
        ("aws_rds_cluster.shop", "AmazonRDS Aurora:StorageUsage"),
        ("aws_rds_cluster.shop", "AmazonRDS Aurora:StorageIOUsage"),
        ("aws_rds_cluster.shop", "AmazonRDS Aurora:BackupUsage Aurora MySQL"),
        ("aws_rds_cluster.shop", "AWSSecretsManager Secret"),
        ("aws_rds_cluster_instance.one", price),
        ("aws_rds_cluster_instance.two", price),
    ]


def test_a_serverless_instance_of_aurora_is_counted_with_its_minimum(synthesized: Synthesized, prices: Path) -> None:
    file = prices / f"{REGION}.toml"
    price = '"AmazonRDS Aurora:ServerlessV2Usage Aurora PostgreSQL" = { price = "0.2", unit = "ACU-Hr" }\n'
    file.write_text(file.read_text() + price)
    items = _items(_calculated(synthesized(dev=_aurora("aurora-postgresql", "db.serverless", 0.5)), prices))
    # Of each instance: 730 h x 0.5 ACU x 0.2
    assert items["database db.serverless, hours of 0.5 ACU, the minimum"] == ("365.0", "73.00")


def test_a_size_that_terraform_computes_is_listed(synthesized: Synthesized, prices: Path) -> None:
    report = _calculated(synthesized(dev=_node_group("${var.nodes}")), prices)
    assert _without_price(report) == [("aws_eks_node_group.main", "its size is not known before it is created")]


def test_a_region_without_prices_has_no_sum_and_says_how_to_get_them(synthesized: Synthesized, prices: Path) -> None:
    report = _calculated(synthesized(region="us-west-2", dev={"aws_kms_key": {"key": {}}}), prices)
    assert report.title == "0.00 USD a month"
    assert _without_price(report, "us-west-2-dev") == [("aws_kms_key.key", "awskms KMS-Keys")]
    assert f"us-west-2: {prices} has no prices of this region; read them: make prices" in report.notes


def test_the_result_names_prices_and_assumptions(synthesized: Synthesized, prices: Path) -> None:
    output = synthesized(dev={}, usage={"hours": 730, "logs_gb": 10})
    assert _calculated(output, prices).notes == [
        f"{REGION}: prices of 2026-01-02: AWS Price List",
        "assumed a month in stacks/ap_northeast_2/dev.py: hours 730, logs_gb 10",
    ]


def test_currency_is_that_of_the_prices(synthesized: Synthesized, prices: Path) -> None:
    file = prices / f"{REGION}.toml"
    file.write_text(file.read_text().replace('"USD"', '"CNY"'))
    assert _calculated(synthesized(dev={"aws_kms_key": {"key": {}}}), prices).title == "1.00 CNY a month"


def test_rejects_a_sum_of_two_currencies(synthesized: Synthesized, prices: Path) -> None:
    text = (prices / f"{REGION}.toml").read_text()
    (prices / "cn-north-1.toml").write_text(text.replace('"USD"', '"CNY"'))
    output = synthesized(dev={}, prod={})
    platform = json.loads((output / "platform.json").read_text())
    platform["stacks"][PROD]["region"] = "cn-north-1"
    (output / "platform.json").write_text(json.dumps(platform))
    with pytest.raises(OperationError) as error:
        _calculated(output, prices)
    message = "have no sum; name the stacks of one region"
    assert str(error.value) == f"prices in several currencies (CNY in cn-north-1, USD in {REGION}) {message}"


@pytest.mark.parametrize(
    ("exact", "shown"), [("0.005", "0.01"), ("0.0049", "0.00"), ("1234.565", "1,234.57"), ("2.675", "2.68")]
)
def test_amounts_are_rounded_half_up_to_cents(exact: str, shown: str) -> None:
    assert cost.amount(Decimal(exact)) == shown


def test_the_difference_of_a_change_has_only_what_differs(synthesized: Synthesized, prices: Path) -> None:
    keys: Resources = {"aws_kms_key": {"key": {}}}
    before = synthesized(folder="before", dev=_node_group(3), prod=keys, old=keys)
    after = synthesized(dev={**_node_group(5), "aws_msk_cluster": {"new": {}}}, prod=keys)
    report = _calculated(after, prices, base=str(before))
    # 5 nodes: 5 x 730 x 0.052 = 189.80 and 5 x 50 x 0.0912 = 22.80; 3 nodes: 113.88 and 13.68; a key less: 1.00
    assert report.title == f"213.60 USD a month, +84.04 compared with {before}"
    tables = {table.title: [list(row) for row in table.rows] for table in report.tables}
    assert tables == {
        "Stacks that differ": [
            [DEV, "127.56", "212.60", "+85.04"],
            [f"{REGION}-old", "1.00", "0.00", "-1.00"],
        ],
        "What differs": [
            [DEV, "nodes t3.medium", "113.88", "189.80", "+75.92"],
            [DEV, "disks of nodes, GB", "13.68", "22.80", "+9.12"],
            [f"{REGION}-old", "key", "1.00", "0.00", "-1.00"],
        ],
        "No price yet": [[DEV, "aws_msk_cluster.new", "not known to this calculation", ""]],
    }


def test_the_difference_of_one_stack_leaves_out_the_others(synthesized: Synthesized, prices: Path) -> None:
    before = synthesized(folder="before", dev=_node_group(3), prod=_node_group(3), old=_node_group(3))
    after = synthesized(dev=_node_group(3), prod=_node_group(1))
    assert _calculated(after, prices, DEV, base=str(before)).title == f"127.56 USD a month, 0.00 compared with {before}"


def test_both_sides_have_the_usage_of_today(synthesized: Synthesized, prices: Path) -> None:
    gateways: Resources = {"aws_nat_gateway": {"a": {}}}
    before = synthesized(folder="before", dev=gateways, usage={"nat_gb": 1})
    after = synthesized(dev=gateways, usage={"nat_gb": 5000})
    assert _calculated(after, prices, base=str(before)).title.endswith(f", 0.00 compared with {before}")


def test_a_revision_is_synthesized(
    synthesized: Synthesized, prices: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = synthesized(folder="tree/cdktf.out", dev=_node_group(3))
    after = synthesized(dev=_node_group(5))
    asked: list[str] = []

    class Tree:
        def __init__(self, base: str) -> None:
            asked.append(base)

        def __enter__(self) -> Path:
            return before.parent

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(revision, "synthesized_at", Tree)
    monkeypatch.setattr(revision, "is_same_synthesis", lambda _base, _output: False)
    monkeypatch.chdir(_repository(tmp_path))
    assert _calculated(after, prices, base="HEAD").title == "212.60 USD a month, +85.04 compared with HEAD"
    assert asked == ["HEAD"]
    monkeypatch.setattr(revision, "is_same_synthesis", lambda _base, _output: True)
    assert _calculated(after, prices, base="HEAD").title == "212.60 USD a month, 0.00 compared with HEAD"
    assert asked == ["HEAD"]


def _repository(folder: Path) -> Path:
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        user = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *user, *command], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("base", ["no-such-revision", "prices", "--help", ""])
def test_rejects_a_base_that_is_neither_revision_nor_folder(
    synthesized: Synthesized, prices: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base: str
) -> None:
    output = synthesized(dev={})
    monkeypatch.chdir(_repository(tmp_path))
    with pytest.raises(OperationError) as error:
        _calculated(output, prices, base=base)
    message = "neither a Git revision nor a folder with synthesized stacks; write one such as origin/main"
    assert str(error.value) == f"{base}: {message}, or fetch it (git fetch --unshallow origin)"


def test_rejects_an_unknown_stack(synthesized: Synthesized, prices: Path) -> None:
    with pytest.raises(OperationError, match=f"^staging: no such stack; choose from {DEV}$"):
        _calculated(synthesized(dev={}), prices, "staging")


def test_a_base_without_a_provider_has_no_prices(synthesized: Synthesized, prices: Path) -> None:
    before = synthesized(folder="before", old={"aws_kms_key": {"key": {}}}, dev={})
    file = before / "stacks/old/cdk.tf.json"
    file.write_text(file.read_text().replace('"aws": [{', '"other": [{'))
    report = _calculated(synthesized(dev={}), prices, base=str(before))
    assert report.data["base_stacks"][f"{REGION}-old"]["total"] == "0.00"


def test_every_resource_of_the_example_is_known(platform: dict[str, Template], platform_folder: Path) -> None:
    report = _calculated(platform_folder, ROOT / "operations/cost/prices")
    assert report.data["stacks"].keys() == platform.keys()
    listed = [item for stack in report.data["stacks"].values() for item in stack["without_price"]]
    assert {item["resource"].split(".")[0] for item in listed} == {"aws_db_instance"}


def test_every_optional_resource_is_known(alternative: dict[str, Template]) -> None:
    """Those of a private repository, Karpenter and the other settings of the fixture."""
    kinds = {kind for stack in alternative.values() for kind, _, _ in stack.all_resources()}
    assert not kinds - items._FREE - items._CHARGES.keys()


def test_platform_has_the_usage_of_the_settings(platform: dict[str, Template], platform_folder: Path) -> None:
    usage = {stack.name: stack.usage for stack in read_platform(platform_folder).stacks}
    assert usage.keys() == platform.keys()
    assert usage[f"{PROD}-gitops"] == usage[PROD]
    assert (usage[PROD]["logs_gb"], usage[DEV]["logs_gb"]) == (40, 10)
    assert usage[f"{REGION}-backend"] == usage[f"{REGION}-shared"]
    assert "nat_gb" in usage[f"{REGION}-shared"]
