import json

import cdktf
import pytest

from eks_gitops.context import Context
from eks_gitops.ecr import EcrRepositories, EcrRepositoryConfig
from eks_gitops.github import GithubRepository
from eks_gitops.key import Key
from eks_gitops.location import Location
from tests.policies import Role
from tests.template import Template, one_stack

REPOSITORIES = ("bubblepool", "guestbook", "hello")


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_image_tags_are_immutable(shared: Template, repository: str) -> None:
    assert shared.resources("aws_ecr_repository")[f"ecr_repository-{repository}"]["image_tag_mutability"] == "IMMUTABLE"


def test_moving_tags_are_excluded_and_expire_apart(alternative: dict[str, Template]) -> None:
    shared = alternative["us-gov-west-1-shared"]
    moving = [{"filter": pattern, "filter_type": "WILDCARD"} for pattern in ("cache", "cache-*")]
    repository = shared.resources("aws_ecr_repository")["ecr_repository-hello"]
    template = shared.only("aws_ecr_repository_creation_template")
    for one in (repository, template):
        assert one["image_tag_mutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert one["image_tag_mutability_exclusion_filter"] == moving
    policy = shared.resources("aws_ecr_lifecycle_policy")["ecr_lifecycle-hello"]["policy"]
    kept = [(rule["rulePriority"], rule["selection"]) for rule in json.loads(policy)["rules"]]
    assert [(priority, one["tagPatternList"], one["countNumber"]) for priority, one in kept] == [
        (1, ["cache"], 10), (2, ["cache-*"], 10), (3, ["*"], 200),
    ]  # fmt: skip
    other = shared.resources("aws_ecr_repository")["ecr_repository-guestbook"]
    assert other["image_tag_mutability"] == "IMMUTABLE"


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_images_are_scanned_on_push(shared: Template, repository: str) -> None:
    scanning = shared.resources("aws_ecr_repository")[f"ecr_repository-{repository}"]["image_scanning_configuration"]
    assert scanning == {"scan_on_push": True}


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_images_are_encrypted_with_the_shared_key(shared: Template, repository: str) -> None:
    encryption = shared.resources("aws_ecr_repository")[f"ecr_repository-{repository}"]["encryption_configuration"]
    assert encryption == [{"encryption_type": "KMS", "kms_key": "${aws_kms_key.key.arn}"}]


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_only_old_tagged_images_expire(shared: Template, repository: str) -> None:
    policy = shared.resources("aws_ecr_lifecycle_policy")[f"ecr_lifecycle-{repository}"]
    assert policy["repository"] == f"${{aws_ecr_repository.ecr_repository-{repository}.name}}"
    rules = [rule["selection"] for rule in json.loads(policy["policy"])["rules"]]
    # Untagged images must be kept: they are signatures of images that may be in use.
    assert rules == [
        {"tagStatus": "tagged", "tagPatternList": ["*"], "countType": "imageCountMoreThan", "countNumber": 200}
    ]


def test_images_are_not_replicated_by_default(shared: Template) -> None:
    assert not shared.resources("aws_ecr_replication_configuration")


def test_images_are_replicated_to_the_configured_regions(alternative: dict[str, Template]) -> None:
    """Only those of this platform: the registry can have others."""
    replication = alternative["us-gov-west-1-shared"].only("aws_ecr_replication_configuration")
    (rule,) = replication["replication_configuration"]["rule"]
    assert rule["destination"] == [{"region": "us-gov-east-1", "registry_id": "123456789012"}]
    assert rule["repository_filter"] == [{"filter": name, "filter_type": "PREFIX_MATCH"} for name in REPOSITORIES]


def test_replicas_have_the_settings_of_the_originals(alternative: dict[str, Template]) -> None:
    shared = alternative["us-gov-west-1-shared"]
    template = shared.only("aws_ecr_repository_creation_template")
    assert (template["prefix"], template["applied_for"]) == ("ROOT", ["REPLICATION"])
    original = shared.resources("aws_ecr_repository")["ecr_repository-hello"]
    assert template["image_tag_mutability"] == original["image_tag_mutability"]
    assert template["lifecycle_policy"] == shared.resources("aws_ecr_lifecycle_policy")["ecr_lifecycle-hello"]["policy"]
    assert template["encryption_configuration"] == [{"encryption_type": "KMS"}]  # with AWS's own key in that region
    assert template["resource_tags"]["Environment"] == "shared"  # the roles of that region manage what has this tag
    assert template["resource_tags"]["Region"] == "us-gov-east-1"


def test_templates_are_in_the_region_of_the_replicas_and_exist_before_the_first_one(
    alternative: dict[str, Template],
) -> None:
    shared = alternative["us-gov-west-1-shared"]
    template = shared.only("aws_ecr_repository_creation_template")
    (provider,) = [one for one in shared.json["provider"]["aws"] if one.get("alias")]
    assert template["provider"] == f"aws.{provider['alias']}"
    assert (provider["region"], provider["allowed_account_ids"]) == ("us-gov-east-1", ["123456789012"])
    replication = shared.only("aws_ecr_replication_configuration")
    assert replication["depends_on"] == ["aws_ecr_repository_creation_template.ecr_template-us-gov-east-1"]


def test_ecr_creates_replicas_with_a_role_that_can_do_nothing_else(alternative: dict[str, Template]) -> None:
    shared = alternative["us-gov-west-1-shared"]
    (trust,) = shared.document("aws_iam_role.ecr_template-role", "assume_role_policy")["Statement"]
    assert trust["Principal"] == {"Service": ["ecr.amazonaws.com"]}
    statements = shared.document("aws_iam_role_policy.ecr_template-role_create-repositories", "policy")["Statement"]
    assert [(statement["Action"], statement["Resource"]) for statement in statements] == [
        (["ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource"],
         ["arn:aws-us-gov:ecr:us-gov-east-1:123456789012:repository/*"]),
        (["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
         ["arn:aws-us-gov:kms:us-gov-east-1:123456789012:key/*"]),
    ]  # fmt: skip


def test_the_boundary_allows_what_the_role_of_the_template_does(alternative: dict[str, Template]) -> None:
    role = Role(alternative["us-gov-west-1-shared"], "ecr_template-role")
    for statement in role.statements:
        for action in statement["Action"]:
            (resource,) = statement["Resource"]
            assert role.may(action, resource, tags={})
            assert not role.may(action, resource.replace("123456789012", "210987654321"), tags={})


def test_an_existing_repository_is_not_created_but_its_images_are_pushed(with_existing: dict[str, Template]) -> None:
    shared = with_existing["us-east-1-shared"]
    for kind in ("aws_ecr_repository", "aws_ecr_lifecycle_policy"):
        assert len(shared.resources(kind)) == len(REPOSITORIES) - 1
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert shared.json["output"]["image_repositories"]["value"]["hello"] == f"{registry}/hello"
    repository = "arn:aws:ecr:us-east-1:123456789012:repository/hello"
    role = Role(shared, "push-hello_role")
    role.boundary = None
    assert role.may("ecr:PutImage", repository, tags={})
    assert not role.may("ecr:PutImage", f"{repository}-of-others", tags={})


def test_a_repository_with_another_key_is_not_replaced(shared: Template) -> None:
    """Its key never changes, and that of a repository that replication created is not the key of the stack."""
    for repository in shared.resources("aws_ecr_repository").values():
        assert repository["lifecycle"] == {"ignore_changes": ["encryption_configuration"]}


def test_repository_names_do_not_collide_with_other_construct_ids() -> None:
    """Construct IDs contain the names of repositories, and must not equal other IDs of the same scope."""
    location = Location(account_id="123456789012", region="ap-northeast-2", environment="shared")
    source = GithubRepository(owner="org", owner_id=10, name="app", id=11)
    names = ["app", "app-lifecycle", "replication"]

    def build(stack: cdktf.TerraformStack) -> None:
        EcrRepositories(
            stack,
            "ecr",
            [EcrRepositoryConfig(name=name, pushed_by=source) for name in names],
            context=Context(location, Key(stack, "key", location=location, description="test"), "boundary"),
            replica_regions=["us-west-2"],
        )

    repositories = one_stack(build).resources("aws_ecr_repository").values()
    assert sorted(repository["name"] for repository in repositories) == names
