"""One admin call on its way through the simulated Keycloak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal
from lab.keycloak.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.keycloak.model import Keycloak, Realm, Role, User

__all__ = ["Call"]


@dataclass(frozen=True)
class Call:
    """Who asks for what in which realm.

    `names` are the variable parts of the path, `body` the parsed JSON.
    """

    keycloak: Keycloak
    realm: Realm
    actor_realm: str
    actor: str
    rights: frozenset[str]
    names: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None

    def require(self, *any_of: str) -> None:
        """Go on only for an actor with one of these rights. Raises `Refusal` 403."""
        if self.rights.isdisjoint(any_of):
            raise Refusal(403, error="HTTP 403 Forbidden")

    def record(self, operation: str, resource_type: str, path: str) -> None:
        """Note a write, where the realm wants them noted."""
        if self.realm.settings["adminEventsEnabled"]:
            event = Event(
                id=self.keycloak.new_id(),
                time_ms=self.keycloak.now_ms(),
                operation=operation,
                resource_type=resource_type,
                resource_path=path,
                actor_realm=self.actor_realm,
                actor=self.actor,
            )
            self.realm.events.appendleft(event)

    def is_asked(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the query."""
        return self.query.get(name, str(default)).lower() == "true"

    def paged(self, items: Iterable[Any], default_size: int | None) -> list[Any]:
        """The part of `items` that `first` and `max` ask for; a negative `max` asks for all."""
        try:
            first = max(int(self.query.get("first", 0)), 0)
            size = int(self.query["max"]) if "max" in self.query else default_size
        except ValueError as error:
            raise Refusal(404, error="HTTP 404 Not Found") from error
        every = list(items)
        return every[first:] if size is None or size < 0 else every[first : first + size]

    def user(self) -> User:
        """The user that the path names by id. Raises `Refusal` 404."""
        found = self.realm.users.get(self.names["user"])
        if found is None:
            raise Refusal(404, error="User not found")
        return found

    def role(self) -> Role:
        """The realm role that the path names, by name or by id. Raises `Refusal` 404."""
        if "role" in self.names:
            named = self.realm.roles.get(self.names["role"])
            if named is None:
                raise Refusal(404, error="Could not find role")
            return named
        found = self.realm.all_roles().get(self.names["role_id"])
        if found is None:
            raise Refusal(404, error="Could not find role with id")
        return found
