"""The folder that says what was read: a file for each section, with what was left out below. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from controller.editing.order import put_in_order
from controller.editing.tree import Collection, Entry, Tree
from controller.editing.values import node, scalar
from controller.editing.writing import write_tree
from controller.importing.logins import add_login
from controller.importing.machines import Known, place_entries, proxmox_roles
from controller.importing.people import add_memberships, role_entries, team_entries, user_entries
from controller.importing.realm import client_entries, realm_entry
from controller.importing.saying import Entries, LeftOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.importing.world import ClusterWorld, KeycloakWorld

__all__ = ["Imported", "imported"]

_MODES: Final = (
    "realm",
    "roles",
    "teams",
    "users",
    "clients",
    "machines.assigned",
    "pools",
    "storages",
    "nodes",
)
_NAMED: Final = 200
"""Things left out that a file names one by one; the rest is counted."""

_SETTINGS: Final = """\
Written by steward import: what was there, said as a policy. Nothing is enforced yet.

modes: a section in report mode is compared and told, and never changed. So the first plan is empty, and
shows what enforcing would do. When a section's report is what you want, take it out of modes, plan, and
apply: from then on Git decides.
owner: the mark that is set on everything this policy manages; controller.yaml must list it under owners.
The language is in docs/policy.md.
"""
_HEADERS: Final = {
    "realm": """\
The realm that people log in to. What is not written here stays as it is.
""",
    "roles": """\
What people may do. adopt: true takes over a role that nobody owns: our mark is set, the rest stays.
proxmox: the privileges of the role steward-NAME on Proxmox VE, which assignments give.
""",
    "teams": """\
People who get the same roles; who is in a team stands with the people (users.*.teams).
""",
    "users": """\
Who works here, a line each. Edit a line, and the next plan shows that change. A name that is taken out is
disabled, and deleted after limits.delete_after; state: disabled keeps somebody without rights to log in.
mfa: required stands with whoever has a second factor, or is asked for one at the next login.
""",
    "clients": """\
Programs that people log in to. Their secrets stay as they are; to have one set from a file, add
secret: {controller_file: /etc/steward/secrets/NAME}, and allow the folder in controller.yaml (secrets).
""",
    "machines": """\
Who may do what on which guest: assigned: {users: {NAME: ROLE}}; the number (vmid) decides which guest.
Applying gives the role steward-ROLE beside an older entry, which you then take out by hand.
Power is left alone until a machine has power: {state: …} or power: {schedule: …}.
""",
    "pools": """\
Pools, and who may do what on everything in them. Which guests are in a pool is left alone.
""",
    "storages": """\
Storages that people of this policy may use.
""",
    "nodes": """\
