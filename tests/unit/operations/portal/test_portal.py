"""The page as a whole: its JSON, its words, its policy, joining pages, and the command."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.portal import aws, page, portal
from operations.portal.aws import Aws
from operations.portal.model import Code, Portal, State, Table, Unknown, joined
from operations.portal.portal import Inputs
from operations.terraform.stacks import Platform, Stack, read_platform
from tests.portal_sample import HOSTILE, NOW, portal_of
from tests.template import Template
from tests.unit.operations.cli.conftest import run
from tests.unit.operations.portal.conftest import OFFLINE, Make

KO, EN = page.words()["ko"], page.words()["en"]


@pytest.fixture(scope="module")
def example(platform: dict[str, Template], platform_folder: Path) -> Platform:  # noqa: ARG001 (synthesized to the folder)
    return read_platform(platform_folder)


@pytest.fixture(scope="module")
def known(example: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return portal_of(example, tmp_path_factory.mktemp("known")).document()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS and no kubectl."""
    monkeypatch.setattr(aws, "connect", lambda stacks: {stack.place: Aws(OFFLINE) for stack in stacks})

    def kubectl(*_: str, **__: Any) -> str:
        raise OperationError("kubectl: not installed; install kubectl")

    monkeypatch.setattr("operations.portal.argo_cd.kubectl", kubectl)


def _table(document: Any, name: str) -> Any:
    return next(table for table in document["tables"] if table["name"] == name)


def _cells(document: Any) -> list[Any]:
    return [cell for table in document["tables"] for row in table["rows"] for cell in row]


# --- words ------------------------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_words_and_places() -> None:
    assert KO.keys() == EN.keys()
    for key, text in EN.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", KO[key])), key
        assert re.search("[가-힣]", KO[key]) or KO[key] in {"AWS", "Argo CD"}, key


def test_every_word_is_used_and_every_used_word_exists() -> None:
    folder = Path(page.__file__).parent
    code = "".join(
        file.read_text(encoding="utf-8") for file in folder.glob("*") if file.suffix in {".py", ".js", ".html"}
    )
    reports = {
        f"{key}-report"
        for name in ("plan", "drift", "preflight", "cost")
        for key in (f"why.no-{name}", f"state.{name}")
    }
    kinds = {f"state.{name}" for name in ("backend", "shared", "environment", "in-cluster")}
    changes = {
        f"state.{name}" for name in ("create", "update", "replace", "destroy", "forget", "import", "move", "output")
    }
    for key in EN.keys() - reports - kinds - changes - {"language"}:
        name = re.sub(r"^(table|about|column|state|why)[.]|[.]one$", "", key)
        assert f'"{name}"' in code, key
    used = re.findall(r'word\("([\w-]+)"', code) + re.findall(r'data-word="([\w-]+)"', code)
    used += [f"why.{name}" for name in re.findall(r'Unknown\(\s*"([\w-]+)"', code)]
    used += [f"state.{name}" for name in re.findall(r'State\("([a-z][\w-]+)"', code)]
    assert [key for key in used if key not in EN] == []


def test_every_name_of_a_table_column_and_reason_has_words(known: dict[str, Any]) -> None:
    environments = {"shared", "dev", "staging", "prod"}
    for table in known["tables"]:
        assert f"table.{table['name']}" in EN
        assert f"about.{table['name']}" in EN
        columns = [column for column in table["columns"] if f"column.{column}" not in EN]
        assert set(columns) <= (environments if table["name"] == "kinds" else set())
    names = {cell["name"] for cell in _cells(known) if isinstance(cell, dict) and cell["type"] == "state"}
    terms = {"Synced", "OutOfSync", "Healthy", "Degraded", "ACTIVE", "Enabled"}  # of Argo CD and AWS
    assert {name for name in names if f"state.{name}" not in EN} == terms


# --- the page ---------------------------------------------------------------------------------------------------------


def test_everything_is_known_with_reports_credentials_and_clusters(known: dict[str, Any]) -> None:
    unknown = [cell for cell in _cells(known) if isinstance(cell, dict) and cell["type"] == "unknown"]
    assert unknown == []
    assert known["made"] == NOW.isoformat()


