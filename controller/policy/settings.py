"""What policy.yaml says of the whole folder: owner, environments, modes, brakes."""

from typing import Literal

from pydantic import Field

from controller.policy.scalars import Duration, Glob, Percentage, Text, UserName
from controller.policy.section import Section

__all__ = ["Ignore", "Limits", "MaxDeletes", "Mode", "ModeKey", "Rules", "Unlisted"]

Mode = Literal["enforce", "report"]
"""`enforce` applies, `report` only shows the difference."""

ModeKey = Literal[
    "realm",
    "roles",
    "teams",
    "users",
    "clients",
    "machines.assigned",
    "machines.power",
    "machines.backup",
    "pools",
    "storages",
    "nodes",
    "hosts",
    "backups",
    "alerting",
]


class Ignore(Section):
    """Fields of objects that are left alone; exactly one section is named."""

    users: Glob | None = None
    """Names of users, as a pattern."""
    roles: Glob | None = None
    """Names of roles, as a pattern."""
    teams: Glob | None = None
    """Names of teams, as a pattern."""
    clients: Glob | None = None
    """Names of clients, as a pattern."""
    machines: Glob | None = None
    """Names of machines, as a pattern."""
    fields: tuple[Text, ...] = Field(min_length=1, examples=[["attributes.theme"]])
    """Fields as plans name them."""


class Unlisted(Section):
    """What becomes of people and grants that no policy names."""

    users: Literal["count", "report", "disable"] = "count"
    """Accounts that no policy names are counted, listed, or disabled."""
    acls: Literal["count", "report"] = "report"
    """Grants of roles that are not ours are counted or listed."""


class Rules(Section):
    """Rules that the policy itself must obey."""

    one_machine_per_user: bool = False
    """Nobody may be assigned more than one machine."""


class MaxDeletes(Section):
    """How much one plan may remove: the greater of `count` and `share` of what is there."""

    count: int | None = Field(default=None, ge=0)
    """So many."""
    share: Percentage | None = None
    """So much of what there is."""


class Limits(Section):
    """The brakes."""

    max_deletes: MaxDeletes = Field(default=MaxDeletes())
    """How much one plan may remove."""
    delete_after: Duration | None = None
    """How long a name that vanished stays disabled before it is deleted."""
    sections: dict[ModeKey, MaxDeletes] = Field(default={}, examples=[{"users": {"count": 3}}])
    """Tighter limits for single sections."""
    minimum: dict[Literal["users", "roles", "teams", "grants"], int] = Field(
        default={}, examples=[{"users": 10}]
    )
    """How many must be left at least; a plan that leaves fewer is refused."""
    protected_users: tuple[UserName, ...] = ()
    """Never disabled, never deleted."""
