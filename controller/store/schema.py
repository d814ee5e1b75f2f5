"""The tables of the store, as SQLAlchemy Core describes them. Times are integer seconds since 1970-01-01 UTC.

The migrations build the same tables; a test compares the two, so that neither can drift from the other.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy import UniqueConstraint as Unique

__all__ = ["METADATA"]

METADATA = MetaData()

lease = Table(
    "lease",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(255), nullable=False),
    Column("term", Integer, nullable=False),
    Column("until", Integer, nullable=False),
)

runs = Table(
    "runs",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("commit", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("term", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("started_at", Integer, nullable=False),
    Column("finished_at", Integer),
    Column("result", String(32)),
    Column("detail", Text, nullable=False),
    Column("owner", String(63), nullable=False, server_default=""),
)

outcomes = Table(
    "outcomes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", String(26), ForeignKey("runs.id"), nullable=False, index=True),
    Column("system", String(128), nullable=False),
    Column("section", String(64), nullable=False),
    Column("key", String(512), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("result", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Index("ix_outcomes_object", "system", "section", "key"),
)

commits = Table(
    "commits",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("commit", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("at", Integer, nullable=False),
)

hosts = Table(
    "hosts",
    METADATA,
    Column("host_id", String(26), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("transport_key", LargeBinary, nullable=False),
    Column("receipt_key", LargeBinary, nullable=False),
    Column("enrolled_at", Integer, nullable=False),
    Column("revoked_at", Integer),
    Column("agent_version", String(64), nullable=False),
    Column("metrics_address", String(255), nullable=False),
    Column("trust_version", Integer, nullable=False),
    Column("approvers_version", Integer, nullable=False),
    Column("last_poll_at", Integer),
    Column("journal_seq", Integer, nullable=False),
    Column("journal_sha256", String(64), nullable=False),
    Column("receipt_seq", Integer, nullable=False),
    Column("receipt_sha256", String(64), nullable=False),
    Column("receipt_gaps", Integer, nullable=False),
    Column("action_seq", Integer, nullable=False),
    Column("quarantined_at", Integer),
    Column("quarantine_reason", Text, nullable=False),
)
Index(
    "ix_hosts_current_name",
    hosts.c.name,
    unique=True,
    sqlite_where=text("revoked_at IS NULL"),
    postgresql_where=text("revoked_at IS NULL"),
)

enrolment_tokens = Table(
    "enrolment_tokens",
    METADATA,
    Column("secret_sha256", String(64), primary_key=True),
    Column("host_name", String(255), nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("used_at", Integer),
    Column("host_id", String(26)),
)

actions = Table(
    "actions",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("host_id", String(26), ForeignKey("hosts.host_id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("args", Text, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("issued_at", Integer, nullable=False),
    Column("not_before", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("action_sha256", String(64), nullable=False),
    Column("delivery", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("delivered_at", Integer),
    Column("finished_at", Integer),
    Unique("host_id", "seq", name="uq_actions_host_seq"),
    Index("ix_actions_open", "host_id", "state"),
)

receipts = Table(
    "receipts",
    METADATA,
    Column("host_id", String(26), ForeignKey("hosts.host_id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("action_id", String(26), nullable=False, index=True),
    Column("sha256", String(64), nullable=False),
    Column("envelope", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("after_gap", Boolean, nullable=False),
    Column("stored_at", Integer, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    METADATA,
    Column("chain", String(128), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Integer, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("event", String(64), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_sha256", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
)

checkpoints = Table(
    "checkpoints",
    METADATA,
    Column("chain", String(128), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("head", String(64), nullable=False),
    Column("at", Integer, nullable=False),
    Column("envelope", Text, nullable=False),
)

overrides = Table(
    "overrides",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("ended_by", String(255), nullable=False),
    Index("ix_overrides_object", "kind", "name"),
)

power_slots = Table(
    "power_slots",
    METADATA,
    Column("system", String(128), primary_key=True),
    Column("machine", String(255), primary_key=True),
    Column("due_at", Integer, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("claimed_at", Integer),
    Column("ended_at", Integer),
    Column("upid", String(255), nullable=False),
)

power_idle = Table(
    "power_idle",
    METADATA,
    Column("system", String(128), primary_key=True),
    Column("machine", String(255), primary_key=True),
    Column("vmid", Integer, nullable=False),
    Column("seen_at", Integer, nullable=False),
    Column("uptime_seconds", Integer, nullable=False),
    Column("net_bytes", BigInteger, nullable=False),
    Column("idle_since", Integer),
)
