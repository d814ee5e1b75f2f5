"""``steward audit``: read the log, prove it whole, carry it away."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.plan import Config, Output, Printed
from controller.errors import ControllerError, Refused

if TYPE_CHECKING:
    from controller.audit import Checkpoint, Entry, Verified
    from controller.store import Store
    from protocol.keys import PublicKey

__all__ = ["audit"]

audit = typer.Typer(no_args_is_help=True, help="The audit log: list, show, verify, export.")
_REFUSED = 3
_MAX_CHECKPOINT_BYTES = 256 * 1024


@audit.command("list")
def list_entries(
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, newest first.")] = 50,
) -> None:
    """List the newest entries.

    Example:
      steward audit list
    """
    from controller.cli.printing import open_configuration, open_store, print_rows

    with contextlib.closing(open_store(open_configuration(config))) as store:
        rows = [_record(entry) for entry in store.audit.latest(limit)]
    print_rows(rows, ("seq", "at", "actor", "event", "subject", "detail"), output)


@audit.command("show")
def show(
    seq: Annotated[int, typer.Argument(min=1, help="The entry's number.")],
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
) -> None:
    """Print one entry.

    Example:
      steward audit show 42
    """
    from controller.cli.printing import open_configuration, open_store, print_record

    configuration = open_configuration(config)
    with contextlib.closing(open_store(configuration)) as store:
        found = next(store.audit.walk(configuration.instance, after=seq - 1), None)
    if found is None or found.seq != seq:
        raise ControllerError(f"there is no entry {seq}")
    print_record(_record(found), output)


@audit.command("verify")
def verify(
    config: Config = Path("controller.yaml"),
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A signed checkpoint kept elsewhere, as an agent keeps it. May be repeated."),
    ] = None,
    output: Printed = Output.TABLE,
) -> None:
    """Prove every chain whole. Exit 0: whole, 3: an entry was changed, removed or reordered.

    The first such entry is named.
    Without --checkpoint, checkpoints in the store itself are used: who can rewrite the store can remove
    those.

    Example:
      steward audit verify --checkpoint checkpoint.json
    """
    from controller import audit as chains
    from controller.cli.printing import open_configuration, open_store
    from controller.service import data_folder

    configuration = open_configuration(config)
    key = data_folder(configuration).public_key("audit")
    with contextlib.closing(open_store(configuration)) as store:
        points = _points(store, key, checkpoint or [])
        names = sorted({*store.audit.chains(), configuration.instance, *(point.chain for point in points)})
        found = {name: chains.verify(name, store.audit.walk(name), points) for name in names}
    _print(found, output)
    if any(one.finding for one in found.values()):
        raise typer.Exit(_REFUSED)


@audit.command("export")
def export(config: Config = Path("controller.yaml")) -> None:
    """Print every entry of every chain, one JSON object a line, oldest first.

    Example:
      steward audit export > audit.jsonl
    """
    from controller.cli.printing import open_configuration, open_store

    with contextlib.closing(open_store(open_configuration(config))) as store:
        for chain in store.audit.chains():
            for entry in store.audit.walk(chain):
                typer.echo(json.dumps(vars(entry), sort_keys=True))


def _record(entry: Entry) -> dict[str, Any]:
    """An entry as it is shown; what somebody wrote over is shown as it stands."""
    try:
        return {**vars(entry), "detail": json.loads(entry.detail)}
    except (TypeError, ValueError):
        return dict(vars(entry))


def _points(store: Store, key: PublicKey, files: list[Path]) -> list[Checkpoint]:
    from controller.signing import opened_checkpoint

    points = [
        point
        for envelope in store.audit.signed_checkpoints()
        for point in opened_checkpoint(envelope.encode(), key)
    ]
    for file in files:
        try:
            with file.open("rb") as stream:
                text = stream.read(_MAX_CHECKPOINT_BYTES)
            points += opened_checkpoint(text.strip(), key)
        except OSError as error:
            raise ControllerError(f"{file} cannot be read: {error.strerror}") from error
        except Refused as error:
            raise Refused(f"{file}: {error.message}") from error
    return points


def _print(found: dict[str, Verified], output: Output) -> None:
    if output is Output.JSON:
        typer.echo(json.dumps({name: _result(one) for name, one in found.items()}, indent=2))
        return
    for name, one in found.items():
        if one.finding is not None:
            typer.echo(f"{one.finding} ({one.count} entries before it are whole)")
        else:
            typer.echo(f"{name}: {_sound(one)}")


def _sound(one: Verified) -> str:
    if not one.count:
        return "no entries, and no checkpoint that has seen any: if there were some, they are gone"
    if not one.proven_to:
        return f"{one.count} entries, whole; none is signed yet, so a tail that was cut off would not show"
    if one.proven_to < one.count:
        cut = "what was cut off after that would not show"
        return f"{one.count} entries, whole; signed up to entry {one.proven_to}, {cut}"
    return f"{one.count} entries, whole, and signed to the last"


def _result(one: Verified) -> dict[str, Any]:
    return {
        "entries": one.count,
        "head": one.head,
        "proven_to": one.proven_to,
        "fault": None if one.finding is None else str(one.finding),
    }
