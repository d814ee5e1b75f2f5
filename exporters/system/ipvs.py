"""The `ipvs` collector: node_ipvs_* of the kernel's load balancer, from /proc/net/ip_vs_stats and ip_vs.

Numbers and IPv4 addresses of both files are hexadecimal (net/netfilter/ipvs/ip_vs_ctl.c).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SettingError, SourceError
from exporters.samples import Family, Kind, Metric, Row, label
from exporters.settings import text
from exporters.system.tree import Tree

_ALL_LABELS = ("local_address", "local_port", "remote_address", "remote_port", "proto", "local_mark")
BACKEND_LABELS = text(
    "collector.ipvs.backend-labels", ",".join(_ALL_LABELS), "Labels of the series of backends, of these six."
)
SETTINGS = (BACKEND_LABELS,)


def _counter(name: str, text: str) -> Metric:
    return Metric(f"node_ipvs_{name}_total", Kind.COUNTER, text)


_TOTALS = (
    _counter("connections", "Connections that were balanced."),
    _counter("incoming_packets", "Packets towards the backends."),
    _counter("outgoing_packets", "Packets from the backends."),
    _counter("incoming_bytes", "Bytes towards the backends."),
    _counter("outgoing_bytes", "Bytes from the backends."),
)
_TOTALS_LINE = 2
_IPV4_CHARACTERS = 13  # C0A80016:0CEA
_IPV6_CHARACTERS = 46  # [2620:0000:0000:0000:0000:0000:0000:0001]:0050
_BACKEND_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Backend:
    """A pair of a virtual service and a real server, and its weight and connections."""

    labels: dict[str, str]
    weight: int
    active: int
    inactive: int


@dataclass(frozen=True, slots=True)
class Raw:
    """The five totals, and each backend."""

    totals: tuple[int, ...]
    backends: tuple[Backend, ...]


def read(tree: Tree) -> Raw:
    """Read both files.

    Raises:
        NoDataError: the module is not loaded.
        SourceError: a file is malformed.
    """
    try:
        totals = tree.proc("net/ip_vs_stats")
    except FileNotFoundError as error:
        raise NoDataError("no IPVS") from error
    try:
        return Raw(parse_totals(totals), tuple(parse_backends(tree.proc("net/ip_vs"))))
    except ValueError as error:
        raise SourceError("/proc/net/ip_vs", str(error)) from error


def parse_totals(data: bytes) -> tuple[int, ...]:
    """Connections, packets in and out, bytes in and out.

    Raises:
        ValueError: the third line is not five numbers.
    """
    lines = data.split(b"\n")
    fields = lines[_TOTALS_LINE].split() if len(lines) > _TOTALS_LINE + 1 else []
    if len(fields) != len(_TOTALS):
        raise ValueError(f"{len(fields)} totals")
    return tuple(int(field, 16) for field in fields)


def parse_backends(data: bytes) -> Iterator[Backend]:
    """The backends of each service.

    Raises:
        ValueError: an address or a number is malformed.
    """
    service: dict[str, str] = {}
    for line in data.split(b"\n"):
        fields = label(line).split()
        if len(fields) < 2 or fields[0] in ("IP", "Prot") or fields[1] == "RemoteAddress:Port":
            continue
        if fields[0] in ("TCP", "UDP"):
            address, port = _endpoint(fields[1])
            service = _service(fields[0], address, port, "")
        elif fields[0] == "FWM":
            service = _service(fields[0], "", "0", fields[1])
        elif fields[0] == "->" and len(fields) >= _BACKEND_FIELDS:
            address, port = _endpoint(fields[1])
            weight, active, inactive = map(int, fields[3:6])
            labels = (service or _service("", "", "0", "")) | {"remote_address": address, "remote_port": port}
            yield Backend(labels, weight, active, inactive)


def _service(proto: str, address: str, port: str, mark: str) -> dict[str, str]:
    return {"local_address": address, "local_port": port, "proto": proto, "local_mark": mark}


def _endpoint(field: str) -> tuple[str, str]:
    if len(field) == _IPV4_CHARACTERS:
        address = str(IPv4Address(bytes.fromhex(field[:8])))
    elif len(field) == _IPV6_CHARACTERS:
        address = str(ip_address(field[1:40]))
    else:
        raise ValueError(f"address {field!r}")
    return address, str(int(field[-4:], 16))


def backend_metrics(labels: tuple[str, ...]) -> tuple[Metric, Metric, Metric]:
    """The three metrics of a backend, with the labels that were asked for."""
    return (
        Metric(
            "node_ipvs_backend_connections_active", Kind.GAUGE, "Active connections of a backend.", labels
        ),
        Metric(
            "node_ipvs_backend_connections_inactive", Kind.GAUGE, "Inactive connections of a backend.", labels
        ),
        Metric("node_ipvs_backend_weight", Kind.GAUGE, "Weight of a backend.", labels),
    )


def collect(raw: Raw, metrics: tuple[Metric, Metric, Metric]) -> list[Family]:
    """The totals, and each backend; those that the labels do not tell apart are summed."""
    sums: dict[Row, list[int]] = {}
    for backend in raw.backends:
        total = sums.setdefault(tuple(backend.labels[name] for name in metrics[0].labels), [0, 0, 0])
        for place, number in enumerate((backend.active, backend.inactive, backend.weight)):
            total[place] += number
    rows = tuple(sums)
    families = [metric.one(value) for metric, value in zip(_TOTALS, raw.totals, strict=True)]
    columns = zip(*sums.values(), strict=True)
    return families + [Family(metric, rows, column) for metric, column in zip(metrics, columns, strict=False)]


def chosen_labels(setting: str) -> tuple[str, ...]:
    """The labels of a comma-separated list, in a fixed order.

    Raises:
        SettingError: one of them is unknown.
    """
    names = {name for name in setting.split(",") if name}
    if unknown := names.difference(_ALL_LABELS):
        raise SettingError(f"--{BACKEND_LABELS.name}: unknown label {', '.join(sorted(unknown))}")
    return tuple(name for name in _ALL_LABELS if name in names)


def build(host: Host) -> Collector:
    """The collector on this host."""
    metrics = backend_metrics(chosen_labels(host.settings[BACKEND_LABELS]))
    return Collector(lambda: collect(read(host.tree), metrics))
