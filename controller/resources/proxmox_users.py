"""People in Proxmox VE: a `name@realm` for everybody who is assigned a machine of the cluster.

Logging in is the realm's business (Keycloak); the account here is what entries can name. It is ours by the
mark in its comment. Somebody who leaves the policy is disabled, which stops tickets and tokens at once, and
deleted after limits.delete_after; somebody who only lost the last machine keeps an account without rights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze, update
from controller.proxmox_values import ProxmoxUser, UserPatch
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_machines import machines_here
from controller.resources.proxmox_sight import require_users
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.people import User as Person
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "User", "apply", "desired", "diff", "observe"]

SECTION = "users"
_MARK = re.compile(r"\s*\bsteward\.(owner|vanished)=([A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class User:
    """What we manage of an account; None is a field that the policy leaves alone.

    `vanished` is the day (ISO 8601) on which the policy no longer named the person, "" while it does.
    """

    userid: str
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
            "userid": self.userid,
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
        userid=f"{name}@{context.realm}",
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
    users = client.users()
    require_users(client.rights(), context)
    return {
        userid.removesuffix(suffix): _normal(user)
        for userid, user in users.items()
        if userid.endswith(suffix)
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
    if change.operation is Operation.CREATE and change.after is not None:
        client.create_user(_new(change.after))
        return applied(change)
    userid = change.object_id
    seen = client.users().get(userid)
    if seen is None:
        raise NotThere(f"the account {userid} is gone")
    if freeze(_normal(seen).fields()) != change.before:
        raise Conflict(f"the account {userid} is not what the plan has seen")
    if change.after is None:
        client.delete_user(userid)
    else:
        client.update_user(userid, _patch(seen, change.changed, change.after))
    return applied(change)


def _is_ours(user: User | None, context: Context) -> bool:
    return user is not None and user.owner == context.owner


def _aligned(wanted: User, seen: User | None) -> User:
    """Fields that the policy leaves alone are desired as they are."""
    current = seen or User(wanted.userid, owner="", email="", first_name="", last_name="")
    return replace(
        wanted,
        email=current.email if wanted.email is None else wanted.email,
        first_name=current.first_name if wanted.first_name is None else wanted.first_name,
        last_name=current.last_name if wanted.last_name is None else wanted.last_name,
    )


def _removed(before: Fields, after: Fields | None) -> Mapping[str, int]:
    """What the brakes count: an account that can no longer log in."""
    return {SECTION: 1} if before["enabled"] and not (after and after["enabled"]) else {}


def _vanishing(name: str, user: User, context: Context) -> Change | None:
    """The next step for somebody whom the policy no longer names: disabled today, deleted after the wait."""
    if user.enabled or not user.vanished:
        # Whoever enabled the account since may need it: the wait begins anew.
        after = replace(user, enabled=False, vanished=context.today.isoformat())
        return update(
            context.system,
            SECTION,
            name,
            user.fields(),
            after.fields(),
            reason=f"user left the policy: disabled, deleted after {context.delete_after_days} days",
            object_id=user.object_id,
            removals=_removed(user.fields(), after.fields()),
        )
    if _day(user.vanished) + timedelta(days=context.delete_after_days) <= context.today:
        return _deletion(name, user, context, f"user vanished from the policy on {user.vanished}")
    return None


def _day(text: str) -> date:
    """The day in a comment; one that somebody spoilt is far away, so that nothing is deleted for it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return date.max - timedelta(days=36_500)


def _deletion(name: str, user: User, context: Context, reason: str) -> Change:
    return delete(
        context.system,
        SECTION,
        name,
        user.fields(),
        reason=reason,
        object_id=user.object_id,
        removals=_removed(user.fields(), None),
    )


def _normal(seen: ProxmoxUser) -> User:
    marks = dict(_MARK.findall(seen.comment))
    return User(
        userid=seen.userid,
        owner=marks.get("owner", ""),
        enabled=seen.enabled,
        email=seen.email.lower(),
        first_name=seen.first_name,
        last_name=seen.last_name,
        vanished=marks.get("vanished", ""),
        object_id=seen.userid,
    )


def _new(after: Fields) -> ProxmoxUser:
    return ProxmoxUser(
        userid=str(after["userid"]),
        enabled=bool(after["enabled"]),
        first_name=str(after["first_name"]),
        last_name=str(after["last_name"]),
        email=str(after["email"]),
        comment=_comment("", after),
    )


def _patch(seen: ProxmoxUser, changed: Collection[str], after: Fields) -> UserPatch:
    return UserPatch(
        enabled=bool(after["enabled"]) if "enabled" in changed else None,
        first_name=str(after["first_name"]) if "first_name" in changed else None,
        last_name=str(after["last_name"]) if "last_name" in changed else None,
        email=str(after["email"]) if "email" in changed else None,
        comment=_comment(seen.comment, after) if {"owner", "vanished"} & set(changed) else None,
    )


def _comment(comment: str, after: Fields) -> str:
    """The comment with our marks; what else somebody wrote there stays."""
    marks = [f"steward.{name}={after[name]}" for name in ("owner", "vanished") if after[name]]
    return " ".join(filter(None, (_MARK.sub("", comment).strip(), *marks)))
