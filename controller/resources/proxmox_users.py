"""People in Proxmox VE: a `name@realm` for everybody who is assigned a machine of the cluster.

Logging in is the realm's business (Keycloak); the account here is what entries can name. It is ours by the mark in
its comment. Somebody who leaves the policy is disabled, which stops tickets and tokens at once, and deleted after
limits.delete_after; somebody who only lost the last machine keeps an account that grants nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze, update
from controller.proxmox_values import ProxmoxUser
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_machines import machines_here
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.people import User as Person
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "User", "apply", "desired", "diff", "observe"]

SECTION = "users"
_MARK = re.compile(r"\s*\bsteward\.(owner|vanished)=([A-Za-z0-9._-]+)")
_MANAGED_TEXTS = ("email", "first_name", "last_name")


@dataclass(frozen=True)
class User:
    """What we manage of an account; None is a field that the policy leaves alone.

    `vanished` is the day (ISO 8601) on which the policy no longer named the person, "" while it does.
    """

    owner: str
    enabled: bool = True
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    vanished: str = ""
    assigned: bool = field(default=True, compare=False)
    absent: bool = field(default=False, compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {
            "owner": self.owner,
            "enabled": self.enabled,
            "email": self.email or "",
            "first_name": self.first_name or "",
            "last_name": self.last_name or "",
            "vanished": self.vanished,
        }


def desired(policy: Policy, context: Context) -> Mapping[str, User]:
    """The people of the policy as their accounts are to be today, whether they need one here or not."""
    machines = machines_here(policy, context).values()
    assigned = {name for machine in machines for name in machine.assigned.users}
    return {
        name: _wanted(name, person, policy, context, assigned=name in assigned)
        for name, person in policy.users.items()
    }


def _wanted(name: str, person: Person, policy: Policy, context: Context, *, assigned: bool) -> User:
    given = person.model_fields_set
    expired = person.expires is not None and person.expires < context.today
    return User(
        owner=context.owner,
        enabled=person.state == "active" and not expired,
        email=person.email if "email" in given else None,
        first_name=person.first_name if "first_name" in given else None,
        last_name=person.last_name if "last_name" in given else None,
        assigned=assigned,
        absent=person.state == "absent",
        adopt=person.adopt,
        source=policy.at(SECTION, name),
    )


def observe(client: ProxmoxReader, context: Context) -> Mapping[str, User]:
    """All users of the realm, by name; those of other realms are none of ours."""
    suffix = f"@{context.realm}"
    return {
        user.userid.removesuffix(suffix): _normal(user)
        for user in client.users()
        if user.userid.endswith(suffix)
    }


def diff(observed: Mapping[str, User], desired: Mapping[str, User], context: Context) -> Difference:
    """What to create, alter and delete; as prunes, what becomes of people whom the policy no longer names."""
    present = {
        name: _aligned(user, observed.get(name))
        for name, user in desired.items()
        if not user.absent and (user.assigned or _is_ours(observed.get(name), context))
    }
    rules = Rules(SECTION, "account", removals=lambda _name, before, after: _removed(before, after))
    changes, reported = compare(observed, present, context, rules)
    ours = {name: user for name, user in observed.items() if _is_ours(user, context)}
    changes += [
        _deletion(name, user, context, "policy wants the account gone")
        for name, user in ours.items()
        if name in desired and desired[name].absent
    ]
    left = {name: user for name, user in ours.items() if name not in desired}
    prunes = [prune for name, user in left.items() if (prune := _vanishing(name, user, context))]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one change of an account, where the account is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    if change.operation is Operation.CREATE:
        client.create_user(_stored(ProxmoxUser(change.object_id or _userid(change)), change))
        return applied(change)
    userid = change.object_id
    seen = next((user for user in client.users() if user.userid == userid), None)
    if seen is None:
        raise NotThere(f"the account {userid} is gone")
    if freeze(_normal(seen).fields()) != change.before:
        raise Conflict(f"the account {userid} is not what the plan has seen")
    if change.operation is Operation.DELETE:
        client.delete_user(userid)
    else:
        client.update_user(_stored(seen, change))
    return applied(change)
