"""``steward import``: write a policy folder from the live systems. Reads them, writes only the folder."""

from __future__ import annotations

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
    proxmox_realm: ProxmoxRealm = "keycloak",
    ca_file: CaFile = None,
    owner: Annotated[str, typer.Option(help="The ownership mark; the folder's name by default.")] = "",
) -> None:
    """Write a policy folder that says what is there, in report mode: planning it changes nothing.

    Example:
      steward import policies/prod --keycloak https://sso.example.org/realms/acme \\
        --keycloak-client-id steward-look --keycloak-client-secret-file look.secret
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ControllerError(f"{folder} is not empty; nothing was written", hint="name a folder that is")
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
    made = _imported(reaching, owner or folder.resolve().name, proxmox_realm)
    _check(made)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.files.items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(str(folder / name))
    for line in made.left_out[:_MOST]:
        typer.echo(f"left out: {line}", err=True)
    if len(made.left_out) > _MOST:
        typer.echo(f"left out: and {len(made.left_out) - _MOST} more", err=True)
    typer.echo(
        f"next: steward plan {folder} (controller.yaml needs owners: [{owner or folder.resolve().name}])"
    )


def _imported(reaching: Reaching, owner: str, proxmox_realm: str) -> Imported:
    from controller.app import Controller
    from controller.config import Configuration
    from controller.importing import RealmReading, imported
    from controller.readings import read_cluster, read_realm

    cluster = None
    people = None
    with Controller(Configuration.of(reaching.settings)) as controller:
        if reaching.keycloak_url:
            people = RealmReading(*read_realm(controller.keycloak_reader(reaching.realm_name)))
        for name in controller.configuration.proxmox:
            cluster = read_cluster(controller.proxmox_reader(name))
    return imported(owner, people, cluster, proxmox_realm=proxmox_realm)


def _check(made: Imported) -> None:
    """What we write we can read. Raises PolicyErrors before anything is written."""
    from controller.policy.parse import parse

    parse({name: text.encode() for name, text in made.files.items()}, "")
