"""How long a machine has been idle, as our own passes have seen it. Pure.

A machine is idle while it uses less than `IDLE_CPU_RATIO` of its processors and its network carries less
than `IDLE_BYTES_PER_SECOND` from one pass to the next. What was not seen counts as use: the count begins anew
after a start, and after a gap between passes of more than `LONGEST_GAP`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from controller.power_values import IdleRecord

if TYPE_CHECKING:
    from controller.proxmox_values import ProxmoxGuest

__all__ = ["IDLE_BYTES_PER_SECOND", "IDLE_CPU_RATIO", "LONGEST_GAP", "read"]

IDLE_CPU_RATIO: Final = 0.02
"""Of all processors of the machine, as Proxmox VE measures it."""

IDLE_BYTES_PER_SECOND: Final = 1024
"""In and out together; broadcasts of a quiet network stay below it."""

LONGEST_GAP: Final = timedelta(minutes=20)
"""Between two passes; what a machine did in a longer one nobody knows."""

_SLACK_SECONDS = 60
"""Proxmox's counters are up to some ten seconds old, and so is its uptime."""


def read(
    guest: ProxmoxGuest, machine: str, earlier: IdleRecord | None, *, system: str, now: int
) -> IdleRecord:
    """What this pass saw of a running guest, after what the pass before saw."""
    reading = IdleRecord(system, machine, guest.vmid, now, guest.uptime_seconds, guest.net_bytes)
    if guest.cpu_ratio >= IDLE_CPU_RATIO:
        return reading
    began = now
    if earlier is not None and earlier.idle_since is not None and _goes_on(earlier, reading):
        began = earlier.idle_since
    return IdleRecord(**{**vars(reading), "idle_since": began})


def _goes_on(earlier: IdleRecord, reading: IdleRecord) -> bool:
    """Whether the machine is the one seen before, never out of sight, and carried no traffic since."""
    passed = reading.seen_at - earlier.seen_at
    if earlier.vmid != reading.vmid or not 0 < passed <= LONGEST_GAP.total_seconds():
        return False
    if reading.uptime_seconds + _SLACK_SECONDS < earlier.uptime_seconds + passed:
        return False  # it was started in between
    carried = reading.net_bytes - earlier.net_bytes
    return 0 <= carried < IDLE_BYTES_PER_SECOND * passed
