"""From what a diff found to what a plan does:

modes, ignored fields, and prunes that we may make. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from controller.plan.change import Operation, freeze
from controller.plan.plan import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.plan.change import Change, Fields
    from controller.policy.model import Policy

__all__ = ["known_prunes", "only_reported", "without_ignored"]


def known_prunes(
    prunes: Iterable[Change],
    known: Callable[[str, str, str], bool],
    whose: Callable[[str, str, str], str],
) -> tuple[list[Change], list[Report]]:
    """The prunes of objects that our record knows; what nobody's knows is reported and wakes somebody.

    Several owners may share a Proxmox, whose roles and entries tell no owner: what another one has is not
    pruned, and not told either unless we have it too.
    """
    made: list[Change] = []
    reported: list[Report] = []
    for change in prunes:
        place = (change.system, change.section, change.key)
        is_known, other = known(*place), whose(*place)
        if is_known and not other:
            made.append(change)
        elif is_known:
            text = f"no longer in the policy, and left to {other}, whose policy has it too"
            reported.append(Report(*place, text, title=change.title))
        elif not other:
            text = "foreign mark: carries our mark, but neither our record nor an earlier commit knows it"
            reported.append(Report(*place, text, pages=True, title=change.title))
    return made, reported


def only_reported(changes: Iterable[Change]) -> list[Report]:
    """What a section in report mode would change."""
    return [
        Report(
            change.system,
            change.section,
            change.key,
            f"would {change.operation} (report mode): {change.reason}",
            source=change.source,
            change=change,
        )
        for change in changes
    ]


def without_ignored(changes: Iterable[Change], policy: Policy) -> list[Change]:
    """The changes without the fields that the policy ignores; an update that then alters nothing is gone.

    `attributes.theme` is the entry `theme` of the field `attributes`.
    """
    if not policy.ignore:
        return list(changes)
    kept: list[Change] = []
    for change in changes:
        if change.operation is Operation.UPDATE:
            after = change.after or {}
            for field in _ignored(change, policy):
                after = _as_before(change.before or {}, after, field)
            change = replace(change, after=freeze(after))  # noqa: PLW2901 - the narrowed change takes its place
            if not change.changed:
                continue
        kept.append(change)
    return kept


def _as_before(before: Fields, after: Fields, field: str) -> Fields:
    """The fields after a change, the one that is ignored as it was."""
    name, _, inner = field.partition(".")
    if field in after:
        return {**after, field: before.get(field)}
    had, has = before.get(name), after.get(name)
    if not isinstance(had, Mapping) or not isinstance(has, Mapping):
        return after
    rest = {key: value for key, value in has.items() if key != inner}
    return {**after, name: {**rest, inner: had[inner]} if inner in had else rest}


def _ignored(change: Change, policy: Policy) -> list[str]:
    """The fields that are left alone; the pattern is for the names of the section."""
    section = change.section.partition(".")[0]
    return [
        field
        for rule in policy.ignore
        if (pattern := getattr(rule, section, None)) is not None and _is_called(change, pattern)
        for field in rule.fields
    ]


def _is_called(change: Change, pattern: str) -> bool:
    names = (change.key, change.title.partition(" ← ")[0])
    return any(fnmatchcase(name, pattern) for name in names if name)
