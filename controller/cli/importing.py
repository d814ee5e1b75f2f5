"""``steward import``: write a policy folder from the live systems. Reads them, writes only the folder."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.access import (
    CaFile,
    ClientId,
    ClientSecretFile,
    KeycloakUrl,
    KeycloakUser,
    PasswordFile,
    ProxmoxRealm,
    ProxmoxUrl,
    Reaching,
    RealmName,
    TokenFile,
    TokenId,
)
from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.app import Controller
    from controller.config import Configuration
    from controller.importing import Imported

__all__ = ["import_"]

_MOST = 20


def import_(
    folder: Annotated[Path, typer.Argument(help="Where to write; must be empty or not there.")],
    keycloak: KeycloakUrl = "",
    realm: RealmName = "",
    keycloak_user: KeycloakUser = "",
    keycloak_password_file: PasswordFile = None,
    keycloak_client_id: ClientId = "",
    keycloak_client_secret_file: ClientSecretFile = None,
    proxmox: ProxmoxUrl = "",
    proxmox_token_id: TokenId = "",
    proxmox_token_file: TokenFile = None,
    proxmox_realm: ProxmoxRealm = "",
    ca_file: CaFile = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Take the systems, all of them, from a controller.yaml."),
    ] = None,
    owner: Annotated[str, typer.Option(help="The ownership mark; the folder's name by default.")] = "",
) -> None:
    """Write a policy folder that says what is there, in report mode: planning it changes nothing.

    Secrets are neither read nor written. What no policy can say stands in comments, with the reason.
    Where the realm has identity providers, people's accounts there are a request for each person.

    Example:
      steward import policies/prod --keycloak https://sso.example.org/realms/acme \\
        --keycloak-client-id steward-look --keycloak-client-secret-file look.secret
      steward import policies/prod -c controller.yaml --realm acme
    """
    from controller.config import Configuration

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ControllerError(f"{folder} is not empty; nothing was written", hint="name a folder that is")
    if config is not None:
        configuration = Configuration.load(config, os.environ)
        if configuration.keycloak is not None and not realm:
            raise typer.BadParameter("say which realm: --realm NAME")
    else:
        reaching = Reaching(
            keycloak,
            realm,
            keycloak_user,
            keycloak_password_file,
            keycloak_client_id,
            keycloak_client_secret_file,
            proxmox,
            proxmox_token_id,
            proxmox_token_file,
            ca_file,
        )
        configuration, realm = Configuration.of(reaching.settings), reaching.realm_name
    mark = owner or folder.resolve().name
    made = _imported(configuration, mark, realm, proxmox_realm)
    _check(made)
    _write(folder, made)
    known = mark in configuration.owners
    needs = "" if known else f" (controller.yaml needs owners: [{mark}])"
    typer.echo(f"next: steward plan {folder}{needs}")


def _imported(configuration: Configuration, owner: str, realm: str, proxmox_realm: str) -> Imported:
    """The systems are read side by side, each by its own controller: its clients are one thread's."""
    from controller.app import Controller
    from controller.importing import imported, read_cluster_world, read_keycloak_world

    with ExitStack() as opened:

        def reader() -> Controller:
            return opened.enter_context(Controller(configuration))

        with ThreadPoolExecutor(8, thread_name_prefix="import") as pool:
            people, issuer = None, ""
            if configuration.keycloak is not None:
                keycloak = reader()
                issuer = keycloak.issuer(realm)
                people = pool.submit(read_keycloak_world, keycloak.keycloak_reader(realm), _tell_links)
            clusters = [
                pool.submit(
                    read_cluster_world, reader().proxmox_reader(name), name, proxmox_realm or settings.realm
                )
                for name, settings in configuration.proxmox.items()
            ]
            world = people.result() if people is not None else None
            return imported(owner, world, [cluster.result() for cluster in clusters], issuer=issuer)


def _tell_links(done: int, people: int) -> None:
    """One line that is written over, for somebody who waits at a terminal."""
    if sys.stderr.isatty():
        ended = done == people
        typer.echo(f"\raccounts at identity providers: {done} of {people} people", err=True, nl=ended)


def _write(folder: Path, made: Imported) -> None:
    from controller.editing.files import replace

    for name, text in made.files.items():
        replace(folder / name, text, None, str(folder / name))
        typer.echo(str(folder / name))
    for line in made.left_out[:_MOST]:
        typer.echo(f"left out: {line}", err=True)
    if len(made.left_out) > _MOST:
        typer.echo(f"left out: and {len(made.left_out) - _MOST} more; each stands in a comment", err=True)


def _check(made: Imported) -> None:
    """What we write we can read. Raises PolicyErrors before anything is written."""
    from controller.policy.parse import parse

    parse({name: text.encode() for name, text in made.files.items()}, "")
