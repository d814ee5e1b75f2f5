"""Rules of machines: numbers, sets, power and schedules, and names that Proxmox would refuse."""

from __future__ import annotations

import re
import zoneinfo
from typing import TYPE_CHECKING, Final

from controller.policy.days import parse_days
from controller.policy.places import key_position, value_position
from controller.policy.problems import did_you_mean, quoted
from controller.policy.readings import entries_of, given, map_of, number_of, text_of
from controller.policy.scalars import seconds_of

if TYPE_CHECKING:
    from controller.policy.merge import Merged
    from controller.policy.places import Value
    from controller.policy.readings import Path

__all__ = ["check_machines"]

_LONGEST_STOP_SECONDS: Final = 3_600
_SHORTEST_IDLE_SECONDS: Final = 300
_CONDITIONS: Final = ("cluster", "tags", "name")
_ZONES_OF_THE_MACHINE: Final = frozenset(("localtime", "Factory", "posixrules"))
_NAMES: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    ("pools", re.compile(r"[A-Za-z][A-Za-z0-9._-]*"), "pool"),
    ("storages", re.compile(r"[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]"), "storage"),
    ("nodes", re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"), "node"),
)
"""What Proxmox takes as a name (pve-access-control, pve-storage, a node's host name)."""


def check_machines(merged: Merged) -> None:
    """Report what is wrong with machines, sets, pools, storages, nodes and schedules."""
    _check_vmids(merged)
    for section, pattern, noun in _NAMES:
        for name in merged.entries(section):
            if not pattern.fullmatch(name):
                message = f"{quoted(name)} can be no {noun} of Proxmox: {_PROXMOX_SAYS[noun]}"
                merged.report(key_position(merged.place, (section, name)), message)
    for path, entry in entries_of(merged, "machine_sets"):
        _check_set(merged, path, entry)
    for path, entry in entries_of(merged, "machines", "machine_sets"):
        power = map_of(entry, "power")
        if power:
            _check_power(merged, (*path, "power"), power)
    for path, entry in entries_of(merged, "schedules"):
        _check_schedule(merged, path, entry)
    _check_one_machine(merged)


_PROXMOX_SAYS: Final = {
    "pool": "a letter first, letters, digits and . _ -",
    "storage": "a letter first, at least two characters, letters, digits and . _ -",
    "node": "it is a host name, letters, digits and -",
}


def _check_vmids(merged: Merged) -> None:
    seen: dict[tuple[str, int], str] = {}
    for path, machine in entries_of(merged, "machines"):
        vmid, name = number_of(machine, "vmid"), str(path[1])
        if vmid is None:
            continue
        first = seen.setdefault((str(machine.get("cluster")), vmid), name)
        if first != name:
            where = value_position(merged.place, ("machines", first, "vmid"))
            message = f"vmid {vmid} is that of {quoted(first)} already, at {where}"
            merged.report(value_position(merged.place, (*path, "vmid")), message)


def _check_set(merged: Merged, path: Path, entry: dict[str, Value]) -> None:
    match = entry.get("match")
    if isinstance(match, dict) and not any(value not in (None, "", ()) for value in match.values()):
        message = f"a set without a condition would hold every machine: give {', '.join(_CONDITIONS)}"
        merged.report(value_position(merged.place, (*path, "match")), message)
    least, most = (number_of(map_of(entry, "expect"), name) for name in ("min", "max"))
    if least is not None and most is not None and least > most:
        message = f"min {least} is more than max {most}: the set would never be applied"
        merged.report(value_position(merged.place, (*path, "expect", "min")), message)


