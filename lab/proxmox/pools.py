"""/pools (pve-manager:PVE/API2/Pool.pm); `/pools/{poolid}` is the older form and knows no nested pools."""

from __future__ import annotations

from lab.proxmox.accounts import Pool, is_true
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, while_locked
from lab.proxmox.formats import split_list
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, boolean, text
from lab.proxmox.statistics import storage_row, vm_row

__all__ = ["METHODS"]

_POOL_ID = text("poolid")
_COMMENT = text(optional=True)
_CHANGES = {
    "poolid": _POOL_ID,
    "comment": _COMMENT,
    "vms": text("vmid", listed=True, optional=True),
    "storage": text("storageid", listed=True, optional=True),
    "allow-move": boolean(),
    "delete": boolean(),
}
_MEMBER_TYPE = Field(optional=True, enum=("qemu", "lxc", "storage"))
_MANAGE = OnPath("/pool/{poolid}", ("Pool.Allocate",))


def list_pools(call: Call) -> object:
    """The pools that the caller may see; with `poolid` that one, with its members."""
    if "poolid" in call.params:
        call.rights.check(call.who, f"/pool/{call.params['poolid']}", ("Pool.Audit",))
        return [_described(call)]
    return [
        {"poolid": name, **({"comment": pool.comment} if pool.comment is not None else {})}
        for name, pool in sorted(call.center.accounts.pools.items())
        if call.rights.check(call.who, f"/pool/{name}", ("Pool.Audit",), quiet=True)
    ]


def read_pool(call: Call) -> object:
    """One pool with its members."""
    return _described(call)


def _described(call: Call) -> dict[str, object]:
    pool, wanted, environment = _find(call), call.params.get("type"), call.center.environment
    guests = [environment.guests[vmid] for vmid in sorted(pool.vms) if vmid in environment.guests]
    members = [vm_row(call.center, guest) for guest in guests if wanted in {None, guest.type}]
    if wanted in {None, "storage"}:
        for name in sorted(pool.storage & environment.storages.keys()):
            storage = environment.storages[name]
            local = call.center.local_node
            node = local if not storage.nodes or local in storage.nodes else sorted(storage.nodes)[0]
            members.append(storage_row(call.center, storage, node))
    comment = {"comment": pool.comment} if pool.comment is not None else {}
    return {"poolid": call.params["poolid"], "members": members, **comment}


def create_pool(call: Call) -> object:
    """Create a pool; the parent of a nested one must exist."""
    name, pools = call.params["poolid"], call.center.accounts.pools
    with while_locked("create pool failed"):
        if not name[0].isalpha():
            raise ApiError("pool name must start with a letter\n")
        if name in pools:
            raise ApiError(f"pool '{name}' already exists\n")
        parent = name.rpartition("/")[0]
        if parent and parent not in pools:
            raise ApiError(f"parent '{parent}' of pool '{name}' does not exist\n")
        comment = call.params.get("comment")
        pools[name] = Pool(comment=comment if is_true(comment) else None)
        call.center.accounts.settle()
    return None


def update_pool(call: Call) -> object:
    """Change the comment, add members, or remove them with `delete`."""
    with while_locked("update pools failed"):
        pool = _find(call)
        # Nothing of a change that fails half way is kept: the file is written once, at the end.
        changed = Pool(call.params.get("comment", pool.comment), set(pool.vms), set(pool.storage))
        moved = [
            (vmid, previous)
            for vmid in map(int, split_list(call.params.get("vms", "")))
            if (previous := _change_guest(call, changed, vmid)) is not None
        ]
        for name in split_list(call.params.get("storage", "")):
            _change_storage(call, changed, name)
        for vmid, previous in moved:
            call.center.accounts.pools[previous].vms.discard(vmid)
        call.center.accounts.pools[call.params["poolid"]] = changed
        call.center.accounts.settle()
    return None


def _change_guest(call: Call, pool: Pool, vmid: int) -> str | None:
    """Add or remove one guest; gives the pool that it leaves."""
    call.rights.may_modify(call.who, f"/vms/{vmid}")
    if call.flag("delete"):
        if vmid not in pool.vms:
            raise ApiError(f"VM {vmid} is not a pool member\n")
        pool.vms.remove(vmid)
        return None
    if vmid in pool.vms:
        raise ApiError(f"VM {vmid} is already a pool member\n")
    previous = call.center.accounts.pool_of(vmid)
    if previous is not None:
        if not call.flag("allow-move"):
            raise ApiError(f"VM {vmid} belongs already to pool '{previous}' and 'allow-move' is not set\n")
        call.rights.check(call.who, f"/pool/{previous}", ("Pool.Allocate",))
    pool.vms.add(vmid)
    return previous


def _change_storage(call: Call, pool: Pool, name: str) -> None:
    call.rights.may_modify(call.who, f"/storage/{name}")
    if call.flag("delete"):
        if name not in pool.storage:
            raise ApiError(f"Storage '{name}' is not a pool member\n")
        pool.storage.remove(name)
        return
    if name in pool.storage:
        raise ApiError(f"Storage '{name}' is already a pool member\n")
    pool.storage.add(name)


def delete_pool(call: Call) -> object:
    """Delete an empty pool with the entries on it; guests and storages that no longer exist do not count."""
    name, accounts, environment = call.params["poolid"], call.center.accounts, call.center.environment
    with while_locked("delete pool failed"):
        pool = _find(call)
        inside = [f"pool '{other}'" for other in sorted(accounts.pools) if other.startswith(f"{name}/")]
        inside += [f"VM {vmid}" for vmid in sorted(pool.vms, key=str) if vmid in environment.guests]
        inside += [f"storage '{storage}'" for storage in sorted(pool.storage & environment.storages.keys())]
        if inside:
            raise ApiError(f"pool '{name}' is not empty (contains {inside[0]})\n")
        del accounts.pools[name]
        for entry in [entry for entry in accounts.acl if entry.path == f"/pool/{name}"]:
            del accounts.acl[entry]
        accounts.settle()
    return None


def _find(call: Call) -> Pool:
    name = call.params["poolid"]
    if name not in call.center.accounts.pools:
        raise ApiError(f"pool '{name}' does not exist\n")
    return call.center.accounts.pools[name]


METHODS = (
    Method(
        "GET",
        "/pools",
        list_pools,
        {"poolid": _POOL_ID.maybe(), "type": Field(optional=True, enum=_MEMBER_TYPE.enum, requires="poolid")},
        open_to="all",
    ),
    Method("POST", "/pools", create_pool, {"poolid": _POOL_ID, "comment": _COMMENT}, _MANAGE),
    Method("PUT", "/pools", update_pool, _CHANGES, _MANAGE),
    Method("DELETE", "/pools", delete_pool, {"poolid": _POOL_ID}, _MANAGE),
    Method(
        "GET",
        "/pools/{poolid}",
        read_pool,
        {"poolid": _POOL_ID, "type": _MEMBER_TYPE},
        OnPath("/pool/{poolid}", ("Pool.Audit",)),
    ),
    Method("PUT", "/pools/{poolid}", update_pool, _CHANGES, _MANAGE),
    Method("DELETE", "/pools/{poolid}", delete_pool, {"poolid": _POOL_ID}, _MANAGE),
)
