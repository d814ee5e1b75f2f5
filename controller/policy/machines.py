"""The sections about machines: assignments, sets, power schedules, pools and storages."""

from typing import Literal

from pydantic import Field

from controller.policy.scalars import (
    Day,
    Duration,
    Glob,
    Name,
    RoleName,
    Text,
    TimeOfDay,
    TokenName,
    UserName,
    Vmid,
)
from controller.policy.section import Section

__all__ = [
    "Assigned",
    "Calendar",
    "Expect",
    "Machine",
    "MachineSet",
    "Match",
    "Node",
    "Pool",
    "Power",
    "Schedule",
    "ScheduleStart",
    "ScheduleStop",
    "Stopping",
    "Storage",
]

Calendar = tuple[Day, ...]
"""Days on which schedules rest."""


class Assigned(Section):
    """Who may do what here: each person or team with one role."""

    users: dict[UserName, RoleName] = Field(default={}, examples=[{"jo": "power-user"}])
    """People and the role that each has."""
    teams: dict[Name, RoleName] = Field(default={}, examples=[{"research": "viewer"}])
    """Teams and the role that their members, and those of teams below, have."""
    tokens: dict[TokenName, RoleName] = Field(default={}, examples=[{"jo!ci": "viewer"}])
    """Tokens of `users.*.proxmox_tokens`, as NAME!TOKEN."""


class Stopping(Section):
    """How a machine is stopped."""

    how: Literal["shutdown", "stop"] = "shutdown"
    """Ask the guest, or pull the plug."""
    timeout: Duration | None = None
    """How long the guest has, five minutes where nothing is given."""
    on_timeout: Literal["leave", "stop"] = "leave"
    """A guest that does not obey is left running, or stopped."""


class Power(Section):
    """When a machine runs: by a schedule, or always, never, or as people please."""

    schedule: Name | None = None
    """Name of a schedule."""
    state: Literal["running", "stopped", "unmanaged"] | None = None
    """Always, never, or as people please."""
    idle_shutdown: Duration | None = None
    """Shut down after this long without use of CPU and network."""
    stop: Stopping = Field(default_factory=Stopping)
    """How it is stopped by `state` and `idle_shutdown`; a schedule says it itself."""


class Machine(Section):
    """A guest of a Proxmox cluster."""

    cluster: Name | None = None
    """Needed where controller.yaml names more than one."""
    vmid: Vmid | None = None
    """The guest's number; without it the guest is found by its name."""
    assigned: Assigned = Field(default=Assigned())
    """People and teams with a role on it."""
    power: Power | None = None
    """When it runs; without this nobody touches it."""
    backup: Name | None = None
    """Name of a backup."""


class Match(Section):
    """Which machines a set holds: all conditions must hold."""

    cluster: Name | None = None
    """Guests of this cluster."""
    tags: tuple[Name, ...] = ()
    """Guests with all of these tags."""
    name: Glob | None = Field(default=None, examples=["lab-*"])
    """Guests whose names fit the pattern."""


class Expect(Section):
    """How many machines a set should hold; outside, nothing of it is applied."""

    min: int = Field(default=0, ge=0)
    """At least so many."""
    max: int | None = Field(default=None, ge=0)
    """At most so many."""


class MachineSet(Section):
    """Machines that are alike."""

    match: Match
    """Which guests it holds."""
    expect: Expect | None = None
    """How many these should be."""
    assigned: Assigned = Field(default=Assigned())
    """People and teams with a role on each of them."""
    power: Power | None = None
    """When they run."""
    backup: Name | None = None
    """Name of a backup."""


class Pool(Section):
    """A Proxmox pool; made where it is missing."""

    cluster: Name | None = None
    """Needed where controller.yaml names more than one."""
    comment: Text = ""
    """One line for whoever reads the pool in Proxmox."""
    assigned: Assigned = Field(default=Assigned())
    """People and teams with a role on everything in it."""
    adopt: bool = False
    """Take over a pool of this name that exists already."""


class Storage(Section):
    """A Proxmox storage."""

    cluster: Name | None = None
    """Needed where controller.yaml names more than one."""
    assigned: Assigned = Field(default=Assigned())
    """People and teams with a role on it."""


class Node(Section):
    """A node of a Proxmox cluster."""

    cluster: Name | None = None
    """Needed where controller.yaml names more than one."""
    assigned: Assigned = Field(default=Assigned())
    """People and teams with a role on it."""


class ScheduleStart(Section):
    """When machines are started."""

    days: Text = Field(examples=["mon-fri"])
    """Days of the week: `mon-fri`, `mon,wed`, `sat-mon`, `daily`, `weekdays`, `weekends`."""
    at: TimeOfDay
    """The time on these days, by the clock of time_zone."""


class ScheduleStop(Stopping, ScheduleStart):
    """When and how machines are stopped."""


class Schedule(Section):
    """When machines run."""

    time_zone: Text = Field(examples=["Europe/Paris"])
    """A time zone of the IANA list."""
    start: ScheduleStart | None = None
    """When machines are started; without this they are only stopped."""
    stop: ScheduleStop | None = None
    """When machines are stopped; without this they are only started."""
    catch_up: Duration | None = None
    """How late a missed start or stop is still made good."""
    skip: tuple[Name, ...] = ()
    """Calendars whose days are left out."""
