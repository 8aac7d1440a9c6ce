import json

import pytest

from tests.edited_settings import EditedSettings
from tests.template import Template, every_stack, resolved


@pytest.fixture(scope="module")
def named(alternative: dict[str, Template]) -> Template:
    """A shared stack with an existing zone."""
    return alternative["us-gov-west-1-shared"]


@pytest.fixture(scope="module")
def below_named(alternative: dict[str, Template]) -> Template:
    """An environment of that stack."""
    return alternative["us-gov-west-1-dev"]


# The zone of the platform


def test_zone_is_created_if_none_is_set(shared: Template) -> None:
    assert shared.only("aws_route53_zone")["name"] == "platform.your-domain.com"


def test_name_servers_of_a_new_zone_are_an_output(shared: Template) -> None:
    assert shared.json["output"]["name_servers"]["value"] == "${aws_route53_zone.dns_zone.name_servers}"


def test_an_existing_zone_is_used_if_set(named: Template) -> None:
    assert not named.resources("aws_route53_zone")
    zone = named.json["data"]["aws_route53_zone"]["dns_zone"]
    assert zone["zone_id"] == "Z0123456789ABC"
    (condition,) = zone["lifecycle"]["postcondition"]
    assert condition["condition"] == '${trimsuffix(self.name, ".") == "platform.your-domain.com"}'


def test_zone_of_the_platform_has_no_records_and_no_certificate(shared: Template) -> None:
    assert not shared.resources("aws_route53_record")
    assert not shared.resources("aws_acm_certificate")


# The zones of environments


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_each_environment_has_its_own_zone(platform: dict[str, Template], environment: str) -> None:
    template = platform[f"ap-northeast-2-{environment}"]
    domain = f"{environment}.platform.your-domain.com"
    assert template.only("aws_route53_zone")["name"] == domain
    delegation = template.resources("aws_route53_record")["dns_delegation"]
    assert (delegation["name"], delegation["type"]) == (domain, "NS")
    assert delegation["records"] == "${aws_route53_zone.dns_zone.name_servers}"
    assert resolved(delegation["zone_id"], platform) == "${aws_route53_zone.dns_zone.zone_id}"
    certificate = template.only("aws_acm_certificate")
    assert certificate["domain_name"] == domain
    assert certificate["subject_alternative_names"] == [f"*.{domain}"]
    assert certificate["validation_method"] == "DNS"
    record = template.resources("aws_route53_record")["dns_validation-record"]
    assert record["zone_id"] == "${aws_route53_zone.dns_zone.zone_id}"


def test_certificate_is_created_before_the_old_one_is_destroyed(dev: Template) -> None:
    assert dev.only("aws_acm_certificate")["lifecycle"] == {"create_before_destroy": True}


def test_cluster_gets_the_zone_of_its_environment(platform: dict[str, Template]) -> None:
    (secret,) = [
        secret
        for secret in platform["ap-northeast-2-dev-gitops"].resources("kubernetes_secret_v1").values()
        if secret["metadata"]["name"] == "in-cluster"
    ]
    annotations = secret["metadata"]["annotations"]
    assert annotations["platform/domain"] == "dev.platform.your-domain.com"
    assert resolved(annotations["platform/hosted-zone-id"], platform) == "${aws_route53_zone.dns_zone.zone_id}"
    assert resolved(annotations["platform/certificate-arn"], platform) == "${aws_acm_certificate.dns_certificate.arn}"


def test_zone_with_records_is_not_destroyed(dev: Template) -> None:
    assert dev.only("aws_route53_zone")["force_destroy"] is False


def test_certificate_validation_is_not_awaited_below_a_new_zone(dev: Template) -> None:
    assert not dev.resources("aws_acm_certificate_validation")


def test_certificate_validation_is_awaited_below_an_existing_zone(below_named: Template) -> None:
    validation = below_named.only("aws_acm_certificate_validation")
    assert validation["certificate_arn"] == "${aws_acm_certificate.dns_certificate.arn}"
    assert validation["validation_record_fqdns"] == ["${aws_route53_record.dns_validation-record.fqdn}"]
    assert validation["depends_on"] == ["aws_route53_record.dns_delegation"]
    output = below_named.json["output"]["certificate_arn"]["value"]
    assert output == "${aws_acm_certificate_validation.dns_validation.certificate_arn}"


# The certificate of the platform's domain


@pytest.fixture(scope="module")
def with_certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    settings = EditedSettings(tmp_path_factory.mktemp("certificate"))
    settings.replace("ap_northeast_2/shared.py", "hosted_zone_id=None,", "certificate=True,")
    settings.replace("ap_northeast_2/__init__.py", '("dev", "staging", "prod")', '("dev",)')
    settings.replace("ap_northeast_2/dev.py", "production=False", "production=False, teardown=True")
    (settings.root / "out").mkdir()
    return every_stack(settings.load(), settings.root / "out")


def test_certificate_of_the_platform_covers_hosts_directly_below_its_domain(
    with_certificate: dict[str, Template],
) -> None:
    shared = with_certificate["ap-northeast-2-shared"]
    certificate = shared.only("aws_acm_certificate")
    assert certificate["domain_name"] == "platform.your-domain.com"
    assert certificate["subject_alternative_names"] == ["*.platform.your-domain.com"]
    assert shared.only("aws_route53_record")["zone_id"] == "${aws_route53_zone.dns_zone.zone_id}"


def test_load_balancer_of_services_has_both_certificates(with_certificate: dict[str, Template]) -> None:
    release = with_certificate["ap-northeast-2-dev-gitops"].resources("helm_release")
    (values,) = release["aws-load-balancer-controller_release"]["values"]
    arns = json.loads(values)["ingressClassParams"]["spec"]["certificateArn"]
    assert ["-dev." in arn for arn in arns] == [True, False]
    assert {resolved(arn, with_certificate) for arn in arns} == {"${aws_acm_certificate.dns_certificate.arn}"}


def test_zone_with_records_can_be_destroyed_in_a_teardown(with_certificate: dict[str, Template]) -> None:
    assert with_certificate["ap-northeast-2-dev"].only("aws_route53_zone")["force_destroy"] is True
