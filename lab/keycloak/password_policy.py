"""What the server takes for a password policy: `length(12) and digits(1) and notUsername`."""

from __future__ import annotations

import re

from lab.keycloak.answers import Refusal

__all__ = ["check_policy"]

_NUMBERS = frozenset(
    {
        "length",
        "maxLength",
        "digits",
        "lowerCase",
        "upperCase",
        "specialChars",
        "passwordHistory",
        "forceExpiredPasswordChange",
        "hashIterations",
        "maxAuthAge",
        "passwordAge",
    }
)
_OTHERS = frozenset(
    {
        "notUsername",
        "notEmail",
        "notContainsUsername",
        "hashAlgorithm",
        "passwordBlacklist",
        "regexPattern",
        "recoveryCodesWarningThreshold",
    }
)
_SEPARATOR = " and "


def check_policy(policy: str) -> None:
    """Refuse a rule that does not exist, or whose setting is not what it takes. Raises `Refusal` 400."""
    if not policy.strip():
        return
    for part in policy.split(_SEPARATOR):
        name, bracket, rest = part.strip().partition("(")
        setting = rest[:-1] if bracket else None
        if name not in _NUMBERS | _OTHERS:
            raise Refusal(400, errorMessage="Password policy not found")
        if name in _NUMBERS and setting is not None and not re.fullmatch(r"-?\d+", setting):
            raise Refusal(400, errorMessage=f"Invalid config for {name}: Not a valid number")
        if name == "regexPattern" and not _compiles(setting or ""):
            text = f"Invalid config for {name}: Not a valid regular expression"
            raise Refusal(400, errorMessage=text)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
