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


class Host(Section):
    """A host with an agent."""

    machine: MachineName | None = None
    """The guest that it runs in."""
    labels: dict[Name, Text] = Field(default={}, examples=[{"site": "par1"}])
    """Labels of its metrics."""
    accounts: dict[UserName, Account] = Field(default={})
    services: dict[Text, Literal["running", "stopped"]] = Field(default={}, examples=[{"nginx": "running"}])
    backup: Name | None = None


class Repository(Section):
    """Where backups are kept."""

    url: Text = Field(examples=["s3:https://s3.example.org/backup"])
    password: SecretReference
    credentials: EnvironmentNames | None = None


class BackupSchedule(Section):
    """When a backup runs."""

    at: TimeOfDay
    jitter: Duration | None = None


class Retention(Section):
    """How many backups are kept."""

    last: int | None = Field(default=None, ge=1)
    hourly: int | None = Field(default=None, ge=1)
    daily: int | None = Field(default=None, ge=1)
    weekly: int | None = Field(default=None, ge=1)
    monthly: int | None = Field(default=None, ge=1)
    yearly: int | None = Field(default=None, ge=1)


class BackupTargets(Section):
    """What is promised: at most this much lost, back within this time."""

    rpo: Duration | None = None
    rto: Duration | None = None


class Backup(Section):
    """What is backed up, when, for how long."""

    repository: Name
    paths: tuple[AbsolutePath, ...] = Field(min_length=1)
    exclude: tuple[Text, ...] = ()
    schedule: BackupSchedule | None = None
    retention: Retention | None = None
    check: Interval | None = None
    drill: Interval | None = None
    """How often a restore is rehearsed."""
    targets: BackupTargets | None = None


class Receiver(Section):
    """Who is told of an alert."""

    email: tuple[Text, ...] = ()
    webhook: SecretReference | None = None


class Route(Section):
    """Which alerts go to whom."""

    match: dict[Text, Text] = Field(default={})
    receiver: Name


class Maintenance(Section):
    """A time in which alerts are silent."""

    match: dict[Text, Text] = Field(default={})
    first_day: Day
    last_day: Day


class Alerting(Section):
    """Alertmanager's receivers and routes."""

    receivers: dict[Name, Receiver] = Field(default={})
    routes: tuple[Route, ...] = ()
    maintenance: dict[Name, Maintenance] = Field(default={})
