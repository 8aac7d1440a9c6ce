"""The in-cluster stacks: connection, order of resources, secrets that must not be stored, and the guard's script."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from cdktf import TerraformStack
from cdktf_cdktf_provider_kubernetes import namespace_v1
from cdktf_cdktf_provider_kubernetes.provider import KubernetesProvider

from eks_gitops.github import GithubRepository
from eks_gitops.in_cluster import argo_cd
from eks_gitops.in_cluster.cluster_secret import ClusterAnnotations, ClusterLabels, ClusterSecret
from eks_gitops.in_cluster.repository_credential import RepositoryCredential, RepositoryCredentialConfig, repository_url
from tests import ROOT
from tests.edited_settings import EditedSettings
from tests.template import Json, Template, every_stack, one_stack, resolved

CONTROLLER = "helm_release.aws-load-balancer-controller_release"
ARGO_CD = "helm_release.argo-cd_release"
NAMESPACE = "kubernetes_namespace_v1.argo-cd_namespace"
REDIS = "kubernetes_secret_v1.argo-cd_redis"
CLUSTER_SECRET = "kubernetes_secret_v1.cluster-secret"  # noqa: S105 (an address)
REPOSITORY_SECRET = "kubernetes_secret_v1.repository_secret"  # noqa: S105
PROJECT = "helm_release.root-application_project_release"
GUARD = "terraform_data.root-application_guard"
ROOT_RELEASE = "helm_release.root-application_root_release"

REPOSITORY = GithubRepository(owner="some-org", owner_id=1, name="platform", id=2)


@pytest.fixture(scope="module")
def gitops(platform: dict[str, Template]) -> Template:
    """The in-cluster stack of an environment on EKS with a public repository."""
    return platform["ap-northeast-2-dev-gitops"]


@pytest.fixture(scope="module")
def trial(alternative: dict[str, Template]) -> Template:
    """The in-cluster stack of an environment with a kubeconfig and a private repository."""
    return alternative["us-gov-west-1-dev-gitops"]


@pytest.fixture(scope="module")
def without_file_system(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("without-file-system")
    settings = EditedSettings(folder)
    settings.replace("ap_northeast_2/__init__.py", '("dev", "staging", "prod")', '("dev",)')
    settings.replace("ap_northeast_2/dev.py", "file_system=FileSystemConfig(),", "")
    return every_stack(settings.load(), folder / "out")["ap-northeast-2-dev-gitops"]


@pytest.fixture(scope="module")
def every(platform: dict[str, Template], alternative: dict[str, Template]) -> dict[str, Template]:
    stacks = {name: stack for name, stack in {**platform, **alternative}.items() if name.endswith("-gitops")}
    assert len(stacks) == 4
    return stacks


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield key
            yield from _keys(below)
    if isinstance(value, list):
        for below in value:
            yield from _keys(below)


def _body(stack: Template, address: str) -> Json:
    kind, _, name = address.partition(".")
    return stack.resources(kind)[name]


def _before(stack: Template, address: str) -> set[str]:
    """The direct and indirect dependencies of a resource, by `depends_on` or references."""
    bodies = {f"{kind}.{name}": json.dumps(body) for kind, name, body in stack.all_resources()}
    found: set[str] = set()
    waiting = [address]
    while waiting:
        text = bodies[waiting.pop()]
        new = {other for other in bodies if re.search(rf"(?<![\w.-]){re.escape(other)}(?![\w-])", text)} - found
        found |= new
        waiting += new
    return found


def _annotations(stack: Template) -> dict[str, str]:
    annotations: dict[str, str] = _body(stack, CLUSTER_SECRET)["metadata"]["annotations"]
    return annotations


# The connection


def test_providers_get_tokens_with_the_callers_identity(gitops: Template, platform: dict[str, Template]) -> None:
    (kubernetes,), (helm,) = gitops.json["provider"]["kubernetes"], gitops.json["provider"]["helm"]
    call = {
        "api_version": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": [
            *("eks", "get-token", "--cluster-name", "gitops-cluster-dev"),
            *("--region", "ap-northeast-2", "--output", "json"),
        ],
    }
    assert kubernetes["exec"] == [call]
    assert helm["kubernetes"]["exec"] == call
    for connection in (kubernetes, helm["kubernetes"]):
        assert sorted(connection) == ["cluster_ca_certificate", "exec", "host"]
        assert resolved(connection["host"], platform) == "${aws_eks_cluster.cluster.endpoint}"
        encoded = re.fullmatch(r"\$\{base64decode\((.+)\)\}", connection["cluster_ca_certificate"])
        assert encoded is not None
        authority = resolved(f"${{{encoded[1]}}}", platform)
        assert authority == "${aws_eks_cluster.cluster.certificate_authority[0].data}"


def test_a_kubeconfig_replaces_the_connection_to_eks(trial: Template) -> None:
    only = {"config_path": "/srv/trial/kubeconfig"}
    assert trial.json["provider"]["kubernetes"] == [only]
    assert trial.json["provider"]["helm"] == [{"kubernetes": only}]
    assert _body(trial, GUARD)["input"] == {"kubeconfig": "/srv/trial/kubeconfig"}


def test_no_provider_has_credentials(every: dict[str, Template]) -> None:
    secrets = {"token", "password", "username", "client_key", "client_certificate", "access_key", "secret_key"}
    for stack in every.values():
        assert not secrets & set(_keys(stack.json))


def test_unsafe_resource_types_and_arguments_are_not_used(every: dict[str, Template]) -> None:
    for stack in every.values():
        kinds = {kind for kind, _, _ in stack.all_resources()}
        assert not {"kubernetes_manifest", "kubernetes_annotations", "kubernetes_labels"} & kinds
        assert not {"set", "set_sensitive", "set_wo", "experiments"} & set(_keys(stack.json))


# The order


def test_every_release_depends_on_the_load_balancer_controller(every: dict[str, Template]) -> None:
    for stack in every.values():
        releases = {f"helm_release.{name}" for name in stack.resources("helm_release")}
        assert releases == {CONTROLLER, ARGO_CD, PROJECT, ROOT_RELEASE}
        for release in releases - {CONTROLLER}:
            assert CONTROLLER in _before(stack, release)


def test_argo_cd_depends_on_its_namespace_and_the_redis_password(every: dict[str, Template]) -> None:
    for stack in every.values():
        assert {NAMESPACE, REDIS} <= _before(stack, ARGO_CD)
        assert NAMESPACE in _before(stack, REDIS)


def test_cluster_secret_depends_on_argo_cd(every: dict[str, Template]) -> None:
    for stack in every.values():
        assert {NAMESPACE, ARGO_CD} <= _before(stack, CLUSTER_SECRET)


def test_repository_secret_depends_on_the_namespace(trial: Template) -> None:
    assert NAMESPACE in _before(trial, REPOSITORY_SECRET)


def test_guard_depends_on_the_project_and_root_on_the_guard(every: dict[str, Template]) -> None:
    for stack in every.values():
        assert PROJECT in _before(stack, GUARD)
        assert GUARD in _before(stack, ROOT_RELEASE)
        assert GUARD not in _before(stack, PROJECT)


def test_root_and_guard_depend_on_everything_that_deletes_applications(every: dict[str, Template]) -> None:
    for stack in every.values():
        needed = {CONTROLLER, ARGO_CD, CLUSTER_SECRET, PROJECT}
        if "repository_secret" in stack.resources("kubernetes_secret_v1"):
            needed.add(REPOSITORY_SECRET)
        assert needed <= _before(stack, GUARD)
        assert needed <= _before(stack, ROOT_RELEASE)
        # Directly, because an indirect dependency disappears together with the resource in between.
        assert needed <= set(_body(stack, GUARD)["depends_on"])


# The releases


def test_releases_are_atomic_and_wait(every: dict[str, Template]) -> None:
    for stack in every.values():
        for release in stack.resources("helm_release").values():
            assert (release["atomic"], release["wait"], release["wait_for_jobs"]) == (True, True, True)
            assert release["create_namespace"] is False
            assert re.fullmatch(r"\d+\.\d+\.\d+", release["version"])


def test_project_and_root_are_separate_releases(gitops: Template) -> None:
    project, root = _body(gitops, PROJECT), _body(gitops, ROOT_RELEASE)
    assert (project["name"], root["name"]) == ("project", "root")
    assert project["chart"] == root["chart"] == "argocd-apps"
    assert list(json.loads(project["values"][0])) == ["projects"]
    assert list(json.loads(root["values"][0])) == ["applications"]


def test_argo_cd_objects_have_the_names_of_its_documentation(every: dict[str, Template]) -> None:
    """The chart prefixes names with the release name, unless it is `argocd`."""
    for stack in every.values():
        assert _body(stack, ARGO_CD)["name"] == "argocd"


def test_root_release_has_a_timeout_of_fifteen_minutes(every: dict[str, Template]) -> None:
    for stack in every.values():
        assert _body(stack, ROOT_RELEASE)["timeout"] == 900


def test_root_tracks_the_configured_revision_and_deletes_its_resources(gitops: Template, trial: Template) -> None:
    for stack, url, revision, environment in (
        (gitops, "https://github.com/your-org/platform.git", "main", {"name": "dev", "production": False}),
        (trial, "https://github.com/your-org/platform.git", "v1.2.0", {"name": "dev", "production": False}),
    ):
        root = json.loads(_body(stack, ROOT_RELEASE)["values"][0])["applications"]["root"]
        project = json.loads(_body(stack, PROJECT)["values"][0])["projects"][root["project"]]
        assert root["source"] == {
            "repoURL": url,
            "targetRevision": revision,
            "path": "management/bootstrap",
            "helm": {"valuesObject": {"repositoryURL": url, "environments": [environment]}},
        }
        assert root["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
        assert project["sourceRepos"] == [url]
        assert root["destination"] in project["destinations"]


def test_project_permits_only_the_kinds_of_argo_cd(gitops: Template) -> None:
    (project,) = json.loads(_body(gitops, PROJECT)["values"][0])["projects"].values()
    assert project["clusterResourceWhitelist"] == []
    assert project["namespaceResourceWhitelist"] == [
        {"group": "argoproj.io", "kind": kind} for kind in ("AppProject", "Application", "ApplicationSet")
    ]
    assert [place["namespace"] for place in project["destinations"]] == [
        "${kubernetes_namespace_v1.argo-cd_namespace.metadata[0].name}"
    ]


# The guard

_KUBECTL = """#!/bin/sh
echo "$KUBECONFIG" > "$FAKES/kubeconfig"
case "$*" in
  "get crd applications.argoproj.io --ignore-not-found --output=name") cat "$FAKES/crd" ;;
  "get applications.argoproj.io --all-namespaces --output=name") cat "$FAKES/applications" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
