"""Prometheus, Alertmanager and Grafana around the demo, where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import urllib.parse
from typing import TYPE_CHECKING

from lab.processes import free_port

if TYPE_CHECKING:
    from lab.demo.scenery import Scenery
    from lab.demo.stage import Stage

__all__ = ["start_surroundings"]

GRAFANA_HOME = "/usr/share/grafana"


def start_surroundings(stage: Stage, scenery: Scenery) -> None:
    """Write their configuration with ``steward monitoring`` and start those that are installed."""
    stage.scene("Prometheus, Alertmanager and Grafana, on configuration that Steward writes")
    folder = scenery.folder / "monitoring"
    ports = {name: free_port() for name in ("prometheus", "alertmanager", "grafana")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    stage.run(
        "steward",
        "monitoring",
        str(folder),
        "--controller",
        scenery.controller_url,
        "--ca-file",
        str(scenery.state / "ca.pem"),
        "--token-file",
        str(scenery.state / "sd.token"),
        "--alertmanager",
        f"127.0.0.1:{ports['alertmanager']}",
        "--prometheus",
        urls["prometheus"],
        "--dashboards",
        str(folder / "grafana" / "dashboards"),
        "--interval",
        "5",
        proves="rules, routes, dashboards and targets are written",
    )
    _alertmanager(stage, scenery, urls["alertmanager"])
    _prometheus(stage, scenery, urls["prometheus"])
    _grafana(stage, scenery, urls["grafana"])


def _alertmanager(stage: Stage, scenery: Scenery, url: str) -> None:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        stage.say("Alertmanager is not installed here.")
        return
    folder = scenery.folder / "monitoring"
    stage.start(
        "alertmanager",
        program,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager-data'}",
        f"--web.listen-address={urllib.parse.urlsplit(url).netloc}",
        "--cluster.listen-address=",
        ready=lambda: scenery.answers(f"{url}/-/ready"),
        proves="Alertmanager takes the configuration",
    )
    scenery.addresses["Alertmanager"] = url


def _prometheus(stage: Stage, scenery: Scenery, url: str) -> None:
    program = shutil.which("prometheus")
    if program is None:
        stage.say("Prometheus is not installed here.")
        return
    folder = scenery.folder / "monitoring"
    stage.start(
        "prometheus",
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus-data'}",
        f"--web.listen-address={urllib.parse.urlsplit(url).netloc}",
        ready=lambda: scenery.answers(f"{url}/-/ready"),
        proves="Prometheus takes the configuration",
    )

    def is_scraped() -> bool:
        query = urllib.parse.urlencode({"query": 'up{job=~"steward-.*"} == 1'})
        found = json.loads(scenery.read(f"{url}/api/v1/query?{query}"))["data"]["result"]
        return {series["metric"]["job"] for series in found} == {"steward-agent", "steward-controller"}

    stage.until(is_scraped, "Prometheus to find and scrape the agent and the controller")
    stage.check(
        f"{url}/api/v1/query",
        "Prometheus found the agent through the controller and scrapes both",
        holds=True,
    )
    scenery.addresses["Prometheus"] = url


def _grafana(stage: Stage, scenery: Scenery, url: str) -> None:
    program = shutil.which("grafana-server")
    if program is None:
        stage.say("Grafana is not installed here; its dashboards and provisioning are in monitoring/grafana.")
        return
    folder = scenery.folder / "monitoring"
    address = urllib.parse.urlsplit(url)
    stage.environment = dict(stage.environment) | {
        "GF_PATHS_DATA": str(folder / "grafana-data"),
        "GF_PATHS_LOGS": str(folder / "grafana-data"),
        "GF_PATHS_PROVISIONING": str(folder / "grafana" / "provisioning"),
        "GF_SERVER_HTTP_ADDR": str(address.hostname),
        "GF_SERVER_HTTP_PORT": str(address.port),
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }
    stage.start(
        "grafana",
        program,
        "--homepath",
        os.environ.get("GF_PATHS_HOME", GRAFANA_HOME),
        ready=lambda: scenery.answers(f"{url}/api/health"),
        proves="Grafana shows the dashboards",
    )
    scenery.addresses["Grafana"] = f"{url}/d/steward-fleet"
