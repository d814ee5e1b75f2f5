"""Whose policy a run was of: several owners may share one store, and one Proxmox.

Runs from before say nobody's: their plans are still known by name through later ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("runs") as table:
        table.add_column(sa.Column("owner", sa.String(length=63), nullable=False, server_default=""))


def downgrade() -> None:
    """Take it away."""
    with op.batch_alter_table("runs") as table:
        table.drop_column("owner")
