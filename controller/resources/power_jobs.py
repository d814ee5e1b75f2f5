"""One change of power on its way: what it asks for, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from controller.plan.change import Outcome, Result
from controller.power_values import GuestAddress, SlotName, SlotRecord, SlotState

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plan.change import Change

__all__ = ["Desk", "Job", "SlotLedger", "job_of", "node_of"]

_TASK_SECONDS = 600
"""How long a start or a stop may take before nobody waits for it any more."""
_MARGIN_SECONDS = 90
"""How much longer than its own time-out a shutdown may take."""


class SlotLedger(Protocol):
    """Where slots are claimed before anything is sent, and where their end is written down."""

    def claim(self, name: SlotName) -> SlotRecord | None:
        """Take a slot; what was on record before. Raises LeaseLost."""
        ...

    def sent(self, name: SlotName, upid: str) -> None:
        """Write down which task carries it out."""
        ...

    def settle(self, record: SlotRecord) -> None:
        """Write down how far it has come. Raises LeaseLost."""
        ...


@dataclass(frozen=True)
class Desk:
    """What carrying out needs beside Proxmox VE.

    `clock` is in seconds since the epoch; `wait` waits so many seconds, and says False to end the pass.
    `goes_on` says, just before something is sent, whether that may still be. `tell` hears what is going on,
    for whoever looks on.
    """

    ledger: SlotLedger | None
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    tell: Callable[[str], None] = lambda _text: None
    goes_on: Callable[[], bool] = lambda: True


@dataclass
class Job:
    """One change. `outcome` is None until it has ended; `upid` is its task while that runs.

    `is_sent` says that a task may be there; `claimed_at` is when somebody before us took its slot and was
    never heard of again, `left_upid` the task that they began; `why` is what stood in the way the last time;
    `moves` counts how often the guest was not on the node where it had been.
    """

    change: Change
    kind: Literal["qemu", "lxc"]
    vmid: int
    slot: SlotName | None
    node: str = ""
    upid: str = ""
    is_beginning: bool = False
    is_claimed: bool = False
    claimed_at: int | None = None
    left_upid: str = ""
    is_sent: bool = False
    is_settling: bool = False
    why: str = ""
    moves: int = 0
    attempts: int = 0
    began: float = 0.0
    not_before: float = 0.0
    give_up_at: float = 0.0
    outcome: Outcome | None = None

    @property
    def name(self) -> str:
        """The machine, as the policy calls it."""
        return self.change.key

    @property
    def is_under_way(self) -> bool:
        """Whether Proxmox VE is at work on it."""
        return self.outcome is None and (bool(self.upid) or self.is_settling)

    @property
    def is_begun(self) -> bool:
        """Whether a task of Proxmox VE may be there."""
        return self.is_beginning or self.is_under_way or self.is_sent

    @property
    def wanted(self) -> str:
        """running or stopped."""
        return str((self.change.after or {})["state"])

    @property
    def address(self) -> GuestAddress:
        """Where the guest is."""
        return GuestAddress(self.node, self.kind, self.vmid)

    @property
    def until(self) -> float | None:
        """The end of the slot's window, in seconds since the epoch; None without a slot."""
        until = (self.change.after or {}).get("until")
        return datetime.fromisoformat(until).timestamp() if isinstance(until, str) else None

    @property
    def how(self) -> str:
        """start, shutdown or stop."""
        after = self.change.after or {}
        return "start" if self.wanted == "running" else str(after.get("how", "shutdown"))

    @property
    def timeout_seconds(self) -> int:
        """How long a guest has to end."""
        return int(str((self.change.after or {})["timeout"]).removesuffix("s"))

    @property
    def forces(self) -> bool:
        """Whether the policy wants a guest stopped that does not obey."""
        return (self.change.after or {}).get("on_timeout") == "stop"

    @property
    def patience_seconds(self) -> float:
        """How long to wait for the task."""
        return self.timeout_seconds + _MARGIN_SECONDS if self.how == "shutdown" else _TASK_SECONDS

    def is_for(self, change: Change) -> bool:
        """Whether a change asks for the same: this state of this guest, for the same slot."""
        other = job_of(change)
        same = (other.kind, other.vmid, other.slot, other.wanted)
        return same == (self.kind, self.vmid, self.slot, self.wanted)

    def told_until(self) -> str:
        """Till when it is tried again, in words."""
        if self.until is None:
            return "tried again by the next pass"
        return f"tried again until {datetime.fromtimestamp(self.until, UTC):%H:%M} UTC"

    def end(self, desk: Desk, result: Result, reason: str, state: SlotState) -> None:
        """The change has ended; so has its slot, or it waits."""
        self.outcome = Outcome(self.change, result, reason)
        if self.slot is not None and desk.ledger is not None:
            desk.ledger.settle(SlotRecord(self.slot, state, reason, upid=self.upid))


def node_of(upid: str) -> str:
    """The node on which a task runs, which a guest that moves leaves behind (UPID:node:…)."""
    return upid.split(":")[1]


def job_of(change: Change) -> Job:
    """The job of a change as proxmox_power plans it."""
    kind, _, vmid = change.object_id.partition("/")
    after = change.after or {}
    due, what = after.get("slot"), "start" if after.get("state") == "running" else "stop"
    slot = None
    if isinstance(due, str):
        slot = SlotName(change.system, change.key, what, int(datetime.fromisoformat(due).timestamp()))
    return Job(change, "lxc" if kind == "lxc" else "qemu", int(vmid), slot)
