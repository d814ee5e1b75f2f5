"""The fleet overview: which host, GPU, backup or policy needs somebody, on one screen.

Every query names metrics that the agent (job ``steward-agent``) or the controller (``steward-controller``)
serves; a test holds the names against their live ``/metrics``. Panels are ordered by what on-call asks first:
is anything down, has anything drifted, is a backup late; then why.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as dashboard_models
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    MatcherConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

UID = "steward-fleet"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HOST = 'job="steward-agent",host=~"$host"'

CPUS = f'count by (host) (node_cpu_seconds_total{{{HOST},mode="idle"}})'
FILE_SYSTEM_USED = f"1 - node_filesystem_avail_bytes{{{HOST}}} / node_filesystem_size_bytes{{{HOST}}}"
MEMORY_USED = f"1 - node_memory_MemAvailable_bytes{{{HOST}}} / node_memory_MemTotal_bytes{{{HOST}}}"
BACKUP_AGE = f"time() - steward_backup_last_success_timestamp_seconds{{{HOST}}}"

GREEN, AMBER, RED = "green", "orange", "red"


def fleet_overview() -> dashboard.Dashboard:
    """The whole dashboard; ``build()`` of it is what Grafana's provisioning reads."""
    board = (
        dashboard.Dashboard("Steward / Fleet overview")
        .uid(UID)
        .description("Hosts, GPUs, backups and policy drift, as Steward's agents and controller report them.")
        .tags(["steward"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .readonly()
        .tooltip(dashboard_models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_host_variable())
    )
    rows: Sequence[tuple[str, Sequence[Any]]] = (
        ("Does anything need me?", _glance()),
        ("Hosts", _hosts()),
        ("GPUs", _gpus()),
        ("Policy, actions and backups", _policy()),
    )
    ids = itertools.count(1)
    for title, panels in rows:
        board = board.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            board = board.with_panel(panel.id(next(ids)))
    return board


def _host_variable() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("host")
        .label("Host")
        .datasource(SOURCE)
        .query('label_values(up{job="steward-agent"}, host)')
        .refresh(dashboard_models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard_models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _query(expression: str, legend: str = "") -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression).datasource(SOURCE)
    return query.legend_format(legend) if legend else query


def _steps(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    thresholds = [Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds)


def _number(
    title: str, expression: str, *, unit: str, steps: dashboard.ThresholdsConfig, why: str
) -> stat.Panel:
    return (
        stat.Panel()
        .title(title)
        .description(why)
        .datasource(SOURCE)
        .with_target(_query(expression).instant().ref_id("A"))
        .unit(unit)
        .thresholds(steps)
        .color_mode(common_models.BigValueColorMode.BACKGROUND)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .span(4)
        .height(4)
    )


def _glance() -> list[stat.Panel]:
    return [
        _number(
            "Hosts down",
            f"count(up{{{HOST}}} == 0) or (count(up{{{HOST}}}) - count(up{{{HOST}}}))",
            unit="short",
            steps=_steps((None, GREEN), (1, RED)),
            why="Agents that Prometheus cannot scrape. The alert StewardHostDown pages after two minutes.",
        ),
        _number(
            "Drift",
            'sum(steward_drift_changes{job="steward-controller"})',
            unit="short",
            steps=_steps((None, GREEN), (1, AMBER)),
            why="Changes that would bring Keycloak and Proxmox back to what Git says.",
        ),
        _number(
            "Oldest backup",
            f"max({BACKUP_AGE})",
            unit="s",
            steps=_steps((None, GREEN), (26 * 3600, RED)),
            why="Age of the last successful backup of the set that is furthest behind.",
        ),
        _number(
            "Fullest file system",
            f"max({FILE_SYSTEM_USED})",
            unit="percentunit",
            steps=_steps((None, GREEN), (0.8, AMBER), (0.9, RED)),
            why="Used share of the fullest mounted file system of the hosts chosen above.",
        ),
        _number(
            "GPUs lost",
            f"count(steward_gpu_up{{{HOST}}} == 0) or (count(steward_gpu_up{{{HOST}}}) * 0)",
            unit="short",
            steps=_steps((None, GREEN), (1, RED)),
            why="GPUs that the driver no longer answers for.",
        ),
        _number(
            "Last reconcile",
            'time() - max(steward_reconcile_last_success_timestamp_seconds{job="steward-controller"})',
            unit="s",
            steps=_steps((None, GREEN), (900, AMBER), (3600, RED)),
            why="Time since the controller last compared Git with every system.",
        ),
    ]


def _graph(
    title: str, queries: Sequence[tuple[str, str]], *, unit: str, why: str, span: int = 8
) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .description(why)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(8)
        .line_width(1)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .span(span)
        .height(8)
    )
    for letter, (expression, legend) in zip("ABCD", queries, strict=False):
        panel = panel.with_target(_query(expression, legend).ref_id(letter))
    return panel


def _hosts() -> list[Any]:
    rate = "[$__rate_interval]"
    physical = f'{HOST},device!~"lo|veth.+"'
    return [
        _host_table(),
        _graph(
            "CPU",
            [(f'1 - avg by (host) (rate(node_cpu_seconds_total{{{HOST},mode="idle"}}{rate}))', "{{host}}")],
            unit="percentunit",
            why="Share of all CPUs that is busy.",
        ),
        _graph(
            "Memory",
            [
                (
                    MEMORY_USED,
                    "{{host}}",
                )
            ],
            unit="percentunit",
            why="Share of memory that new work could not get without swapping.",
        ),
        _graph(
            "Load per CPU",
            [
                (
                    f"node_load1{{{HOST}}} / on (host) {CPUS}",
                    "{{host}}",
                )
            ],
            unit="short",
            why="One-minute load average divided by the number of CPUs; above 1 work is waiting.",
        ),
        _graph(
            "Disk throughput",
            [
                (f"sum by (host) (rate(node_disk_read_bytes_total{{{HOST}}}{rate}))", "{{host}} read"),
                (f"sum by (host) (rate(node_disk_written_bytes_total{{{HOST}}}{rate}))", "{{host}} written"),
            ],
            unit="Bps",
            why="Bytes read and written per second, all disks of a host together.",
            span=12,
        ),
        _graph(
            "Network",
            [
                (
                    f"sum by (host) (rate(node_network_receive_bytes_total{{{physical}}}{rate}))",
                    "{{host}} received",
                ),
                (
                    f"sum by (host) (rate(node_network_transmit_bytes_total{{{physical}}}{rate}))",
                    "{{host}} sent",
                ),
            ],
            unit="Bps",
            why="Bytes per second on all interfaces but loopback and container pairs.",
            span=12,
        ),
    ]


def _host_table() -> table.Panel:
    columns = (  # one row a host: each query gives one value for each
        (f"max by (host) (up{{{HOST}}})", "Up", ""),
        (
            f'1 - avg by (host) (rate(node_cpu_seconds_total{{{HOST},mode="idle"}}[5m]))',
            "CPU",
            "percentunit",
        ),
        (f"max by (host) ({MEMORY_USED})", "Memory", "percentunit"),
        (f"max by (host) ({FILE_SYSTEM_USED})", "Fullest disk", "percentunit"),
        (f"max by (host) ({BACKUP_AGE})", "Backup age", "s"),
    )
    panel = table.Panel().title("Hosts").datasource(SOURCE).span(24).height(7)
    names = {"host": "Host"}
    for letter, (expression, name, unit) in zip("ABCDE", columns, strict=True):
        panel = panel.with_target(_query(expression).instant().format(PromQueryFormat.TABLE).ref_id(letter))
        names[f"Value #{letter}"] = name
        if unit:
            panel = panel.with_override(
                MatcherConfig(id_val="byName", options=name), [DynamicConfigValue(id_val="unit", value=unit)]
            )
    hidden = {f"Time {number}": True for number in range(1, 6)} | {"Time": True}
    join = {"byField": "host", "mode": "outer"}
    organize = {"excludeByName": hidden, "renameByName": names}
    return panel.with_transformation(
        dashboard_models.DataTransformerConfig(id_val="joinByField", options=join)
    ).with_transformation(dashboard_models.DataTransformerConfig(id_val="organize", options=organize))


def _gpus() -> list[timeseries.Panel]:
    gpu = "{{host}} gpu {{gpu}}"
    used = f"DCGM_FI_DEV_FB_USED{{{HOST}}}"
    free = f"DCGM_FI_DEV_FB_FREE{{{HOST}}}"
    return [
        _graph(
            "GPU utilisation",
            [(f"DCGM_FI_DEV_GPU_UTIL{{{HOST}}} / 100", gpu)],
            unit="percentunit",
            why="Share of time a kernel ran.",
            span=6,
        ),
        _graph(
            "GPU memory used",
            [(f"{used} / ({used} + {free})", gpu)],
            unit="percentunit",
            why="Used share of the frame buffer.",
            span=6,
        ),
        _graph(
            "GPU power",
            [(f"DCGM_FI_DEV_POWER_USAGE{{{HOST}}}", gpu)],
            unit="watt",
            why="Power drawn.",
            span=6,
        ),
        _graph(
            "GPU temperature",
            [(f"DCGM_FI_DEV_GPU_TEMP{{{HOST}}}", gpu)],
            unit="celsius",
            why="Core temperature.",
            span=6,
        ),
    ]


def _policy() -> list[timeseries.Panel]:
    controller = 'job="steward-controller"'
    return [
        _graph(
            "Drift by resource",
            [(f"steward_drift_changes{{{controller}}} > 0", "{{resource}}: {{operation}}")],
            unit="short",
            why="What differs from Git, by section of the policy and by what would be done about it.",
        ),
        _graph(
            "Actions",
            [
                (
                    f"sum by (kind, result) (increase(steward_actions_total{{{controller}}}[1h]))",
                    "{{kind}}: {{result}}",
                )
            ],
            unit="short",
            why="Signed actions that ended in the last hour, by their receipts.",
        ),
        _graph(
            "Backup age",
            [
                (
                    BACKUP_AGE,
                    "{{host}} {{set}} → {{repository}}",
                )
            ],
            unit="s",
            why="Time since the last success of each backup set; StewardBackupStale pages past 26 hours.",
        ),
    ]
