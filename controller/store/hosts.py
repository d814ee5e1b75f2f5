"""Hosts: enrolment tokens, the two keys of each host, and what each of them told last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from controller.errors import ControllerError, NotThere, Refused
from controller.store.schema import actions, enrolment_tokens, hosts

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from controller.store.database import Database
    from controller.store.entries import Journal

__all__ = ["EnrolmentRefused", "Host", "Hosts", "NewHost", "NoSuchHost", "Poll"]

MAX_TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Host:
    """A host as enrolled: `host_id` is new at every enrolment, `name` is what people call it.

    Keys are raw Ed25519 public keys. `journal_*` is the newest head of the host's own journal that we saw,
    `receipt_*` the newest receipt that we stored, `action_seq` the newest seq that we gave out.
    """

    host_id: str
    name: str
    transport_key: bytes
    receipt_key: bytes
    enrolled_at: int
    revoked_at: int | None
    agent_version: str
    metrics_address: str
    trust_version: int
    approvers_version: int
    last_poll_at: int | None
    journal_seq: int
    journal_sha256: str
    receipt_seq: int
    receipt_sha256: str
    receipt_gaps: int
    action_seq: int
    quarantined_at: int | None
    quarantine_reason: str


@dataclass(frozen=True)
class NewHost:
    """What a host brings to its enrolment, beside the token's secret."""

    host_id: str
    name: str
    transport_key: bytes
    receipt_key: bytes
    agent_version: str


@dataclass(frozen=True)
class Poll:
    """What a host says of itself at each poll."""

    agent_version: str
    trust_version: int
    approvers_version: int
    journal_seq: int
    journal_sha256: str
    metrics_address: str


class NoSuchHost(NotThere):
    """No host of that name or id is enrolled."""


