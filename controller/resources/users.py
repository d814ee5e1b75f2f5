"""People in Keycloak: their account, their roles, their second factor. A user is ours by our mark.

Fields that the policy does not give are left alone; roles are always managed, as far as the roles are
ours: a role that the policy takes away is taken. A name that vanishes from the policy is disabled on that
day, its sessions ended, and deleted once limits.delete_after has passed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from controller.plan.brakes import ACTIVE_USERS, ADMINS
from controller.plan.change import Change, delete, update
from controller.plan.plan import Report
from controller.resources.ownership import Rules, compare
from controller.resources.resource import Context, Difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.people import User as Wanted
    from controller.policy.position import SourcePosition

__all__ = ["SECTION", "SeenUsers", "User", "desired", "diff"]

SECTION = "users"
_GRANTS = "grants"


@dataclass(frozen=True)
class User:
    """What we manage of a person; None is a field that the policy leaves alone.

    `second_factor` is True when one is set up or asked for at the next login; `vanished` is the day (ISO
    8601) on which the name was no longer in the policy, "" while it is.
    """

    owner: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    enabled: bool = True
    roles: frozenset[str] = frozenset()
    second_factor: bool | None = None
    vanished: str = ""
    absent: bool = field(default=False, compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {
            "owner": self.owner,
            "email": self.email or "",
            "first_name": self.first_name or "",
            "last_name": self.last_name or "",
            "enabled": self.enabled,
            "roles": sorted(self.roles),
            "second_factor": bool(self.second_factor),
            "vanished": self.vanished,
        }


@dataclass(frozen=True)
class SeenUsers:
    """What was observed: users by name, with the roles that are ours to manage (`managed_roles`), and who of
    them may administer the realm (`admins`, names)."""

    users: Mapping[str, User]
    managed_roles: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()


def desired(policy: Policy, context: Context) -> Mapping[str, User]:
    """The people of the policy as their accounts are to be today."""
    return {name: _wanted(name, wanted, policy, context) for name, wanted in policy.users.items()}


def _wanted(name: str, wanted: Wanted, policy: Policy, context: Context) -> User:
    given = wanted.model_fields_set
    expired = wanted.expires is not None and wanted.expires < context.today
    return User(
        owner=context.owner,
        email=wanted.email if "email" in given else None,
        first_name=wanted.first_name if "first_name" in given else None,
        last_name=wanted.last_name if "last_name" in given else None,
        enabled=wanted.state == "active" and not expired,
        roles=frozenset(wanted.roles),
        second_factor=True if wanted.mfa == "required" else None,
        absent=wanted.state == "absent",
        adopt=wanted.adopt,
        source=policy.at(SECTION, name),
    )


def diff(observed: SeenUsers, desired: Mapping[str, User], context: Context) -> Difference:
    """What to create, alter and delete; as prunes, what becomes of people who are no longer in the policy."""
    seen = observed.users
    present = {
        name: _aligned(user, seen.get(name), observed.managed_roles)
        for name, user in desired.items()
        if not user.absent
    }
    rules = Rules(
        SECTION,
        "user",
        lambda _name, after: _needs(after, context),
        lambda *change: _removed(observed, *change),
    )
    changes, reported = compare(seen, present, context, rules)
    ours = {name: user for name, user in seen.items() if user.owner == context.owner}
    changes += [
        _deletion(name, user, observed, context, "policy wants the account gone")
        for name, user in ours.items()
        if name in desired and desired[name].absent
    ]
    prunes = [
        prune
        for name, user in ours.items()
        if name not in desired and (prune := _vanishing(name, user, observed, context))
    ]
    unnamed = {name: user for name, user in seen.items() if not user.owner and name not in desired}
    changes += _unlisted_changes(unnamed, observed, context)
    reported += _unlisted_reports(unnamed, context) + _foreign_holders(seen, desired, context)
    populations = {
        SECTION: len(ours),
        _GRANTS: sum(len(user.roles) for user in ours.values()),
        ADMINS: len(observed.admins),
        ACTIVE_USERS: sum(user.enabled for user in ours.values()),
    }
    return Difference(
        tuple(changes),
        tuple(prunes),
        tuple(reported),
        populations,
        possessions={name: _possessions(seen[name], context) for name in context.protected & seen.keys()},
    )


def _possessions(user: User, context: Context) -> frozenset[str]:
    """What a protected person has: to delete it would take it from them."""
    return frozenset(f"{context.system}/roles/{role}" for role in user.roles)


def _aligned(wanted: User, seen: User | None, managed_roles: frozenset[str]) -> User:
    """Fields that the policy leaves alone are desired as they are; roles that are not ours stay out of it."""
    current = seen or User(owner="", email="", first_name="", last_name="", second_factor=False)
    return replace(
        wanted,
        email=current.email if wanted.email is None else wanted.email,
        first_name=current.first_name if wanted.first_name is None else wanted.first_name,
        last_name=current.last_name if wanted.last_name is None else wanted.last_name,
        second_factor=current.second_factor if wanted.second_factor is None else wanted.second_factor,
        roles=wanted.roles & managed_roles,
    )


def _needs(after: Fields, context: Context) -> tuple[str, ...]:
    roles = after["roles"]
    needed = [f"{context.system}/roles/{role}" for role in roles]  # type: ignore[union-attr]
    return (f"{context.system}/realm/{context.realm}", f"{context.system}/profile/{SECTION}", *needed)


def _removed(observed: SeenUsers, name: str, before: Fields, after: Fields | None) -> Mapping[str, int]:
    """What the brakes count of a change: a person who can no longer log in, roles taken, an admin lost."""
    kept = after or {"enabled": False, "roles": ()}
    counted = {_GRANTS: len(set(before["roles"]) - set(kept["roles"]))}  # type: ignore[arg-type]
    if after is None or (before["enabled"] and not kept["enabled"]):
        counted[SECTION] = 1
        counted[ACTIVE_USERS] = int(bool(before["enabled"]))
        counted[ADMINS] = int(name in observed.admins)
    return {population: number for population, number in counted.items() if number}


def _vanishing(name: str, user: User, observed: SeenUsers, context: Context) -> Change | None:
    """The next step for somebody whom the policy no longer names: disabled today, deleted after the wait."""
    since = _day(user.vanished)
    if user.enabled or since is None:
        # Whoever enabled the account since may need it: the wait begins anew.
        after = replace(user, enabled=False, vanished=context.today.isoformat())
        return update(
            context.system,
            SECTION,
            name,
            user.fields(),
            after.fields(),
            reason=f"user left the policy: disabled, deleted after {context.delete_after_days} days",
            depends_on=(f"{context.system}/profile/{SECTION}",),
            object_id=user.object_id,
            removals=_removed(observed, name, user.fields(), after.fields()),
        )
    if since + timedelta(days=context.delete_after_days) <= context.today:
        return _deletion(name, user, observed, context, f"user vanished from the policy on {user.vanished}")
    return None


def _day(text: str) -> date | None:
    """The day that the mark says; None where it says none, or something that is no day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _deletion(name: str, user: User, observed: SeenUsers, context: Context, reason: str) -> Change:
    return delete(
        context.system,
        SECTION,
        name,
        user.fields(),
        reason=reason,
        object_id=user.object_id,
        removals=_removed(observed, name, user.fields(), None),
    )


