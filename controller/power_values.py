"""What the controller remembers of machines' power: words that resources and the store share.

Times are seconds since 1970-01-01 UTC. Nothing here does IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IdleRecord", "PowerMemory", "SlotName", "SlotRecord", "SlotState"]


class SlotState(StrEnum):
    """How far a slot has come.

    `claimed`: somebody took it to carry it out, and has not said how it ended. `waiting`: tried, to be tried
    again (a lock, a node that does not answer). The others are final: `fired` carried out, `satisfied` the
    machine was so already, `skipped` let go with a reason, `held` left out while somebody held the machine,
    `failed` Proxmox said no, `unknown` claimed and never heard of again until its window was over.
    """

    CLAIMED = "claimed"
    WAITING = "waiting"
    FIRED = "fired"
    SATISFIED = "satisfied"
    SKIPPED = "skipped"
    HELD = "held"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_open(self) -> bool:
        """Whether the slot may still be carried out."""
        return self in {SlotState.CLAIMED, SlotState.WAITING}


@dataclass(frozen=True)
class SlotName:
    """One slot of one machine; `kind` is start or stop."""

    system: str
    machine: str
    kind: str
    due_at: int


@dataclass(frozen=True)
class SlotRecord:
    """What became of a slot; `upid` is the task that carried it out, `claimed_at` when it was taken."""

    name: SlotName
    state: SlotState
    reason: str = ""
    claimed_at: int | None = None
    ended_at: int | None = None
    upid: str = ""


@dataclass(frozen=True)
class IdleRecord:
    """What the last pass saw of a machine's use; `idle_since` is None while it is busy."""

    system: str
    machine: str
    vmid: int
    seen_at: int
    uptime_seconds: int
    net_bytes: int
    idle_since: int | None = None


@dataclass(frozen=True)
class PowerMemory:
    """The newest slot and the last reading of each machine, by system and machine."""

    slots: Mapping[tuple[str, str], SlotRecord] = field(default_factory=lambda: MappingProxyType({}))
    idle: Mapping[tuple[str, str], IdleRecord] = field(default_factory=lambda: MappingProxyType({}))
