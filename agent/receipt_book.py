"""Signing receipts: each names the one before it, so a controller sees a gap, a fork or a rewritten past."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent import VERSION
from agent.errors import AgentError
from agent.journal import Journal
from protocol.documents import Outcome, Receipt
from protocol.dsse import Signer
from protocol.errors import ProtocolError
from protocol.receipts import Head, build

__all__ = ["Account", "ReceiptBook"]


@dataclass(frozen=True)
class Account:
    """What became of an action, before it is signed; times are Unix seconds."""

    action_id: str
    action_sha256: str
    outcome: Outcome
    finished_at: int
    limits_sha256: str
    trust_version: int
    reason: str = ""
    approvers: tuple[str, ...] = ()
    started_at: int | None = None
    exit_status: int | None = None
    result: Mapping[str, Any] | None = None


class ReceiptBook:
    """Writes the next receipt of a host's chain; the caller sees to it that only one is written at a time."""

    def __init__(self, *, host_id: str, key: Signer, journal: Journal) -> None:
        self._host_id = host_id
        self._key = key
        self._journal = journal

    def write(self, account: Account) -> bytes:
        """Sign an account and store it durably; return the envelope's bytes.

        Raises NoSpaceError where the disk is full (nothing is stored then), JournalError, AgentError.
        """
        previous = Head(self._journal.receipt_seq, self._journal.receipt_sha256)
        receipt = Receipt(
            action_sha256=account.action_sha256,
            agent_version=VERSION,
            approvers=account.approvers,
            exit_status=account.exit_status,
            finished_at=account.finished_at,
            host_id=self._host_id,
            id=account.action_id,
            limits_sha256=account.limits_sha256,
            outcome=account.outcome,
            previous_sha256=previous.sha256 or None,
            reason=account.reason or None,
            result=dict(account.result) if account.result else None,
            seq=previous.seq + 1,
            started_at=account.started_at,
            trust_version=account.trust_version,
        )
        try:
            envelope = build(receipt, previous=previous, signer=self._key)
        except ProtocolError as error:
            raise AgentError(f"a receipt cannot be signed: {error}") from error
        encoded = envelope.encode()
        self._journal.receipt(
            action_sha256=account.action_sha256,
            reason=account.reason,
            envelope=encoded,
            payload_sha256=hashlib.sha256(envelope.payload).hexdigest(),
        )
        return encoded
