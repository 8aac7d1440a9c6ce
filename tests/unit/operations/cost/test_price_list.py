"""`prices`: small files in the documented format of the AWS Price List become a price file."""

import io
import json
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from operations.cost import cost, price_list
from operations.cost.prices import read_prices
from operations.errors import OperationError
from tests.stacks import REGION
from tests.unit.operations.cost.conftest import Synthesized

TODAY = date(2026, 7, 1)
REMEDY = "try again; if it remains, AWS has changed the format"
Product = tuple[str, str, dict[str, str], list[tuple[str, str]]]
"""The family, the usage type, other attributes, and the tiers: where each begins, and its price."""

SHARED = {"tenancy": "Shared"}
EC2: list[Product] = [
    ("NAT Gateway", "APN2-NatGateway-Hours", {"operation": "NatGateway"}, [("0", "0.0590000000")]),
    ("Compute Instance", "APN2-BoxUsage:t3.medium", {**SHARED, "operation": "RunInstances"}, [("0", "0.0520")]),
    ("Compute Instance", "APN2-BoxUsage:t3.medium", {**SHARED, "operation": "RunInstances:0002"}, [("0", "9")]),
    ("Compute Instance", "APN2-DedicatedUsage:t3.medium", {"operation": "RunInstances"}, [("0", "9")]),
    ("Data Transfer", "APN2-DataTransfer-Out-Bytes", {}, [("0", "0"), ("1", "0.126")]),
]  # fmt: skip
AURORA_MYSQL = {"databaseEngine": "Aurora MySQL"}
RDS: list[Product] = [
    ("Database Instance", "APN2-InstanceUsage:db.t4g.medium", {"databaseEngine": "PostgreSQL"}, [("0", "0.102")]),
    ("Database Instance", "APN2-InstanceUsage:db.t4g.medium", {"databaseEngine": "MySQL"}, [("0", "0.101")]),
    ("Database Instance", "APN2-InstanceUsage:db.t4g.medium", {"databaseEngine": "Oracle"}, [("0", "9")]),
    ("Database Storage", "APN2-RDS:GP3-Storage", {"databaseEngine": "Any"}, [("0", "0.131")]),
    ("Database Instance", "APN2-InstanceUsage:db.r8g.large", AURORA_MYSQL, [("0", "0.3")]),
    ("Database Instance", "APN2-InstanceUsageIOOptimized:db.r8g.large", AURORA_MYSQL, [("0", "9")]),
    ("ServerlessV2", "APN2-Aurora:ServerlessV2Usage", {"databaseEngine": "Aurora PostgreSQL"}, [("0", "0.2")]),
    ("System Operation", "APN2-Aurora:StorageIOUsage", {"databaseEngine": "Any"}, [("0", "0.00000024")]),
    ("Database Storage", "APN2-Aurora:StorageUsage", {"databaseEngine": "Any"}, [("0", "0.12")]),
]
SERVICES: dict[str, list[Product]] = {
    "AmazonEC2": EC2,
    "AmazonRDS": RDS,
    "AmazonCloudWatch": [
        ("Data Payload", "APN2-DataProcessing-Bytes", {}, [("10240", "0.3"), ("5", "0.76"), ("0", "0.0000000000")])
    ],
    "AWSSecretsManager": [("Secret", "APN2-AnyName", {}, [("0", "0.4")])],
    "awskms": [("Encryption Key", f"{REGION}-KMS-Keys", {}, [("0", "1")])],
}


def _price_list(products: list[Product], currency: str = "USD") -> dict[str, Any]:
    document: dict[str, Any] = {"formatVersion": "v1.0", "products": {}, "terms": {"OnDemand": {}, "Reserved": {}}}
    for number, (family, usage, more, tiers) in enumerate(products):
        sku = f"SKU{number}"
        attributes = {"usagetype": usage, "regionCode": REGION, "servicecode": "any", **more}
        document["products"][sku] = {"sku": sku, "productFamily": family, "attributes": attributes}
        dimensions = {
            f"{sku}.{begin}": {
                "rateCode": f"{sku}.{begin}",
                "unit": "Hrs",
                "beginRange": begin,
                "endRange": "Inf",
                "pricePerUnit": {currency: amount},
            }
            for begin, amount in tiers
        }
        term = {"sku": sku, "priceDimensions": dimensions, "termAttributes": {}}
        document["terms"]["OnDemand"][sku] = {f"{sku}.JRTCKXETXF": term}
        reserved = {**term, "termAttributes": {"LeaseContractLength": "1yr"}}
        document["terms"]["Reserved"][sku] = {f"{sku}.4NA7Y494T4": reserved}
    return document


