"""Configuration for the monitoring around Steward: Prometheus, Alertmanager and Grafana provisioning.

Pure: addresses in, the text of files out. Rules, routes and dashboards are the ones that travel in the wheel
(packages ``alerting`` and ``grafana``, read by ``importlib.resources``); only addresses and names of secret
files are filled in. No secret is read or written: Prometheus and Alertmanager read them from the named files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

__all__ = ["Surroundings", "monitoring_files"]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the parts are: URLs, and absolute paths of files on the machine that runs Prometheus."""

    controller_url: str
    controller_ca_file: str
    service_discovery_token_file: str
    alertmanager: str = "127.0.0.1:9093"
    prometheus_url: str = "http://127.0.0.1:9090"
    webhook_url: str = ""
    dashboards_folder: str = "/var/lib/grafana/dashboards/steward"
    interval_seconds: int = 15
    holds: Mapping[str, str] = field(default_factory=dict)
    """Alert name → how long its condition must last before it alerts; the shipped `for` where absent."""


def monitoring_files(surroundings: Surroundings) -> dict[str, str]:
    """Relative path → text of everything that Prometheus, Alertmanager and Grafana need.

    Raises ControllerError where the controller's address is not an https URL or a hold names no alert.
    """
    dashboards = {
        f"grafana/dashboards/{board.name}": board.read_text("utf-8")
        for board in _packaged("grafana", "dashboards", ".json")
    }
    return {
        "prometheus.yml": _yaml(_prometheus(surroundings)),
        "alertmanager.yml": _yaml(_alertmanager(surroundings)),
        "grafana/provisioning/datasources/steward.yaml": _yaml(_data_source(surroundings)),
        "grafana/provisioning/dashboards/steward.yaml": _yaml(_dashboard_provider(surroundings)),
        **_rules(surroundings.holds),
        **dashboards,
    }


def _rules(holds: Mapping[str, str]) -> dict[str, str]:
    texts = {
        f"rules/{rule.name}": rule.read_text("utf-8") for rule in _packaged("alerting", "rules", ".yaml")
    }
    if not holds:
        return texts
    parsed = {name: yaml.safe_load(text) for name, text in texts.items()}
    alerts = {
        rule["alert"]: rule
        for rules in parsed.values()
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    for alert, hold in holds.items():
        if alert not in alerts:
            raise ControllerError(
                f"no shipped alert is named {alert!r}", hint=f"there are {', '.join(sorted(alerts))}"
            )
        alerts[alert]["for"] = hold
    return {name: _yaml(rules) for name, rules in parsed.items()}


def _packaged(package: str, folder: str, ending: str) -> list[Traversable]:
    entries = (entry for entry in files(package).joinpath(folder).iterdir() if entry.name.endswith(ending))
    return sorted(entries, key=lambda entry: entry.name)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_NoAliases, sort_keys=False, allow_unicode=True)


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _prometheus(around: Surroundings) -> dict[str, Any]:
    address = urlsplit(around.controller_url)
    if address.scheme != "https" or not address.netloc:
        raise ControllerError(
            f"the controller's address {around.controller_url!r} is not an https URL",
            hint="give it as https://HOST:PORT, as controller.yaml's `url` has it",
        )
    tls = {"ca_file": around.controller_ca_file}
    discovery = {
        "url": f"https://{address.netloc}/sd/prometheus",
        "refresh_interval": "30s",
        "authorization": _bearer(around),
        "tls_config": tls,
    }
    return {
        "global": {
            "scrape_interval": f"{around.interval_seconds}s",
            "evaluation_interval": f"{around.interval_seconds}s",
        },
        "rule_files": ["rules/*.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [around.alertmanager]}]}]},
        "scrape_configs": [
            {"job_name": "steward-agent", "http_sd_configs": [discovery]},
            {
                "job_name": "steward-controller",
                "scheme": "https",
                "tls_config": tls,
                "authorization": _bearer(around),
                "static_configs": [{"targets": [address.netloc]}],
            },
        ],
    }


def _bearer(around: Surroundings) -> dict[str, str]:
    # Prometheus 2.42 leaves the type away in http_sd_configs where it is not written here.
    return {"type": "Bearer", "credentials_file": around.service_discovery_token_file}


def _alertmanager(around: Surroundings) -> dict[str, Any]:
    shipped: dict[str, Any] = yaml.safe_load(
        files("alerting").joinpath("alertmanager.yaml").read_text("utf-8")
    )
    if around.webhook_url:
        for receiver in shipped["receivers"]:
            receiver["webhook_configs"] = [{"url": around.webhook_url, "send_resolved": True}]
    return shipped


def _data_source(around: Surroundings) -> dict[str, Any]:
    source = {
        "name": "Prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": around.prometheus_url,
        "isDefault": True,
    }
    return {"apiVersion": 1, "datasources": [source]}


def _dashboard_provider(around: Surroundings) -> dict[str, Any]:
    provider = {
        "name": "Steward",
        "folder": "Steward",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": around.dashboards_folder},
    }
    return {"apiVersion": 1, "providers": [provider]}