_AWS = """#!/bin/sh
echo "$*" > "$FAKES/asked-of-aws"
cat "$FAKES/may-ask-eks"
"""


def _guard(stack: Template) -> Json:
    (provisioner,) = _body(stack, GUARD)["provisioner"]
    assert list(provisioner) == ["local-exec"]
    guard: Json = provisioner["local-exec"]
    return guard


class _Cluster:
    """Fake `kubectl` and `aws` programs for the guard. A call whose answer is None fails."""

    def __init__(
        self,
        folder: Path,
        *,
        crd: str | None = "customresourcedefinition.apiextensions.k8s.io/applications.argoproj.io\n",
        applications: str | None = "",
        eks: str | None = "",
    ) -> None:
        self._folder = folder
        for name, text in (("kubectl", _KUBECTL), ("aws", _AWS)):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        for name, answer in (("crd", crd), ("applications", applications), ("may-ask-eks", eks)):
            if answer is not None:
                (folder / name).write_text(answer)

    def recorded(self, name: str) -> str:
        return (self._folder / name).read_text().strip()

    def destroy(self, stack: Template) -> "subprocess.CompletedProcess[str]":
        """Run the guard as Terraform does: with `self.input` interpolated, in /bin/sh."""
        script = _guard(stack)["command"]
        for key, value in _body(stack, GUARD)["input"].items():
            script = script.replace(f"${{self.input.{key}}}", value)
        return subprocess.run(
            ["/bin/sh", "-c", script],
            env={"PATH": f"{self._folder}:/usr/bin:/bin", "FAKES": str(self._folder), "TMPDIR": str(self._folder)},
            check=False,
            capture_output=True,
            text=True,
        )


