"""What neither DCGM nor nvidia-smi tells, as steward_gpu_*: who uses each GPU, since when nobody does, XID
errors counted by code, NVLinks one by one, and what each GPU is.

Base units: bytes, seconds, ratios of 1. With `with_users` off no series names a person.
"""

from collections.abc import Callable, Mapping, Sequence

from exporters.gpu.ledger import Account, Key, Share
from exporters.gpu.readings import Field, GpuReading, Number, Raw
from exporters.gpu.xid import ACTION_CODES
from exporters.samples import Family, Kind, Metric, Row

_PERCENT = 100
_BYTES_PER_KIB = 1024
_GAUGE, _COUNTER = Kind.GAUGE, Kind.COUNTER

_UP = Metric("steward_gpu_up", _GAUGE, "Whether the GPU answers; 0 where it is lost.", ("uuid",))
_INFO = Metric(
    "steward_gpu_info",
    _GAUGE,
    "What the GPU is, and the versions of what drives it.",
    ("uuid", "index", "name", "pci_bus_id", "device", "vbios", "driver", "cuda", "compute_capability"),
)
_XIDS = Metric("steward_gpu_xid_errors_total", _COUNTER, "XID errors by code.", ("uuid", "xid"))
_XID_LAST = Metric(
    "steward_gpu_xid_last_timestamp_seconds",
    _GAUGE,
    "When an XID error last came, in unixtime.",
    ("uuid", "xid"),
)
_LAST_USED = Metric(
    "steward_gpu_last_used_timestamp_seconds",
    _GAUGE,
    "When the GPU last computed something, in unixtime; absent where it has not since the agent began.",
    ("uuid",),
)
_QUERY = Metric(
    "steward_gpu_process_query_success",
    _GAUGE,
    "Whether the driver told the GPU's processes; where it did not, nothing is known of users.",
    ("uuid", "query"),
)
_PROCESSES = Metric("steward_gpu_processes", _GAUGE, "Processes on the GPU.", ("uuid",))
_ENCODER_SESSIONS = Metric("steward_gpu_encoder_sessions", _GAUGE, "Sessions of the encoder.", ("uuid",))
_RECOVERY = Metric(
    "steward_gpu_recovery_action",
    _GAUGE,
    "What the driver asks for: 0 nothing, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset.",
    ("uuid",),
)
_REASON = Metric(
    "steward_gpu_clocks_event_active", _GAUGE, "Whether this keeps the clocks down now.", ("uuid", "reason")
)
_LINK_UP = Metric("steward_gpu_nvlink_up", _GAUGE, "Whether the NVLink is up.", ("uuid", "link"))
_LINK_ERRORS = Metric(
    "steward_gpu_nvlink_errors_total", _COUNTER, "Errors of an NVLink by kind.", ("uuid", "link", "kind")
)
_TRAFFIC = (
    (
        Field.NVLINK_TRANSMIT,
        Metric("steward_gpu_nvlink_transmit_bytes_total", _COUNTER, "Data sent over all NVLinks.", ("uuid",)),
    ),
    (
        Field.NVLINK_RECEIVE,
        Metric(
            "steward_gpu_nvlink_receive_bytes_total", _COUNTER, "Data received over all NVLinks.", ("uuid",)
        ),
    ),
)
REASONS = (
    ("gpu_idle", 0x1),
    ("applications_clocks_setting", 0x2),
    ("sw_power_cap", 0x4),
    ("hw_slowdown", 0x8),
    ("sync_boost", 0x10),
    ("sw_thermal_slowdown", 0x20),
    ("hw_thermal_slowdown", 0x40),
    ("hw_power_brake_slowdown", 0x80),
    ("display_clock_setting", 0x100),
)
"""Bits of NVML's mask (nvml.h, nvmlClocksEventReasons), as nvidia-smi calls them."""


class _Cut:
    """The metrics of one kind of owner."""

    def __init__(self, kind: str, what: str, labels: tuple[str, ...]) -> None:
        named = ("uuid", *labels)
        start = f"steward_gpu_{kind}"
        self.width = len(labels)
        self.memory = Metric(f"{start}_memory_bytes", _GAUGE, f"GPU memory of {what}.", named)
        self.processes = Metric(f"{start}_processes", _GAUGE, f"Processes of {what} on the GPU.", named)
        self.sm = Metric(f"{start}_sm_ratio", _GAUGE, f"Share of the SMs that {what} took.", named)
        self.seconds = Metric(
            f"{start}_seconds_total", _COUNTER, f"Time with a process of {what} on the GPU.", named
        )
        self.busy = Metric(
            f"{start}_busy_seconds_total",
            _COUNTER,
            f"SM time of {what}: its share of the SMs, over time.",
            named,
        )


