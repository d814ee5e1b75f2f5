"""What is there, and what is odd there, in a Keycloak and a Proxmox VE that nobody manages yet. Pure.

Readings come in as values, findings go out as values; nothing is stored. What could not be read is None
and said so.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from controller.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from controller.keycloak_values import KeycloakUser
    from controller.proxmox_values import ProxmoxAccess, ProxmoxBackupJob, ProxmoxGuest

__all__ = [
    "Findings",
    "GuestFindings",
    "KeycloakReading",
    "PeopleFindings",
    "ProxmoxReading",
    "Reach",
    "found_guests",
    "found_people",
]

_ADMINISTRATION = "Permissions.Modify"


@dataclass(frozen=True)
class KeycloakReading:
    """A realm as it was read: members by role name (ids), `admins` the ids of those who administer it."""

    realm: str
    users: tuple[KeycloakUser, ...]
    members: Mapping[str, frozenset[str]]
    admins: frozenset[str]


@dataclass(frozen=True)
class ProxmoxReading:
    """A cluster as it was read; `jobs` is None where we may not read the backup jobs."""

    access: ProxmoxAccess
    guests: tuple[ProxmoxGuest, ...]
    jobs: tuple[ProxmoxBackupJob, ...] | None
    single_sign_on: frozenset[str]


@dataclass(frozen=True)
class PeopleFindings:
    """What is odd among the people of a realm; names are user names, sorted."""

    realm: str
    people: int
    enabled: int
    administrators: tuple[str, ...]
    administrators_without_second_factor: tuple[str, ...]
    disabled_with_rights: Mapping[str, tuple[str, ...]]
    without_email: tuple[str, ...]
    same_name: Mapping[str, tuple[str, ...]]
    roles_of_nobody: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """Somebody reaches guests: through the role, set on the path, to them or to one of their groups."""

    person: str
    role: str
    path: str
    group: str
    guests: tuple[int, ...]


@dataclass(frozen=True)
class GuestFindings:
    """What is odd about a cluster's guests and rights; guests as `vmid name`."""

    guests: int
    administrators: tuple[str, ...]
    without_owner: tuple[str, ...]
    without_backup: tuple[str, ...] | None
    direct_on_root: tuple[str, ...]
    disabled_with_rights: Mapping[str, tuple[str, ...]]
    reach: tuple[Reach, ...]


@dataclass(frozen=True)
class Findings:
    """Everything that look tells; `unobserved` names what could not be read, and why."""

    people: PeopleFindings | None = None
    guests: GuestFindings | None = None
    unobserved: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The findings as JSON."""
        return asdict(self)


def found_people(reading: KeycloakReading) -> PeopleFindings:
    """What is odd among the people of a realm. Everybody's default role counts as no right."""
    roles = _roles_by_user(reading)
    admins = [user for user in reading.users if user.id in reading.admins]
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for user in reading.users:
        if user.first_name and user.last_name:
            by_name[f"{user.first_name} {user.last_name}"].append(user.username)
    return PeopleFindings(
        realm=reading.realm,
        people=len(reading.users),
        enabled=sum(user.enabled for user in reading.users),
        administrators=_names(admins),
        administrators_without_second_factor=_names(
            user for user in admins if user.enabled and not user.totp
        ),
        disabled_with_rights={
            user.username: tuple(sorted(roles[user.id]))
            for user in sorted(reading.users, key=lambda one: one.username)
            if not user.enabled and roles.get(user.id)
        },
        without_email=_names(user for user in reading.users if not user.email),
        same_name={name: tuple(sorted(who)) for name, who in sorted(by_name.items()) if len(who) > 1},
        roles_of_nobody=tuple(sorted(role for role, ids in reading.members.items() if not ids)),
    )


def _roles_by_user(reading: KeycloakReading) -> Mapping[str, set[str]]:
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for role, ids in reading.members.items():
        for user_id in ids:
            roles[user_id].add(role)
    for user_id in reading.admins:
        roles[user_id].add("realm-admin")
    return roles


