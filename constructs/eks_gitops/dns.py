"""Dns: the hosted zone of the platform's domain. EnvironmentDns: the zone below it of an environment."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from cdktf import ITerraformDependable, Postcondition, TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate, AcmCertificateOptions
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderAssumeRole
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct
from pydantic import StrictBool

from eks_gitops.config import Config, DomainName, Problem, matching
from eks_gitops.location import Location

LONGEST_DOMAIN = 64
"""The longest first name of a certificate, in characters. Source: `RequestCertificate` of ACM in botocore 1.43."""

_RESERVED = {"example", "invalid", "localhost", "test"}
_TTL_SECONDS = 300


class DnsConfig(Config):
    """The platform's domain. Each environment has its own zone below it, such as `dev.platform.your-domain.com`."""

    domain: Annotated[
        DomainName,
        matching(
            f".{{1,{LONGEST_DOMAIN}}}",
            f"too long for a certificate of ACM; choose a domain of at most {LONGEST_DOMAIN} characters",
        ),
    ]
    """A subdomain that only the platform uses, such as `platform.your-domain.com`. Hosts of services are one level
    below the environment's zone; External DNS creates their records. A change replaces all certificates, and the zones
    that Terraform created, which the guard refuses."""
    hosted_zone_id: (
        Annotated[str, matching(r"Z[A-Z0-9]{1,31}", "not a hosted zone ID; write one such as Z0123456789ABC")] | None
    ) = None
    """An existing public hosted zone of `domain`. With None, a zone is created, and an NS record with its name servers
    must be added to the zone above it. Only the records that delegate to the environments are added to it."""
    certificate: StrictBool = False
    """Whether the load balancers of services also present a certificate for `domain` and `*.domain`: for hosts directly
    below it, whose Ingress rules and records you create yourself."""

    def of_environment(self, name: str) -> str:
        """The domain of an environment's zone."""
        return f"{name}.{self.domain}"

    def problems(self) -> Iterator[Problem]:
        """A domain that nobody can register, for which Route 53 creates no zone (InvalidDomainName).

        Source: https://www.iana.org/assignments/special-use-domain-names
        """
        labels = self.domain.split(".")
        if labels[-1] in _RESERVED or labels[-2:] in [["example", last] for last in ("com", "net", "org")]:
            yield Problem("domain", self.domain, "reserved for documentation and tests; choose a domain that you own")


class Dns(Construct):
    """The public hosted zone of the platform's domain, and optionally a certificate for the domain and `*.domain`.

    A newly created zone does not resolve until an NS record in the zone above it delegates to it, which is a manual
    step. Terraform therefore waits for the validation of certificates only if the zone existed before (`is_delegated`).
    For a new zone, the certificates are issued automatically after that step.
    """

    def __init__(self, scope: Construct, id_: str, config: DnsConfig) -> None:
        super().__init__(scope, id_)
        zone: Route53Zone | DataAwsRoute53Zone
        if config.hosted_zone_id is None:
            zone = Route53Zone(self, "zone", name=config.domain, comment="Managed by Terraform")
        else:
            zone = DataAwsRoute53Zone(
                self,
                "zone",
                zone_id=config.hosted_zone_id,
                lifecycle=TerraformResourceLifecycle(postcondition=[_is_zone_of(config)]),
            )
        self.domain = config.domain
        self.zone_id: str = zone.zone_id
        self.zone_arn: str = zone.arn
        self.name_servers: list[str] = zone.name_servers
        self.is_delegated = config.hosted_zone_id is not None
        self.provider: TerraformProvider | None = None
        self.certificate_arn: str | None = None
        if config.certificate:
            self.certificate_arn = _certificate(self, config.domain, zone.zone_id, is_delegated=self.is_delegated)


