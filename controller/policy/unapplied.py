"""What this version reads and checks but does not carry out, said plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.policy.notes import NotApplied
from controller.policy.places import key_position

if TYPE_CHECKING:
    from controller.policy.merge import Merged
    from controller.policy.places import Token, Value

__all__ = ["NOT_APPLIED", "not_applied"]

NOT_APPLIED: Final[tuple[tuple[str, ...], ...]] = (
    ("delegate",),
    ("users", "*", "ssh_keys"),
    ("machines", "*", "backup"),
    ("machine_sets", "*", "backup"),
    ("hosts", "*", "machine"),
    ("hosts", "*", "accounts"),
    ("hosts", "*", "services"),
    ("hosts", "*", "backup"),
    ("repositories",),
    ("backups",),
    ("alerting",),
)
"""Sections and fields (`*` for each entry) that later versions carry out."""


def not_applied(merged: Merged) -> tuple[NotApplied, ...]:
    """One note for each section or field that stands in the policy without effect, at its first place."""
    found: list[NotApplied] = []
    for path in NOT_APPLIED:
        what = "section " + path[0] if len(path) == 1 else ".".join(part for part in path if part != "*")
        places = sorted(key_position(merged.place, at) for at in _find(merged.values, path, ()))
        if places:
            times = f" ({len(places)} times)" if len(places) > 1 else ""
            found.append(NotApplied(places[0], what + times))
    return tuple(sorted(found))


def _find(value: Value, path: tuple[str, ...], before: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The paths at which `path` stands with something in it."""
    if not path:
        return [before] if value not in (None, {}, ()) else []
    if not isinstance(value, dict):
        return []
    names = list(value) if path[0] == "*" else [path[0]] if path[0] in value else []
    return [found for name in names for found in _find(value[name], path[1:], (*before, name))]
