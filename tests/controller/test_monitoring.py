"""What `steward monitoring` writes: accepted by the real promtool and amtool, tunable, secret-free."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from controller.errors import ControllerError
from controller.monitoring import Surroundings, monitoring_files
from tests.real.servers import real_server

AROUND = Surroundings(
    controller_url="https://steward.example.org:8443",
    controller_ca_file="/etc/steward/ca.pem",
    service_discovery_token_file="/etc/prometheus/steward.token",
    webhook_url="http://127.0.0.1:9099/page",
)


def test_prometheus_finds_agents_through_the_controller_over_verified_tls():
    written = yaml.safe_load(monitoring_files(AROUND)["prometheus.yml"])
    agents, controller = written["scrape_configs"]
    discovery = agents["http_sd_configs"][0]
    assert discovery["url"] == "https://steward.example.org:8443/sd/prometheus"
    assert discovery["tls_config"] == {"ca_file": "/etc/steward/ca.pem"}
    assert discovery["authorization"] == {
        "type": "Bearer",
        "credentials_file": "/etc/prometheus/steward.token",
    }
    assert controller["scheme"] == "https"
    assert controller["static_configs"] == [{"targets": ["steward.example.org:8443"]}]


def test_every_receiver_gets_the_webhook_and_none_without_one():
    with_webhook = yaml.safe_load(monitoring_files(AROUND)["alertmanager.yml"])
    assert all(receiver["webhook_configs"] for receiver in with_webhook["receivers"])
    silent = Surroundings(
        controller_url=AROUND.controller_url,
        controller_ca_file=AROUND.controller_ca_file,
        service_discovery_token_file=AROUND.service_discovery_token_file,
    )
    without = yaml.safe_load(monitoring_files(silent)["alertmanager.yml"])
    assert all("webhook_configs" not in receiver for receiver in without["receivers"])


def test_a_hold_changes_its_alert_alone():
    tuned = Surroundings(**{**vars(AROUND), "holds": {"StewardDrift": "1s"}})
    rules = yaml.safe_load(monitoring_files(tuned)["rules/steward.yaml"])["groups"][0]["rules"]
    assert {rule["alert"]: rule["for"] for rule in rules} == {
        "StewardHostDown": "2m",
        "StewardDrift": "1s",
        "StewardBackupStale": "5m",
    }


def test_a_hold_for_an_alert_that_is_not_shipped_is_refused():
    with pytest.raises(ControllerError, match="StewardTypo"):
        monitoring_files(Surroundings(**{**vars(AROUND), "holds": {"StewardTypo": "1s"}}))


@pytest.mark.parametrize("address", ["http://steward.example.org", "steward.example.org:8443", "https://"])
def test_an_address_that_is_not_https_is_refused(address):
    with pytest.raises(ControllerError, match="https URL"):
        monitoring_files(Surroundings(**{**vars(AROUND), "controller_url": address}))


def test_the_provisioned_dashboard_is_the_generated_one():
    board = json.loads(monitoring_files(AROUND)["grafana/dashboards/fleet.json"])
    assert board["title"] == "Steward / Fleet overview"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_real_tools_accept_what_is_written(tmp_path):
    promtool, amtool = real_server("promtool"), real_server("amtool")
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "token").write_text("")
    around = Surroundings(
        controller_url="https://127.0.0.1:8443",
        controller_ca_file=str(tmp_path / "ca.pem"),
        service_discovery_token_file=str(tmp_path / "token"),
        webhook_url="http://127.0.0.1:9099/page",
    )
    for name, text in monitoring_files(around).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    checks = (
        (promtool, "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")),
        (amtool, "check-config", str(tmp_path / "alertmanager.yml")),
    )
    for command in checks:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
