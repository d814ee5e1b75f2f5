"""The kinds of single values in a policy: names, durations, dates, shares, addresses, patterns.

YAML gives text, whole numbers, floats, booleans and null; what a text means is decided here, by the type of
the field that it stands in. Each type says in its JSON Schema what it accepts.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "PATTERNS",
    "AbsolutePath",
    "ApiPermission",
    "Day",
    "Duration",
    "Email",
    "Glob",
    "MachineName",
    "Name",
    "Percentage",
    "PersonName",
    "Privilege",
    "PublicKey",
    "RealmName",
    "RoleName",
    "Text",
    "TimeOfDay",
    "TokenName",
    "UserName",
    "Vmid",
    "seconds_of",
]

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]{1,6})([smhdw])")
_PERCENTAGE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%")
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_USER = r"^[a-z0-9]([a-z0-9._@+-]*[a-z0-9])?$"
_EMAIL = (
    r"^[A-Za-z0-9_%+'-]+(\.[A-Za-z0-9_%+'-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$"
)
_OWNED = r"^[a-z0-9]([a-z0-9._@+-]*[a-z0-9])?![A-Za-z][A-Za-z0-9._-]+$"
_PERSON = r"^[^<>&\"$%!#?§;*~/\\|^=\[\]{}()\x00-\x1f\x7f]*$"
_PRIVILEGE = r"^[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*)+$"
_API = r"^[a-z][a-z-]*:([a-z][a-z-]*|\*)$"
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_KEY = (
    r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com|ssh-rsa|sk-ecdsa-sha2-nistp256@openssh\.com|ecdsa-sha2-nistp(256|384|521))"
    r" [A-Za-z0-9+/]+={0,3}( [^\n]*)?$"
)
_PATH = r"^/[^\x00-\x1f\x7f]*$"
_TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"

PATTERNS: Final = {
    _NAME: "is not a name: letters, digits and . _ - with a letter or digit at both ends",
    _USER: "is not a user name: lower-case letters, digits and . _ - + @ with a letter or digit at both ends",
    _OWNED: "is not a token of a user, as jo!ci",
    _EMAIL: "is not an e-mail address",
    _PERSON: "holds a character that Keycloak refuses in names of people",
    _PRIVILEGE: "is not a Proxmox privilege, as VM.Audit",
    _API: "is not a permission of the API, as vm:read",
    _TIME: 'is not a time of day, as "07:00"',
    _KEY: "is not a public SSH key, as ssh-ed25519 AAAA...",
    _PATH: "is not an absolute path",
    _TEXT: "holds a control character",
}
"""What to say of a text that does not match its field's pattern."""


def seconds_of(text: str) -> int | None:
    """How long a duration as `15m` is, None for what is no duration."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _SECONDS[match[2]] if match else None


def _duration(value: object) -> object:
    seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None:
        raise PydanticCustomError("duration", "is not a duration, as 30s, 15m, 2h, 30d or 8w")
    return timedelta(seconds=seconds)


def _percentage(value: object) -> object:
    match = _PERCENTAGE.fullmatch(value) if isinstance(value, str) else None
    hundredths = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else -1
    if not 0 <= hundredths <= 10_000:
        raise PydanticCustomError("percentage", "is not a share, as 10%")
    return hundredths / 10_000


def _day(value: object) -> object:
    match = _DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("day", "is not a date, as 2027-01-31")
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise PydanticCustomError("day", "is a day that no calendar has") from None


def _text_schema(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}
    )


Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=63)]
"""A name that we give: teams, schedules, backups, …"""

RoleName = Annotated[str, StringConstraints(pattern=_NAME, max_length=56)]
"""A role: in Keycloak under this name, in Proxmox as `steward-…` (at most 64 characters there)."""

RealmName = Annotated[str, StringConstraints(pattern=_NAME, max_length=36)]
"""A Keycloak realm."""

UserName = Annotated[str, StringConstraints(pattern=_USER, max_length=60)]
"""A person: lower case, as Keycloak stores it; ASCII, because Proxmox cannot address anything else."""

TokenName = Annotated[str, StringConstraints(pattern=_OWNED, max_length=128)]
"""A token of a person on Proxmox, as jo!ci."""

MachineName = Annotated[str, StringConstraints(pattern=_NAME, max_length=63)]
"""A guest as Proxmox names it."""

PersonName = Annotated[str, StringConstraints(pattern=_PERSON, max_length=255)]
"""A first or last name."""

Email = Annotated[str, StringConstraints(pattern=_EMAIL, max_length=254, to_lower=True)]
"""An e-mail address; compared and kept in lower case, as Keycloak does."""

Privilege = Annotated[str, StringConstraints(pattern=_PRIVILEGE, max_length=64), Field(examples=["VM.Audit"])]
"""A privilege of Proxmox VE; whether the version at hand has it, the plan says."""

ApiPermission = Annotated[str, StringConstraints(pattern=_API, max_length=64), Field(examples=["vm:read"])]
"""A permission of the controller's own API."""

PublicKey = Annotated[str, StringConstraints(pattern=_KEY, max_length=16_384)]
"""A public SSH key as it stands in authorized_keys, without options."""

AbsolutePath = Annotated[str, StringConstraints(pattern=_PATH, max_length=4096)]
"""A path on a host."""

Text = Annotated[str, StringConstraints(pattern=_TEXT, max_length=4096)]
"""Free text."""

Glob = Annotated[str, StringConstraints(pattern=_TEXT, min_length=1, max_length=255)]
"""A shell pattern (`*`, `?`, `[…]`); no regular expressions."""

TimeOfDay = Annotated[str, StringConstraints(pattern=_TIME), Field(examples=["07:00"])]
"""A time of day, 24 hours."""

Vmid = Annotated[int, Field(ge=100, le=999_999_999)]
"""The number of a guest."""

Duration = Annotated[
    timedelta, BeforeValidator(_duration), _text_schema("^[0-9]{1,6}[smhdw]$", "A duration.", "15m", "30d")
]
"""A length of time: a whole number and s, m, h, d or w."""

Percentage = Annotated[
    float, BeforeValidator(_percentage), _text_schema(r"^[0-9]{1,3}(\.[0-9]{1,2})?%$", "A share.", "10%")
]
"""A share, written in per cent, kept as a ratio from 0 to 1."""

Day = Annotated[
    date, BeforeValidator(_day), _text_schema("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A date.", "2027-01-31")
]
"""A day, ISO 8601."""
