"""The metrics of the `pve` collector: prometheus-pve-exporter's names, labels and types, and ours.

The deprecated gauges pve_{network_receive,network_transmit,disk_read,disk_write}_bytes stand beside their
*_total, because published dashboards still ask for them.
"""

from exporters.samples import Kind, Metric


def _gauge(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, Kind.GAUGE, help_text, labels)


def _counter(name: str, help_text: str, *labels: str) -> Metric:
    return Metric(name, Kind.COUNTER, help_text, labels)


UP = _gauge("pve_up", "Whether the node is online, guest running, storage available, cluster quorate.", "id")
VERSION = _gauge("pve_version_info", "Version of Proxmox VE.", "release", "repoid", "version")
NODE = _gauge(
    "pve_node_info", "A node; the level is that of its subscription.", "id", "level", "name", "nodeid"
)
CLUSTER = _gauge("pve_cluster_info", "The cluster and its quorum.", "id", "nodes", "quorate", "version")
GUEST = _gauge("pve_guest_info", "A guest.", "id", "node", "name", "type", "template", "tags")
STORAGE = _gauge("pve_storage_info", "A storage of a node.", "id", "node", "storage", "plugintype", "content")
HA_STATE = _gauge("pve_ha_state", "1 for the state of high availability that it is in.", "id", "state")
LOCK_STATE = _gauge(
    "pve_lock_state", "1 for the lock that the guest's configuration is under.", "id", "state"
)
ONBOOT = _gauge("pve_onboot_status", "Whether the guest starts with its node.", "id", "node", "type")
NOT_BACKED_UP_TOTAL = _gauge("pve_not_backed_up_total", "Number of guests without a backup job.", "id")
NOT_BACKED_UP = _gauge("pve_not_backed_up_info", "1 for a guest without a backup job.", "id")
QDEVICE_UP = _gauge("pve_qdevice_up", "Whether the node's quorum device is connected.", "id")
QDEVICE = _gauge(
    "pve_qdevice_info",
    "The node's quorum device.",
    "id",
    "model",
    "algorithm",
    "qnetd_host",
    "tie_breaker",
    "state",
)
REPLICATION = _gauge("pve_replication_info", "A replication job.", "id", "type", "source", "target", "guest")
SUBSCRIPTION = _gauge("pve_subscription_info", "The node's subscription.", "id", "level")
SUBSCRIPTION_STATUS = _gauge(
    "pve_subscription_status", "1 for the status of the subscription.", "id", "status"
)
SUBSCRIPTION_DUE = _gauge(
    "pve_subscription_next_due_timestamp_seconds", "When the subscription ends, in unixtime.", "id"
)

RESOURCE_NUMBERS = (
    ("maxdisk", _gauge("pve_disk_size_bytes", "Size of the storage, or of the guest's root image.", "id")),
    ("disk", _gauge("pve_disk_usage_bytes", "Used of the storage, or of the guest's root image.", "id")),
    ("maxmem", _gauge("pve_memory_size_bytes", "Memory of the node or guest.", "id")),
    ("mem", _gauge("pve_memory_usage_bytes", "Memory in use of the node or guest.", "id")),
    ("netout", _gauge("pve_network_transmit_bytes", "Deprecated form of *_total.", "id")),
    ("netin", _gauge("pve_network_receive_bytes", "Deprecated form of *_total.", "id")),
    ("diskwrite", _gauge("pve_disk_write_bytes", "Deprecated form of pve_disk_written_bytes_total.", "id")),
    ("diskread", _gauge("pve_disk_read_bytes", "Deprecated form of *_total.", "id")),
    ("cpu", _gauge("pve_cpu_usage_ratio", "Share of its processors that the node or guest uses.", "id")),
    ("maxcpu", _gauge("pve_cpu_usage_limit", "Number of processors of the node or guest.", "id")),
    ("uptime", _gauge("pve_uptime_seconds", "How long the node or guest has been up.", "id")),
    ("shared", _gauge("pve_storage_shared", "Whether the nodes share the storage.", "id")),
    (
        "netout",
        _counter("pve_network_transmit_bytes_total", "Bytes that the guest sent since it began.", "id"),
    ),
    ("netin", _counter("pve_network_receive_bytes_total", "Bytes sent to the guest since it began.", "id")),
    (
        "diskwrite",
        _counter("pve_disk_written_bytes_total", "Bytes that the guest wrote since it began.", "id"),
    ),
    ("diskread", _counter("pve_disk_read_bytes_total", "Bytes that the guest read since it began.", "id")),
)
"""Field of /cluster/resources, and the metric that it becomes."""

REPLICATION_NUMBERS = (
    ("duration", _gauge("pve_replication_duration_seconds", "How long the last replication took.", "id")),
    ("last_sync", _gauge("pve_replication_last_sync_timestamp_seconds", "When it last succeeded.", "id")),
    ("last_try", _gauge("pve_replication_last_try_timestamp_seconds", "When it was last tried.", "id")),
    ("next_sync", _gauge("pve_replication_next_sync_timestamp_seconds", "When it is due next.", "id")),
    ("fail_count", _gauge("pve_replication_failed_syncs", "Failed tries since the last success.", "id")),
)
"""Field of /nodes/{node}/replication, and the metric that it becomes."""

GUEST_STATE = _gauge("steward_pve_guest_state", "1 for the state that the guest is in.", "id", "state")
DENIED = _gauge(
    "steward_pve_denied",
    "1 for a privilege that the token lacks, as Proxmox VE names it.",
    "path",
    "privilege",
)
TASK_FAILURES = _counter(
    "steward_pve_task_failures_total", "Tasks that failed since the agent began.", "node", "type"
)
BACKUP_SUCCESS = _gauge(
    "steward_pve_guest_last_backup_timestamp_seconds", "When the guest was last backed up, in unixtime.", "id"
)
BACKUP_FAILURE = _gauge(
    "steward_pve_guest_last_failed_backup_timestamp_seconds",
    "When a backup of the guest last failed, in unixtime.",
    "id",
)
NODE_ANSWERS = _gauge("steward_pve_node_answers", "Whether the node answers what is passed on to it.", "id")
PART_SUCCESS = _gauge("steward_pve_part_success", "Whether this part of the API answered last time.", "part")
PART_LAST_SUCCESS = _gauge(
    "steward_pve_part_last_success_timestamp_seconds", "When this part of the API last answered.", "part"
)
REQUESTS = _counter("steward_pve_requests_total", "Requests sent to the API since the agent began.")

GUEST_HA_STATES = (
    "stopped",
    "request_stop",
    "request_start",
    "request_start_balance",
    "started",
    "fence",
    "recovery",
    "migrate",
    "relocate",
    "freeze",
    "error",
)
NODE_HA_STATES = ("online", "maintenance", "unknown", "fence", "gone")
LOCKS = (
    "backup",
    "clone",
    "create",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspended",
    "suspending",
)
SUBSCRIPTION_STATES = ("new", "notfound", "active", "invalid", "expired", "suspended")
QDEVICE_FIELDS = ("Model", "Algorithm", "QNetd host", "Tie-breaker", "State")

NAMES = frozenset(
    metric.name
    for metric in (
        *(value for value in tuple(globals().values()) if isinstance(value, Metric)),
        *(metric for _, metric in RESOURCE_NUMBERS),
        *(metric for _, metric in REPLICATION_NUMBERS),
    )
)
"""Of all of them."""
