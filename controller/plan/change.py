"""One change to one object, and what became of it: values that travel from a diff to the store.

A change is known by `identity` (system/section/key); it carries the managed fields before and after, so that
a person, a digest and the re-read right before writing all look at the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

if TYPE_CHECKING:
    from datetime import datetime

    from controller.policy.position import SourcePosition

__all__ = [
    "Change",
    "ChangedBy",
    "Fields",
    "Json",
    "Operation",
    "Outcome",
    "Result",
    "create",
    "delete",
    "freeze",
    "thaw",
    "update",
]

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"
Fields: TypeAlias = Mapping[str, Json]
_NOTHING: Mapping[str, int] = MappingProxyType({})


class Details(TypedDict, total=False):
    """What `create`, `update` and `delete` take beside the object and its fields; see `Change`."""

    reason: str
    source: SourcePosition | None
    depends_on: tuple[str, ...]
    object_id: str
    removals: Mapping[str, int]
    title: str
    by: str


class Operation(StrEnum):
    """What a change does to its object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Result(StrEnum):
    """How one change ended.

    `unknown` means that the call was sent and no answer came: the next pass observes and tells.
    """

    APPLIED = "applied"
    SKIPPED = "skipped"
    CONFLICT = "conflict"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ChangedBy:
    """Who made an object what it is, as the system's record tells: `at` with a zone, `detail` in words."""

    actor: str
    at: datetime
    detail: str = ""

    def to_json(self) -> dict[str, Json]:
        """The author as JSON, the instant in ISO 8601."""
        return {"actor": self.actor, "at": self.at.isoformat(timespec="seconds"), "detail": self.detail}


@dataclass(frozen=True)
class Change:
    """One object's way from `before` to `after`; built by `create`, `update` and `delete`.

    `object_id` is the system's immutable id where it has one; `removals` counts what the brakes count, by
    population (`{"users": 1}` for a person who is disabled, `{"grants": 2}` for two roles taken away).
    `title` is what people call the object where its key is the system's own, `by` the set of machines that
    asks for the change, "" where the object's own entry does; neither stands in JSON.
    `changed_by` is who made the object differ, where the system tells.
    """

    system: str
    section: str
    key: str
    operation: Operation
    before: Fields | None
    after: Fields | None
    reason: str = ""
    source: SourcePosition | None = None
    depends_on: tuple[str, ...] = ()
    object_id: str = ""
    removals: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    title: str = ""
    by: str = ""
    changed_by: ChangedBy | None = None

    @property
    def identity(self) -> str:
        """`system/section/key`: what `depends_on` names and what is unique in a plan."""
        return f"{self.system}/{self.section}/{self.key}"

    @property
    def label(self) -> str:
        """The change in a sentence: the title where there is one, the identity otherwise."""
        return f"{self.operation} {f'{self.system}: {self.title}' if self.title else self.identity}"

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields whose value differs, sorted."""
        before, after = self.before or {}, self.after or {}
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        return tuple(sorted(names))

    def to_json(self) -> dict[str, Json]:
        """The change as JSON; the position as `file:line:column`, or null."""
        return {
            **self.essence(),
            "reason": self.reason,
            "source": None if self.source is None else str(self.source),
            "depends_on": list(self.depends_on),
            "changed_by": None if self.changed_by is None else self.changed_by.to_json(),
        }

    def essence(self) -> dict[str, Json]:
        """What the digest covers: the object and its way, not the words about it."""
        return {
            "system": self.system,
            "section": self.section,
            "key": self.key,
            "operation": str(self.operation),
            "before": thaw(self.before),
            "after": thaw(self.after),
        }


@dataclass(frozen=True)
class Outcome:
    """What became of one change; `reason` is empty only where it was applied."""

    change: Change
    result: Result
    reason: str = ""

    def to_json(self) -> dict[str, Json]:
        """The outcome as JSON, the change by its identity."""
        return {
            "change": self.change.identity,
            "operation": str(self.change.operation),
            "result": str(self.result),
            "reason": self.reason,
        }


def create(system: str, section: str, key: str, after: Fields, **details: Unpack[Details]) -> Change:
    """A change that brings an object into being."""
    return Change(system, section, key, Operation.CREATE, None, freeze(after), **_kept(details))


def update(
    system: str, section: str, key: str, before: Fields, after: Fields, **details: Unpack[Details]
) -> Change:
    """A change of an object's managed fields from `before` to `after`."""
    return Change(system, section, key, Operation.UPDATE, freeze(before), freeze(after), **_kept(details))


def delete(system: str, section: str, key: str, before: Fields, **details: Unpack[Details]) -> Change:
    """A change that removes an object: one removal of its section unless `removals` says otherwise."""
    counted: Details = {"removals": {section: 1}, **details}
    return Change(system, section, key, Operation.DELETE, freeze(before), None, **_kept(counted))


def _kept(details: Details) -> Details:
    kept: Details = {**details}
    kept["removals"] = MappingProxyType(dict(details.get("removals", _NOTHING)))
    return kept


def freeze(fields: Fields) -> Fields:
    """A copy that nobody can alter: mappings read-only, sequences as tuples."""
    return MappingProxyType({name: _frozen(value) for name, value in fields.items()})


def _frozen(value: Json) -> Json:
    if isinstance(value, Mapping):
        return freeze(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_frozen(item) for item in value)
    return value


def thaw(value: Json) -> Json:
    """The same value in plain dicts and lists, as the json module wants it."""
    if isinstance(value, Mapping):
        return {name: thaw(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [thaw(item) for item in value]
    return value
