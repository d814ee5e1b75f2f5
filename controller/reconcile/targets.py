"""`--target SECTION/NAME`: only these objects of the policy, with what they need. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.plan.brakes import person_of
from controller.policy.problems import did_you_mean, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.plan.change import Change
    from controller.plan.plan import Note
    from controller.policy.model import Policy

__all__ = ["aimed", "check_targets", "is_aimed_at"]

_NAMED = ("roles", "teams", "users", "clients", "machines", "pools", "storages", "nodes")
_OF_THE_REALM = frozenset({"realm", "identity_providers", "default_roles"})
_ARROW = " ← "
"""Stands in the title of an assignment between what is assigned and to whom."""


def aimed(changes: Sequence[Change], targets: Sequence[str], policy: Policy) -> list[Change]:
    """The changes that `section/name` targets name, and what these depend on; all of them without targets."""
    if not targets:
        return list(changes)
    by_identity = {change.identity: change for change in changes}
    wanted = [change for change in changes if not _subjects(change, policy).isdisjoint(targets)]
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


def check_targets(targets: Sequence[str], changes: Sequence[Change], policy: Policy) -> None:
    """Raise ControllerError for a target that nothing is called: a slip would read as "nothing to do"."""
    if not targets:
        return
    named = {f"{section}/{name}" for section in _NAMED for name in getattr(policy, section)}
    if policy.realm is not None:
        named.add(f"realm/{policy.realm.name}")
        named |= {f"identity_providers/{alias}" for alias in policy.realm.identity_providers}
    known = named.union(*(_subjects(change, policy) for change in changes))
    for target in targets:
        if target in known:
            continue
        meant = did_you_mean(target, named)
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        raise ControllerError(
            f"nothing is called {quoted(target)}{question}",
            hint=f"a target is realm/NAME, {', '.join(f'{section}/NAME' for section in _NAMED)}",
        )


def _subjects(change: Change, policy: Policy) -> frozenset[str]:
    """What the policy calls the objects that a change is about, as `section/name`."""
    names = {f"{change.section}/{change.key}"}
    kind, _, part = change.section.partition(".")
    if part:  # an assignment's key is Proxmox's own: the title says what the policy calls it
        named = change.title.partition(_ARROW)[0] or change.key
        names |= {f"{kind}/{named}", f"{kind}/{named.removeprefix(kind.removesuffix('s')).strip()}"}
    elif change.section in _OF_THE_REALM and policy.realm is not None:
        names.add(f"realm/{policy.realm.name}")
    elif change.section == "tokens":
        names.add(f"users/{person_of(change)}")
    return frozenset(names)
