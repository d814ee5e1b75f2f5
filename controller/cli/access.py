"""How to reach systems that controller.yaml does not name: options of ``look`` and ``import``.

Secrets come from files alone (or, in the environment, as the file's name): never as an argument, where every
process of the machine could read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

__all__ = [
    "CaFile",
    "ClientId",
    "ClientSecretFile",
    "KeycloakUrl",
    "KeycloakUser",
    "PasswordFile",
    "ProxmoxRealm",
    "ProxmoxUrl",
    "Reaching",
    "RealmName",
    "TokenFile",
    "TokenId",
]

KeycloakUrl = Annotated[
    str,
    typer.Option(
        "--keycloak", envvar="STEWARD_LOOK_KEYCLOAK", help="Keycloak's address, also …/realms/NAME."
    ),
]
RealmName = Annotated[
    str, typer.Option("--realm", envvar="STEWARD_LOOK_REALM", help="The realm, where the address names none.")
]
KeycloakUser = Annotated[
    str,
    typer.Option(
        "--keycloak-user", envvar="STEWARD_LOOK_KEYCLOAK_USER", help="An admin of the realm master."
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--keycloak-password-file", envvar="STEWARD_LOOK_KEYCLOAK_PASSWORD_FILE", help="Their password."
    ),
]
ClientId = Annotated[
    str,
    typer.Option(
        "--keycloak-client-id",
        envvar="STEWARD_LOOK_KEYCLOAK_CLIENT_ID",
        help="A service account of the realm.",
    ),
]
ClientSecretFile = Annotated[
    Path | None,
    typer.Option(
        "--keycloak-client-secret-file", envvar="STEWARD_LOOK_KEYCLOAK_CLIENT_SECRET_FILE", help="Its secret."
    ),
]
ProxmoxUrl = Annotated[
    str,
    typer.Option("--proxmox", envvar="STEWARD_LOOK_PROXMOX", help="Proxmox VE's address, https://HOST:8006."),
]
TokenId = Annotated[
    str,
    typer.Option("--proxmox-token-id", envvar="STEWARD_LOOK_PROXMOX_TOKEN_ID", help="USER@REALM!NAME."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--proxmox-token-file", envvar="STEWARD_LOOK_PROXMOX_TOKEN_FILE", help="The token's value."),
]
ProxmoxRealm = Annotated[
    str,
    typer.Option(
        "--proxmox-realm",
        envvar="STEWARD_LOOK_PROXMOX_REALM",
        help="The realm that people log in through there.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", envvar="STEWARD_LOOK_CA_FILE", help="The only authority that is trusted."),
]


@dataclass(frozen=True)
class Reaching:
    """What the options said, checked to be complete. Raises typer.BadParameter otherwise."""

    keycloak_url: str = ""
    realm: str = ""
    user: str = ""
    password_file: Path | None = None
    client_id: str = ""
    client_secret_file: Path | None = None
    proxmox_url: str = ""
    token_id: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.keycloak_url and not self.proxmox_url:
            raise typer.BadParameter("name --keycloak, --proxmox, or both")
        if self.keycloak_url and not self.realm_name:
            raise typer.BadParameter("say which realm: --realm NAME")
        has_user, has_client = self.user and self.password_file, self.client_id and self.client_secret_file
        if self.keycloak_url and bool(has_user) == bool(has_client):
            raise typer.BadParameter(
                "--keycloak needs --keycloak-user and --keycloak-password-file,"
                " or --keycloak-client-id and --keycloak-client-secret-file"
            )
        if self.proxmox_url and not (self.token_id and self.token_file):
            raise typer.BadParameter("--proxmox needs --proxmox-token-id and --proxmox-token-file")

    @property
    def realm_name(self) -> str:
        """The realm: said outright, or the last part of the address."""
        before, found, named = self.keycloak_url.partition("/realms/")
        return self.realm or (named.strip("/") if found and before else "")

    @property
    def base_url(self) -> str:
        """Keycloak's address without the realm."""
        return self.keycloak_url.partition("/realms/")[0]

    @property
    def settings(self) -> dict[str, object]:
        """The same as a part of controller.yaml; paths are made absolute."""
        keycloak: dict[str, object] = {"url": self.base_url, **self._account(), **self._ca()}
        cluster = (urlsplit(self.proxmox_url).hostname or "proxmox").split(".")[0]
        proxmox = {
            "url": self.proxmox_url,
            "token_id": self.token_id,
            "token_secret_file": _absolute(self.token_file),
            **self._ca(),
        }
        return {
            **({"keycloak": keycloak} if self.keycloak_url else {}),
            **({"proxmox": {cluster: proxmox}} if self.proxmox_url else {}),
        }

    def _account(self) -> dict[str, object]:
        if self.user:
            return {"username": self.user, "password_file": _absolute(self.password_file)}
        return {
            "auth_realm": self.realm_name,
            "client_id": self.client_id,
            "client_secret_file": _absolute(self.client_secret_file),
        }

    def _ca(self) -> dict[str, object]:
        return {} if self.ca_file is None else {"ca_file": _absolute(self.ca_file)}


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
