"""Proxmox VE as the controller alters it: one method for each kind of write.

Beside what reading raises, every method may raise `OutcomeUnknown` (sent, and no answer came) and
`TerminalError`; what else it raises stands in its docstring. A write is sent once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.clients.proxmox import ProxmoxReader
from controller.clients.proxmox_connection import ProxmoxConnection
from controller.clients.proxmox_power import PowerSwitch
from controller.clients.proxmox_wire import CreatedToken, converted
from controller.proxmox_values import RealmPatch

if TYPE_CHECKING:
    from controller.clients.proxmox_connection import ProxmoxLogin
    from controller.proxmox_values import (
        ProxmoxEntry,
        ProxmoxOpenId,
        ProxmoxPool,
        ProxmoxRole,
        ProxmoxToken,
        ProxmoxUser,
        TokenPatch,
        UserPatch,
    )
    from controller.secret_sources import SecretSources

__all__ = ["ProxmoxWriter"]


class ProxmoxWriter(ProxmoxReader):
    """Reads and alters one cluster."""

    def __init__(
        self, login: ProxmoxLogin, *, cluster: str = "", secrets: SecretSources | None = None
    ) -> None:
        self._connection = ProxmoxConnection(login)
        super().__init__(login, cluster=cluster, secrets=secrets, reads=self._connection)
        self.switch = PowerSwitch(self._connection, login.token_id)
        """Starts and stops guests."""

    def create_role(self, role: ProxmoxRole) -> None:
        """Create a role. Raises `Conflict` where the name is taken."""
        self._connection.post("access", "roles", roleid=role.name, privs=",".join(role.privileges))

    def set_role(self, role: ProxmoxRole) -> None:
        """Give a role exactly these privileges. Raises `NotThere`."""
        self._connection.put("access", "roles", role.name, privs=",".join(role.privileges))

    def delete_role(self, name: str) -> None:
        """Delete a role; entries that name it vanish. Raises `NotThere`."""
        self._connection.delete("access", "roles", name)

    def create_user(self, user: ProxmoxUser) -> None:
        """Create a user without a password; the groups must exist. Raises `Conflict`, `TerminalError`."""
        self._connection.post("access", "users", userid=user.userid, **_user_form(user))

    def update_user(self, userid: str, patch: UserPatch) -> None:
        """Change what the patch holds. Raises `NotThere`."""
        self._connection.put("access", "users", userid, **_patch_form(patch))

    def delete_user(self, userid: str) -> None:
        """Delete a user with memberships, entries and tokens. Raises `NotThere`."""
        self._connection.delete("access", "users", userid)

    def create_group(self, name: str, *, comment: str = "") -> None:
        """Create an empty group. Raises `Conflict`."""
        self._connection.post("access", "groups", groupid=name, comment=comment)

    def update_group(self, name: str, *, comment: str) -> None:
        """Change a group's comment. Raises `NotThere`."""
        self._connection.put("access", "groups", name, comment=comment)

    def delete_group(self, name: str) -> None:
        """Delete a group with its entries. Raises `NotThere`."""
        self._connection.delete("access", "groups", name)

    def set_entry(self, entry: ProxmoxEntry) -> None:
        """Set an entry; one that differs only in `propagate` is replaced. Raises `NotThere`."""
        self._connection.put("access", "acl", **_entry_form(entry), propagate=str(int(entry.propagate)))

    def delete_entry(self, entry: ProxmoxEntry) -> None:
        """Delete an entry; one that is not there is no error."""
        self._connection.put("access", "acl", **_entry_form(entry), delete="1")

    def create_realm(self, realm: ProxmoxOpenId) -> None:
        """Create an OpenID realm. Raises `Conflict`."""
        claim = {"username-claim": realm.username_claim} if realm.username_claim else {}
        settings = RealmPatch(
            realm.issuer_url,
            realm.client_id,
            realm.client_key or None,
            realm.autocreate,
            realm.default,
            realm.comment,
        )
        form = _realm_patch_form(settings)
        self._connection.post("access", "domains", realm=realm.name, type="openid", **claim, **form)

    def update_realm(self, name: str, patch: RealmPatch, *, digest: str) -> None:
        """Change what the patch holds. Raises `Conflict` where any realm changed since `digest` was read."""
        self._connection.put("access", "domains", name, **_realm_patch_form(patch), digest=digest)

    def delete_realm(self, name: str) -> None:
        """Delete a realm; its users stay. Raises `NotThere`."""
        self._connection.delete("access", "domains", name)

    def create_pool(self, pool: ProxmoxPool) -> None:
        """Create an empty pool. Raises `Conflict`."""
        self._connection.post("pools", poolid=pool.name, comment=pool.comment)

    def update_pool(self, pool: ProxmoxPool) -> None:
        """Change a pool's comment; its members stay. Raises `NotThere`."""
        self._connection.put("pools", poolid=pool.name, comment=pool.comment)

    def delete_pool(self, name: str) -> None:
        """Delete an empty pool with its entries. Raises `NotThere`; `TerminalError` for one with members."""
        self._connection.delete("pools", poolid=name)

    def create_token(self, userid: str, token: ProxmoxToken) -> str:
        """Create a token; its secret, which nobody can read again. Raises `Conflict`, `NotThere`."""
        answer = self._connection.post(
            *("access", "users", userid, "token", token.name),
            privsep=str(int(token.separated)),
            expire=str(token.expire),
            comment=token.comment,
        )
        return converted(answer, CreatedToken, f"POST /access/users/{userid}/token/{token.name}").value

    def update_token(self, userid: str, name: str, patch: TokenPatch) -> None:
        """Change what the patch holds; the secret stays. Raises `NotThere`."""
        form = {
            "privsep": None if patch.separated is None else str(int(patch.separated)),
            "expire": None if patch.expire is None else str(patch.expire),
            "comment": patch.comment,
        }
        given = {field: value for field, value in form.items() if value is not None}
        self._connection.put("access", "users", userid, "token", name, **given)

    def delete_token(self, userid: str, name: str) -> None:
        """Delete a token with its entries. Raises `NotThere`."""
        self._connection.delete("access", "users", userid, "token", name)


def _entry_form(entry: ProxmoxEntry) -> dict[str, str]:
    return {"path": entry.path, "roles": entry.role, f"{entry.kind}s": entry.holder}


def _realm_patch_form(patch: RealmPatch) -> dict[str, str]:
    form = {
        "issuer-url": patch.issuer_url,
        "client-id": patch.client_id,
        "client-key": patch.client_key or None,
        "autocreate": None if patch.autocreate is None else str(int(patch.autocreate)),
        "default": None if patch.default is None else str(int(patch.default)),
        "comment": patch.comment,
        "delete": "client-key" if patch.client_key == "" else None,
    }
    return {name: value for name, value in form.items() if value is not None}


def _user_form(user: ProxmoxUser) -> dict[str, str]:
    form = {
        "firstname": user.first_name,
        "lastname": user.last_name,
        "email": user.email,
        "comment": user.comment,
        "groups": ",".join(user.groups),
    }
    given = {name: value for name, value in form.items() if value}
    return {**given, "enable": str(int(user.enabled)), "expire": str(user.expire)}


def _patch_form(patch: UserPatch) -> dict[str, str]:
    form = {
        "enable": None if patch.enabled is None else str(int(patch.enabled)),
        "expire": None if patch.expire is None else str(patch.expire),
        "firstname": patch.first_name,
        "lastname": patch.last_name,
        "email": patch.email,
        "comment": patch.comment,
        "groups": None if patch.groups is None else ",".join(patch.groups),
    }
    return {name: value for name, value in form.items() if value is not None}
