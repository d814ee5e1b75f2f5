"""The `systemd` collector: node_systemd_*, states of units and what timers and sockets did.

Source: systemd's D-Bus interface, org.freedesktop.systemd1(5). All units come in one call and properties are
asked for many at once; a unit's type is asked for again only now and then, since it changes with its unit
file alone. Read in the background: a busy systemd answers late.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.samples import Family, Kind, Metric, Number, Row
from exporters.settings import Settings, expression, switch
from exporters.system import systemctl
from exporters.system.systemd_bus import Raw, Systemd, Unit, Wanted
from exporters.system.tree import Tree

INCLUDE = expression(
    "collector.systemd.unit-include",
    ".+",
    "Units to report, as a whole name; they must match this and not unit-exclude.",
)
EXCLUDE = expression(
    "collector.systemd.unit-exclude",
    r".+\.(automount|device|mount|scope|slice)",
    "Units not to report, as a whole name.",
)
TASKS = switch(
    "collector.systemd.enable-task-metrics",
    default=False,
    help_text="Tasks of services, and how many may be.",
)
RESTARTS = switch(
    "collector.systemd.enable-restarts-metrics", default=False, help_text="How often services were restarted."
)
START_TIMES = switch(
    "collector.systemd.enable-start-time-metrics", default=False, help_text="Start time of units."
)
PRIVATE = switch(
    "collector.systemd.private", default=False, help_text="Ask systemd itself, without a bus; needs root."
)
SETTINGS = (INCLUDE, EXCLUDE, TASKS, RESTARTS, START_TIMES, PRIVATE)

INTERVAL_SECONDS = 15.0


def _metric(name: str, kind: Kind, text: str, *labels: str) -> Metric:
    return Metric(f"node_systemd_{name}", kind, text, labels)


_VERSION = _metric("version", Kind.GAUGE, "Version of systemd, as a number and as it says it.", "version")
_VIRTUALIZATION = _metric(
    "virtualization_info",
    Kind.GAUGE,
    "The virtualization that systemd found itself in.",
    "virtualization_type",
)
_RUNNING = _metric("system_running", Kind.GAUGE, "Whether all is well (see systemctl is-system-running).")
_SUMMARY = _metric("units", Kind.GAUGE, "How many units are in this state.", "state")
_STATE = _metric("unit_state", Kind.GAUGE, "Whether the unit is in this state.", "name", "state", "type")
_START = _metric("unit_start_time_seconds", Kind.GAUGE, "When the unit became active, in unixtime.", "name")
_TASKS = _metric("unit_tasks_current", Kind.GAUGE, "Tasks of the service.", "name")
_TASKS_MOST = _metric("unit_tasks_max", Kind.GAUGE, "Tasks that the service may have.", "name")
_RESTARTS = _metric("service_restart_total", Kind.COUNTER, "How often the service was restarted.", "name")
_TRIGGER = _metric(
    "timer_last_trigger_seconds", Kind.GAUGE, "When the timer last elapsed, in unixtime.", "name"
)
_ACCEPTED = _metric(
    "socket_accepted_connections_total", Kind.COUNTER, "Connections that the socket accepted.", "name"
)
_CURRENT = _metric("socket_current_connections", Kind.GAUGE, "Connections that the socket has.", "name")
_REFUSED = _metric(  # a gauge in node_exporter too
    "socket_refused_connections_total", Kind.GAUGE, "Connections that the socket refused.", "name"
)

_STATES = ("active", "activating", "deactivating", "inactive", "failed")
_MICROSECONDS = 1e6
_UNLIMITED = 2**64 - 1
_LEAST_STATE_VERSION = 212
_VERSION_NUMBER = re.compile(r"[0-9]{3,}(\.[0-9]+)?")


class Units:
    """Makes families of readings, with the rows of the last one where the units are the same."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._named: tuple[tuple[str, str], ...] = ()
        self._rows: tuple[Row, ...] = ()

    def collect(self, raw: Raw) -> list[Family]:
        """The families of a reading."""
        units = raw.shown(self._wanted.accept)
        named = tuple((unit.name, raw.types.get(unit.name, "")) for unit in units)
        if named != self._named:
            self._named = named
            self._rows = tuple((name, state, kind) for name, kind in named for state in _STATES)
        states = [int(unit.active_state == state) for unit in units for state in _STATES]
        number = version_number(raw.version)
        families = [
            Family(_VERSION, ((raw.version if number else "",),), (number,)),
            Family(_VIRTUALIZATION, ((_virtualization(raw),),), (1,)),
            _summary(raw.units),
            Family(_STATE, self._rows, states),
            *_numbers(raw.properties),
        ]
        if self._wanted.start_times:
            families.append(_start_times(units, raw.properties.get("ActiveEnterTimestamp", {})))
        if number >= _LEAST_STATE_VERSION:
            families.append(_RUNNING.one(int(raw.system_state == "running")))
        return families


