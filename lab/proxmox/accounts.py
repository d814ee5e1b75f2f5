"""Users, groups, roles, access control list and pools: what upstream keeps in user.cfg.

Upstream rewrites that file whole after each change and reads it again, and reading is not the inverse of
writing: blanks at the ends of a text vanish, a column left of a filled one comes back as an empty string,
entries that name an unknown role or token are dropped. `Accounts.settle` does to the values what that round
trip does (PVE::AccessControl `write_user_config`, `parse_user_config`); every change ends with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lab.proxmox.errors import ApiError
from lab.proxmox.formats import parse_user_name
from lab.proxmox.privileges import NINE, Catalogue

__all__ = ["ROOT", "Accounts", "Entry", "Group", "Pool", "Token", "User", "is_true", "split_token"]

ROOT = "root@pam"


def is_true(value: object) -> bool:
    """Truth as Perl sees it: nothing, the empty text and zero are false."""
    return value not in (None, "", "0", 0)


def split_token(who: str) -> tuple[str, str] | None:
    """(user, token) of `name@realm!token`, or None for a plain user."""
    user, mark, token = who.partition("!")
    return (user, token) if mark else None


@dataclass
class Token:
    """An API token; with `privsep` it has at most its own rights, without it those of its user."""

    privsep: int | str = 1
    expire: int | str | None = None
    comment: str | None = None

    def info(self) -> dict[str, object]:
        """The fields that upstream shows."""
        shown = {"privsep": self.privsep, "expire": self.expire, "comment": self.comment}
        return {name: value for name, value in shown.items() if value is not None}


@dataclass
class User:
    """A user; None stands for a column that the file does not have."""

    enable: int | str = 1
    expire: int | str | None = None
    firstname: str | None = None
    lastname: str | None = None
    email: str | None = None
    comment: str | None = None
    keys: str | None = None
    tokens: dict[str, Token] = field(default_factory=dict)


@dataclass
class Group:
    """A group of users."""

    comment: str | None = None
    users: set[str] = field(default_factory=set)


@dataclass
class Pool:
    """A pool of guests and storages; nested pools have a slash in their name."""

    comment: str | None = None
    vms: set[int] = field(default_factory=set)
    storage: set[str] = field(default_factory=set)


class Entry(NamedTuple):
    """The key of an entry of the access control list; its value is the propagate flag."""

    path: str
    type: Literal["user", "group", "token"]
    ugid: str
    roleid: str


def _text(value: str | None) -> str | None:
    return (value.strip(" ") or None) if is_true(value) and value is not None else None


@dataclass
class Accounts:
    """The whole of user.cfg."""

    users: dict[str, User] = field(default_factory=lambda: {ROOT: User()})
    groups: dict[str, Group] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)
    acl: dict[Entry, int] = field(default_factory=dict)
    pools: dict[str, Pool] = field(default_factory=dict)
    catalogue: Catalogue = NINE

    def privileges_of(self, role: str) -> frozenset[str] | None:
        """The privileges of a role, or None where there is no such role."""
        if role in self.catalogue.roles:
            return self.catalogue.roles[role]
        return frozenset(self.roles[role]) if role in self.roles else None

    def role_names(self) -> list[str]:
        """Built-in roles, then our own."""
        return [*self.catalogue.roles, *self.roles]

    def user(self, userid: str) -> User:
        """The user; raises upstream's error where there is none, or for what cannot be a name of one."""
        parsed = parse_user_name(userid)
        if isinstance(parsed, str):
            raise ApiError(parsed)
        if userid not in self.users:
            raise ApiError(f"no such user ('{userid}')\n")
        return self.users[userid]

    def token(self, userid: str, name: str) -> Token:
        """The token; raises upstream's error where there is none."""
        tokens = self.user(userid).tokens
        if name not in tokens:
            raise ApiError(f"no such token '{name}' for user '{userid}'\n")
        return tokens[name]

    def groups_of(self, userid: str) -> list[str]:
        """The names of the groups that the user belongs to."""
        return sorted(name for name, group in self.groups.items() if userid in group.users)

    def pool_of(self, vmid: int) -> str | None:
        """The pool that the guest is a member of."""
        return next((name for name, pool in self.pools.items() if vmid in pool.vms), None)

    def paths(self) -> set[str]:
        """Every path of the access control tree: those with entries and those above them."""
        paths = {"/"}
        for entry in self.acl:
            parts = [part for part in entry.path.split("/") if part]
            paths.update("/" + "/".join(parts[: end + 1]) for end in range(len(parts)))
        return paths

    def settle(self) -> None:
        """Write and read again: see the module's docstring."""
        for user in self.users.values():
            _settle_user(user)
        self.users.setdefault(ROOT, User())
        for group in self.groups.values():
            group.comment = _text(group.comment)
        for pool in self.pools.values():
            pool.comment = _text(pool.comment)
        self.acl = {entry: flag for entry, flag in self.acl.items() if self._survives(entry)}

    def _survives(self, entry: Entry) -> bool:
        if self.privileges_of(entry.roleid) is None or (entry.type == "user" and entry.ugid == ROOT):
            return False
        if entry.type != "token":
            return True
        user, _, token = entry.ugid.partition("!")
        return user in self.users and token in self.users[user].tokens


def _settle_user(user: User) -> None:
    user.enable = int(is_true(user.enable))
    user.expire = int(user.expire or 0)
    user.firstname, user.lastname = _text(user.firstname), _text(user.lastname)
    user.comment, user.keys = _text(user.comment), _text(user.keys)
    email = (user.email or "").strip() if is_true(user.email) else ""
    # The e-mail column is read as it stands: empty, not absent, once a column to its right is filled.
    user.email = email if email or user.comment or user.keys else None
    for token in user.tokens.values():
        token.privsep = int(is_true(token.privsep))
        token.expire = int(token.expire or 0)
        token.comment = _text(token.comment)
