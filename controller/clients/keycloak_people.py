"""People as Keycloak lists them: accounts, who holds a role, who is in a group, who comes by which provider.

Requests go by pages, side by side; what was not seen whole raises `Unobserved`. Every method may raise what
`keycloak` says of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.clients.keycloak_people_wire import LinkAnswer, ProfileAnswer
from controller.clients.keycloak_session import PAGE, KeycloakSession, bound, page_of, path_part
from controller.clients.keycloak_wire import NamedThing, UserAnswer
from controller.errors import NotThere, Unobserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controller.keycloak_groups import KeycloakLink
    from controller.keycloak_values import KeycloakUser

__all__ = ["PeopleReader"]

_KEEPS_ANY = frozenset({"ENABLED", "ADMIN_EDIT"})


class PeopleReader(KeycloakSession):
    """Reads the users of one realm."""

    def count_users(self) -> int:
        """How many users the realm has, service accounts aside."""
        return self._read("/users/count", int)

    def users(self) -> tuple[KeycloakUser, ...]:
        """All users, service accounts aside, in the order of their names; `roles` is empty (see `members`).

        Raises `Unobserved` where the number of users before, while and after reading was not the same.
        """
        before, first = self._side_by_side([self.count_users, lambda: self._user_page(0)])
        rest = self._side_by_side([bound(self._user_page, start) for start in range(PAGE, before, PAGE)])
        after = self.count_users() if rest else before
        found = {user.id: user for page in (first, *rest) for user in page}
        pages_say = sum(len(page) for page in (first, *rest))
        if not before == after == len(found) == pages_say:
            why = f"{before} users before, {pages_say} read, {len(found)} of them distinct, {after} after"
            raise Unobserved("keycloak", why, hint="somebody was writing: plan again")
        return tuple(found.values())

    def user(self, user_id: str) -> KeycloakUser:
        """One user by id. Raises `NotThere`."""
        return self._read(f"/users/{path_part(user_id)}", UserAnswer).value()

    def find_user(self, username: str) -> KeycloakUser | None:
        """One user by exact name, service accounts included."""
        found = self._read("/users", list[UserAnswer], username=username.lower(), exact="true")
        return found[0].value() if found else None

    def members(self, roles: Iterable[str]) -> dict[str, frozenset[str]]:
        """The ids of those who have each role directly, service accounts included.

        Nobody has a role that does not exist. Raises `Unobserved` where a list changed while it was read.
        """
        return self._listed({name: f"/roles/{path_part(name)}/users" for name in roles})

    def group_members(self, group_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """The ids of those who are in each group directly, service accounts included.

        Raises `Unobserved` where a list changed while it was read.
        """
        return self._listed({group_id: f"/groups/{path_part(group_id)}/members" for group_id in group_ids})

    def links(self, user_ids: Iterable[str]) -> dict[str, Mapping[str, KeycloakLink]]:
        """Whom identity providers know each of these users as, by the provider's alias; a request for each.

        No list of Keycloak's carries them. Raises `NotThere` where a user vanished.
        """
        ids = list(user_ids)
        answers = self._side_by_side([bound(self._links_of, one) for one in ids])
        return dict(zip(ids, answers, strict=True))

    def kept_attributes(self) -> frozenset[str] | None:
        """The attributes that the user profile declares; None where the server keeps any from administrators.

        Others are dropped on every write without a word.
        """
        profile = self._read("/users/profile", ProfileAnswer)
        if profile.unmanaged_attribute_policy in _KEEPS_ANY:
            return None
        return frozenset(attribute.name for attribute in profile.attributes)

    def _user_page(self, start: int) -> list[KeycloakUser]:
        page = self._read("/users", list[UserAnswer], briefRepresentation="false", **page_of(start))
        return [answer.value() for answer in page]

    def _links_of(self, user_id: str) -> Mapping[str, KeycloakLink]:
        path = f"/users/{path_part(user_id)}/federated-identity"
        return {link.identity_provider: link.value() for link in self._read(path, list[LinkAnswer])}

    def _listed(self, paths: Mapping[str, str]) -> dict[str, frozenset[str]]:
        """The ids in each list, which has any number of pages.

        Pages are asked for in rounds of one, one, two, four, …: a server takes as long to say that there is
        nothing behind the end as to answer a page, so that asking for many on the off chance is dear.
        """
        pages: dict[str, list[list[str]]] = {name: [] for name in paths}
        growing, width, start = list(paths), 1, 0
        while growing:
            places = [(name, start + step) for name in growing for step in range(width)]
            calls = [bound(self._member_page, paths[name], number * PAGE) for name, number in places]
            for (name, _), page in zip(places, self._side_by_side(calls), strict=True):
                pages[name].append(page)
            growing = [name for name in growing if len(pages[name][-1]) == PAGE]
            start += width
            width = start
        return {name: _whole(paths[name], listed) for name, listed in pages.items()}

    def _member_page(self, path: str, start: int) -> list[str]:
        try:
            page = self._read(path, list[NamedThing], briefRepresentation="true", **page_of(start))
        except NotThere:
            return []
        return [member.id for member in page]


def _whole(path: str, pages: Sequence[Sequence[str]]) -> frozenset[str]:
    """The ids of all pages, where none is there twice and no page is short before the last that holds any."""
    ids = [one for page in pages for one in page]
    distinct = frozenset(ids)
    full, rest = divmod(len(ids), PAGE)
    expected = [PAGE] * full + [rest]
    if len(distinct) != len(ids) or [len(page) for page in pages[: full + 1]] != expected[: len(pages)]:
        raise Unobserved("keycloak", f"{path} changed while it was read", hint="plan again")
    return distinct
