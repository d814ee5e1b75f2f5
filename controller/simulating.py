"""What a person would see and may do under a policy, told from the policy alone. Pure.

No system is asked: what a policy does not say (entries of others in Proxmox's access control list, which
guests a set holds) is not in it. Overrides in force stand in the controller's store: who has it gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.entitlements import access_of, assignments, permissions_of, roles_of
from controller.errors import NotThere
from controller.policy.problems import did_you_mean, quoted
from controller.policy.teams import ancestors, teams_of
from controller.power_times import power_times
from controller.resources.overrides import Overrides

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from controller.entitlements import Access, Way
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.power_times import PowerTimes

__all__ = ["Account", "Seat", "Simulation", "TokenAccess", "simulate"]


_NO_OVERRIDES: Final = Overrides()


@dataclass(frozen=True)
class Account:
    """The account: whether it lets the person in on that day, and what it asks for.

    `why` says why not; `first_login` is what has to be done once, in Keycloak's words for it.
    """

    can_log_in: bool
    why: str
    expires: date | None
    second_factor: bool
    invited: bool
    first_login: tuple[str, ...]


@dataclass(frozen=True)
class Seat:
    """A team that the person is in, the teams above it (nearest first), and whether the person manages it."""

    team: str
    above: tuple[str, ...]
    is_member: bool
    is_manager: bool
    source: SourcePosition


@dataclass(frozen=True)
class TokenAccess:
    """What an API token of the person is assigned: at most what the person may is what it may."""

    token: str
    section: str
    name: str
    role: str
    source: SourcePosition


@dataclass(frozen=True)
class Simulation:
    """Everything that a policy gives to one person on one day."""

    user: str
    full_name: str
    email: str
    source: SourcePosition
    account: Account
    teams: tuple[Seat, ...]
    roles: Mapping[str, tuple[Way, ...]]
    permissions: Mapping[str, tuple[str, ...]]
    access: tuple[Access, ...]
    power: tuple[PowerTimes, ...]
    tokens: tuple[TokenAccess, ...]
    clients: Mapping[str, tuple[str, ...]]
    hosts: Mapping[str, bool]

    def to_json(self) -> dict[str, object]:
        """The simulation as JSON."""
        account = self.account
        return {
            "user": self.user,
            "name": self.full_name,
            "email": self.email,
            "source": str(self.source),
            "account": {
                "can_log_in": account.can_log_in,
                "why": account.why,
                "expires": None if account.expires is None else account.expires.isoformat(),
                "second_factor": account.second_factor,
                "invited": account.invited,
                "first_login": list(account.first_login),
            },
            "teams": [_seat_json(seat) for seat in self.teams],
            "roles": {role: [way.to_json() for way in ways] for role, ways in self.roles.items()},
            "api": {permission: list(roles) for permission, roles in self.permissions.items()},
            "access": [one.to_json() for one in self.access],
            "power": [one.to_json() for one in self.power],
            "tokens": [
                {"token": one.token, "section": one.section, "name": one.name, "role": one.role}
                for one in self.tokens
            ],
            "clients": {name: {"roles_claim": list(roles)} for name, roles in self.clients.items()},
            "hosts": {name: {"sudo": sudo} for name, sudo in self.hosts.items()},
        }


def simulate(policy: Policy, user: str, today: date, overrides: Overrides = _NO_OVERRIDES) -> Simulation:
    """What `user` sees and may do on the day `today`, under the `overrides` that are in force.

    Raises NotThere where the policy names nobody so.
    """
    if user not in policy.users:
        meant = did_you_mean(user, policy.users)
        question = f"; did you mean {quoted(meant)}?" if meant else ""
        raise NotThere(f"the policy names no user {quoted(user)}{question}")
    person = policy.users[user]
    roles, access = roles_of(policy, user), access_of(policy, user)
    places = dict.fromkeys((one.section, one.name) for one in access)
    return Simulation(
        user=user,
        full_name=f"{person.first_name} {person.last_name}".strip(),
        email=person.email,
        source=policy.at("users", user),
        account=_account(policy, user, today, overrides),
        teams=_seats(policy, user),
        roles=roles,
        permissions=permissions_of(policy, roles),
        access=access,
        power=power_times(policy, places, overrides),
        tokens=_tokens(policy, user),
        clients=_clients(policy, tuple(roles)),
        hosts={
            name: host.accounts[user].sudo for name, host in policy.hosts.items() if user in host.accounts
        },
    )


def _account(policy: Policy, user: str, today: date, overrides: Overrides) -> Account:
    person = policy.users[user]
    suspension = overrides.suspended.get(user)
    expired = person.expires is not None and person.expires < today
    reasons = {
        "disabled": "the policy disables the account",
        "absent": "the policy wants the account gone",
        "active": f"the account expired on {person.expires}" if expired else str(suspension or ""),
    }
    why = reasons[person.state]
    asked = list(person.required_actions)
    if person.invite and policy.realm is not None:
        asked += [action for action in policy.realm.invitation.actions if action not in asked]
    return Account(
        can_log_in=not why,
        why=why,
        expires=person.expires,
        second_factor=person.mfa == "required",
        invited=person.invite,
        first_login=tuple(asked),
    )


def _seats(policy: Policy, user: str) -> tuple[Seat, ...]:
    own = set(teams_of(policy, user))
    managed = {name for name, team in policy.teams.items() if user in team.managers}
    return tuple(
        Seat(
            team,
            ancestors(policy, team),
            is_member=team in own,
            is_manager=team in managed,
            source=_seat_source(policy, user, team),
        )
        for team in sorted(own | managed)
    )


def _seat_source(policy: Policy, user: str, team: str) -> SourcePosition:
    """The line that puts the person there."""
    entry = policy.teams[team]
    for field, names in (("members", entry.members), ("managers", entry.managers)):
        if user in names:
            return policy.at("teams", team, field, names.index(user))
    return policy.at("users", user, "teams", policy.users[user].teams.index(team))


def _seat_json(seat: Seat) -> dict[str, object]:
    return {
        "team": seat.team,
        "above": list(seat.above),
        "member": seat.is_member,
        "manager": seat.is_manager,
        "source": str(seat.source),
    }


def _tokens(policy: Policy, user: str) -> tuple[TokenAccess, ...]:
    return tuple(
        TokenAccess(token, section, name, role, policy.at(section, name, "assigned", "tokens", token))
        for section, name, assigned in assignments(policy)
        for token, role in assigned.tokens.items()
        if token.partition("!")[0] == user
    )


def _clients(policy: Policy, roles: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """The programs that everybody in the realm can log in to, with the roles that each is told of."""
    return {
        name: roles if client.roles_claim else ()
        for name, client in policy.clients.items()
        if client.enabled and (client.redirect or client.direct_grant)
    }
