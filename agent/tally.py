"""What the agent counts about itself, and the series that show it."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import VERSION
from exporters.samples import SINGLE, Family, Kind, Metric
from protocol.reasons import Reason

if TYPE_CHECKING:
    from agent.checkpoints import CheckpointKeeper
    from agent.verbs import Status

__all__ = ["Tally"]

_BUILD = Metric("steward_agent_build_info", Kind.GAUGE, "The agent's version; always 1.", ("version",))
_TRUST_VERSION = Metric("steward_agent_trust_version", Kind.GAUGE, "Version of the installed trust document.")
_TRUST_EXPIRY = Metric(
    "steward_agent_trust_expiry_timestamp_seconds", Kind.GAUGE, "When the trust expires, in unixtime."
)
_REFUSALS = Metric(
    "steward_agent_refusals_total", Kind.COUNTER, "Deliveries that were refused, by reason.", ("reason",)
)
_LAST_POLL = Metric(
    "steward_agent_last_poll_timestamp_seconds", Kind.GAUGE, "When the controller last answered a poll."
)
_FAILURES = Metric(
    "steward_agent_failures_total", Kind.COUNTER, "Tries of a loop that failed, to be repeated.", ("loop",)
)
_JOURNAL = Metric(
    "steward_agent_journal_usable", Kind.GAUGE, "Whether the executor can prove what it already did."
)
_RECEIPTS = Metric("steward_agent_receipts_total", Kind.COUNTER, "Receipts that the executor has signed.")
_PENDING = Metric("steward_agent_actions_pending", Kind.GAUGE, "Accepted actions that wait or run.")
_UNSENT = Metric("steward_agent_receipts_unsent", Kind.GAUGE, "Receipts on their way to the controller.")

_CHECKPOINT = Metric(
    "steward_agent_audit_checkpoint_seq",
    Kind.GAUGE,
    "Entry of the controller's audit log that the highest checkpoint seen here proves.",
)
_CONFLICTS = Metric(
    "steward_agent_audit_checkpoint_conflicts_total",
    Kind.COUNTER,
    "Checkpoints with a lower number than one before, or another hash under the same number.",
)

_REASON_ROWS = tuple((reason.value,) for reason in Reason)
_LOOPS = ("poll", "receipts")


class Tally:
    """Counters of the network process, and the last status that the executor told."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.unsent = 0
        self.checkpoints: CheckpointKeeper | None = None
        self._last_poll: float | None = None
        self._refusals = dict.fromkeys((reason.value for reason in Reason), 0)
        self._failures = dict.fromkeys(_LOOPS, 0)

    def polled(self) -> None:
        """A poll was answered."""
        self._last_poll = time.time()

    def failed(self, loop: str) -> None:
        """A try of a loop failed."""
        self._failures[loop] += 1

    def refused(self, reason: str) -> None:
        """The executor refused a delivery."""
        if reason in self._refusals:
            self._refusals[reason] += 1

    def collect(self) -> Sequence[Family]:
        """Return the agent's own series; what is not known yet is absent."""
        families = [
            Family(_BUILD, ((VERSION,),), (1,)),
            Family(_REFUSALS, _REASON_ROWS, tuple(self._refusals.values())),
            Family(_FAILURES, tuple((loop,) for loop in _LOOPS), tuple(self._failures.values())),
            _UNSENT.one(self.unsent),
        ]
        if self.checkpoints is not None:
            families.append(_CONFLICTS.one(self.checkpoints.conflicts))
            if self.checkpoints.seq is not None:
                families.append(_CHECKPOINT.one(self.checkpoints.seq))
        if self._last_poll is not None:
            families.append(Family(_LAST_POLL, SINGLE, (self._last_poll,)))
        if self.status is not None:
            trust = self.status.trust
            families += [
                _TRUST_VERSION.one(trust.version),
                _TRUST_EXPIRY.one(trust.expires_at),
                _JOURNAL.one(int(self.status.journal_usable)),
                _RECEIPTS.one(self.status.head.seq),
                _PENDING.one(self.status.pending),
            ]
        return families
