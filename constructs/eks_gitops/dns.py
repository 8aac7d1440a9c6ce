"""Dns: the hosted zone of the platform's domain, and a certificate for the domain and `*.domain`."""

from collections.abc import Iterator
from typing import Annotated

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct

from eks_gitops.config import Config, DomainName, Problem, matching

_RESERVED = {"example", "invalid", "localhost", "test"}


class DnsConfig(Config):
    """The platform's domain."""

    domain: Annotated[
        # Source of the length: `RequestCertificate` of ACM in botocore 1.43. The wildcard may be longer.
        DomainName, matching(r".{1,64}", "too long for a certificate of ACM; choose a domain of at most 64 characters")
    ]
    """Hosts of services are one level below it; External DNS creates their records. A change replaces the certificate,
    and a zone that Terraform created, which the guard refuses."""
    hosted_zone_id: (
        Annotated[str, matching(r"Z[A-Z0-9]{1,31}", "not a hosted zone ID; write one such as Z0123456789ABC")] | None
    ) = None
    """An existing public hosted zone of `domain`. With None, a zone is created, and its name servers must be entered at
    the registrar. External DNS reads it."""

    def problems(self) -> Iterator[Problem]:
        """A domain that nobody can register, for which Route 53 creates no zone (InvalidDomainName).

        Source: https://www.iana.org/assignments/special-use-domain-names
        """
        labels = self.domain.split(".")
        if labels[-1] in _RESERVED or labels[-2:] in [["example", last] for last in ("com", "net", "org")]:
            yield Problem("domain", self.domain, "reserved for documentation and tests; choose a domain that you own")


class Dns(Construct):
    """A public hosted zone and an ACM certificate for `domain` and `*.domain`, validated through the zone.

    A newly created zone does not resolve until its name servers are entered at the registrar, which is a manual step.
    Terraform therefore waits for the certificate's validation only if the zone existed before. For a new zone, the
    certificate is issued automatically after that step.
    """

    def __init__(self, scope: Construct, id_: str, config: DnsConfig) -> None:
        super().__init__(scope, id_)
        zone: Route53Zone | DataAwsRoute53Zone
        if config.hosted_zone_id is None:
            zone = Route53Zone(self, "zone", name=config.domain, comment="Managed by Terraform")
        else:
            zone = DataAwsRoute53Zone(self, "zone", zone_id=config.hosted_zone_id)
        certificate = AcmCertificate(
            self,
            "certificate",
            domain_name=config.domain,
            subject_alternative_names=[f"*.{config.domain}"],
            validation_method="DNS",
            # A listener always needs a certificate.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        record = self._validation_record(config.domain, zone.zone_id, certificate)
        self.zone_id: str = zone.zone_id
        self.zone_arn: str = zone.arn
        self.domain = config.domain
        self.name_servers: list[str] = zone.name_servers
        self.certificate_arn: str = certificate.arn
        if config.hosted_zone_id is not None:
            validation = AcmCertificateValidation(
                self, "validation", certificate_arn=certificate.arn, validation_record_fqdns=[record.fqdn]
            )
            self.certificate_arn = validation.certificate_arn

    def _validation_record(self, domain: str, zone_id: str, certificate: AcmCertificate) -> Route53Record:
        # The domain and its wildcard share one record.
        def option(attribute: str) -> str:
            options = f"{certificate.fqn}.domain_validation_options"
            return f'${{one([for option in {options} : option.{attribute} if option.domain_name == "{domain}"])}}'

        return Route53Record(
            self,
            "validation-record",
            zone_id=zone_id,
            name=option("resource_record_name"),
            type=option("resource_record_type"),
            records=[option("resource_record_value")],
            ttl=300,
            allow_overwrite=True,
        )