@pytest.fixture(params=["eks", "kubeconfig"])
def guarded(request: pytest.FixtureRequest, gitops: Template, trial: Template) -> Template:
    return gitops if request.param == "eks" else trial


def test_guard_runs_on_destroy_and_references_only_its_input(guarded: Template) -> None:
    guard = _guard(guarded)
    assert guard["when"] == "destroy"
    referred = re.findall(r"\$\{([^}]*)\}", guard["command"])
    assert sorted(referred) == sorted(f"self.input.{key}" for key in _body(guarded, GUARD)["input"])
    assert "%{" not in guard["command"]


def test_guard_passes_without_the_crd_of_applications(guarded: Template, tmp_path: Path) -> None:
    assert _Cluster(tmp_path, crd="", applications=None).destroy(guarded).returncode == 0


def test_guard_passes_without_applications(guarded: Template, tmp_path: Path) -> None:
    finished = _Cluster(tmp_path).destroy(guarded)
    assert (finished.returncode, finished.stderr) == (0, "")


def test_guard_fails_while_an_application_exists(guarded: Template, tmp_path: Path) -> None:
    finished = _Cluster(tmp_path, applications="application.argoproj.io/guestbook\n").destroy(guarded)
    assert finished.returncode == 1
    assert "Applications still exist" in finished.stderr
    assert "application.argoproj.io/guestbook" in finished.stderr.splitlines()


