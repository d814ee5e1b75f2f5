"""A fault in the lab becomes a page: real Prometheus and Alertmanager, on files that Steward writes."""

from __future__ import annotations

import io
import json
import os
import queue
import re
import shutil
import sys
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from lab.demo.scenery import Scenery
from lab.demo.stage import Stage
from lab.processes import free_port
from tests.real.servers import real_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGE_WITHIN_SECONDS = 90
METRIC = re.compile(r"\b(?:node|steward|DCGM_FI)_[A-Za-z0-9_]+")


class Pager:
    """A local webhook; `pages` yields alerts as Alertmanager posts them."""

    def __init__(self) -> None:
        pages: queue.Queue[dict[str, Any]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    pages.put({**alert, "receiver": body["receiver"]})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.pages = pages
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/page"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def wait_for(self, alertname: str) -> dict[str, Any]:
        while True:
            alert = self.pages.get(timeout=PAGE_WITHIN_SECONDS)
            if alert["labels"]["alertname"] == alertname and alert["status"] == "firing":
                return alert

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@dataclass
class Line:
    """Everything up: lab, controller, agent, Prometheus, Alertmanager and the pager."""

    stage: Stage
    scenery: Scenery
    pager: Pager
    prometheus: str = ""
    started: dict[str, int] = field(default_factory=dict)

    def steward(self, *command: str, expect: int = 0) -> str:
        return self.stage.run(
            "steward", *command, "-c", str(self.scenery.configuration), proves="-", expect=expect
        ).output

    def start(self, name: str, *command: str, answers: str, ca: Path | None = None) -> None:
        self.started[name] = self.stage.start(
            name, *command, ready=lambda: self.scenery.answers(answers, ca), proves="-"
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        text = self.scenery.read(
            f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        )
        found: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    prometheus, alertmanager = real_server("prometheus"), real_server("alertmanager")
    folder = tmp_path_factory.mktemp("line")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    stage = Stage(
        folder=folder,
        record=io.StringIO(),
        environment={**os.environ, "PATH": path},
        console=Console(file=io.StringIO()),
    )
    line = Line(stage, Scenery(folder=folder, source=ROOT), Pager())
    try:
        _controller(line)
        _agent(line)
        _monitoring(line, prometheus, alertmanager)
        yield line
    finally:
        stage.close()
        line.pager.close()
        shutil.rmtree(line.scenery.sockets)


def _controller(line: Line) -> None:
    stage, scenery = line.stage, line.scenery
    lab = scenery.folder / "lab"
    stage.start(
        "lab", "steward-lab", "up", "--directory", str(lab), ready=(lab / "lab.json").exists, proves="-"
    )
    scenery.lay_policies()
    stage.run(
        "steward", "init", str(scenery.configuration.parent), "--address", scenery.controller_url, proves="-"
    )
    line.steward("trust", "init", "--root-key", str(scenery.folder / "root.pem"))
    scenery.write_controller(repairs=False)
    line.steward("apply", str(scenery.policies / "prod"), "--yes")
    line.start(
        "controller",
        "steward",
        "serve",
        "-c",
        str(scenery.configuration),
        answers=f"{scenery.controller_url}/readyz",
        ca=scenery.state / "ca.pem",
    )


def _agent(line: Line) -> None:
    scenery = line.scenery
    scenery.write_agent()
    token = scenery.folder / "token"
    token.write_text(line.steward("host", "enroll", "web-01").strip().splitlines()[-1])
    configuration = ("--config", str(scenery.agent_configuration))
    line.stage.run("steward-agent", "enroll", *configuration, "--token-file", str(token), proves="-")
    line.stage.start(
        "executor", "steward-agent", "executor", *configuration, ready=scenery.socket.exists, proves="-"
    )
    line.start("agent", "steward-agent", "run", *configuration, answers=f"{scenery.agent_url}/metrics")


def _monitoring(line: Line, prometheus: Path, alertmanager: Path) -> None:
    scenery, folder = line.scenery, line.scenery.folder / "monitoring"
    addresses = {name: f"127.0.0.1:{free_port()}" for name in ("prometheus", "alertmanager")}
    line.prometheus = f"http://{addresses['prometheus']}"
    line.stage.run(
        "steward",
        "monitoring",
        str(folder),
        *("--controller", scenery.controller_url),
        *("--ca-file", str(scenery.state / "ca.pem")),
        *("--token-file", str(scenery.state / "sd.token")),
        *("--alertmanager", addresses["alertmanager"]),
        *("--webhook", line.pager.url),
        *("--interval", "1"),
        *("--hold", "StewardDrift=1s", "--hold", "StewardHostDown=1s"),
        proves="-",
    )
    line.start(
        "alertmanager",
        str(alertmanager),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address={addresses['alertmanager']}",
        "--cluster.listen-address=",
        answers=f"http://{addresses['alertmanager']}/-/ready",
    )
    line.start(
        "prometheus",
        str(prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={addresses['prometheus']}",
        answers=f"{line.prometheus}/-/ready",
    )
    line.stage.until(lambda: len(line.query('up{job=~"steward-.*"} == 1')) == 2, "both targets to be up")


def test_prometheus_finds_the_agent_through_the_controller(line: Line):
    (agent,) = line.query('up{job="steward-agent"}')
    assert agent["metric"]["host"] == "web-01"
    assert line.query('node_load1{host="web-01"}')
    assert line.query('steward_policy_commit_info{job="steward-controller"}')


def test_a_backup_shows_its_age(line: Line):
    real_server("restic")
    scenery = line.scenery
    password = scenery.folder / "agent" / "restic.password"
    repository = ("--repo", str(scenery.folder / "restic"), "--password-file", str(password))
    line.stage.run("restic", *repository, "init", proves="-")
    line.steward(
        "action",
        "run",
        "web-01",
        "backup.run",
        "--arg",
        "set=precious",
        "--arg",
        "repository=local",
        "--wait",
    )
    age = 'time() - steward_backup_last_success_timestamp_seconds{host="web-01", set="precious"}'
    line.stage.until(lambda: bool(line.query(age)), "the backup's age")


def test_a_change_by_hand_in_the_lab_pages(line: Line):
    line.scenery.take_role_by_hand("bruno.keller", "maintainer", by="carol.weber")
    page = line.pager.wait_for("StewardDrift")
    assert page["labels"]["resource"] == "users"
    assert page["labels"]["operation"] == "update"
    assert page["labels"]["severity"] == "ticket"
    assert page["receiver"] == "team"
    assert "1 of users differ from Git" in page["annotations"]["summary"]


def test_every_query_of_the_dashboard_has_an_answer(line: Line):
    """With a drift and a backup, every panel shows something; GPU panels are held to the names served."""
    board = json.loads((ROOT / "grafana/dashboards/fleet.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(expressions) > 20
    served = {series["metric"]["__name__"] for series in line.query('{job=~"steward-.*"}')} | gpu_metrics()
    for expression in expressions:
        concrete = expression.replace("$host", ".*").replace("$__rate_interval", "1m")
        assert set(METRIC.findall(concrete)) <= served, expression
        answered = line.query(concrete)
        assert answered or "DCGM_FI" in concrete or "steward_gpu" in concrete, expression


def gpu_metrics() -> set[str]:
    """Names that the agent serves where there are GPUs; a test of the exporters holds this golden file."""
    text = (ROOT / "tests/golden/gpu.prom").read_text()
    return {line.split("{")[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_an_agent_that_dies_pages_with_its_host(line: Line):
    line.stage.stop("agent")
    page = line.pager.wait_for("StewardHostDown")
    assert page["labels"]["host"] == "web-01"
    assert page["receiver"] == "on-call"
