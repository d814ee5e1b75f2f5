"""``steward host``: which hosts there are, letting one in, and putting one out."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.plan import Config, Output, Printed
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.store import Host

__all__ = ["host"]

host = typer.Typer(no_args_is_help=True, help="Hosts: enrol, list, revoke.")
_Name = Annotated[str, typer.Argument(help="The host's name.")]
_COLUMNS = ("name", "state", "last_poll_at", "agent_version", "trust_version", "receipt_seq", "host_id")


@host.command("enroll")
def enroll(
    name: _Name,
    config: Config = Path("controller.yaml"),
    ttl: Annotated[int, typer.Option(min=1, max=1440, help="Minutes that the token is good for.")] = 60,
) -> None:
    """Print a token with which one host joins once, under that name. A host of that name is replaced.

    Example:
      steward host enroll web-01 > token
    """
    from controller import pki
    from controller.cli.printing import actor, open_configuration, open_store
    from controller.service import data_folder
    from protocol.enrolment import EnrolmentToken
    from protocol.errors import BadToken

    configuration = open_configuration(config)
    data = data_folder(configuration)
    secret = secrets.token_bytes(32)
    token = EnrolmentToken(
        address=configuration.url,
        ca_sha256=pki.spki_sha256(data.ca_certificate()),
        host_name=name,
        root_sha256=data.trust.root_sha256(),
        secret=secret.hex(),
    )
    line = token.encode()
    try:
        EnrolmentToken.parse(line)  # a name that no agent would take is refused before anything is stored
    except BadToken as error:
        raise ControllerError(f"{name!r} is no name for a host: letters, digits, '.', '_', '-'") from error
    with contextlib.closing(open_store(configuration)) as store:
        store.hosts.allow(
            hashlib.sha256(secret).hexdigest(),
            name=name,
            created_by=actor(),
            now=int(time.time()),
            ttl_seconds=ttl * 60,
        )
    typer.echo(line)


@host.command("list")
def list_hosts(
    config: Config = Path("controller.yaml"),
    output: Printed = Output.TABLE,
    *,
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked ones too.")] = False,
) -> None:
    """List the hosts.

    Example:
      steward host list
    """
    from controller.cli.printing import open_configuration, open_store, print_rows

    with contextlib.closing(open_store(open_configuration(config))) as store:
        rows = [_record(one) for one in store.hosts.listed(include_revoked=revoked)]
    print_rows(rows, _COLUMNS, output)


@host.command("show")
def show(name: _Name, config: Config = Path("controller.yaml"), output: Printed = Output.TABLE) -> None:
    """Print everything known of one host.

    Example:
      steward host show web-01
    """
    from controller.cli.printing import open_configuration, open_store, print_record

    with contextlib.closing(open_store(open_configuration(config))) as store:
        print_record(_record(store.hosts.named(name)), output)


@host.command("revoke")
def revoke(name: _Name, config: Config = Path("controller.yaml")) -> None:
    """Believe nothing more from a host; what it was not given yet is void.

    Example:
      steward host revoke web-01
    """
    from controller.cli.printing import actor, open_configuration, open_store

    with contextlib.closing(open_store(open_configuration(config))) as store:
        gone = store.hosts.revoke(name, actor=actor(), now=int(time.time()))
    typer.echo(f"{name} ({gone.host_id}) is revoked")


@host.command("release")
def release(name: _Name, config: Config = Path("controller.yaml")) -> None:
    """End a host's quarantine, after somebody has looked why it was put there.

    Example:
      steward host release web-01
    """
    from controller.cli.printing import actor, open_configuration, open_store

    with contextlib.closing(open_store(open_configuration(config))) as store:
        store.hosts.release(name, actor=actor(), now=int(time.time()))
    typer.echo(f"{name} is released")


def _record(one: Host) -> dict[str, object]:
    record: dict[str, object] = dict(vars(one))
    record["transport_key"], record["receipt_key"] = one.transport_key.hex(), one.receipt_key.hex()
    state = "revoked" if one.revoked_at is not None else "enrolled"
    return {"state": "quarantined" if one.quarantined_at is not None else state, **record}