def version_number(version: str) -> float:
    """The number in a version such as `252.22-1~deb12u1`; 0 where there is none."""
    match = _VERSION_NUMBER.search(version)
    return float(match[0]) if match else 0


def accepts(include: str, exclude: str) -> Callable[[str], bool]:
    """Whether a unit's whole name matches the first expression and not the second."""
    included, excluded = re.compile(include), re.compile(exclude)
    return lambda name: included.fullmatch(name) is not None and excluded.fullmatch(name) is None


def _virtualization(raw: Raw) -> str:
    if raw.virtualization is None:
        return "unknown"
    return raw.virtualization or "none"


def _summary(units: Iterable[Unit]) -> Family:
    counts = dict.fromkeys(_STATES, 0)
    for unit in units:
        counts[unit.active_state] = counts.get(unit.active_state, 0) + 1
    return Family(_SUMMARY, tuple((state,) for state in counts), tuple(counts.values()))


def _start_times(units: Iterable[Unit], entered: Mapping[str, int]) -> Family:
    """0 where the unit is not active, as node_exporter sends it; absent where systemd did not tell."""
    times = {unit.name: entered.get(unit.name) if unit.active_state == "active" else 0 for unit in units}
    return _by_name(_START, {name: time / _MICROSECONDS for name, time in times.items() if time is not None})


def _numbers(properties: Mapping[str, Mapping[str, int]]) -> list[Family]:
    triggers = properties.get("LastTriggerUSec", {})
    limited = {
        metric: {name: tasks for name, tasks in properties.get(which, {}).items() if tasks != _UNLIMITED}
        for metric, which in ((_TASKS, "TasksCurrent"), (_TASKS_MOST, "TasksMax"))
    }
    return [
        _by_name(_TRIGGER, {name: time / _MICROSECONDS for name, time in triggers.items()}),
        _by_name(_ACCEPTED, properties.get("NAccepted", {})),
        _by_name(_CURRENT, properties.get("NConnections", {})),
        _by_name(_REFUSED, properties.get("NRefused", {})),
        _by_name(_RESTARTS, properties.get("NRestarts", {})),
        *[_by_name(metric, tasks) for metric, tasks in limited.items()],
    ]


def _by_name(metric: Metric, values: Mapping[str, Number]) -> Family:
    return Family(metric, tuple((name,) for name in values), tuple(values.values()))


def reader(tree: Tree, asked: Wanted, *, private: bool = False) -> Callable[[], Raw]:
    """What reads systemd below this root: D-Bus, and systemctl where nothing answers there.

    The reader raises:
        NoDataError: no systemd runs here.
        ExporterError: it answers with something else than what it documents, or refuses.
        OSError: nothing can be reached.
    """
    systemd = Systemd.below(tree, asked, private=private)

    def read() -> Raw:
        try:
            return systemd.read()
        except OSError:
            if tree.rootfs != "/" or not systemd.is_running() or not systemctl.is_there():
                raise
        return systemctl.read(asked)

    return read


def wanted(settings: Settings) -> Wanted:
    """What the flags ask for."""
    accept = accepts(settings[INCLUDE], settings[EXCLUDE])
    return Wanted(accept, settings[TASKS], settings[RESTARTS], settings[START_TIMES])


def build(host: Host) -> Collector:
    """The collector on this host, in the background."""
    asked = wanted(host.settings)
    units = Units(asked)
    read = reader(host.tree, asked, private=host.settings[PRIVATE])
    return Background("systemd", lambda: units.collect(read()), interval_seconds=INTERVAL_SECONDS).collector()
