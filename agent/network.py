"""The network process: polls the controller, carries deliveries to the executor and receipts back.

It has no rights and is believed by nobody. What it forgets is asked again: the controller repeats a
delivery until its receipt is stored, the executor keeps the receipts, and a small file says up to which of
them the controller has confirmed. So nothing is lost while either side is away.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent import VERSION, tls, verbs
from agent.checkpoints import CheckpointKeeper
from agent.controller_client import ControllerClient
from agent.errors import AgentError, ControllerUnavailableError, UntrustedControllerError
from agent.executor_client import ask_async
from agent.files import write_atomically
from agent.identity import Identity
from agent.logs import RateLimit, log
from agent.tally import Tally
from protocol.documents import Receipt
from protocol.dsse import parse_envelope
from protocol.enrolment import JournalHead, PollAnswer, PollBody
from protocol.errors import NotStrictJson, ProtocolError
from protocol.keys import SigningKey
from protocol.wire import decode_json, decode_typed

__all__ = ["Cursor", "Network", "Pace", "backoff"]

_MOST_RECEIPTS = 128
_MOST_DELIVERIES = 64
"""Carried of one answer: as many as the executor lets wait. The controller repeats the rest."""
_HASTE = 0.5
"""Share of the time that a poll asks to wait; an empty answer before it is no long-poll."""


@dataclass(frozen=True)
class Pace:
    """How patient the loops are, in seconds."""

    poll: int = 50
    receipts: float = 20.0
    first_retry: float = 1.0
    longest_retry: float = 60.0
    repeated: float = 5.0
    """Pause after an answer that brought nothing new: the controller repeats what has no receipt yet."""
    settle: float = 0.3
    """Head start of a poll before receipts: one that arrived after a receipt newer than the head it reports
    would look like a disk that was rolled back."""
    refresh: float = 600.0
    """How old a status may be that polls report; asking more often would keep the executor from leaving."""


def backoff(pace: Pace, failures: int, chance: float) -> float:
    """Return the seconds before try number `failures` + 1: exponential, bounded, with full jitter.

    `chance` is a random number in [0, 1); without jitter a thousand hosts come back in the same second.
    """
    return chance * min(pace.longest_retry, pace.first_retry * 2.0 ** min(failures, 16))


class Cursor:
    """Up to which receipt the controller has confirmed; a file, so that a restart repeats little."""

    def __init__(self, path: Path) -> None:
        """Read it; a file that is missing or damaged means: send all again, the controller knows them."""
        self._path = path
        try:
            self.stored = max(0, decode_typed(path.read_bytes(), dict[str, int])["stored"])
        except (OSError, KeyError, NotStrictJson):
            self.stored = 0

    def advance(self, seq: int) -> None:
        """Remember a confirmation; raises OSError."""
        self.stored = seq
        write_atomically(self._path, msgspec.json.encode({"stored": seq}) + b"\n")


class Network:
    """The two loops of an enrolled host; `run` returns only by being cancelled."""

    def __init__(
        self,
        *,
        identity: Identity,
        key: SigningKey,
        directory: Path,
        socket: Path,
        tally: Tally,
        metrics_address: str | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`directory` is the network process's own, `socket` the executor's."""
        self._identity = identity
        self._key = key
        self._ca_path = directory / "ca.pem"
        self._cursor = Cursor(directory / "cursor.json")
        self._socket = socket
        self._tally = tally
        self._tally.checkpoints = self._checkpoints = CheckpointKeeper(
            directory / "checkpoint.json", identity.audience
        )
        self._metrics_address = metrics_address
        self._pace = pace or Pace()
        self._client: ControllerClient | None = None
        self._ca_pem = b""
        self._open: set[str] = set()
        self._confirmed: dict[str, float] = {}
        self._asked_at = float("-inf")
        self._polled_at = float("-inf")
        self._wake = asyncio.Event()
        self._synced = asyncio.Event()
        self._stored = asyncio.Event()
        self._quiet = RateLimit(60.0)

    async def run(self) -> None:
        """Poll and carry until cancelled."""
        self._ca_pem = self._ca_path.read_bytes()
        try:
            await self._connect()
            self._wake.set()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat("receipts", self._carry_receipts))
                group.create_task(self._repeat("poll", self._poll))
        finally:
            if self._client is not None:
                await self._client.__aexit__(None, None, None)

    async def _repeat(self, name: str, step: Callable[[], Any]) -> None:
        """Do a step for ever; a failure is logged at most once a minute and followed by a growing pause."""
        failures = 0
        while True:
            try:
                await step()
                failures = 0
                continue
            except UntrustedControllerError as error:
                self._failed(name, str(error))
                await self._renew_ca()
            except (AgentError, ProtocolError, OSError) as error:
                self._failed(name, str(error))
            except Exception as error:  # noqa: BLE001 - no answer of a controller may end this process
                self._failed(name, repr(error))
            await asyncio.sleep(backoff(self._pace, failures, random.random()))  # noqa: S311 - jitter
            failures += 1

    def _failed(self, name: str, error: str) -> None:
        self._tally.failed(name)
        held_back = self._quiet.admit(name)
        if held_back is not None:
            log("cannot go on yet", loop=name, error=error, more_since_last=held_back)

    # Asking the executor.

    async def _ask(self, question: verbs.Ask) -> verbs.Answered:
        sent_at = time.monotonic()
        answered = await ask_async(self._socket, question)
        status, known = answered.status, self._tally.status
        # Two questions may be under way, and the answer of the older may come last: a head that only seems to
        # fall would look like a disk that was rolled back.
        if status and (not known or sent_at >= self._asked_at or status.head.seq >= known.head.seq):
            self._tally.status = status
            self._asked_at = time.monotonic()
            if status.head.seq > self._cursor.stored:
                self._wake.set()  # also receipts of what did not come through this process
        if answered.error:
            raise AgentError(f"the executor refused: {answered.error}")
        return answered

    async def _status(self) -> verbs.Status:
        if self._tally.status is None or time.monotonic() - self._asked_at > self._pace.refresh:
            await self._ask(verbs.AskStatus())
        if self._tally.status is None:
            raise AgentError("the executor told no status")
        return self._tally.status

    # Polling.

    async def _poll(self) -> None:
        """One poll: report versions and head, take what is there."""
        await self._synced.wait()  # a receipt that was not sent yet would be answered by its action again
        status = await self._status()
        began = time.monotonic()
        body = PollBody(
            agent_version=VERSION,
            trust_version=status.trust.version,
            approvers_version=status.trust.approvers_version,
            journal=JournalHead(status.head.seq, status.head.sha256),
            wait_seconds=self._pace.poll,
            metrics_address=self._metrics_address,
        )
        self._polled_at = began
        answer = await self._connected().poll(body)
        self._tally.polled()
        problem = await self._take_trust(answer)
        problem = self._take_checkpoint(answer) or problem
        self._stored.clear()
        fresh = [await self._deliver(bytes(raw), began) for raw in answer.deliveries[:_MOST_DELIVERIES]]
        if problem is not None:
            raise problem  # the controller will send it again: not at once
        newer = (await self._status()).trust != status.trust
        if not any(fresh) and not newer and (answer.deliveries or self._is_hasty(began)):
            await self._pause()

    def _is_hasty(self, began: float) -> bool:
        """Whether a poll was answered sooner than it asked for: then the next one must not follow at once."""
        return time.monotonic() - began < self._pace.poll * _HASTE

    async def _pause(self) -> None:
        """Wait until a receipt is stored, or a little while."""
        try:
            async with asyncio.timeout(self._pace.repeated):
                await self._stored.wait()
        except TimeoutError:
            return

    async def _take_trust(self, answer: PollAnswer) -> AgentError | None:
        """Carry newer trust to the executor; return what was wrong with it, deliveries go on meanwhile."""
        if not answer.trust and not answer.approvers:
            return None
        try:
            steps = [_envelope(raw) for raw in answer.trust]
            approvers = _envelope(answer.approvers) if answer.approvers else None
            answered = await self._ask(verbs.InstallTrust(steps, approvers))
        except AgentError as error:
            return error
        status = answered.status
        if status is not None:
            log("trust installed", version=status.trust.version, expires_at=status.trust.expires_at)
            pins = status.trust.ca_pins
            if pins and tls.spki_sha256(self._ca_pem) not in pins:
                await self._renew_ca()
        return None

    def _take_checkpoint(self, answer: PollAnswer) -> AgentError | None:
        """Keep a newer audit checkpoint; return what was wrong with one that cannot be read or kept."""
        if not answer.checkpoint:
            return None
        try:
            against = self._checkpoints.take(bytes(answer.checkpoint))
        except (ProtocolError, OSError) as error:
            return ControllerUnavailableError(f"a checkpoint that cannot be kept: {error}")
        held_back = self._quiet.admit("checkpoint") if against else None
        if held_back is not None:
            log(
                "the controller's audit log contradicts what it was",
                chains=list(against),
                kept=self._checkpoints.seq,
                more_since_last=held_back,
            )
        return None

    async def _deliver(self, delivery: bytes, began: float) -> bool:
        """Carry one delivery to the executor; return whether it was new."""
        sha256 = _action_sha256(delivery)
        if sha256 in self._open or self._confirmed.get(sha256, float("-inf")) >= began:
            return False
        answered = await self._ask(verbs.Deliver(delivery))
        if answered.state == "refused":
            self._tally.refused(answered.reason)
            held_back = self._quiet.admit(f"refused {answered.reason}")
            if held_back is not None:
                log(
                    "delivery refused",
                    id=answered.action_id,
                    reason=answered.reason,
                    detail=answered.detail,
                    more_since_last=held_back,
                )
            if not answered.receipts:
                return False
        self._open.add(sha256)
        self._wake.set()
        return True

    # Receipts.

    async def _carry_receipts(self) -> None:
        """Hand over the next receipts, waiting for them while something runs."""
        await self._wake.wait()
        wait = self._pace.receipts if self._open else 0.0
        before = frozenset(self._open)
        answered = await self._ask(verbs.AskReceipts(self._cursor.stored, wait))
        if not answered.receipts:
            if answered.status is not None and answered.status.pending == 0:
                self._open -= before  # dropped before they began: they may come again
            if not self._open:
                self._wake.clear()
            self._synced.set()
            return
        await self._hand_over(answered.receipts[:_MOST_RECEIPTS])

    async def _hand_over(self, envelopes: list[bytes]) -> None:
        receipts = [Receipt.from_payload(parse_envelope(envelope).payload) for envelope in envelopes]
        self._tally.unsent = len(receipts)
        await asyncio.sleep(self._polled_at + self._pace.settle - time.monotonic())
        stored = set(await self._connected().send_receipts(envelopes))
        for receipt in receipts:
            if receipt.id not in stored:
                raise ControllerUnavailableError(f"the controller did not store receipt {receipt.seq}")
            self._cursor.advance(receipt.seq)
            self._open.discard(receipt.action_sha256)
            self._confirmed[receipt.action_sha256] = time.monotonic()
            self._tally.unsent -= 1
        while len(self._confirmed) > _MOST_RECEIPTS:
            del self._confirmed[next(iter(self._confirmed))]
        self._stored.set()

    # The connection.

    def _connected(self) -> ControllerClient:
        assert self._client is not None  # noqa: S101 - run() connects first
        return self._client

    async def _connect(self) -> None:
        before = self._client
        client = ControllerClient(self._identity, self._key, self._ca_pem, lambda: int(time.time()))
        self._client = await client.__aenter__()
        if before is not None:
            await before.__aexit__(None, None, None)

    async def _renew_ca(self) -> None:
        """Take the CA that the trust document pins now; without pins there is nothing to believe."""
        try:
            # Anew: trust may have been installed by hand, just because the controller was out of reach.
            answered = await self._ask(verbs.AskStatus())
            pins = answered.status.trust.ca_pins if answered.status else []
            self._ca_pem = await tls.fetch_ca(self._identity.address, pins)
            write_atomically(self._ca_path, self._ca_pem)
            await self._connect()
        except (AgentError, OSError) as error:
            held_back = self._quiet.admit("ca")
            if held_back is not None:
                log("no CA that the trust document pins", error=str(error), more_since_last=held_back)
            return
        log("the controller's CA was renewed", pin=tls.spki_sha256(self._ca_pem))


def _envelope(raw: msgspec.Raw) -> verbs.EnvelopeText:
    """Return an envelope of trust as strictly read as the executor reads it; raises AgentError."""
    try:
        return verbs.envelope_text(decode_json(bytes(raw)))
    except ProtocolError as error:
        raise ControllerUnavailableError(f"trust that is no envelope: {error}") from error


def _action_sha256(delivery: bytes) -> str:
    """Tell deliveries apart; only the executor says what they are worth."""
    try:
        return hashlib.sha256(decode_typed(delivery, _Outline).action.payload).hexdigest()
    except NotStrictJson:
        return hashlib.sha256(delivery).hexdigest()


class _OutlineEnvelope(msgspec.Struct):
    payload: bytes


class _Outline(msgspec.Struct):
    action: _OutlineEnvelope
