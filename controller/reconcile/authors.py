"""Who made the world differ from the policy, as far as the systems' own records tell.

A record that cannot be read never spoils a plan: the plan then says that it is not known, and why.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.plan.change import Change, Operation
from controller.plan.plan import Plan, Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.plan.change import ChangedBy
    from controller.reconcile.planner import System

__all__ = ["with_authors"]


def with_authors(plan: Plan, systems: Sequence[System]) -> Plan:
    """The plan with `changed_by` in each update and deletion, and in those of report mode, that is known."""
    told = [report.change for report in plan.reported if report.change is not None]
    asked = {
        system.name: [
            change
            for change in (*plan.changes, *told)
            if change.system == system.name and change.operation is not Operation.CREATE
        ]
        for system in systems
        if system.history is not None
    }
    asking = [system for system in systems if asked.get(system.name)]
    if not asking:
        return plan
    with ThreadPoolExecutor(len(asking), thread_name_prefix="history") as pool:
        answers = list(pool.map(lambda system: _asked(system, asked[system.name]), asking))
    authors = {name: by for found, _ in answers for name, by in found.items()}
    return replace(
        plan,
        changes=tuple(_signed(change, authors) for change in plan.changes),
        reported=(
            *(
                report if report.change is None else replace(report, change=_signed(report.change, authors))
                for report in plan.reported
            ),
            *(report for _, reports in answers for report in reports),
        ),
    )


def _signed(change: Change, authors: Mapping[str, ChangedBy]) -> Change:
    by = authors.get(change.identity)
    return change if by is None else replace(change, changed_by=by)


def _asked(system: System, changes: Sequence[Change]) -> tuple[Mapping[str, ChangedBy], list[Report]]:
    if system.history is None:
        return {}, []
    try:
        return system.history(changes), []
    except ControllerError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - the isolating runner: a plan is worth more than its authors
        why = f"unexpected {type(error).__name__}: {error}"
    return {}, [Report(system.name, "", "", f"who changed it is not known: {why}")]
