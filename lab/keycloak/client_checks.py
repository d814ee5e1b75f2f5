"""Which addresses and protocols a client may have. Texts of Keycloak 26.7.3."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.keycloak.answers import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check", "is_allowed_redirect"]

Json = dict[str, Any]
_PROTOCOLS = frozenset({"openid-connect", "saml", "docker-v2", "oid4vc"})
_ILLEGAL_SCHEMES = ("javascript:", "data:", "vbscript:")
_NOT_IN_ADDRESSES = re.compile(r'[\s<>"{}|\\^`\x00-\x1f]')
_SEPARATOR = "##"
_POST_LOGOUT = "post.logout.redirect.uris"
_WORDS = frozenset({"+", "-"})


def check(body: Json) -> None:
    """Refuse addresses that the server refuses. Raises `Refusal` 400."""
    protocol = body.get("protocol")
    if protocol is not None and protocol not in _PROTOCOLS:
        raise _invalid(f"Invalid protocol: {protocol}")
    _check("Root URL", [body.get("rootUrl", "")], may_have_fragment=True)
    _check("Base URL", [body.get("baseUrl", "")], may_have_fragment=True)
    _check("A redirect URI", body.get("redirectUris", ()), may_have_fragment=False)
    after = body.get("attributes", {}).get(_POST_LOGOUT, "").split(_SEPARATOR)
    allowed = [one for one in after if one not in _WORDS]
    _check("A post-logout redirect URI", allowed, may_have_fragment=False)


def is_allowed_redirect(redirect: str, patterns: Iterable[str], root: str = "") -> bool:
    """Whether a client's redirect addresses allow this one; `*` at the end stands for anything."""
    for pattern in patterns:
        whole = f"{root.rstrip('/')}{pattern}" if pattern.startswith("/") else pattern
        if whole == redirect or (whole.endswith("*") and redirect.startswith(whole[:-1])):
            return True
    return False


def _check(what: str, addresses: Iterable[str], *, may_have_fragment: bool) -> None:
    for address in addresses:
        if address.lower().startswith(_ILLEGAL_SCHEMES):
            raise _invalid(f"{what} uses an illegal scheme")
        if _NOT_IN_ADDRESSES.search(address) or not _parses(address):
            raise _invalid(f"{what} is not a valid URI" if "URI" in what else f"{what} is not a valid URL")
        if "#" in address and not may_have_fragment:
            raise _invalid(f"{what} must not contain an URL fragment")


def _parses(address: str) -> bool:
    try:
        urlsplit(address)
    except ValueError:
        return False
    return True


def _invalid(text: str) -> Refusal:
    return Refusal(400, error="invalid_input", error_description=text)
