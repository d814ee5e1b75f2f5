"""node_cpu_*: seconds per CPU and mode of /proc/stat, and what /sys calls isolated, online or throttled."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import ge

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.system.tree import Tree

_SECONDS = Metric(
    "node_cpu_seconds_total", Kind.COUNTER, "Seconds the CPUs spent in each mode.", ("cpu", "mode")
)
_GUEST = Metric(
    "node_cpu_guest_seconds_total",
    Kind.COUNTER,
    "Seconds the CPUs spent in guests (VMs) for each mode.",
    ("cpu", "mode"),
)
_ISOLATED = Metric(
    "node_cpu_isolated",
    Kind.GAUGE,
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
    ("cpu",),
)
_ONLINE = Metric("node_cpu_online", Kind.GAUGE, "CPUs that are online and being scheduled.", ("cpu",))
_CORE_THROTTLES = Metric(
    "node_cpu_core_throttles_total",
    Kind.COUNTER,
    "Number of times this CPU core has been throttled.",
    ("core", "package"),
)
_PACKAGE_THROTTLES = Metric(
    "node_cpu_package_throttles_total",
    Kind.COUNTER,
    "Number of times this CPU package has been throttled.",
    ("package",),
)
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_GUEST_MODES = ("user", "nice")
_IDLE = _MODES.index("idle")
_FIELDS = len(_MODES) + len(_GUEST_MODES)
_FOLDER = "devices/system/cpu"
_TICKS_PER_SECOND = 100
"""USER_HZ, the unit of /proc/stat: 100 on every architecture that Linux still has (procfs assumes it too)."""
_REPLUGGED_TICKS = 3 * _TICKS_PER_SECOND

Ticks = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What /sys says and does not change while the set of online CPUs stays the same.

    `core_files` and `package_files` name the throttle counters: (core, package) or package, and the file.
    """

    isolated: tuple[str, ...]
    online: tuple[tuple[str, int], ...]
    core_files: tuple[tuple[tuple[str, str], str], ...]
    package_files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """Ticks of each CPU, the layout, and the throttle counters in the order of its files."""

    ticks: Mapping[str, Ticks]
    layout: Layout
    core_throttles: tuple[int, ...]
    package_throttles: tuple[int, ...]