def _names(users: Iterable[KeycloakUser]) -> tuple[str, ...]:
    return tuple(sorted(user.username for user in users))


def found_guests(reading: ProxmoxReading, people: Sequence[KeycloakUser] = ()) -> GuestFindings:
    """What is odd about a cluster; `people` of Keycloak tell whose accounts are disabled there."""
    guests = tuple(guest for guest in reading.guests if not guest.is_template)
    reach = tuple(_reach(reading.access, guests))
    owned = {vmid for one in reach if one.path.startswith(("/vms/", "/pool/")) for vmid in one.guests}
    uncovered = (
        None
        if reading.jobs is None
        else tuple(_shown(guest) for guest in guests if not any(job.covers(guest) for job in reading.jobs))
    )
    return GuestFindings(
        guests=len(guests),
        administrators=tuple(sorted(_administrators(reading.access))),
        without_owner=tuple(_shown(guest) for guest in guests if guest.vmid not in owned),
        without_backup=uncovered,
        direct_on_root=tuple(
            f"{entry.kind} {entry.holder}: {entry.role}"
            for entry in reading.access.entries
            if entry.path == "/"
        ),
        disabled_with_rights=_disabled(reading, people),
        reach=reach,
    )


def _shown(guest: ProxmoxGuest) -> str:
    return f"{guest.vmid} {guest.name}".strip()


def _holders(access: ProxmoxAccess) -> dict[str, ProxmoxAccess]:
    """Everybody whom an entry is about, with a view of the access that holds their entries alone."""
    about: defaultdict[str, list[Any]] = defaultdict(list)
    for entry in access.entries:
        group = access.groups.get(entry.holder) if entry.kind == "group" else None
        for person in group.members if group is not None else (entry.holder,) if entry.kind == "user" else ():
            about[person].append(entry)
    return {person: replace(access, entries=tuple(entries)) for person, entries in sorted(about.items())}


def _reach(access: ProxmoxAccess, guests: Sequence[ProxmoxGuest]) -> Iterator[Reach]:
    """Who reaches which guests, as Proxmox itself decides it. Guests alike to a person are judged once."""
    for person, view in _holders(access).items():
        own_paths = {entry.path for entry in view.entries}
        alike: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for guest in guests:
            path = f"/vms/{guest.vmid}"
            pool = guest.pool if f"/pool/{guest.pool}" in own_paths else ""
            alike[path if path in own_paths else "", pool].append(guest.vmid)
        reached: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for (path, pool), vmids in alike.items():
            for verdict in explain(person, path or f"/vms/{vmids[0]}", view, pool=pool).verdicts:
                role = access.roles.get(verdict.entry.role)
                if verdict.counts and role is not None and role.privileges:
                    group = verdict.entry.holder if verdict.entry.kind == "group" else ""
                    reached[verdict.entry.role, verdict.entry.path, group] += vmids
        for (role_name, path, group), vmids in sorted(reached.items()):
            yield Reach(person, role_name, path, group, tuple(sorted(vmids)))


def _administrators(access: ProxmoxAccess) -> Iterator[str]:
    """Those who may give rights away on everything; root@pam may without an entry."""
    if "root@pam" in access.users:
        yield "root@pam"
    for person, view in _holders(access).items():
        if person != "root@pam" and _ADMINISTRATION in explain(person, "/", view).held:
            yield person


def _disabled(reading: ProxmoxReading, people: Sequence[KeycloakUser]) -> dict[str, tuple[str, ...]]:
    """Accounts with entries that are disabled here, or whose owner is disabled in Keycloak."""
    away = {user.username for user in people if not user.enabled}
    found: dict[str, tuple[str, ...]] = {}
    for person, view in _holders(reading.access).items():
        account = reading.access.users.get(person)
        name, _, realm = person.rpartition("@")
        is_away = name in away and realm in reading.single_sign_on
        if is_away or (account is not None and not account.enabled):
            found[person] = tuple(sorted(f"{entry.role} on {entry.path}" for entry in view.entries))
    return found
