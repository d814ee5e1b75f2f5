"""The typed policy: every section of the language, and where each value stands."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field, PrivateAttr

from controller.policy.hosts import Alerting, Backup, Host, Repository
from controller.policy.machines import Calendar, Machine, MachineSet, Node, Pool, Schedule, Storage
from controller.policy.notes import NotApplied, Overridden
from controller.policy.people import Client, Role, Team, User
from controller.policy.places import Place, Token, key_position, value_position
from controller.policy.position import SourcePosition
from controller.policy.realm import Realm
from controller.policy.scalars import MachineName, Name, RoleName, Text, UserName
from controller.policy.section import Section
from controller.policy.settings import Ignore, Limits, Mode, ModeKey, Rules, Unlisted

__all__ = ["MAP_SETTINGS", "SCALAR_SETTINGS", "SECTIONS", "Policy", "Sections"]

SCALAR_SETTINGS: Final = ("version", "owner", "extends", "ignore", "override")
"""Settings of a folder that are given once; they stand in policy.yaml."""

MAP_SETTINGS: Final = ("modes", "unlisted", "rules", "limits", "delegate")
"""Settings of a folder that are united key by key; they stand in policy.yaml."""

SECTIONS: Final = (
    "realm",
    "roles",
    "teams",
    "users",
    "clients",
    "calendars",
    "schedules",
    "machines",
    "machine_sets",
    "pools",
    "storages",
    "nodes",
    "hosts",
    "repositories",
    "backups",
    "alerting",
)
"""Maps that any file may hold and that are united over the folder."""


class Sections(Section):
    """A policy of Steward: one folder per environment, in Git. Any file may hold any section."""

    version: Literal[1] = 1
    """The version of this language; policy.yaml."""
    owner: Name = ""
    """The ownership mark; controller.yaml lists the owners that it may act for; policy.yaml."""
    extends: tuple[Text, ...] = ()
    """Folders that are read first; policy.yaml."""
    override: dict[Text, dict[Text, object]] = Field(default={})
    """What is changed in what `extends` brought: field by field, lists replaced whole; policy.yaml."""
    modes: dict[ModeKey, Mode] = Field(default={})
    """Sections that are only reported instead of enforced; policy.yaml."""
    ignore: tuple[Ignore, ...] = ()
    """Fields that are left alone; policy.yaml."""
    unlisted: Unlisted = Unlisted()
    """What becomes of people and grants that no policy names; policy.yaml."""
    rules: Rules = Rules()
    """Rules that the policy itself must obey; policy.yaml."""
    limits: Limits = Limits()
    """The brakes; policy.yaml."""
    delegate: dict[Text, object] = Field(default={})
    """Reserved; policy.yaml."""
    realm: Realm | None = None
    """The Keycloak realm."""
    roles: dict[RoleName, Role] = Field(default={})
    """What people may do."""
    teams: dict[Name, Team] = Field(default={})
    """People who get the same roles."""
    users: dict[UserName, User] = Field(default={})
    """People."""
    clients: dict[Name, Client] = Field(default={})
    """Programs that people log in to through Keycloak."""
    calendars: dict[Name, Calendar] = Field(default={})
    """Days on which schedules rest."""
    schedules: dict[Name, Schedule] = Field(default={})
    """When machines run."""
    machines: dict[MachineName, Machine] = Field(default={})
    """Guests of Proxmox clusters."""
    machine_sets: dict[Name, MachineSet] = Field(default={})
    """Machines that are alike."""
    pools: dict[Name, Pool] = Field(default={})
    """Proxmox pools."""
    storages: dict[Name, Storage] = Field(default={})
    """Proxmox storages."""
    nodes: dict[Name, Node] = Field(default={})
    """Proxmox nodes."""
    hosts: dict[Name, Host] = Field(default={})
    """Hosts with an agent."""
    repositories: dict[Name, Repository] = Field(default={})
    """Where backups are kept."""
    backups: dict[Name, Backup] = Field(default={})
    """What is backed up."""
    alerting: Alerting | None = None
    """Alertmanager's receivers and routes."""


class Policy(Sections):
    """A whole, checked policy: folder, bases and overrides united.

    `files` names the files it was read from, `digest` is the SHA-256 over their names and bytes;
    `not_applied` and `overridden` are for whoever reads a plan.
    """

    _place: Place = PrivateAttr()
    _files: tuple[str, ...] = PrivateAttr(default=())
    _digest: str = PrivateAttr(default="")
    _not_applied: tuple[NotApplied, ...] = PrivateAttr(default=())
    _overridden: tuple[Overridden, ...] = PrivateAttr(default=())

    def at(self, section: str, name: str | None = None, *fields: Token) -> SourcePosition:
        """Where something stands: `at("users", "jo")` its key, `at("users", "jo", "email")` the field's
        value.

        What is not written down has the position of the nearest thing around it that is.
        """
        path: tuple[Token, ...] = (section, *(() if name is None else (name,)), *fields)
        return value_position(self._place, path) if fields else key_position(self._place, path)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the policy, sorted."""
        return self._files

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over names and contents of the files."""
        return self._digest

    @property
    def not_applied(self) -> tuple[NotApplied, ...]:
        """What this version reads and checks but does not carry out, by place."""
        return self._not_applied

    @property
    def overridden(self) -> tuple[Overridden, ...]:
        """What `override` replaced, by place."""
        return self._overridden

    def counts(self) -> Mapping[str, int]:
        """How many entries each section has, in the order of the language; empty sections are left out."""
        sized = {name: getattr(self, name) for name in SECTIONS if name not in {"realm", "alerting"}}
        return {name: len(entries) for name, entries in sized.items() if entries}