@pytest.mark.parametrize("unknown", ["crd", "applications"])
def test_guard_fails_if_the_cluster_cannot_be_read(guarded: Template, tmp_path: Path, unknown: str) -> None:
    assert _Cluster(tmp_path, **{unknown: None}).destroy(guarded).returncode != 0


def test_guard_fails_if_eks_denies_access(gitops: Template, tmp_path: Path) -> None:
    assert _Cluster(tmp_path, crd="", eks=None).destroy(gitops).returncode != 0


def test_guard_gets_a_kubeconfig_from_eks_and_deletes_it(gitops: Template, tmp_path: Path) -> None:
    cluster = _Cluster(tmp_path)
    cluster.destroy(gitops)
    assert cluster.recorded("asked-of-aws") == "eks update-kubeconfig --name gitops-cluster-dev --region ap-northeast-2"
    kubeconfig = Path(cluster.recorded("kubeconfig"))
    assert kubeconfig.parent == tmp_path
    assert not kubeconfig.exists()


def test_guard_uses_the_kubeconfig_of_the_settings(trial: Template, tmp_path: Path) -> None:
    cluster = _Cluster(tmp_path)
    cluster.destroy(trial)
    assert cluster.recorded("kubeconfig") == "/srv/trial/kubeconfig"
    assert not (tmp_path / "asked-of-aws").exists()


# Secrets


def test_redis_password_is_not_stored_in_the_state(every: dict[str, Template]) -> None:
    for stack in every.values():
        secret = _body(stack, REDIS)
        assert stack.json["ephemeral"]["aws_secretsmanager_random_password"] == {
            "argo_cd_redis": {"password_length": 48, "exclude_punctuation": True}
        }
        assert secret["metadata"]["name"] == "argocd-redis"
        assert secret["data_wo"] == {
            "auth": "${ephemeral.aws_secretsmanager_random_password.argo_cd_redis.random_password}"
        }
        assert secret["data_wo_revision"] == 1
        assert not {"data", "binary_data"} & set(secret)


def test_ephemeral_values_are_used_only_in_write_only_arguments(every: dict[str, Template]) -> None:
    for stack in every.values():
        for _, _, body in stack.all_resources():
            seen = {name: argument for name, argument in body.items() if name != "data_wo"}
            assert "ephemeral." not in json.dumps(seen)


def _credential(kind: str) -> Template:
    config = RepositoryCredentialConfig.model_validate(
        {"kind": kind, "secret_name": "gitops/repository", "revision": 3}
    )

    def build(stack: TerraformStack) -> None:
        KubernetesProvider(stack, "kubernetes")
        url = repository_url(REPOSITORY, config)
        RepositoryCredential(stack, "repository", config, namespace="argocd", url=url)

    return one_stack(build)


@pytest.mark.parametrize(
    ("kind", "url", "keys"),
    [
        (
            "github-app",
            "https://github.com/some-org/platform.git",
            ["githubAppID", "githubAppInstallationID", "githubAppPrivateKey"],
        ),
        ("deploy-key", "git@github.com:some-org/platform.git", ["sshPrivateKey"]),
    ],
)
def test_repository_credential_is_not_stored_in_the_state(kind: str, url: str, keys: list[str]) -> None:
    stack = _credential(kind)
    assert stack.json["ephemeral"]["aws_secretsmanager_secret_version"] == {
        "gitops_repository": {"secret_id": "gitops/repository"}
    }
    secret = stack.only("kubernetes_secret_v1")
    assert secret["metadata"]["labels"] == {"argocd.argoproj.io/secret-type": "repository"}
    source = "ephemeral.aws_secretsmanager_secret_version.gitops_repository.secret_string"
    assert secret["data_wo"] == {
        "type": "git",
        "url": url,
        **{key: f'${{tostring(jsondecode({source})["{key}"])}}' for key in keys},
    }
    assert secret["data_wo_revision"] == 3
    assert not {"data", "binary_data"} & set(secret)


