"""People in Keycloak: their account, their roles, their second factor. A user is ours by our mark.

Fields that the policy does not give are left alone; roles are always managed, as far as the roles are
ours: a role that the policy takes away is taken. A name that vanishes from the policy is disabled on that
day, its sessions ended, and deleted once limits.delete_after has passed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from controller.plan.brakes import ACTIVE_USERS, ADMINS, EVERY_ADMIN, OURSELVES
from controller.plan.change import Change, delete, update
from controller.plan.plan import Gap, Report
from controller.resources.addresses import held_addresses, in_turn
from controller.resources.administration import OTHER_WAY
from controller.resources.ownership import Rules, compare
from controller.resources.people import CLAIMED, SECTION, SeenUsers, User, aligned, desired, narrowed
from controller.resources.resource import Context, Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.plan.change import Fields

__all__ = ["SECTION", "SeenUsers", "User", "desired", "diff"]

_GRANTS = "grants"
_MOST_NAMED = 3


def diff(observed: SeenUsers, desired: Mapping[str, User], context: Context) -> Difference:
    """What to create, alter and delete; as prunes, what becomes of people who are no longer in the policy."""
    federated = {name for name, user in observed.users.items() if user.federated}
    present = {
        name: aligned(user, observed.users.get(name), observed)
        for name, user in desired.items()
        if not user.absent and name not in federated
    }
    seen = {name: narrowed(user, present.get(name)) for name, user in observed.users.items()}
    rules = Rules(
        SECTION,
        "user",
        lambda _name, after: _needs(after, context),
        lambda *change: _removed(observed, *change),
    )
    changes, reported = compare(seen, present, context, rules)
    changes = in_turn([_explained(change, present[change.key].why) for change in changes])
    reported += held_addresses(changes, observed.users, context)
    ours = {
        name: user for name, user in seen.items() if user.owner == context.owner and name not in federated
    }
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
    reported += _unlisted_reports(unnamed, context) + _foreign_holders(observed, desired, context)
    reported += _open_invitations(seen, ours, context) + _not_given(observed, desired, context)
    reported += _foreign_and_unwanted(seen, desired, context) + _kept_elsewhere(federated, desired, context)
    populations = {
        SECTION: len(ours),
        _GRANTS: sum(len(user.roles) + len(user.teams) for user in ours.values()),
        ADMINS: len(observed.admins),
        ACTIVE_USERS: sum(user.enabled for user in ours.values()),
    }
    return Difference(
        tuple(changes),
        tuple(prunes),
        tuple(reported),
        populations,
        possessions=_all_possessions(seen, observed, context),
        gaps=tuple(_dropped_attributes(observed, desired, context)),
    )


def _all_possessions(
    seen: Mapping[str, User], observed: SeenUsers, context: Context
) -> Mapping[str, frozenset[str]]:
    """What the brakes hold: what protected people have, what our own account has, and what every
    administrator hangs on, where there is none without it."""
    found = {name: _possessions(seen[name], context) for name in context.protected & seen.keys()}
    if observed.own:
        found[OURSELVES] = _identities(observed.own, context)
    if observed.admins and not any(OTHER_WAY in ways for ways in observed.admins.values()):
        found[EVERY_ADMIN] = _identities(observed.administering, context)
    return found


def _identities(names: Iterable[str], context: Context) -> frozenset[str]:
    return frozenset(f"{context.system}/{name}" for name in names)


def _possessions(user: User, context: Context) -> frozenset[str]:
    """What a protected person has: to delete it would take it from them."""
    return _identities(_edges_of(user.roles, user.teams), context)


def _edges_of(roles: Iterable[str], teams: Iterable[str]) -> frozenset[str]:
    return frozenset([f"roles/{role}" for role in roles] + [f"teams/{team}" for team in teams])


def _explained(change: Change, why: str) -> Change:
    """The change with the reason why an active person is disabled."""
    return (
        replace(change, reason=f"{change.reason}; {why}") if why and "enabled" in change.changed else change
    )


def _needs(after: Fields, context: Context) -> tuple[str, ...]:
    named = [f"roles/{role}" for role in _names(after, "roles")]
    named += [f"teams/{team}" for team in _names(after, "teams")]
    providers = [name.partition(".")[2] for name in after if name.startswith("links.")]
    named += [f"identity_providers/{alias}" for alias in providers]
    invitation = after.get("invitation")
    if isinstance(invitation, dict) and invitation["client"]:
        named.append(f"clients/{invitation['client']}")
    needed = [f"realm/{context.realm}", f"profile/{SECTION}", *named]
    return tuple(f"{context.system}/{name}" for name in needed)


def _names(fields: Fields, name: str) -> Iterable[str]:
    return fields[name]  # type: ignore[return-value]


def _removed(observed: SeenUsers, name: str, before: Fields, after: Fields | None) -> Mapping[str, int]:
    """What the brakes count of a change: a person who can no longer log in, roles and teams taken, an
    admin lost."""
    kept = after or {"enabled": False, "roles": (), "teams": ()}
    lost = [set(_names(before, name)) - set(_names(kept, name)) for name in ("roles", "teams")]
    counted = {_GRANTS: sum(map(len, lost))}
    if after is None or (before["enabled"] and not kept["enabled"]):
        counted[SECTION] = 1
        counted[ACTIVE_USERS] = int(bool(before["enabled"]))
    ways = observed.admins.get(name, frozenset())
    if ways and (SECTION in counted or not ways & _kept_ways(kept)):
        counted[ADMINS] = 1
    return {population: number for population, number in counted.items() if number}


def _kept_ways(kept: Fields) -> frozenset[str]:
    return _edges_of(_names(kept, "roles"), _names(kept, "teams")) | {OTHER_WAY}


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
    return [
        _disabling(name, user, observed, context)
        for name, user in unnamed.items()
        if user.enabled and not user.federated
    ]


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


def _foreign_holders(observed: SeenUsers, desired: Mapping[str, User], context: Context) -> list[Report]:
    """People who are not ours and have roles or teams that are: somebody gave them past the policy."""
    found: list[Report] = []
    for name, user in sorted(observed.users.items()):
        if user.owner == context.owner or (name in desired and desired[name].adopt):
            continue
        has = [f"holds our roles {', '.join(sorted(user.roles))}"] if user.roles else []
        has += [f"is in our teams {', '.join(sorted(user.teams))}"] if user.teams else []
        if has:
            pages = bool(user.roles or user.teams & observed.privileged_teams)
            text = f"is not ours and {' and '.join(has)}"
            found.append(Report(context.system, SECTION, name, text, pages=pages))
    return found


def _foreign_and_unwanted(
    seen: Mapping[str, User], desired: Mapping[str, User], context: Context
) -> list[Report]:
    """People whom the policy wants gone and who are not ours to delete."""
    text = (
        "is to be gone, and is not ours: adopt it first (adopt: true, state: disabled), or delete it by hand"
    )
    return [
        Report(context.system, SECTION, name, f"user {text}", source=wanted.source)
        for name, wanted in desired.items()
        if wanted.absent and name in seen and seen[name].owner != context.owner and not seen[name].federated
    ]


def _kept_elsewhere(federated: Iterable[str], desired: Mapping[str, User], context: Context) -> list[Report]:
    """People of the policy whose account comes from a directory, which a write of ours would reach."""
    text = "user comes from a directory (LDAP) that Keycloak draws on, and is left alone: alter it there"
    return [
        Report(context.system, SECTION, name, text, source=desired[name].source)
        for name in sorted(federated)
        if name in desired
    ]


def _not_given(observed: SeenUsers, desired: Mapping[str, User], context: Context) -> list[Report]:
    """Roles and teams that nobody gets, because this pass makes none: one report for each."""
    waiting: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, user in desired.items():
        for role in user.roles - observed.managed_roles if context.withholds("roles", of=SECTION) else ():
            waiting["roles", role].append(name)
        for team in user.teams - observed.managed_teams if context.withholds("teams", of=SECTION) else ():
            waiting["teams", team].append(name)
    return [
        Report(
            context.system,
            SECTION,
            "",
            f"{section.removesuffix('s')} {one} is not given to {_some(names)}: {section} are only reported,"
            " and there is none of ours",
            source=desired[names[0]].source,
        )
        for (section, one), names in sorted(waiting.items())
    ]


def _dropped_attributes(observed: SeenUsers, desired: Mapping[str, User], context: Context) -> list[Gap]:
    """Attributes that the policy gives and the server would drop without a word: a gap for each."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for name, user in desired.items():
        for attribute, values in user.attributes:
            if not values:
                continue
            if observed.kept_attributes is not None and attribute not in observed.kept_attributes:
                holders[attribute].append(name)
    return [
        Gap(
            context.system,
            SECTION,
            f"{desired[names[0]].places.get(attribute)}: attribute {attribute} of {_some(names)} is not set:"
            " the realm's user profile does not declare it, and Keycloak would drop it without a word",
            is_held=True,
        )
        for attribute, names in sorted(holders.items())
    ]


def _some(names: list[str]) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _open_invitations(seen: Mapping[str, User], ours: Iterable[str], context: Context) -> list[Report]:
    """Invitations of which nobody knows whether they went out: never sent again by us."""
    text = "nobody knows whether the invitation went out: look, and send the link by hand if it did not"
    return [
        Report(context.system, SECTION, name, text)
        for name in sorted(ours)
        if seen[name].invitation == CLAIMED
    ]
