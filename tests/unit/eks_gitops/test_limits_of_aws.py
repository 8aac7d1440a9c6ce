"""The limits of the settings are those in the service models that AWS publishes with botocore."""

import re
from functools import cache
from typing import Annotated, Any

import botocore.session
import pytest

from eks_gitops.backup_plan import BackupVaultArn
from eks_gitops.config import RoleArn, matching
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.file_system import AccessPoint, PosixId
from eks_gitops.in_cluster.argo_cd_config import OIDC_PROVIDERS, WebAclArn
from eks_gitops.in_cluster.repository_credential import RepositoryCredentialConfig
from eks_gitops.values import LabelKey, LabelValue, TagValue
from tests.unit.eks_gitops.accepts import accepts

SESSION = botocore.session.get_session()
COGNITO_CLIENT_ID = Annotated[str, matching(OIDC_PROVIDERS["cognito"].client_id, "")]


@cache
def _limits(service: str, shape: str) -> dict[str, Any]:
    """`min`, `max` and `pattern` of a type in the model of a service."""
    return dict(SESSION.get_service_model(service).shape_for(shape).metadata)


def _field(kind: Any, name: str) -> Any:
    return kind.model_fields[name].rebuild_annotation()


@pytest.mark.parametrize(
    ("kind", "service", "shape", "template"),
    [
        (LabelKey, "eks", "labelKey", "{}"),
        (LabelValue, "eks", "labelValue", "{}"),
        (LabelKey, "eks", "taintKey", "{}"),
        (TagValue, "iam", "tagValueType", "{}"),
        (RoleArn, "iam", "roleNameType", "arn:aws:iam::123456789012:role/{}"),
        (_field(EcrRepositoryConfig, "name"), "ecr", "RepositoryName", "{}"),
        (_field(RepositoryCredentialConfig, "secret_name"), "secretsmanager", "NameType", "{}"),
        (_field(AccessPoint, "path"), "efs", "Path", "/{}"),
        (COGNITO_CLIENT_ID, "cognito-idp", "ClientIdType", "{}"),
        (WebAclArn, "wafv2", "EntityName", "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/{}/1a"),
    ],
)
def test_longest_text_is_that_of_aws(kind: Any, service: str, shape: str, template: str) -> None:
    longest = _limits(service, shape)["max"] - (template == "/{}")
    assert accepts(kind, template.format("a" * longest))
    assert not accepts(kind, template.format("a" * (longest + 1)))


@pytest.mark.parametrize(("shape", "value"), [("Uid", 4_294_967_295), ("Gid", 4_294_967_295)])
def test_ids_of_users_and_groups(shape: str, value: int) -> None:
    assert _limits("efs", shape)["max"] == value
    assert accepts(PosixId, value)
    assert not accepts(PosixId, value + 1)


CANDIDATES = [
    *(
        "a",
        "ab",
        "a-b",
        "a--b",
        "a.b",
        "a..b",
        "a_b",
        "-a",
        "a-",
        ".a",
        "a.",
        "A",
        "1a",
        "a/b",
        "a b",
        "a:b",
        "a@b",
        "a$b",
    ),
    *("/a", "/a/b", "/.a", "/a/..", "/a/.b", "/a b", "//a", "/a/", "/a/b/c/d", "/a/b/c/d/e", "/a.b", "/a_b-c", "/a$b"),
]


@pytest.mark.parametrize(
    ("kind", "service", "shape", "template"),
    [
        (TagValue, "iam", "tagValueType", "{}"),
        (RoleArn, "iam", "roleNameType", "arn:aws:iam::123456789012:role/{}"),
        (_field(EcrRepositoryConfig, "name"), "ecr", "RepositoryName", "{}"),
        (_field(AccessPoint, "path"), "efs", "Path", "{}"),
        (COGNITO_CLIENT_ID, "cognito-idp", "ClientIdType", "{}"),
        (BackupVaultArn, "backup", "BackupVaultName", "arn:aws:backup:us-east-1:123456789012:backup-vault:{}"),
    ],
)
def test_accepts_only_what_aws_accepts(kind: Any, service: str, shape: str, template: str) -> None:
    pattern = _limits(service, shape)["pattern"].replace(r"\p{L}", "a-zA-Z").replace(r"\p{Z}", " ")
    pattern = pattern.replace(r"\p{N}", "0-9")
    accepted = [text for text in CANDIDATES if accepts(kind, template.format(text))]
    in_a_path = [text for text in accepted if "/" in text and shape == "roleNameType"]
    assert accepted
    assert [text for text in accepted if re.fullmatch(pattern, text) is None] == in_a_path
