"""What systemd tells over D-Bus (org.freedesktop.systemd1(5)): its units, and properties of theirs."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from exporters.errors import BusError, NoDataError, SourceError
from exporters.system.dbus import Answer, Bus, get, system_bus
from exporters.system.dbus_wire import Call, Value
from exporters.system.tree import Tree

DEADLINE_SECONDS = 5.0
TYPES_SECONDS = 300.0
"""How long a unit's type is remembered; it changes with the unit file alone."""

_PRIVATE = "/run/systemd/private"
_BOOTED = "/run/systemd/system"  # sd_booted(3)
_NAME = "org.freedesktop.systemd1"
_MANAGER_PATH = "/org/freedesktop/systemd1"
_MANAGER = f"{_NAME}.Manager"
_ABSENT = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
)
_TYPED = {"service": "Service", "mount": "Mount"}
_UNIT_FIELDS = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: which units, and which properties beside their states."""

    accept: Callable[[str], bool]
    tasks: bool = False
    restarts: bool = False
    start_times: bool = False

    def properties(self, unit: "Unit") -> list[tuple[str, str]]:
        """Interface and name of the properties that a unit is asked for, without its type."""
        kind = unit.kind
        asked: list[tuple[str, str]] = []
        if kind == "timer":
            asked.append(("Timer", "LastTriggerUSec"))
        if kind == "socket":
            asked += [("Socket", name) for name in ("NAccepted", "NConnections", "NRefused")]
        if kind == "service" and self.tasks:
            asked += [("Service", "TasksCurrent"), ("Service", "TasksMax")]
        if kind == "service" and self.restarts:
            asked.append(("Service", "NRestarts"))
        if self.start_times and unit.active_state == "active":
            asked.append(("Unit", "ActiveEnterTimestamp"))
        return asked


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as `ListUnits` gives it; `path` is its object."""

    name: str
    load_state: str
    active_state: str
    path: str = ""

    @property
    def kind(self) -> str:
        """What its name ends in: `service`, `timer`, …"""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Raw:
    """What systemd told.

    `types` has the type of a service or mount by the unit's name. `properties` has, by name of property and
    unit, the numbers that were asked for and exist, as systemd counts them (instants in microseconds).
    """

    version: str
    virtualization: str | None
    system_state: str
    units: tuple[Unit, ...]
    types: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def shown(self, accept: Callable[[str], bool]) -> list[Unit]:
        """The units that are loaded and accepted, each once."""
        return shown(self.units, accept)


def shown(units: Iterable[Unit], accept: Callable[[str], bool]) -> list[Unit]:
    """Of these units those that are loaded and accepted, each once."""
    found = {unit.name: unit for unit in units if unit.load_state == "loaded" and accept(unit.name)}
    return list(found.values())