def _check_power(merged: Merged, path: Path, power: dict[str, Value]) -> None:
    if given(power, "schedule") and given(power, "state"):
        merged.report(
            key_position(merged.place, (*path, "state")), "power has a schedule or a state, not both"
        )
    if given(power, "idle_shutdown") and power.get("state") in ("running", "stopped"):
        message = f"a machine whose state is {power['state']} is not shut down when idle: drop one of both"
        merged.report(key_position(merged.place, (*path, "idle_shutdown")), message)
    idle = seconds_of(text_of(power, "idle_shutdown"))
    if idle is not None and idle < _SHORTEST_IDLE_SECONDS:
        message = f"{quoted(power['idle_shutdown'])} is too short to tell idle from waiting: at least 5m"
        merged.report(value_position(merged.place, (*path, "idle_shutdown")), message)
    if given(power, "stop") and given(power, "schedule") and not given(power, "idle_shutdown"):
        message = "a schedule says itself how it stops: stop is for state and idle_shutdown"
        merged.report(key_position(merged.place, (*path, "stop")), message)
    _check_stopping(merged, (*path, "stop"), map_of(power, "stop"))


def _check_stopping(merged: Merged, path: Path, stop: dict[str, Value]) -> None:
    """How a machine is stopped: who pulls the plug waits for nothing."""
    if stop.get("how") == "stop":
        for name in ("timeout", "on_timeout"):
            if given(stop, name):
                message = f"how: stop waits for nothing: {name} is for shutdown"
                merged.report(key_position(merged.place, (*path, name)), message)
    seconds = seconds_of(text_of(stop, "timeout"))
    if seconds is not None and not 1 <= seconds <= _LONGEST_STOP_SECONDS:
        message = f"{quoted(stop['timeout'])} is no time to wait for a guest: 1s to 1h"
        merged.report(value_position(merged.place, (*path, "timeout")), message)


def _check_schedule(merged: Merged, path: Path, schedule: dict[str, Value]) -> None:
    zone = text_of(schedule, "time_zone")
    if zone and not _is_zone(zone):
        meant = did_you_mean(zone, zoneinfo.available_timezones() - _ZONES_OF_THE_MACHINE)
        message = f"unknown time zone {quoted(zone)}: a name of the IANA list, as Europe/Paris"
        merged.report(value_position(merged.place, (*path, "time_zone")), message, meant)
    if not given(schedule, "start") and not given(schedule, "stop"):
        message = "a schedule needs a start or a stop: this one does nothing"
        merged.report(key_position(merged.place, path), message)
    days = {part: _days(merged, (*path, part), map_of(schedule, part)) for part in ("start", "stop")}
    times = {part: text_of(map_of(schedule, part), "at") for part in ("start", "stop")}
    if times["start"] and times["start"] == times["stop"] and days["start"] & days["stop"]:
        message = f"start and stop at the same instant, {times['stop']}: nobody could say which comes last"
        merged.report(value_position(merged.place, (*path, "stop", "at")), message)
    _check_stopping(merged, (*path, "stop"), map_of(schedule, "stop"))


def _days(merged: Merged, path: Path, part: dict[str, Value]) -> frozenset[int]:
    text = text_of(part, "days")
    if "days" not in part or not isinstance(part["days"], str):
        return frozenset()
    try:
        return parse_days(text)
    except ValueError as error:
        merged.report(value_position(merged.place, (*path, "days")), str(error))
        return frozenset()


def _is_zone(name: str) -> bool:
    """Whether the time zone database has `name`; what only this computer calls a zone is none."""
    if name in _ZONES_OF_THE_MACHINE or name.startswith(("posix/", "right/")):
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name is a folder's
        return False
    return True


def _check_one_machine(merged: Merged) -> None:
    """Machines that name somebody themselves; what sets give is seen when their machines are known."""
    if merged.entries("rules").get("one_machine_per_user") is not True:
        return
    seen: dict[str, Path] = {}
    for path, machine in entries_of(merged, "machines"):
        for user in map_of(map_of(machine, "assigned"), "users"):
            here: Path = (*path, "assigned", "users", user)
            first = seen.setdefault(user, here)
            if first != here:
                where = key_position(merged.place, first)
                message = (
                    f"{quoted(user)} has {quoted(first[1])} already, at {where} (rules.one_machine_per_user)"
                )
                merged.report(key_position(merged.place, here), message)
