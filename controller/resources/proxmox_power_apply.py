"""Carrying out changes of power: a few at a time on each node, each task watched until it has ended.

    claim the slot ─► look what the guest does ─► send ─► watch the task ─► look again ─► done
                          └► it is so already: no task     └► a lock: again, later

Proxmox VE answers 200 and a task's identifier where the work is only about to begin, so an answer is no
success: the task's end is, and the guest's own status after it. One request a node tells which tasks still
run, whatever their number. Shutting down never becomes stopping unless the policy says so.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from controller.errors import (
    ControllerError,
    NotAllowed,
    NotThere,
    OutcomeUnknown,
    Refused,
    TerminalError,
    TransientError,
    Unreachable,
)
from controller.plan.change import Outcome, Result
from controller.power_values import SlotRecord, SlotState
from controller.resources.power_answers import BRINGS_ABOUT, Verdict, is_disobeyed, verdict
from controller.resources.power_jobs import Desk, Job, job_of, node_of
from controller.resources.power_line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.plan.change import Change
    from controller.power_values import ProxmoxTask
    from controller.resources.power_ports import PoweredWriter

__all__ = ["AT_ONCE", "NO_DESK", "PATIENCE_SECONDS", "POLL_SECONDS", "Shift", "carry_out", "waited"]

AT_ONCE = 2
"""Changes under way on one node: more at once make each other fail on locks."""
POLL_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
"""How long one pass tries a locked guest; the next pass goes on, until the slot's window is over."""
_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 60.0
_SETTLING_SECONDS = 30.0
"""How long a guest may lag behind its finished task; the high availability manager takes longer."""
_MANAGED_SECONDS = 300.0
_MOST_MOVES = 3
_SKEW_SECONDS = 60
"""How far the clocks of a node and of the controller may be apart."""


def waited(seconds: float) -> bool:
    """Wait out the whole time; a caller that can be told to stop passes a wait of its own."""
    time.sleep(seconds)
    return True


NO_DESK = Desk(None, time.time, waited)


def carry_out(client: PoweredWriter, changes: Sequence[Change], desk: Desk) -> list[Outcome]:
    """Every change's outcome, in their order. What goes wrong with one leaves the others alone."""
    jobs = [job_of(change) for change in changes]
    Shift(client, desk, Line(jobs)).run()
    return [job.outcome for job in jobs if job.outcome is not None]


