"""A hub: the Argo CD of dev also deploys to the cluster of staging, which has none of its own."""

import json

import pytest

from eks_gitops.versions import ARGO_CD_CHARTS
from stacks import rules_of_hubs
from stacks.loading import SettingsError
from tests.edited_settings import EditedSettings
from tests.policies import Role, identity_policies, trust_policies
from tests.template import Json, Template, resolved

DEV, STAGING, PROD, SHARED = (f"ap-northeast-2-{name}" for name in ("dev", "staging", "prod", "shared"))
STATES = "arn:aws:s3:::your-org-terraform-state-ap-northeast-2/ap-northeast-2"
ADMINISTRATOR = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
ROLES = {"controller": "argocd-application-controller", "server": "argocd-server"}


@pytest.fixture(scope="module")
def hub(with_hub: dict[str, Template]) -> Template:
    return with_hub[f"{DEV}-gitops"]


@pytest.fixture(scope="module")
def spoke(with_hub: dict[str, Template]) -> Template:
    return with_hub[f"{STAGING}-gitops"]


def _secrets(stack: Template) -> dict[str, Json]:
    """The cluster Secrets by the name of the cluster in Argo CD."""
    found = stack.resources("kubernetes_secret_v1").values()
    of_clusters = [one for one in found if "argocd.argoproj.io/secret-type" in one["metadata"].get("labels", {})]
    return {one["data"]["name"]: one for one in of_clusters}


def test_the_spoke_gets_no_argo_cd_but_what_its_services_need(spoke: Template, with_hub: dict[str, Template]) -> None:
    assert {kind: sorted(spoke.resources(kind)) for kind, _, _ in spoke.all_resources()} == {
        "helm_release": ["aws-load-balancer-controller_release"],
        "kubernetes_storage_class_v1": ["storage-classes_efs-ap", "storage-classes_gp3"],
    }
    assert "argo_cd_url" not in spoke.json.get("output", {})
    assert "ephemeral" not in spoke.json
    assert "argo_cd_url" in with_hub[f"{PROD}-gitops"].json["output"]


def test_other_environments_do_not_change(with_hub: dict[str, Template], platform: dict[str, Template]) -> None:
    assert with_hub.keys() == platform.keys()
    changed = {name for name in platform if platform[name].json != with_hub[name].json}
    assert changed == {SHARED, DEV, STAGING, f"{DEV}-gitops", f"{STAGING}-gitops"}


def test_the_hub_registers_the_cluster_of_the_spoke(hub: Template, with_hub: dict[str, Template]) -> None:
    secrets = _secrets(hub)
    assert secrets.keys() == {"in-cluster", "staging"}
    secret = secrets["staging"]
    assert secret["metadata"]["name"] == "cluster-staging"
    assert secret["metadata"]["namespace"] == secrets["in-cluster"]["metadata"]["namespace"]
    assert resolved(secret["data"]["server"], with_hub) == "${aws_eks_cluster.cluster.endpoint}"
    config = json.loads(secret["data"]["config"])
    assert config["awsAuthConfig"] == {"clusterName": "gitops-cluster-staging"}
    assert config["tlsClientConfig"].keys() == {"caData", "insecure"}
    assert config["tlsClientConfig"]["insecure"] is False
    authority = resolved(config["tlsClientConfig"]["caData"], with_hub)
    assert authority == "${aws_eks_cluster.cluster.certificate_authority[0].data}"


def test_labels_and_annotations_are_those_of_a_cluster_with_its_own_argo_cd(
    hub: Template, platform: dict[str, Template], with_hub: dict[str, Template]
) -> None:
    """But for those that name its Argo CD. References to its resources lead to the same ones."""
    alone = _secrets(platform[f"{STAGING}-gitops"])["in-cluster"]["metadata"]
    ours = _secrets(hub)["staging"]["metadata"]
    assert ours["labels"] == {**alone["labels"], "platform/hub": "dev"}
    own = "https://argocd.dev.platform.your-domain.com"
    assert ours["annotations"] == {**alone["annotations"], "platform/argo-cd-url": own}
    assert with_hub[STAGING].json["output"].keys() >= platform[STAGING].json["output"].keys()
    assert "platform/hub" not in _secrets(hub)["in-cluster"]["metadata"]["labels"]


