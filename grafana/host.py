"""One host: is it well, from what, and what takes its CPU, memory, disks, network and GPUs.

Every query names metrics that the agent serves or that the shipped rules record; a test holds them to
docs/metrics.md. A panel of what a host does not have says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana.panels import AMBER, GREEN, RED, board, graph, host_variable, number, steps

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import dashboard, stat, timeseries

UID = "steward-host"
HOST = 'job="steward-agent",host="$host"'
RATE = "[$__rate_interval]"
REAL_DISKS = 'device!~"(loop|ram|zram|fd|sr)\\\\d+"'
REAL_MOUNTS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs"'
REAL_NETWORK = 'device!~"lo|veth.+|tap.+|fwbr.+|fwpr.+|fwln.+"'


def host_overview() -> dashboard.Dashboard:
    """The whole dashboard."""
    return board(
        "Steward / Host",
        UID,
        "One host: its health and what it is made of, what is used and by whom.",
        host_variable(),
        (
            ("Is it well?", [*_glance(), *_health()]),
            ("CPU and memory", _cpu_and_memory()),
            ("Disks and network", _disks_and_network()),
            ("Who uses it", _who()),
            ("GPUs", _gpus()),
            ("Guests, model servers and backups", _services()),
        ),
    )


def _glance() -> list[stat.Panel]:
    return [
        number(
            "Health",
            'steward:host_health:score{host="$host"}',
            unit="short",
            steps=steps((None, RED), (60, AMBER), (80, GREEN)),
            why="0 to 100, the mean of the inputs beside by their weights; docs/health.md.",
        ),
        number(
            "Up",
            f"max(up{{{HOST}}})",
            unit="short",
            steps=steps((None, RED), (1, GREEN)),
            why="Whether Prometheus can scrape the agent.",
        ),
        number(
            "Running since",
            f"time() - max(node_boot_time_seconds{{{HOST}}})",
            unit="s",
            steps=steps((None, GREEN)),
            why="Time since the kernel began.",
        ),
        number(
            "Failed units",
            f'sum(node_systemd_unit_state{{{HOST},state="failed"}})',
            unit="short",
            steps=steps((None, GREEN), (1, AMBER)),
            why="Units of systemd that failed.",
        ),
        number(
            "Collectors failing",
            f"sum(1 - steward_scrape_collector_success{{{HOST}}})",
            unit="short",
            steps=steps((None, GREEN), (1, AMBER)),
            why="Sources that the agent could not read; their metrics are missing.",
        ),
        number(
            "Oldest backup",
            f"max(time() - steward_backup_last_success_timestamp_seconds{{{HOST}}})",
            unit="s",
            steps=steps((None, GREEN), (26 * 3600, RED)),
            why="Age of the last success of the set that is furthest behind.",
        ),
    ]


def _health() -> list[timeseries.Panel]:
    return [
        graph(
            "Inputs of the health",
            [('steward:host_health:input{host="$host"}', "{{input}}")],
            unit="percentunit",
            why="1 is good, 0 is bad; an input that this host does not have is not there.",
            span=24,
        )
    ]


def _cpu_and_memory() -> list[timeseries.Panel]:
    return [
        graph(
            "CPU by mode",
            [
                (
                    (
                        f'sum by (mode) (rate(node_cpu_seconds_total{{{HOST},mode!="idle"}}{RATE}))'
                        f' / scalar(count(node_cpu_seconds_total{{{HOST},mode="idle"}}))'
                    ),
                    "{{mode}}",
                )
            ],
            unit="percentunit",
            why="Share of all CPUs that each mode takes.",
        ),
        graph(
            "Pressure",
            [
                (f"rate(node_pressure_cpu_waiting_seconds_total{{{HOST}}}{RATE})", "CPU, some wait"),
                (f"rate(node_pressure_memory_stalled_seconds_total{{{HOST}}}{RATE})", "memory, all wait"),
                (f"rate(node_pressure_io_stalled_seconds_total{{{HOST}}}{RATE})", "disks, all wait"),
            ],
            unit="percentunit",
            why="Share of time in which work waited for it (the kernel's pressure stall information).",
        ),
        graph(
            "Memory",
            [
                (
                    f"node_memory_MemTotal_bytes{{{HOST}}} - node_memory_MemAvailable_bytes{{{HOST}}}",
                    "used",
                ),
                (f"node_memory_MemTotal_bytes{{{HOST}}}", "total"),
                (f"node_memory_SwapTotal_bytes{{{HOST}}} - node_memory_SwapFree_bytes{{{HOST}}}", "swap"),
            ],
            unit="bytes",
            why="Memory that new work could not get, and what is swapped out.",
        ),
    ]


def _disks_and_network() -> list[timeseries.Panel]:
    return [
        graph(
            "File systems",
            [
                (
                    (
                        f"1 - node_filesystem_avail_bytes{{{HOST},{REAL_MOUNTS}}}"
                        f" / node_filesystem_size_bytes{{{HOST},{REAL_MOUNTS}}}"
                    ),
                    "{{mountpoint}}",
                )
            ],
            unit="percentunit",
            why="Used share of each real file system.",
            span=6,
        ),
        graph(
            "Disk throughput",
            [
                (f"rate(node_disk_read_bytes_total{{{HOST},{REAL_DISKS}}}{RATE})", "{{device}} read"),
                (f"rate(node_disk_written_bytes_total{{{HOST},{REAL_DISKS}}}{RATE})", "{{device}} written"),
            ],
            unit="Bps",
            why="Bytes per second of each disk.",
            span=6,
        ),
        graph(
            "Disks busy",
            [(f"rate(node_disk_io_time_seconds_total{{{HOST},{REAL_DISKS}}}{RATE})", "{{device}}")],
            unit="percentunit",
            why="Share of time in which the disk worked on something.",
            span=6,
        ),
        graph(
            "Network",
            [
                (f"rate(node_network_receive_bytes_total{{{HOST},{REAL_NETWORK}}}{RATE})", "{{device}} in"),
                (f"rate(node_network_transmit_bytes_total{{{HOST},{REAL_NETWORK}}}{RATE})", "{{device}} out"),
            ],
            unit="Bps",
            why="Bytes per second of each interface.",
            span=6,
        ),
    ]


def _who() -> list[timeseries.Panel]:
    return [
        graph(
            "CPU by unit",
            [(f"topk(10, sum by (unit) (rate(steward_unit_cpu_seconds_total{{{HOST}}}{RATE})))", "{{unit}}")],
            unit="short",
            why="CPUs that the ten busiest units of systemd take.",
        ),
        graph(
            "Memory by unit",
            [(f"topk(10, steward_unit_memory_bytes{{{HOST}}})", "{{unit}}")],
            unit="bytes",
            why="Memory of the ten largest units, with their page cache.",
        ),
        graph(
            "CPU by container",
            [
                (
                    (
                        "topk(10, sum by (container)"
                        f" (rate(steward_container_cpu_seconds_total{{{HOST}}}{RATE})))"
                    ),
                    "{{container}}",
                )
            ],
            unit="short",
            why="CPUs that the ten busiest containers take.",
        ),
    ]


def _gpus() -> list[timeseries.Panel]:
    return [
        graph(
            "GPU utilisation",
            [(f"DCGM_FI_DEV_GPU_UTIL{{{HOST}}} / 100", "gpu {{gpu}}")],
            unit="percentunit",
            why="Share of time a kernel ran.",
            span=6,
        ),
        graph(
            "GPU memory by user",
            [(f"sum by (user) (steward_gpu_user_memory_bytes{{{HOST}}})", "{{user}}")],
            unit="bytes",
            why="Who holds the GPUs' memory; unknown is what no process accounts for.",
            span=6,
        ),
        graph(
            "GPU use by user",
            [(f"sum by (user) (steward_gpu_user_sm_ratio{{{HOST}}})", "{{user}}")],
            unit="short",
            why="GPUs' worth of processors that each user takes.",
            span=6,
        ),
        graph(
            "GPUs: power and temperature",
            [
                (f"DCGM_FI_DEV_POWER_USAGE{{{HOST}}}", "gpu {{gpu}} W"),
                (f"DCGM_FI_DEV_GPU_TEMP{{{HOST}}}", "gpu {{gpu}} °C"),
            ],
            unit="short",
            why="Power drawn and core temperature.",
            span=6,
        ),
    ]


def _services() -> list[timeseries.Panel]:
    return [
        graph(
            "Guests: CPU",
            [
                (
                    (
                        f'pve_cpu_usage_ratio{{{HOST},id=~"(qemu|lxc)/.+"}}'
                        f" * on (id, instance) group_left (name) pve_guest_info{{{HOST}}}"
                    ),
                    "{{name}}",
                )
            ],
            unit="percentunit",
            why="Share of its processors that each guest uses, where this host reads Proxmox VE.",
        ),
        graph(
            "Model servers: tokens",
            [
                (
                    f"sum by (model, kind) (rate(steward_ai_tokens_total{{{HOST}}}{RATE}))",
                    "{{model}} {{kind}}",
                ),
                (f"sum by (model) (steward_ai_requests_running{{{HOST}}})", "{{model}} requests running"),
            ],
            unit="short",
            why="Tokens per second by model, and requests that are worked on.",
        ),
        graph(
            "Backups: age",
            [
                (
                    f"time() - steward_backup_last_success_timestamp_seconds{{{HOST}}}",
                    "{{set}} → {{repository}}",
                ),
                (
                    f"time() - steward_backup_last_drill_success_timestamp_seconds{{{HOST}}}",
                    "{{set}} → {{repository}}, last restored",
                ),
            ],
            unit="s",
            why="Time since the last success of each set, and since it last came back in a drill.",
        ),
    ]
