"""The user profile of a realm: what it declares, and what it lets an account be.

Texts and limits as Keycloak 26.7.3 has them:
https://www.keycloak.org/docs/latest/server_admin/#user-profile .
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal
from lab.keycloak.shapes import Shape, not_json, shaped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.keycloak.call import Call
    from lab.keycloak.model import Realm

__all__ = ["ROUTES", "check"]

Json = dict[str, Any]
_SHAPE = Shape("UPConfig", {"attributes": "list", "groups": "list", "unmanagedAttributePolicy": "text"})
_POLICIES = ("ENABLED", "ADMIN_EDIT", "ADMIN_VIEW")
_VALIDATORS = frozenset(
    [
        "length",
        "integer",
        "double",
        "uri",
        "pattern",
        "email",
        "local-date",
        "iso-date",
        "multivalued",
        "options",
        "up-username-not-idn-homograph",
        "person-name-prohibited-characters",
        "username-prohibited-characters",
    ]
)
_LOCAL = r"[a-z0-9\u0080-\uffff!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9\u0080-\uffff](?:[a-z0-9\u0080-\uffff-]*[a-z0-9\u0080-\uffff])?"
_EMAIL = re.compile(
    rf"{_LOCAL}(?:\.{_LOCAL})*@(?:{_LABEL}(?:\.{_LABEL})*|\[\d{{1,3}}(?:\.\d{{1,3}}){{3}}\])", re.IGNORECASE
)
_LONGEST_LABEL = 63
_FORBIDDEN_IN_NAMES = re.compile(r"""[<>&"'\s$%!#?§,;:*~/\\|^=\[\]{}()`\x00-\x1f\x7f-\x9f]""")
_FORBIDDEN_IN_PERSON_NAMES = re.compile(r"""[<>&"$%!#?§;*~/\\|^=\[\]{}()\x00-\x1f\x7f-\x9f]""")


def get_profile(call: Call) -> Json:
    """GET users/profile."""
    call.require("view-realm", "manage-realm", "view-users", "manage-users", "query-users")
    return call.realm.profile


def put_profile(call: Call) -> Json:
    """PUT users/profile: replaced as a whole."""
    call.require("manage-realm")
    body = shaped(_SHAPE, call.body, call.text)
    if body.get("unmanagedAttributePolicy", _POLICIES[0]) not in _POLICIES:
        raise not_json()
    faults = list(_faults(body.get("attributes", [])))
    if faults:
        raise Refusal(400, errorMessage=f"[{', '.join(faults)}]")
    for attribute in body["attributes"]:
        attribute.setdefault("multivalued", False)
    call.realm.profile = body
    call.record("UPDATE", "USER_PROFILE", None)
    return body


def check(realm: Realm, values: dict[str, list[str]]) -> None:
    """Refuse values that the profile does not allow. Raises `Refusal` 400 with what is wrong with each."""
    wrong = [
        {"field": name, "errorMessage": text, "params": [name, *params]}
        for attribute in realm.profile["attributes"]
        for name in (attribute["name"],)
        for text, params in _complaints(attribute, values.get(name) or [])
    ]
    if len(wrong) == 1:
        raise Refusal(400, **wrong[0])
    if wrong:
        raise Refusal(400, errors=wrong)


def _faults(attributes: list[Json]) -> Iterator[str]:
    seen: set[str] = set()
    for attribute in attributes:
        name = attribute.get("name")
        if not name:
            yield "Attribute configuration without 'name' is not allowed"
            continue
        if name in seen:
            yield f"Attribute configuration already exists with 'name':'{name}'"
        seen.add(name)
        for validator in attribute.get("validations") or {}:
            if validator not in _VALIDATORS:
                yield f"Validator '{validator}' defined for attribute '{name}' doesn't exist"
    for name in ("username", "email"):
        if name not in seen:
            yield f"The attribute '{name}' can not be removed"


def _complaints(attribute: Json, values: list[str]) -> Iterator[tuple[str, list[Any]]]:
    if len(values) > 1 and not attribute.get("multivalued"):
        yield "error-invalid-multivalued-size", [0, 1]
        return
    for validator, settings in (attribute.get("validations") or {}).items():
        for value in values:
            complaint = _complaint(validator, settings or {}, value)
            if complaint is not None:
                yield complaint


def _complaint(validator: str, settings: Json, value: str) -> tuple[str, list[Any]] | None:
    match validator:
        case "length":
            return _length(settings, value)
        case "email" if value and not _is_address(value):
            return "error-invalid-email", [value]
        case "username-prohibited-characters" if _FORBIDDEN_IN_NAMES.search(value):
            return "error-username-invalid-character", []
        case "person-name-prohibited-characters" if _FORBIDDEN_IN_PERSON_NAMES.search(value):
            return "error-person-name-invalid-character", []
        case "up-username-not-idn-homograph" if not all(_is_latin(letter) for letter in value):
            return "error-username-invalid-character", []
        case "options" if value not in settings.get("options", ()):
            return "error-invalid-value", [value]
        case "pattern" if not re.fullmatch(settings.get("pattern", ""), value):
            return settings.get("error-message") or "error-pattern-no-match", [value]
        case _:
            return None


def _is_address(text: str) -> bool:
    labels = text.rpartition("@")[2].split(".")
    return _EMAIL.fullmatch(text) is not None and all(len(label) <= _LONGEST_LABEL for label in labels)


def _length(settings: Json, value: str) -> tuple[str, list[Any]] | None:
    shortest, longest = settings.get("min"), settings.get("max")
    limits = [None if one is None else int(one) for one in (shortest, longest)]
    is_short = limits[0] is not None and len(value) < limits[0]
    if not is_short and not (limits[1] is not None and len(value) > limits[1]):
        return None
    if None not in limits:
        return "error-invalid-length", limits
    return f"error-invalid-length-too-{'short' if is_short else 'long'}", limits


def _is_latin(letter: str) -> bool:
    return not letter.isalpha() or unicodedata.name(letter, "").startswith("LATIN ")


ROUTES = (
    ("GET", "/users/profile", get_profile),
    ("PUT", "/users/profile", put_profile),
)
