"""One pass of the service: plan, apply where it may, look again. Blocking; run on a thread.

Changes of power are handed over to a lane of their own, so that no pass waits for a guest.
Everything is built anew for each pass (clients, tokens, secrets), so that nothing learnt before is believed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC
from typing import TYPE_CHECKING

from controller.api.site import PlannedChange
from controller.durations import duration_text
from controller.errors import ControllerError
from controller.plan.plan import LAST
from controller.power_lane import Errand, PowerLane
from controller.reconcile.passes import Act, apply_pass
from controller.resources.power_schedules import next_slot
from controller.store import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from controller.app import Controller
    from controller.leadership import Leadership
    from controller.plan.change import Change, Outcome
    from controller.plan.plan import Plan, Report
    from controller.policy import Policy
    from controller.reconcile.passes import Planned
    from controller.store import Store

__all__ = ["PassResult", "Reconciler"]

_SHOWN = 160
_ACTOR = "controller"
_SECONDS = "_seconds"


@dataclass(frozen=True)
class PassResult:
    """What one pass saw and did: the plan as it is *after* the pass, and every outcome.

    `error` is why it broke off; `waits` that it would have written but may not yet (the lease); `is_recorded`
    that the store knows this pass and the names that its policy had. `slots` counts how slots of power ended;
    `next_at` is when the next one falls due, or an override ends, in seconds since the epoch.
    """

    changes: tuple[PlannedChange, ...] = ()
    drift: Mapping[tuple[str, str], int] | None = None
    reports: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    slots: Mapping[str, int] = field(default_factory=dict)
    next_at: float | None = None
    error: str = ""
    waits: bool = False
    is_recorded: bool = False

    @property
    def result(self) -> str:
        """done, partial, failed or refused."""
        if self.error:
            return "failed"
        if self.refusals:
            return "refused"
        is_whole = (
            not self.gaps
            and not self.waits
            and all(str(outcome.result) == "applied" for outcome in self.outcomes)
        )
        return "done" if is_whole else "partial"

    @property
    def is_clean(self) -> bool:
        """Everything was seen, and nothing differs from Git."""
        return self.result == "done" and not self.changes


class Reconciler:
    """Makes passes, one at a time; `lane` carries out their changes of power. With `applies` False it only
    reports.
    """

    def __init__(
        self,
        open_controller: Callable[[], AbstractContextManager[Controller]],
        store: Store,
        leadership: Leadership,
        *,
        applies: bool,
        new_id: Callable[[], str],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._open = open_controller
        self._store = store
        self._leadership = leadership
        self._applies = applies
        self._new_id = new_id
        self._is_stopping = is_stopping
        self.lane = PowerLane(open_controller, store, leadership, actor=_ACTOR, is_stopping=is_stopping)

    def run(self, policy: Policy, commit: str, *, is_new: bool) -> PassResult:
        """One pass.

        A new commit leaves a record even where nothing differs, an old one only where it does.
        """
        run_id = self._new_id()
        try:
            with self._open() as controller:
                return self._pass(controller, policy, commit, run_id, is_new=is_new)
        except ControllerError as error:
            self._store.runs.break_off(run_id, detail=str(error))
            return PassResult(error=str(error))

    def _pass(
        self, controller: Controller, policy: Policy, commit: str, run_id: str, *, is_new: bool
    ) -> PassResult:
        seen = self.lane.in_hand()
        planned = controller.plan(policy, in_hand=seen)
        changes = planned.plan.changes if self._applies and not planned.refusals else ()
        is_new = is_new and self._applies and not planned.refusals
        lease = self._leadership.lease
        if lease is None or not self._leadership.may_write():
            return replace(_seen(planned), waits=bool(changes or is_new))
        power, begun = self.lane.keep((one for one in changes if one.section == LAST), seen)
        ended = controller.record_notes(
            _without(planned, begun), actor=_ACTOR, term=lease.term, is_applied=self._applies
        )
        others = [one for one in changes if one.section != LAST]
        if not (others or power or is_new):
            return replace(_seen(planned), slots=ended)
        outcomes = apply_pass(
            planned,
            controller.planner(policy),
            controller.applier(policy),
            self._store,
            Act(run_id, _ACTOR, lease.term, kind="reconcile", commit=commit),
            on_outcomes=self._go_on,
            apart=Errand(self.lane, power),
        )
        after = controller.plan(policy, in_hand=self.lane.in_hand()) if outcomes else planned
        return replace(_seen(after), outcomes=tuple(outcomes), slots=ended, is_recorded=True)

    def _go_on(self, _ended: Sequence[Outcome]) -> None:
        if self._is_stopping() or not self._leadership.may_write():
            raise LeaseLost("the pass was broken off: the controller stops, or its lease ran out")


def _without(planned: Planned, begun: Collection[tuple[str, str]]) -> Planned:
    """The plan without its notes on machines that have been begun meanwhile: these end by themselves."""
    notes = (one for one in planned.plan.notes if one.section != LAST or (one.system, one.key) not in begun)
    return replace(planned, plan=replace(planned.plan, notes=tuple(notes)))


def _seen(planned: Planned) -> PassResult:
    plan: Plan = planned.plan
    drift = Counter((change.section, str(change.operation)) for change in plan.changes)
    return PassResult(
        changes=tuple(map(_shown, plan.changes)),
        drift=dict(drift),
        reports=tuple(map(_told, plan.reported)),
        gaps=_gaps(plan),
        refusals=tuple(map(str, planned.refusals)),
        overrides=plan.overrides,
        next_at=_next_at(planned),
    )


def _told(report: Report) -> str:
    named = report.title or f"{report.section} {report.key}".strip()
    return f"{report.system}: {named}: {report.text}"


def _gaps(plan: Plan) -> tuple[str, ...]:
    """What was not seen, sections of one cause together."""
    causes: dict[tuple[str, str, str], list[str]] = {}
    for gap in plan.unobserved:
        causes.setdefault((gap.verdict, gap.system, gap.why), []).append(gap.section)
    return tuple(
        f"{verdict}: {system} {', '.join(sections)}: {why}"
        for (verdict, system, why), sections in causes.items()
    )


def _next_at(planned: Planned) -> float | None:
    """When there will be something to do that no commit and no drift brings."""
    overrides = planned.memory.overrides
    ends = [one.until for one in overrides.suspended.values()]
    ends += [one.until for one in overrides.held.values()]
    slot = next_slot(planned.policy, planned.at)
    coming = [*ends, *([slot] if slot else [])]
    return min(coming).timestamp() if coming else None


def _shown(change: Change) -> PlannedChange:
    before, after = change.before or {}, change.after or {}
    texts = [
        (name.removesuffix(_SECONDS), _told_of(name, before), _told_of(name, after))
        for name in change.changed
    ]
    fields = [(name, old, new) for name, old, new in texts if old or new]
    source = "" if change.source is None else str(change.source)
    by = change.changed_by
    return PlannedChange(
        change.system,
        change.section,
        change.key,
        str(change.operation),
        tuple(fields),
        change.reason,
        source,
        title=change.title,
        author="" if by is None else f"{by.actor}, {by.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _told_of(name: str, fields: Mapping[str, object]) -> str:
    value = fields.get(name)
    if name.endswith(_SECONDS) and isinstance(value, int) and not isinstance(value, bool):
        return duration_text(value)
    return _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = _listed(value) if isinstance(value, tuple | list) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(_text, values)) or "nothing"
