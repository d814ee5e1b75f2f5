"""Permission checks as methods declare them (PVE::RPCEnvironment `exec_api2_perm_check`).

They run before the parameters are verified, on what was sent: so a 403 hides a 400, and a name that is no
user name fails here as a 500.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from lab.proxmox.accounts import is_true
from lab.proxmox.errors import ApiError, not_permitted
from lab.proxmox.formats import parse_user_name, split_list
from lab.proxmox.permissions import Permissions, normalize_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.proxmox.accounts import Accounts
    from lab.proxmox.schema import Value

__all__ = ["AllOf", "AnyOf", "Check", "IsSelf", "MayModify", "OnPath", "RealmOfUser", "Scope", "UserGroups"]


@dataclass(frozen=True)
class Scope:
    """What a check looks at: who asks, for what, and the rights as they stand."""

    who: str
    values: Mapping[str, Value]
    accounts: Accounts
    rights: Permissions

    def plain(self, name: str) -> str:
        """A parameter as text; empty where it is absent."""
        value = self.values.get(name, "")
        return ",".join(value) if isinstance(value, list) else value

    def fill(self, template: str) -> str | None:
        """A path template with the parameters put in, a dash for one that is absent, normalised."""
        return normalize_path(re.sub(r"\{(\w+)\}", lambda found: self._segment(found[1]), template))

    def _segment(self, name: str) -> str:
        value = self.plain(name)
        return value if is_true(value) else "-"


class Check(Protocol):
    """One node of a permission check."""

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """Whether it holds; raises the 403 unless `quiet`."""


@dataclass(frozen=True)
class AllOf:
    """Every part must hold. A part that fails raises, even inside `AnyOf`: that is upstream's way."""

    parts: tuple[Check, ...]

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        del quiet
        for part in self.parts:
            part.test(scope)
        return True


@dataclass(frozen=True)
class AnyOf:
    """One part must hold."""

    parts: tuple[Check, ...]

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        if any(part.test(scope, quiet=True) for part in self.parts):
            return True
        if quiet:
            return False
        raise not_permitted()


@dataclass(frozen=True)
class OnPath:
    """All (or, with `any_of`, one) of the privileges on a path made from the parameters."""

    path: str
    privileges: tuple[str, ...]
    any_of: bool = False

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        path = scope.fill(self.path) or ""
        check = scope.rights.check_any if self.any_of else scope.rights.check
        return check(scope.who, path, self.privileges, quiet=quiet)


@dataclass(frozen=True)
class MayModify:
    """The right to change access control entries on the path that is a parameter."""

    path: str

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`. A path that is none passes: the method itself refuses it."""
        path = scope.fill(self.path)
        return path is None or scope.rights.may_modify(scope.who, path, quiet=quiet)


@dataclass(frozen=True)
class IsSelf:
    """The user named is the one who asks."""

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        userid = _verified_user(scope)[0]
        if not _exists(scope, userid, quiet=quiet):
            return False
        if scope.who == userid:
            return True
        if quiet:
            return False
        raise not_permitted()


@dataclass(frozen=True)
class RealmOfUser:
    """Realm.AllocateUser on the realm of the user named."""

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        realm = _verified_user(scope)[1]
        return scope.rights.check(scope.who, f"/access/realm/{realm}", ("Realm.AllocateUser",), quiet=quiet)


@dataclass(frozen=True)
class UserGroups:
    """One of the privileges on all groups, or on one of the user's groups and every group named."""

    privileges: tuple[str, ...]
    groups_from: Literal["", "create", "update"] = ""

    def test(self, scope: Scope, *, quiet: bool = False) -> bool:
        """See `Check`."""
        userid = scope.plain("userid")
        existing = self.groups_from != "create"
        if existing and not _exists(scope, userid, quiet=quiet):
            return False
        if scope.rights.check_any(scope.who, "/access/groups", self.privileges, quiet=True):
            return True
        allowed = scope.rights.groups_where(scope.who, self.privileges)
        if self.groups_from:
            self._check_named_groups(scope, allowed)
        if not existing or any(userid in scope.accounts.groups[group].users for group in allowed):
            return True
        if quiet:
            return False
        raise not_permitted()

    def _check_named_groups(self, scope: Scope, allowed: set[str]) -> None:
        wanted = "|".join(self.privileges)
        named = split_list(scope.plain("groups"))
        if not named:
            raise not_permitted(f"/access/groups, {wanted}")
        for group in named:
            if group not in allowed:
                raise not_permitted(f"/access/groups/{group}, {wanted}")


def _exists(scope: Scope, userid: str, *, quiet: bool) -> bool:
    if userid in scope.accounts.users:
        return True
    if quiet:
        return False
    scope.accounts.user(userid)
    return False


def _verified_user(scope: Scope) -> tuple[str, str]:
    userid = scope.plain("userid")
    parsed = parse_user_name(userid)
    if isinstance(parsed, str):
        raise ApiError(parsed)
    return userid, parsed[1]
