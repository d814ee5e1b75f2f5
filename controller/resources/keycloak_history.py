"""Who made objects of Keycloak what they are, as the realm's own records tell.

Of each object the newest write that touched what differs counts: where it was ours, nobody went past the
policy. Records are read newest first, a page at a time, until every change has its author, `PAGES` at most.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Protocol

from controller.errors import ControllerError
from controller.plan.change import ChangedBy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from controller.keycloak_values import AdminEvent, KeycloakRealm, KeycloakRights
    from controller.plan.change import Change

__all__ = ["PAGES", "HistoryReader", "authors"]

PAGES = 5
"""How many pages of the record one question reads at most."""

_PAGE = 1000
_MILLISECONDS = 1000
_MAPPINGS = ("REALM_ROLE_MAPPING", "CLIENT_ROLE_MAPPING")
_KINDS = {
    "realm": ("REALM",),
    "profile": ("USER_PROFILE", "REALM"),
    "identity_providers": ("IDENTITY_PROVIDER",),
    "roles": ("REALM_ROLE",),
    "default_roles": ("REALM_ROLE",),
    "teams": ("GROUP", *_MAPPINGS),
    "users": ("USER", "GROUP_MEMBERSHIP", *_MAPPINGS),
    "clients": ("CLIENT",),
}
"""What the record calls the resources behind each section; others have no history here."""

_SELF_SERVICE = (
    "UPDATE_PROFILE",
    "UPDATE_EMAIL",
    "VERIFY_EMAIL",
    "REMOVE_TOTP",
    "REMOVE_CREDENTIAL",
    "UPDATE_TOTP",
    "UPDATE_CREDENTIAL",
    "FEDERATED_IDENTITY_LINK",
    "REMOVE_FEDERATED_IDENTITY",
)


class HistoryReader(Protocol):
    """What of the Keycloak client this needs."""

    def rights(self) -> KeycloakRights:
        """Who we are."""
        ...

    def realm(self) -> KeycloakRealm | None:
        """The realm's settings."""
        ...

    def admin_events(
        self, *, kinds: Sequence[str] = (), start: int = 0, limit: int = 1000
    ) -> tuple[AdminEvent, ...]:
        """Writes of administrators, newest first."""
        ...

    def own_events(self, *, types: Sequence[str], limit: int = 1000) -> tuple[AdminEvent, ...]:
        """What people did to their own accounts, newest first."""
        ...

    def own_client(self) -> str:
        """The id of the client that we log in by."""
        ...

    def account_name(self, user_id: str) -> str:
        """The name of an account."""
        ...


def authors(reader: HistoryReader, changes: Sequence[Change]) -> Mapping[str, ChangedBy]:
    """By identity, who last wrote what the change is about, where it was not us.

    Raises `ControllerError` where the realm keeps no record, `NotAllowed` where we may not read it.
    """
    asked = [change for change in changes if change.section in _KINDS]
    realm = reader.realm() if asked else None
    if realm is None:
        return {}
    if not realm.admin_events:
        raise ControllerError(
            "the realm keeps no record of what administrators do", hint="realm.events.admin"
        )
    ours = reader.rights().user_id, reader.own_client()
    names = cache(reader.account_name)
    newest = _newest(asked, _record(reader, asked))
    return {identity: _told(event, names) for identity, event in newest.items() if not _is_ours(event, *ours)}


def _record(reader: HistoryReader, changes: Sequence[Change]) -> Iterator[Sequence[AdminEvent]]:
    """The record, newest first, a page at a time; what people did themselves comes with the first page."""
    kinds = sorted({kind for change in changes for kind in _KINDS[change.section]})
    own: tuple[AdminEvent, ...] = ()
    if any(change.section == "users" for change in changes):
        own = reader.own_events(types=_SELF_SERVICE)
    for number in range(PAGES):
        page = reader.admin_events(kinds=kinds, start=number * _PAGE, limit=_PAGE)
        yield sorted((*page, *own), key=lambda event: event.time_ms, reverse=True)
        own = ()
        if len(page) < _PAGE:
            return


def _newest(changes: Sequence[Change], record: Iterable[Sequence[AdminEvent]]) -> dict[str, AdminEvent]:
    """Of each change's object the newest event that touched what differs."""
    waiting: dict[str, list[Change]] = {}
    for change in changes:
        for name in _objects(change):
            waiting.setdefault(name, []).append(change)
    found: dict[str, AdminEvent] = {}
    for page in record:
        for event in page:
            for change in waiting.get(_subject(event), ()):
                if change.identity not in found and _touches(event, change):
                    found[change.identity] = event
        if len(found) == len(changes):
            break
    return found


def _objects(change: Change) -> tuple[str, ...]:
    """What the record may call the change's object: the kind of collection, and the id or name in it."""
    if change.section == "roles":
        return (f"role {change.object_id}", f"role called {change.key}")
    if change.section == "default_roles":
        return (f"role {change.object_id}",)
    if change.section in {"users", "teams", "clients"}:
        return (f"{'group' if change.section == 'teams' else change.section[:-1]} {change.object_id}",)
    return (f"provider {change.key}" if change.section == "identity_providers" else change.section,)


def _subject(event: AdminEvent) -> str:
    """The object of an event, in the words of `_objects`; "" for what no section is about."""
    head, *rest = event.resource_path.split("/")
    if event.resource_type == "USER_PROFILE":
        return "profile"
    if head == "groups" and event.object_id:
        return f"group {event.object_id}"
    if head in {"users", "groups", "clients"} and rest:
        return f"{head[:-1]} {rest[0]}"
    if head == "roles-by-id" and rest:
        return f"role {rest[0]}"
    if head == "roles" and rest:
        return f"role called {rest[0]}"
    if head == "identity-provider" and len(rest) > 1:
        return f"provider {rest[1]}"
    return "realm" if event.resource_type == "REALM" and not event.resource_path else ""


def _touches(event: AdminEvent, change: Change) -> bool:
    """Whether the event is of the kind that alters what differs: fields, roles, membership, links."""
    if change.section not in {"users", "teams"}:
        return True
    differing = set(change.changed)
    if event.resource_type in _MAPPINGS:
        return "roles" in differing
    if event.resource_type == "GROUP_MEMBERSHIP":
        return "teams" in differing
    links = any(name.startswith("links.") for name in differing)
    if "/federated-identity" in event.resource_path:
        return links
    return bool(differing - {"roles", "teams"} - {name for name in differing if name.startswith("links.")})


def _is_ours(event: AdminEvent, user_id: str, client_id: str) -> bool:
    """Whether it was us: our account, by the program that we log in as (a person may use the account too)."""
    return event.actor == user_id and (not client_id or not event.client or event.client == client_id)


def _told(event: AdminEvent, name: Callable[[str], str]) -> ChangedBy:
    actor = name(event.actor) or f"account {event.actor} of another realm"
    at = datetime.fromtimestamp(event.time_ms / _MILLISECONDS, UTC)
    return ChangedBy(actor, at, f"from {event.address}" if event.address else "")
