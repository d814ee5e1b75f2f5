"""The shape of a policy resource: four functions in one module, tied together in a table.

- ``desired(policy, context) -> {key: T}`` is pure;
- ``observe(client, context) -> {key: T}`` only reads, through a read-only client type;
- ``diff(observed, desired, context) -> Difference`` is pure;
- ``apply(client, change) -> Outcome`` writes one change, after reading the object again.

``T`` is a frozen dataclass of what we manage, normalised on both sides, so that equality means no drift.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from controller.power_values import PowerMemory
from controller.resources.overrides import Overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from controller.plan.change import Change, Operation, Outcome
    from controller.plan.plan import Gap, Note, Report

__all__ = ["Context", "Difference", "Objects", "Resource", "SystemKind"]

SystemKind = Literal["keycloak", "proxmox"]

Objects: TypeAlias = "Mapping[str, Any]"
"""Objects of one resource by key; each module narrows the type to its own dataclass."""


@dataclass(frozen=True)
class Context:
    """What a resource may know besides the two sides; fixed once per pass.

    `system` is the name in plans (`keycloak`, `proxmox:par1`); `realm` the Keycloak realm, or on Proxmox the
    realm behind the `@` of a user id; `now` the instant of the pass, with UTC as its zone; `issuer` the
    Keycloak realm's address as its tokens name it ("" without a Keycloak); `role_names` the roles that the
    policy declares; `teams` those that it declares, each with its parent ("" at the top); `linked` the people
    for whom it names accounts at identity providers; `reported` the sections that this pass only reports (as
    the keys of `modes`); `only_cluster` says that no other Proxmox is named, so
    that a machine need not name its cluster; `overrides` are those in force at this instant, `power` what
    earlier passes did about machines' power.
    """

    system: str
    owner: str
    realm: str
    now: datetime
    issuer: str = ""
    role_names: frozenset[str] = frozenset()
    adopted_roles: frozenset[str] = frozenset()
    teams: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    adopted_teams: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    reported: frozenset[str] = frozenset()
    delete_after_days: int = 30
    protected: frozenset[str] = frozenset()
    unlisted: Literal["count", "report", "disable"] = "count"
    unlisted_acls: Literal["count", "report"] = "count"
    only_cluster: bool = True
    overrides: Overrides = field(default_factory=Overrides)
    power: PowerMemory = field(default_factory=PowerMemory)

    def withholds(self, needed: str, *, of: str) -> bool:
        """Whether the section `of` is applied while `needed`, which it draws on, is only reported."""
        return needed in self.reported and of not in self.reported

    @property
    def today(self) -> date:
        """The day of the pass, in UTC."""
        return self.now.date()


@dataclass(frozen=True)
class Difference:
    """What a diff found.

    `prunes` are changes that remove what carries our mark and is no longer desired: the planner makes
    them only where our own record or an earlier commit knows the name, and reports a foreign mark
    otherwise. `populations` counts what of ours was seen, by the names that `Change.removals` uses. `notes`
    are for the record of the pass and change nothing. `possessions` are the identities of the roles, teams
    and groups that protected people (`Context.protected`) have here, by name. `gaps` say what of the section
    is not applied as the policy asks (`Gap.is_held`), or was not seen: the diff itself deletes nothing that
    hangs on it.
    """

    changes: tuple[Change, ...] = ()
    prunes: tuple[Change, ...] = ()
    reported: tuple[Report, ...] = ()
    populations: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Note, ...] = ()
    possessions: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Resource:
    """One line of the table: a section of one kind of system, by the functions of its module.

    `mode` is the key of the policy's `modes` that governs it, the section itself where empty. `apply_many`,
    where the system can do it, writes several changes at once: it gets at most `batch` changes of one of the
    operations in `many`, none of which needs another, and says of each what became of it.
    """

    section: str
    kind: SystemKind
    desired: Callable[[Any, Context], Objects]
    observe: Callable[[Any, Context], Any]
    diff: Callable[[Any, Any, Context], Difference]
    apply: Callable[[Any, Change], Outcome]
    mode: str = ""
    apply_many: Callable[[Any, Sequence[Change]], Sequence[Outcome]] | None = None
    many: frozenset[Operation] = frozenset()
    batch: int = 1

    def takes_many(self, operation: Operation) -> bool:
        """Whether several changes of this operation are written at once."""
        return self.apply_many is not None and operation in self.many
