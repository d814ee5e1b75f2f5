"""The sections about hosts and their backups: hosts, repositories, backups, alerting."""

from typing import Literal

from pydantic import Field

from controller.policy.scalars import (
    AbsolutePath,
    Day,
    Duration,
    MachineName,
    Name,
    Text,
    TimeOfDay,
    UserName,
)
from controller.policy.secret_reference import EnvironmentNames, SecretReference
from controller.policy.section import Section

__all__ = [
    "Account",
    "Alerting",
    "Backup",
    "BackupSchedule",
    "BackupTargets",
    "Host",
    "Maintenance",
    "Receiver",
    "Repository",
    "Retention",
    "Route",
]

Interval = Literal["daily", "weekly", "monthly"]


class Account(Section):
    """A local account on a host."""

    sudo: bool = False
    """May become root with sudo."""


class Host(Section):
    """A host with an agent."""

    machine: MachineName | None = None
    """The guest that it runs in."""
    labels: dict[Name, Text] = Field(default={}, examples=[{"site": "par1"}])
    """Labels of its metrics."""
    accounts: dict[UserName, Account] = Field(default={})
    """Local accounts of people of the policy."""
    services: dict[Text, Literal["running", "stopped"]] = Field(default={}, examples=[{"nginx": "running"}])
    """Services (systemd units) and how they should be."""
    backup: Name | None = None
    """Name of a backup."""


class Repository(Section):
    """Where backups are kept."""

    url: Text = Field(examples=["s3:https://s3.example.org/backup"])
    """Where it is, as restic writes it."""
    password: SecretReference
    """The repository's own password."""
    credentials: EnvironmentNames | None = None
    """Variables that the storage behind it needs."""


class BackupSchedule(Section):
    """When a backup runs."""

    at: TimeOfDay
    """When it begins, in the host's time zone."""
    jitter: Duration | None = None
    """Spread over this long, so that not all hosts begin at once."""


class Retention(Section):
    """How many backups are kept."""

    last: int | None = Field(default=None, ge=1)
    """So many of the newest."""
    hourly: int | None = Field(default=None, ge=1)
    """One of each of so many hours."""
    daily: int | None = Field(default=None, ge=1)
    """One of each of so many days."""
    weekly: int | None = Field(default=None, ge=1)
    """One of each of so many weeks."""
    monthly: int | None = Field(default=None, ge=1)
    """One of each of so many months."""
    yearly: int | None = Field(default=None, ge=1)
    """One of each of so many years."""


class BackupTargets(Section):
    """What is promised: at most this much lost, back within this time."""

    rpo: Duration | None = None
    """At most this much may be lost."""
    rto: Duration | None = None
    """It is back within this time."""


class Backup(Section):
    """What is backed up, when, for how long."""

    repository: Name
    """Name of a repository."""
    paths: tuple[AbsolutePath, ...] = Field(min_length=1)
    """What is saved."""
    exclude: tuple[Text, ...] = ()
    """What of it is not, as restic's patterns."""
    schedule: BackupSchedule | None = None
    """When it runs."""
    retention: Retention | None = None
    """How many are kept."""
    check: Interval | None = None
    """How often the repository is checked."""
    drill: Interval | None = None
    """How often a restore is rehearsed."""
    targets: BackupTargets | None = None
    """What is promised."""


class Receiver(Section):
    """Who is told of an alert."""

    email: tuple[Text, ...] = ()
    """Addresses."""
    webhook: SecretReference | None = None
    """An address that is itself a secret."""


class Route(Section):
    """Which alerts go to whom."""

    match: dict[Text, Text] = Field(default={})
    """Labels that an alert must have, and their values."""
    receiver: Name
    """Name of a receiver."""


class Maintenance(Section):
    """A time in which alerts are silent."""

    match: dict[Text, Text] = Field(default={})
    """Labels of the alerts that are silent."""
    first_day: Day
    last_day: Day


class Alerting(Section):
    """Alertmanager's receivers and routes."""

    receivers: dict[Name, Receiver] = Field(default={})
    """Who can be told."""
    routes: tuple[Route, ...] = ()
    """Which alerts go to whom; the first that fits wins."""
    maintenance: dict[Name, Maintenance] = Field(default={})
    """Times in which alerts are silent."""
