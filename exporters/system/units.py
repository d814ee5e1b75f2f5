"""The `units` collector: what each systemd unit and each container uses, which node_exporter does not tell.

CPU, memory, tasks, I/O and pressure of cgroup v2 (exporters/system/cgroup_tree.py). It is not called
`cgroups`, because node_exporter has a collector of that name, which counts the kernel's controllers. The
hierarchy is walked in the background.
"""

from collections.abc import Callable, Mapping, Sequence

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Row
from exporters.settings import duration, expression, whole
from exporters.system.cgroup_tree import Key, Raw, Values, read
from exporters.system.container_names import ContainerNames
from exporters.system.filters import accepts
from exporters.system.toplist import Numbers, TopList
from exporters.system.usage import Series, Sheet, single

INCLUDE = expression(
    "collector.units.include",
    "",
    "Units to report by name, containers as RUNTIME/NAME; not with exclude.",
)
EXCLUDE = expression("collector.units.exclude", "", "Units and containers not to report.")
MOST = whole(
    "collector.units.most",
    100,
    "Units, and containers, that have series of their own; the others are one called other.",
    least=1,
    most=10_000,
)
INTERVAL = duration("collector.units.interval", 15.0, "How often the hierarchy is walked.")
SETTINGS = (INCLUDE, EXCLUDE, MOST, INTERVAL)

_COUNTER, _GAUGE = Kind.COUNTER, Kind.GAUGE
_RESOURCES = ("cpu", "memory", "io")
_SERIES = (
    Series(
        "cpu_seconds_total",
        _COUNTER,
        "CPU time that the {} used.",
        (("cpu_user", "user"), ("cpu_system", "system")),
        ("mode",),
    ),
    single(
        "cpu_throttled",
        "cpu_throttled_seconds_total",
        _COUNTER,
        "Time in which the limit of CPU held the {} up.",
    ),
    single("memory", "memory_bytes", _GAUGE, "Memory of the {}, with its page cache."),
    single("memory_peak", "memory_peak_bytes", _GAUGE, "Most memory that the {} has had.", has_other=False),
    single(
        "memory_limit",
        "memory_limit_bytes",
        _GAUGE,
        "Memory that the {} may have, where it is limited.",
        has_other=False,
    ),
    single("swap", "swap_bytes", _GAUGE, "Memory of the {} that is swapped out."),
    single("oom_kills", "oom_kills_total", _COUNTER, "Processes of the {} killed for want of memory."),
    single("tasks", "tasks", _GAUGE, "Processes and threads of the {}."),
    single("read_bytes", "io_read_bytes_total", _COUNTER, "Bytes that the {} read from disks."),
    single("written_bytes", "io_written_bytes_total", _COUNTER, "Bytes that the {} wrote to disks."),
    single("reads", "io_reads_total", _COUNTER, "Reads of the {} from disks."),
    single("writes", "io_writes_total", _COUNTER, "Writes of the {} to disks."),
    Series(
        "pressure_waiting_seconds_total",
        _COUNTER,
        "Time in which some task of the {} waited for the resource.",
        tuple((f"{resource}_waiting", resource) for resource in _RESOURCES),
        ("resource",),
    ),
    Series(
        "pressure_stalled_seconds_total",
        _COUNTER,
        "Time in which all tasks of the {} waited for the resource.",
        tuple((f"{resource}_stalled", resource) for resource in _RESOURCES),
        ("resource",),
    ),
)
_SHEETS = {
    kind: Sheet(kind, labels, _SERIES, Values._fields)
    for kind, labels in {"unit": ("unit",), "container": ("runtime", "container")}.items()
}
_INFO = Metric(
    "steward_container_info",
    Kind.GAUGE,
    "What the container is called, where its runtime tells: in Kubernetes NAMESPACE/POD/CONTAINER.",
    ("runtime", "container", "name"),
)
_CPU = (Values._fields.index("cpu_user"), Values._fields.index("cpu_system"))
_MEMORY = Values._fields.index("memory")


class Shares:
    """What share of all that is used each uses, of CPU time or of memory, whichever is more."""

    def __init__(self) -> None:
        self._cpu = self._memory = 0.0

    def of_all(self, used: Mapping[Row, Numbers]) -> None:
        """Take the reading that the shares are of."""
        self._cpu = sum(_cpu(numbers) for numbers in used.values())
        self._memory = sum(numbers[_MEMORY] or 0 for numbers in used.values())

    def __call__(self, numbers: Numbers) -> float:
        """The share of one."""
        cpu = _cpu(numbers) / self._cpu if self._cpu else 0.0
        return max(cpu, (numbers[_MEMORY] or 0) / self._memory if self._memory else 0.0)


class Users:
    """Makes families of readings; keeps what those used that have no series of their own."""

    def __init__(self, most: int, accept: Callable[[str], bool]) -> None:
        self._accept = accept
        self._shares = Shares()
        self._lists = {
            kind: TopList[Row](most, sheet.is_counter, self._shares) for kind, sheet in _SHEETS.items()
        }

    def collect(self, raw: Raw) -> list[Family]:
        """Two families for each number: of the units and of the containers."""
        families: list[Family] = []
        for kind, sheet in _SHEETS.items():
            used: dict[Row, Numbers] = {
                key.labels: values
                for key, values in raw.used.items()
                if key.kind == kind and self._accept("/".join(key.labels))
            }
            self._shares.of_all(used)
            chosen = self._lists[kind].choose(used)
            families += sheet.families(chosen)
            named = [
                (*labels, raw.names[key])
                for labels in chosen.shown
                if (key := Key(kind, labels)) in raw.names
            ]
            if named:
                families.append(Family(_INFO, tuple(named), [1] * len(named)))
        return families


def _cpu(numbers: Numbers) -> float:
    return sum(numbers[place] or 0 for place in _CPU)


def build(host: Host) -> Collector:
    """The collector on this host, in the background."""
    settings = host.settings
    users = Users(settings[MOST], accepts(include=settings[INCLUDE], exclude=settings[EXCLUDE]))
    names = ContainerNames(host.tree)

    def collected() -> Sequence[Family]:
        return users.collect(read(host.tree, names))

    return Background("units", collected, interval_seconds=settings[INTERVAL]).collector()
