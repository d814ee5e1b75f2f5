"""Overrides: what a person decided over the policy's head, for at most thirty days. Ended ones are history.

A person or a machine has one override at a time: a new one ends the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import insert, select, update

from controller.errors import NotThere, Refused
from controller.store.schema import overrides

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["MAX_SECONDS", "NoSuchOverride", "OverrideKind", "Overrides", "StoredOverride"]

MAX_SECONDS = 30 * 86_400
"""Longer than that is a change of the policy."""

OverrideKind = Literal["user", "machine"]
_LONGEST_REASON = 500
_LONGEST_NAME = 255


class NoSuchOverride(NotThere):
    """No override of that name is in force."""


@dataclass(frozen=True)
class StoredOverride:
    """One override: `kind` says whether `name` is a user (suspended) or a machine (held in `state`).

    `ended_at` is when somebody (`ended_by`) ended it before `until`.
    """

    id: int
    kind: OverrideKind
    name: str
    state: str
    actor: str
    reason: str
    created_at: int
    until: int
    ended_at: int | None = None
    ended_by: str = ""

    def is_in_force(self, now: int) -> bool:
        """Whether it counts at this instant."""
        return self.ended_at is None and self.until > now


class Overrides:
    """The overrides of this store."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def begin(
        self, kind: OverrideKind, name: str, *, state: str, until: int, actor: str, reason: str, now: int
    ) -> StoredOverride:
        """Put an override in force, in place of the one that is. Raises Refused for a bad end."""
        _check(name, until, reason, now)
        values = {
            "kind": kind,
            "name": name,
            "state": state,
            "actor": actor,
            "reason": reason,
            "created_at": now,
            "until": until,
            "ended_at": None,
            "ended_by": "",
        }
        with self._database.write() as connection:
            _end(connection, kind, name, actor=actor, now=now)
            made = connection.execute(insert(overrides).values(**values)).inserted_primary_key
            detail: dict[str, object] = {"reason": reason, "state": state, "until": until}
            self._append(connection, now, actor, "override.begun", f"{kind} {name}", detail)
        return StoredOverride(id=int(made[0]) if made else 0, **values)  # type: ignore[arg-type]

    def end(self, kind: OverrideKind, name: str, *, actor: str, now: int) -> StoredOverride:
        """End the one in force; raises NoSuchOverride."""
        with self._database.write() as connection:
            ended = _end(connection, kind, name, actor=actor, now=now)
            if ended is None:
                raise NoSuchOverride(
                    f"no override of the {kind} {name!r} is in force",
                    hint="`steward override list` names them",
                )
            self._append(connection, now, actor, "override.ended", f"{kind} {name}", {"until": ended.until})
        return ended

    def in_force(self, now: int) -> list[StoredOverride]:
        """Those that count at this instant, sorted by kind and name."""
        with self._database.read() as connection:
            return _select(connection, overrides.c.ended_at.is_(None), overrides.c.until > now)

    def latest(self, limit: int) -> list[StoredOverride]:
        """The newest `limit`, ended ones among them, newest first."""
        query = select(overrides).order_by(overrides.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [StoredOverride(**row) for row in connection.execute(query).mappings()]

    def _append(
        self, connection: Connection, at: int, actor: str, event: str, subject: str, detail: dict[str, object]
    ) -> None:
        self._journal.append(connection, at=at, actor=actor, event=event, subject=subject, detail=detail)


def _check(name: str, until: int, reason: str, now: int) -> None:
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise Refused("an override names a person or a machine of the policy")
    if until <= now:
        raise Refused("an override ends in the future", hint="say when, as 2h, 3d or 2027-01-31T08:00")
    if until - now > MAX_SECONDS:
        raise Refused(
            "an override lasts thirty days at most", hint="what is to last longer belongs in the policy"
        )
    if len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise Refused(f"a reason is one line of at most {_LONGEST_REASON} characters")


def _end(
    connection: Connection, kind: OverrideKind, name: str, *, actor: str, now: int
) -> StoredOverride | None:
    mine = (overrides.c.kind == kind, overrides.c.name == name)
    found = _select(connection, *mine, overrides.c.ended_at.is_(None), overrides.c.until > now)
    for one in found:
        ended = update(overrides).where(overrides.c.id == one.id).values(ended_at=now, ended_by=actor)
        connection.execute(ended)
    return found[0] if found else None


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[StoredOverride]:
    query = select(overrides).where(*conditions).order_by(overrides.c.kind, overrides.c.name)
    return [StoredOverride(**row) for row in connection.execute(query).mappings()]
