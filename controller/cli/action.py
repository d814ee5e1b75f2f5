"""``steward action``: have something done on one host, and see what became of it."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.plan import Config, Output, Printed
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.config import Configuration
    from controller.store import SignedAction, Store, StoredAction

__all__ = ["action"]

action = typer.Typer(no_args_is_help=True, help="Signed actions on hosts: run, list, show.")
_OPEN = ("queued", "delivered")
_POLL_SECONDS = 0.2
_COLUMNS = ("id", "host", "kind", "args", "state", "reason", "created_by", "issued_at", "finished_at")
_Id = Annotated[str, typer.Argument(metavar="ID", help="The action's id.")]


@action.command("run")
def run(
    host: Annotated[str, typer.Argument(help="The host's name.")],
    kind: Annotated[str, typer.Argument(help="What to do, as host.ping or backup.run.")],
    arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE. May be repeated.")] = None,
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    valid: Annotated[int, typer.Option(min=1, max=3600, help="Seconds until it expires.")] = 600,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the host's receipt.")] = False,
) -> None:
    """Sign an action and queue it for a host. With --wait.

    Exit 0 where it was done, 3 where the host refused.

    Example:
      steward action run web-01 backup.run --arg set=etc --arg repository=local --wait
    """
    from controller.cli.printing import open_configuration, open_store

    configuration = open_configuration(config)
    with contextlib.closing(open_store(configuration)) as store:
        order = {"host": host, "kind": kind, "args": _args(arg or []), "valid_seconds": valid}
        action_id = _queue(configuration, store, order, wait=wait)
        ended = _awaited(store, action_id) if wait else store.actions.get(action_id)
        _print(store, ended, output)
    if wait and ended.state != "done":
        raise typer.Exit(3 if ended.state == "refused" else 1)


@action.command("list")
def list_actions(
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, newest first.")] = 50,
) -> None:
    """List actions, newest first.

    Example:
      steward action list --limit 10
    """
    from controller.cli.printing import open_configuration, open_store, print_rows

    with contextlib.closing(open_store(open_configuration(config))) as store:
        names = {one.host_id: one.name for one in store.hosts.listed(include_revoked=True)}
        rows = [_record(one, names) for one in store.actions.latest(limit)]
    print_rows(rows, _COLUMNS, output)


@action.command("show")
def show(action_id: _Id, config: Config = Path("controller.yaml"), output: Printed = Output.TABLE) -> None:
    """Print one action and the receipts that speak of it.

    Example:
      steward action show 0193a1…
    """
    from controller.cli.printing import open_configuration, open_store

    with contextlib.closing(open_store(open_configuration(config))) as store:
        _print(store, store.actions.get(action_id), output)


def _queue(configuration: Configuration, store: Store, order: dict[str, Any], *, wait: bool) -> str:
    from controller.cli.local import LocalController
    from controller.service import data_folder

    local = LocalController(data_folder(configuration).socket)
    if local.is_there():
        return str(local.post("/local/v1/actions", order)["id"])
    if wait:
        raise ControllerError(
            "no controller is serving, so no receipt can come",
            hint="run `steward serve`, or leave out --wait",
        )
    return _queue_alone(configuration, store, order)


def _queue_alone(configuration: Configuration, store: Store, order: dict[str, Any]) -> str:
    """Without a serving controller: take the lease for a moment, sign, queue."""
    from controller.api.operators import ActionBody, checked_order
    from controller.cli.printing import actor
    from controller.service import data_folder, holder_name, named_hosts
    from controller.signing import ActionSigner, new_ulid

    data, now = data_folder(configuration), int(time.time())
    signer = ActionSigner(
        data.signer("signing"), trust_version=data.trust.version, policy_commit=store.commits.last_applied
    )
    wanted = store.hosts.named(order["host"])
    named_hosts(configuration, data, store).require(wanted.name)
    checked = checked_order(ActionBody(**order), wanted.host_id)

    def sign(seq: int) -> SignedAction:
        action_id = new_ulid(int(time.time() * 1000), secrets.token_bytes(10))
        return signer.sign(checked, action_id=action_id, seq=seq, now=now)

    lease = store.lease.acquire(holder_name("action"), 15, now)
    try:
        return store.actions.queue(wanted.host_id, sign, created_by=actor(), term=lease.term, now=now).id
    finally:
        store.lease.release(lease, int(time.time()))


def _awaited(store: Store, action_id: str) -> StoredAction:
    while True:
        found = store.actions.get(action_id)
        if found.state not in _OPEN:
            return found
        time.sleep(_POLL_SECONDS)


def _print(store: Store, one: StoredAction, output: Output) -> None:
    from controller.cli.printing import print_record

    names = {host.host_id: host.name for host in store.hosts.listed(include_revoked=True)}
    record = _record(one, names)
    record["receipts"] = [_receipt(receipt.envelope) for receipt in store.receipts.of_action(one.id)]
    if output is Output.TABLE:
        receipts = record.pop("receipts")
        print_record(record, output)
        for receipt in receipts:
            typer.echo("")
            print_record({f"receipt {name}": value for name, value in receipt.items()}, output)
        return
    print_record(record, output)


def _receipt(envelope: str) -> dict[str, Any]:
    from protocol.dsse import parse_envelope

    read: dict[str, Any] = json.loads(parse_envelope(envelope.encode("ascii")).payload)
    return read


def _record(one: StoredAction, names: dict[str, str]) -> dict[str, Any]:
    record = {name: value for name, value in vars(one).items() if name != "delivery"}
    return {"host": names.get(one.host_id, one.host_id), **record, "args": json.loads(one.args)}


def _args(given: list[str]) -> dict[str, Any]:
    args: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or name in args:
            raise typer.BadParameter(f"--arg takes NAME=VALUE, each name once, not {text!r}")
        args[name] = value
    return args
