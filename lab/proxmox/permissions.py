"""Who may do what where: the evaluation of the access control list.

The deepest path level with an applicable entry wins and nothing is added from above; within a level a
user's own entry beats all group entries, groups add up, a token has only its own entries; NoAccess in the
winning level gives nothing. Roles held on a pool are added to its members without propagation
(PVE::AccessControl `roles`, PVE::RPCEnvironment `compile_acl_path`). In a result, presence grants and the
value is the propagate flag.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT, Accounts, Entry, split_token
from lab.proxmox.errors import not_permitted
from lab.proxmox.formats import parse_user_name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Permissions", "is_known_path", "normalize_path"]

_NAME = r"[A-Za-z0-9.\-_]+"
_KNOWN_PATH = re.compile(
    rf"/|/access|/access/groups(/{_NAME})?|/access/realm(/{_NAME})?|/nodes(/{_NAME})?"
    rf"|/pool(/{_NAME}){{0,3}}|/sdn|/sdn/controllers(/[A-Za-z0-9_\-]+)?"
    rf"|/sdn/(dns|ipams|prefix-lists|route-maps)(/[A-Za-z0-9]+)?|/sdn/fabrics(/{_NAME})?|/sdn/zones(/{_NAME}){{0,2}}"
    rf"|/sdn/zones/{_NAME}/{_NAME}/[1-9][0-9]{{0,3}}|/storage(/{_NAME})?|/vms|/vms/[1-9][0-9]{{2,}}"
    rf"|/mapping(/{_NAME}){{0,2}}"
)
_ALWAYS_SHOWN = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")
_AREAS = {
    "vms": r"VM\.|Permissions\.Modify",
    "access": r"(User|Group)\.|Permissions\.Modify",
    "storage": r"Datastore\.|Permissions\.Modify",
    "nodes": r"Sys\.|Permissions\.Modify",
    "sdn": r"SDN\.|Permissions\.Modify",
    "dc": r"Sys\.Audit|Sys\.Modify|SDN\.",
    "mapping": r"Mapping\.|Permissions\.Modify",
}
_ALWAYS_WEIGHED = ("/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping")


def normalize_path(path: str) -> str | None:
    """One leading slash, none double, none at the end; None for a path with other characters."""
    if path in {"", "0"}:
        return None
    whole = "/" + re.sub(r"/+", "/", path).strip("/")
    return whole if re.fullmatch(r"[A-Za-z0-9.\-_/]+", whole) else None


def is_known_path(path: str) -> bool:
    """Whether upstream lets an entry be set there."""
    return _KNOWN_PATH.fullmatch(path) is not None


class Permissions:
    """The rights of everybody, as the accounts stand now."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._by_path: dict[str, list[tuple[Entry, int]]] = {}
        for entry, propagate in accounts.acl.items():
            self._by_path.setdefault(entry.path, []).append((entry, propagate))
        self._pool_roles: dict[str, dict[str, set[str]]] = {}
        self._known: dict[tuple[str, str], dict[str, int]] = {}

    def of(self, who: str, path: str) -> dict[str, int]:
        """The privileges of a user or token on a path."""
        key = (who, path)
        if key not in self._known:
            self._known[key] = self._work_out(who, path)
        return self._known[key]

    def check(self, who: str, path: str, privileges: Iterable[str], *, quiet: bool = False) -> bool:
        """Whether `who` holds all of the privileges there; raises the 403 unless `quiet`."""
        held = self.of(who, path)
        for privilege in privileges:
            if privilege not in held:
                if quiet:
                    return False
                raise not_permitted(f"{path}, {privilege}")
        return True

    def check_any(self, who: str, path: str, privileges: Iterable[str], *, quiet: bool = False) -> bool:
        """Whether `who` holds one of the privileges there; raises the 403 unless `quiet`."""
        wanted = tuple(privileges)
        held = self.of(who, path)
        if any(privilege in held for privilege in wanted):
            return True
        if quiet:
            return False
        raise not_permitted(f"{path}, {'|'.join(wanted)}")

    def may_modify(self, who: str, path: str, *, quiet: bool = False) -> bool:
        """Whether `who` may change entries on the path, or put what it names into a pool."""
        wanted = ["Permissions.Modify"]
        for prefix, privilege in (("/storage/", "Datastore"), ("/vms/", "VM"), ("/pool/", "Pool")):
            if path.startswith(prefix):
                wanted.append(f"{privilege}.Allocate")
        return self.check_any(who, path, wanted, quiet=quiet)

    def groups_where(self, who: str, privileges: Iterable[str]) -> set[str]:
        """The groups on which `who` holds one of the privileges."""
        wanted = tuple(privileges)
        return {
            group
            for group in self._accounts.groups
            if self.check_any(who, f"/access/groups/{group}", wanted, quiet=True)
        }

    def effective(self, who: str) -> dict[str, dict[str, int]]:
        """Every path that matters with the privileges held there; paths without any are left out."""
        paths = {*_ALWAYS_SHOWN, *self._accounts.paths()}
        for pool in self._accounts.pools.values():
            paths.update(f"/vms/{vmid}" for vmid in pool.vms)
            paths.update(f"/storage/{storage}" for storage in pool.storage)
        held = {path: self.of(who, path) for path in paths}
        return {path: dict(privileges) for path, privileges in held.items() if privileges}

    def capabilities(self, who: str) -> dict[str, dict[str, int]]:
        """What the web interface may offer: privileges held anywhere, by area (`cap` of a new ticket)."""
        result: dict[str, dict[str, int]] = {area: {} for area in _AREAS}
        for path in {*_ALWAYS_WEIGHED, *self._accounts.paths()}:
            area = path.split("/")[1] or "dc"
            for privilege in self.of(who, path):
                for target in self._areas_of(area, privilege):
                    result[target][privilege] = 1
        return result

    @staticmethod
    def _areas_of(area: str, privilege: str) -> tuple[str, ...]:
        if area == "pool":
            candidates: tuple[str, ...] = ("vms", "storage")
        else:
            candidates = (area,) if area in _AREAS else ()
        return tuple(name for name in candidates if re.match(_AREAS[name], privilege))

    def _work_out(self, who: str, path: str) -> dict[str, int]:
        if who == ROOT:
            return dict.fromkeys(self._accounts.catalogue.privileges, 1)
        token = split_token(who)
        if token is None:
            return {} if isinstance(parse_user_name(who), str) else self._privileges(who, path)
        user, name = token
        if user not in self._accounts.users or name not in self._accounts.users[user].tokens:
            return {}
        of_user = self.of(user, path)
        if not self._accounts.users[user].tokens[name].privsep:
            return of_user
        own = self._privileges(who, path)
        if user == ROOT:
            return own
        return {name: int(bool(of_user[name] and own[name])) for name in own if name in of_user}

    def _privileges(self, who: str, path: str) -> dict[str, int]:
        roles = self._roles(who, path)
        from_pools = self._roles_from_pools(who).get(path, set())
        if from_pools and "NoAccess" not in roles:
            roles = {"NoAccess": 0} if "NoAccess" in from_pools else {**dict.fromkeys(from_pools, 0), **roles}
        held: dict[str, int] = {}
        for role, propagate in roles.items():
            for privilege in self._accounts.privileges_of(role) or ():
                held[privilege] = held.get(privilege) or propagate
        return held

    def _roles_from_pools(self, who: str) -> dict[str, set[str]]:
        if who not in self._pool_roles:
            found: dict[str, set[str]] = {}
            for name, pool in self._accounts.pools.items():
                roles = set(self._roles(who, f"/pool/{name}"))
                members = [f"/vms/{vmid}" for vmid in pool.vms] + [
                    f"/storage/{name}" for name in pool.storage
                ]
                for member in members if roles else ():
                    found.setdefault(member, set()).update(roles)
            self._pool_roles[who] = found
        return self._pool_roles[who]

    def _roles(self, who: str, path: str) -> dict[str, int]:
        parts = [part for part in path.split("/") if part]
        roles: dict[str, int] = {}
        # A path that does not begin with a slash is no absolute one: entries on / do not reach it.
        for depth in range(0 if path.startswith("/") else 1, len(parts) + 1):
            here = "/" + "/".join(parts[:depth])
            roles = self._roles_at(who, here, final=depth == len(parts)) or roles
        return {"NoAccess": roles["NoAccess"]} if "NoAccess" in roles else roles

    def _roles_at(self, who: str, path: str, *, final: bool) -> dict[str, int]:
        own: dict[str, int] = {}
        by_group: dict[str, int] = {}
        for entry, propagate in self._by_path.get(path, ()):
            if not (final or propagate):
                continue
            if entry.type == "group":
                if entry.ugid in self._accounts.groups and who in self._accounts.groups[entry.ugid].users:
                    by_group[entry.roleid] = propagate
            elif entry.ugid == who:
                own[entry.roleid] = propagate
        return own or by_group