def test_the_policy_permits_only_the_style_and_script_of_the_page(known: dict[str, Any]) -> None:
    text = page.page(known)
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert found is not None
    policy = found[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; ")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert not re.search(r'(?:src|href)="(?!data:,|#)', text)
    assert "unsafe" not in policy


def test_no_text_of_the_data_ends_its_element(known: dict[str, Any], tmp_path: Path) -> None:
    text = page.page(known)
    assert HOSTILE not in text
    assert text.count("</script>") == 2
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    read = page.read_page(tmp_path / "index.html")
    assert any(isinstance(cell, str) and HOSTILE in cell for cell in _cells(read))
    assert read["tables"] == json.loads(json.dumps(known["tables"]))


def test_a_placeholder_in_the_data_is_text(tmp_path: Path) -> None:
    document = Portal(NOW, "{{SCRIPT}}", [Table("stacks", ["stack"], [["{{STYLE}}"]])]).document()
    (tmp_path / "index.html").write_text(page.page(document), encoding="utf-8")
    read = page.read_page(tmp_path / "index.html")
    assert (read["revision"], read["tables"][0]["rows"]) == ("{{SCRIPT}}", [["{{STYLE}}"]])


@pytest.mark.parametrize("text", ["", "<html>", '<script id="data" type="application/json">[]</script>', "\0"])
def test_another_file_is_no_page(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.html").write_text(text)
    with pytest.raises(
        OperationError, match=r"index\.html: no page of the portal; pass the index\.html of make portal$"
    ):
        page.read_page(tmp_path / "index.html")
    with pytest.raises(OperationError, match=r"none\.html: No such file or directory; pass"):
        page.read_page(tmp_path / "none.html")


# --- joining ----------------------------------------------------------------------------------------------------------


def _document(*rows: list[Any], columns: tuple[str, ...] = ("stack", "drift", "sync")) -> dict[str, Any]:
    return Portal(NOW, "", [Table("stacks", columns, rows)]).document()


def test_what_another_page_knows_takes_the_place_of_what_is_not_known() -> None:
    unknown = Unknown("not-asked")
    first = _document(["a", unknown, unknown], ["b", unknown, State("here")])
    others = [
        _document(["a", Code("1"), unknown], ["b", unknown, Code("2")]),
        _document(["a", Code("3"), Code("4")], ["b", unknown, unknown]),
    ]
    (table,) = joined(first, others)["tables"]
    code = {"type": "code"}
    assert table["rows"][0] == ["a", {**code, "text": "3"}, {**code, "text": "4"}]
    assert table["rows"][1][1]["type"] == "unknown"
    assert table["rows"][1][2]["name"] == "here"


@pytest.mark.parametrize(
    "other",
    [
        _document(["b", Code("1"), Code("1")]),
        _document(["a", Code("1")], columns=("stack", "drift")),
        _document(["a", Code("1"), Code("1")], ["b", Code("1"), Code("1")]),
    ],
)
def test_a_page_of_other_settings_says_nothing(other: dict[str, Any]) -> None:
    first = _document(["a", Unknown("not-asked"), None])
    assert joined(first, [other]) == first


# --- the command ------------------------------------------------------------------------------------------------------


def _inputs(root: Path, *pages: Path) -> Inputs:
    return Inputs(root, root / "none" if (root / "none").exists() else portal.FOLDER / "reports", pages)


@pytest.mark.usefixtures("offline")
def test_a_page_is_written_without_anything_but_the_stacks(
    example: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, missing = portal.write(example, _inputs(tmp_path), Path(".portal"))
    assert file == Path(".portal/index.html")
    document = page.read_page(file)
    assert [row[2] for row in _table(document, "clusters")["rows"]] == [
        "gitops-cluster-dev", "gitops-cluster-staging", "gitops-cluster-prod",
    ]  # fmt: skip
    assert missing[0].startswith("plan-report: mkdir -p .portal/reports && ")
    assert "aws ap-northeast-2: no credentials" in missing
    assert "prices ap-northeast-2: make prices REGION=ap-northeast-2" in missing
    assert any(line.startswith("argo-cd gitops-cluster-dev: ") for line in missing)  # with or without kubectl


@pytest.mark.usefixtures("offline")
def test_a_page_with_another_one_asks_no_aws(
    example: Platform, known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(aws, "connect", lambda _: pytest.fail("AWS was asked"))
    (tmp_path / "known.html").write_text(page.page(known), encoding="utf-8")
    file, _ = portal.write(example, _inputs(tmp_path, tmp_path / "known.html"), Path(".portal"))
    document = page.read_page(file)
    for name in ("clusters", "node-groups", "databases", "ends"):
        assert _table(document, name)["rows"] == json.loads(json.dumps(_table(known, name)["rows"]))


@pytest.mark.usefixtures("offline")
def test_all_errors_are_reported_at_once_and_nothing_is_written(
    example: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "guard-overrides.toml").write_text("{")
    (tmp_path / "none").mkdir()
    (tmp_path / "none/a.json").write_text("[]")
    with pytest.raises(OperationError) as error:
        portal.write(example, Inputs(tmp_path, Path("none"), [Path("no.html")]), Path(".portal"))
    lines = str(error.value).splitlines()
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines] == [
        "a.json",
        "guard-overrides.toml",
        "no.html",
    ]
    assert not (tmp_path / ".portal").exists()


@pytest.mark.usefixtures("offline")
def test_stacks_that_are_not_as_main_writes_them_have_a_remedy(
    make: Make, stack: Callable[..., Stack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = make(stack())  # without a cluster
    with pytest.raises(OperationError, match=r"^the stacks are not as main.py writes them .*: make synth$"):
        portal.write(sources.platform, _inputs(tmp_path), Path(".portal"))


@pytest.mark.usefixtures("offline", "platform")
def test_the_command_prints_the_page_and_what_is_not_known(
    platform_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = run("portal", "--output", platform_folder, "--folder", "here").stdout.splitlines()
    assert printed[-1] == "here/index.html"
    assert all(line.startswith("not known: ") for line in printed[:-1])
    missing = run("portal", "--output", platform_folder, "--reports", "nowhere", status=1).stderr
    assert missing == "error: nowhere: no such folder; name the folder of the reports\n"


@pytest.mark.parametrize(
    "line",
    [
        ("portal", "--folder", ""),
        ("portal", "--reports", ""),
        ("map", "--folder", " "),
        ("cost", "--prices", ""),
        ("prices", "--prices", ""),
    ],
)
def test_an_empty_folder_is_not_the_current_one(line: tuple[str, ...]) -> None:
    assert "'': names no folder" in run(*line, status=2).stderr