Nodes that people of this policy may do something on.
""",
}
_FILES: Final = {"users": "people"}
_ELSEWHERE: Final = {"assigned": "machines"}
"""What has no section of its own is told in the file of another."""


@dataclass(frozen=True)
class Imported:
    """A policy folder: texts by file name, and what was left out and why."""

    files: Mapping[str, str]
    left_out: tuple[str, ...]


def imported(
    owner: str, realm: KeycloakWorld | None, clusters: Sequence[ClusterWorld], *, issuer: str = ""
) -> Imported:
    """The folder that says what was read, under the ownership mark `owner`.

    `issuer` is the realm's address, by which clusters name it where people log in through it.
    """
    left_out = LeftOut()
    sections: dict[str, dict[str, Any]] = {}
    if realm is not None:
        sections = _keycloak(owner, realm, left_out)
    if clusters:
        _add_clusters(owner, clusters, sections, left_out)
        add_login(sections.get("clients", {}), clusters, issuer, owner, left_out)
    files = {"policy.yaml": _settings(owner)}
    told = _by_file(left_out)
    for section in _HEADERS:
        if sections.get(section) or section in told:
            name = f"{_FILES.get(section, section)}.yaml"
            files[name] = _text(section, sections.get(section, {}), told.get(section, []), realm)
    return Imported(files, tuple(left_out.lines()))


def _keycloak(owner: str, realm: KeycloakWorld, left_out: LeftOut) -> dict[str, dict[str, Any]]:
    roles = role_entries(realm, owner, left_out)
    realm_said = realm_entry(realm, roles, owner, left_out)
    users = user_entries(realm, realm_said.get("identity_providers", ()), owner, left_out)
    teams = team_entries(realm, roles, users, owner, left_out)
    add_memberships(realm, users, roles, teams)
    return {
        "realm": realm_said,
        "roles": roles,
        "teams": teams,
        "users": users,
        "clients": client_entries(realm, owner, left_out),
    }


def _add_clusters(
    owner: str, clusters: Sequence[ClusterWorld], sections: dict[str, dict[str, Any]], left_out: LeftOut
) -> None:
    """Put the clusters' sections beside the realm's, and into its roles what they give on Proxmox."""
    roles: Entries = sections.setdefault("roles", {})
    possible = proxmox_roles(clusters, left_out)
    known = Known(
        owner,
        people=frozenset(sections.get("users", {})),
        teams=frozenset(sections.get("teams", {})),
        roles=frozenset(possible),
    )
    places = place_entries(clusters, known, left_out)
    for name in sorted(places.roles):
        roles[name] = {**possible[name], **roles.get(name, {}), "proxmox": possible[name]["proxmox"]}
    sections |= places.sections


def _settings(owner: str) -> str:
    modes: dict[str, Any] = dict.fromkeys(_MODES, "report")
    return _written(_SETTINGS, {"version": 1, "owner": owner, "modes": modes}, [])


def _by_file(left_out: LeftOut) -> dict[str, list[tuple[str, str]]]:
    told: dict[str, list[tuple[str, str]]] = {}
    for section, ones in left_out.told.items():
        told.setdefault(_ELSEWHERE.get(section, section), []).extend(ones)
    return told


def _text(
    section: str, entries: Mapping[str, Any], told: Sequence[tuple[str, str]], realm: KeycloakWorld | None
) -> str:
    below = [f"# left out: {what}: {why}" for what, why in told[:_NAMED]]
    if len(told) > _NAMED:
        below.append(f"# left out: and {len(told) - _NAMED} more")
    if told:
        below.insert(
            0, f"# {len(told)} {'things' if len(told) > 1 else 'thing'} of what is there, no policy says:"
        )
    return _written(_HEADERS[section], {section: dict(entries)}, below, _secrets(section, entries, realm))


def _secrets(section: str, entries: Mapping[str, Any], realm: KeycloakWorld | None) -> Mapping[str, str]:
    """Comments for secrets that are there and never read, by the map that they would stand in."""
    if section != "realm" or realm is None:
        return {}
    where = "{controller_file: /etc/steward/secrets/NAME}   left as it is; needs secrets in controller.yaml"
    found = dict.fromkeys(entries.get("identity_providers", {}), f"# client_secret: {where}")
    return {**found, "mail": f"# password: {where}"} if entries.get("mail", {}).get("user") else found


def _written(
    header: str, sections: Mapping[str, Any], below: Sequence[str], secrets: Mapping[str, str] | None = None
) -> str:
    """A file in form: sections and entries in lines of their own, what an entry holds in brackets."""
    root = Collection(is_map=True, is_flow=False)
    for section, value in sections.items():
        made = node(_strict(value))
        if isinstance(made, Collection) and made.entries and section != "modes":
            made.is_flow = False
            _add_comments(made, secrets or {})
        root.entries.append(Entry(scalar(section), made))
    root.foot = list(below)
    tree = Tree([f"# {line}".rstrip() for line in header.splitlines()], root)
    put_in_order(tree)
    return write_tree(tree)


def _add_comments(made: Collection, secrets: Mapping[str, str]) -> None:
    for entry in made.entries:
        if not isinstance(entry.value, Collection) or entry.key is None:
            continue
        if entry.key.value in secrets:
            entry.value.foot.append(secrets[entry.key.value])
        elif entry.key.value == "identity_providers":
            _add_comments(entry.value, secrets)


def _strict(value: Any) -> Any:
    """Lists as tuples, the way values are spelt."""
    if isinstance(value, dict):
        return {name: _strict(item) for name, item in value.items()}
    return tuple(map(_strict, value)) if isinstance(value, list | tuple) else value
