"""`prices`: read list prices from the AWS Price List (bulk format) into the price file of a region.

The service index names the index of regions of each service, which names the price list of the service in a region.
Sources:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-the-offer-index.html
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
"""

import json
import re
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from operations.cost.prices import Price, Prices, to_toml
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.repository import all_or_nothing

_INDEX = "/offers/v1.0/aws/index.json"
_TIMEOUT_SECONDS = 120
# The prefix of a usage type: APN2- or EU- for most services, ap-northeast-2- for KMS, none in us-east-1.
_PREFIX = r"(?:[A-Z]{2,4}\d?-|[a-z]{2}(?:-[a-z]+)+-\d-|Global-)?"


class _Wanted(NamedTuple):
    """Products by their usage type without the prefix, a pattern, and other attributes, which must be equal."""

    usage: str
    attributes: Mapping[str, str] = {}
    engines: Sequence[str] = ()
    """The database engines; their name is part of that of the price."""
    name: str = ""
    """The name of the price, where the usage type is not the same in all regions."""


_AURORA = ("Aurora MySQL", "Aurora PostgreSQL")

_WANTED: Mapping[str, Sequence[_Wanted]] = {
    "AWSBackup": [_Wanted("WarmStorage-ByteHrs-EFS")],
    "AWSELB": [
        _Wanted("LoadBalancerUsage", {"productFamily": "Load Balancer-Application"}),
        _Wanted("LCUUsage", {"productFamily": "Load Balancer-Application"}),
    ],
    "AWSSecretsManager": [_Wanted(".*", {"productFamily": "Secret"}, name="Secret")],
    "AmazonCloudWatch": [_Wanted("DataProcessing-Bytes"), _Wanted("TimedStorage-ByteHrs")],
    "AmazonEC2": [
        _Wanted(r"BoxUsage:[\w.-]+", {"operation": "RunInstances", "tenancy": "Shared"}),  # Linux without licences
        _Wanted("EBS:SnapshotUsage"),
        _Wanted(r"EBS:VolumeUsage\.gp3"),
        _Wanted("NatGateway-Bytes"),
        _Wanted("NatGateway-Hours"),
    ],
    "AmazonECR": [_Wanted("TimedStorage-ByteHrs")],
    "AmazonEFS": [_Wanted("TimedStorage-ByteHrs")],
    "AmazonEKS": [_Wanted("AmazonEKS-Hours:(perCluster|extendedSupport)")],
    "AmazonRDS": [
        _Wanted(r"(Instance|Multi-AZ)Usage:db\.[\w.-]+", engines=("MySQL", "PostgreSQL")),
        _Wanted(r"InstanceUsage:db\.[\w.-]+", engines=_AURORA),
        _Wanted("RDS:(Multi-AZ-)?GP3-Storage", {"databaseEngine": "Any"}),
        _Wanted("RDS:ChargedBackupUsage", engines=("MySQL", "PostgreSQL")),
        _Wanted("Aurora:(StorageUsage|StorageIOUsage)", {"databaseEngine": "Any"}),
        _Wanted("Aurora:(BackupUsage|ServerlessV2Usage)", engines=_AURORA),
    ],
    "AmazonRoute53": [_Wanted("HostedZone")],
    "AmazonS3": [_Wanted("TimedStorage-ByteHrs", {"storageClass": "General Purpose"}), _Wanted("Requests-Tier1")],
    "AmazonVPC": [
        _Wanted("PublicIPv4:InUseAddress"),
        _Wanted("VpcEndpoint-Bytes"),
        _Wanted("VpcEndpoint-Hours"),
    ],
    "awskms": [_Wanted("KMS-Keys")],
}
"""What the calculation of the cost asks for, by the code of the service."""
_GLOBAL = ("AmazonRoute53",)
"""The services whose price list is that of all regions, if it has none of a region."""
_REMEDY = "try again; if it remains, AWS has changed the format"


def write(regions: Sequence[str], source: str, folder: Path, today: date) -> Report:
    """Write the price file of each region, or none if there is an error. `source` is a URL, or a folder like it.

    Raises:
        OperationError: if a file cannot be read, or is no price list.
    """
    index = _objects(_get(source, _INDEX), f"{source}{_INDEX}", "offers")
    files: dict[Path, str | None] = {}
    rows, notes = [], []
    for region in regions:
        offers = {service: _address(source, index, service, region) for service in _WANTED}
        if not any(address for service, address in offers.items() if service not in _GLOBAL):
            raise OperationError(f"{region}: not in the Price List; write a region such as ap-northeast-2")
        found: dict[str, set[tuple[str, Price]]] = {}
        for service, address in offers.items():
            found |= _read(source, address, service) if address else {}
        notes += [f"{region}: no price of {name}" for name in _names() if not _has(found, name)]
        notes += [f"{region}: several prices of {name}, so none" for name, prices in found.items() if len(prices) > 1]
        known = {name: next(iter(prices)) for name, prices in found.items() if len(prices) == 1}
        currencies = sorted({currency for currency, _ in known.values()})
        if len(currencies) != 1:
            names = ", ".join(currencies) or "no currency"
            raise OperationError(f"{region}: prices in {names}, expected one currency; {_REMEDY}")
        by_name = {name: price for name, (_, price) in known.items()}
        file = folder / f"{region}.toml"
        files[file] = to_toml(Prices(region, currencies[0], today, f"AWS Price List, {source}", by_name))
        rows.append([region, str(len(by_name)), str(file)])
    all_or_nothing.write_files(files)
    table = Table("Price files", ["region", "prices", "file"], rows)
    data = {"files": [str(file) for file in files], "notes": notes}
    return Report(f"the prices of {counted(len(files), 'region')} written", Status.FINE, data, [table], notes)