def test_a_public_repository_needs_no_secret(gitops: Template) -> None:
    assert repository_url(REPOSITORY, None) == "https://github.com/some-org/platform.git"
    assert list(gitops.json["ephemeral"]) == ["aws_secretsmanager_random_password"]
    assert sorted(gitops.resources("kubernetes_secret_v1")) == ["argo-cd_redis", "cluster-secret"]


# Storage classes and the namespace


def test_storage_class_parameters_are_strings(every: dict[str, Template]) -> None:
    for stack in every.values():
        for storage in stack.resources("kubernetes_storage_class_v1").values():
            assert {type(value) for value in storage["parameters"].values()} == {str}


def test_volumes_are_encrypted_and_created_when_their_pod_is_scheduled(
    gitops: Template, platform: dict[str, Template]
) -> None:
    gp3 = gitops.resources("kubernetes_storage_class_v1")["storage-classes_gp3"]
    assert gp3["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert gp3["volume_binding_mode"] == "WaitForFirstConsumer"
    assert gp3["parameters"]["encrypted"] == "true"
    assert resolved(gp3["parameters"]["kmsKeyId"], platform) == "${aws_kms_key.key.arn}"


def test_only_gp3_is_the_default_class(every: dict[str, Template]) -> None:
    for stack in every.values():
        classes = stack.resources("kubernetes_storage_class_v1").values()
        assert [storage["metadata"]["name"] for storage in classes if storage["metadata"].get("annotations")] == ["gp3"]


def test_efs_directories_are_named_with_variables_of_the_driver(
    gitops: Template, platform: dict[str, Template]
) -> None:
    efs = gitops.resources("kubernetes_storage_class_v1")["storage-classes_efs-ap"]["parameters"]
    assert efs["provisioningMode"] == "efs-ap"
    assert resolved(efs["fileSystemId"], platform) == "${aws_efs_file_system.file-system.id}"
    # `$$` is an escaped dollar sign in Terraform.
    assert efs["subPathPattern"] == "$${.PVC.namespace}/$${.PVC.name}"


def test_no_efs_class_without_a_file_system(without_file_system: Template) -> None:
    assert list(without_file_system.resources("kubernetes_storage_class_v1")) == ["storage-classes_gp3"]
    assert _annotations(without_file_system)["platform/file-system-id"] == "none"


def test_argo_cd_namespace_enforces_the_restricted_level(every: dict[str, Template]) -> None:
    for stack in every.values():
        assert stack.only("kubernetes_namespace_v1")["metadata"] == {
            "name": "argocd",
            "labels": {
                "pod-security.kubernetes.io/enforce": "restricted",
                "pod-security.kubernetes.io/enforce-version": "v1.36",
                "pod-security.kubernetes.io/warn": "restricted",
                "pod-security.kubernetes.io/warn-version": "v1.36",
            },
        }


def test_bindings_of_cdk_terrain_get_a_list_of_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = namespace_v1.NamespaceV1Metadata(name="argocd")
    assert argo_cd._as_block(metadata) is metadata
    monkeypatch.setattr(namespace_v1, "NamespaceV1MetadataList", type, raising=False)
    assert argo_cd._as_block(metadata) == [metadata]


# The cluster secret


def _names(kind: type[ClusterLabels | ClusterAnnotations]) -> set[str]:
    return {f"platform/{field.name.replace('_', '-')}" for field in fields(kind)}


def test_cluster_secret_has_exactly_the_declared_keys(every: dict[str, Template]) -> None:
    for stack in every.values():
        secret = _body(stack, CLUSTER_SECRET)
        labels = secret["metadata"]["labels"]
        assert labels["argocd.argoproj.io/secret-type"] == "cluster"
        optional = {"platform/container-logs", "platform/hub"}
        assert set(labels) == {"argocd.argoproj.io/secret-type", *_names(ClusterLabels)} - optional
        assert set(_annotations(stack)) == _names(ClusterAnnotations) - {
            "platform/container-log-group",
            "platform/dns-weight",
            "platform/further-cluster",
        }
        assert secret["data"]["server"] == "https://kubernetes.default.svc"
        assert json.loads(secret["data"]["config"]) == {"tlsClientConfig": {"insecure": False}}


def test_every_key_of_the_cluster_secret_is_documented() -> None:
    text = (ROOT / "docs/in-cluster.md").read_text(encoding="utf-8")
    table = text.partition("## The contract of the cluster secret")[2]
    assert set(re.findall(r"`(platform/[a-z-]+)`", table)) == _names(ClusterLabels) | _names(ClusterAnnotations)


def test_label_values_are_valid(every: dict[str, Template]) -> None:
    for stack in every.values():
        for value in _body(stack, CLUSTER_SECRET)["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", value)


def _rules(stack: Template) -> dict[str, str]:
    """The preconditions by the key of their annotation."""
    rules = _body(stack, CLUSTER_SECRET)["lifecycle"]["precondition"]
    return {rule["error_message"].partition(" of the cluster secret is empty")[0]: rule["condition"] for rule in rules}


def test_every_annotation_with_a_reference_has_a_precondition(every: dict[str, Template]) -> None:
    """Terraform rejects conditions without a reference, so annotations without one have no precondition.

    Each reference is compared outside of quotes, where Terraform would compare its name. `tests/terraform` runs the
    preconditions.
    """
    for stack in every.values():
        references = {name: re.findall(r"\$\{(.+?)\}", value) for name, value in _annotations(stack).items()}
        assert _rules(stack) == {
            name: "${" + " && ".join(f'{reference} != ""' for reference in found) + "}"
            for name, found in references.items()
            if found
        }
        assert {"platform/vpc-id", "platform/certificate-arn", "platform/controller-roles"} <= set(_rules(stack))


@pytest.mark.parametrize("empty", [field.name for field in fields(ClusterAnnotations)])
def test_rejects_an_empty_annotation(empty: str) -> None:
    labels = ClusterLabels(
        environment="dev", region="ap-northeast-2", purpose="development", policies="audit", karpenter="false"
    )
    values = {field.name: "some" for field in fields(ClusterAnnotations)} | {empty: ""}

    def build(stack: TerraformStack) -> None:
        KubernetesProvider(stack, "kubernetes")
        ClusterSecret(stack, "secret", labels, ClusterAnnotations(**values), namespace="argocd", depends_on=[])

    with pytest.raises(ValueError, match=f"^platform/{empty.replace('_', '-')} of the cluster secret is empty$"):
        one_stack(build)


def test_annotations_with_lists_are_json(trial: Template) -> None:
    annotations = _annotations(trial)
    databases = json.loads(annotations["platform/databases"])
    assert sorted(databases["bubblepool"]) == ["host", "master_secret", "user_secret"]
    assert (sorted(databases["orders"]), databases["orders"]["engine"]) == (
        ["engine", "host", "master_secret", "user_secret"],
        "mysql",
    )
    of_aurora = {name: databases[name].get("engine", "postgres") for name in ("shop", "stock")}
    assert of_aurora == {"shop": "postgres", "stock": "mysql"}
    assert databases["bubblepool"]["user_secret"] == "us-gov-west-1/dev/bubblepool/database"  # noqa: S105 (a name)
    every = [
        "aws-load-balancer-controller",
        "database-users",
        "external-dns",
        "external-secrets",
        "karpenter",
        "kyverno",
    ]
    assert sorted(json.loads(annotations["platform/controller-roles"])) == every
    with_irsa = [name for name in every if name not in {"external-dns", "kyverno"}]
    assert sorted(json.loads(annotations["platform/irsa-roles"])) == with_irsa


def test_no_irsa_roles_with_pod_identity(gitops: Template) -> None:
    annotations = _annotations(gitops)
    assert json.loads(annotations["platform/irsa-roles"]) == {}
    assert "external-secrets" in json.loads(annotations["platform/controller-roles"])


def test_cluster_secret_has_the_values_of_karpenter(gitops: Template, trial: Template) -> None:
    names = [
        f"platform/karpenter-{name}"
        for name in ("queue", "instance-profile", "limits", "architectures", "capacity-types")
    ]
    assert [_annotations(gitops)[name] for name in names] == ["none"] * 5
    values = [json.loads(_annotations(trial)[name]) for name in names[2:]]
    assert values == [{"cpu": 100, "nodes": 20}, ["amd64", "arm64"], ["spot", "on-demand"]]
    assert "none" not in [_annotations(trial)[name] for name in names]
    for stack, value in ((gitops, "false"), (trial, "true")):
        assert _body(stack, CLUSTER_SECRET)["metadata"]["labels"]["platform/karpenter"] == value