_USERS = _Cut("user", "a user; `unknown` has what no user accounts for", ("user",))
_CONTAINERS = _Cut("container", "a container", ("container", "runtime"))
_GUESTS = _Cut("guest", "a Proxmox guest", ("guest",))


def collect(raw: Raw, accounts: Mapping[str, Account], *, with_users: bool = True) -> list[Family]:
    """Families of all GPUs, `accounts` by uuid; a lost one has `steward_gpu_up 0`, its XIDs, its last use."""
    up = [reading for reading in raw.gpus if reading.up]
    families = [
        _family(_UP, [((one.identity.uuid,), int(one.up)) for one in raw.gpus]),
        _family(_INFO, [(_info(raw, one), 1) for one in raw.gpus if one.identity.model]),
        *_xids(raw),
        *_states(up),
        *_links(up),
        _family(
            _LAST_USED,
            [((uuid,), one.last_used) for uuid, one in accounts.items() if one.last_used is not None],
        ),
        _family(_QUERY, [row for one in up for row in _queries(one)]),
        _family(
            _PROCESSES,
            [((one.identity.uuid,), len(one.processes.found)) for one in up if one.processes.listed],
        ),
    ]
    if with_users:
        families += _shares(_USERS, {uuid: one.users for uuid, one in accounts.items()})
    families += _shares(_CONTAINERS, {uuid: one.containers for uuid, one in accounts.items()})
    families += _shares(_GUESTS, {uuid: one.guests for uuid, one in accounts.items()})
    return [family for family in families if family.rows]


def _family(metric: Metric, series: Sequence[tuple[Row, Number]]) -> Family:
    return Family(metric, tuple(row for row, _ in series), [value for _, value in series])


def _info(raw: Raw, gpu: GpuReading) -> Row:
    one = gpu.identity
    versions = (one.vbios, raw.driver_version, raw.cuda_version, one.compute_capability)
    return (one.uuid, one.gpu, one.model, one.pci_bus_id, one.device, *versions)


def _xids(raw: Raw) -> list[Family]:
    """Codes that ask for an action begin at 0, so that the first error is an increase."""
    counts = {(one.identity.uuid, code): 0 for one in raw.gpus if one.identity.model for code in ACTION_CODES}
    counts |= {(one.uuid, one.code): one.count for one in raw.xids}
    return [
        _family(_XIDS, [((uuid, str(code)), count) for (uuid, code), count in counts.items()]),
        _family(_XID_LAST, [((one.uuid, str(one.code)), one.last) for one in raw.xids]),
    ]


def _states(up: Sequence[GpuReading]) -> list[Family]:
    reasons = [
        ((one.identity.uuid, name), int(bool(int(one.values[Field.EVENT_REASONS]) & bit)))
        for one in up
        if Field.EVENT_REASONS in one.values
        for name, bit in REASONS
    ]
    return [
        _plain(_RECOVERY, up, Field.RECOVERY_ACTION),
        _plain(_ENCODER_SESSIONS, up, Field.ENCODER_SESSIONS),
        _family(_REASON, reasons),
    ]


def _plain(metric: Metric, up: Sequence[GpuReading], name: Field, factor: int = 1) -> Family:
    return _family(
        metric, [((one.identity.uuid,), one.values[name] * factor) for one in up if name in one.values]
    )


def _links(up: Sequence[GpuReading]) -> list[Family]:
    every = [(one.identity.uuid, link) for one in up for link in one.links]
    errors = [
        ((uuid, str(link.link), kind), count) for uuid, link in every for kind, count in link.errors.items()
    ]
    return [
        _family(_LINK_UP, [((uuid, str(link.link)), int(link.up)) for uuid, link in every]),
        _family(_LINK_ERRORS, errors),
        *(_plain(metric, up, name, _BYTES_PER_KIB) for name, metric in _TRAFFIC),
    ]


def _queries(gpu: GpuReading) -> list[tuple[Row, Number]]:
    """A query that this driver cannot answer at all is absent."""
    asked = (("memory", gpu.processes.listed), ("utilization", gpu.processes.sampled))
    return [((gpu.identity.uuid, query), int(told)) for query, told in asked if told is not None]


def _shares(cut: _Cut, by_gpu: Mapping[str, Mapping[Key, Share]]) -> list[Family]:
    every = [
        ((uuid, *key[: cut.width]), share) for uuid, shares in by_gpu.items() for key, share in shares.items()
    ]

    def of(metric: Metric, value: Callable[[Share], Number | None]) -> Family:
        found = [(row, value(share)) for row, share in every]
        return _family(metric, [(row, number) for row, number in found if number is not None])

    return [
        of(cut.memory, lambda share: share.memory),
        of(cut.processes, lambda share: share.processes),
        of(cut.sm, lambda share: None if share.sm is None else round(share.sm / _PERCENT, 6)),
        of(cut.seconds, lambda share: share.seconds),
        of(cut.busy, lambda share: share.busy_seconds),
    ]
