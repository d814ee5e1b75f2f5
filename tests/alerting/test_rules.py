"""The alerts and recording rules: each tested, each with a runbook, and documented as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alerting import check
from tests.exporters import metrics_page
from tests.real.servers import real_server

ROOT = Path(__file__).resolve().parents[2]
RULES = [
    rule
    for path in sorted(ROOT.glob("alerting/rules/*.yaml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTS = [
    test
    for path in sorted(ROOT.glob("alerting/tests/*.yaml"))
    if path.name != "routes.yaml"
    for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
]


def test_promtool_and_amtool_are_content():
    real_server("promtool")
    real_server("amtool")
    assert check.main() == 0


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_fires_in_one_test_and_stays_quiet_in_another(alert: str):
    cases = [case for test in TESTS for case in test.get("alert_rule_test", ()) if case["alertname"] == alert]
    fired = {labels for case in cases for each in case["exp_alerts"] for labels in each["exp_labels"].items()}
    assert fired, "a test in which it fires"
    series = {
        text
        for test in TESTS
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert
        for text in (each["series"] for each in test["input_series"])
    }
    assert len(series) > 1, "and one in which it does not, or a series beside that must not"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_runbook_that_names_it_and_stands_in_the_list(alert: str):
    runbook = ALERTS[alert]["annotations"]["runbook"]
    page = (ROOT / runbook).read_text(encoding="utf-8")
    assert alert in page or f"…{alert.removeprefix('StewardBackup')}" in page
    listed = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    assert f"({Path(runbook).name})" in listed
    assert ALERTS[alert]["labels"]["severity"] in ("page", "ticket")


def test_what_the_rules_name_is_served_or_recorded():
    served = {name for section in metrics_page.sections() for name in section.metrics}
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    named = {
        name for rule in RULES for name in re.findall(r"\b(?:node|steward)_\w+|steward:\w+:\w+", rule["expr"])
    }
    of_controller = {"steward_drift_changes"}
    assert named - served - recorded == of_controller


def test_the_page_on_health_says_what_the_rules_weigh():
    page = (ROOT / "docs/health.md").read_text(encoding="utf-8")
    documented = {
        name: int(weight) for name, weight in re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE)
    }
    weights = {
        rule["labels"]["input"]: int(re.fullmatch(r"vector\((\d+)\)", rule["expr"])[1])
        for rule in RULES
        if rule.get("record") == "steward:host_health:weight"
    }
    inputs = [rule["labels"]["input"] for rule in RULES if rule.get("record") == "steward:host_health:input"]
    assert documented == weights
    assert sorted(inputs) == sorted(weights)
    assert sum(weights.values()) == 100
