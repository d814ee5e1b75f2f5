"""Taking over single objects: their entries as they are now, so that a plan only sets our mark.

A role or team that becomes ours is ours to give from then on: the people and teams of the policy that have
it now get it in the policy as well, or the next plan would take it from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from controller.errors import ControllerError, NotThere, Refused
from controller.importing.people import add_memberships, role_entries, team_entries, user_entries
from controller.importing.realm import client_entries, provider_entries
from controller.importing.saying import LeftOut
from controller.keycloak_login_values import is_own_client
from controller.policy.problems import did_you_mean, quoted
from controller.policy.teams import members
from controller.readings import BUILT_IN_ROLES
from controller.resources.proxmox_marks import owner_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.editing.workspace import Workspace
    from controller.importing.saying import Entries
    from controller.importing.world import ClusterWorld, KeycloakWorld
    from controller.policy.model import Policy
    from controller.policy.places import Value

__all__ = ["ADOPTABLE", "Target", "adopt", "targets_of"]

ADOPTABLE: Final = ("identity_providers", "roles", "teams", "users", "clients", "pools")
"""Sections whose objects carry our mark; an assignment on Proxmox is ours by the name of its role."""

_FILES: Final = {"users": "people.yaml"}
_PROVIDERS: Final = "identity_providers"
"""Stand in the section realm, one field deeper than the others."""


@dataclass(frozen=True)
class Target:
    """One object to take over, as SECTION/NAME says it."""

    section: str
    name: str

    def __str__(self) -> str:
        return f"{self.section}/{self.name}"


@dataclass(frozen=True)
class _Live:
    """What is there in the policy's words, whose each object is, and what no policy can say."""

    entries: Mapping[str, Entries]
    owners: Mapping[Target, str]
    left_out: LeftOut
    built_in: frozenset[Target] = frozenset()


def targets_of(words: Sequence[str]) -> list[Target]:
    """What SECTION/NAME words mean. Raises ControllerError."""
    found: list[Target] = []
    for word in words:
        section, slash, name = word.partition("/")
        if not slash or not name or section not in ADOPTABLE:
            meant = did_you_mean(section, ADOPTABLE)
            is_slip = bool(meant) and bool(slash)
            hint = (
                f"did you mean {meant}/{name}?"
                if is_slip
                else f"say {', '.join(f'{one}/NAME' for one in ADOPTABLE)}"
            )
            raise ControllerError(f"{quoted(word)} is nothing that can be adopted", hint=hint)
        found.append(Target(section, name))
    return found


def adopt(
    workspace: Workspace,
    targets: Sequence[Target],
    realm: KeycloakWorld | None,
    clusters: Sequence[ClusterWorld],
    *,
    file: str = "",
) -> None:
    """Put the entries of the targets into the policy, or `adopt: true` into those that are there.

    Nothing is written yet. Raises NotThere for what no system has, Refused for what is somebody's or cannot
    be said.
    """
    names = {section: {one.name for one in targets if one.section == section} for section in ADOPTABLE}
    live = _live(workspace, names, realm, clusters)
    for target in targets:
        entry = live.entries.get(target.section, {}).get(target.name)
        if entry is None:
            _refuse(target, live)
        _require_named(workspace, target, entry, names)
        _put(workspace, target, _strict(entry), file)
    if realm is not None:
        _keep_grants(workspace, names, realm)
        _keep_members(workspace, names, realm)


def _put(workspace: Workspace, target: Target, entry: Mapping[str, Value], file: str) -> None:
    is_there = target.name in _named(workspace.policy, target.section)
    if target.section == _PROVIDERS:
        path, value = ((target.name, "adopt"), True) if is_there else ((target.name,), dict(entry))
        workspace.set("realm", _PROVIDERS, path, value)
    elif is_there:
        workspace.set(target.section, target.name, ("adopt",), value=True)
    else:
        usual = _FILES.get(target.section, f"{target.section}.yaml")
        workspace.add(target.section, target.name, entry, workspace.file_for(target.section, file, usual))


def _named(policy: Policy, section: str) -> Mapping[str, object]:
    """The entries that the policy has in a section."""
    if section == _PROVIDERS:
        return policy.realm.identity_providers if policy.realm is not None else {}
    entries: Mapping[str, object] = getattr(policy, section)
    return entries


def _live(
    workspace: Workspace,
    names: Mapping[str, set[str]],
    realm: KeycloakWorld | None,
    clusters: Sequence[ClusterWorld],
) -> _Live:
    policy, left_out = workspace.policy, LeftOut()
    owner = policy.owner
    entries: dict[str, Entries] = {"pools": _pools(clusters)}
    owners = {
        Target("pools", name): owner_of(pool.comment) for one in clusters for name, pool in one.pools.items()
    }
    if realm is not None:
        roles, teams = policy.roles.keys() | names["roles"], policy.teams.keys() | names["teams"]
        providers = policy.realm.identity_providers if policy.realm is not None else ()
        users = user_entries(realm, providers, owner, left_out)
        add_memberships(realm, users, roles, teams)
        entries |= {
            "roles": role_entries(realm, owner, left_out),
            "teams": team_entries(realm, roles, policy.users.keys() | names["users"], owner, left_out),
            "users": users,
            "clients": client_entries(realm, owner, left_out),
            _PROVIDERS: provider_entries(realm, owner, left_out),
        }
        owners |= {Target(_PROVIDERS, one.alias): one.owner for one in realm.providers or ()}
        owners |= {Target("roles", name): role.owner for name, role in realm.roles.items()}
        owners |= {Target("teams", group.name): group.owner for group in realm.groups}
        owners |= {Target("users", user.username): user.owner for user in realm.users}
        owners |= {Target("clients", one.client_id): one.owner for one in realm.clients}
    return _Live(entries, owners, left_out, _built_in(realm) if realm is not None else frozenset())


