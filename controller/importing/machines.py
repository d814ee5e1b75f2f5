"""Guests, pools, storages and nodes of Proxmox clusters in the policy's words, with who may do what. Pure.

Only what people of the policy may do is said, and what its teams may; entries of others stay as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.importing.saying import Entries, sayable
from controller.resources.proxmox_marks import owner_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from controller.importing.saying import LeftOut
    from controller.importing.world import ClusterWorld
    from controller.proxmox_values import ProxmoxEntry, ProxmoxRole

__all__ = ["Known", "Places", "place_entries", "proxmox_roles"]

_OURS = "steward-"
_ROOTS = {"pools": "/pool", "storages": "/storage", "nodes": "/nodes"}


@dataclass(frozen=True)
class Known:
    """Whom and what the policy can name."""

    owner: str
    people: frozenset[str]
    teams: frozenset[str]
    roles: frozenset[str]


@dataclass
class Places:
    """The sections about Proxmox, by name, and the roles that they use."""

    sections: dict[str, Entries] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)


def proxmox_roles(clusters: Sequence[ClusterWorld], left_out: LeftOut) -> Entries:
    """The roles that entries name, under their name without our prefix: the first cluster's privileges."""
    found: Entries = {}
    for cluster in clusters:
        for name in sorted({entry.role for entry in cluster.access.entries}):
            role = cluster.access.roles.get(name)
            ours = name.removeprefix(_OURS)
            if role is None or not role.privileges:
                continue
            if ours in found:
                _compare(ours, role, found, cluster, left_out)
                continue
            said = {"proxmox": list(role.privileges)}
            found[ours] = said if ours != name else {"description": f"as the Proxmox role {name}", **said}
    return sayable("roles", found, left_out)


def _compare(name: str, role: ProxmoxRole, found: Entries, cluster: ClusterWorld, left_out: LeftOut) -> None:
    """Tell where a role of the same name gives something else."""
    if set(role.privileges) != set(found[name]["proxmox"]):
        why = f"it has other privileges there than {name} has in the policy"
        left_out.add("roles", f"{role.name} of {cluster.name}", why)


def place_entries(clusters: Sequence[ClusterWorld], known: Known, left_out: LeftOut) -> Places:
    """The sections machines, pools, storages and nodes."""
    places = Places({name: {} for name in ("machines", *_ROOTS)})
    for cluster in clusters:
        marks = {"cluster": cluster.name} if len(clusters) > 1 else {}
        _add_machines(cluster, known, marks, places, left_out)
        for section in _ROOTS:
            _add_places(section, cluster, known, marks, places, left_out)
        _tell_the_rest(cluster, left_out)
    places.sections = {
        name: sayable(name, entries, left_out) for name, entries in places.sections.items() if entries
    }
    return places


def _add_machines(
    cluster: ClusterWorld, known: Known, marks: dict[str, Any], places: Places, left_out: LeftOut
) -> None:
    guests = [guest for guest in cluster.resources.guests if not guest.is_template]
    names = Counter(guest.name for guest in guests)
    machines = places.sections["machines"]
    for guest in sorted(guests, key=lambda one: one.vmid):
        numbered = f"{guest.name}-{guest.vmid}".lstrip("-")
        choices = [guest.name] if guest.name and names[guest.name] == 1 else []
        name = next(one for one in (*choices, numbered, f"{numbered}-{cluster.name}") if one not in machines)
        assigned = _assigned(f"/vms/{guest.vmid}", cluster, known, places, left_out)
        machines[name] = {**marks, "vmid": guest.vmid, **assigned}


def _add_places(
    section: str,
    cluster: ClusterWorld,
    known: Known,
    marks: dict[str, Any],
    places: Places,
    left_out: LeftOut,
) -> None:
    entries = places.sections[section]
    for name in _names(section, cluster):
        said: dict[str, Any] = dict(marks)
        if section == "pools":
            comment = cluster.pools[name].comment
            if owner_of(comment) not in {"", known.owner}:
                left_out.add(section, name, f"belongs to {owner_of(comment)}")
                continue
            said |= {"comment": text_of(comment)} if text_of(comment) else {}
        assigned = _assigned(f"{_ROOTS[section]}/{name}", cluster, known, places, left_out)
        if section != "pools" and not assigned:
            continue
        if name in entries:
            left_out.add(section, f"{name} of {cluster.name}", "another cluster has one of this name")
            continue
        entries[name] = {**said, **assigned, **({"adopt": True} if section == "pools" else {})}


def _names(section: str, cluster: ClusterWorld) -> list[str]:
    if section == "pools":
        return sorted(cluster.pools)
    listed = cluster.resources.storages if section == "storages" else cluster.resources.nodes
    return sorted({one.name for one in listed})


def _assigned(
    path: str, cluster: ClusterWorld, known: Known, places: Places, left_out: LeftOut
) -> dict[str, Any]:
    """Who has which role on a path; a person or team with two has the first, the others are told."""
    found: dict[str, dict[str, str]] = {}
    for entry in _on(path, cluster):
        role = entry.role.removeprefix(_OURS)
        kind, name, why = _holder(entry, cluster, known)
        why = why or ("" if role in known.roles else "the role has no privileges, or no policy can name it")
        taken = found.get(kind, {}).get(name)
        if not why and taken:
            why = f"{name} has {taken} there already"
        if why:
            told = f"{entry.path} ← {entry.kind} {entry.holder}: {entry.role}"
            left_out.add("assigned", told, why)
            continue
        found.setdefault(kind, {})[name] = role
        places.roles.add(role)
    return {"assigned": found} if found else {}


def _on(path: str, cluster: ClusterWorld) -> Iterator[ProxmoxEntry]:
    """The entries on a path; ours first, so that they are what the policy says."""
    entries = [entry for entry in cluster.access.entries if entry.path == path]
    yield from sorted(entries, key=lambda one: (not one.role.startswith(_OURS), one))


def _holder(entry: ProxmoxEntry, cluster: ClusterWorld, known: Known) -> tuple[str, str, str]:
    """Where an entry would stand, for whom, and why the policy cannot say it ("" where it can)."""
    if not entry.propagate:
        return "users", "", "it does not hold below the path, as assignments do"
    if entry.kind == "group":
        team = entry.holder.removeprefix(_OURS)
        return "teams", team, "" if team in known.teams else "there is no team of this name"
    person, _, realm = entry.holder.rpartition("@")
    if entry.kind == "token":
        return "tokens", "", "a token: its secret is known to nobody but its holder"
    if realm != cluster.realm:
        return "users", person, f"of the realm {realm}, not {cluster.realm}"
    return "users", person, "" if person in known.people else "no such account in Keycloak"


def _tell_the_rest(cluster: ClusterWorld, left_out: LeftOut) -> None:
    """Entries on places that no section has."""
    roots = ("/vms/", *(f"{root}/" for root in _ROOTS.values()))
    for entry in cluster.access.entries:
        if not entry.path.startswith(roots):
            told = f"{entry.path} ← {entry.kind} {entry.holder}: {entry.role}"
            left_out.add("assigned", told, "no section of the language is about this path")
