"""From what a diff found to what a plan does:

modes, ignored fields, targets, and prunes that we may make. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from controller.plan.change import Operation, freeze
from controller.plan.plan import Report
from controller.policy.problems import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from controller.plan.change import Change
    from controller.plan.plan import Note
    from controller.policy.model import Policy

__all__ = ["aimed", "is_aimed_at", "known_prunes", "only_reported", "unknown_targets", "without_ignored"]


def known_prunes(
    prunes: Iterable[Change], known: Callable[[str, str, str], bool]
) -> tuple[list[Change], list[Report]]:
    """The prunes of objects that our record knows; of the others, a report that wakes somebody."""
    made: list[Change] = []
    reported: list[Report] = []
    for change in prunes:
        if known(change.system, change.section, change.key):
            made.append(change)
        else:
            text = "foreign mark: carries our mark, but neither our record nor an earlier commit knows it"
            reported.append(
                Report(change.system, change.section, change.key, text, pages=True, title=change.title)
            )
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
    """The changes without the fields that the policy ignores; an update that then alters nothing is gone."""
    kept: list[Change] = []
    for change in changes:
        fields = _ignored(change, policy) if change.operation is Operation.UPDATE else frozenset()
        before, after = change.before or {}, change.after or {}
        if fields & set(change.changed):
            after = {name: before.get(name) if name in fields else value for name, value in after.items()}
            change = replace(change, after=freeze(after))  # noqa: PLW2901 - the narrowed change takes its place
            if not change.changed:
                continue
        kept.append(change)
    return kept


def _ignored(change: Change, policy: Policy) -> frozenset[str]:
    names: set[str] = set()
    for rule in policy.ignore:
        patterns = {"users": rule.users, "roles": rule.roles, "machines.assigned": rule.machines}
        pattern = patterns.get(change.section)
        if pattern is not None and fnmatchcase(change.key, pattern):
            names.update(rule.fields)
    return frozenset(names)


def aimed(changes: Sequence[Change], targets: Sequence[str]) -> list[Change]:
    """The changes that `section/key` targets name, and what these depend on; all of them without targets."""
    if not targets:
        return list(changes)
    by_identity = {change.identity: change for change in changes}
    wanted = [change for change in changes if _hit(change, targets)]
    kept: dict[str, Change] = {}
    while wanted:
        change = wanted.pop()
        if change.identity not in kept:
            kept[change.identity] = change
            wanted += [by_identity[name] for name in change.depends_on if name in by_identity]
    return list(kept.values())


def is_aimed_at(note: Note, targets: Sequence[str]) -> bool:
    """Whether a note is about what `targets` name; without targets every note is."""
    return not targets or f"{note.section.partition('.')[0]}/{note.key}" in targets


def _hit(change: Change, targets: Sequence[str]) -> bool:
    """An assignment is hit by its own key, and by its machine as its title begins with it."""
    machine = change.title.partition(" ← ")[0] if change.section == "machines.assigned" else ""
    names = {f"{change.section}/{change.key}", *([f"machines/{machine}"] if machine else [])}
    return not names.isdisjoint(targets)


def unknown_targets(
    targets: Sequence[str], changes: Iterable[Change], named: Iterable[str]
) -> list[tuple[str, str]]:
    """The targets that neither the policy names (`named`, as `section/key`) nor a change hits.

    Each comes with what was probably meant, or "".
    """
    listed, known = list(changes), set(named)
    return [
        (target, did_you_mean(target, known))
        for target in targets
        if target not in known and not any(_hit(change, [target]) for change in listed)
    ]