class Cpus:
    """Keeps the last ticks, because some counters of the kernel step back a little now and then."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._layout: Layout | None = None
        self._ticks: Mapping[str, Ticks] = {}

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read())

    def read(self) -> Raw:
        """Read /proc/stat, and /sys where the set of CPUs has changed."""
        ticks = parse_ticks(self._tree.proc("stat"))
        layout = self._layout
        if layout is None or ticks.keys() != self._ticks.keys():
            self._layout = layout = read_layout(self._tree)
        self._ticks = steady(self._ticks, ticks)
        return Raw(
            self._ticks,
            layout,
            tuple(int(self._tree.sys(name)) for _, name in layout.core_files),
            tuple(int(self._tree.sys(name)) for _, name in layout.package_files),
        )


def parse_ticks(stat: bytes) -> dict[str, Ticks]:
    """Ticks by CPU number, of the lines `cpu0 …` in /proc/stat; fields that an old kernel lacks count 0.

    Raises:
        SourceError: a line is malformed, or there is none.
    """
    ticks = {}
    for line in stat.partition(b"\nintr ")[0].split(b"\n"):
        name, *fields = line.split()[: _FIELDS + 1] or (b"",)
        if not name.startswith(b"cpu") or name == b"cpu":
            continue
        try:
            numbers = tuple(map(int, fields))
            ticks[str(int(name[3:]))] = numbers + (0,) * (_FIELDS - len(numbers))
        except ValueError as error:
            raise SourceError("/proc/stat", str(error)) from error
    if not ticks:
        raise SourceError("/proc/stat", "no CPU in it")
    return ticks


def steady(before: Mapping[str, Ticks], now: Mapping[str, Ticks]) -> dict[str, Ticks]:
    """Counters that never step back; where idle falls by three seconds or more the CPU was replugged and
    starts anew.
    """
    result = {}
    for cpu, ticks in now.items():
        last = before.get(cpu)
        if last is None or all(map(ge, ticks, last)) or last[_IDLE] - ticks[_IDLE] >= _REPLUGGED_TICKS:
            result[cpu] = ticks
        else:
            result[cpu] = tuple(map(max, ticks, last))
    return result


def read_layout(tree: Tree) -> Layout:
    """What /sys says of the CPUs; all empty where there is no /sys."""
    cpus = [name for name in tree.sys_list(_FOLDER) if name.startswith("cpu") and name[3:].isdigit()]
    cores: dict[tuple[str, str], str] = {}
    packages: dict[str, str] = {}
    for cpu in cpus:
        folder = f"{_FOLDER}/{cpu}"
        package = tree.sys_or(f"{folder}/topology/physical_package_id", b"").strip().decode()
        core = tree.sys_or(f"{folder}/topology/core_id", b"").strip().decode()
        if not package.isdigit() or not core.isdigit():
            continue
        if tree.sys_or(f"{folder}/thermal_throttle/core_throttle_count", b""):
            cores.setdefault((core, package), f"{folder}/thermal_throttle/core_throttle_count")
        if tree.sys_or(f"{folder}/thermal_throttle/package_throttle_count", b""):
            packages.setdefault(package, f"{folder}/thermal_throttle/package_throttle_count")
    return Layout(
        parse_list(tree.sys_or(f"{_FOLDER}/isolated", b"")),
        _read_online(tree, cpus),
        tuple(cores.items()),
        tuple(packages.items()),
    )


def _read_online(tree: Tree, cpus: list[str]) -> tuple[tuple[str, int], ...]:
    """Nothing where the first CPU has no such file, as node_exporter does: CPU 0 often cannot be taken
    offline.
    """
    files = [(cpu[3:], tree.sys_or(f"{_FOLDER}/{cpu}/online", b"")) for cpu in cpus]
    if not files or not files[0][1]:
        return ()
    return tuple((cpu, int(text.strip() == b"1")) for cpu, text in files)


def parse_list(text: bytes) -> tuple[str, ...]:
    """CPU numbers of a kernel list such as `0-2,5`.

    Raises:
        SourceError: it is no such list.
    """
    cpus: list[str] = []
    try:
        for part in text.decode("ascii", "replace").strip().split(","):
            first, _, last = part.partition("-")
            if part:
                cpus += map(str, range(int(first), int(last or first) + 1))
    except ValueError as error:
        raise SourceError("/sys/devices/system/cpu/isolated", str(error)) from error
    return tuple(cpus)


def collect(raw: Raw) -> list[Family]:
    """Seconds of each CPU; the rest only where the machine tells it."""
    rows, guest_rows = _rows(tuple(raw.ticks))
    modes = len(_MODES)
    every = raw.ticks.values()
    layout = raw.layout
    return [
        Family(_SECONDS, rows, [tick / _TICKS_PER_SECOND for ticks in every for tick in ticks[:modes]]),
        Family(_GUEST, guest_rows, [tick / _TICKS_PER_SECOND for ticks in every for tick in ticks[modes:]]),
        Family(_ISOLATED, tuple((cpu,) for cpu in layout.isolated), (1,) * len(layout.isolated)),
        Family(_ONLINE, tuple((cpu,) for cpu, _ in layout.online), [online for _, online in layout.online]),
        Family(_CORE_THROTTLES, tuple(key for key, _ in layout.core_files), raw.core_throttles),
        Family(_PACKAGE_THROTTLES, tuple((key,) for key, _ in layout.package_files), raw.package_throttles),
    ]


@lru_cache(maxsize=4)
def _rows(cpus: tuple[str, ...]) -> tuple[Rows, Rows]:
    return (
        tuple((cpu, mode) for cpu in cpus for mode in _MODES),
        tuple((cpu, mode) for cpu in cpus for mode in _GUEST_MODES),
    )


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Cpus(host.tree).collect)
