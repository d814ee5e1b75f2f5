"""The executor's hands: queue, remember, run, sign a receipt.

An accepted action waits in the queue of its resource: actions on one resource run one after the other in
order of seq, resources side by side. At the moment of its start an action is judged once more, and
remembered durably before anything of it runs.
"""

import bisect
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from agent.actions import Ending, Implementation, Work
from agent.configuration import Loaded
from agent.errors import AgentError, JournalError, NoSpaceError
from agent.journal import Journal, Started
from agent.judge import Judge, Judgement, action_id, refuse_after_all, request_until
from agent.logs import RateLimit, log
from agent.receipt_book import Account, ReceiptBook
from agent.runner import Runner, kill_action, systemd_is_running
from agent.trust_store import TrustStore, TrustView, describe
from agent.verbs import EnvelopeText
from protocol.reasons import Reason
from protocol.verify import Accepted, Refused

__all__ = ["Answer", "Execution"]

_MAXIMUM_QUEUE = 64
_RECEIPTS_BYTES = 512 << 10


@dataclass(frozen=True)
class Answer:
    """What became of a delivery: accepted (it will run), running (it is known already), or refused."""

    state: str
    reason: str = ""
    detail: str = ""
    action_id: str = ""
    action_sha256: str = ""
    receipt: bytes = b""


@dataclass(frozen=True)
class _Job:
    delivery: bytes
    accepted: Accepted


@dataclass(frozen=True)
class _Begun:
    """An action that is remembered as started and may run now."""

    started: Started
    args: Mapping[str, Any]
    loaded: Loaded
    runner: Runner


