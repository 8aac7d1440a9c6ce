"""Tests the alerts with promtool. `alerts/<name>.yaml` has the tests of the PrometheusRule <name>."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests import ROOT
from tests.gitops.tree import Json, read
from tests.metrics import alert_files

TESTS = Path(__file__).parent / "alerts"


def _promtool(promtool: Path, folder: Path, rule: Json, *arguments: str) -> "subprocess.CompletedProcess[str]":
    for group in rule["spec"]["groups"]:
        for alert in group["rules"]:
            alert.get("annotations", {}).pop("runbook_url", None)  # the same for all, and tested with the runbook
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
    return subprocess.run([promtool, *arguments], cwd=folder, check=False, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", alert_files())
def test_alerts_pass_their_tests(name: str, promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "tests.yaml").write_text((TESTS / f"{name}.yaml").read_text())
    done = _promtool(promtool, tmp_path, read(alert_files()[name]), "test", "rules", "tests.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", alert_files())
def test_promtool_finds_no_fault(name: str, promtool: Path, tmp_path: Path) -> None:
    arguments = ("check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    done = _promtool(promtool, tmp_path, read(alert_files()[name]), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def _untested(rule: Json, tests: Json) -> list[str]:
    """The alerts without a test in which they fire, or without one in which they do not."""
    tried = {
        (test["alertname"], bool(test.get("exp_alerts"))) for one in tests["tests"] for test in one["alert_rule_test"]
    }
    defined = [alert["alert"] for group in rule["spec"]["groups"] for alert in group["rules"] if "alert" in alert]
    return [
        f"{alert}: no test in which it {'fires' if fires else 'does not fire'}"
        for alert in defined
        for fires in (True, False)
        if (alert, fires) not in tried
    ]


def test_every_alert_fires_in_a_test_and_does_not_in_another() -> None:
    assert {file.stem for file in TESTS.iterdir()} == set(alert_files())
    untested = {name: _untested(read(file), read(TESTS / f"{name}.yaml")) for name, file in alert_files().items()}
    assert [line for lines in untested.values() for line in lines] == []


def test_finds_an_alert_without_tests() -> None:
    rule = {"spec": {"groups": [{"rules": [{"alert": "A"}, {"alert": "B"}]}]}}
    tests = {"tests": [{"alert_rule_test": [{"alertname": "A"}, {"alertname": "A", "exp_alerts": [{}]}]}]}
    assert _untested(rule, tests) == ["B: no test in which it fires", "B: no test in which it does not fire"]


def test_the_values_of_the_chart_add_no_rules() -> None:
    """They would have no tests."""
    for values in (ROOT / "management" / "monitoring").glob("values*.yaml"):
        assert not [key for key in read(values) if key.startswith("additionalPrometheusRules")]


@pytest.mark.slow
def test_a_first_failure_that_is_not_counted_fails_the_tests(promtool: Path, tmp_path: Path) -> None:
    (tmp_path / "tests.yaml").write_text((TESTS / "argo-cd.yaml").read_text())
    text = yaml.safe_dump(read(alert_files()["argo-cd"]))
    assert "offset 30m" in text
    done = _promtool(
        promtool, tmp_path, yaml.safe_load(text.replace("offset 30m", "offset 0m")), "test", "rules", "tests.yaml"
    )
    assert "ArgoCdNotificationsFailing" in done.stdout + done.stderr
