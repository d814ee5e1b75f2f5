"""What a realm recorded: writes of administrators, and what people changed of their own accounts.

Needs the right `view-events`. A realm that does not record them has none. Every method may raise what
`keycloak` says of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from controller.clients.keycloak_answers import MALFORMED
from controller.clients.keycloak_session import PAGE, KeycloakSession, page_of, path_part
from controller.clients.keycloak_wire import NamedThing, UserAnswer
from controller.errors import NotAllowed, NotThere
from controller.keycloak_values import AdminEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EventReader"]

_LISTS = ("/children", "groups")
"""How paths end where a group is made or moved; which one stands only in the details of the event."""


class _Actor(msgspec.Struct, frozen=True, rename="camel"):
    user_id: str = ""
    client_id: str = ""
    ip_address: str = ""


class _AdminEvent(msgspec.Struct, frozen=True, rename="camel"):
    """AdminEventRepresentation."""

    time: int
    operation_type: str
    resource_type: str
    resource_path: str = ""
    auth_details: _Actor = _Actor()
    representation: str | None = None

    def value(self) -> AdminEvent:
        """The event in our words."""
        return AdminEvent(
            time_ms=self.time,
            operation=self.operation_type,
            resource_type=self.resource_type,
            resource_path=self.resource_path,
            actor=self.auth_details.user_id,
            client=self.auth_details.client_id,
            address=self.auth_details.ip_address,
            object_id=_below(self.representation) if self.resource_path.endswith(_LISTS) else "",
        )


class _UserEvent(msgspec.Struct, frozen=True, rename="camel"):
    """EventRepresentation."""

    time: int
    type: str
    user_id: str = ""
    ip_address: str = ""

    def value(self) -> AdminEvent:
        """The event in our words: the person is the actor."""
        path = f"users/{self.user_id}"
        return AdminEvent(self.time, self.type, "USER", path, self.user_id, address=self.ip_address)


class _Object(msgspec.Struct, frozen=True):
    id: str = ""


class EventReader(KeycloakSession):
    """Reads the records of one realm."""

    def admin_events(
        self, *, kinds: Sequence[str] = (), start: int = 0, limit: int = PAGE
    ) -> tuple[AdminEvent, ...]:
        """The latest writes that the server recorded, newest first; of `kinds` of resources, or of all."""
        query = {"resourceTypes": list(kinds)} if kinds else {}
        page = self._read("/admin-events", list[_AdminEvent], **query, **page_of(start, limit))
        return tuple(event.value() for event in page)

    def own_events(self, *, types: Sequence[str], limit: int = PAGE) -> tuple[AdminEvent, ...]:
        """The latest events of these types that people caused themselves, newest first."""
        page = self._read("/events", list[_UserEvent], type=list(types), **page_of(0, limit))
        return tuple(event.value() for event in page)

    def own_client(self) -> str:
        """The id of the client that we log in by, "" where we may not look it up."""
        base = f"admin/realms/{quote(self._access.auth_realm, safe='')}"
        try:
            found = self._get(f"{base}/clients", list[NamedThing], clientId=self._access.client_id)
        except NotAllowed:
            return ""
        return found[0].id if found else ""

    def account_name(self, user_id: str) -> str:
        """The name of an account of this realm, or of the one that ours is in; "" where neither tells."""
        for realm in dict.fromkeys([self._realm, self._access.auth_realm]):
            path = f"admin/realms/{quote(realm, safe='')}/users/{path_part(user_id)}"
            try:
                return self._get(path, UserAnswer).username
            except (NotThere, NotAllowed):
                continue
        return ""


def _below(representation: str | None) -> str:
    """The id in what was written, which is there where the realm keeps details."""
    try:
        return msgspec.json.decode(representation or "{}", type=_Object).id
    except MALFORMED:
        return ""
