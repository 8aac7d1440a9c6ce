import pytest

from tests.template import Template


@pytest.fixture(scope="module")
def named(otherwise: dict[str, Template]) -> Template:
    """With a zone that existed before."""
    return otherwise["us-gov-west-1-shared"]


def test_certificate_is_for_the_domain_and_one_level_below(shared: Template) -> None:
    certificate = shared.only("aws_acm_certificate")
    assert certificate["domain_name"] == "your-domain.com"
    assert certificate["subject_alternative_names"] == ["*.your-domain.com"]
    assert certificate["validation_method"] == "DNS"


def test_certificate_is_replaced_before_the_old_one_goes(shared: Template) -> None:
    assert shared.only("aws_acm_certificate")["lifecycle"] == {"create_before_destroy": True}


def test_zone_is_made_where_none_is_named(shared: Template) -> None:
    assert shared.only("aws_route53_zone")["name"] == "your-domain.com"
    assert shared.only("aws_route53_record")["zone_id"] == "${aws_route53_zone.dns_zone.zone_id}"


def test_name_servers_of_a_new_zone_are_told(shared: Template) -> None:
    assert shared.json["output"]["name_servers"]["value"] == "${aws_route53_zone.dns_zone.name_servers}"


def test_certificate_is_not_waited_for_where_only_a_person_can_make_the_zone_answer(shared: Template) -> None:
    assert not shared.resources("aws_acm_certificate_validation")


def test_a_named_zone_is_used(named: Template) -> None:
    assert not named.resources("aws_route53_zone")
    assert named.json["data"]["aws_route53_zone"]["dns_zone"]["zone_id"] == "Z0123456789ABC"
    assert named.only("aws_route53_record")["zone_id"] == "${data.aws_route53_zone.dns_zone.zone_id}"


def test_certificate_is_waited_for_where_the_zone_answers(named: Template) -> None:
    validation = named.only("aws_acm_certificate_validation")
    assert validation["certificate_arn"] == "${aws_acm_certificate.dns_certificate.arn}"
    assert validation["validation_record_fqdns"] == ["${aws_route53_record.dns_validation-record.fqdn}"]
    output = named.json["output"]["certificate_arn"]["value"]
    assert output == "${aws_acm_certificate_validation.dns_validation.certificate_arn}"
