"""Named formats of the Proxmox VE parameter schemas, with upstream's words for what does not fit.

A checker takes the text and answers None, or what is wrong (PVE::JSONSchema, PVE::AccessControl,
PVE::Auth::Plugin).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from lab.proxmox.privileges import EIGHT, NINE, Catalogue
from lab.proxmox.property_strings import CHECKS

__all__ = ["FORMATS", "REALM", "TOKEN_NAME", "USER_OR_TOKEN", "Checker", "parse_user_name", "split_list"]

Checker = Callable[[str], str | None]

REALM = r"[A-Za-z][A-Za-z0-9.\-_]+"
TOKEN_NAME = REALM
_USER = r"[^\s:/]+"
USER_OR_TOKEN = rf"{_USER}@{REALM}(?:!{TOKEN_NAME})?"
_USER_NAME = re.compile(rf"({_USER})@({REALM})")
_EMAIL_USER = r"[\w+\-~]+(?:\.[\w+\-~]+)*"
_EMAIL = re.compile(rf"{_EMAIL_USER}@[a-zA-Z0-9\-]+(?:\.[a-zA-Z0-9\-]+)*")
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?"
_DNS_NAME = rf"(?:{_LABEL}\.)*{_LABEL}"
_CONTENT_TYPES = frozenset({"images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"})
_TASK_STATUSES = frozenset({"ok", "error", "warning", "unknown"})


def split_list(text: str) -> list[str]:
    """The elements of a list parameter: separated by commas, semicolons, blanks or NUL."""
    return [element for element in re.split(r"[,;\s\0]+", text) if element]


def parse_user_name(text: str) -> tuple[str, str] | str:
    """(name, realm) of `name@realm`, or what is wrong with it."""
    if len(text) < 3:
        return f"user name '{text}' is too short\n"
    if len(text) > 64:
        return f"user name '{text}' is too long ({len(text)} > 64)\n"
    found = _USER_NAME.fullmatch(text)
    if found is None:
        return f"value '{text}' does not look like a valid user name\n"
    return found[1], found[2]


def _user_name(text: str) -> str | None:
    parsed = parse_user_name(text)
    return parsed if isinstance(parsed, str) else None


def _pattern(expression: str, complaint: str) -> Checker:
    compiled = re.compile(expression)

    def check(text: str) -> str | None:
        return None if compiled.fullmatch(text) else complaint.format(text=text) + "\n"

    return check


def _realm(text: str) -> str | None:
    # Upstream measures the length apart, but in the same words.
    return None if re.fullmatch(REALM, text) else "value does not look like a valid realm\n"


def _pool(text: str) -> str | None:
    if text.rstrip("/").count("/") > 2:
        return f"pool name '{text}' nested too deeply (max levels = 3)\n"
    if not re.fullmatch(r"[A-Za-z0-9.\-_]+(?:/[A-Za-z0-9.\-_]+){0,2}", text):
        return f"pool name '{text}' contains invalid characters\n"
    return None


def _storage(text: str) -> str | None:
    if len(text) < 2:
        return f"storage ID '{text}' cannot be shorter than 2 characters\n"
    if not re.fullmatch(r"(?i)[a-z][a-z0-9\-_.]*[a-z0-9]", text):
        return f"storage ID '{text}' contains illegal characters\n"
    return None


def _privilege_of(catalogue: Catalogue) -> Checker:
    def check(text: str) -> str | None:
        return None if text in catalogue.privileges else f"invalid privilege '{text}'\n"

    return check


def _email(text: str) -> str | None:
    return None if _EMAIL.fullmatch(text) else "value does not look like a valid email address\n"


def _optional_email(text: str) -> str | None:
    return _email(text) if text else None


def _content_type(text: str) -> str | None:
    return None if text in _CONTENT_TYPES else f"invalid content type '{text}'\n"


def _task_status(text: str) -> str | None:
    return None if text.lower() in _TASK_STATUSES else f"invalid status '{text}'\n"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return re.fullmatch(_DNS_NAME, text) is not None
    return True


def _address(text: str) -> str | None:
    return None if _is_address(text) else f"value does not look like a valid address: {text}\n"


def _network(text: str) -> str | None:
    complaint = "value does not look like a valid CIDR network\n"
    address, mark, bits = text.partition("/")
    try:
        most = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return complaint
    return None if mark and bits.isdecimal() and 7 < int(bits) <= most else complaint


def _startup_order(text: str) -> str | None:
    parts = [part for part in text.split(",") if part.strip()]
    fits = all(re.fullmatch(r"(?:order=)?\d+|up=\d+|down=\d+", part) for part in parts)
    return None if text not in {"", "0"} and fits else "unable to parse startup options\n"


FORMATS: Mapping[str, Checker] = {
    **CHECKS,
    "address": _address,
    "network": _network,
    "startup-order": _startup_order,
    "userid": _user_name,
    "tokenid": _pattern(
        rf"{_USER}@{REALM}!{TOKEN_NAME}", "value '{text}' does not look like a valid token ID"
    ),
    "groupid": _pattern(r"[A-Za-z0-9.\-_]+", "group name '{text}' contains invalid characters"),
    "roleid": _pattern(r"[A-Za-z0-9.\-_]+", "role name '{text}' contains invalid characters"),
    "poolid": _pool,
    "realm": _realm,
    "priv": _privilege_of(NINE),
    "priv-of-8": _privilege_of(EIGHT),
    "email-opt": _optional_email,
    "vmid": _pattern(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "node": _pattern(
        r"[a-zA-Z0-9]([a-zA-Z0-9\-]*[a-zA-Z0-9])?", "value does not look like a valid node name"
    ),
    "storageid": _storage,
    "ldap-attribute": _pattern(
        r"[a-zA-Z0-9]+", "value '{text}' does not look like a simple ldap attribute name"
    ),
    "dns-name": _pattern(_DNS_NAME, "value does not look like a valid DNS name"),
    "day": _pattern(r"mon|tue|wed|thu|fri|sat|sun", "invalid day '{text}'"),
    "mail-or-user": _pattern(
        rf"{_EMAIL_USER}(?:@[a-zA-Z0-9\-]+(?:\.[a-zA-Z0-9\-]+)*)?",
        "value does not look like a valid email address or user name",
    ),
    "tag": _pattern(r"(?i)[a-z0-9_][a-z0-9_\-+.]*", "invalid characters in tag"),
    "configid": _pattern(r"(?i)[a-z][a-z0-9_-]+", "invalid configuration ID '{text}'"),
    "content": _content_type,
    "ha-resource": _pattern(r"[a-z]+:\S+|[1-9][0-9]{2,8}", "unable to parse service id '{text}'"),
    "task-status": _task_status,
}