class Systemd:
    """Reads systemd over the first of `buses` that can be reached: a socket, and whether a bus is behind it.

    `booted` is the folder that is there where systemd runs.
    """

    def __init__(
        self,
        buses: Sequence[tuple[str, bool]],
        wanted: Wanted,
        *,
        booted: str = _BOOTED,
        deadline_seconds: float = DEADLINE_SECONDS,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._buses = buses
        self._wanted = wanted
        self._booted = booted
        self._deadline_seconds = deadline_seconds
        self._steady = steady
        self._types: dict[str, str] = {}
        self._types_until = 0.0

    @classmethod
    def below(cls, tree: Tree, wanted: Wanted, *, private: bool = False) -> "Systemd":
        """The systemd of a tree's root file system: over the bus and, for root, systemd's own socket."""
        direct = (tree.below_root(_PRIVATE), False)
        buses = [direct] if private else [(system_bus(tree), True)]
        if not private and os.geteuid() == 0:
            buses.append(direct)
        return cls(buses, wanted, booted=tree.below_root(_BOOTED))

    def is_running(self) -> bool:
        """Whether systemd runs the system whose files these are."""
        return Path(self._booted).is_dir()

    def read(self) -> Raw:
        """Ask for everything.

        Raises:
            NoDataError: no systemd runs here.
            BusError: it refuses.
            SourceError: it answers with something else than what it documents.
            OSError: nobody listens, or no answer came in time.
        """
        failure: OSError | None = None
        for path, is_bus in self._buses:
            if not Path(path).exists():
                continue
            try:
                with Bus(path, hello=is_bus, deadline_seconds=self._deadline_seconds) as bus:
                    return self._ask(bus)
            except OSError as error:
                failure = error
            except BusError as error:
                if error.name in _ABSENT:
                    raise NoDataError("no systemd on the bus") from error
                raise
        if failure is not None:
            raise failure
        if not self.is_running():
            raise NoDataError("no systemd")
        raise FileNotFoundError(
            f"no socket of systemd or a bus: {', '.join(path for path, _ in self._buses)}"
        )

    def _ask(self, bus: Bus) -> Raw:
        manager = [get(_NAME, _MANAGER_PATH, _MANAGER, name) for name in _MANAGER_PROPERTIES]
        listed, *answers = bus.all([Call(_NAME, _MANAGER_PATH, _MANAGER, "ListUnits"), *manager])
        if isinstance(listed, BusError):
            raise listed
        units = parse_units(listed)
        version, virtualization, state = [_text(answer) for answer in answers]
        accepted = shown(units, self._wanted.accept)
        return Raw(
            version or "",
            virtualization,
            state or "",
            units,
            self._read_types(bus, accepted),
            self._read_properties(bus, accepted),
        )

    def _read_types(self, bus: Bus, units: Sequence[Unit]) -> dict[str, str]:
        if self._steady() >= self._types_until:
            self._types = {}
            self._types_until = self._steady() + TYPES_SECONDS
        typed = [unit for unit in units if unit.kind in _TYPED]
        unknown = [unit for unit in typed if unit.name not in self._types]
        answers = bus.all([get(_NAME, unit.path, f"{_NAME}.{_TYPED[unit.kind]}", "Type") for unit in unknown])
        for unit, answer in zip(unknown, answers, strict=True):
            self._types[unit.name] = _text(answer) or ""
        self._types = {unit.name: self._types[unit.name] for unit in typed}
        return dict(self._types)

    def _read_properties(self, bus: Bus, units: Sequence[Unit]) -> dict[str, dict[str, int]]:
        asked = [(unit, face, name) for unit in units for face, name in self._wanted.properties(unit)]
        answers = bus.all([get(_NAME, unit.path, f"{_NAME}.{face}", name) for unit, face, name in asked])
        properties: dict[str, dict[str, int]] = {}
        for (unit, _, name), answer in zip(asked, answers, strict=True):
            number = _number(answer)
            if number is not None:
                properties.setdefault(name, {})[unit.name] = number
        return properties


_MANAGER_PROPERTIES = ("Version", "Virtualization", "SystemState")


def parse_units(answer: tuple[Value, ...]) -> tuple[Unit, ...]:
    """The units in an answer of `ListUnits`, a(ssssssouso).

    Raises:
        SourceError: it has another type.
    """
    listed = answer[0] if answer else None
    units = []
    for entry in listed if isinstance(listed, list) else [None]:
        if not isinstance(entry, tuple) or len(entry) != _UNIT_FIELDS:
            raise SourceError("systemd", "ListUnits answered with another type than a(ssssssouso)")
        name, _, load_state, active_state, _, _, path, *_ = entry
        units.append(Unit(*_texts(name, load_state, active_state, path)))
    return tuple(units)


def _texts(*values: Value) -> list[str]:
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) != len(values):
        raise SourceError("systemd", "ListUnits answered with another type than a(ssssssouso)")
    return texts


def _text(answer: Answer) -> str | None:
    if isinstance(answer, BusError) or not answer or not isinstance(answer[0], str):
        return None
    return answer[0]


def _number(answer: Answer) -> int | None:
    if isinstance(answer, BusError) or not answer or not isinstance(answer[0], int):
        return None
    return answer[0]
