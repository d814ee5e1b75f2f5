"""Looking into values as they were read: what has another shape than expected is passed over.

Checks work on these, not on the typed policy, so that a wrong type in one place hides no mistake elsewhere;
types are complained about by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.policy.merge import Merged
    from controller.policy.places import Token, Value

__all__ = [
    "ASSIGNABLE",
    "Path",
    "entries_of",
    "found_at",
    "given",
    "map_of",
    "number_of",
    "text_of",
    "texts_of",
]

ASSIGNABLE: Final = ("machines", "machine_sets", "pools", "storages", "nodes")
"""Sections whose entries people, teams and tokens are assigned to."""

Path = tuple["Token", ...]
"""Where a value stands, from the top of the policy."""


def map_of(value: Value, name: str) -> dict[str, Value]:
    """The map under `name`, {} where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def text_of(value: Value, name: str) -> str:
    """The text under `name`, "" where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def number_of(value: Value, name: str) -> int | None:
    """The whole number under `name`, None where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def texts_of(value: Value, name: str) -> Iterator[tuple[int, str]]:
    """The texts of the list under `name`, with their places in it."""
    found = value.get(name) if isinstance(value, dict) else None
    for index, item in enumerate(found if isinstance(found, tuple) else ()):
        if isinstance(item, str):
            yield index, item


def given(value: Value, name: str) -> bool:
    """Whether something stands under `name`."""
    return isinstance(value, dict) and value.get(name) is not None


def entries_of(merged: Merged, *sections: str) -> Iterator[tuple[Path, dict[str, Value]]]:
    """Path and fields of each entry of `sections`."""
    for section in sections:
        for name, entry in merged.entries(section).items():
            if isinstance(entry, dict):
                yield (section, name), entry


def found_at(value: Value, path: tuple[str, ...], before: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Each value that `path` describes (`*` for every entry of a map or list), with its own path."""
    if not path:
        yield before, value
        return
    step, rest = path[0], path[1:]
    if step != "*":
        if isinstance(value, dict) and step in value:
            yield from found_at(value[step], rest, (*before, step))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from found_at(item, rest, (*before, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from found_at(item, rest, (*before, index))
