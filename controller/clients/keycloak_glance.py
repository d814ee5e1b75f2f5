"""One look at a realm: what several resources ask for is read once.

Only what is small and asked for by several is kept: the realm's settings, its roles and what they include,
its groups, clients and user profile. People and members are asked for once and are many; counts must be
asked anew, because they tell whether somebody wrote meanwhile.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from controller.clients.keycloak import KeycloakReader
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from controller.keycloak_groups import KeycloakGroup

__all__ = ["KeycloakGlance"]

T = TypeVar("T")

_SHARED = re.compile(r"(/roles(/[^/]+/composites)?|/clients|/users/profile|/identity-provider/instances)?")


class KeycloakGlance(KeycloakReader):
    """A reader for one observation, on the connections of the one it is made from, and ended with that."""

    def __init__(self, reader: KeycloakReader) -> None:
        # Not KeycloakSession.__init__, which would connect anew.
        self.__dict__.update(vars(reader))
        self._asked: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing: connections and threads are somebody else's."""

    def groups(self) -> tuple[KeycloakGroup, ...]:
        """All groups, as `KeycloakReader` reads them."""
        return self._once("groups", super().groups)

    def _get(self, path: str, kind: type[T], **query: str | int | Sequence[str]) -> T:
        def ask() -> T:
            return super(KeycloakGlance, self)._get(path, kind, **query)

        if not path.startswith(self._base) or not _SHARED.fullmatch(path.removeprefix(self._base)):
            return ask()
        return self._once((path, kind, tuple(sorted(query.items()))), ask)

    def _once(self, key: Hashable, ask: Callable[[], T]) -> T:
        """The answer of the first who asks; the others wait for it, errors included."""
        with self._lock:
            is_first = key not in self._asked
            answer = self._asked.setdefault(key, Future())
        if is_first:
            try:
                answer.set_result(ask())
            except ControllerError as error:
                answer.set_exception(error)
            except BaseException:
                answer.set_exception(ControllerError("the reading of it was broken off"))
                raise
        found: T = answer.result()
        return found
