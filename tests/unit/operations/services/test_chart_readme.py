from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.services import chart_readme
from tests import ROOT

CHART = ROOT / chart_readme.CHART
VALUES = """\
# Who owns it,
# by name.
team: sales
free: 1

probes:
  liveness:
    # Asked often.
    path: /live

# Not part of the table.

other: 2
# A list.
steps:
  - pause: {}
# `{}` for none.
config: {}
"""


def test_rows_contain_path_default_and_comment() -> None:
    assert list(chart_readme.rows(VALUES)) == [
        ("team", "sales", "Who owns it, by name."),
        ("probes.liveness.path", "/live", "Asked often."),
        ("steps", "", "A list."),
        ("config", "{}", "`{}` for none."),
    ]


def test_table_replaces_the_previous_one(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# A name.\nname: app\n# Two.\nlist:\n  - 1\n")
    (tmp_path / "README.md").write_text("# app\n\nWhat it is.\n\n## Values\n\nold\n")
    for _ in range(2):
        chart_readme.write_readme(tmp_path)
        assert (tmp_path / "README.md").read_text() == (
            "# app\n\nWhat it is.\n\n## Values\n\n"
            "| value | default | description |\n| --- | --- | --- |\n"
            "| `name` | `app` | A name. |\n| `list` | in `values.yaml` | Two. |\n"
        )


def test_readme_of_the_chart_is_up_to_date() -> None:
    readme = (CHART / "README.md").read_text()
    assert chart_readme.render(readme, (CHART / "values.yaml").read_text()) == readme, "run `make chart-readme`"


def test_outside_of_the_repository_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(
        OperationError, match=r"README\.md: cannot be read: .*; run this in the root of the repository$"
    ):
        chart_readme.write_readme(tmp_path)


def test_rejects_values_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# app\n")
    (tmp_path / "values.yaml").write_bytes(b"\xff")
    with pytest.raises(OperationError, match=r"values\.yaml: 'utf-8' codec .*; correct it$"):
        chart_readme.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text() == "# app\n"
