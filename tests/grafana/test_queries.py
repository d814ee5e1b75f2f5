"""The dashboards ask for what is served and recorded, in PromQL that Prometheus parses."""

from __future__ import annotations

import json
import re
import subprocess
from functools import reduce

import pytest
import yaml

from grafana.generate import FOLDER, rendered
from tests.alerting.test_rules import RULES
from tests.exporters import metrics_page
from tests.real.servers import real_server

SERVED = {name for section in metrics_page.sections() for name in section.metrics}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
METRIC = re.compile(r"\b(?:node|steward|DCGM|pve|restic)[a-zA-Z0-9_:]+\b(?=[{\[)\s]|$)")
VARIABLES = (("$__rate_interval", "5m"), ("$host", "web-01"))


def expressions(name):
    board = json.loads(rendered()[name])
    panels = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


QUERIES = [(name, expression) for name in rendered() for expression in expressions(name)]


def test_the_files_are_the_generated_ones():
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == rendered()


@pytest.mark.parametrize(("name", "expression"), QUERIES)
def test_what_a_query_names_is_served_or_recorded(name, expression):
    asked = {found for found in METRIC.findall(expression) if not found.startswith("steward-")}
    of_controller = {found for found in asked if f'{found}{{job="steward-controller"' in expression}
    assert asked - of_controller <= SERVED | RECORDED
    assert asked or "up{" in expression


def test_prometheus_parses_every_query(tmp_path):
    rules = [
        {
            "record": f"query:{number}",
            "expr": reduce(lambda text, pair: text.replace(*pair), VARIABLES, query),
        }
        for number, (_, query) in enumerate(QUERIES)
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    argv = [str(real_server("promtool")), "check", "rules", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", rendered())
def test_each_panel_says_what_it_shows(name):
    board = json.loads(rendered()[name])
    panels = [panel for panel in board["panels"] if panel["type"] not in ("row", "table")]
    assert [panel["title"] for panel in panels if not panel.get("description")] == []
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
