"""The table of certificates and keys that end."""

from collections.abc import Iterator, Mapping
from typing import Any

from operations.clients.aws import paginate
from operations.portal.model import Cell, Day, State, Table, Text, Unknown
from operations.portal.sources import Row, Sources, place_of
from operations.preflight.check import Clients
from operations.terraform.stacks import Stack

Described = Mapping[str, Any]


def table(sources: Sources, databases: Mapping[str, Described | Unknown]) -> Table:
    """A row for each certificate and KMS key; `databases` is what RDS says of each, by its identifier."""
    rows = [row for stack in sources.stacks for row in _rows(sources, stack, databases)]
    return Table("ends", ["region", "environment", "thing", "name", "ends", "state"], rows)


def _rows(sources: Sources, stack: Stack, databases: Mapping[str, Described | Unknown]) -> Iterator[Row]:
    for certificate in stack.resources_of("aws_acm_certificate").values():
        domain = certificate["domain_name"]
        yield [*place_of(stack), State("certificate"), domain, *_certificate(sources, stack, domain)]
    instances = (stack.resources_of(kind) for kind in ("aws_db_instance", "aws_rds_cluster_instance"))
    for name in (database["identifier"] for some in instances for database in some.values()):
        yield [*place_of(stack), State("database-certificate"), name, *_of_database(databases[name])]
    for alias in stack.resources_of("aws_kms_alias").values():
        yield [*place_of(stack), State("key"), alias["name"], *_key(sources, stack, alias["name"])]


def _certificate(sources: Sources, stack: Stack, domain: str) -> list[Cell]:
    """When the certificate of a domain ends, the last to end if there are several, and whether ACM renews it."""

    def read(clients: Clients) -> list[Described]:
        listed = paginate(clients("acm"), "list_certificates", "CertificateSummaryList")
        return [one for one in listed if one["DomainName"] == domain]

    found = sources.aws[stack.place].read(stack, read)
    if isinstance(found, Unknown):
        return [found, found]
    issued = [one for one in found if "NotAfter" in one]
    if not issued:
        return [Unknown("not-deployed", f"make deploy STACK={stack.name}"),
                State(found[0]["Status"], "warn") if found else None]  # fmt: skip
    last = max(issued, key=lambda one: one["NotAfter"])
    # ACM renews a certificate that is eligible, 60 days before its end:
    # https://docs.aws.amazon.com/acm/latest/userguide/managed-renewal.html
    renews = last.get("RenewalEligibility") == "ELIGIBLE"
    state = State("renews" if renews else "renews-not", "good" if renews else "warn")
    return [Day(last["NotAfter"].date(), 30), state]


def _of_database(found: Described | Unknown) -> list[Cell]:
    if isinstance(found, Unknown):
        return [found, found]
    details = found.get("CertificateDetails", {})
    if "ValidTill" not in details:
        return [None, None]
    return [Day(details["ValidTill"].date()), Text(details.get("CAIdentifier", ""))]


def _key(sources: Sources, stack: Stack, alias: str) -> list[Cell]:
    """When a KMS key ends: because its deletion is scheduled, or because its imported material expires."""

    def read(clients: Clients) -> Described:
        found: Described = clients("kms").describe_key(KeyId=alias)["KeyMetadata"]
        return found

    found = sources.aws[stack.place].read(stack, read)
    if isinstance(found, Unknown):
        return [found, found]
    ends = found.get("DeletionDate") or found.get("ValidTo")
    state = State(found["KeyState"], "good" if found["KeyState"] == "Enabled" else "bad")
    return [Day(ends.date()) if ends else State("never"), state]
