"""Which users the filters of a query let through."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.things import User

__all__ = ["matching"]

_WORD = re.compile(r'"[^"]*"|\S+')


def matching(call: Call) -> Iterable[User]:
    """The users by name; asked for one name exactly, service accounts are found as well."""
    realm, query = call.realm, call.query
    is_exact = call.is_asked("exact")
    if is_exact and "username" in query:
        found = realm.users.get(realm.names.get(query["username"].lower(), ""))
        return () if found is None else (found,)
    if query.get("search", "").startswith("id:"):
        found = realm.users.get(query["search"].removeprefix("id:").strip())
        return () if found is None else (found,)
    users: Iterable[User] = realm.by_name() if "username" in query else realm.people()
    for test in _tests(call, is_exact=is_exact):
        users = [user for user in users if test(user)]
    return users


def _tests(call: Call, *, is_exact: bool) -> Iterable[Callable[[User], bool]]:
    query = call.query
    fields: dict[str, Callable[[User], str | None]] = {
        "username": lambda user: user.username,
        "email": lambda user: user.email,
        "firstName": lambda user: user.first_name,
        "lastName": lambda user: user.last_name,
    }
    for name, text_of in fields.items():
        if name in query:
            yield _has(text_of, query[name].lower(), is_exact=is_exact)
    for name, flag_of in {
        "enabled": lambda user: user.enabled,
        "emailVerified": lambda user: user.email_verified,
    }.items():
        if name in query:
            yield _is(flag_of, call.is_asked(name))
    for word in _WORD.findall(query.get("search", "")):
        yield _mentions(list(fields.values()), word.lower())
    for condition in query.get("q", "").split():
        name, _, value = condition.partition(":")
        yield _with_attribute(name, value)
    if "idpAlias" in query:
        yield _linked(query["idpAlias"], query.get("idpUserId"))


def _has(text_of: Callable[[User], str | None], part: str, *, is_exact: bool) -> Callable[[User], bool]:
    if is_exact:
        return lambda user: (text_of(user) or "").lower() == part
    return lambda user: part in (text_of(user) or "").lower()


def _is(flag_of: Callable[[User], bool], wanted: bool) -> Callable[[User], bool]:
    return lambda user: flag_of(user) is wanted


def _mentions(texts_of: list[Callable[[User], str | None]], word: str) -> Callable[[User], bool]:
    """A word in quotes is the whole text, another one its beginning, with `*` for any characters."""
    if word.startswith('"'):
        pattern = re.escape(word.strip('"'))
    else:
        pattern = ".*".join(re.escape(part) for part in word.split("*")) + ".*"
    compiled = re.compile(pattern, re.DOTALL)
    return lambda user: any(compiled.fullmatch((text(user) or "").lower()) for text in texts_of)


def _with_attribute(name: str, value: str) -> Callable[[User], bool]:
    return lambda user: value in user.attributes.get(name, ())


def _linked(alias: str, user_id: str | None) -> Callable[[User], bool]:
    def test(user: User) -> bool:
        link = user.links.get(alias)
        return link is not None and user_id in {None, link.get("userId")}

    return test