NOT_A_NUMBER = _price_list([("Encryption Key", "KMS-Keys", {}, [("0", "x")])])


class Published:
    """A folder with the files that AWS publishes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[str, Any] = {}

    def write(self, address: str, content: Any) -> Path:
        file = self.folder / address.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def add(self, service: str, products: list[Product], region: str = REGION, **more: Any) -> Path:
        """Publish the prices of a service in a region; returns the file with them."""
        start = f"/offers/v1.0/aws/{service}"
        address = f"{start}/20260601/{region}/index.json"
        self.write(f"{start}/current/region_index.json", {"regions": {region: {"currentVersionUrl": address}}})
        self.index[service] = {
            "offerCode": service,
            "currentVersionUrl": f"{start}/current/index.json",
            "currentRegionIndexUrl": f"{start}/current/region_index.json",
        }
        self.write("/offers/v1.0/aws/index.json", {"formatVersion": "v1.0", "offers": self.index})
        return self.write(address, _price_list(products, **more))


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(tmp_path / "published")
    for service, products in SERVICES.items():
        published.add(service, products)
    return published


def _written(published: Published, *regions: str) -> tuple[dict[str, str], list[str]]:
    """The prices by name, and the notes, after the price file of Seoul was written."""
    folder = published.folder.parent / "prices"
    report = price_list.write(regions or (REGION,), str(published.folder), folder, TODAY)
    prices = read_prices(folder, REGION)
    assert prices is not None
    assert (prices.date, prices.currency) == (TODAY, "USD")
    assert prices.source == f"AWS Price List, {published.folder}"
    return {name: f"{price.amount:f} {price.unit}" for name, price in prices.prices.items()}, list(report.notes)


def test_only_what_is_asked_for_is_written(published: Published) -> None:
    prices, _ = _written(published)
    assert prices == {
        "AWSSecretsManager Secret": "0.4 Hrs",
        "AmazonCloudWatch DataProcessing-Bytes": "0.76 Hrs",  # the first tier that is not free
        "AmazonEC2 BoxUsage:t3.medium": "0.052 Hrs",  # of Linux, shared
        "AmazonEC2 NatGateway-Hours": "0.059 Hrs",
        "AmazonRDS Aurora:ServerlessV2Usage Aurora PostgreSQL": "0.2 Hrs",
        "AmazonRDS Aurora:StorageIOUsage": "0.00000024 Hrs",
        "AmazonRDS Aurora:StorageUsage": "0.12 Hrs",
        "AmazonRDS InstanceUsage:db.r8g.large Aurora MySQL": "0.3 Hrs",
        "AmazonRDS InstanceUsage:db.t4g.medium MySQL": "0.101 Hrs",
        "AmazonRDS InstanceUsage:db.t4g.medium PostgreSQL": "0.102 Hrs",
        "AmazonRDS RDS:GP3-Storage": "0.131 Hrs",
        "awskms KMS-Keys": "1 Hrs",
    }


def test_what_the_price_list_lacks_is_named(published: Published) -> None:
    _, notes = _written(published)
    assert f"{REGION}: no price of AmazonEC2 NatGateway-Bytes" in notes  # the service has no such product
    assert f"{REGION}: no price of AmazonEFS TimedStorage-ByteHrs" in notes  # there is no such service
    assert f"{REGION}: no price of AmazonEC2 NatGateway-Hours" not in notes


def test_a_product_with_several_prices_has_none(published: Published) -> None:
    published.add("AmazonEC2", [*EC2, ("NAT Gateway", "APN2-NatGateway-Hours", {}, [("0", "7")])])
    prices, notes = _written(published)
    assert "AmazonEC2 NatGateway-Hours" not in prices
    assert f"{REGION}: several prices of AmazonEC2 NatGateway-Hours, so none" in notes


@pytest.mark.parametrize("prefix", ["", "EU-", "USW2-", "UGW1-"])
def test_usage_types_have_the_prefix_of_any_region(published: Published, prefix: str) -> None:
    published.add("AmazonEC2", [("NAT Gateway", f"{prefix}NatGateway-Hours", {}, [("0", "0.05")])])
    assert _written(published)[0]["AmazonEC2 NatGateway-Hours"] == "0.05 Hrs"


def test_a_global_service_has_the_prices_of_all_regions(published: Published) -> None:
    published.add("AmazonRoute53", [], region="aws-global")
    published.write(
        "/offers/v1.0/aws/AmazonRoute53/current/index.json",
        _price_list([("DNS Zone", "HostedZone", {}, [("0", "0.5"), ("25", "0.1")])]),
    )
    assert _written(published)[0]["AmazonRoute53 HostedZone"] == "0.5 Hrs"


def test_the_cost_is_calculated_with_the_written_prices(published: Published, synthesized: Synthesized) -> None:
    _written(published)
    output = synthesized(dev={"aws_nat_gateway": {"a": {}}})
    report = cost.cost(output, [], published.folder.parent / "prices", TODAY)
    assert report.data["total"] == "43.07"  # 730 h x 0.059


def test_rejects_a_region_that_the_price_list_does_not_have(published: Published) -> None:
    published.add("AmazonRoute53", [], region="aws-global")
    published.write("/offers/v1.0/aws/AmazonRoute53/current/index.json", _price_list([]))
    with pytest.raises(OperationError) as error:
        _written(published, REGION, "../seoul")
    assert str(error.value) == "../seoul: not in the Price List; write a region such as ap-northeast-2"
    assert not (published.folder.parent / "prices").exists()


def test_rejects_prices_in_several_currencies(published: Published) -> None:
    published.add("awskms", SERVICES["awskms"], currency="CNY")
    with pytest.raises(OperationError) as error:
        _written(published)
    assert str(error.value) == f"{REGION}: prices in CNY, USD, expected one currency; {REMEDY}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file in the documented format"),
        ("[]", "products: not found"),
        ('{"products": {}}', "terms: not found"),
        ('{"products": {}, "terms": {}}', "OnDemand: not found"),
        ('{"products": {"A": {"sku": "A", "attributes": 1}}}', "not a JSON file in the documented format"),
        ('{"products": {"A": {}}, "terms": {"OnDemand": {}}}', "product A: not in the documented format"),
        (json.dumps(NOT_A_NUMBER), "product SKU0: not in the documented format"),
    ],
)
def test_rejects_a_broken_price_list(published: Published, content: str, message: str) -> None:
    file = published.add("awskms", SERVICES["awskms"])
    file.write_text(content)
    with pytest.raises(OperationError) as error:
        _written(published)
    assert str(error.value) == f"{file}: {message}; {REMEDY}"
    assert not (published.folder.parent / "prices").exists()


def test_rejects_a_source_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(OperationError) as error:
        price_list.write([REGION], str(tmp_path), tmp_path / "prices", TODAY)
    file = tmp_path / "offers/v1.0/aws/index.json"
    assert str(error.value) == f"{file}: cannot be read: No such file or directory; check the connection, or --source"


def test_files_are_downloaded_by_https(published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        assert timeout
        asked.append(url)
        return io.BytesIO((published.folder / url.removeprefix("https://example.com/")).read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    price_list.write([REGION], "https://example.com", tmp_path / "prices", TODAY)
    assert asked[0] == "https://example.com/offers/v1.0/aws/index.json"
    assert f"https://example.com/offers/v1.0/aws/AmazonEC2/20260601/{REGION}/index.json" in asked


def test_says_why_a_download_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def urlopen(_url: str, timeout: float) -> None:
        raise urllib.error.URLError(f"no route within {timeout:.0f} s")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(OperationError) as error:
        price_list.write([REGION], "https://example.com/", tmp_path / "prices", TODAY)
    url = "https://example.com/offers/v1.0/aws/index.json"
    assert str(error.value) == f"{url}: cannot be read: no route within 120 s; check the connection, or --source"
