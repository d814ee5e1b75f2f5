"""/access/groups (pve-access-control:src/PVE/API2/Group.pm)."""

from __future__ import annotations

from lab.proxmox.accounts import Group, is_true
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, while_locked
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import text

__all__ = ["METHODS"]

_GROUP_ID = text("groupid")
_FIELDS = {"groupid": _GROUP_ID, "comment": text(optional=True)}
_READERS = ("User.Modify", "Sys.Audit", "Group.Allocate")
_MANAGE = OnPath("/access/groups", ("Group.Allocate",))


def list_groups(call: Call) -> object:
    """The groups that the caller may see, members as one comma list."""
    rows = []
    for name in sorted(call.rights.groups_where(call.who, _READERS)):
        group = call.center.accounts.groups[name]
        row: dict[str, object] = {"groupid": name, "users": ",".join(sorted(group.users))}
        if group.comment is not None:
            row["comment"] = group.comment
        rows.append(row)
    return rows


def read_group(call: Call) -> object:
    """One group with its members as a list."""
    group = _find(call)
    shown: dict[str, object] = {"members": sorted(group.users)}
    if group.comment is not None:
        shown["comment"] = group.comment
    return shown


def create_group(call: Call) -> object:
    """Create an empty group."""
    name, groups = call.params["groupid"], call.center.accounts.groups
    with while_locked("create group failed"):
        if name in groups:
            raise ApiError(f"group '{name}' already exists\n")
        comment = call.params.get("comment")
        groups[name] = Group(comment=comment if is_true(comment) else None)
        call.center.accounts.settle()
    return None


def update_group(call: Call) -> object:
    """Change the comment."""
    with while_locked("update group failed"):
        group = _find(call)
        if "comment" in call.params:
            group.comment = call.params["comment"]
        call.center.accounts.settle()
    return None


def delete_group(call: Call) -> object:
    """Delete a group with its access control entries; its members stay."""
    name, accounts = call.params["groupid"], call.center.accounts
    with while_locked("delete group failed"):
        _find(call)
        del accounts.groups[name]
        for entry in [entry for entry in accounts.acl if entry.type == "group" and entry.ugid == name]:
            del accounts.acl[entry]
        accounts.settle()
    return None


def _find(call: Call) -> Group:
    name = call.params["groupid"]
    if name not in call.center.accounts.groups:
        raise ApiError(f"group '{name}' does not exist\n")
    return call.center.accounts.groups[name]


METHODS = (
    Method("GET", "/access/groups", list_groups, open_to="all"),
    Method("POST", "/access/groups", create_group, _FIELDS, _MANAGE),
    Method(
        "GET",
        "/access/groups/{groupid}",
        read_group,
        {"groupid": _GROUP_ID},
        OnPath("/access/groups", ("Sys.Audit", "Group.Allocate"), any_of=True),
    ),
    Method("PUT", "/access/groups/{groupid}", update_group, _FIELDS, _MANAGE),
    Method("DELETE", "/access/groups/{groupid}", delete_group, {"groupid": _GROUP_ID}, _MANAGE),
)
