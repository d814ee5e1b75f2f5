"""Power of machines and overrides.

What people decided for a while over the policy's head, what became of each slot of a schedule, and how long
machines have been idle.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build the three tables."""
    op.create_table(
        "overrides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Integer(), nullable=True),
        sa.Column("ended_by", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_overrides_object", "overrides", ["kind", "name"], unique=False)
    op.create_table(
        "power_slots",
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.Integer(), nullable=True),
        sa.Column("upid", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("system", "machine", "due_at", "kind"),
    )
    op.create_table(
        "power_idle",
        sa.Column("system", sa.String(length=128), nullable=False),
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("vmid", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.Column("uptime_seconds", sa.Integer(), nullable=False),
        sa.Column("net_bytes", sa.BigInteger(), nullable=False),
        sa.Column("idle_since", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("system", "machine"),
    )
