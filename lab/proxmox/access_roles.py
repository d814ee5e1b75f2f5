"""/access/roles (pve-access-control:src/PVE/API2/Role.pm)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, while_locked, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import boolean, text

if TYPE_CHECKING:
    from lab.proxmox.accounts import Accounts

__all__ = ["METHODS"]

_ROLE_ID = text("roleid")
_FIELDS = {"roleid": _ROLE_ID, "privs": text("priv", optional=True, listed=True)}
_MANAGE = OnPath("/access", ("Sys.Modify",))


def list_roles(call: Call) -> object:
    """All roles, the built-in ones marked `special`."""
    accounts = call.center.accounts
    return [
        {
            "roleid": name,
            "privs": ",".join(sorted(accounts.privileges_of(name) or ())),
            "special": int(name in accounts.catalogue.roles),
        }
        for name in accounts.role_names()
    ]


def read_role(call: Call) -> object:
    """The privileges of one role."""
    name = call.params["roleid"]
    privileges = call.center.accounts.privileges_of(name)
    if privileges is None:
        raise ApiError(f"role '{name}' does not exist\n")
    return dict.fromkeys(privileges, 1)


def create_role(call: Call) -> object:
    """Create a role; names that start with PVE in any case are upstream's own."""
    name, accounts = call.params["roleid"], call.center.accounts
    if name.upper().startswith("PVE"):
        raise wrong_parameters(
            {"roleid": "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"}
        )
    with while_locked("create role failed"):
        if accounts.privileges_of(name) is not None:
            raise ApiError(f"role '{name}' already exists\n")
        accounts.roles[name] = set(split_list(call.params.get("privs", "")))
        accounts.settle()
    return None


def update_role(call: Call) -> object:
    """Replace the privileges, or add to them with `append`; without `privs` the role is emptied."""
    accounts = call.center.accounts
    _refuse_built_in(call, "modified")
    with while_locked("update role failed"):
        role = _own_role(accounts, call.params["roleid"])
        if not call.flag("append"):
            role.clear()
        role.update(split_list(call.params.get("privs", "")))
        accounts.settle()
    return None


def delete_role(call: Call) -> object:
    """Delete a role; entries that name it vanish."""
    accounts = call.center.accounts
    _refuse_built_in(call, "deleted")
    with while_locked("delete role failed"):
        _own_role(accounts, call.params["roleid"])
        del accounts.roles[call.params["roleid"]]
        accounts.settle()
    return None


def _refuse_built_in(call: Call, done: str) -> None:
    name = call.params["roleid"]
    if name in call.center.accounts.catalogue.roles:
        raise ApiError(f"auto-generated role '{name}' cannot be {done}\n")


def _own_role(accounts: Accounts, name: str) -> set[str]:
    if name not in accounts.roles:
        raise ApiError(f"role '{name}' does not exist\n")
    return accounts.roles[name]


METHODS = (
    Method("GET", "/access/roles", list_roles, open_to="all"),
    Method("POST", "/access/roles", create_role, _FIELDS, _MANAGE),
    Method("GET", "/access/roles/{roleid}", read_role, {"roleid": _ROLE_ID}, open_to="all"),
    Method(
        "PUT",
        "/access/roles/{roleid}",
        update_role,
        {**_FIELDS, "append": boolean(requires="privs")},
        _MANAGE,
    ),
    Method("DELETE", "/access/roles/{roleid}", delete_role, {"roleid": _ROLE_ID}, _MANAGE),
)
