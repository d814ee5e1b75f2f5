"""Runs (one pass over the world each) and what became of every change in them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import insert, select, update

from controller.store.leases import fence
from controller.store.schema import outcomes, runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["Outcomes", "RecordableChange", "RecordableOutcome", "Run", "Runs", "StoredOutcome"]


class RecordableChange(Protocol):
    """What the store keeps of a change."""

    @property
    def system(self) -> str: ...  # noqa: D102
    @property
    def section(self) -> str: ...  # noqa: D102
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def operation(self) -> str: ...  # noqa: D102


class RecordableOutcome(Protocol):
    """What the store keeps of an outcome: a `controller.reconcile.Outcome` is one."""

    @property
    def change(self) -> RecordableChange: ...  # noqa: D102
    @property
    def result(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Run:
    """One pass: `kind` is apply, reconcile or drift.

    `term` that of the lease it writes under, 0 where it writes nothing.

    `result` is done, partial, failed or refused once finished; `plan` is the plan as JSON, `owner` its
    policy's mark.
    """

    id: str
    kind: str
    actor: str
    commit: str
    digest: str
    term: int
    plan: str
    started_at: int
    finished_at: int | None = None
    result: str | None = None
    detail: str = ""
    owner: str = ""


@dataclass(frozen=True)
class StoredOutcome:
    """What became of one change, as stored."""

    run_id: str
    system: str
    section: str
    key: str
    operation: str
    result: str
    reason: str
    at: int


class Runs:
    """The runs of this store."""

    def __init__(self, database: Database, journal: Journal, clock: Callable[[], int]) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    def start(
        self,
        run_id: str,
        *,
        kind: str,
        actor: str,
        commit: str = "",
        digest: str = "",
        term: int = 0,
        plan: str = "",
        owner: str = "",
    ) -> Run:
        """Store that a pass begins; raises LeaseLost where `term` is not the newest."""
        run = Run(run_id, kind, actor, commit, digest, term, plan, self._clock(), owner=owner)
        with self._database.write() as connection:
            fence(connection, term)
            connection.execute(insert(runs).values(**vars(run)))
            detail: dict[str, object] = {"commit": commit, "digest": digest, "kind": kind, "term": term}
            self._append(connection, run, "run.started", detail)
        return run

    def finish(self, run: Run, *, result: str, detail: str = "") -> None:
        """Store how the pass ended: done, partial, failed or refused, with a sentence for people."""
        ended = {"finished_at": self._clock(), "result": result, "detail": detail}
        with self._database.write() as connection:
            connection.execute(update(runs).where(runs.c.id == run.id).values(**ended))
            self._append(connection, run, "run.finished", {"detail": detail, "result": result})

    def break_off(self, run_id: str, *, detail: str) -> None:
        """Store that a pass ended before its end, where it began at all and has no end yet."""
        with self._database.read() as connection:
            is_open = (runs.c.id == run_id, runs.c.finished_at.is_(None))
            row = connection.execute(select(runs).where(*is_open)).mappings().first()
        if row is not None:
            self.finish(Run(**row), result="failed", detail=detail)

    def latest(self, limit: int) -> list[Run]:
        """The newest `limit` runs, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)
            ).mappings()
            return [Run(**row) for row in rows]

    def _append(self, connection: Connection, run: Run, event: str, detail: dict[str, object]) -> None:
        at = self._clock()
        self._journal.append(connection, at=at, actor=run.actor, event=event, subject=run.id, detail=detail)


class Outcomes:
    """What became of the changes, and from it: which objects are ours by our own record."""

    def __init__(self, database: Database, journal: Journal, clock: Callable[[], int]) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    def record(self, run: Run, outcome: RecordableOutcome) -> None:
        """Store one outcome with its audit entry. Durable on return; `record_all` is cheaper for many."""
        self.record_all(run, (outcome,))

    def record_all(self, run: Run, ended: Iterable[RecordableOutcome]) -> None:
        """Store outcomes and their audit entries in one transaction.

        Raises LeaseLost for an overtaken term.
        """
        at = self._clock()
        rows = [_row(run, outcome, at) for outcome in ended]
        if not rows:
            return
        entries = [(_subject(row), _detail(row)) for row in rows]
        with self._database.write() as connection:
            fence(connection, run.term)
            connection.execute(insert(outcomes), rows)
            self._journal.append_all(connection, at=at, actor=run.actor, event="change", items=entries)

    def of_run(self, run_id: str) -> list[StoredOutcome]:
        """The outcomes of one run, in the order in which they ended."""
        return self._select(outcomes.c.run_id == run_id)

    def owned_names(self, system: str, section: str) -> dict[str, frozenset[str]]:
        """The keys of `section` that a stored outcome of ours created or adopted, and none deleted since.

        Each with the owners whose policies did so.

        A creation whose answer never came (`unknown`) counts: the object carries our mark only if it was
        made by us. An update counts too, because only what is owned or being adopted is ever updated.
        """
        owned: defaultdict[str, set[str]] = defaultdict(set)
        columns = (outcomes.c.key, outcomes.c.operation, outcomes.c.result, runs.c.owner)
        query = (
            select(*columns)
            .join(runs, runs.c.id == outcomes.c.run_id)
            .where(outcomes.c.system == system, outcomes.c.section == section)
            .order_by(outcomes.c.id)
        )
        with self._database.read() as connection:
            for key, operation, result, owner in connection.execute(query):
                if operation == "delete" and result == "applied":
                    owned.pop(key, None)
                elif operation != "delete" and result in ("applied", "unknown"):
                    owned[key].add(owner)
        return {key: frozenset(owners) for key, owners in owned.items()}

    def _select(self, *conditions: object) -> list[StoredOutcome]:
        columns = [outcomes.c[name] for name in StoredOutcome.__dataclass_fields__]
        query = select(*columns).where(*conditions).order_by(outcomes.c.id)  # type: ignore[arg-type]
        with self._database.read() as connection:
            return [StoredOutcome(*row) for row in connection.execute(query)]


def _row(run: Run, outcome: RecordableOutcome, at: int) -> dict[str, object]:
    change = outcome.change
    return {
        "run_id": run.id,
        "system": change.system,
        "section": change.section,
        "key": change.key,
        "operation": str(change.operation),
        "result": str(outcome.result),
        "reason": outcome.reason,
        "at": at,
    }


def _subject(row: dict[str, object]) -> str:
    return f"{row['system']} {row['section']} {row['key']}"


def _detail(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("operation", "reason", "result", "run_id")}