class Shift:
    """Works off the line of one cluster. `on_ended` hears of jobs that have ended, after each look."""

    def __init__(
        self,
        client: PoweredWriter,
        desk: Desk,
        line: Line,
        *,
        on_ended: Callable[[Sequence[Job]], None] = lambda _jobs: None,
    ) -> None:
        self._client = client
        self._desk = desk
        self._line = line
        self._on_ended = on_ended
        self._running: dict[str, Mapping[str, ProxmoxTask]] = {}

    def run(self) -> None:
        """Work until nothing is in the line, or until waiting is not wanted any more.

        Raises Refused where the lease is gone, StoreError where slots cannot be kept.
        """
        while True:
            self._locate()
            self._begin_some()
            self._tell_ended()
            if self._line.rest():
                return
            if self._desk.wait(self._pause()):
                self._poll()
            else:
                self._break_off()

    def _open(self) -> list[Job]:
        return self._line.open()

    def _tell_ended(self) -> None:
        ended = self._line.ended()
        if ended:
            self._on_ended(ended)

    def _locate(self) -> None:
        """Where each guest is now: it may have moved since the plan was made, or since it was looked at."""
        lost = [job for job in self._open() if not job.node]
        if not lost:
            return
        try:
            nodes = {(guest.kind, guest.vmid): guest.node for guest in self._client.resources().guests}
        except ControllerError as error:
            for job in lost:
                state = SlotState.CLAIMED if job.is_sent else SlotState.WAITING
                job.end(self._desk, Result.FAILED, str(error), state)
            return
        for job in lost:
            job.node = nodes.get((job.kind, job.vmid), "")
            if not job.node:
                job.end(self._desk, Result.CONFLICT, f"guest {job.vmid} is gone", SlotState.FAILED)

    def _begin_some(self) -> None:
        now = self._desk.clock()
        busy = Counter(job.node for job in self._open() if job.is_under_way)
        for job in self._open():
            if job.is_under_way or job.not_before > now or busy[job.node] >= AT_ONCE:
                continue
            if self._line.begin(job):
                self._guarded(job, self._begin)
                job.is_beginning = False
                busy[job.node] += job.is_under_way

    def _guarded(self, job: Job, step: Callable[[Job], None]) -> None:
        """Do one step of a job; what goes wrong ends or delays this job alone."""
        try:
            step(job)
        except Refused:  # the lease is gone: nothing more may be done
            raise
        except OutcomeUnknown as error:
            job.is_sent = True
            self._again(job, error.message)
        except Unreachable as error:
            self._again(job, error.message)
        except TransientError as error:
            self._answered(job, error.message)
        except NotAllowed as error:  # somebody may give us the right while the window is open
            job.end(self._desk, Result.FAILED, str(error), SlotState.WAITING)
        except NotThere as error:
            self._seek(job, error)
        except ControllerError as error:
            job.end(self._desk, Result.FAILED, str(error), SlotState.FAILED)

    def _seek(self, job: Job, error: NotThere) -> None:
        """The guest is not on its node any more: it may have moved, which is seen in the next look."""
        job.moves += 1
        if job.moves > _MOST_MOVES:
            job.end(self._desk, Result.CONFLICT, error.message, SlotState.FAILED)
        job.node = ""

    def _begin(self, job: Job) -> None:
        if not self._claimed(job):
            return
        # A job that only stood in line behind others of this pass was in time.
        if job.attempts and job.until is not None and self._desk.clock() >= job.until:
            self._give_up(job, f"{job.why}; its window is over", is_over=True)
            return
        state = self._client.switch.current(job.address)
        if state.is_template:
            job.end(self._desk, Result.FAILED, "a template is never started", SlotState.FAILED)
        elif state.status == job.wanted:
            self._reached(job)
        else:
            task = self._task_of(job)
            if task is not None:
                self._adopt(job, task)
            elif self._desk.goes_on():
                self._send(job)

    def _claimed(self, job: Job) -> bool:
        """Take the job's slot; False where it turned out to be over."""
        job.began = job.began or self._desk.clock()
        if job.slot is None or job.is_claimed:
            return True
        if self._desk.ledger is None:
            job.outcome = Outcome(job.change, Result.FAILED, "no store is at hand to claim its slot in")
            return False
        earlier = self._desk.ledger.claim(job.slot)
        if earlier is not None and not earlier.state.is_open:
            job.outcome = Outcome(job.change, Result.SKIPPED, f"its slot is {earlier.state} already")
            return False
        job.is_claimed = True
        if earlier is not None and earlier.state is SlotState.CLAIMED:
            job.claimed_at, job.left_upid = earlier.claimed_at, earlier.upid
        return True

    def _task_of(self, job: Job) -> ProxmoxTask | None:
        """A task that does what the job is about: one that runs, or one of ours that nobody followed."""
        if job.left_upid:  # on the node where the guest was then
            upid, job.left_upid = job.left_upid, ""
            try:
                return self._client.switch.task(node_of(upid), upid)
            except TerminalError:  # its log is gone
                pass
        kinds = BRINGS_ABOUT[job.wanted]
        running = self._running_on(job.node).values()
        for task in running:
            if task.type in kinds and task.subject == str(job.vmid):
                return task
        since = job.claimed_at if job.claimed_at is not None else int(job.began) if job.is_sent else None
        if since is None:
            return None
        since -= _SKEW_SECONDS
        ours = [
            task
            for task in self._client.switch.tasks(job.node, since=since)
            if task.type in kinds
            and task.subject == str(job.vmid)
            and task.user == self._client.switch.own_user
            and task.started_at >= since
        ]
        return max(ours, key=lambda task: task.started_at, default=None)

    def _running_on(self, node: str) -> Mapping[str, ProxmoxTask]:
        if node not in self._running:
            self._running[node] = self._client.switch.running_tasks(node)
        return self._running[node]

    def _send(self, job: Job) -> None:
        switch, guest = self._client.switch, job.address
        self._desk.tell(f"{job.name}: {job.how}")
        if job.how == "start":
            upid = switch.start(guest)
        elif job.how == "stop":
            upid = switch.stop(guest)
        else:
            upid = switch.shutdown(guest, timeout_seconds=job.timeout_seconds, force=job.forces)
        self._watch(job, upid)

    def _adopt(self, job: Job, task: ProxmoxTask) -> None:
        """Go on with a task that is there already."""
        job.claimed_at = None
        if task.is_running:
            self._watch(job, task.upid)
            return
        job.upid = task.upid
        ended = task.ended_at or 0
        if task.is_done and self._desk.clock() - ended > _SETTLING_SECONDS:
            reason = f"{task.upid} did it; somebody has changed it since"
            job.end(self._desk, Result.APPLIED, reason, SlotState.FIRED)
        else:
            self._ended(job, task)

    def _watch(self, job: Job, upid: str) -> None:
        job.upid, job.is_sent, job.claimed_at = upid, True, None
        job.give_up_at = self._desk.clock() + job.patience_seconds
        if job.slot is not None and self._desk.ledger is not None:
            self._desk.ledger.sent(job.slot, upid)

    def _poll(self) -> None:
        """One request for each node on which tasks of ours run, one for each task that has ended."""
        self._running.clear()
        for job in self._open():
            if job.is_settling:
                self._guarded(job, self._settle)
            elif job.upid:
                self._follow(job)

    def _follow(self, job: Job) -> None:
        try:
            if job.upid not in self._running_on(node_of(job.upid)):
                task = self._client.switch.task(node_of(job.upid), job.upid)
                if not task.is_running:
                    self._guarded(job, lambda one: self._ended(one, task))
                    return
        except TerminalError as error:  # its log is gone: what it did can be seen in the guest alone
            self._desk.tell(f"{job.name}: {error.message}")
            self._guarded(job, self._settle_soon)
            return
        except ControllerError as error:
            self._desk.tell(f"{job.name}: {error.message}")
        if self._desk.clock() >= job.give_up_at:
            reason = f"its task {job.upid} has not ended in {job.patience_seconds:.0f} s"
            job.end(self._desk, Result.UNKNOWN, reason, SlotState.CLAIMED)

    def _ended(self, job: Job, task: ProxmoxTask) -> None:
        """The task has ended: by its result."""
        if not task.is_done:
            self._answered(job, task.exit_status)
            return
        is_wish = task.type.startswith("ha")
        job.is_settling = True
        job.give_up_at = self._desk.clock() + (_MANAGED_SECONDS if is_wish else _SETTLING_SECONDS)
        self._settle(job)

    def _settle(self, job: Job) -> None:
        """Look at the guest itself: a task may end before what it does can be seen."""
        state = self._client.switch.current(job.address)
        if state.status == job.wanted:
            self._reached(job)
        elif self._desk.clock() >= job.give_up_at:
            reason = f"its task {job.upid} ended well, and it is still {state.status}"
            job.end(self._desk, Result.FAILED, reason, SlotState.FAILED)

    def _reached(self, job: Job) -> None:
        is_ours = job.is_sent or job.claimed_at is not None
        reason = "" if is_ours else f"it was {job.wanted} already"
        job.end(self._desk, Result.APPLIED, reason, SlotState.FIRED if is_ours else SlotState.SATISFIED)

    def _answered(self, job: Job, text: str) -> None:
        """Proxmox VE said that it could not be done: perhaps later, perhaps not."""
        said = verdict(text)
        if said is Verdict.FAILED:
            is_left = job.how == "shutdown" and not job.forces and is_disobeyed(text)
            left = f"did not shut down in {job.timeout_seconds} s and is left running: " if is_left else ""
            job.end(self._desk, Result.FAILED, f"{left}{text}", SlotState.FAILED)
            return
        job.upid, job.is_settling, job.is_sent = "", False, False  # it was answered: nothing is under way
        if said is Verdict.REACHED:
            self._settle_soon(job)
        else:
            self._again(job, text)

    def _settle_soon(self, job: Job) -> None:
        job.is_settling = True
        job.give_up_at = self._desk.clock() + _SETTLING_SECONDS
        self._settle(job)

    def _again(self, job: Job, why: str) -> None:
        """Try it later, each time after a longer wait, for as long as a pass is patient."""
        now = self._desk.clock()
        job.why = why
        job.attempts += 1
        delay = min(_FIRST_WAIT_SECONDS * 2 ** (job.attempts - 1), _LONGEST_WAIT_SECONDS)
        if job.until is not None:
            delay = max(0.0, min(delay, job.until - now))
        if now + delay > job.began + PATIENCE_SECONDS:
            self._give_up(job, f"{why}: {job.told_until()}", is_over=False)
        else:
            self._desk.tell(f"{job.name}: {why}; again in {delay:.0f} s")
            job.not_before = now + delay
            self._put_back(job)

    def _put_back(self, job: Job) -> None:
        """A slot for which nothing was begun waits, also for whoever reads it after we were killed."""
        if job.slot is None or self._desk.ledger is None or job.is_sent or not job.is_claimed:
            return
        self._desk.ledger.settle(SlotRecord(job.slot, SlotState.WAITING, job.why))
        job.is_claimed = False

    def _give_up(self, job: Job, reason: str, *, is_over: bool) -> None:
        if job.is_sent:
            job.end(self._desk, Result.UNKNOWN, reason, SlotState.CLAIMED)
        else:
            job.end(self._desk, Result.SKIPPED, reason, SlotState.SKIPPED if is_over else SlotState.WAITING)

    def _pause(self) -> float:
        """Till the next look; never longer than a tick, as more may be handed over meanwhile."""
        open_jobs = self._open()
        if not open_jobs or any(job.is_under_way for job in open_jobs):
            return POLL_SECONDS
        first = min(job.not_before for job in open_jobs) - self._desk.clock()
        return min(POLL_SECONDS, max(0.1, first))

    def _break_off(self) -> None:
        for job in self._open():
            if job.is_sent:
                job.end(self._desk, Result.UNKNOWN, "the pass was broken off meanwhile", SlotState.CLAIMED)
            else:
                job.end(self._desk, Result.SKIPPED, "the pass was broken off", SlotState.WAITING)
