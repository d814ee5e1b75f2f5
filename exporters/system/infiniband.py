"""The `infiniband` collector: node_infiniband_* of each port, from /sys/class/infiniband.

Documentation/ABI/stable/sysfs-class-infiniband. Data is counted in units of four bytes (one for each lane of
a port), a rate in Gb/s. Which counters are there depends on driver and kernel: those that are not there, or
that the driver refuses, are absent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.settings import expression
from exporters.system.filters import accepts
from exporters.system.infiniband_counters import COUNTERS, UNITS
from exporters.system.tree import Tree

INCLUDE = expression("collector.infiniband.device-include", "", "Devices to report; not with device-exclude.")
EXCLUDE = expression("collector.infiniband.device-exclude", "", "Devices not to report.")
SETTINGS = (INCLUDE, EXCLUDE)

_FOLDER = "class/infiniband"
_LABELS = ("device", "port")
_INFO = Metric(
    "node_infiniband_info",
    Kind.GAUGE,
    "Properties of an adapter; always 1.",
    ("device", "board_id", "firmware_version", "hca_type"),
)


def _gauge(name: str, text: str) -> Metric:
    return Metric(f"node_infiniband_{name}", Kind.GAUGE, text, _LABELS)


_STATE = _gauge("state_id", "State of the port: 1 down, 2 init, 3 armed, 4 active, 5 active deferred.")
_PHYSICAL = _gauge(
    "physical_state_id",
    "Physical state: 1 sleep, 2 polling, 3 disabled, 4 training, 5 link up, 6 recovery, 7 test.",
)
_RATE = _gauge("rate_bytes_per_second", "Highest rate of the port.")
_LIFESPAN = _gauge("lifespan_seconds", "Age that counters may have when they are read.")
_LIFESPAN_FILE = "hw_counters/lifespan"
_METRICS = {
    path: Metric(f"node_infiniband_{name}_total", Kind.COUNTER, text, _LABELS)
    for path, (name, text) in COUNTERS.items()
}
_BYTES_PER_GIGABIT = 125_000_000
_NO_COUNTER = b"N/A (no PMA)"
_WRAP = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Port:
    """A port: its states, its rate in bytes per second, and its counters by path below the port's folder."""

    device: str
    number: str
    state: int
    physical_state: int
    rate: int
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Raw:
    """Each device with board, firmware and type, and all ports."""

    devices: tuple[tuple[str, str, str, str], ...]
    ports: tuple[Port, ...]


class Adapters:
    """Reads the adapters that the filter accepts."""

    def __init__(self, tree: Tree, accept: Callable[[str], bool]) -> None:
        self._tree = tree
        self._accept = accept

    def read(self) -> Raw:
        """Read each adapter and its ports.

        Raises:
            NoDataError: there is none.
            SourceError: a file is malformed.
            OSError: an adapter went while it was read.
        """
        names = self._tree.sys_list(_FOLDER)
        if not names:
            raise NoDataError("no InfiniBand")
        devices, ports = [], []
        for name in filter(self._accept, names):
            folder = f"{_FOLDER}/{name}"
            words = [self._word(f"{folder}/{file}") for file in ("board_id", "fw_ver", "hca_type")]
            devices.append((name, words[0], words[1], words[2]))
            numbers = sorted(self._tree.sys_list(f"{folder}/ports"), key=_number)
            ports += [self._port(name, number) for number in numbers]
        return Raw(tuple(devices), tuple(ports))

    def _word(self, path: str) -> str:
        return label(self._tree.sys_or(path, b"").strip())

    def _port(self, device: str, number: str) -> Port:
        folder = f"{_FOLDER}/{device}/ports/{number}"
        try:
            state = _state(self._tree.sys(f"{folder}/state"))
            physical = _state(self._tree.sys(f"{folder}/phys_state"))
            rate = _rate(self._tree.sys(f"{folder}/rate"))
        except ValueError as error:
            raise SourceError(f"/sys/{folder}", str(error)) from error
        return Port(device, str(_number(number)), state, physical, rate, self._counters(folder))

    def _counters(self, folder: str) -> dict[str, int]:
        counters = {}
        for kind in ("counters", "counters_ext", "hw_counters"):
            for file in self._tree.sys_list(f"{folder}/{kind}"):
                path = f"{kind}/{file}"
                if path in COUNTERS or path == _LIFESPAN_FILE:
                    text = self._tree.sys_or(f"{folder}/{path}", b"").strip()
                    if text and _NO_COUNTER not in text:
                        counters[path] = _counter(f"/sys/{folder}/{path}", text) * UNITS.get(path, 1) & _WRAP
        return counters


def _number(port: str) -> int:
    if not port.isdigit():
        raise SourceError("/sys/class/infiniband", f"port {port!r}")
    return int(port)


def _state(text: bytes) -> int:
    """The number of `4: ACTIVE`."""
    number, _ = text.split(b":")
    return int(number)


def _rate(text: bytes) -> int:
    """Bytes per second of `40 Gb/sec (4X QDR)`."""
    number, space, _ = text.partition(b" ")
    if not space:
        raise ValueError(f"rate {text!r}")
    return int(float(number) * _BYTES_PER_GIGABIT)


def _counter(path: str, text: bytes) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise SourceError(path, str(error)) from error


def collect(raw: Raw) -> list[Family]:
    """The properties, and a family for each number over the ports that have it."""
    rows = tuple((port.device, port.number) for port in raw.ports)
    families = [
        Family(_INFO, raw.devices, (1,) * len(raw.devices)),
        Family(_STATE, rows, [port.state for port in raw.ports]),
        Family(_PHYSICAL, rows, [port.physical_state for port in raw.ports]),
        Family(_RATE, rows, [port.rate for port in raw.ports]),
    ]
    families += [_over(raw.ports, metric, path, 1) for path, metric in _METRICS.items()]
    return [*families, _over(raw.ports, _LIFESPAN, _LIFESPAN_FILE, 1000)]


def _over(ports: tuple[Port, ...], metric: Metric, path: str, divisor: int) -> Family:
    having = [port for port in ports if path in port.counters]
    rows = tuple((port.device, port.number) for port in having)
    return Family(metric, rows, [port.counters[path] // divisor for port in having])


def build(host: Host) -> Collector:
    """The collector on this host."""
    accept = accepts(include=host.settings[INCLUDE], exclude=host.settings[EXCLUDE])
    adapters = Adapters(host.tree, accept)
    return Collector(lambda: collect(adapters.read()))
