"""`steward serve`: everything that goes on by itself, until it is told to stop.

    alarm clock ──► follow Git ──► pass ──► status, metrics        one at a time
                                     └──► power of machines        beside the passes
                ──► lease: take or renew                           every 5 s
                ──► expired actions, audit checkpoints             every second
    HTTPS and the local socket                                     all the while

A fault of one of these is told (log, metric, page) and does not end the others. On SIGTERM nothing new
begins, waiting agents are answered, a pass stops between two changes, and the lease is given back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from controller.doors import Doors, only_one
from controller.errors import ControllerError
from controller.following import Followed
from controller.named_hosts import NamedHosts
from controller.schedule.alarm import Alarm
from controller.signing import checkpoint_envelope
from controller.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from controller.api.site import Site
    from controller.doors import Listening
    from controller.following import PolicyFollower
    from controller.leadership import Leadership
    from controller.plan.change import Outcome
    from controller.power_lane import PowerEnded
    from controller.reconciling import PassResult, Reconciler
    from protocol.dsse import Signer

__all__ = ["Intervals", "Service", "backoff_seconds"]

CHECKPOINT_SECONDS = 60
CHECKPOINT_ENTRIES = 1000
_FIRST_RETRY_SECONDS = 5
_AFTER_A_SLOT_SECONDS = 0.2
"""A pass a moment too early would find nothing due."""
_WAITS = "waiting for the lease, or for its last holder's requests to end, before anything is written"
_log = structlog.get_logger("steward.serve")


@dataclass(frozen=True)
class Intervals:
    """Seconds between two looks at Git, two passes without a new commit, and two renewals of the lease."""

    policy: float
    reconcile: float
    lease: float


class Service:
    """One running controller. `recorded_commit` is that of the newest pass in the store."""

    def __init__(
        self,
        site: Site,
        *,
        listening: Listening,
        intervals: Intervals,
        leadership: Leadership,
        follower: PolicyFollower | None,
        reconciler: Reconciler,
        audit_signer: Signer,
        recorded_commit: str = "",
    ) -> None:
        self._site = site
        self._listening = listening
        self._intervals = intervals
        self._leadership = leadership
        self._follower = follower
        self._reconciler = reconciler
        self._audit_signer = audit_signer
        self._is_wanted = asyncio.Event()
        self._looks = True
        self._passes = False
        self._checkpoint_at = float("-inf")
        self._followed = Followed()
        self._recorded = recorded_commit
        self._failures = 0
        self._retry: asyncio.TimerHandle | None = None
        self._power_failures = 0
        self._is_power_whole = True
        self._power_retry: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None
        self.port = 0

    def wake(self, *, look: bool = True, reconcile: bool = True) -> None:
        """Look at Git, make a pass, or both, as soon as the one under way has ended."""
        self._looks |= look
        self._passes |= reconcile
        self._is_wanted.set()

    async def run(self, stop: asyncio.Event, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set; `ready` is called once the port is open. Raises ControllerError."""
        alarm = Alarm()
        doors = Doors(self._site, self._listening)
        tasks: list[asyncio.Task[None]] = []
        following: asyncio.Task[None] | None = None
        with only_one(self._listening.lock):
            try:
                await self._lead_once()
                await doors.open()
                self.port = doors.port
                self._listen_to_power(asyncio.get_running_loop())
                self._set(alarm)
                tasks = [
                    asyncio.create_task(_repeat("lease", self._lead_once, self._intervals.lease)),
                    asyncio.create_task(_repeat("house", self._keep_house, 1)),
                ]
                following = asyncio.create_task(self._follow())
                ready()
                await stop.wait()
            finally:
                alarm.stop()
                await self._stop(doors, tasks, following)

    async def _stop(
        self,
        doors: Doors,
        tasks: list[asyncio.Task[None]],
        following: asyncio.Task[None] | None,
    ) -> None:
        for timer in (self._retry, self._power_retry, self._due):
            if timer is not None:
                timer.cancel()
        self._site.wakeups.close()
        self._is_wanted.set()
        if self._follower is not None:
            self._follower.stop()
        await doors.close()
        await _end(tasks, following)
        await self._site.call(self._reconciler.lane.join)
        try:
            await self._site.call(self._leadership.release)
        except StoreError as error:  # it runs out by itself
            _log.error("lease not given back", error=str(error))

    def _set(self, alarm: Alarm) -> None:
        alarm.start()
        if self._follower is not None:
            alarm.every(self._intervals.policy, "policy", lambda: self.wake(reconcile=False))
        alarm.every(self._intervals.reconcile, "reconcile", lambda: self.wake(look=False))
        alarm.every(86_400, "certificate", self._renew_tls)
        self.wake(reconcile=False)

    def _renew_tls(self) -> None:
        try:
            self._listening.renew_tls()
        except ControllerError as error:  # the one in use is good for a month: tomorrow it is tried again
            _log.error("certificate not renewed", error=str(error))

    async def _lead_once(self) -> None:
        had = self._site.situation.lease
        lease = await self._site.call(self._leadership.step)
        self._site.situation.lease = lease
        self._site.situation.lease_note = self._leadership.note
        self._site.metrics.lease_held.set(int(lease is not None))
        if (had is None) != (lease is None):
            _log.info("lease", held=lease is not None, note=self._leadership.note)
            self._site.wakeups.ring("status")
            if lease is not None:
                self.wake(look=False)

    async def _follow(self) -> None:
        while not self._site.wakeups.is_closed():
            await self._is_wanted.wait()
            self._is_wanted.clear()
            looks, self._looks = self._looks, False
            passes, self._passes = self._passes, False
            if self._site.wakeups.is_closed():
                return
            try:
                await self._turn(looks=looks, passes=passes)
            except ControllerError as error:
                _log.error("turn failed", error=str(error))
                self._site.situation.pass_error = str(error)
                self._site.metrics.passes.labels("failed").inc()
            except Exception as error:  # noqa: BLE001 - the isolating runner: the next turn may succeed
                _log.exception("turn failed")
                self._site.situation.pass_error = f"unexpected {type(error).__name__}; the log says more"
                self._site.metrics.passes.labels("failed").inc()
            self._site.wakeups.ring("status")

    async def _turn(self, *, looks: bool, passes: bool) -> None:
        situation = self._site.situation
        if self._follower is None:
            return
        before = situation.commit
        if looks or not before:
            self._followed = await self._site.call(self._follower.look)
            if self._site.wakeups.is_closed():
                return
            self._tell_policy(self._followed)
        followed = self._followed
        if followed.policy is None or (followed.commit == before and not passes):
            return
        work = self._reconciler.run
        is_new = followed.commit != self._recorded
        result = await self._site.call(work, followed.policy, followed.commit, is_new=is_new)
        self._recorded = followed.commit if result.is_recorded else self._recorded
        self._tell_pass(result)
        self._try_again(result)
        self._be_in_time(result)

    def _try_again(self, result: PassResult) -> None:
        """A pass that was not whole is made again soon, later each time, at most an interval later."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._failures = self._failures + 1 if result.result in ("failed", "partial") else 0
        if not self._failures and not result.waits:
            return
        most = _FIRST_RETRY_SECONDS if result.waits else self._intervals.reconcile
        delay = backoff_seconds(self._failures, most=most, spread=random.random())  # noqa: S311 - no secret
        loop = asyncio.get_running_loop()
        self._retry = loop.call_later(delay, lambda: self.wake(look=False))

    def _listen_to_power(self, loop: asyncio.AbstractEventLoop) -> None:
        def ended(told: PowerEnded) -> None:
            loop.call_soon_threadsafe(self._tell_power, told)

        self._reconciler.lane.on_ended = ended

    def _tell_power(self, ended: PowerEnded) -> None:
        """Changes of power have ended; after the last of them a pass sees what there is to do still."""
        self._tell_ended(ended.outcomes, ended.slots)
        self._is_power_whole &= ended.is_whole and bool(ended.outcomes)
        if ended.is_over:
            self._power_failures = 0 if self._is_power_whole else self._power_failures + 1
            self._is_power_whole = True
            if self._power_retry is not None:
                self._power_retry.cancel()
            spread = random.random()  # noqa: S311 - no secret
            delay = backoff_seconds(self._power_failures, most=self._intervals.reconcile, spread=spread)
            loop = asyncio.get_running_loop()
            wait = delay if self._power_failures else 0
            self._power_retry = loop.call_later(wait, lambda: self.wake(look=False))
        self._site.wakeups.ring("status")

    def _tell_ended(self, outcomes: Iterable[Outcome], slots: Mapping[str, int]) -> None:
        metrics = self._site.metrics
        for outcome in outcomes:
            metrics.reconcile.labels(outcome.change.section, str(outcome.result)).inc()
        for state, number in slots.items():
            metrics.power_slots.labels(state).inc(number)

    def _be_in_time(self, result: PassResult) -> None:
        """A slot of power, and the end of an override, get a pass of their own at their instant."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if result.next_at is not None:
            delay = max(0.0, result.next_at - self._site.clock()) + _AFTER_A_SLOT_SECONDS
            self._due = asyncio.get_running_loop().call_later(delay, lambda: self.wake(look=False))

    def _tell_policy(self, followed: Followed) -> None:
        situation = self._site.situation
        if followed.fault and (followed.fault, followed.newest) != (situation.fault, situation.newest):
            _log.error(
                "policy not obeyed", reason=followed.fault, commit=followed.newest, lines=followed.lines
            )
        if followed.fault != "unreachable":
            situation.fetched_at = self._site.now()
        situation.commit, situation.newest = followed.commit, followed.newest
        situation.fault, situation.fault_lines = followed.fault, followed.lines
        situation.dependencies["git"] = followed.lines[0] if followed.fault == "unreachable" else "ok"
        self._site.metrics.saw_policy_fault(followed.fault)
        if followed.policy is not None:
            self._tell_hosts(NamedHosts.of(followed.policy))
            self._site.metrics.saw_commit(followed.commit)

    def _tell_hosts(self, named: NamedHosts) -> None:
        """Let a waiting host know that it is named now: what it was to do has waited for that."""
        if named != self._site.situation.named_hosts:
            self._site.situation.named_hosts = named
            self._site.wakeups.ring_all()

    def _tell_pass(self, result: PassResult) -> None:
        situation, metrics = self._site.situation, self._site.metrics
        situation.pass_error = result.error or (_WAITS if result.waits else "")
        metrics.passes.labels(result.result).inc()
        self._tell_ended(result.outcomes, result.slots)
        if result.drift is not None:
            metrics.saw_drift(result.drift, unobserved=len(result.gaps))
            situation.planned_at = self._site.now()
            situation.plan, situation.reports = result.changes, result.reports
            situation.gaps, situation.refusals = result.gaps, result.refusals
            situation.overrides = result.overrides
        if result.is_clean:
            situation.last_success_at = self._site.now()
            metrics.saw_success(self._site.now())
        _log.info("pass", result=result.result, changes=len(result.changes), outcomes=len(result.outcomes))

    async def _keep_house(self) -> None:
        await self._expire()
        await self._check_point()

    async def _expire(self) -> None:
        for action in await self._site.call(self._site.store.actions.expire, now=self._site.now()):
            self._site.metrics.actions.labels(action.kind, action.state).inc()
            self._site.wakeups.ring("status")

    async def _check_point(self) -> None:
        """Sign the chain's head every 60 s or 1,000 entries; agents carry it off this machine."""
        site, now = self._site, self._site.now()
        head = await site.call(site.store.audit.head)
        grown = head.seq - site.situation.checkpoint_seq
        passed = time.monotonic() - self._checkpoint_at  # no clock that is set back puts it off
        is_due = passed >= CHECKPOINT_SECONDS or grown >= CHECKPOINT_ENTRIES
        if grown <= 0 or not is_due:
            return
        envelope = await site.call(checkpoint_envelope, head, self._audit_signer, at=now)
        await site.call(site.store.audit.keep_checkpoint, head, at=now, envelope=envelope)
        site.situation.checkpoint, site.situation.checkpoint_seq = envelope, head.seq
        self._checkpoint_at = time.monotonic()
        site.wakeups.ring("status")


def backoff_seconds(failures: int, *, most: float, spread: float) -> float:
    """How long to wait after so many failures in a row.

    5 s, doubled each time up to `most`, ±20 % by `spread`.

    `spread` is a random number from 0 to 1; without it, controllers that failed together would return
    together.
    """
    steps = min(max(failures - 1, 0), 16)
    return float(min(_FIRST_RETRY_SECONDS * 2**steps, most)) * (0.8 + 0.4 * spread)


async def _repeat(name: str, work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do a piece of work for ever, so many seconds apart; a fault is told when it begins and when it ends."""
    told = ""
    while True:
        try:
            await work()
            fault = ""
        except ControllerError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - the isolating runner: the next time may succeed
            fault = type(error).__name__
            if fault != told:
                _log.exception("work failed", work=name)
        if fault != told:
            _log.log(logging.ERROR if fault else logging.INFO, "work", work=name, fault=fault or "over")
            told = fault
        await asyncio.sleep(seconds)


async def _end(tasks: list[asyncio.Task[None]], following: asyncio.Task[None] | None) -> None:
    """End the loops; a pass under way is on a thread and ends by itself between two changes."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, *([following] if following else []), return_exceptions=True)