class DnsOfAnotherAccount(Construct):
    """The zone of the platform's domain in another account, which a provider reaches through roles of that account.

    The role of plans only reads the zone, the other one may write the record that delegates to the environment. Whoever
    has the session of the IAM role named `plan_role` gets the former.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: DnsConfig,
        *,
        location: Location,
        plan_role: str,
        reading_role_arn: str,
        writing_role_arn: str,
    ) -> None:
        """`location` is that of the zone, and of the roles with the ARNs."""
        super().__init__(scope, id_)
        caller = DataAwsCallerIdentity(self, "caller")
        is_plan = f'strcontains({caller.fqn}.arn, ":assumed-role/{plan_role}/")'
        self.provider: TerraformProvider | None = AwsProvider(
            self,
            "aws",
            alias="domain",
            region=location.region,
            allowed_account_ids=[location.account_id],
            assume_role=[
                AwsProviderAssumeRole(role_arn=f'${{{is_plan} ? "{reading_role_arn}" : "{writing_role_arn}"}}')
            ],
        )
        self.zone_id: str = (
            config.hosted_zone_id
            or DataAwsRoute53Zone(self, "zone", name=config.domain, provider=self.provider).zone_id
        )
        self.is_delegated = config.hosted_zone_id is not None


class EnvironmentDns(Construct):
    """The zone of an environment, the record that delegates to it, and its certificate.

    Its own zone keeps External DNS of one environment from writing the records of another.
    """

    def __init__(
        self, scope: Construct, id_: str, domain: str, *, parent: Dns | DnsOfAnotherAccount, force_destroy: bool
    ) -> None:
        """`force_destroy` permits destroying a zone in which External DNS left records."""
        super().__init__(scope, id_)
        zone = Route53Zone(self, "zone", name=domain, comment="Managed by Terraform", force_destroy=force_destroy)
        delegation = Route53Record(
            self,
            "delegation",
            zone_id=parent.zone_id,
            name=domain,
            type="NS",
            records=zone.name_servers,
            ttl=_TTL_SECONDS,
            provider=parent.provider,
            # `make recover` does not look into another account after a deploy that was killed.
            allow_overwrite=True if parent.provider is not None else None,
        )
        self.domain = domain
        self.zone_id: str = zone.zone_id
        self.zone_arn: str = zone.arn
        self.certificate_arn = _certificate(
            self, domain, zone.zone_id, is_delegated=parent.is_delegated, depends_on=[delegation]
        )


def _is_zone_of(config: DnsConfig) -> Postcondition:
    message = f"{config.hosted_zone_id} is not the zone of {config.domain}; correct hosted_zone_id"
    return Postcondition(condition=f'${{trimsuffix(self.name, ".") == "{config.domain}"}}', error_message=message)


def _certificate(
    scope: Construct, domain: str, zone_id: str, *, is_delegated: bool, depends_on: Sequence[ITerraformDependable] = ()
) -> str:
    """The ARN of a certificate for `domain` and `*.domain`, validated through the zone."""
    certificate = AcmCertificate(
        scope,
        "certificate",
        domain_name=domain,
        subject_alternative_names=[f"*.{domain}"],
        validation_method="DNS",
        # Browsers reject a certificate that is in no public log. It is the default of ACM, written down.
        options=AcmCertificateOptions(certificate_transparency_logging_preference="ENABLED"),
        # A listener always needs a certificate.
        lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
    )

    # The domain and its wildcard share one record.
    def option(attribute: str) -> str:
        options = f"{certificate.fqn}.domain_validation_options"
        return f'${{one([for option in {options} : option.{attribute} if option.domain_name == "{domain}"])}}'

    record = Route53Record(
        scope,
        "validation-record",
        zone_id=zone_id,
        name=option("resource_record_name"),
        type=option("resource_record_type"),
        records=[option("resource_record_value")],
        ttl=_TTL_SECONDS,
        allow_overwrite=True,
    )
    if not is_delegated:
        return certificate.arn
    return AcmCertificateValidation(
        scope,
        "validation",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        depends_on=list(depends_on) or None,
    ).certificate_arn
