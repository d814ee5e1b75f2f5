"""The `logind` collector: node_logind_sessions, how many sessions of each kind there are.

Source: org.freedesktop.login1(5). Each combination of seat, remote, type and class has a series, 0 included.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import BusError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.dbus import Answer, Bus, get, system_bus
from exporters.system.dbus_wire import Call, Value

INTERVAL_SECONDS = 15.0

_SESSIONS = Metric(
    "node_logind_sessions",
    Kind.GAUGE,
    "Number of sessions that logind has registered.",
    ("seat", "remote", "type", "class"),
)
_REMOTE = ("true", "false")
_OTHER = "other"
_TYPES = (_OTHER, "unspecified", "tty", "x11", "wayland", "mir", "web")
_CLASSES = (_OTHER, "user", "greeter", "lock-screen", "background")
_NO_SEAT = ""
_NAME = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_SESSION_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Session:
    """A session; `seat` is empty where it has none, as one over the network."""

    seat: str
    remote: bool
    kind: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Seats by name, and the sessions."""

    seats: tuple[str, ...]
    sessions: tuple[Session, ...]


def read(bus: Bus) -> Raw:
    """Ask logind; a session that ends meanwhile is left out.

    Raises:
        BusError: there is no logind, or it refuses.
        SourceError: it answers with something else than what it documents.
        OSError: the bus does not answer.
    """
    manager = f"{_NAME}.Manager"
    seats = _entries(bus.one(Call(_NAME, _PATH, manager, "ListSeats")))
    listed = _entries(bus.one(Call(_NAME, _PATH, manager, "ListSessions")))
    if any(len(entry) != _SESSION_FIELDS for entry in listed):
        raise SourceError("logind", "ListSessions answered with another type than a(susso)")
    names = ("Remote", "Type", "Class")
    asked = [get(_NAME, str(entry[4]), f"{_NAME}.Session", name) for entry in listed for name in names]
    answers = bus.all(asked)
    sessions = []
    for place, entry in enumerate(listed):
        session = _session(str(entry[3]), answers[place * len(names) : (place + 1) * len(names)])
        if session is not None:
            sessions.append(session)
    return Raw(tuple(str(entry[0]) for entry in seats), tuple(sessions))


def collect(raw: Raw) -> list[Family]:
    """One family with a series for each combination."""
    counts = Counter(
        (
            session.seat,
            str(session.remote).lower(),
            session.kind if session.kind in _TYPES else _OTHER,
            session.class_name if session.class_name in _CLASSES else _OTHER,
        )
        for session in raw.sessions
    )
    rows = tuple(
        (seat, remote, kind, class_name)
        for remote in _REMOTE
        for kind in _TYPES
        for class_name in _CLASSES
        for seat in dict.fromkeys((*raw.seats, _NO_SEAT))
    )
    return [Family(_SESSIONS, rows, [counts[row] for row in rows])]


def _entries(answer: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    listed = answer[0] if answer else None
    entries = [entry for entry in listed if isinstance(entry, tuple)] if isinstance(listed, list) else None
    if entries is None or any(not entry for entry in entries):
        raise SourceError("logind", "a list of another type than documented")
    return entries


def _session(seat: str, answers: Sequence[Answer]) -> Session | None:
    values = [answer[0] for answer in answers if not isinstance(answer, BusError) and answer]
    if len(values) != len(answers):
        return None
    remote, kind, class_name = values
    return Session(seat, bool(remote), str(kind), str(class_name))


def build(host: Host) -> Collector:
    """The collector on this host, in the background."""
    path = system_bus(host.tree)

    def collected() -> list[Family]:
        with Bus(path) as bus:
            return collect(read(bus))

    return Background("logind", collected, interval_seconds=INTERVAL_SECONDS).collector()