def _built_in(realm: KeycloakWorld) -> frozenset[Target]:
    """What Keycloak makes for every realm."""
    roles = (name for name in realm.roles if name in BUILT_IN_ROLES or name == realm.default_role)
    clients = (one.client_id for one in realm.clients if is_own_client(one.client_id))
    return frozenset((*(Target("roles", one) for one in roles), *(Target("clients", one) for one in clients)))


def _pools(clusters: Sequence[ClusterWorld]) -> Entries:
    """The pools that one cluster alone has."""
    found: Entries = {}
    for cluster in clusters:
        for name, pool in cluster.pools.items():
            said: dict[str, Any] = {"cluster": cluster.name} if len(clusters) > 1 else {}
            said |= {"comment": text_of(pool.comment)} if text_of(pool.comment) else {}
            if sum(name in one.pools for one in clusters) == 1 and not owner_of(pool.comment):
                found[name] = {**said, "adopt": True}
    return found


def _refuse(target: Target, live: _Live) -> NoReturn:
    owner = live.owners.get(target)
    if owner:
        raise Refused(f"{target} belongs to {owner}", hint="only what nobody owns can be adopted")
    section = "realm" if target.section == _PROVIDERS else target.section
    for what, why in live.left_out.told.get(section, ()):
        if what in {target.name, f"{target.section}.{target.name}"} or what.endswith(f"/{target.name}"):
            raise Refused(f"no policy can say {target}: {why}")
    if target in live.built_in:
        raise Refused(f"{target} belongs to Keycloak itself: every realm has it")
    if target in live.owners:
        raise Refused(f"{target} is there more than once", hint="write its entry by hand")
    meant = did_you_mean(target.name, live.entries.get(target.section, {}))
    hint = f"did you mean {target.section}/{meant}?" if meant else ""
    raise NotThere(f"there is no {target} in the systems of controller.yaml", hint=hint)


def _require_named(
    workspace: Workspace, target: Target, entry: Mapping[str, Any], names: Mapping[str, set[str]]
) -> None:
    """What an object hangs on has to be in the policy, or to be adopted with it; and it is not ours yet."""
    needed = entry.get("includes", ()) if target.section == "roles" else ()
    if target.section == "teams" and "parent" in entry:
        needed = (entry["parent"],)
    known = _named(workspace.policy, target.section).keys() | names[target.section]
    missing = [f"{target.section}/{name}" for name in needed if name not in known]
    if missing:
        hint = f"adopt {' '.join(missing)} with it"
        raise Refused(f"{target} needs {', '.join(missing)}, which the policy does not name", hint=hint)


def _keep_grants(workspace: Workspace, names: Mapping[str, set[str]], realm: KeycloakWorld) -> None:
    """People and teams of the policy keep the adopted roles that they have."""
    policy = workspace.policy
    known = {user.id: user.username for user in realm.users}
    for role in sorted(names["roles"]):
        holders = {known.get(user_id, "") for user_id in realm.holders.get(role, ())}
        for name in sorted(holders & policy.users.keys()):
            _append(workspace, "users", name, "roles", role)
        for group in realm.groups:
            if role in group.roles and group.name in policy.teams:
                _append(workspace, "teams", group.name, "roles", role)
    default = realm.roles.get(realm.default_role)
    listed = policy.realm.default_roles if policy.realm is not None else ()
    added = sorted(
        names["roles"] & (default.includes or frozenset() if default else frozenset()) - set(listed)
    )
    if policy.realm is not None and "default_roles" in policy.realm.model_fields_set and added:
        workspace.set("realm", "default_roles", (), (*listed, *added))


def _keep_members(workspace: Workspace, names: Mapping[str, set[str]], realm: KeycloakWorld) -> None:
    """People of the policy stay in the adopted teams that they are in."""
    policy, there = workspace.policy, members(workspace.policy)
    known = {user.id: user.username for user in realm.users}
    for group in realm.groups:
        if group.name not in names["teams"]:
            continue
        inside = {known.get(user_id, "") for user_id in realm.members.get(group.id, ())}
        for name in sorted((inside & policy.users.keys()) - there.get(group.name, frozenset())):
            _append(workspace, "users", name, "teams", group.name)


def _append(workspace: Workspace, section: str, name: str, field: str, item: str) -> None:
    items = workspace.items(section, name, field)
    if item not in items:
        workspace.set(section, name, (field,), (*items, item))


def _strict(entry: Any) -> dict[str, Value]:
    """Lists as tuples, the way values are spelt."""
    return {name: tuple(item) if isinstance(item, list) else item for name, item in entry.items()}
