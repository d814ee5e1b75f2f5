"""The fleet overview: which host, GPU, backup or policy needs somebody, on one screen.

Every query names metrics that the agent (job ``steward-agent``) or the controller (``steward-controller``)
serves; a test holds the names against their live ``/metrics``. Panels are ordered by what on-call asks first:
is anything down, has anything drifted, is a backup late; then why.
"""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders import dashboard, stat, table, timeseries
from grafana_foundation_sdk.models import dashboard as dashboard_models
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    MatcherConfig,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.panels import AMBER, GREEN, RED, SOURCE, board, graph, host_variable, number, query, steps

UID = "steward-fleet"
HOST = 'job="steward-agent",host=~"$host"'

CPUS = f'count by (host) (node_cpu_seconds_total{{{HOST},mode="idle"}})'
FILE_SYSTEM_USED = f"1 - node_filesystem_avail_bytes{{{HOST}}} / node_filesystem_size_bytes{{{HOST}}}"
MEMORY_USED = f"1 - node_memory_MemAvailable_bytes{{{HOST}}} / node_memory_MemTotal_bytes{{{HOST}}}"
BACKUP_AGE = f"time() - steward_backup_last_success_timestamp_seconds{{{HOST}}}"


def fleet_overview() -> dashboard.Dashboard:
    """The whole dashboard; ``build()`` of it is what Grafana's provisioning reads."""
    return board(
        "Steward / Fleet overview",
        UID,
        "Hosts, GPUs, backups and policy drift, as Steward's agents and controller report them.",
        host_variable().multi(True).include_all(True).all_value(".*"),
        (
            ("Does anything need me?", _glance()),
            ("Hosts", _hosts()),
            ("GPUs", _gpus()),
            ("Policy, actions and backups", _policy()),
        ),
    )


def _glance() -> list[stat.Panel]:
    return [
        number(
            "Hosts down",
            f"count(up{{{HOST}}} == 0) or (count(up{{{HOST}}}) - count(up{{{HOST}}}))",
            unit="short",
            steps=steps((None, GREEN), (1, RED)),
            why="Agents that Prometheus cannot scrape. The alert StewardHostDown pages after two minutes.",
        ),
        number(
            "Drift",
            'sum(steward_drift_changes{job="steward-controller"})',
            unit="short",
            steps=steps((None, GREEN), (1, AMBER)),
            why="Changes that would bring Keycloak and Proxmox back to what Git says.",
        ),
        number(
            "Oldest backup",
            f"max({BACKUP_AGE})",
            unit="s",
            steps=steps((None, GREEN), (26 * 3600, RED)),
            why="Age of the last successful backup of the set that is furthest behind.",
        ),
        number(
            "Fullest file system",
            f"max({FILE_SYSTEM_USED})",
            unit="percentunit",
            steps=steps((None, GREEN), (0.8, AMBER), (0.9, RED)),
            why="Used share of the fullest mounted file system of the hosts chosen above.",
        ),
        number(
            "GPUs lost",
            f"count(steward_gpu_up{{{HOST}}} == 0) or (count(steward_gpu_up{{{HOST}}}) * 0)",
            unit="short",
            steps=steps((None, GREEN), (1, RED)),
            why="GPUs that the driver no longer answers for.",
        ),
        number(
            "Last reconcile",
            'time() - max(steward_reconcile_last_success_timestamp_seconds{job="steward-controller"})',
            unit="s",
            steps=steps((None, GREEN), (900, AMBER), (3600, RED)),
            why="Time since the controller last compared Git with every system.",
        ),
    ]


def _hosts() -> list[Any]:
    rate = "[$__rate_interval]"
    physical = f'{HOST},device!~"lo|veth.+"'
    return [
        _host_table(),
        graph(
            "CPU",
            [(f'1 - avg by (host) (rate(node_cpu_seconds_total{{{HOST},mode="idle"}}{rate}))', "{{host}}")],
            unit="percentunit",
            why="Share of all CPUs that is busy.",
        ),
        graph(
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
        graph(
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
        graph(
            "Disk throughput",
            [
                (f"sum by (host) (rate(node_disk_read_bytes_total{{{HOST}}}{rate}))", "{{host}} read"),
                (f"sum by (host) (rate(node_disk_written_bytes_total{{{HOST}}}{rate}))", "{{host}} written"),
            ],
            unit="Bps",
            why="Bytes read and written per second, all disks of a host together.",
            span=12,
        ),
        graph(
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
        panel = panel.with_target(query(expression).instant().format(PromQueryFormat.TABLE).ref_id(letter))
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
        graph(
            "GPU utilisation",
            [(f"DCGM_FI_DEV_GPU_UTIL{{{HOST}}} / 100", gpu)],
            unit="percentunit",
            why="Share of time a kernel ran.",
            span=6,
        ),
        graph(
            "GPU memory used",
            [(f"{used} / ({used} + {free})", gpu)],
            unit="percentunit",
            why="Used share of the frame buffer.",
            span=6,
        ),
        graph(
            "GPU power",
            [(f"DCGM_FI_DEV_POWER_USAGE{{{HOST}}}", gpu)],
            unit="watt",
            why="Power drawn.",
            span=6,
        ),
        graph(
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
        graph(
            "Drift by resource",
            [(f"steward_drift_changes{{{controller}}} > 0", "{{resource}}: {{operation}}")],
            unit="short",
            why="What differs from Git, by section of the policy and by what would be done about it.",
        ),
        graph(
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
        graph(
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
