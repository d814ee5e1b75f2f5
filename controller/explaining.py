"""From words on a command line to an explanation: which account, guest and lines of the policy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import NotThere
from controller.explain import explain
from controller.policy.problems import did_you_mean, quoted
from controller.resources.proxmox_acl import declared
from controller.resources.proxmox_clusters import cluster_of, entries_here
from controller.resources.proxmox_machines import Named, identify

if TYPE_CHECKING:
    from controller.explain import Explanation
    from controller.policy.model import Policy
    from controller.proxmox_values import ProxmoxAccess, ProxmoxGuest, ProxmoxResources
    from controller.resources.resource import Context

__all__ = ["explain_assignment"]


def explain_assignment(
    user: str,
    machine: str,
    policy: Policy,
    context: Context,
    *,
    access: ProxmoxAccess,
    resources: ProxmoxResources,
) -> Explanation:
    """What `user` (a name of the policy, or name@realm) may do on `machine` (its name, or a vmid), and why.

    Raises NotThere where there is no such guest, PolicyErrors where its name fits two.
    """
    guest = _guest(machine, policy, context, resources)
    userid = user if "@" in user and user not in policy.users else f"{user}@{context.realm}"
    asked = declared(policy, resources, context)
    places = {entry: one.grant.source for entry, one in asked.items()}
    return explain(userid, f"/vms/{guest.vmid}", access, pool=guest.pool, declared=places)


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
