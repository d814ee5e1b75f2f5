"""Actions: what was signed for which host, and how far each has come.

    queued ──► delivered ──► done | failed | refused | interrupted     by a receipt
       └─────────► expired   └─► unknown                               by the clock, or a revoked host

Delivery never removes an action: only a verified receipt or its expiry ends it (actions.md section 9). A
receipt that comes late still tells how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select, update

from controller.errors import NotThere, Refused
from controller.store.hosts import NoSuchHost
from controller.store.leases import fence
from controller.store.schema import actions, hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["Actions", "NoSuchAction", "SignedAction", "StoredAction"]

SKEW_SECONDS = 90
"""How far a host's clock may be off (actions.md section 6): an action is over that long after its expiry."""

REDELIVER_SECONDS = 10
"""A delivered action without a receipt is given again after this long: a host that runs it is not flooded."""

_MAX_OPEN = 1000
_MAX_DELIVERIES = 8


@dataclass(frozen=True)
class SignedAction:
    """An action as signed: `delivery` is the JSON text that travels, `args` canonical JSON."""

    id: str
    host_id: str
    seq: int
    kind: str
    args: str
    issued_at: int
    not_before: int
    expires_at: int
    action_sha256: str
    delivery: str


@dataclass(frozen=True)
class StoredAction(SignedAction):
    """An action and how far it has come."""

    created_by: str
    state: str
    reason: str
    delivered_at: int | None
    finished_at: int | None


class NoSuchAction(NotThere):
    """No action of that id is stored."""


class Actions:
    """The queue of every host."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def queue(
        self, host_id: str, sign: Callable[[int], SignedAction], *, created_by: str, term: int, now: int
    ) -> StoredAction:
        """Allocate the host's next seq, have it signed by `sign`, and store it: all or nothing.

        Raises NoSuchHost, LeaseLost, and Refused for a host in quarantine or with too much to do already.
        """
        with self._database.write() as connection:
            fence(connection, term)
            signed = sign(_next_seq(connection, host_id))
            stored = StoredAction(
                **vars(signed),
                created_by=created_by,
                state="queued",
                reason="",
                delivered_at=None,
                finished_at=None,
            )
            connection.execute(insert(actions).values(**vars(stored)))
            detail = {
                "action_sha256": signed.action_sha256,
                "args": signed.args,
                "host_id": host_id,
                "kind": signed.kind,
                "seq": signed.seq,
            }
            self._append(connection, now, created_by, "action.queued", signed.id, detail)
        return stored

    def waiting(self, host_id: str, *, now: int) -> list[StoredAction]:
        """What the host is to be given now, in order of seq, at most eight."""
        due = or_(
            actions.c.state == "queued",
            (actions.c.state == "delivered") & (actions.c.delivered_at <= now - REDELIVER_SECONDS),
            (actions.c.state == "delivered") & (actions.c.delivered_at > now),  # the clock was set back
        )
        mine = (actions.c.host_id == host_id, actions.c.expires_at + SKEW_SECONDS >= now, due)
        query = select(actions).where(*mine).order_by(actions.c.seq).limit(_MAX_DELIVERIES)
        with self._database.read() as connection:
            return [StoredAction(**row) for row in connection.execute(query).mappings()]

    def delivered(self, given: Sequence[StoredAction], *, now: int) -> None:
        """Store that these were handed over; the first time is audited."""
        with self._database.write() as connection:
            for action in given:
                open_states = actions.c.state.in_(("queued", "delivered"))
                change = update(actions).where(actions.c.id == action.id, open_states)
                connection.execute(change.values(state="delivered", delivered_at=now))
                if action.delivered_at is None:
                    detail: dict[str, object] = {"host_id": action.host_id}
                    self._append(connection, now, "controller", "action.delivered", action.id, detail)

    def expire(self, *, now: int) -> list[StoredAction]:
        """End what is past its expiry.

        `expired` where it was never given, `unknown` where no receipt came.
        """
        past = actions.c.expires_at + SKEW_SECONDS < now
        query = select(actions).where(actions.c.state.in_(("queued", "delivered")), past)
        with self._database.read() as connection:  # most times there is nothing: no write lock for that
            if connection.execute(query.limit(1)).first() is None:
                return []
        with self._database.write() as connection:
            over = [StoredAction(**row) for row in connection.execute(query).mappings()]
            return [self._end(connection, action, now) for action in over]

    def get(self, action_id: str) -> StoredAction:
        """The action of that id; raises NoSuchAction."""
        with self._database.read() as connection:
            found = connection.execute(select(actions).where(actions.c.id == action_id)).mappings().first()
        if found is None:
            raise NoSuchAction(f"no action {action_id!r} is stored", hint="`steward action list` names them")
        return StoredAction(**found)

    def latest(self, limit: int) -> list[StoredAction]:
        """The newest `limit` actions, newest first."""
        query = select(actions).order_by(actions.c.issued_at.desc(), actions.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [StoredAction(**row) for row in connection.execute(query).mappings()]

    def _end(self, connection: Connection, action: StoredAction, now: int) -> StoredAction:
        is_given = action.state == "delivered"
        state = "unknown" if is_given else "expired"
        reason = "no receipt came back" if is_given else "the host did not fetch it in time"
        values = {"state": state, "reason": reason, "finished_at": now}
        connection.execute(update(actions).where(actions.c.id == action.id).values(**values))
        self._append(connection, now, "controller", f"action.{state}", action.id, {"reason": reason})
        return StoredAction(**(vars(action) | values))

    def _append(
        self, connection: Connection, at: int, actor: str, event: str, subject: str, detail: dict[str, object]
    ) -> None:
        self._journal.append(connection, at=at, actor=actor, event=event, subject=subject, detail=detail)


def _next_seq(connection: Connection, host_id: str) -> int:
    query = select(hosts).where(hosts.c.host_id == host_id, hosts.c.revoked_at.is_(None))
    host = connection.execute(query).first()
    if host is None:
        raise NoSuchHost(f"no host {host_id!r} is enrolled")
    if host.quarantined_at is not None:
        raise Refused(
            f"{host.name} is in quarantine: {host.quarantine_reason}",
            hint=f"look at the host, then `steward host release {host.name}`",
        )
    still_open = actions.c.state.in_(("queued", "delivered"))
    query_open = select(actions.c.id).where(actions.c.host_id == host_id, still_open).limit(_MAX_OPEN)
    if len(connection.execute(query_open).all()) == _MAX_OPEN:
        raise Refused(f"{host.name} has {_MAX_OPEN} actions waiting already")
    seq = int(host.action_seq) + 1
    connection.execute(update(hosts).where(hosts.c.host_id == host_id).values(action_seq=seq))
    return seq
