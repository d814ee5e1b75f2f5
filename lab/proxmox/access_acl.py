"""/access/acl and /access/permissions (pve-access-control:src/PVE/API2/ACL.pm, API2/AccessControl.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.accounts import Accounts, Entry, split_token
from lab.proxmox.checks import MayModify
from lab.proxmox.errors import ApiError, while_locked, wrong_parameters
from lab.proxmox.formats import USER_OR_TOKEN, split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.permissions import is_known_path, normalize_path
from lab.proxmox.schema import Field, boolean, text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["METHODS"]

_NEEDED = "requires 'Permissions.Modify'"
_HOLDERS = ("users", "groups", "tokens")


def list_entries(call: Call) -> object:
    """The entries that the caller may see: all with Sys.Audit on /access, else those it could change."""
    sees_all = call.rights.check(call.who, "/access", ("Sys.Audit",), quiet=True)
    return [
        {
            "path": entry.path,
            "type": entry.type,
            "ugid": entry.ugid,
            "roleid": entry.roleid,
            "propagate": propagate,
        }
        for entry, propagate in call.center.accounts.acl.items()
        if sees_all or call.rights.may_modify(call.who, entry.path, quiet=True)
    ]


def change_entries(call: Call) -> object:
    """Set or delete entries; doing it twice is no error."""
    params, accounts = call.params, call.center.accounts
    if not any(params.get(name) for name in _HOLDERS):
        raise wrong_parameters(dict.fromkeys(_HOLDERS, "either 'users', 'groups' or 'tokens' is required."))
    path = normalize_path(params["path"])
    if path is None or not (call.flag("delete") or is_known_path(path)):
        raise wrong_parameters({"path": f"invalid ACL path '{params['path']}'"})
    with while_locked("ACL update failed"):
        entries = list(_named_entries(call, path))
        for entry in entries:
            if call.flag("delete"):
                accounts.acl.pop(entry, None)
            else:
                accounts.acl[entry] = int(params.get("propagate", "1"))
        accounts.settle()
    return None


def _named_entries(call: Call, path: str) -> Iterator[Entry]:
    params, accounts = call.params, call.center.accounts
    for role in split_list(params["roles"]):
        if accounts.privileges_of(role) is None:
            raise ApiError(f"role '{role}' does not exist\n")
        _refuse_raised_rights(call, path, role)
        for group in split_list(params.get("groups", "")):
            if group not in accounts.groups:
                raise ApiError(f"group '{group}' does not exist\n")
            yield Entry(path, "group", group, role)
        for user in split_list(params.get("users", "")):
            if user not in accounts.users:
                raise ApiError(f"user '{user}' does not exist\n")
            yield Entry(path, "user", user, role)
        for token in split_list(params.get("tokens", "")):
            _require_token(accounts, token)
            yield Entry(path, "token", token, role)


def _require_token(accounts: Accounts, full: str) -> None:
    user, _, name = full.partition("!")
    accounts.token(user, name)


def _refuse_raised_rights(call: Call, path: str, role: str) -> None:
    """Who lacks Permissions.Modify hands out, and takes away, only roles whose privileges they hold there."""
    held = call.rights.of(call.who, path)
    if "Permissions.Modify" in held:
        return
    removing = call.flag("delete")
    subject = f"Cannot {'remove' if removing else 'add'} role '{role}'"
    propagate = call.params.get("propagate", "1") == "1"
    for privilege in sorted(call.center.accounts.privileges_of(role) or ()):
        if privilege not in held:
            raise wrong_parameters({"role": f"{subject} - {_NEEDED} or superset of privileges."})
        if propagate and not removing and not held[privilege]:
            raise wrong_parameters(
                {"role": f"{subject} with propagation - {_NEEDED} or propagated superset of privileges."}
            )
    if role == "NoAccess":
        raise wrong_parameters({"role": f"{subject} - {_NEEDED}"})


def show_permissions(call: Call) -> object:
    """Effective rights of the caller, of its own tokens, or with Sys.Audit on /access of anybody."""
    who = call.params.get("userid", call.who)
    token = split_token(who)
    owner = token[0] if token else who
    if call.who not in {who, owner}:
        call.rights.check(call.who, "/access", ("Sys.Audit",))
    path = call.params.get("path")
    return {path: dict(call.rights.of(who, path))} if path else call.rights.effective(who)


METHODS = (
    Method("GET", "/access/acl", list_entries, open_to="all"),
    Method(
        "PUT",
        "/access/acl",
        change_entries,
        {
            "path": text(),
            "roles": text("roleid", listed=True),
            "users": text("userid", listed=True, optional=True),
            "groups": text("groupid", listed=True, optional=True),
            "tokens": text("tokenid", listed=True, optional=True),
            "propagate": boolean(),
            "delete": boolean(),
        },
        MayModify("{path}"),
    ),
    Method(
        "GET",
        "/access/permissions",
        show_permissions,
        {"userid": Field(optional=True, pattern=USER_OR_TOKEN), "path": text(optional=True)},
        open_to="all",
    ),
)
