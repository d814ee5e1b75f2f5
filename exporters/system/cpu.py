"""node_cpu_*: seconds per CPU and mode of /proc/stat; which CPUs /sys calls isolated, online or throttled;
and on demand what /proc/cpuinfo says of them.

Numbers lie in one flat list, `FIELDS` of each CPU after those of the one before: there may be 4,096 CPUs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric, Rows
from exporters.settings import Settings, expression, switch
from exporters.system import cpuinfo
from exporters.system.cputopology import Layout, Throttles, read_layout, read_throttles
from exporters.system.filters import accepts
from exporters.system.shared import SharedReads
from exporters.system.tree import Tree

GUEST = switch("collector.cpu.guest", default=True, help_text="Seconds that CPUs spent in guests.")
INFO = switch("collector.cpu.info", default=False, help_text="What /proc/cpuinfo says of the CPUs.")
FLAGS_INCLUDE = expression(
    "collector.cpu.info.flags-include", "", "Flags of the first CPU to report; switches cpu.info on."
)
BUGS_INCLUDE = expression(
    "collector.cpu.info.bugs-include", "", "Bugs of the first CPU to report; switches cpu.info on."
)
SETTINGS = (GUEST, INFO, FLAGS_INCLUDE, BUGS_INCLUDE)

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
FIELDS = len(_MODES) + len(_GUEST_MODES)
_TICKS_PER_SECOND = 100
"""USER_HZ, the unit of /proc/stat: 100 on every architecture that Linux still has (procfs assumes it too)."""
_REPLUGGED_TICKS = 3 * _TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Ticks:
    """The CPUs of /proc/stat, and `FIELDS` counters of each, one CPU after the other."""

    cpus: tuple[str, ...]
    counters: Sequence[int]


@dataclass(frozen=True, slots=True)
class Raw:
    """Ticks, the layout and its throttle counters, and what else was asked for."""

    ticks: Ticks
    layout: Layout
    throttles: Throttles
    info: Sequence[Family] = ()


class Cpus:
    """Keeps the last ticks, because some counters of the kernel step back a little now and then."""

    def __init__(
        self, tree: Tree, *, info: Callable[[bytes], Sequence[Family]] | None = None, with_guests: bool = True
    ) -> None:
        self._tree = tree
        self._info = info
        self._with_guests = with_guests
        self._layout: Layout | None = None
        self._ticks = Ticks((), ())

    def collect(self) -> list[Family]:
        """Read and collect."""
        return collect(self.read(), with_guests=self._with_guests)

    def read(self) -> Raw:
        """Read /proc/stat, the throttle counters, and the rest of /sys where the set of CPUs has changed."""
        ticks = parse_ticks(self._tree.shared(SharedReads).read(self._tree, "stat", "cpu"))
        layout = self._layout
        if layout is None or ticks.cpus != self._ticks.cpus:
            layout = read_layout(self._tree)
        try:
            throttles = read_throttles(self._tree, layout)
        except (OSError, ValueError):  # a CPU was unplugged since /proc/stat was read, or tells no number
            layout = read_layout(self._tree)
            throttles = read_throttles(self._tree, layout)
        self._layout = layout
        self._ticks = steady(self._ticks, ticks)
        info = () if self._info is None else self._info(self._tree.proc("cpuinfo"))
        return Raw(self._ticks, layout, throttles, info)


def parse_ticks(stat: bytes) -> Ticks:
    """The lines `cpu0 …` of /proc/stat; fields that an old kernel lacks count 0.

    Raises:
        SourceError: a line is malformed, or there is none.
    """
    lines = [line for line in stat.split(b"\n") if line[:3] == b"cpu" and line[3:4] != b" "]
    words = b" ".join(lines).split()
    width = FIELDS + 1
    if len(words) != width * len(lines):
        words = [word for line in lines for word in (*line.split(), *(b"0",) * FIELDS)[:width]]
    cpus = _cpus(tuple(words[::width]))
    del words[::width]
    try:
        return Ticks(cpus, list(map(int, words)))
    except ValueError as error:
        raise SourceError("/proc/stat", str(error)) from error


@lru_cache(maxsize=4)
def _cpus(names: tuple[bytes, ...]) -> tuple[str, ...]:
    try:
        cpus = tuple(str(int(name[3:])) for name in names)
    except ValueError as error:
        raise SourceError("/proc/stat", str(error)) from error
    if not cpus or len(set(cpus)) != len(cpus):
        raise SourceError("/proc/stat", "no CPU in it, or one twice")
    return cpus


def steady(before: Ticks, now: Ticks) -> Ticks:
    """Counters that never step back, nor below 0; where idle falls by three seconds or more the CPU was
    replugged and starts anew.
    """
    last = before.counters if before.cpus == now.cpus else _moved(before, now.cpus)
    if all(map(ge, now.counters, last)):
        return now
    counters: list[int] = []
    for place in range(0, len(now.counters), FIELDS):
        new, old = now.counters[place : place + FIELDS], last[place : place + FIELDS]
        replugged = old[_IDLE] - new[_IDLE] >= _REPLUGGED_TICKS
        counters += map(max, new, (0,) * FIELDS if replugged else old)
    return Ticks(now.cpus, counters)


def _moved(before: Ticks, cpus: Sequence[str]) -> list[int]:
    """The counters of `before` in the order of these CPUs, 0 for one that is new."""
    places = {cpu: number * FIELDS for number, cpu in enumerate(before.cpus)}
    nothing = (0,) * FIELDS
    found: list[int] = []
    for cpu in cpus:
        place = places.get(cpu)
        found += nothing if place is None else before.counters[place : place + FIELDS]
    return found


def collect(raw: Raw, *, with_guests: bool = True) -> list[Family]:
    """Seconds of each CPU; the rest only where the machine tells it."""
    rows, guest_rows = _rows(raw.ticks.cpus)
    seconds = [tick / _TICKS_PER_SECOND for tick in raw.ticks.counters]
    modes = len(_MODES)
    guests = [Family(_GUEST, guest_rows, _columns(seconds, range(modes, FIELDS)))] if with_guests else []
    return [
        *raw.info,
        Family(_SECONDS, rows, _columns(seconds, range(modes))),
        *guests,
        *_of_layout(raw.layout, raw.throttles),
    ]


@lru_cache(maxsize=2)
def _of_layout(layout: Layout, throttles: Throttles) -> tuple[Family, ...]:
    families = (
        Family(_ISOLATED, tuple((cpu,) for cpu in layout.isolated), (1,) * len(layout.isolated)),
        Family(_ONLINE, tuple((cpu,) for cpu, _ in layout.online), [online for _, online in layout.online]),
        Family(_CORE_THROTTLES, tuple(key for key, _ in layout.core_files), throttles.cores),
        Family(_PACKAGE_THROTTLES, tuple((key,) for key, _ in layout.package_files), throttles.packages),
    )
    return tuple(family for family in families if family.rows)


def _columns(seconds: Sequence[float], fields: range) -> list[float]:
    """The fields, each over all CPUs."""
    return [second for field in fields for second in seconds[field::FIELDS]]


@lru_cache(maxsize=4)
def _rows(cpus: tuple[str, ...]) -> tuple[Rows, Rows]:
    return (
        tuple((cpu, mode) for mode in _MODES for cpu in cpus),
        tuple((cpu, mode) for mode in _GUEST_MODES for cpu in cpus),
    )


def has_info(settings: Settings) -> bool:
    """Whether /proc/cpuinfo is wanted: said so, or by one of the two expressions."""
    return settings[INFO] or bool(settings[FLAGS_INCLUDE] or settings[BUGS_INCLUDE])


def _info(settings: Settings) -> Callable[[bytes], Sequence[Family]] | None:
    if not has_info(settings):
        return None
    flags, bugs = (
        accepts(include=given) if given else None
        for given in (settings[FLAGS_INCLUDE], settings[BUGS_INCLUDE])
    )
    return lambda text: cpuinfo.collect(cpuinfo.parse(text), flags, bugs)


def build(host: Host) -> Collector:
    """The collector on this host."""
    settings = host.settings
    return Collector(Cpus(host.tree, info=_info(settings), with_guests=settings[GUEST]).collect)
