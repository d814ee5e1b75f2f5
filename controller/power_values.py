"""Power of machines as values: what Proxmox VE tells of it and what the controller remembers.

Times are seconds since 1970-01-01 UTC. Nothing here does IO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Change

__all__ = [
    "GuestAddress",
    "GuestState",
    "IdleRecord",
    "InHand",
    "PowerMemory",
    "ProxmoxTask",
    "SlotName",
    "SlotRecord",
    "SlotState",
]


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
class InHand:
    """A change of power that was handed over, and has not ended; once `is_begun` a task may be there."""

    change: Change
    slot: SlotName | None = None
    is_begun: bool = False


@dataclass(frozen=True)
class PowerMemory:
    """The newest slot and the last reading of each machine, and what is being done, by system and machine."""

    slots: Mapping[tuple[str, str], SlotRecord] = field(default_factory=lambda: MappingProxyType({}))
    idle: Mapping[tuple[str, str], IdleRecord] = field(default_factory=lambda: MappingProxyType({}))
    in_hand: Mapping[tuple[str, str], InHand] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class GuestAddress:
    """Where Proxmox VE has a guest just now."""

    node: str
    kind: Literal["qemu", "lxc"]
    vmid: int


@dataclass(frozen=True)
class GuestState:
    """What a guest does now: `status` is running or stopped; a paused one is running.

    Of an `is_managed` guest the high availability manager carries out wishes, some time after they are filed.
    """

    status: str
    lock: str = ""
    is_managed: bool = False
    is_template: bool = False


@dataclass(frozen=True)
class ProxmoxTask:
    """A task; `exit_status` is "" while it runs, then OK, WARNINGS: n, or what went wrong on one line.

    `user` is name@realm, or name@realm!token.
    """

    upid: str
    node: str
    type: str
    subject: str
    user: str
    started_at: int
    ended_at: int | None = None
    exit_status: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None and not self.exit_status

    @property
    def is_done(self) -> bool:
        """Whether it ended well; with warnings is well."""
        return self.exit_status == "OK" or self.exit_status.startswith("WARNINGS: ")
