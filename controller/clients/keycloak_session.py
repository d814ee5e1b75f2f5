"""One realm of one Keycloak over one connection: how everything that is read or written there gets sent.

Rooms of the admin interface (people, realm, clients) build on `KeycloakSession`, what writes on
`KeycloakSender` beside it; `KeycloakReader` and `KeycloakWriter` put them together.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from controller.clients.keycloak_answers import checked, decoded
from controller.clients.keycloak_connection import (
    MAX_CONNECTIONS,
    KeycloakConnection,
    WritingKeycloakConnection,
)
from controller.clients.keycloak_wire import NamedThing
from controller.errors import Conflict
from controller.secret_sources import Resolve, no_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Self

    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.clients.keycloak_wire import Json

__all__ = ["PAGE", "KeycloakSender", "KeycloakSession", "bound", "page_of", "path_part", "require"]

T = TypeVar("T")

PAGE = 1000
"""Objects a page; Keycloak's own default of 100 hides the rest."""


class KeycloakSession:
    """Reads of one realm; there is nothing in it that writes. Close it, or use it in a `with`."""

    def __init__(self, access: KeycloakAccess, realm: str) -> None:
        self._access = access
        self._realm = realm
        self._connection = self._connect(access)
        self._base = f"admin/realms/{quote(realm, safe='')}"
        self._threads = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="keycloak")

    @staticmethod
    def _connect(access: KeycloakAccess) -> KeycloakConnection:
        return KeycloakConnection(access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End our session on the server and our threads."""
        self._threads.shutdown()
        self._connection.close()

    @property
    def realm_name(self) -> str:
        """The realm that this client speaks of."""
        return self._realm

    def _read(self, path: str, kind: type[T], **query: str | int | Sequence[str]) -> T:
        return self._get(f"{self._base}{path}", kind, **query)

    def _get(self, path: str, kind: type[T], **query: str | int | Sequence[str]) -> T:
        return decoded(checked(self._connection.raw_get(path, **query)), kind)

    def _side_by_side(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """The results in the order of the calls.

        The first error ends it. Not to be used from inside a call.
        """
        if len(calls) == 1:
            return [calls[0]()]
        return list(self._threads.map(lambda call: call(), calls))


class KeycloakSender(KeycloakSession):
    """Writes to one realm; each is sent once. `resolve` turns references of the policy into secrets."""

    def __init__(self, access: KeycloakAccess, realm: str, *, resolve: Resolve = no_secret) -> None:
        super().__init__(access, realm)
        self._resolve = resolve

    @staticmethod
    def _connect(access: KeycloakAccess) -> KeycloakConnection:
        return WritingKeycloakConnection(access)

    def _raw(self, path: str) -> Json:
        return self._get(path, dict[str, Any])

    def _role_references(self, names: Collection[str]) -> list[Json]:
        """Realm roles as the server wants them named. Raises `NotThere`.

        Asked anew: a role made again under its name has another id.
        """
        found = [self._read(f"/roles/{path_part(name)}", NamedThing) for name in sorted(names)]
        return [{"id": role.id, "name": role.name} for role in found]

    def _send(self, method: str, path: str, body: object = None, **query: str | int) -> Any:
        data = b"" if body is None else msgspec.json.encode(body)
        send = {
            "POST": self._connection.raw_post,
            "PUT": self._connection.raw_put,
            "DELETE": self._connection.raw_delete,
        }[method]
        return checked(send(path, data, **query))


def require(still: Callable[[Any], bool] | None, live: Callable[[], Any], name: str) -> None:
    """Raise `Conflict` where `still` says that the live object is no longer what the plan saw."""
    if still is not None and not still(live()):
        raise Conflict(f"{name} is no longer what the plan saw", hint="plan again")


def bound(call: Callable[..., T], *arguments: Any) -> Callable[[], T]:
    """The call with its arguments, for later."""
    return lambda: call(*arguments)


def page_of(start: int, size: int = PAGE) -> dict[str, int]:
    """The query that asks for a page."""
    return {"first": start, "max": size}


def path_part(name: str) -> str:
    """A name as one part of a path, whatever characters it has."""
    return quote(name, safe="")
