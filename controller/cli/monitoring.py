"""``steward monitoring``: write what Prometheus, Alertmanager and Grafana need to watch this fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["monitoring"]


def monitoring(
    folder: Annotated[Path, typer.Argument(help="Where to write; files that are there are replaced.")],
    controller: Annotated[str, typer.Option(help="The controller's address, https://HOST:PORT.")],
    ca_file: Annotated[
        Path, typer.Option(help="The controller's CA certificate, as Prometheus will read it.")
    ],
    token_file: Annotated[Path, typer.Option(help="File with the token for service discovery and /metrics.")],
    alertmanager: Annotated[str, typer.Option(help="Alertmanager's HOST:PORT.")] = "127.0.0.1:9093",
    prometheus: Annotated[
        str, typer.Option(help="Prometheus as Grafana reaches it.")
    ] = "http://127.0.0.1:9090",
    webhook: Annotated[
        str, typer.Option(help="Where pages and tickets are posted; none are sent without it.")
    ] = "",
    dashboards: Annotated[
        str, typer.Option(help="The folder from which Grafana will read the dashboards.")
    ] = "/var/lib/grafana/dashboards/steward",
    interval: Annotated[int, typer.Option(min=1, help="Seconds between scrapes.")] = 15,
    hold: Annotated[
        list[str] | None,
        typer.Option(
            help="ALERT=DURATION: how long its condition must last before it alerts. May be repeated."
        ),
    ] = None,
) -> None:
    """Write prometheus.yml, alertmanager.yml, alert rules, Grafana's provisioning and dashboards into FOLDER.

    The files hold addresses and the names of secret files, never a secret.

    Example:
      steward monitoring ./monitoring --controller https://steward.example.org:8443 \\
        --ca-file /etc/steward/ca.pem --token-file /etc/prometheus/steward.token
    """
    from controller.monitoring import Surroundings, monitoring_files

    surroundings = Surroundings(
        controller_url=controller,
        controller_ca_file=str(ca_file.absolute()),
        service_discovery_token_file=str(token_file.absolute()),
        alertmanager=alertmanager,
        prometheus_url=prometheus,
        webhook_url=webhook,
        dashboards_folder=dashboards,
        interval_seconds=interval,
        holds=_holds(hold or []),
    )
    for name, text in monitoring_files(surroundings).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        typer.echo(str(target))


def _holds(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (alert, _, duration) in zip(texts, pairs, strict=True):
        if not alert or not duration:
            raise typer.BadParameter(f"{text!r} is not ALERT=DURATION", param_hint="--hold")
    return {alert: duration for alert, _, duration in pairs}
