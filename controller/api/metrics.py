"""What the controller tells Prometheus of itself.

Labels come from fixed sets and host names, never from errors.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from controller.api.tokens import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.store import Host

__all__ = ["CONTENT_TYPE", "Metrics"]

_Metric = TypeVar("_Metric", Counter, Gauge)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_RESULTS = ("applied", "skipped", "conflict", "failed", "unknown")
_PASS_RESULTS = ("done", "partial", "failed", "refused")
_SLOT_RESULTS = ("fired", "satisfied", "skipped", "held", "failed", "unknown")
_OPERATIONS = ("create", "update", "delete")
_ACTION_RESULTS = ("done", "failed", "refused", "expired", "interrupted", "unknown")
_ENROLMENT_REASONS = ("token_unknown", "token_used", "token_expired", "wrong_name")
POLICY_FAULTS = ("unreachable", "invalid", "not_fast_forward")
"""Why the newest commit is not the policy in force; what is wrong with it stands on the status page."""


class Metrics:
    """One registry per service. Known label sets start at 0; what has not happened yet is absent, not 0."""

    def __init__(self, *, resources: Iterable[str], kinds: Iterable[str]) -> None:
        self._resources = tuple(resources)
        self._table = _Table()
        self.registry = self._table.registry
        self._add_passes(self._table, self._resources)
        self._add_hosts(self._table, (*kinds, "unknown"))
        self._last_success: Gauge | None = None
        self._named: set[str] = set()
        self.saw_policy_fault("")
        self.saw_drift({}, unobserved=0)

    def text(self) -> bytes:
        """The exposition, text format 0.0.4."""
        return generate_latest(self.registry)

    def saw_drift(self, counts: Mapping[tuple[str, str], int], *, unobserved: int) -> None:
        """Replace the drift of the last plan; `counts` is by (resource, operation)."""
        for resource in self._resources:
            for operation in _OPERATIONS:
                self.drift.labels(resource, operation).set(counts.get((resource, operation), 0))
        self.unobserved.set(unobserved)

    def saw_commit(self, commit: str) -> None:
        """Name the commit in force."""
        self._commit.clear()
        self._commit.labels(commit).set(1)

    def saw_policy_fault(self, fault: str) -> None:
        """Raise one of POLICY_FAULTS and clear the others; empty clears all."""
        for reason in POLICY_FAULTS:
            self.policy_error.labels(reason).set(int(reason == fault))

    def saw_success(self, now: float) -> None:
        """A pass ended with everything as desired."""
        if self._last_success is None:
            self._last_success = self._table.gauge(
                "steward_reconcile_last_success_timestamp_seconds",
                "When a pass last left everything as desired.",
            )
        self._last_success.set(now)

    def saw_trust(self, version: int, expires_at: int) -> None:
        """Name the newest trust document."""
        self.trust_expiry.clear()
        self.trust_expiry.labels(str(version)).set(expires_at)

    def saw_hosts(self, hosts: Iterable[Host]) -> None:
        """Replace what is told of each host: revoked ones vanish."""
        named = set()
        for host in hosts:
            named.add(host.name)
            self.saw_host(host)
        for gone in self._named - named:
            self._last_poll.remove(gone)
            self.quarantined.remove(gone)
        self._named = named

    def saw_host(self, host: Host) -> None:
        """Tell one host's state."""
        self._named.add(host.name)
        if host.last_poll_at is not None:
            self._last_poll.labels(host.name).set(host.last_poll_at)
        self.quarantined.labels(host.name).set(int(host.quarantined_at is not None))

    def _add_passes(self, table: _Table, resources: tuple[str, ...]) -> None:
        counter, gauge = table.counter, table.gauge
        self.reconcile = counter(
            "steward_reconcile", "Changes by how they ended.", resource=resources, result=_RESULTS
        )
        self.passes = counter("steward_reconcile_passes", "Passes by how they ended.", result=_PASS_RESULTS)
        self.power_slots = counter(
            "steward_power_slots", "Slots of power schedules by how they ended.", result=_SLOT_RESULTS
        )
        self.drift = gauge(
            "steward_drift_changes",
            "Changes that the newest plan would make.",
            resource=resources,
            operation=_OPERATIONS,
        )
        self.unobserved = gauge(
            "steward_unobserved_sections", "Sections that the newest plan could not see whole."
        )
        self.lease_held = gauge("steward_lease_held", "1 while this controller may write.")
        self._commit = gauge("steward_policy_commit_info", "The commit of the policy in force.", commit=())
        self.policy_error = gauge(
            "steward_policy_error", "1 while the newest commit is not in force, by why.", reason=POLICY_FAULTS
        )

    def _add_hosts(self, table: _Table, kinds: tuple[str, ...]) -> None:
        counter, gauge = table.counter, table.gauge
        self.actions = counter(
            "steward_actions", "Actions by how they ended.", kind=kinds, result=_ACTION_RESULTS
        )
        self._last_poll = gauge(
            "steward_host_last_poll_timestamp_seconds", "When a host was last heard of.", host=()
        )
        self.quarantined = gauge(
            "steward_host_quarantined", "1 while a host is given nothing to do.", host=()
        )
        self.receipt_gaps = counter("steward_receipt_gap", "Receipts that follow none we have.")
        self.foreign_receipts = counter(
            "steward_receipt_foreign", "Receipts for actions that this controller never signed."
        )
        self.bad_receipts = counter("steward_receipt_refused", "Receipts that did not verify.")
        self.enrolments_refused = counter(
            "steward_enrolment_refused", "Refused enrolments, by why.", reason=_ENROLMENT_REASONS
        )
        self.tokens_refused = counter(
            "steward_agent_token_refused",
            "Refused requests of agents, by why.",
            reason=TokenRefusedError.REASONS,
        )
        self.trust_expiry = gauge(
            "steward_trust_expiry_timestamp_seconds", "When the newest trust document expires.", version=()
        )
        self.audit_seq = gauge("steward_audit_entries", "Entries in this instance's audit chain.")


class _Table:
    """The families of one registry. Each label comes with its known values: those series start at 0."""

    def __init__(self) -> None:
        # else each counter has a second series that nobody asks for
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def counter(self, name: str, text: str, **labels: tuple[str, ...]) -> Counter:
        return _started(Counter(name, text, tuple(labels), registry=self.registry), labels)

    def gauge(self, name: str, text: str, **labels: tuple[str, ...]) -> Gauge:
        return _started(Gauge(name, text, tuple(labels), registry=self.registry), labels)


def _started(family: _Metric, labels: Mapping[str, tuple[str, ...]]) -> _Metric:
    for values in product(*labels.values()) if labels else ():
        family.labels(*values)
    return family
