"""Settings files as source code."""

import re
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.repository import settings_files
from operations.repository.settings_files import ImageRepositories

SETTINGS = """\
SHARED = SharedSettings(
    image_repositories=(
        EcrRepositoryConfig(
            name="shop",
            pushed_by=GithubRepository(
                owner=OWNER.repository.owner, owner_id=OWNER.repository.owner_id, name="shop", id=1
            ),
        ),
        *OTHERS,
    ),
)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "shared.py"
    file.write_text(SETTINGS)
    return file


def test_image_repositories_are_read_with_the_line_of_their_end(settings: Path) -> None:
    assert settings_files.read_image_repositories(settings) == ImageRepositories(("shop",), 10)


@pytest.mark.parametrize(
    "text", ["SHARED = SharedSettings(image_repositories=())", "SHARED = SharedSettings(image_repositories=OTHERS)", ""]
)
def test_image_repositories_that_cannot_be_extended_are_none(settings: Path, text: str) -> None:
    settings.write_text(text)
    assert settings_files.read_image_repositories(settings) is None


@pytest.mark.parametrize("name", ["basket", "a-service-with-quite-a-long-name-indeed"])
def test_an_added_repository_is_formatted_and_read_again(settings: Path, name: str) -> None:
    settings.write_text(settings_files.with_one_more(settings, 10, name, 1234567890))
    read = settings_files.read_image_repositories(settings)
    assert read is not None
    assert read.names == ("shop", name)
    assert max(len(line) for line in settings.read_text().splitlines()) <= 120
    added = settings.read_text().removeprefix(SETTINGS[: SETTINGS.index("    ),\n)\n")])
    arguments = [
        "owner=OWNER.repository.owner",
        "owner_id=OWNER.repository.owner_id",
        f'name="{name}"',
        "id=1234567890",
    ]
    lines = [", ".join(arguments)] if name == "basket" else [f"{argument}," for argument in arguments]
    assert added.splitlines() == [
        "        EcrRepositoryConfig(",
        f'            name="{name}",',
        "            pushed_by=GithubRepository(",
        *(f"                {line}" for line in lines),
        "            ),",
        "        ),",
        "    ),",
        ")",
    ]


def _region(root: Path, name: str, text: str) -> None:
    folder = root / "stacks" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(text)


def test_environments_of_all_regions_are_listed_once_in_order(tmp_path: Path) -> None:
    _region(tmp_path, "ap_northeast_2", 'import os\nOTHER = 1\nENVIRONMENTS = ("dev", "staging", "prod")\n')
    _region(tmp_path, "us_east_1", 'ENVIRONMENTS = ("dev", "canary")\n')
    assert settings_files.environments(tmp_path) == ["dev", "staging", "prod", "canary"]


def test_environments_may_be_annotated_and_other_packages_have_none(tmp_path: Path) -> None:
    _region(tmp_path, "ap_northeast_2", 'ENVIRONMENTS: tuple[str, ...] = ("dev", "prod")\n')
    _region(tmp_path, "common", "OTHER = 1\n")
    assert settings_files.environments(tmp_path) == ["dev", "prod"]


@pytest.mark.parametrize(
    "value", ["tuple(['dev', 'prod'])", "NAMES", "'dev'", "('dev', 1)", "{[]: 1}", pytest.param("", id="none")]
)
def test_rejects_environments_that_are_not_a_tuple_of_names(tmp_path: Path, value: str) -> None:
    _region(tmp_path, "us_east_1", f"ENVIRONMENTS = {value}\n" if value else "ENVIRONMENTS: tuple[str, ...]\n")
    message = rf'/us_east_1/__init__\.py: ENVIRONMENTS = {re.escape(value)}: .*; write a tuple .* \("dev", "prod"\)$'
    with pytest.raises(OperationError, match=message):
        settings_files.environments(tmp_path)


def test_rejects_a_clone_without_environments(tmp_path: Path) -> None:
    _region(tmp_path, "common", "OTHER = 1\n")
    with pytest.raises(OperationError, match=r"/stacks: no package has ENVIRONMENTS; write a tuple of names"):
        settings_files.environments(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A = 1\nB = (\n", r"shared\.py: line 2: '\(' was never closed; correct it$"),
        (b"A = '\xff'\n", r"shared\.py: 'utf-8' codec can't decode byte 0xff .*; correct it$"),
        (None, r"shared\.py: cannot be read: No such file or directory; run this in the root of the repository$"),
    ],
)
def test_rejects_a_file_that_is_not_python(settings: Path, content: bytes | None, message: str) -> None:
    settings.unlink()
    if content is not None:
        settings.write_bytes(content)
    with pytest.raises(OperationError, match=message):
        settings_files.read_image_repositories(settings)


VERSIONS = """\
DEV = EnvironmentSettings(
    note="한국어", cluster=ClusterConfig(name="dev", version='1.35', administrators=()),
    addons=AddonsConfig(versions={"coredns": "v1.1.1-eksbuild.1", "vpc-cni": NEWEST, **MORE}),
)
"""


def test_versions_are_replaced_and_everything_else_is_kept(settings: Path) -> None:
    settings.write_text(VERSIONS, encoding="utf-8")
    assert settings_files.pinned_addons(settings) == {"coredns": "v1.1.1-eksbuild.1"}
    new = settings_files.with_versions(settings, "1.36", {"coredns": "v1.2.0-eksbuild.10", "kube-proxy": "v1"})
    assert new == VERSIONS.replace("'1.35'", '"1.36"').replace("v1.1.1-eksbuild.1", "v1.2.0-eksbuild.10")


def test_versions_are_replaced_in_dictionaries(settings: Path) -> None:
    text = 'X = Settings(cluster={"name": "dev", "version": "1.35"}, addons={"versions": {"coredns": "v1"}})\n'
    settings.write_text(text)
    new = settings_files.with_versions(settings, "1.36", {"coredns": "v2"})
    assert new == text.replace("1.35", "1.36").replace("v1", "v2")


@pytest.mark.parametrize(
    "text",
    ["", "X = Settings(cluster=CLUSTER)", "X = Settings(cluster={})", "X = Settings(cluster=Cluster(version=NEWEST))",
     "X = Settings(cluster=Cluster(name='a'))"],
)  # fmt: skip
def test_a_version_that_is_computed_is_an_error(settings: Path, text: str) -> None:
    settings.write_text(text)
    assert settings_files.pinned_addons(settings) == {}
    with pytest.raises(OperationError, match=r'shared.py: cluster.version: not written as text; write version="1\.36"'):
        settings_files.with_versions(settings, "1.36", {})


_GROUPS = """\
DEV = EnvironmentSettings(
    node_groups=(
        NodeGroupConfig(
            name="main",  # für alle
            ami_type="AL2023_x86_64_STANDARD",
            max_size=10,
        ),
        eks_gitops.NodeGroupConfig(name="ärm", ami_type="BOTTLEROCKET_ARM_64", max_size=1),
        NodeGroupConfig(name=NAME, ami_type="BOTTLEROCKET_ARM_64", max_size=1),
    ),
)
"""


@pytest.mark.parametrize(
    ("group", "old", "new"),
    [
        ("main", 'STANDARD",\n', 'STANDARD",\n            release_version="{}",\n'),
        ("ärm", '_ARM_64", max_size=1),\n        Node', '_ARM_64", release_version="{}", max_size=1),\n        Node'),
    ],
)
def test_a_release_is_added_after_the_ami_type_and_replaced(settings: Path, group: str, old: str, new: str) -> None:
    settings.write_text(_GROUPS)
    for release in ("1.36.0-20261001", "1.36.0-20261101"):
        settings.write_text(settings_files.with_release(settings, group, release))
        assert settings.read_text() == _GROUPS.replace(old, new.format(release))


def test_a_group_that_is_not_written_as_a_literal_is_named(settings: Path) -> None:
    settings.write_text(_GROUPS)
    message = (
        r'shared\.py: no NodeGroupConfig\(name="batch", .*\) found; write release_version="1\.36\.0-20261101" in it$'
    )
    with pytest.raises(OperationError, match=message):
        settings_files.with_release(settings, "batch", "1.36.0-20261101")


@pytest.mark.parametrize(
    ("before", "names", "after"),
    [
        ('NAMES = ("a",)', ["a", "b"], 'NAMES = ("a", "b")'),
        (
            '"""("a", "b")"""\nNAMES: tuple[str, ...] = ("a", "b")',
            ["b"],
            '"""("a", "b")"""\nNAMES: tuple[str, ...] = ("b",)',
        ),
        (
            'NAMES = ("a",)  # in order',
            ["a" * 60, "b" * 60],
            f'NAMES = (\n    "{"a" * 60}",\n    "{"b" * 60}",\n)  # in order',
        ),
    ],
)
def test_a_tuple_of_names_is_replaced(tmp_path: Path, before: str, names: list[str], after: str) -> None:
    file = tmp_path / "file.py"
    file.write_text(f"import os\n{before}\nOTHER = ()\n")
    text = settings_files.with_names(file, "NAMES", names)
    assert text == f"import os\n{after}\nOTHER = ()\n"
    file.write_text(text)
    assert settings_files.read_names(file, "NAMES") == names


@pytest.mark.parametrize("text", ["", "NAMES: tuple[str, ...]", "NAMES = names()", 'NAMES = (\n    "a",  # first\n)'])
def test_a_tuple_that_cannot_be_replaced_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file.py"
    file.write_text(f"{text}\n")
    with pytest.raises(OperationError, match=r"/file\.py: NAMES: not a tuple without comments; write a tuple of names"):
        settings_files.with_names(file, "NAMES", ["b"])


def test_a_field_is_read_as_source_or_as_text(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text('SHARED = Settings(vpc=Vpc(cidr="10.0.0.0/16", name=OWNER.name))\n')
    assert settings_files.text_of(file, "vpc", "cidr") == "10.0.0.0/16"
    assert settings_files.source_of(file, "vpc", "name") == "OWNER.name"
    with pytest.raises(OperationError, match=r"vpc\.name = OWNER\.name: not written as text; write it in quotes$"):
        settings_files.text_of(file, "vpc", "name")
    for argument, field in (("vpc", "zones"), ("dns", "domain")):
        with pytest.raises(OperationError, match=rf"{argument}\.{field}: not found; write it as an argument$"):
            settings_files.source_of(file, argument, field)


def test_a_name_is_read(tmp_path: Path) -> None:
    file = tmp_path / "__init__.py"
    file.write_text('REGION = "us-west-2"\n')
    assert settings_files.read_name(file, "REGION") == "us-west-2"


@pytest.mark.parametrize("text", ["", "REGION = find()\n", "REGION: str\n"])
def test_a_name_that_is_not_written_as_text_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "__init__.py"
    file.write_text(text)
    with pytest.raises(OperationError, match=r"REGION: not written as text; write it in quotes$"):
        settings_files.read_name(file, "REGION")


def test_a_further_cluster_keeps_its_versions(tmp_path: Path) -> None:
    file = tmp_path / "dev.py"
    further = 'further_clusters=(F(cluster=C(version="1.36"), addons=A(versions={"coredns": "v9"})),)'
    file.write_text(f'X = S({further}, cluster=C(version="1.35"))\n')
    assert settings_files.pinned_addons(file) == {}
    assert settings_files.with_versions(file, "1.37", {"coredns": "v10"}) == (
        f'X = S({further}, cluster=C(version="1.37"))\n'
    )
