"""One admin call on its way through the simulated Keycloak."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal
from lab.keycloak.shapes import shaped
from lab.keycloak.things import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from multidict import MultiMapping

    from lab.keycloak.model import Keycloak, Realm
    from lab.keycloak.shapes import Shape
    from lab.keycloak.things import Client, Group, Role, User

__all__ = ["DEFAULT_PAGE", "Actor", "Call"]

DEFAULT_PAGE = 100
"""Objects a page where the caller names no `max`."""


@dataclass(frozen=True)
class Actor:
    """Whose token it is: the account, its realm, and the id of the client that it logged in by."""

    realm: Realm
    user: User
    client: str


@dataclass(frozen=True)
class Call:
    """Who asks for what in which realm.

    `url` is the address that the server was reached by, `names` are the variable parts of the path, `body`
    is the parsed JSON, `text` the same as it came.
    """

    keycloak: Keycloak
    realm: Realm
    actor: Actor
    rights: frozenset[str]
    url: str
    names: Mapping[str, str]
    query: MultiMapping[str]
    body: Any = None
    text: str = field(default="", repr=False)

    def require(self, *any_of: str) -> None:
        """Go on only for an actor with one of these rights. Raises `Refusal` 403."""
        if self.rights.isdisjoint(any_of):
            raise Refusal(403, error="HTTP 403 Forbidden")

    def given(self, shape: Shape) -> dict[str, Any]:
        """The body as this representation, without what is null. Raises `Refusal` 400."""
        return shaped(shape, self.body, self.text)

    def record(
        self, operation: str, resource_type: str, path: str | None, *, of: Any = None, **details: str | None
    ) -> None:
        """Note a write, where the realm wants them noted; `of` is shown where it wants details."""
        settings = self.realm.settings
        if settings["adminEventsEnabled"]:
            shown = of is not None and settings["adminEventsDetailsEnabled"]
            event = Event(
                id=self.keycloak.new_id(),
                time_ms=self.keycloak.now_ms(),
                operation=operation,
                resource_type=resource_type,
                resource_path=path,
                actor_realm=self.actor.realm.name,
                actor=self.actor.user.id,
                client=self.actor.client,
                representation=json.dumps(of, separators=(",", ":")) if shown else "",
                details={name: text for name, text in details.items() if text},
            )
            self.realm.events.appendleft(event)

    def is_asked(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query."""
        return self.query.get(name, str(default)).lower() == "true"

    def number(self, name: str, otherwise: int | None = None) -> int | None:
        """A number of the query. Raises `Refusal` 404 for something else, as the server does."""
        try:
            return int(self.query[name]) if name in self.query else otherwise
        except ValueError as error:
            raise Refusal(404, error="HTTP 404 Not Found") from error

    def paged(self, items: Iterable[Any], default_size: int | None) -> list[Any]:
        """The part of `items` that `first` and `max` ask for; a negative `max` asks for all."""
        first, size = max(self.number("first", 0) or 0, 0), self.number("max", default_size)
        every = list(items)
        return every[first:] if size is None or size < 0 else every[first : first + size]

    def user(self) -> User:
        """The user that the path names by id. Raises `Refusal` 404."""
        found = self.realm.users.get(self.names["user"])
        if found is None:
            raise Refusal(404, error="User not found")
        return found

    def group(self, otherwise: str = "Could not find group by id") -> Group:
        """The group that the path names by id. Raises `Refusal` 404."""
        found = self.realm.groups.get(self.names["group"])
        if found is None:
            raise Refusal(404, error=otherwise)
        return found

    def client(self) -> Client:
        """The client that the path names by id. Raises `Refusal` 404."""
        found = self.realm.clients.get(self.names["client"])
        if found is None:
            raise Refusal(404, error="Could not find client")
        return found

    def role(self) -> Role:
        """The realm role that the path names, by name or by id. Raises `Refusal` 404."""
        if "role" in self.names:
            named = self.realm.roles.get(self.names["role"])
            if named is None:
                raise Refusal(404, error="Could not find role")
            return named
        found = self.realm.roles_by_id.get(self.names["role_id"])
        if found is None:
            raise Refusal(404, error="Could not find role with id")
        return found
