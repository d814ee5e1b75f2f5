"""What the language can say of what was read: all is tried on its types, the rest is left out and told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.policy.part import refused_paths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.policy.places import Token

__all__ = ["OURSELVES", "Entries", "LeftOut", "duration", "sayable"]

Entries = dict[str, dict[str, Any]]
"""A section: entries by name, fields as a policy has them."""

_UNITS = ((604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
OURSELVES = "Steward acts with it: its rights are given by hand, and no plan may change it"
"""Why our own account is no part of a policy: a brake holds every change of it."""

_LARGEST = 999_999
_ROUNDS = 4
"""Taking a field out can make what holds it incomplete: that is looked at again, as often as it is deep."""


@dataclass
class LeftOut:
    """What no policy says, by section: what it is, and why."""

    told: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, section: str, what: str, why: str) -> None:
        """Note one thing."""
        self.told.setdefault(section, []).append((what, why))

    def lines(self) -> list[str]:
        """All of it, a line each."""
        return [f"{section}: {what}: {why}" for section, ones in self.told.items() for what, why in ones]


def sayable(section: str, entries: Mapping[str, Any], left_out: LeftOut) -> dict[str, Any]:
    """The entries without the fields, and without the entries, that the language has no form for."""
    kept = {name: dict(entry) if isinstance(entry, dict) else entry for name, entry in entries.items()}
    for _ in range(_ROUNDS):
        refused = refused_paths({section: _strict(kept)})
        if not refused:
            break
        for (_, *path), why in refused:
            _take_out(section, kept, path, why, left_out)
    return kept


def _take_out(section: str, entries: dict[str, Any], path: list[Token], why: str, left_out: LeftOut) -> None:
    """Take out the field that `path` leads to, or the entry where its name or a needed field is refused."""
    name = str(path[0])
    if name not in entries:
        return
    entry = entries[name]
    fields = [token for token in path[1:] if token != "[key]"]  # noqa: S105 - pydantic's word for a key
    if not fields or "[key]" in path[:2]:
        left_out.add(section, name, why)
        del entries[name]
        return
    *parents, last = fields
    holder: Any = entry
    for token in parents:
        holder = holder.get(token) if isinstance(holder, dict) else None
    if isinstance(holder, dict) and last in holder:
        left_out.add(section, ".".join(map(str, (name, *fields))), why)
        del holder[last]
    elif len(fields) > 1:
        _take_out(section, entries, [name, *fields[:-1]], why, left_out)
    else:
        left_out.add(section, name, why)
        del entries[name]


def _strict(value: Any) -> Any:
    """Lists as tuples, the way a policy's reader gives them."""
    if isinstance(value, dict):
        return {name: _strict(item) for name, item in value.items()}
    return tuple(map(_strict, value)) if isinstance(value, list | tuple) else value


def duration(seconds: int) -> str | None:
    """A length of time in the largest unit that says it exactly; None for one that no policy can say."""
    for length, unit in _UNITS:
        if seconds % length == 0 and seconds // length <= _LARGEST and (seconds or unit == "s"):
            return f"{seconds // length}{unit}"
    return None