def _unlisted_changes(unnamed: Mapping[str, User], observed: SeenUsers, context: Context) -> list[Change]:
    if context.unlisted != "disable":
        return []
    return [_disabling(name, user, observed, context) for name, user in unnamed.items() if user.enabled]


def _disabling(name: str, user: User, observed: SeenUsers, context: Context) -> Change:
    before, after = user.fields(), replace(user, enabled=False).fields()
    return update(
        context.system,
        SECTION,
        name,
        before,
        after,
        reason="no policy names the user, and unlisted users are to be disabled",
        object_id=user.object_id,
        removals=_removed(observed, name, before, after),
    )


def _unlisted_reports(unnamed: Mapping[str, User], context: Context) -> list[Report]:
    if not unnamed or context.unlisted == "disable":
        return []
    if context.unlisted == "count":
        return [Report(context.system, SECTION, "", f"{len(unnamed)} users that no policy names")]
    return [Report(context.system, SECTION, name, "no policy names this user") for name in sorted(unnamed)]


def _foreign_holders(seen: Mapping[str, User], desired: Mapping[str, User], context: Context) -> list[Report]:
    """People who are not ours and hold roles that are: somebody granted them past the policy."""
    return [
        Report(
            context.system,
            SECTION,
            name,
            f"is not ours and holds our roles {', '.join(sorted(user.roles))}",
            pages=True,
        )
        for name, user in sorted(seen.items())
        if user.owner != context.owner and user.roles and not (name in desired and desired[name].adopt)
    ]