def test_the_root_application_is_told_of_both_clusters(hub: Template) -> None:
    values = json.loads(hub.resources("helm_release")["root-application_root_release"]["values"][0])
    assert values["applications"]["root"]["source"]["helm"]["valuesObject"]["environments"] == [
        {"name": "dev", "production": False},
        {"name": "staging", "production": False, "cluster": "staging"},
    ]
    (depends_on,) = [
        one["depends_on"] for name, one in hub.resources("terraform_data").items() if name.endswith("guard")
    ]
    assert "kubernetes_secret_v1.cluster-secret-staging_secret" in depends_on


def test_pods_of_argo_cd_have_roles_that_the_spoke_admits(with_hub: dict[str, Template]) -> None:
    dev, staging = with_hub[DEV], with_hub[STAGING]
    associations = {
        one["service_account"]: one["role_arn"]
        for one in dev.resources("aws_eks_pod_identity_association").values()
        if one["namespace"] == "argocd"
    }
    assert associations == {account: f"${{aws_iam_role.hub_{name}_role.arn}}" for name, account in ROLES.items()}
    for name, account in ROLES.items():
        entry = staging.resources("aws_eks_access_entry")[f"cluster_access-hub-{name}"]
        policy = staging.resources("aws_eks_access_policy_association")[f"cluster_access-policy-hub-{name}"]
        assert resolved(entry["principal_arn"], with_hub) == associations[account]
        assert (policy["policy_arn"], policy["access_scope"]["type"]) == (ADMINISTRATOR, "cluster")


def test_the_roles_have_no_permissions_in_aws_and_trust_their_service_account_alone(
    with_hub: dict[str, Template],
) -> None:
    dev = with_hub[DEV]
    assert not [policy for policy in identity_policies(dev) if "hub_" in policy.address]
    trusts = [policy for policy in trust_policies(dev) if "hub_" in policy.address]
    assert {
        statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"]
        for policy in trusts
        for statement in policy.statements
    } == set(ROLES.values())
    for name in ROLES:
        assert "permissions_boundary" in dev.resources("aws_iam_role")[f"hub_{name}_role"]


def test_the_api_of_the_spoke_admits_the_nodes_of_the_hub(with_hub: dict[str, Template]) -> None:
    rule = with_hub[STAGING].resources("aws_vpc_security_group_ingress_rule")["cluster_client-hub"]
    group = resolved(rule["referenced_security_group_id"], with_hub)
    assert group == "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    assert (rule["from_port"], rule["to_port"], rule["ip_protocol"]) == (443, 443, "tcp")
    assert (
        "terraform_remote_state.cross-stack-reference-input-ap-northeast-2-dev."
        in (rule["referenced_security_group_id"])
    )


def test_only_the_apply_roles_of_hub_and_spoke_read_the_state_of_the_other(with_hub: dict[str, Template]) -> None:
    allowed = {
        (reader, read): Role(with_hub[SHARED], f"apply-{reader}_role").may(
            "s3:GetObject", f"{STATES}/{read}/terraform.tfstate", tags={}
        )
        for reader in ("dev", "staging", "prod")
        for read in ("dev", "staging", "prod")
        if reader != read
    }
    assert {pair for pair, may in allowed.items() if may} == {("dev", "staging"), ("staging", "dev")}
    for role, state in (("dev", "staging"), ("staging", "dev")):
        may = Role(with_hub[SHARED], f"apply-{role}_role").may
        assert not may("s3:PutObject", f"{STATES}/{state}/terraform.tfstate", tags={})
        assert not may("s3:GetObject", f"{STATES}/{state}/gitops/terraform.tfstate", tags={})


def test_the_backup_of_the_hub_is_that_of_the_spoke(with_hub: dict[str, Template]) -> None:
    backups = with_hub[SHARED].json["output"]["backups"]["value"]
    assert [one["stack"] for one in backups] == [DEV, PROD]
    assert "cluster_access-argo-cd-backup" not in with_hub[STAGING].resources("aws_eks_access_entry")
    assert "cluster_access-argo-cd-backup" in with_hub[DEV].resources("aws_eks_access_entry")


# The settings

