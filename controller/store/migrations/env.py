"""What Alembic runs for every command.

The steps go over the connection, and in the transaction, of the caller.
"""

from __future__ import annotations

from alembic import context

from controller.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transaction_per_migration=False,
)
context.run_migrations()
