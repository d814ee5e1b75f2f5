"""People in Proxmox VE: a `name@realm` for everybody who is assigned something of the cluster.

Logging in is the realm's business (Keycloak); the account here is what entries can name. It is ours by the
mark in its comment. Somebody who leaves the policy is disabled, which stops tickets and tokens at once, and
deleted after limits.delete_after; somebody who only lost the last machine keeps an account without rights.

Being in the group of a team is a field of the account, for groups that are ours alone; other groups of a
person stay. Who is in a group of ours without being one of these people is told, and wakes somebody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from controller.errors import Conflict, NotThere
from controller.plan.brakes import ACTIVE_USERS
from controller.plan.change import Change, Operation, Outcome, delete, freeze, update
from controller.proxmox_values import ProxmoxUser, UserPatch
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_groups import SECTION as TEAMS
from controller.resources.proxmox_holds import held_groups
from controller.resources.proxmox_marks import marked, marks_of, owner_of
from controller.resources.proxmox_membership import Team, owned_by, strangers, usable
from controller.resources.proxmox_people import GROUP_PREFIX, members_here, people_here
from controller.resources.proxmox_sight import require_users
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.people import User as Person
    from controller.policy.position import SourcePosition
    from controller.proxmox_values import ProxmoxGroup
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "SeenUsers", "User", "Wanted", "apply", "desired", "diff", "observe"]

SECTION = "users"


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
    teams: frozenset[str] = frozenset()
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
            "teams": sorted(self.teams),
        }


@dataclass(frozen=True)
class Wanted(Mapping[str, User]):
    """The people of the policy by name, and the teams that have a group on the cluster."""

    people: Mapping[str, User]
    teams: Mapping[str, Team]

    def __getitem__(self, name: str) -> User:
        return self.people[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.people)

    def __len__(self) -> int:
        return len(self.people)


@dataclass(frozen=True)
class SeenUsers:
    """All users and groups that there are, by Proxmox's names for them.

    `held` are the teams whose group others have something in: it stays without our people when the team goes.
    """

    users: Mapping[str, ProxmoxUser]
    groups: Mapping[str, ProxmoxGroup]
    held: frozenset[str] = frozenset()


def desired(policy: Policy, context: Context) -> Wanted:
    """The people of the policy as their accounts are to be today, whether they need one here or not."""
    assigned, members = people_here(policy, context), members_here(policy, context)
    theirs: dict[str, set[str]] = {}
    for team, people in members.items():
        for name in people:
            theirs.setdefault(name, set()).add(team)
    users = {
        name: replace(
            _wanted(name, person, policy, context),
            assigned=name in assigned,
            teams=frozenset(theirs.get(name, ())) if person.state != "absent" else frozenset(),
        )
        for name, person in policy.users.items()
    }
    is_made = policy.modes.get("teams") != "report"
    teams = {name: Team(people, policy.teams[name].adopt, is_made) for name, people in members.items()}
    return Wanted(users, teams)


def _wanted(name: str, person: Person, policy: Policy, context: Context) -> User:
    given = person.model_fields_set
    expired = person.expires is not None and person.expires < context.today
    suspended = name in context.overrides.suspended
    return User(
        userid=f"{name}@{context.realm}",
        owner=context.owner,
        enabled=person.state == "active" and not expired and not suspended,
        email=person.email if "email" in given else None,
        first_name=_column(person.first_name) if "first_name" in given else None,
        last_name=_column(person.last_name) if "last_name" in given else None,
        absent=person.state == "absent",
        adopt=person.adopt,
        source=policy.at(SECTION, name),
    )


def _column(text: str) -> str:
    """A text as Proxmox keeps it: without blanks at its ends, and never a zero alone."""
    kept = text.strip(" ")
    return "" if kept == "0" else kept


def observe(client: ProxmoxReader, context: Context) -> SeenUsers:
    """All users, of whatever realm, and all groups."""
    users, groups = client.users(), client.groups()
    require_users(client.rights(), context)
    return SeenUsers(users, groups, frozenset(held_groups(client, context)))


def diff(observed: SeenUsers, desired: Wanted, context: Context) -> Difference:
    """What to create, alter and delete; as prunes, what becomes of people whom the policy no longer names."""
    teams = usable(observed.groups, desired.teams, context)
    seen = _people(observed, teams | _emptied(observed, desired, context), context)
    present = {
        name: _aligned(replace(user, teams=user.teams & teams), seen.get(name))
        for name, user in desired.items()
        if not user.absent and (user.assigned or _is_ours(seen.get(name), context))
    }
    rules = Rules(
        SECTION,
        "account",
        depends_on=lambda _name, after: _groups_needed(after, context),
        removals=lambda _name, before, after: _removed(before, after),
    )
    changes, reported = compare(seen, present, context, rules)
    ours = {name: user for name, user in seen.items() if _is_ours(user, context)}
    changes += [
        _deletion(name, user, context, "policy wants the account gone")
        for name, user in ours.items()
        if name in desired and desired[name].absent
    ]
    left = {name: user for name, user in ours.items() if name not in desired}
    prunes = [prune for name, user in left.items() if (prune := _vanishing(name, user, context))]
    reported += strangers(observed.groups, desired.teams, teams, ours, context)
    populations = {
        SECTION: len(ours),
        "grants": sum(len(user.teams) for user in ours.values()),
        ACTIVE_USERS: sum(user.enabled for user in ours.values()),
    }
    return Difference(
        tuple(changes),
        tuple(prunes),
        tuple(reported),
        populations,
        possessions={name: owned_by(name, observed.groups, context) for name in context.protected},
    )


def _people(observed: SeenUsers, teams: frozenset[str], context: Context) -> dict[str, User]:
    """The users of the realm, by name; those of other realms are none of ours."""
    suffix = f"@{context.realm}"
    return {
        userid.removesuffix(suffix): _normal(user, teams)
        for userid, user in observed.users.items()
        if userid.endswith(suffix)
    }


def _emptied(observed: SeenUsers, desired: Wanted, context: Context) -> frozenset[str]:
    """The teams that the cluster has no use for any more, and whose group of ours stays for others."""
    return frozenset(
        team
        for team in observed.held
        if team not in desired.teams
        and (group := observed.groups.get(GROUP_PREFIX + team)) is not None
        and owner_of(group.comment) == context.owner
    )


def _groups_needed(after: Fields, context: Context) -> tuple[str, ...]:
    teams = after.get("teams")
    return tuple(f"{context.system}/{TEAMS}/{team}" for team in teams) if isinstance(teams, Sequence) else ()


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
    if freeze(_normal(seen, _teams_of(change)).fields()) != change.before:
        raise Conflict(f"the account {userid} is not what the plan has seen")
    if change.after is None:
        client.delete_user(userid)
    else:
        client.update_user(userid, _patch(seen, change, change.after))
    return applied(change)


def _teams_of(change: Change) -> frozenset[str]:
    """The teams that the change speaks of: other groups of the person are not looked at."""
    sides = [side["teams"] for side in (change.before, change.after) if side is not None]
    return frozenset(str(team) for teams in sides if isinstance(teams, tuple) for team in teams)


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
    """What the brakes count: an account that can no longer log in, and memberships that are taken."""
    is_out = before["enabled"] and not (after and after["enabled"])
    disabled = {SECTION: 1, ACTIVE_USERS: 1} if is_out else {}
    taken = set(_listed(before)) - set(_listed(after or {}))
    return {**disabled, **({"grants": len(taken)} if taken else {})}


def _listed(fields: Fields) -> tuple[str, ...]:
    teams = fields.get("teams", ())
    return tuple(str(team) for team in teams) if isinstance(teams, Sequence) else ()


def _vanishing(name: str, user: User, context: Context) -> Change | None:
    """The next step for somebody whom the policy no longer names: disabled today, deleted after the wait."""
    if user.enabled or user.teams or not user.vanished:
        # Whoever enabled the account since may need it: the wait begins anew.
        after = replace(user, enabled=False, vanished=context.today.isoformat(), teams=frozenset())
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


def _normal(seen: ProxmoxUser, teams: frozenset[str]) -> User:
    marks = marks_of(seen.comment)
    groups = {group.removeprefix(GROUP_PREFIX) for group in seen.groups if group.startswith(GROUP_PREFIX)}
    return User(
        userid=seen.userid,
        owner=marks.get("owner", ""),
        enabled=seen.enabled,
        email=seen.email.lower(),
        first_name=seen.first_name,
        last_name=seen.last_name,
        vanished=marks.get("vanished", ""),
        teams=frozenset(groups & teams),
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
        groups=tuple(GROUP_PREFIX + team for team in _listed(after)),
    )


def _patch(seen: ProxmoxUser, change: Change, after: Fields) -> UserPatch:
    changed = change.changed
    return UserPatch(
        enabled=bool(after["enabled"]) if "enabled" in changed else None,
        first_name=str(after["first_name"]) if "first_name" in changed else None,
        last_name=str(after["last_name"]) if "last_name" in changed else None,
        email=str(after["email"]) if "email" in changed else None,
        comment=_comment(seen.comment, after) if {"owner", "vanished"} & set(changed) else None,
        groups=_groups(seen, change, after) if "teams" in changed else None,
    )


def _groups(seen: ProxmoxUser, change: Change, after: Fields) -> tuple[str, ...]:
    """All groups of the person: Proxmox replaces the list, so what is not ours to take comes along."""
    known = {GROUP_PREFIX + team for team in _teams_of(change)}
    return tuple(sorted({*(set(seen.groups) - known), *(GROUP_PREFIX + team for team in _listed(after))}))


def _comment(comment: str, after: Fields) -> str:
    """The comment with our marks; what else somebody wrote there stays."""
    return marked(comment, owner=str(after["owner"]), vanished=str(after["vanished"]))