class Execution:
    """Decides about deliveries and runs what is accepted; one per executor process.

    One lock guards journal, queues and receipts; programs run outside of it.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        trust: TrustStore,
        journal: Journal | None,
        book: ReceiptBook | None,
        clock: Callable[[], int],
        table: Mapping[str, Implementation],
    ) -> None:
        """`journal` and `book` are None where the journal is unusable: then everything is refused."""
        self._judge = judge
        self._trust = trust
        self._journal = journal
        self._book = book
        self._clock = clock
        self._table = table
        self._changed = threading.Condition(threading.RLock())
        self._lines: dict[str, list[_Job]] = {}
        self._pending: set[str] = set()
        self._runners: dict[str, Runner] = {}
        self._stopping = False
        self._quiet = RateLimit(10.0)

    def deliver(self, delivery: bytes) -> Answer:
        """Judge a delivery and queue it, or refuse it; a refusal after the signature has a receipt."""
        with self._changed:
            if self._journal is None:
                return Answer(
                    "refused", Reason.JOURNAL_UNUSABLE, "this host forgot what it did: enrol it anew"
                )
            judgement = self._judge.judge(delivery, self._journal)
            verdict = judgement.verdict
            if verdict.action_sha256 in self._pending:
                return Answer("running", "", "", action_id(verdict), verdict.action_sha256 or "")
            if isinstance(verdict, Refused):
                return self._refuse(verdict, judgement)
            if self._stopping or len(self._pending) >= _MAXIMUM_QUEUE:
                # Nothing is remembered and no receipt given: it may come again when there is room.
                return Answer("refused", Reason.RESOURCES_EXHAUSTED, "too much is waiting already")
            self._enqueue(_Job(delivery, verdict))
            return Answer("accepted", "", "", verdict.action.id, verdict.action_sha256)

    def recover(self) -> None:
        """Kill what an executor before this one left running, and report it; it is never run again."""
        unfinished = list(self._journal.memory.unfinished.values()) if self._journal else []
        for started in unfinished:
            survivors = kill_action(started.id)
            log("action was interrupted", kind=started.kind, id=started.id, survivors=survivors)
        try:
            while unfinished and self._sign(_interrupted(unfinished[0], self._clock())):
                unfinished.pop(0)
        except AgentError as error:
            self._give_up(error)
            return
        if unfinished:  # no room: wait for it aside, and answer meanwhile
            threading.Thread(target=self._report_later, args=(unfinished,), name="recover").start()

    def _report_later(self, unfinished: list[Started]) -> None:
        try:
            for started in unfinished:
                self._finish(started, Ending("interrupted", "executor_died"))
        except AgentError as error:
            self._give_up(error)

    def stop(self) -> None:
        """Kill what runs, sign its receipts, start nothing more; returns when all is quiet."""
        with self._changed:
            self._stopping = True
            runners = list(self._runners.values())
            self._changed.notify_all()
        for runner in runners:
            runner.cancel()
        with self._changed:
            self._changed.wait_for(lambda: not self._lines)

    @property
    def is_busy(self) -> bool:
        """Whether anything runs or waits."""
        with self._changed:
            return bool(self._lines)

    def receipts(self, since: int, wait_seconds: float = 0.0) -> list[bytes]:
        """Return the receipts after number `since`, waiting for the first for so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or self._receipt_seq() > since, timeout=wait_seconds
            )
            if self._journal is None:
                return []
            return [receipt.envelope for receipt in self._journal.receipts(since, _RECEIPTS_BYTES)]

    def await_receipt(self, action_sha256: str, wait_seconds: float) -> bytes:
        """Wait until an action is no longer pending; return its last receipt, or nothing."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or action_sha256 not in self._pending, timeout=wait_seconds
            )
            if self._journal is None or action_sha256 in self._pending:
                return b""
            stored = self._journal.last_of(action_sha256)
            return stored.envelope if stored else b""

    def install_trust(self, steps: Sequence[EnvelopeText], approvers: EnvelopeText | None) -> TrustView:
        """Continue the chain of trust; raises ProtocolError or AgentError and changes nothing then."""
        with self._changed:
            if self._journal is None:
                raise JournalError("the journal is unusable: enrol this host anew")
            known = self._journal.memory.approvers_version
            view = self._trust.install(
                [msgspec.to_builtins(step) for step in steps],
                None if approvers is None else msgspec.to_builtins(approvers),
                known_approvers=known,
            )
            self._journal.trusted(
                trust_version=view.version, approvers_version=max(known, view.approvers_version)
            )
            return view

    def status(self) -> dict[str, Any]:
        """Tell what polls and /metrics report; nothing in it is a secret."""
        with self._changed:
            sha256 = self._journal.receipt_sha256 if self._journal else ""
            return {
                "head": {"seq": self._receipt_seq(), "sha256": sha256},
                "journal_usable": self._journal is not None,
                "pending": len(self._pending),
                "trust": msgspec.to_builtins(describe(self._trust.trust)),
            }

    def _receipt_seq(self) -> int:
        return self._journal.receipt_seq if self._journal else 0

    def _refuse(self, verdict: Refused, judgement: Judgement) -> Answer:
        held_back = self._quiet.admit(verdict.reason)
        if held_back is not None:
            log("action refused", reason=verdict.reason, detail=verdict.detail, more_since_last=held_back)
        receipt = self._refusal_receipt(verdict, judgement.limits_sha256)
        sha256 = verdict.action_sha256 or ""
        return Answer("refused", verdict.reason, verdict.detail, action_id(verdict), sha256, receipt)

    def _refusal_receipt(self, verdict: Refused, limits_sha256: str) -> bytes:
        """Sign a refusal, once per action and reason: a repeated envelope must not fill the disk."""
        if (
            not verdict.after_signature
            or verdict.action is None
            or self._journal is None
            or self._book is None
        ):
            return b""
        sha256 = verdict.action_sha256 or ""
        before = self._journal.find(sha256, verdict.reason)
        if before is not None:
            return before.envelope
        account = Account(
            action_id=verdict.action.id,
            action_sha256=sha256,
            outcome="expired" if verdict.reason == Reason.EXPIRED else "refused",
            reason=verdict.reason.value,
            finished_at=self._clock(),
            limits_sha256=limits_sha256,
            trust_version=self._trust.trust.version,
        )
        try:
            return self._book.write(account)
        except NoSpaceError as error:
            log("no room for a receipt", error=str(error))
            return b""
        finally:
            self._changed.notify_all()

    def _enqueue(self, job: _Job) -> None:
        self._pending.add(job.accepted.action_sha256)
        resource = job.accepted.resource
        if resource in self._lines:
            bisect.insort(self._lines[resource], job, key=lambda waiting: waiting.accepted.action.seq)
            return
        self._lines[resource] = [job]
        threading.Thread(target=self._work_off, args=(resource,), name=f"run {resource}").start()

    def _work_off(self, resource: str) -> None:
        """Run what waits for a resource until nothing does; the body of a thread."""
        while (job := self._next(resource)) is not None:
            try:
                self._run(job)
            except AgentError as error:
                self._give_up(error)
            finally:
                with self._changed:
                    self._pending.discard(job.accepted.action_sha256)
                    self._changed.notify_all()

    def _give_up(self, error: AgentError) -> None:
        log("the journal failed, nothing runs any more", error=str(error))
        with self._changed:
            self._journal = self._book = None

    def _next(self, resource: str) -> _Job | None:
        with self._changed:
            line = self._lines[resource]
            if line and not self._stopping:
                return line.pop(0)
            # What is dropped here was not begun and not remembered: the controller delivers it again.
            self._pending.difference_update(job.accepted.action_sha256 for job in line)
            del self._lines[resource]
            self._changed.notify_all()
            return None

    def _run(self, job: _Job) -> None:
        begun = self._begin(job)
        if begun is None:
            return
        started = begun.started
        log("action started", kind=started.kind, id=started.id, resource=started.resource)
        try:
            ending = self._table[started.kind](Work(begun.args, begun.loaded, begun.runner.run, self._clock))
        except (AgentError, OSError) as error:
            log("action failed", kind=started.kind, id=started.id, error=str(error))
            ending = Ending("failed", "agent_error")
        except Exception as error:  # noqa: BLE001 - whatever a kind does wrong, its action gets a receipt
            log("action failed", kind=started.kind, id=started.id, error=repr(error))
            ending = Ending("failed", "internal_error")
        log("action ended", kind=started.kind, id=started.id, outcome=ending.outcome, reason=ending.reason)
        self._finish(started, ending)

    def _begin(self, job: _Job) -> _Begun | None:
        """Judge once more and remember the start durably; None where the action is refused after all."""
        with self._changed:
            if self._journal is None or self._stopping:
                return None
            judgement = self._judge.judge(job.delivery, self._journal)
            verdict, loaded = judgement.verdict, judgement.loaded
            if isinstance(verdict, Refused) or loaded is None:
                if isinstance(verdict, Refused):
                    self._refuse(verdict, judgement)
                return None
            started = self._started(verdict, job.delivery, loaded)
            try:
                _check_space(loaded)
                self._journal.start(started)
            except NoSpaceError as error:
                refused = refuse_after_all(verdict, Reason.RESOURCES_EXHAUSTED, str(error))
                self._refuse(refused, judgement)
                return None
            runner = Runner(started.id, loaded.resources(started.kind), in_scope=systemd_is_running())
            self._runners[started.action_sha256] = runner
            return _Begun(started, verdict.action.args, loaded, runner)

    def _started(self, accepted: Accepted, delivery: bytes, loaded: Loaded) -> Started:
        action = accepted.action
        return Started(
            id=action.id,
            action_sha256=accepted.action_sha256,
            kind=action.kind,
            resource=accepted.resource,
            seq=action.seq,
            issued_at=action.issued_at,
            expires_at=action.expires_at,
            started_at=self._clock(),
            trust_version=self._trust.trust.version,
            limits_sha256=loaded.sha256,
            approvers=list(accepted.approvers),
            request=accepted.run_key or "",
            request_until=request_until(delivery),
        )

    def _finish(self, started: Started, ending: Ending) -> None:
        """Sign and store the receipt; while the disk is full, wait for room: it must not be lost."""
        account = _account(started, ending, self._clock())
        with self._changed:
            self._runners.pop(started.action_sha256, None)
            while not self._sign(account):
                if self._stopping:
                    return  # the next start finds it unfinished and reports it interrupted
                self._changed.wait(1.0)

    def _sign(self, account: Account) -> bool:
        """Write a receipt, without a result that no receipt can hold; False while there is no room."""
        with self._changed:
            if self._book is None:
                return True
            try:
                self._book.write(account)
            except NoSpaceError as error:
                held_back = self._quiet.admit("no room")
                if held_back is not None:
                    log("no room for a receipt yet", id=account.action_id, error=str(error))
                return False
            except JournalError:
                raise
            except AgentError as error:
                log("a receipt without its result", id=account.action_id, error=str(error))
                self._book.write(
                    replace(account, outcome="failed", reason="internal_error", result=None, exit_status=None)
                )
            self._changed.notify_all()
            return True


def _check_space(loaded: Loaded) -> None:
    """A start needs room for its receipt too; raises NoSpaceError."""
    free = shutil.disk_usage(loaded.executor_directory).free
    if free < loaded.settings.executor.reserve_mib << 20:
        raise NoSpaceError(f"only {free >> 20} MiB are free for the journal")


def _interrupted(started: Started, finished_at: int) -> Account:
    return _account(started, Ending("interrupted", "executor_died"), finished_at)


def _account(started: Started, ending: Ending, finished_at: int) -> Account:
    return Account(
        action_id=started.id,
        action_sha256=started.action_sha256,
        outcome=ending.outcome,
        reason=ending.reason,
        finished_at=finished_at,
        limits_sha256=started.limits_sha256,
        trust_version=started.trust_version,
        approvers=tuple(started.approvers),
        started_at=started.started_at,
        exit_status=ending.exit_status,
        result=ending.result,
    )
