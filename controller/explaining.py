"""From words on a command line to an explanation: which account, guest and lines of the policy. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from controller.errors import NotThere
from controller.explain import Asked, explain
from controller.policy.problems import did_you_mean, quoted
from controller.policy.teams import ancestors, teams_of
from controller.resources.proxmox_acl import declared
from controller.resources.proxmox_clusters import cluster_of, entries_here
from controller.resources.proxmox_machines import Named, identify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.explain import Explanation
    from controller.policy.model import Policy
    from controller.proxmox_values import ProxmoxAccess, ProxmoxGuest, ProxmoxResources
    from controller.resources.proxmox_sets import Grant
    from controller.resources.resource import Context

__all__ = ["explain_assignment"]

_ROOTS = {"pool": "/pool", "storage": "/storage", "node": "/nodes"}


def explain_assignment(
    user: str,
    place: str,
    policy: Policy,
    context: Context,
    *,
    access: ProxmoxAccess,
    resources: ProxmoxResources,
) -> Explanation:
    """What `user` (a name of the policy, name@realm, or a token as jo!ci) may do on `place`, and why.

    `place` is a machine (its name, or a vmid), or `pool/NAME`, `storage/NAME`, `node/NAME`. Raises NotThere
    where there is none, PolicyErrors where a machine's name fits two guests.
    """
    path, pool = _path(place, policy, context, resources)
    name, mark, token = user.partition("!")
    owner = name if "@" in name and name not in policy.users else f"{name}@{context.realm}"
    person = owner.removesuffix(f"@{context.realm}")
    asked = {
        entry: Asked(one.grant.source, one.grant.by, _seat(person, one.grant, policy))
        for entry, one in declared(policy, resources, context).items()
    }
    found = explain(f"{owner}{mark}{token}", path, access, pool=pool, declared=asked)
    return replace(found, notes=(*found.notes, *_end_of_access(person, policy, context)))


def _end_of_access(person: str, policy: Policy, context: Context) -> Iterator[str]:
    """What the policy, or an override, says of the account itself: until when what follows can be used."""
    suspension = context.overrides.suspended.get(person)
    if suspension is not None:
        yield f"{person} is {suspension}"
    if person not in policy.users:
        return
    user = policy.users[person]
    if user.state != "active":
        place = policy.at("users", person, "state")
        yield f"the policy has the account {user.state} ({place.file}:{place.line})"
    elif user.expires is not None:
        place = policy.at("users", person, "expires")
        is_over = user.expires < context.today
        told = "the account expired on" if is_over else "the policy lets the account in until"
        yield f"{told} {user.expires} ({place.file}:{place.line})"


def _path(place: str, policy: Policy, context: Context, resources: ProxmoxResources) -> tuple[str, str]:
    """The path in Proxmox, and the pool that a guest is in."""
    kind, slash, name = place.partition("/")
    noun = kind.removesuffix("s")
    if not slash or noun not in _ROOTS:
        guest = _guest(place, policy, context, resources)
        return f"/vms/{guest.vmid}", guest.pool
    known = {
        "pool": {one.name for one in resources.pools},
        "storage": {one.name for one in resources.storages},
        "node": {one.name for one in resources.nodes},
    }[noun]
    if name not in known:
        meant = did_you_mean(name, known)
        question = f"; did you mean {quoted(f'{noun}/{meant}')}?" if meant else ""
        raise NotThere(f"{cluster_of(context)} has no {noun} {quoted(name)}{question}")
    return f"{_ROOTS[noun]}/{name}", ""


def _seat(person: str, grant: Grant, policy: Policy) -> str:
    """How the person is of the team that an entry is for: itself, or by a team below."""
    if grant.kind != "group" or grant.name not in policy.teams:
        return ""
    for team in teams_of(policy, person):
        if team == grant.name:
            return f"team {team}"
        if grant.name in ancestors(policy, team):
            return f"team {grant.name}, which {team} is part of"
    return f"team {grant.name}, which the policy does not put them in"


def _guest(machine: str, policy: Policy, context: Context, resources: ProxmoxResources) -> ProxmoxGuest:
    here = entries_here(policy.machines, context)
    by_vmid = {guest.vmid: guest for guest in resources.guests}
    if machine in here:
        named = Named(machine, here[machine].vmid, policy.at("machines", machine))
        vmid = identify([named], resources.guests, context)[0].get(machine)
    elif machine.isdecimal():
        vmid = int(machine)
    else:
        vmids = [guest.vmid for guest in resources.guests if guest.name == machine]
        vmid = vmids[0] if len(vmids) == 1 else None
    if vmid in by_vmid and vmid is not None:
        return by_vmid[vmid]
    meant = did_you_mean(machine, [*here, *(guest.name for guest in resources.guests)])
    question = f"; did you mean {quoted(meant)}?" if meant and meant != machine else ""
    raise NotThere(f"not exactly one guest is {quoted(machine)} on {cluster_of(context)}{question}")