def _names() -> list[str]:
    """The names of all prices that are asked for, as patterns."""
    return [f"{service} {one.name or one.usage}" for service, wanted in _WANTED.items() for one in wanted]


def _has(found: Collection[str], pattern: str) -> bool:
    return any(re.fullmatch(rf"{pattern}( [\w ]+)?", name) for name in found)


def _address(source: str, index: Mapping[str, Any], service: str, region: str) -> str | None:
    """The address of the price list of a service in a region; that of all regions if the service is global."""
    offer = index.get(service)
    if not isinstance(offer, dict):
        return None
    address = offer.get("currentRegionIndexUrl")
    regions = _objects(_get(source, address), f"{source}{address}", "regions") if address else {}
    offered = regions.get(region, offer if service in _GLOBAL else None)
    return offered.get("currentVersionUrl") if isinstance(offered, dict) else None


def _read(source: str, address: str, service: str) -> dict[str, set[tuple[str, Price]]]:
    """The currencies and prices of each product that is asked for, by name."""
    document, file = _get(source, address, _without_unused), f"{source}{address}"
    products = _objects(document, file, "products")
    terms = _objects(_objects(document, file, "terms"), file, "OnDemand")
    found: dict[str, set[tuple[str, Price]]] = {}
    for sku, product in products.items():
        try:
            name = _name(service, product)
            if name is not None and sku in terms:
                found.setdefault(name, set()).update(_first_price(term) for term in terms[sku].values())
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise OperationError(f"{file}: product {sku}: not in the documented format; {_REMEDY}") from error
    return found


def _name(service: str, product: Mapping[str, Any]) -> str | None:
    """The name of the price of a product; None if it is not asked for."""
    attributes = {**product["attributes"], "productFamily": product.get("productFamily", "")}
    for one in _WANTED[service]:
        match = re.fullmatch(rf"{_PREFIX}({one.usage})", attributes.get("usagetype", ""))
        if not match or any(attributes.get(name) != value for name, value in one.attributes.items()):
            continue
        if one.engines and attributes.get("databaseEngine") not in one.engines:
            continue
        engine = [attributes["databaseEngine"]] if one.engines else []
        return " ".join([service, one.name or match[1], *engine])
    return None


def _first_price(term: Mapping[str, Any]) -> tuple[str, Price]:
    """The currency and the price of the first tier that is not free: the next ones are cheaper."""
    dimensions = sorted(term["priceDimensions"].values(), key=lambda one: Decimal(one.get("beginRange", "0")))
    tiers = [
        (currency, Price(Decimal(amount).normalize(), one["unit"]))
        for one in dimensions
        for currency, amount in one["pricePerUnit"].items()
    ]
    return next((tier for tier in tiers if tier[1].amount), tiers[0])


def _without_unused(value: dict[str, Any]) -> dict[str, Any] | None:
    """Drops what is not read while the file is, because the price list of EC2 has hundreds of megabytes."""
    if "attributes" in value and "sku" in value:
        kept = ("usagetype", "operation", "tenancy", "databaseEngine", "storageClass")
        attributes = {name: value["attributes"][name] for name in kept if name in value["attributes"]}
        return {"attributes": attributes, "productFamily": value.get("productFamily", "")}
    return None if (value.get("termAttributes") or {}).get("LeaseContractLength") else value


def _get(source: str, address: str, hook: Any = None) -> Any:
    """A JSON file below a URL or folder.

    Raises:
        OperationError: if it cannot be read, or is not JSON.
    """
    name = f"{source.rstrip('/')}{address}"
    try:
        if name.startswith("https://"):
            with urllib.request.urlopen(name, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 (https only)
                content = answer.read()
        else:
            content = Path(name).read_bytes()
        return json.loads(content, object_hook=hook)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise OperationError(f"{name}: cannot be read: {reason}; check the connection, or --source") from error
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise OperationError(f"{name}: not a JSON file in the documented format; {_REMEDY}") from error


def _objects(document: Any, file: str, member: str) -> dict[str, Any]:
    """A member of a file that is an object.

    Raises:
        OperationError: if it is something else.
    """
    found = document.get(member) if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise OperationError(f"{file}: {member}: not found; {_REMEDY}")
    return found
