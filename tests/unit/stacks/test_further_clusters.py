"""A further cluster of an environment: stacks of its own beside the first cluster, which stays as it is."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from stacks import rules_of_further_clusters, warnings
from stacks.loading import SettingsError
from stacks.settings import Environment, Owner, Region
from tests.edited_settings import EditedSettings
from tests.policies import Role, identity_policies, trust_policies
from tests.template import Json, Template, every_stack, resolved

DEV, BLUE = "ap-northeast-2-dev", "ap-northeast-2-dev-blue"
EC2 = "arn:aws:ec2:ap-northeast-2:123456789012"
EKS = "arn:aws:eks:ap-northeast-2:123456789012"


@pytest.fixture(scope="module")
def blue(with_further_cluster: dict[str, Template]) -> Template:
    return with_further_cluster[BLUE]


@pytest.fixture(scope="module")
def in_blue(with_further_cluster: dict[str, Template]) -> Template:
    return with_further_cluster[f"{BLUE}-gitops"]


def test_it_has_two_stacks_with_states_of_their_own(
    with_further_cluster: dict[str, Template], platform: dict[str, Template]
) -> None:
    assert with_further_cluster.keys() - platform.keys() == {BLUE, f"{BLUE}-gitops"}
    keys = {name: stack.json["terraform"]["backend"]["s3"]["key"] for name, stack in with_further_cluster.items()}
    assert keys[BLUE] == "ap-northeast-2/dev/blue/terraform.tfstate"
    assert keys[f"{BLUE}-gitops"] == "ap-northeast-2/dev/blue-gitops/terraform.tfstate"
    assert len(set(keys.values())) == len(keys)


def test_no_resource_of_the_first_cluster_changes(
    with_further_cluster: dict[str, Template], platform: dict[str, Template]
) -> None:
    """Only the policy of the key changes, which names the log groups of both, and the weight of the first."""

    def resources(stack: Template) -> dict[str, Json]:
        return {f"{kind}.{name}": body for kind, name, body in stack.all_resources()}

    before, after = resources(platform[DEV]), resources(with_further_cluster[DEV])
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == ["aws_kms_key.key"]
    before, after = (resources(stacks[f"{DEV}-gitops"]) for stacks in (platform, with_further_cluster))
    assert [name for name in before if before[name] != after[name]] == ["kubernetes_secret_v1.cluster-secret"]
    for name in platform.keys() - {DEV, f"{DEV}-gitops", "ap-northeast-2-shared"}:
        assert platform[name].json == with_further_cluster[name].json


def test_nothing_has_the_name_of_a_resource_of_the_first(with_further_cluster: dict[str, Template]) -> None:
    names = [
        (kind, name)
        for stack in (DEV, BLUE)
        for kind, _, body in with_further_cluster[stack].all_resources()
        for name in [body.get("name", body.get("node_group_name_prefix"))]
        if isinstance(name, str) and "${" not in name and kind not in {"aws_iam_role_policy", "aws_eks_node_group"}
    ]
    assert len(names) > 40
    assert len(names) == len(set(names))


def test_it_uses_the_key_and_the_zone_of_the_environment(
    blue: Template, with_further_cluster: dict[str, Template]
) -> None:
    assert not blue.resources("aws_kms_key")
    assert not {kind for kind, _, _ in blue.all_resources()} & {
        "aws_route53_zone", "aws_efs_file_system", "aws_db_instance", "aws_s3_bucket", "aws_backup_vault",
    }  # fmt: skip
    (encryption,) = [blue.only("aws_eks_cluster")["encryption_config"]]
    key = resolved(encryption["provider"]["key_arn"], with_further_cluster)
    assert key == "${aws_kms_key.key.arn}"
    policy = next(one for one in identity_policies(blue) if one.address.endswith("external-dns_role_external-dns"))
    assert "aws_route53_zonedns_zonearn" in policy.text


def test_its_nodes_reach_the_databases_and_files(blue: Template, with_further_cluster: dict[str, Template]) -> None:
    own = "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    rules = blue.resources("aws_vpc_security_group_ingress_rule")
    found = {
        name: (resolved(rule["security_group_id"], with_further_cluster), rule["from_port"])
        for name, rule in rules.items()
        if rule["referenced_security_group_id"] == own
    }
    assert found == {
        "database-bubblepool-from-nodes": ("${aws_security_group.database-bubblepool_security-group.id}", 5432),
        "file-system-from-nodes": ("${aws_security_group.file-system_security-group.id}", 2049),
    }


def test_its_resources_have_the_tags_of_the_environment_and_its_own(blue: Template, in_blue: Template) -> None:
    (provider,) = blue.json["provider"]["aws"]
    tags = provider["default_tags"][0]["tags"]
    assert (tags["Environment"], tags["Cluster"]) == ("dev", "blue")
    secret = in_blue.resources("kubernetes_secret_v1")["cluster-secret"]["metadata"]["annotations"]
    assert json.loads(secret["platform/tags"]) == tags


def test_both_clusters_take_the_same_tree_with_other_weights(with_further_cluster: dict[str, Template]) -> None:
    first, further = (
        with_further_cluster[name].resources("kubernetes_secret_v1")["cluster-secret"]["metadata"]
        for name in (f"{DEV}-gitops", f"{BLUE}-gitops")
    )
    assert {**first["labels"], "platform/karpenter": "true"} == further["labels"]
    ours, theirs = first["annotations"], further["annotations"]
    other_cluster = re.compile(r"ap-northeast-2-dev(-blue)?\.outputs")
    same = {key for key in ours if other_cluster.sub("", ours[key]) == other_cluster.sub("", theirs[key])}
    assert {"platform/repository-revision", "platform/domain", "platform/databases", "platform/file-system-id"} <= same
    assert (ours["platform/dns-weight"], theirs["platform/dns-weight"]) == ("100", "0")
    assert "platform/further-cluster" not in ours
    assert theirs["platform/further-cluster"] == "blue"
    assert theirs["platform/cluster-name"] == "gitops-cluster-dev-blue"
    assert theirs["platform/argo-cd-url"] == "https://argocd-blue.dev.platform.your-domain.com"


def test_its_services_have_a_load_balancer_of_their_own(with_further_cluster: dict[str, Template]) -> None:
    groups = {
        name: json.loads(stack.resources("helm_release")["aws-load-balancer-controller_release"]["values"][0])
        for name, stack in with_further_cluster.items()
        if name.endswith("-gitops") and "dev" in name
    }
    assert {name: values["ingressClassParams"]["spec"]["group"]["name"] for name, values in groups.items()} == {
        f"{DEV}-gitops": DEV,
        f"{BLUE}-gitops": BLUE,
    }


def test_its_roles_trust_its_cluster_alone(blue: Template) -> None:
    conditions = [
        statement["Condition"]["StringEquals"]
        for policy in trust_policies(blue)
        for statement in policy.statements
        if "pods.eks.amazonaws.com" in str(statement["Principal"]) and "Condition" in statement
    ]
    assert len(conditions) > 4
    assert {one["aws:RequestTag/eks-cluster-arn"] for one in conditions} == {"${aws_eks_cluster.cluster.arn}"}


def test_its_jobs_manage_the_users_of_the_databases_of_the_environment(blue: Template) -> None:
    (policy,) = [one for one in identity_policies(blue) if one.address.endswith("database-users_role_database-users")]
    assert "db:ap-northeast-2-dev-*" in policy.text
    assert "secret:ap-northeast-2/dev/*/database-" in policy.text


# The delivery roles


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("eks:UpdateClusterVersion", f"{EKS}:cluster/gitops-cluster-dev-blue", True),
        ("eks:UpdateClusterVersion", f"{EKS}:cluster/gitops-cluster-dev", True),
        ("eks:UpdateClusterVersion", f"{EKS}:cluster/gitops-cluster-prod", False),
        ("eks:DeleteNodegroup", f"{EKS}:nodegroup/gitops-cluster-dev-blue/main/1", True),
        (
            "logs:DeleteLogGroup",
            "arn:aws:logs:ap-northeast-2:123456789012:log-group:/aws/eks/gitops-cluster-dev-blue/cluster",
            True,
        ),
        (
            "s3:PutObject",
            "arn:aws:s3:::your-org-terraform-state-ap-northeast-2/ap-northeast-2/dev/blue/terraform.tfstate",
            True,
        ),
        (
            "s3:PutObject",
            "arn:aws:s3:::your-org-terraform-state-ap-northeast-2/ap-northeast-2/prod/blue/terraform.tfstate",
            False,
        ),
    ],
)
def test_the_apply_role_manages_both_clusters(
    with_further_cluster: dict[str, Template], action: str, resource: str, *, allowed: bool
) -> None:
    role = Role(with_further_cluster["ap-northeast-2-shared"], "apply-dev_role")
    assert role.may(action, resource, tags={"Environment": "prod" if "prod" in resource else "dev"}) is allowed


@pytest.mark.parametrize(
    ("environment", "cluster", "allowed"),
    [
        ("dev", "gitops-cluster-dev", True),
        ("dev", "gitops-cluster-dev-blue", True),
        ("prod", "gitops-cluster-dev-blue", False),
    ],
)
def test_only_the_roles_of_the_environment_change_its_security_group(
    with_further_cluster: dict[str, Template], environment: str, cluster: str, *, allowed: bool
) -> None:
    role = Role(with_further_cluster["ap-northeast-2-shared"], f"apply-{environment}_role")
    tags = {"aws:eks:cluster-name": cluster}
    assert role.may("ec2:AuthorizeSecurityGroupIngress", f"{EC2}:security-group/sg-1", tags=tags) is allowed


def test_argo_cd_of_both_clusters_can_be_backed_up(with_further_cluster: dict[str, Template]) -> None:
    shared = with_further_cluster["ap-northeast-2-shared"]
    role = Role(shared, "backup-dev_role")
    for cluster in ("gitops-cluster-dev", "gitops-cluster-dev-blue"):
        assert role.may("eks:DescribeCluster", f"{EKS}:cluster/{cluster}", tags={})
    backups = shared.json["output"]["backups"]["value"]
    assert {(one["stack"], one["cluster"]) for one in backups if "dev" in one["stack"]} == {
        (DEV, "gitops-cluster-dev"), (BLUE, "gitops-cluster-dev-blue"),
    }  # fmt: skip


# The settings


def _dev(settings: tuple[Owner, list[Region]]) -> Environment:
    return settings[1][0].environments[0]


def test_the_settings_of_a_further_cluster_are_those_of_the_environment_but_for_the_cluster(
    edited: EditedSettings,
) -> None:
    edited.add_further_cluster()
    first = _dev(edited.load())
    (further,) = first.further
    assert first.clusters == (first, further)
    assert (further.name, further.cluster, further.path) == ("dev", "blue", "further_clusters[0]")
    assert further.settings.controllers == first.settings.controllers
    assert further.settings.cluster.name == "gitops-cluster-dev-blue"
    assert further.settings.databases == ()
    assert further.further == ()


def test_production_protects_a_further_cluster_until_its_own_teardown(edited: EditedSettings) -> None:
    edited.add_further_cluster()
    edited.replace("ap_northeast_2/dev.py", "production=False", "production=True")
    wanted = (
        "further_clusters[0].cluster.deletion_protection: False: production must be protected; set it to True, or set "
        "teardown to True before you destroy it"
    )

    def errors() -> str:
        with pytest.raises(SettingsError) as raised:
            edited.load()
        return str(raised.value)

    assert wanted in errors()
    assert "further_clusters[0].databases" not in errors()
    assert "further_clusters[0].backup" not in errors()
    edited.replace("ap_northeast_2/dev.py", 'name="blue"', 'name="blue", teardown=True')
    assert wanted not in errors()


@pytest.mark.parametrize(
    ("dev", "blue", "accepted"), [("1.36", "1.36", True), ("1.35", "1.36", True), ("1.35", "1.35", False)]
)
def test_a_later_environment_is_not_newer_than_all_clusters_of_an_earlier_one(
    edited: EditedSettings, dev: str, blue: str, *, accepted: bool
) -> None:
    edited.replace("ap_northeast_2/dev.py", 'version="1.36"', f'version="{dev}"')
    edited.add_further_cluster()
    edited.replace("ap_northeast_2/dev.py", 'version="1.36"', f'version="{blue}"')
    if accepted:
        edited.load()
    else:
        with pytest.raises(SettingsError, match=r"staging\.py:\d+: cluster\.version: '1\.36': newer than in dev"):
            edited.load()


def test_the_longest_names_of_many_clusters_are_too_long_for_the_policies_of_the_apply_role(
    edited: EditedSettings,
) -> None:
    edited.add_further_cluster()
    file = edited.root / "stacks/ap_northeast_2/dev.py"
    text = file.read_text()
    one = text[text.index("        FurtherCluster(") : text.index("    backup=BackupConfig(")].rpartition("    ),\n")[0]
    others = [
        one.replace("blue", name).replace('"gitops-cluster-dev-', f'"{name * 18}-')
        for name in ("green", "black", "white")
    ]
    file.write_text(text.replace(one, "".join([one, *others])))
    with pytest.raises(SettingsError) as raised:
        edited.load()
    found = [error.partition(": ")[2] for error in str(raised.value).splitlines()]
    assert any(
        error.startswith("further_clusters: '4 clusters': the policy cluster of the apply role would have")
        and error.endswith("IAM allows 6144, use fewer clusters, or shorter cluster names")
        for error in found
    ), found


def test_warnings_name_the_field_and_the_stack_of_a_further_cluster(edited: EditedSettings) -> None:
    edited.add_further_cluster()
    edited.replace("ap_northeast_2/dev.py", 'name="blue"', 'name="blue", teardown=True')
    found = [(stack, text) for stack, text in warnings.found(*edited.load(), date(2026, 1, 1)) if "teardown" in text]
    message = "environment is not protected; set it to False unless you destroy it now"
    assert found == [
        (BLUE, f"stacks/ap_northeast_2/dev.py: further_clusters[0].teardown: True: {message}"),
    ]


def test_the_name_must_leave_room_for_the_longest_role(edited: EditedSettings) -> None:
    edited.add_further_cluster()
    edited.replace("ap_northeast_2/dev.py", 'name="blue"', 'name="bluebluebl"')
    region = edited.load()[1][0]
    renamed = region._replace(environments=(region.environments[0]._replace(name="developing"),))
    problems = [problem for _, found in rules_of_further_clusters.of_region(renamed) for problem in found]
    message = (
        "longest role name 'ap-northeast-2-developing-bluebluebl-aws-load-balancer-controller' has 65 characters; "
        "IAM allows 64, choose a shorter one"
    )
    assert [(problem.field, problem.message) for problem in problems] == [("further_clusters[0].name", message)]


def test_two_further_clusters_of_one_name_are_rejected(edited: EditedSettings) -> None:
    edited.add_further_cluster()
    file = edited.root / "stacks/ap_northeast_2/dev.py"
    text = file.read_text()
    one = text[text.index("        FurtherCluster(") : text.index("    backup=BackupConfig(")].rpartition("    ),\n")[0]
    file.write_text(text.replace(one, one + one.replace("-blue", "-green")))
    with pytest.raises(SettingsError) as raised:
        edited.load()
    (error,) = str(raised.value).splitlines()
    assert re.fullmatch(
        r"stacks/ap_northeast_2/dev\.py:\d+: further_clusters\[1\]\.name: 'blue': duplicate name; .*", error
    )


def test_without_a_file_system_it_admits_no_nodes_to_one(edited: EditedSettings, tmp_path: Path) -> None:
    edited.replace("ap_northeast_2/dev.py", "    file_system=FileSystemConfig(),\n", "")
    edited.add_further_cluster()
    blue = every_stack(edited.load(), tmp_path / "out")[BLUE]
    assert set(blue.resources("aws_vpc_security_group_ingress_rule")) == {"database-bubblepool-from-nodes"}
