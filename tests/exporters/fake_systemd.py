"""A systemd and a logind that answer over the D-Bus of tests/exporters/dbus_server.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.exporters.dbus_server import RefusedError, Variant

UNKNOWN_PROPERTY = "org.freedesktop.DBus.Error.UnknownProperty"
ALL_BITS = 2**64 - 1


def object_path(name: str) -> str:
    """A unit's object, escaped as systemd does."""
    return "/org/freedesktop/systemd1/unit/" + "".join(
        letter
        if letter.isalnum() and letter.isascii()
        else "".join(f"_{byte:02x}" for byte in letter.encode())
        for letter in name
    )


@dataclass
class FakeUnit:
    """A unit; properties by interface and name."""

    name: str
    active_state: str = "active"
    load_state: str = "loaded"
    properties: dict[tuple[str, str], Variant] = field(default_factory=dict)


def service(name: str, active: str = "active", kind: str = "simple", **numbers: int) -> FakeUnit:
    """A service with its type and counts."""
    codes = {"NRestarts": "u", "TasksCurrent": "t", "TasksMax": "t"}
    properties = {("Service", key): Variant(codes[key], value) for key, value in numbers.items()}
    return FakeUnit(name, active, "loaded", {("Service", "Type"): Variant("s", kind), **properties})


def units() -> list[FakeUnit]:
    """Some of each kind, odd ones among them."""
    entered = {("Unit", "ActiveEnterTimestamp"): Variant("t", 1_700_000_000_123_456)}
    ssh = service("ssh.service", kind="notify", NRestarts=2, TasksCurrent=1, TasksMax=4915)
    ssh.properties.update(entered)
    return [
        ssh,
        service("backup.service", "failed", "oneshot", NRestarts=0, TasksCurrent=ALL_BITS, TasksMax=ALL_BITS),
        service("odd\\x2dname@1.service", "activating"),
        FakeUnit("gone.service", "inactive", "not-found"),
        FakeUnit("masked.service", "inactive", "masked"),
        FakeUnit("reloading.target", "reloading", properties=entered),
        FakeUnit("system.slice", properties=entered),
        FakeUnit("home.mount", properties={("Mount", "Type"): Variant("s", "ext4"), **entered}),
        FakeUnit("apt.timer", properties={("Timer", "LastTriggerUSec"): Variant("t", 1_700_000_001_500_000)}),
        FakeUnit("new.timer", "inactive", properties={("Timer", "LastTriggerUSec"): Variant("t", 0)}),
        FakeUnit(
            "dbus.socket",
            properties={
                ("Socket", "NAccepted"): Variant("u", 7),
                ("Socket", "NConnections"): Variant("u", 3),
                ("Socket", "NRefused"): Variant("u", 1),
                **entered,
            },
        ),
        FakeUnit(
            "old.socket",
            properties={
                ("Socket", "NAccepted"): Variant("u", 4_294_967_295),
                ("Socket", "NConnections"): Variant("u", 0),
            },
        ),
    ]


@dataclass
class FakeSystemd:
    """Answers for org.freedesktop.systemd1 and org.freedesktop.login1."""

    units: list[FakeUnit] = field(default_factory=units)
    version: str = "252.22-1~deb12u1"
    virtualization: str = "kvm"
    state: str = "running"
    sessions: dict[str, tuple[str, bool, str, str]] = field(default_factory=dict)
    """By object path: seat, remote, type, class."""

    def __call__(self, path: str, interface: str, member: str, arguments: list[str]) -> tuple[str, list[Any]]:
        if member == "ListUnits":
            return "a(ssssssouso)", [[self._listed(unit) for unit in self.units]]
        if member == "ListSeats":
            return "a(so)", [[("seat0", "/org/freedesktop/login1/seat/seat0")]]
        if member == "ListSessions":
            listed = [
                (f"s{i}", 1000, "ada", of[0], path) for i, (path, of) in enumerate(self.sessions.items())
            ]
            return "a(susso)", [listed]
        if member == "Get":
            return "v", [self._property(path, *arguments)]
        raise RefusedError("org.freedesktop.DBus.Error.UnknownMethod")

    @staticmethod
    def _listed(unit: FakeUnit) -> tuple[Any, ...]:
        path = object_path(unit.name)
        return (unit.name, "A unit: ünit", unit.load_state, unit.active_state, "x", "", path, 0, "", "/")

    def _property(self, path: str, interface: str, name: str) -> Variant:
        short = interface.rpartition(".")[2]
        if short == "Manager":
            known = {
                "Version": self.version,
                "Virtualization": self.virtualization,
                "SystemState": self.state,
            }
            if name in known:
                return Variant("s", known[name])
        for unit in self.units:
            if object_path(unit.name) == path and (short, name) in unit.properties:
                return unit.properties[short, name]
        if path in self.sessions and short == "Session":
            _, remote, kind, class_name = self.sessions[path]
            return {
                "Remote": Variant("b", remote),
                "Type": Variant("s", kind),
                "Class": Variant("s", class_name),
            }[name]
        raise RefusedError(UNKNOWN_PROPERTY)