NOT_PRODUCTION = "not for production, but its administrators would be those of production; choose another hub"
AUTO_MODE = "with EKS Auto Mode, the IngressClass is installed with Argo CD; set it to None, or cluster.auto_mode"


def _problems(edited: EditedSettings) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        edited.load()
    return [line.partition(": ")[2] for line in str(raised.value).splitlines()]


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            "staging.py",
            'hub="dev"',
            'hub="qa"',
            "gitops.hub: 'qa': no other environment of ap-northeast-2; choose one of dev, prod, or None",
        ),
        (
            "staging.py",
            'hub="dev"',
            'hub="staging"',
            "gitops.hub: 'staging': no other environment of ap-northeast-2; choose one of dev, prod, or None",
        ),
        (
            "prod.py",
            "gitops=GitopsSettings(",
            'gitops=GitopsSettings(hub="dev",',
            f"gitops.hub: 'dev': {NOT_PRODUCTION}",
        ),
        (
            "dev.py",
            "gitops=GitopsSettings(",
            'gitops=GitopsSettings(hub="prod",',
            "gitops.hub: 'dev': has no Argo CD, but that of prod; write prod",
        ),
        (
            "staging.py",
            'gitops-cluster-staging",',
            'gitops-cluster-staging", auto_mode=AutoModeConfig(),',
            f"gitops.hub: 'dev': {AUTO_MODE}",
        ),
        (
            "dev.py",
            "gitops=GitopsSettings(",
            'gitops=GitopsSettings(kubeconfig="/kind",',
            "gitops.hub: 'dev': dev uses the cluster of /kind, which is not in EKS; set it to None for the trial",
        ),
        (
            "staging.py",
            'hub="dev"',
            'hub="dev", kubeconfig="/kind"',
            "gitops.hub: 'dev': staging uses the cluster of /kind, which is not in EKS; set it to None for the trial",
        ),
    ],
)
def test_what_cannot_be_a_hub_is_rejected(edited: EditedSettings, file: str, old: str, new: str, problem: str) -> None:
    edited.use_hub()
    edited.replace(f"ap_northeast_2/{file}", old, new)
    edited.replace("ap_northeast_2/dev.py", '        kubeconfig=os.environ.get("LOCAL_KUBECONFIG"),', "        #")
    imported = "from eks_gitops.auto_mode import AutoModeConfig\nfrom eks_gitops.cluster import ClusterConfig"
    edited.replace("ap_northeast_2/staging.py", "from eks_gitops.cluster import ClusterConfig", imported)
    assert problem in _problems(edited)


def test_a_hub_is_of_the_same_account(edited: EditedSettings) -> None:
    edited.use_hub()
    edited.add_account("staging")
    message = "in the account 123456789012; choose an environment of the same account, or None"
    assert f"gitops.hub: 'dev': {message}" in _problems(edited)


def test_a_spoke_has_one_cluster(edited: EditedSettings) -> None:
    """Its Applications in the hub have the name of the environment."""
    edited.add_further_cluster()
    edited.replace("ap_northeast_2/dev.py", 'policies="audit",  #', 'hub="staging", policies="audit",  #')
    edited.replace("ap_northeast_2/dev.py", "dns_weight=0,", 'dns_weight=0, hub="staging",')
    problems = _problems(edited)
    message = "the Applications of its clusters would have the same names; set it to None, or remove the further ones"
    assert f"gitops.hub: 'staging': {message}" in problems
    message = "a further cluster has its own Argo CD; set it to None"
    assert f"further_clusters[0].gitops.hub: 'staging': {message}" in problems


def test_the_argo_cd_of_the_hub_supports_the_kubernetes_of_the_spoke(
    edited: EditedSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited.use_hub()
    _, (region,) = edited.load()
    chart = ARGO_CD_CHARTS["10.4.1"]
    monkeypatch.setitem(ARGO_CD_CHARTS, "10.4.1", chart._replace(kubernetes=("1.33", "1.35")))
    problems = [problem for _, found in rules_of_hubs.of_region(region) for problem in found]
    message = "its Argo CD is tested with Kubernetes 1.33 to 1.35, not 1.36; upgrade argo_cd of dev"
    assert [(problem.field, problem.message) for problem in problems] == [("gitops.hub", message)]
