"""A realm and a cluster read whole: requests per page, role and group, never per person (links aside)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from controller.errors import NotAllowed, NotThere
from controller.resources.ports import KeycloakReader
from controller.resources.settings_ports import SettingsReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from controller.keycloak_groups import KeycloakGroup, KeycloakLink
    from controller.keycloak_login_values import IdentityProvider, OidcClient
    from controller.keycloak_settings import Settings
    from controller.keycloak_values import KeycloakRole, KeycloakUser
    from controller.proxmox_values import ProxmoxAccess, ProxmoxOpenId, ProxmoxPool, ProxmoxResources

__all__ = ["ClusterWorld", "KeycloakWorld", "RealmReader", "read_cluster_world", "read_keycloak_world"]

_AT_ONCE = 200
"""People whose links are asked for before progress is told."""


class RealmReader(KeycloakReader, SettingsReader, Protocol):
    """One realm, read only."""

    def own_client(self) -> str:
        """The id of the client that we log in by, "" where we may not look it up."""
        ...


class ClusterReader(Protocol):
    """One Proxmox VE, read only."""

    def access(self) -> ProxmoxAccess:
        """Users, groups, roles and entries. Raises Unobserved where a part is hidden."""
        ...

    def resources(self) -> ProxmoxResources:
        """Guests, nodes, storages and pools."""
        ...

    def realm(self, name: str) -> ProxmoxOpenId | None:
        """A realm with its settings. Raises NotAllowed."""
        ...

    def pools(self) -> Mapping[str, ProxmoxPool]:
        """The pools with their comments."""
        ...


@dataclass(frozen=True)
class KeycloakWorld:
    """A realm: roles with what they include (`default_role` among them), people with roles and groups by id.

    `holders` and `members` hold ids of people, by the name of a role and the id of a group. `providers` is
    None where our account may not see the identity providers. `own` are the ids of the client and
    the person that we act as.
    """

    name: str
    settings: Settings
    default_role: str = ""
    roles: Mapping[str, KeycloakRole] = field(default_factory=dict)
    users: tuple[KeycloakUser, ...] = ()
    holders: Mapping[str, frozenset[str]] = field(default_factory=dict)
    groups: tuple[KeycloakGroup, ...] = ()
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, KeycloakLink]] = field(default_factory=dict)
    providers: tuple[IdentityProvider, ...] | None = ()
    clients: tuple[OidcClient, ...] = ()
    own: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ClusterWorld:
    """A cluster by its name in controller.yaml, with the realm behind the `@` of people there.

    `login` is that realm with its settings, None where there is none or our account may not see it.
    """

    name: str
    realm: str
    access: ProxmoxAccess
    resources: ProxmoxResources
    pools: Mapping[str, ProxmoxPool]
    login: ProxmoxOpenId | None = None


def read_keycloak_world(
    reader: RealmReader, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> KeycloakWorld:
    """The realm, its lists side by side; `progress` hears of how many people, of all, the links are known.

    Raises NotThere, NotAllowed, Unobserved.
    """
    realm, settings = reader.realm(), reader.settings()
    if realm is None or settings is None:
        raise NotThere(f"there is no realm {reader.realm_name}, or our account may not see it")
    with ThreadPoolExecutor(4, thread_name_prefix="import") as pool:
        users, groups = pool.submit(reader.users), pool.submit(reader.groups)
        providers, clients = pool.submit(_providers, reader), pool.submit(reader.clients)
        roles = {role.name: role for role in reader.roles(expand=lambda _role: True)}
        holders = pool.submit(reader.members, sorted(roles.keys() - {realm.default_role}))
        members = reader.group_members([group.id for group in groups.result()])
        # Accounts at identity providers are a request for each person: asked only where there can be any.
        people = [user.id for user in users.result()] if providers.result() else []
        links = dict(_links(reader, people, progress))
        return KeycloakWorld(
            name=realm.name,
            settings=settings,
            default_role=realm.default_role,
            roles=roles,
            users=users.result(),
            holders=holders.result(),
            groups=groups.result(),
            members=members,
            links=links,
            providers=providers.result(),
            clients=clients.result(),
            own=frozenset((reader.rights().user_id, reader.own_client())) - {""},
        )


def _links(
    reader: RealmReader, people: Sequence[str], progress: Callable[[int, int], None]
) -> Iterator[tuple[str, Mapping[str, KeycloakLink]]]:
    """The links of these people, some hundred side by side."""
    for start in range(0, len(people), _AT_ONCE):
        yield from reader.links(people[start : start + _AT_ONCE]).items()
        progress(min(start + _AT_ONCE, len(people)), len(people))


def _providers(reader: RealmReader) -> tuple[IdentityProvider, ...] | None:
    try:
        return reader.identity_providers()
    except NotAllowed:
        return None


def read_cluster_world(reader: ClusterReader, name: str, realm: str) -> ClusterWorld:
    """Rights, guests, pools, storages and nodes of a cluster. Raises Unobserved where a part is hidden."""
    with ThreadPoolExecutor(2, thread_name_prefix="import") as pool:
        resources, pools = pool.submit(reader.resources), pool.submit(reader.pools)
        access, login = reader.access(), _login(reader, realm)
        return ClusterWorld(name, realm, access, resources.result(), pools.result(), login)


def _login(reader: ClusterReader, realm: str) -> ProxmoxOpenId | None:
    try:
        return reader.realm(realm)
    except NotAllowed:
        return None
