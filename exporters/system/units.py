"""The `units` collector: what each systemd unit and each container uses, which node_exporter does not tell.

CPU, memory, tasks, I/O and pressure of cgroup v2 (exporters/system/cgroup_tree.py). It is not called
`cgroups`, because node_exporter has a collector of that name, which counts the kernel's controllers. The
hierarchy is walked in the background.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Number, Row
from exporters.settings import duration, expression, whole
from exporters.system.cgroup_tree import Key, Raw, Values, read
from exporters.system.filters import accepts
from exporters.system.toplist import Chosen, Numbers, TopList

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

OTHER = "other"

_LABELS = {"unit": ("unit",), "container": ("runtime", "container")}


@dataclass(frozen=True, slots=True)
class _Series:
    """A metric of each unit and container: the end of its name, and the numbers with their label."""

    name: str
    kind: Kind
    help: str
    fields: tuple[tuple[str, ...], ...]
    label: tuple[str, ...] = ()


def _plain(field: str, name: str, kind: Kind, words: str) -> _Series:
    return _Series(name, kind, words, ((field,),))


_RESOURCES = ("cpu", "memory", "io")
_SERIES = (
    _Series(
        "cpu_seconds_total",
        Kind.COUNTER,
        "CPU time that the {} used.",
        (("cpu_user", "user"), ("cpu_system", "system")),
        ("mode",),
    ),
    _plain(
        "cpu_throttled",
        "cpu_throttled_seconds_total",
        Kind.COUNTER,
        "Time that the {}'s limit of CPU held it up.",
    ),
    _plain("memory", "memory_bytes", Kind.GAUGE, "Memory of the {}, with its page cache."),
    _plain("memory_peak", "memory_peak_bytes", Kind.GAUGE, "Most memory that the {} has had."),
    _plain(
        "memory_limit", "memory_limit_bytes", Kind.GAUGE, "Memory that the {} may have, where it is limited."
    ),
    _plain("swap", "swap_bytes", Kind.GAUGE, "Memory of the {} that is swapped out."),
    _plain("oom_kills", "oom_kills_total", Kind.COUNTER, "Processes of the {} killed for want of memory."),
    _plain("tasks", "tasks", Kind.GAUGE, "Processes and threads of the {}."),
    _plain("read_bytes", "io_read_bytes_total", Kind.COUNTER, "Bytes that the {} read from disks."),
    _plain("written_bytes", "io_written_bytes_total", Kind.COUNTER, "Bytes that the {} wrote to disks."),
    _plain("reads", "io_reads_total", Kind.COUNTER, "Reads of the {} from disks."),
    _plain("writes", "io_writes_total", Kind.COUNTER, "Writes of the {} to disks."),
    _Series(
        "pressure_waiting_seconds_total",
        Kind.COUNTER,
        "Time in which some task of the {} waited for the resource.",
        tuple((f"{resource}_waiting", resource) for resource in _RESOURCES),
        ("resource",),
    ),
    _Series(
        "pressure_stalled_seconds_total",
        Kind.COUNTER,
        "Time in which all tasks of the {} waited for the resource.",
        tuple((f"{resource}_stalled", resource) for resource in _RESOURCES),
        ("resource",),
    ),
)
_KINDS = {field[0]: series.kind for series in _SERIES for field in series.fields}
_IS_COUNTER = tuple(_KINDS[field] is Kind.COUNTER for field in Values._fields)
_PLACES = {field: place for place, field in enumerate(Values._fields)}
_OWN_ONLY = ("memory_peak", "memory_limit")
"""Numbers whose sum over several would mean nothing."""

_METRICS = {
    kind: tuple(
        Metric(
            f"steward_{kind}_{series.name}", series.kind, series.help.format(kind), (*labels, *series.label)
        )
        for series in _SERIES
    )
    for kind, labels in _LABELS.items()
}


def weight(numbers: Numbers, cpu_all: float, memory_all: float) -> float:
    """How much of all that is used one uses, of CPU time or memory, whichever is more."""
    cpu = (numbers[_PLACES["cpu_user"]] or 0) + (numbers[_PLACES["cpu_system"]] or 0)
    memory = numbers[_PLACES["memory"]] or 0
    return max(cpu / cpu_all if cpu_all else 0.0, memory / memory_all if memory_all else 0.0)


class Users:
    """Makes families of readings; keeps what the others used."""

    def __init__(self, most: int, accept: Callable[[str], bool]) -> None:
        self._accept = accept
        self._sums = (0.0, 0.0)
        self._lists = {kind: TopList[Key](most, _IS_COUNTER, self._weight) for kind in _LABELS}

    def collect(self, raw: Raw) -> list[Family]:
        """Two families for each number: of the units and of the containers."""
        used = {key: values for key, values in raw.used.items() if self._accept("/".join(key.labels))}
        families: list[Family] = []
        for kind, chosen_from in self._lists.items():
            own = {key: values for key, values in used.items() if key.kind == kind}
            self._sums = (_total(own, "cpu_user") + _total(own, "cpu_system"), _total(own, "memory"))
            families += _families(kind, chosen_from.choose(own))
        return families

    def _weight(self, numbers: Numbers) -> float:
        return weight(numbers, *self._sums)


def _total(used: Mapping[Key, Values], field: str) -> float:
    return sum(values[_PLACES[field]] or 0 for values in used.values())


def _families(kind: str, chosen: Chosen[Key]) -> Iterable[Family]:
    other = (OTHER,) * len(_LABELS[kind])
    everybody: list[tuple[Row, Numbers]] = [(key.labels, numbers) for key, numbers in chosen.shown.items()]
    for metric, series in zip(_METRICS[kind], _SERIES, strict=True):
        rows: list[Row] = []
        values: list[Number] = []
        for labels, numbers in [*everybody, (other, chosen.other)]:
            for field, *label in series.fields:
                value = numbers[_PLACES[field]]
                if value is not None and not (labels is other and field in _OWN_ONLY):
                    rows.append((*labels, *label))
                    values.append(value)
        yield Family(metric, tuple(rows), values)


def build(host: Host) -> Collector:
    """The collector on this host, in the background."""
    settings = host.settings
    users = Users(settings[MOST], accepts(include=settings[INCLUDE], exclude=settings[EXCLUDE]))

    def collected() -> Sequence[Family]:
        return users.collect(read(host.tree))

    return Background("units", collected, interval_seconds=settings[INTERVAL]).collector()
