"""Overrides: what a person decided for a while over the policy's head. They are audited, and they end.

They come from the store (`steward user suspend`, `steward machine hold`); a pass sees those in force at its
instant. Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

__all__ = ["HeldState", "Hold", "Overrides", "Suspension"]

HeldState = Literal["running", "stopped", "as-is"]


@dataclass(frozen=True)
class Suspension:
    """A person who is to be disabled everywhere until `until`, whatever the policy says."""

    user: str
    until: datetime
    actor: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"suspended by {self.actor} until {_told(self.until)}{_because(self.reason)}"


@dataclass(frozen=True)
class Hold:
    """A machine whose power follows no schedule until `until`.

    `as-is` leaves it to people; `running` and `stopped` keep it so.
    """

    machine: str
    until: datetime
    state: HeldState = "as-is"
    actor: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"held {self.state} by {self.actor} until {_told(self.until)}{_because(self.reason)}"


@dataclass(frozen=True)
class Overrides:
    """The overrides in force: suspended people and held machines, each by its name in the policy.

    `dismissed` are suspensions of people whom limits protect: they are told, and not obeyed.
    """

    suspended: Mapping[str, Suspension] = field(default_factory=lambda: MappingProxyType({}))
    held: Mapping[str, Hold] = field(default_factory=lambda: MappingProxyType({}))
    dismissed: Mapping[str, Suspension] = field(default_factory=lambda: MappingProxyType({}))

    def told(self, named: Collection[str]) -> tuple[str, ...]:
        """Each in a sentence, people first; `named` are those whom the policy names."""
        people = [
            f"user {name} is {one}{'' if name in named else '; the policy names nobody so'}"
            for name, one in sorted(self.suspended.items())
        ]
        people += [
            f"user {name} is {one}; protected by limits.protected_users, so nothing comes of it"
            for name, one in sorted(self.dismissed.items())
        ]
        return (*people, *(f"machine {name} is {one}" for name, one in sorted(self.held.items())))


def _told(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
