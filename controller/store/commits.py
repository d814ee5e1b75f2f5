"""Which commits of the policy were obeyed, and which a person accepted though they were no fast-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from controller.store.schema import commits

if TYPE_CHECKING:
    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["Commits", "StoredCommit"]


@dataclass(frozen=True)
class StoredCommit:
    """One line of the record.

    `kind` is applied (the controller obeyed it) or accepted (a person allowed it).
    """

    commit: str
    kind: str
    actor: str
    at: int


class Commits:
    """The record of commits."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def record(self, commit: str, *, kind: str, actor: str, now: int) -> None:
        """Store that `commit` was applied or accepted."""
        with self._database.write() as connection:
            connection.execute(insert(commits).values(commit=commit, kind=kind, actor=actor, at=now))
            self._journal.append(connection, at=now, actor=actor, event=f"policy.{kind}", subject=commit)

    def last_applied(self) -> str:
        """The newest commit that was obeyed; empty where none was."""
        query = select(commits.c.commit).where(commits.c.kind == "applied").order_by(commits.c.id.desc())
        with self._database.read() as connection:
            found = connection.execute(query.limit(1)).first()
        return "" if found is None else str(found.commit)

    def is_accepted(self, commit: str) -> bool:
        """Whether a person allowed this commit after the newest that was obeyed."""
        columns = (commits.c.commit, commits.c.kind)
        with self._database.read() as connection:
            for row in connection.execute(select(*columns).order_by(commits.c.id.desc()).limit(100)):
                if row.kind == "applied":
                    return False
                if row.commit == commit:
                    return True
        return False
