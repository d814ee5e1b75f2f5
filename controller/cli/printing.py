"""Tables for people, JSON for programs, and a controller.yaml opened: what the operators' verbs share."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from controller.cli.plan import Output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controller.config import Configuration
    from controller.store import Store

__all__ = ["actor", "open_configuration", "open_store", "print_record", "print_rows", "utc"]

_NEVER_BROKEN = frozenset({"at", "host_id", "id", "name", "seq", "state"})
"""Columns that people copy from."""
_WIDTH_OF_A_FILE = 1000
_INSTANTS = frozenset({"at", "not_before"})


def open_configuration(path: Path) -> Configuration:
    """The configuration at `path` under the environment; raises ControllerError."""
    from controller.config import Configuration

    return Configuration.load(path, os.environ)


def open_store(configuration: Configuration) -> Store:
    """The configuration's store; raises StoreError."""
    from controller.store import Store

    return Store.open(configuration.store_url, chain=configuration.instance)


def actor() -> str:
    """Who runs this command, as the audit log names people on this machine."""
    uid = os.getuid()
    try:
        return f"local:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"local:{uid}"


def utc(instant: object) -> str:
    """An instant as text; empty for none."""
    if not isinstance(instant, int):
        return ""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def print_rows(rows: Sequence[Mapping[str, object]], columns: Sequence[str], output: Output) -> None:
    """Rows as a table of `columns`, or all of them as JSON; names ending in `_at` are instants in UTC."""
    if output is Output.JSON:
        typer.echo(json.dumps(list(rows), indent=2))
        return
    from rich.table import Table

    from controller.cli.rendering import console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        whole = name in _NEVER_BROKEN or name.endswith("_at")
        table.add_column(name.removesuffix("_at").replace("_", " "), no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(name, row.get(name)) for name in columns))
    out = console()
    if not out.is_terminal:
        out.width = _WIDTH_OF_A_FILE
    out.print(table)


def print_record(record: Mapping[str, object], output: Output) -> None:
    """One thing: a line a field, or JSON."""
    if output is Output.JSON:
        typer.echo(json.dumps(record, indent=2))
        return
    width = max(map(len, record))
    for name, value in record.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_cell(name.rpartition(' ')[2], value)}".rstrip())


def _cell(name: str, value: object) -> str:
    if isinstance(value, int) and (name in _INSTANTS or name.endswith("_at")):
        return utc(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_cell(key, one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_cell(name, one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