class EnrolmentRefused(Refused):
    """The token was no good. `reason` is token_unknown, token_used, token_expired or wrong_name."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"enrolment refused: {reason}")
        self.reason = reason


class Hosts:
    """The hosts of this store. What is here is public; secrets of tokens are kept as SHA-256 only."""

    def __init__(self, database: Database, journal: Journal) -> None:
        self._database = database
        self._journal = journal

    def allow(self, secret_sha256: str, *, name: str, created_by: str, now: int, ttl_seconds: int) -> None:
        """Let one host enrol as `name`, once, for at most 24 hours."""
        if not 0 < ttl_seconds <= MAX_TOKEN_SECONDS:
            raise ControllerError(f"a token lives 1 to {MAX_TOKEN_SECONDS} seconds, not {ttl_seconds}")
        row = {
            "secret_sha256": secret_sha256,
            "host_name": name,
            "created_by": created_by,
            "created_at": now,
            "expires_at": now + ttl_seconds,
        }
        with self._database.write() as connection:
            connection.execute(insert(enrolment_tokens).values(**row))
            detail = {"expires_at": now + ttl_seconds}
            self._append(connection, now, created_by, "host.enrolment_allowed", name, detail)

    def enroll(self, secret_sha256: str, new: NewHost, *, now: int) -> Host:
        """Consume the token and register both keys in one transaction; raises EnrolmentRefused.

        An earlier host of that name is revoked, and what it was to do and has not been given is void.
        """
        with self._database.write() as connection:
            refusal = _refusal(connection, secret_sha256, new.name, now)
            if refusal:
                self._append(
                    connection,
                    now,
                    f"host:{new.name}",
                    "host.enrolment_refused",
                    new.name,
                    {"reason": refusal},
                )
            else:
                _consume(connection, secret_sha256, new.host_id, now)
                host = self._register(connection, new, now)
        if refusal:
            raise EnrolmentRefused(refusal)
        return host

    def get(self, host_id: str) -> Host | None:
        """The host of that id, revoked ones included."""
        with self._database.read() as connection:
            return _host(connection, hosts.c.host_id == host_id)

    def named(self, name: str) -> Host:
        """The host that bears `name` now; raises NoSuchHost."""
        with self._database.read() as connection:
            found = _host(connection, hosts.c.name == name, hosts.c.revoked_at.is_(None))
        if found is None:
            raise NoSuchHost(f"no host named {name!r} is enrolled", hint="`steward host list` names them")
        return found

    def listed(self, *, include_revoked: bool = False) -> list[Host]:
        """All hosts by name."""
        query = select(hosts).order_by(hosts.c.name, hosts.c.enrolled_at)
        if not include_revoked:
            query = query.where(hosts.c.revoked_at.is_(None))
        with self._database.read() as connection:
            return [Host(**row) for row in connection.execute(query).mappings()]

    def saw_poll(self, host_id: str, poll: Poll, *, now: int) -> Host | None:
        """Store what the host says, and quarantine it where its journal is behind what we saw before.

        Compared is what was known when the poll *before* was stored: a host makes its polls one after the
        other, so whatever we knew when we answered that one was in its journal before it made this one. A
        receipt that overtook this poll counts from the next one on.

        Returns the host as it is now; None where it does not exist or is revoked.
        """
        with self._database.write() as connection:
            host = _host(connection, hosts.c.host_id == host_id, hosts.c.revoked_at.is_(None))
            if host is None:
                return None
            told: dict[str, Any] = vars(poll) | {"last_poll_at": now}
            fault = _journal_fault(host, poll)
            if fault:
                told |= {"journal_seq": host.journal_seq, "journal_sha256": host.journal_sha256}
            elif host.receipt_seq > poll.journal_seq:
                told |= {"journal_seq": host.receipt_seq, "journal_sha256": host.receipt_sha256}
            connection.execute(update(hosts).where(hosts.c.host_id == host_id).values(**told))
            if fault and host.quarantined_at is None:
                self._quarantine(connection, host, fault, now)
            return _host(connection, hosts.c.host_id == host_id)

    def quarantine(self, host: Host, reason: str, *, now: int) -> None:
        """Give the host nothing more to do until somebody releases it."""
        with self._database.write() as connection:
            self._quarantine(connection, host, reason, now)

    def release(self, name: str, *, actor: str, now: int) -> None:
        """End a quarantine; the next poll's journal head is believed anew. Raises NoSuchHost."""
        host = self.named(name)
        calm = {
            "quarantined_at": None,
            "quarantine_reason": "",
            "journal_seq": 0,
            "journal_sha256": "",
        }
        with self._database.write() as connection:
            connection.execute(update(hosts).where(hosts.c.host_id == host.host_id).values(**calm))
            detail = {"host_id": host.host_id, "reason": host.quarantine_reason}
            self._append(connection, now, actor, "host.released", name, detail)

    def revoke(self, name: str, *, actor: str, now: int) -> Host:
        """Believe nothing more from that host, and void what it has not been given; raises NoSuchHost."""
        host = self.named(name)
        with self._database.write() as connection:
            self._revoke(connection, host, actor, now)
        return host

    def _register(self, connection: Connection, new: NewHost, now: int) -> Host:
        earlier = _host(connection, hosts.c.name == new.name, hosts.c.revoked_at.is_(None))
        actor = f"host:{new.name}"
        if earlier is not None:
            self._revoke(connection, earlier, actor, now)
        host = Host(
            **vars(new),
            enrolled_at=now,
            revoked_at=None,
            metrics_address="",
            trust_version=0,
            approvers_version=0,
            last_poll_at=None,
            journal_seq=0,
            journal_sha256="",
            receipt_seq=0,
            receipt_sha256="",
            receipt_gaps=0,
            action_seq=0,
            quarantined_at=None,
            quarantine_reason="",
        )
        connection.execute(insert(hosts).values(**vars(host)))
        detail = {"host_id": new.host_id, "receipt_key": new.receipt_key.hex()}
        self._append(connection, now, actor, "host.enrolled", new.name, detail)
        return host

    def _revoke(self, connection: Connection, host: Host, actor: str, now: int) -> None:
        connection.execute(update(hosts).where(hosts.c.host_id == host.host_id).values(revoked_at=now))
        for state, ends in (("queued", "expired"), ("delivered", "unknown")):
            mine = (actions.c.host_id == host.host_id, actions.c.state == state)
            void = {"state": ends, "reason": "the host was revoked", "finished_at": now}
            connection.execute(update(actions).where(*mine).values(**void))
        self._append(connection, now, actor, "host.revoked", host.name, {"host_id": host.host_id})

    def _quarantine(self, connection: Connection, host: Host, reason: str, now: int) -> None:
        held = {"quarantined_at": now, "quarantine_reason": reason}
        connection.execute(update(hosts).where(hosts.c.host_id == host.host_id).values(**held))
        detail = {"host_id": host.host_id, "reason": reason}
        self._append(connection, now, "controller", "host.quarantined", host.name, detail)

    def _append(
        self, connection: Connection, at: int, actor: str, event: str, subject: str, detail: dict[str, Any]
    ) -> None:
        self._journal.append(connection, at=at, actor=actor, event=event, subject=subject, detail=detail)


def _refusal(connection: Connection, secret_sha256: str, name: str, now: int) -> str:
    query = select(enrolment_tokens).where(enrolment_tokens.c.secret_sha256 == secret_sha256)
    token = connection.execute(query).first()
    if token is None:
        return "token_unknown"
    if token.used_at is not None:
        return "token_used"
    if now > token.expires_at:
        return "token_expired"
    return "" if token.host_name == name else "wrong_name"


def _consume(connection: Connection, secret_sha256: str, host_id: str, now: int) -> None:
    """Mark the token as used; of two that came at once under a weaker isolation, one is refused here."""
    token = (enrolment_tokens.c.secret_sha256 == secret_sha256, enrolment_tokens.c.used_at.is_(None))
    used = update(enrolment_tokens).where(*token).values(used_at=now, host_id=host_id)
    if connection.execute(used).rowcount != 1:
        raise EnrolmentRefused("token_used")


def _journal_fault(host: Host, poll: Poll) -> str:
    if poll.journal_seq < host.journal_seq:
        return (
            f"its journal ends at {poll.journal_seq}, but {host.journal_seq} was seen: a disk was rolled back"
        )
    known = {host.journal_seq: host.journal_sha256, host.receipt_seq: host.receipt_sha256}
    seen = known.get(poll.journal_seq, "")
    if seen and poll.journal_sha256 != seen:
        return f"its journal holds another entry {poll.journal_seq} than was seen: it was rewritten"
    return ""


def _host(connection: Connection, *conditions: Any) -> Host | None:
    found = connection.execute(select(hosts).where(*conditions)).mappings().first()
    return None if found is None else Host(**found)
