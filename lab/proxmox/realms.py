"""Authentication realms and passwords: what upstream keeps in domains.cfg and shadow.cfg."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.proxmox.accounts import is_true
from lab.proxmox.errors import ApiError
from lab.proxmox.sections import settled

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Passwords", "Realms"]

Setting = str | int

_BUILT_IN: dict[str, str] = {
    "pam": "Linux PAM standard authentication",
    "pve": "Proxmox VE authentication server",
}


@dataclass
class Realms:
    """Realm name → settings. The built-in ones come back whenever they are removed."""

    by_name: dict[str, dict[str, Setting]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settle()

    def settle(self) -> None:
        """What reading the file again does."""
        self.by_name = {name: settled(settings) for name, settings in self.by_name.items()}
        for name, comment in _BUILT_IN.items():
            settings = self.by_name.setdefault(name, {})
            settings["type"] = name
            if not is_true(settings.get("comment")):
                settings["comment"] = comment

    def digest(self) -> str:
        """SHA-1 of the whole configuration; it changes with every change."""
        return hashlib.sha1(
            json.dumps(self.by_name, sort_keys=True).encode(), usedforsecurity=False
        ).hexdigest()

    def find_user(self, userid: str, known: Iterable[str]) -> str:
        """The name under which a realm that ignores case knows the user; elsewhere the name as it is."""
        realm = self.by_name.get(userid.rpartition("@")[2], {})
        if not realm.get("case-sensitive", 1):
            return next((name for name in known if name.lower() == userid.lower()), userid)
        return userid

    def type_of(self, name: str) -> str | None:
        """The type of a realm, or None where there is no such realm."""
        return str(self.by_name[name]["type"]) if name in self.by_name else None


@dataclass
class Passwords:
    """Salted hashes of the passwords of the realms `pve` and `pam`."""

    _stored: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    def store(self, realms: Realms, user: str, realm: str, password: str) -> None:
        """Set a password; raises upstream's error where the realm keeps none."""
        kind = realms.type_of(realm)
        if kind is None:
            raise ApiError(f"auth domain '{realm}' does not exist\n")
        if kind == "pam" and user != "root":
            raise ApiError(f"change password failed: usermod: user '{user}' does not exist\n")
        if kind not in {"pve", "pam"}:
            raise ApiError(f"can't set password on auth type '{kind}'\n")
        salt = secrets.token_bytes(16)
        self._stored[f"{user}@{realm}"] = (salt, _hash(salt, password))

    def has(self, userid: str) -> bool:
        """Whether the user has a stored password."""
        return userid in self._stored

    def matches(self, userid: str, password: str) -> bool:
        """Whether this is the user's password; nobody without a stored one has any."""
        salt, expected = self._stored.get(userid, (b"", b""))
        return bool(expected) and secrets.compare_digest(_hash(salt, password), expected)

    def forget(self, userid: str) -> None:
        """Remove a password, if there is one."""
        self._stored.pop(userid, None)


def _hash(salt: bytes, password: str) -> bytes:
    # Few rounds: the lab's passwords protect nothing, and tests log in often.
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 100)
