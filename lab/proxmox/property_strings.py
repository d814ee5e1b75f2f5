"""Parameters that are lists of `key=value` pairs (PVE::JSONSchema `parse_property_string`).

A format is a table of its keys; `_DEFAULT_KEY` names the one whose key may be left out. The words for what
does not fit are upstream's: a fault of the list itself is one line, faults of values follow `format error`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["CHECKS", "is_integer", "is_number"]

Checker = Callable[[str], str | None]
Value = Callable[[str], str | None]


def is_integer(text: str) -> bool:
    """A whole number, as upstream writes one."""
    return re.fullmatch(r"[+-]?\d+", text) is not None


def is_number(text: str) -> bool:
    """A number, as upstream writes one."""
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _whole(minimum: int, maximum: int | None = None) -> Value:
    def check(text: str) -> str | None:
        if not is_integer(text):
            return f"type check ('integer') failed - got '{text}'"
        if maximum is not None and int(text) > maximum:
            return f"value must have a maximum value of {maximum}"
        return f"value must have a minimum value of {minimum}" if int(text) < minimum else None

    return check


def _switch(text: str) -> str | None:
    # Inside such a list, and only there, upstream takes words for switches too.
    known = text.lower() in {"0", "1", "on", "off", "yes", "no", "true", "false"}
    return None if known else f"type check ('boolean') failed - got '{text}'"


def _one_of(*values: str) -> Value:
    def check(text: str) -> str | None:
        if text in values:
            return None
        return f"value '{text}' does not have a value in the enumeration '{', '.join(values)}'"

    return check


def _pattern(expression: str) -> Value:
    def check(text: str) -> str | None:
        return None if re.fullmatch(expression, text) else "value does not match the regex pattern"

    return check


def _storage(text: str) -> str | None:
    if len(text) < 2:
        return f"invalid format - storage ID '{text}' cannot be shorter than 2 characters\n"
    if not re.fullmatch(r"(?i)[a-z][a-z0-9\-_.]*[a-z0-9]", text):
        return f"invalid format - storage ID '{text}' contains illegal characters\n"
    return None


def _anything(text: str) -> str | None:
    del text
    return None


_KEPT = _whole(0)
_REMOVALS = r"(?:(?:acl|properties|entry);)*(?:acl|properties|entry)|none"
_KEYS: Mapping[str, Mapping[str, Value]] = {
    "prune-backups": {
        "keep-all": _switch,
        **dict.fromkeys(
            ("keep-last", "keep-hourly", "keep-daily", "keep-weekly", "keep-monthly", "keep-yearly"), _KEPT
        ),
    },
    "backup-performance": {"max-workers": _whole(1, 256), "pbs-entries-max": _whole(1)},
    "backup-fleecing": {"enabled": _switch, "storage": _storage},
    "tfa-config": {
        "type": _one_of("yubico", "oath"),
        **dict.fromkeys(("id", "key", "url"), _anything),
        "digits": _whole(6, 8),
        "step": _whole(10),
    },
    "realm-sync-options": {
        "scope": _one_of("users", "groups", "both"),
        "remove-vanished": _pattern(_REMOVALS),
        **dict.fromkeys(("full", "enable-new", "purge"), _switch),
    },
}
_DEFAULT_KEY: Mapping[str, str] = {"backup-fleecing": "enabled"}
_REQUIRED: Mapping[str, tuple[str, ...]] = {"tfa-config": ("type",)}


class _ListError(Exception):
    """What is wrong with the list itself."""


def _parse(text: str, known: Mapping[str, Value], default_key: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        key, mark, value = part.partition("=")
        if not mark:
            if not default_key:
                raise _ListError("value without key, but schema does not define a default key\n")
            key, value = default_key, part
        elif not (key and value):
            raise _ListError("missing key in comma-separated list property\n")
        if key in found:
            raise _ListError(f"duplicate key in comma-separated list property: {key}\n")
        if key not in known:
            raise _ListError(f"invalid key in comma-separated list property: {key}\n")
        found[key] = value
    return found


def _checker(name: str, parameter: str) -> Checker:
    known = _KEYS[name]

    def check(text: str) -> str | None:
        try:
            values = _parse(text, known, _DEFAULT_KEY.get(name, ""))
        except _ListError as error:
            return str(error)
        faults = {key: fault for key, value in values.items() if (fault := known[key](value)) is not None}
        for key in _REQUIRED.get(name, ()):
            if key not in values:
                faults[key] = "property is missing and it is not optional"
        if not faults:
            return _together(name, values)
        lines = "".join(f"{parameter}.{key}: {fault}\n" for key, fault in faults.items())
        return f"format error\n{lines}"

    return check


def _together(name: str, values: Mapping[str, str]) -> str | None:
    if name != "prune-backups" or values.get("keep-all", "0").lower() in {"0", "off", "no", "false"}:
        return None
    others = any(int(value) for key, value in values.items() if key != "keep-all")
    return "keep-all cannot be set together with other options.\n" if others else None


CHECKS: Mapping[str, Checker] = {
    "prune-backups": _checker("prune-backups", "prune-backups"),
    "backup-performance": _checker("backup-performance", "performance"),
    "backup-fleecing": _checker("backup-fleecing", "fleecing"),
    "tfa-config": _checker("tfa-config", "tfa"),
    "realm-sync-options": _checker("realm-sync-options", "sync-defaults-options"),
}
"""A check for each format, named as upstream names it, with the parameter that uses it."""
