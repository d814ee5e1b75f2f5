"""Keycloak's password policy, a text such as `length(12) and notUsername(undefined)`, by the policy's names.

The server keeps the text as it was given and takes it apart at ` and `, as is done here; a rule without a
value holds with the server's default for it. Nothing here does IO. Source: Keycloak Server Administration
Guide, "Password policies".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PASSWORDS", "read_rules", "written_rules"]

RuleValue: TypeAlias = "bool | int | str | None"

PASSWORDS: Final = "password_policy."

_DAY: Final = 86_400
_AND: Final = " and "
_NO_VALUE: Final = "undefined"
_AGE: Final = "forceExpiredPasswordChange"

_COUNTED: Final = MappingProxyType(
    {
        "length": 8,
        "maxLength": 64,
        "digits": 1,
        "lowerCase": 1,
        "upperCase": 1,
        "specialChars": 1,
        "passwordHistory": 3,
        _AGE: 365,
    }
)
"""Rules that count something, with what the server takes where the text says no number."""

_SWITCHES: Final = frozenset({"notUsername", "notEmail"})

_NAMES: Final = MappingProxyType(
    {
        "length": "length",
        "maxLength": "max_length",
        "digits": "digits",
        "lowerCase": "lower_case",
        "upperCase": "upper_case",
        "specialChars": "special",
        "notUsername": "not_username",
        "notEmail": "not_email",
        "passwordHistory": "history",
        _AGE: "max_age_seconds",
    }
)

_STORAGE: Final = frozenset(
    {"hashAlgorithm", "hashIterations", "maxAuthAge", "recoveryCodesWarningThreshold"}
)
"""Say how passwords are stored and when to log in again, not what a password must be: left alone."""


def read_rules(text: str) -> dict[str, RuleValue]:
    """The rules that hold, by name: those of the policy language as `password_policy.max_length`, others with
    the server's name.
    """
    rules: dict[str, RuleValue] = {}
    for name, value in _parts(text).items():
        if name not in _STORAGE:
            rules[PASSWORDS + _NAMES.get(name, name)] = _meaning(name, value)
    return rules


def written_rules(text: str, rules: Mapping[str, RuleValue]) -> str:
    """The text with these rules laid over it; None takes a rule away. The order of the rest stays."""
    parts = dict(_parts(text))
    known = {ours: server for server, ours in _NAMES.items()}
    for full_name, value in rules.items():
        ours = full_name.removeprefix(PASSWORDS)
        name = known.get(ours, ours)
        if value is None or value is False:
            parts.pop(name, None)
        elif value is True:
            parts[name] = _NO_VALUE
        else:
            parts[name] = str(value // _DAY if name == _AGE and isinstance(value, int) else value)
    return _AND.join(name if value is None else f"{name}({value})" for name, value in parts.items())


def _parts(text: str) -> dict[str, str | None]:
    """Each rule with the text in its brackets, None where it has none."""
    parts: dict[str, str | None] = {}
    for part in filter(None, map(str.strip, text.split(_AND))):
        name, bracket, rest = part.partition("(")
        parts[name.strip()] = rest.removesuffix(")") if bracket else None
    return parts


def _meaning(name: str, value: str | None) -> RuleValue:
    if name in _SWITCHES:
        return True
    given = None if value in {None, "", _NO_VALUE} else value
    if name not in _COUNTED:
        return True if given is None else given
    number = _COUNTED[name] if given is None else int(given) if given.isdecimal() else None
    if number is None:
        return given  # a text that the server would refuse; seen as what it is
    return number * _DAY if name == _AGE else number
