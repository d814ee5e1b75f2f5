"""When the policy lets a machine run, in words: its state, its schedule, and when idleness ends it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from controller.policy.machines import Power, Schedule
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.overrides import Overrides

__all__ = ["PowerTimes", "power_times"]

_STATES = {"running": "kept running", "stopped": "kept stopped"}


@dataclass(frozen=True)
class PowerTimes:
    """What the policy says of the power of one machine or set, and the hold that stands over it ("": none).

    `is_report` says that the section is told and not carried out.
    """

    section: str
    name: str
    words: tuple[str, ...]
    held: str
    is_report: bool
    source: SourcePosition

    def to_json(self) -> dict[str, object]:
        """The times as JSON."""
        return {
            "section": self.section,
            "name": self.name,
            "power": list(self.words),
            "held": self.held,
            "report": self.is_report,
            "source": str(self.source),
        }


def power_times(
    policy: Policy, places: Iterable[tuple[str, str]], overrides: Overrides
) -> tuple[PowerTimes, ...]:
    """The times of each of `places` (section and name) of whose power something is said."""
    return tuple(one for section, name in places for one in _of(policy, section, name, overrides))


def _of(policy: Policy, section: str, name: str, overrides: Overrides) -> Iterator[PowerTimes]:
    if section not in {"machines", "machine_sets"}:
        return
    power: Power | None = getattr(policy, section)[name].power
    hold = overrides.held.get(name) if section == "machines" else None
    words = tuple(_words(policy, power)) if power else ()
    if words or hold:
        source = policy.at(section, name, "power") if power else policy.at(section, name)
        is_report = policy.modes.get("machines.power") == "report"
        yield PowerTimes(section, name, words, str(hold) if hold else "", is_report, source)


def _words(policy: Policy, power: Power) -> Iterator[str]:
    if power.state in _STATES:
        yield _STATES[power.state]
    elif power.schedule is not None:
        yield f"{power.schedule}: {_schedule(policy.schedules[power.schedule])}"
    if power.idle_shutdown is not None and power.state != "running":
        yield f"shut down after {duration_text(int(power.idle_shutdown.total_seconds()))} without use"


def _schedule(schedule: Schedule) -> str:
    steps = []
    if schedule.start is not None:
        steps.append(f"starts {schedule.start.days} {schedule.start.at}")
    if schedule.stop is not None:
        steps.append(f"stops {schedule.stop.days} {schedule.stop.at}")
    skipped = f", not on days of {' '.join(schedule.skip)}" if schedule.skip else ""
    return f"{', '.join(steps)} ({schedule.time_zone}{skipped})"
