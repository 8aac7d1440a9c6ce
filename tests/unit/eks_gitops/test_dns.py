import pytest

from tests.template import Template


@pytest.fixture(scope="module")
def named(alternative: dict[str, Template]) -> Template:
    """A shared stack with an existing zone."""
    return alternative["us-gov-west-1-shared"]


def test_certificate_covers_the_domain_and_its_wildcard(shared: Template) -> None:
    certificate = shared.only("aws_acm_certificate")
    assert certificate["domain_name"] == "your-domain.com"
    assert certificate["subject_alternative_names"] == ["*.your-domain.com"]
    assert certificate["validation_method"] == "DNS"


def test_certificate_is_created_before_the_old_one_is_destroyed(shared: Template) -> None:
    assert shared.only("aws_acm_certificate")["lifecycle"] == {"create_before_destroy": True}


def test_zone_is_created_if_none_is_set(shared: Template) -> None:
    assert shared.only("aws_route53_zone")["name"] == "your-domain.com"
    assert shared.only("aws_route53_record")["zone_id"] == "${aws_route53_zone.dns_zone.zone_id}"


def test_name_servers_of_a_new_zone_are_an_output(shared: Template) -> None:
    assert shared.json["output"]["name_servers"]["value"] == "${aws_route53_zone.dns_zone.name_servers}"


def test_certificate_validation_is_not_awaited_for_a_new_zone(shared: Template) -> None:
    assert not shared.resources("aws_acm_certificate_validation")


def test_an_existing_zone_is_used_if_set(named: Template) -> None:
    assert not named.resources("aws_route53_zone")
    assert named.json["data"]["aws_route53_zone"]["dns_zone"]["zone_id"] == "Z0123456789ABC"
    assert named.only("aws_route53_record")["zone_id"] == "${data.aws_route53_zone.dns_zone.zone_id}"


def test_certificate_validation_is_awaited_for_an_existing_zone(named: Template) -> None:
    validation = named.only("aws_acm_certificate_validation")
    assert validation["certificate_arn"] == "${aws_acm_certificate.dns_certificate.arn}"
    assert validation["validation_record_fqdns"] == ["${aws_route53_record.dns_validation-record.fqdn}"]
    output = named.json["output"]["certificate_arn"]["value"]
    assert output == "${aws_acm_certificate_validation.dns_validation.certificate_arn}"
