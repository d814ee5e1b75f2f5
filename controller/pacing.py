"""Whether passes come often enough for what the policy asks of them. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controller.plan.plan import LAST, Report
from controller.resources.idle import LONGEST_GAP
from controller.resources.power_schedules import span

if TYPE_CHECKING:
    from controller.policy.model import Policy

__all__ = ["too_seldom_for_idleness", "unmeasured"]

_JITTER = timedelta(minutes=1)


def too_seldom_for_idleness(interval: timedelta) -> str:
    """Why idleness is never measured with passes so far apart, "" where it is."""
    if interval + _JITTER <= LONGEST_GAP:
        return ""
    return (
        f"reconcile.interval is {span(interval)}: idleness is measured between passes of less than "
        f"{span(LONGEST_GAP)}, so that no machine is ever found idle"
    )


def unmeasured(policy: Policy, interval: timedelta) -> tuple[Report, ...]:
    """A report where the policy has machines shut down that are idle, and idleness is not measured."""
    why = too_seldom_for_idleness(interval)
    if not why:
        return ()
    entries = (("machines", policy.machines), ("machine_sets", policy.machine_sets))
    return tuple(
        Report("proxmox", LAST, name, f"idle_shutdown does nothing: {why}", source=policy.at(section, name))
        for section, named in entries
        for name, one in named.items()
        if one.power is not None and one.power.idle_shutdown is not None
    )
