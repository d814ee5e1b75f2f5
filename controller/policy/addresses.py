"""Addresses (URLs) in a policy, and what Keycloak accepts of them. Pure.

Each function answers what is wrong, "" where nothing is. Keycloak: "Valid Redirect URIs" may end in a
wildcard and hold none elsewhere; web origins are scheme, host and port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["wrong_address", "wrong_origin", "wrong_redirect"]

_WEB: Final = ("http", "https")
_NEEDS_NO_HOST_MARK: Final = ":/"
_OWN_REDIRECTS: Final = "+"


def wrong_address(text: str) -> str:
    """What is wrong with the address of a service: absolute, http or https, without a fragment."""
    parts = _parts(text)
    if parts is None or parts.scheme not in _WEB or not parts.hostname:
        return "is no address, as https://login.example.org/token"
    return "must not have a fragment (#...)" if "#" in text else ""


def wrong_redirect(text: str) -> str:
    """What is wrong with an address that people may be sent back to.

    Addresses of programs on a device (`app:/done`) are allowed; a wildcard stands at the end, after the host.
    """
    if "#" in text:
        return "must not have a fragment (#...): Keycloak refuses it"
    parts = _parts(text)
    if parts is None or not parts.scheme or _NEEDS_NO_HOST_MARK not in text:
        return "is not absolute, as https://grafana.example.org/*"
    if parts.scheme in _WEB and not parts.hostname:
        return "names no host, as https://grafana.example.org/*"
    if "*" in text[:-1]:
        return "has a wildcard that is not at its end: Keycloak takes it for a letter there"
    if "*" in parts.netloc:
        return "has a wildcard in its host: it would let any site in; write it after the host, as /*"
    return ""


def wrong_origin(text: str) -> str:
    """What is wrong with the origin of a web page: scheme, host and port, or + for those of `redirect`."""
    if text == _OWN_REDIRECTS:
        return ""
    parts = _parts(text)
    if parts is None or parts.scheme not in _WEB or not parts.hostname or "*" in text:
        return "is no origin, as https://grafana.example.org, or + for those of redirect"
    if parts.path or parts.query or "#" in text:
        return "is more than an origin: only scheme, host and port, without a slash at the end"
    return ""


def _parts(text: str) -> SplitResult | None:
    if any(letter.isspace() for letter in text):
        return None
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError:
        return None
    return parts
