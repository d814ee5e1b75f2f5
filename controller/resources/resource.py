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
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from controller.plan.change import Change, Outcome
    from controller.plan.plan import Report
    from controller.policy.model import Policy

__all__ = ["Context", "Difference", "Resource", "SystemKind"]

T = TypeVar("T")
SystemKind = Literal["keycloak", "proxmox"]


@dataclass(frozen=True)
class Context:
    """What a diff may know besides the two sides; fixed once per pass.

    `system` is the name in plans (`keycloak`, `proxmox:par1`); `realm` the Keycloak realm, or on Proxmox the
    realm behind the `@` of a user id; `today` the date (UTC) of the pass; `history` the identities
    (system/section/key) that we created or adopted, or that an earlier applied commit named: the second half
    of what prune needs; `role_names` the roles that the policy declares.
    """

    system: str
    owner: str
    realm: str
    today: date
    history: frozenset[str] = frozenset()
    role_names: frozenset[str] = frozenset()

    def ours_by_history(self, section: str, key: str) -> bool:
        """True when we are known to have created, adopted or named this object."""
        return f"{self.system}/{section}/{key}" in self.history


@dataclass(frozen=True)
class Difference:
    """A diff's result: changes, what is reported and left alone, and how many objects of ours there are."""

    changes: tuple[Change, ...] = ()
    reported: tuple[Report, ...] = ()
    populations: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class _Desired(Protocol[T]):
    def __call__(self, policy: Policy, context: Context, /) -> Mapping[str, T]: ...


class _Diff(Protocol[T]):
    def __call__(
        self, observed: Mapping[str, T], desired: Mapping[str, T], context: Context, /
    ) -> Difference: ...


@dataclass(frozen=True)
class Resource(Generic[T]):
    """One line of the table: a section of one kind of system, by the functions of its module.

    `create_many`, where the system can do it, writes several creations in one request of at most `batch`.
    """

    section: str
    kind: SystemKind
    desired: _Desired[T]
    observe: Callable[[object, Context], Mapping[str, T]]
    diff: _Diff[T]
    apply: Callable[[object, Change], Outcome]
    create_many: Callable[[object, Sequence[Change]], Sequence[Outcome]] | None = None
    batch: int = 1
