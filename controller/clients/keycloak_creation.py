"""Users made in bulk by partialImport: one transaction a request.

It gives no default role, creates roles that do not exist, and for one user in the way of another, or one
group that does not exist, it refuses the whole request and blames the wrong one: all of this is seen to
here. Every method may raise what `keycloak` says of its own.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from controller.clients.keycloak_accounts import AccountWriter
from controller.clients.keycloak_answers import decoded
from controller.clients.keycloak_groups import GroupReader
from controller.clients.keycloak_session import PAGE, page_of
from controller.clients.keycloak_wire import ImportAnswer, NamedThing, imported_user
from controller.errors import Conflict, ControllerError, NotThere, OutcomeUnknown
from controller.keycloak_values import CreatedUsers
from controller.secret_sources import no_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.keycloak_values import KeycloakUser
    from controller.secret_sources import Resolve

__all__ = ["BATCH", "IMPORTS_AT_ONCE", "PeopleCreator"]

BATCH = 50
"""Users a partialImport: one transaction, of which one bad user undoes the whole.

The server takes longer for each user the more of them are in one: 1,000 in requests of 500 took 4 s, in
requests of 50 half a second (26.7.3, 2 cores).
"""

IMPORTS_AT_ONCE = 4
"""More make it slower on a server of two cores, and leave no room for others."""


class PeopleCreator(AccountWriter, GroupReader):
    """Creates users of one realm."""

    def __init__(self, access: KeycloakAccess, realm: str, *, resolve: Resolve = no_secret) -> None:
        super().__init__(access, realm, resolve=resolve)
        self._imports = BoundedSemaphore(IMPORTS_AT_ONCE)

    def create_users(
        self, users: Sequence[KeycloakUser], *, on_batch: Callable[[CreatedUsers], None] | None = None
    ) -> CreatedUsers:
        """Create users with their attributes and roles, the realm's default role among them.

        `on_batch` hears of each request's users as they are done, from the calling thread. Raises nothing
        for a user that could not be created: `failed` says `Conflict` (name or e-mail in use, also twice in
        `users`), `NotThere` (a role, a group), `OutcomeUnknown` (observe again) or what else the server said.
        """
        paths = self._known_groups() if any(user.groups for user in users) else frozenset()
        sound, failed = _sorted_out(users, self._known_roles(), paths)
        total = CreatedUsers({}, failed)
        if failed and on_batch is not None:
            on_batch(total)
        default = self._default_role_name if sound else ""
        for done in self._created([replace(user, roles=user.roles | {default}) for user in sound]):
            total = CreatedUsers({**total.ids, **done.ids}, {**total.failed, **done.failed})
            if on_batch is not None:
                on_batch(done)
        return total

    def _known_roles(self) -> frozenset[str]:
        found: list[NamedThing] = []
        while len(found) % PAGE == 0:
            page = self._read("/roles", list[NamedThing], briefRepresentation="true", **page_of(len(found)))
            if not page:
                break
            found.extend(page)
        return frozenset(role.name for role in found)

    def _known_groups(self) -> frozenset[str]:
        return frozenset(group.path for group in self.groups_while_writing())

    def _created(self, users: Sequence[KeycloakUser]) -> Iterator[CreatedUsers]:
        """The users batch by batch; those of refused batches again, without the ones that are in the way."""
        refused: list[KeycloakUser] = []
        with ThreadPoolExecutor(IMPORTS_AT_ONCE) as threads:
            batches = _batches(users)
            for batch, done in zip(batches, threads.map(self._imported, batches), strict=True):
                if done is None:
                    refused.extend(batch)
                else:
                    yield done
            if refused:
                conflicts = self._conflicts(refused)
                yield CreatedUsers({}, conflicts)
                rest = [user for user in refused if user.username not in conflicts]
                yield from threads.map(self._imported_by_halves, _batches(rest))

    def _imported(self, batch: Sequence[KeycloakUser]) -> CreatedUsers | None:
        """One request; None where the server refuses the whole of it for a conflict of one."""
        body = {"ifResourceExists": "FAIL", "users": [imported_user(user) for user in batch]}
        try:
            with self._imports:
                sent = self._send("POST", f"{self._base}/partialImport", body)
            answer = decoded(sent, ImportAnswer)
        except Conflict:
            return None
        except ControllerError as error:
            return CreatedUsers({}, {user.username: error for user in batch})
        ids = {one.resource_name: one.id for one in answer.results if one.action == "ADDED"}
        lost = OutcomeUnknown("the server's answer does not name the user")
        return CreatedUsers(ids, {user.username: lost for user in batch if user.username not in ids})

    def _imported_by_halves(self, batch: Sequence[KeycloakUser]) -> CreatedUsers:
        """For what a list of users does not show, such as the name of a service account."""
        done = self._imported(batch)
        if done is not None:
            return done
        if len(batch) == 1:
            name = batch[0].username
            return CreatedUsers({}, {name: Conflict(f"the name or e-mail of {name} is in use")})
        middle = len(batch) // 2
        left, right = self._imported_by_halves(batch[:middle]), self._imported_by_halves(batch[middle:])
        return CreatedUsers({**left.ids, **right.ids}, {**left.failed, **right.failed})

    def _conflicts(self, users: Sequence[KeycloakUser]) -> dict[str, ControllerError]:
        """Who of them is in the way of somebody.

        The server's own answer names the wrong one for an e-mail.
        """
        try:
            present = self.users()
        except ControllerError as error:
            return {user.username: error for user in users}
        names, emails = {user.username for user in present}, {user.email for user in present if user.email}
        found: dict[str, ControllerError] = {}
        for user in users:
            if user.username in names:
                found[user.username] = Conflict(f"the user name {user.username} is in use")
            elif user.email in emails:
                found[user.username] = Conflict(f"the e-mail address of {user.username} is in use")
        return found


def _sorted_out(
    users: Sequence[KeycloakUser], known_roles: Collection[str], known_groups: Collection[str]
) -> tuple[list[KeycloakUser], dict[str, ControllerError]]:
    """Those to send, and those that would make the server refuse their neighbours or invent a role."""
    sound: list[KeycloakUser] = []
    failed: dict[str, ControllerError] = {}
    normal = [replace(user, username=user.username.lower(), email=user.email.lower()) for user in users]
    names = Counter(user.username for user in normal)
    emails = Counter(user.email for user in normal if user.email)
    for user in normal:
        if names[user.username] > 1 or emails[user.email] > 1:
            failed[user.username] = Conflict(f"the name or e-mail of {user.username} is asked for twice")
        elif unknown := sorted(user.roles - frozenset(known_roles)):
            failed[user.username] = NotThere(f"the role {unknown[0]} of {user.username} does not exist")
        elif lost := sorted(user.groups - frozenset(known_groups)):
            failed[user.username] = NotThere(f"the group {lost[0]} of {user.username} does not exist")
        else:
            sound.append(user)
    return sound, failed


def _batches(users: Sequence[KeycloakUser]) -> list[Sequence[KeycloakUser]]:
    return [users[start : start + BATCH] for start in range(0, len(users), BATCH)]
