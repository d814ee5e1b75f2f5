"""The one door to the database: its URL, its pragmas, its schema version, its transactions.

A write takes SQLite's write lock at once (BEGIN IMMEDIATE), so what it reads cannot change before it
commits; a read sees one snapshot. Every commit is on disk before it returns (journal_mode WAL with
synchronous FULL; SQLite documentation, "PRAGMA synchronous"), because a receipt or an audit entry that was
acknowledged must survive.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

__all__ = ["SCHEMA_VERSION", "Database", "StoreError"]

SCHEMA_VERSION = "0003"
_BUSY_SECONDS = 10


class StoreError(ControllerError):
    """The store could not be opened, read or written."""


class Database:
    """An engine whose schema is at `SCHEMA_VERSION`. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(steward_write=True)

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect, and build or upgrade the schema where it is older.

        Raises StoreError, also for a newer schema.
        """
        try:
            # the callers' threads are bounded: none of them waits for a connection
            engine = create_engine(url, max_overflow=-1)
        except (ArgumentError, NoSuchModuleError, ImportError, TypeError) as error:
            raise StoreError(f"store.url is no address of a database that is known here: {error}") from error
        if engine.dialect.name == "sqlite":
            _make_private(engine)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        database = cls(engine)
        try:
            if database._version() != SCHEMA_VERSION:
                database._upgrade()
        except StoreError:
            engine.dispose()
            raise
        except DBAPIError as error:
            engine.dispose()
            raise StoreError(f"the store {_shown(engine)} cannot be used: {error.orig}") from error
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot, never committed."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed on leaving, rolled back on an error."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"the store {_shown(self._reader)} failed: {error.orig}") from error

    def _version(self) -> str | None:
        with self._reader.connect() as connection:
            if not self._reader.dialect.has_table(connection, "alembic_version"):
                return None
            row = connection.exec_driver_sql("SELECT version_num FROM alembic_version").first()
            return None if row is None else str(row[0])

    def _upgrade(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        configuration = Config()
        configuration.set_main_option("script_location", "controller.store:migrations")
        configuration.set_main_option("path_separator", "os")
        try:
            with self._writer.begin() as connection:
                configuration.attributes["connection"] = connection
                command.upgrade(configuration, SCHEMA_VERSION)
        except CommandError as error:
            raise StoreError(
                f"the store {_shown(self._reader)} has a schema that this version does not know: {error}",
                hint="run the version of Steward that wrote it, or a newer one",
            ) from error


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _make_private(engine: Engine) -> None:
    """Make the file for its owner alone before SQLite does; its journals get the same mode."""
    if not engine.url.database or engine.url.database == ":memory:":
        return
    try:
        # Only where there is none: closing a descriptor of a database that this process has open already
        # drops its locks (https://sqlite.org/howtocorrupt.html, 2.2); others then take its journal away.
        os.close(os.open(engine.url.database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"the store {_shown(engine)} cannot be used: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in (
        f"busy_timeout={_BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("steward_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
