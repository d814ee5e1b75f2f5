"""Secrets never stand in a policy: what looks like one is an error, and is never shown.

A whole file is searched at once; only where something is found are its values looked at one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from controller.policy.places import Token, Value, value_position
from controller.policy.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.policy.document import Document

__all__ = ["find_secrets", "secret_paths"]

_LOOKS_SECRET: Final = re.compile(  # every repetition is bounded: a hostile file costs linear time
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"  # PEM, OpenSSH, PGP
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access keys
    r"|\bgh[pousr]_[A-Za-z0-9]{30}"  # GitHub tokens
    r"|\bgithub_pat_[A-Za-z0-9_]{30}"
    r"|\bglpat-[A-Za-z0-9_-]{20}"  # GitLab tokens
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}"  # Slack tokens
    r"|\bAGE-SECRET-KEY-1[A-Z0-9]{50}"
    r"|\beyJ[A-Za-z0-9_-]{8,256}\.eyJ[A-Za-z0-9_-]{8}"  # JSON Web Tokens
    r"|![A-Za-z0-9._-]{1,64}[= ][0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # Proxmox API tokens
    r"|://[^\s/:@]{1,128}:[^\s/@]{1,128}@"  # a password in an address
    r"|\$(?:2[aby]|5|6|y|argon2id?)\$[^\s]{8}"  # password hashes
)
_SECRET_KEY: Final = re.compile(
    r"^(?:.*[_-])?(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|secret[_-]?key)$",
    re.IGNORECASE,
)
_SECRET_KEY_IN_TEXT: Final = re.compile(
    r"(?:password|passwd|passphrase|secret|token|key)[\"']?\s*:", re.IGNORECASE
)

_NO_SECRETS: Final = frozenset(("", "enabled", "default", "disabled"))
"""What may stand under a name like UPDATE_PASSWORD, which is a required action."""


def find_secrets(document: Document, text: str) -> list[Problem]:
    """A problem for each value of `document` that looks like a secret; `text` is the file's content."""
    looks = _LOOKS_SECRET.search(text) is not None
    if not looks and not _SECRET_KEY_IN_TEXT.search(text):
        return []
    return [
        Problem(value_position(document.place, path), _message(path))
        for path, value, is_named in _texts(document.value, (), _Names())
        if (is_named and value not in _NO_SECRETS) or (looks and _LOOKS_SECRET.search(value))
    ]


def secret_paths(value: Value) -> list[tuple[Token, ...]]:
    """Where texts stand that look like secrets, in a value that is no file's."""
    return [
        path
        for path, text, is_named in _texts(value, (), _Names())
        if (is_named and text not in _NO_SECRETS) or _LOOKS_SECRET.search(text)
    ]


class _Names(dict[Token, bool]):
    """Which keys name secrets; the same few keys come again and again."""

    def __missing__(self, key: Token) -> bool:
        self[key] = found = _names_secret(key)
        return found


def _message(path: tuple[Token, ...]) -> str:
    where = (
        f"{path[-1]} " if path and isinstance(path[-1], str) and _names_secret(path[-1]) else "this value "
    )
    return (
        f"{where}looks like a secret: a policy holds none, it names where they are (host_file, host_env, ...)"
    )


def _names_secret(token: Token) -> bool:
    return isinstance(token, str) and _SECRET_KEY.match(token) is not None


def _texts(
    value: Value, path: tuple[Token, ...], names: _Names, *, is_named: bool = False
) -> Iterator[tuple[tuple[Token, ...], str, bool]]:
    """Path and text of each text, and whether its key names a secret."""
    if isinstance(value, str):
        yield path, value, is_named
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str | dict | tuple):
                yield from _texts(item, (*path, key), names, is_named=names[key])
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index), names)
