"""People as the policy wants them and as they are seen: one shape for both, so that equality means no drift.

Fields that the policy does not give are left alone: `aligned` gives the wanted person what is there, and
`narrowed` keeps of a seen person what the policy speaks of. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.keycloak_groups import KeycloakLink
from controller.keycloak_values import Attributes, values_of
from controller.policy.teams import members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.plan.change import Fields, Json
    from controller.policy.model import Policy
    from controller.policy.people import User as Wanted
    from controller.policy.position import SourcePosition
    from controller.resources.resource import Context

__all__ = [
    "CLAIMED",
    "DUE",
    "SECTION",
    "SENT",
    "Invitation",
    "SeenUsers",
    "User",
    "aligned",
    "desired",
    "narrowed",
]

SECTION = "users"

DUE, CLAIMED, SENT = "due", "claimed", "sent"
"""How far an invitation is: wanted since the account was created; being sent, or nobody knows; sent."""

_NO_LINKS: Mapping[str, KeycloakLink] = MappingProxyType({})


@dataclass(frozen=True)
class Invitation:
    """A link by mail: what it leads through, for how long it is good, and where people go afterwards."""

    actions: tuple[str, ...]
    lifespan_seconds: int
    client: str = ""
    redirect: str = ""

    def fields(self) -> Fields:
        """The invitation as a plan shows it."""
        return {
            "actions": list(self.actions),
            "lifespan_seconds": self.lifespan_seconds,
            "client": self.client,
            "redirect": self.redirect,
        }


@dataclass(frozen=True)
class User:
    """What we manage of a person; None is a field that the policy leaves alone.

    `second_factor` is True when one is set up or asked for at the next login; `vanished` is the day (ISO
    8601) on which the name was no longer in the policy, "" while it is. `invitation` says how far it is, or
    is the one to send. `required_actions` are asked for at creation alone; `why` is said of `enabled`;
    `federated` accounts are kept elsewhere (LDAP) and never ours; `places` says where each attribute stands.
    """

    owner: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    enabled: bool = True
    roles: frozenset[str] = frozenset()
    second_factor: bool | None = None
    vanished: str = ""
    teams: frozenset[str] = frozenset()
    email_verified: bool | None = None
    attributes: Attributes = ()
    links: Mapping[str, KeycloakLink] = field(default_factory=lambda: _NO_LINKS)
    invitation: Invitation | str | None = None
    required_actions: tuple[str, ...] = field(default=(), compare=False)
    why: str = field(default="", compare=False)
    absent: bool = field(default=False, compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    federated: bool = field(default=False, compare=False)
    source: SourcePosition | None = field(default=None, compare=False)
    places: Mapping[str, SourcePosition] = field(default_factory=dict, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them; those that the policy does not speak of are left out."""
        fields: dict[str, Json] = {
            "owner": self.owner,
            "email": self.email or "",
            "first_name": self.first_name or "",
            "last_name": self.last_name or "",
            "enabled": self.enabled,
            "roles": sorted(self.roles),
            "second_factor": bool(self.second_factor),
            "vanished": self.vanished,
            "teams": sorted(self.teams),
        }
        if self.email_verified is not None:
            fields["email_verified"] = self.email_verified
        for name, values in self.attributes:
            fields[f"attributes.{name}"] = list(values) if len(values) > 1 else "".join(values)
        for alias, link in self.links.items():
            fields[f"links.{alias}"] = {"id": link.id, "name": link.name}
        if self.invitation is not None:
            told = self.invitation
            fields["invitation"] = told.fields() if isinstance(told, Invitation) else told
        if self.required_actions:
            fields["required_actions"] = list(self.required_actions)
        return fields


@dataclass(frozen=True)
class SeenUsers:
    """What was observed: users by name, with the roles and teams that are ours to manage, the teams that give
    roles of ours (`privileged_teams`), who of the users may administer the realm and how (`admins`, see
    `administration.Ways`), which attributes the server keeps (`kept_attributes`, None for all), what of ours
    makes administrators (`administering`), and what of ours our own account has (`own`).
    """

    users: Mapping[str, User]
    managed_roles: frozenset[str] = frozenset()
    admins: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    managed_teams: frozenset[str] = frozenset()
    privileged_teams: frozenset[str] = frozenset()
    kept_attributes: frozenset[str] | None = None
    administering: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


def desired(policy: Policy, context: Context) -> Mapping[str, User]:
    """The people of the policy as their accounts are to be today."""
    teams: defaultdict[str, set[str]] = defaultdict(set)
    for team, people in members(policy).items():
        for name in people:
            teams[name].add(team)
    invitation = _invitation(policy)
    return {
        name: _wanted(name, wanted, frozenset(teams[name]), invitation, policy, context)
        for name, wanted in policy.users.items()
    }


def _invitation(policy: Policy) -> Invitation | None:
    if policy.realm is None:
        return None
    told = policy.realm.invitation
    seconds = int(told.lives.total_seconds())
    return Invitation(told.actions, seconds, told.client or "", told.redirect)


def _wanted(
    name: str,
    wanted: Wanted,
    teams: frozenset[str],
    invitation: Invitation | None,
    policy: Policy,
    context: Context,
) -> User:
    given = wanted.model_fields_set
    why = _why_disabled(name, wanted, context)
    return User(
        owner=context.owner,
        email=wanted.email if "email" in given else None,
        first_name=wanted.first_name if "first_name" in given else None,
        last_name=wanted.last_name if "last_name" in given else None,
        enabled=wanted.state == "active" and not why,
        roles=frozenset(wanted.roles),
        second_factor=True if wanted.mfa == "required" else None,
        teams=teams,
        email_verified=wanted.email_verified,
        attributes=tuple(sorted((key, (text,) if text else ()) for key, text in wanted.attributes.items())),
        links={alias: KeycloakLink(link.id, link.name) for alias, link in sorted(wanted.links.items())},
        invitation=invitation if wanted.invite else None,
        required_actions=wanted.required_actions,
        why=why,
        absent=wanted.state == "absent",
        adopt=wanted.adopt,
        source=policy.at(SECTION, name),
        places={key: policy.at(SECTION, name, "attributes", key) for key in wanted.attributes},
    )


def _why_disabled(name: str, wanted: Wanted, context: Context) -> str:
    """Why the person is disabled although the policy calls it active; "" where it is not."""
    suspension = context.overrides.suspended.get(name)
    if suspension is not None:
        return str(suspension)
    if wanted.expires is not None and wanted.expires < context.today:
        return f"expired after {wanted.expires.isoformat()}"
    return ""


def aligned(wanted: User, seen: User | None, observed: SeenUsers) -> User:
    """What is wanted, with what is there in every field that the policy or the server leaves alone.

    Roles and teams that are not ours stay out of it, and so do attributes that the server would drop.
    """
    current = seen or User(owner="", email="", first_name="", last_name="", second_factor=False)
    kept = observed.kept_attributes
    return replace(
        wanted,
        email=current.email if wanted.email is None else wanted.email,
        first_name=current.first_name if wanted.first_name is None else wanted.first_name,
        last_name=current.last_name if wanted.last_name is None else wanted.last_name,
        second_factor=current.second_factor if wanted.second_factor is None else wanted.second_factor,
        roles=wanted.roles & observed.managed_roles,
        teams=wanted.teams & observed.managed_teams,
        attributes=tuple(pair for pair in wanted.attributes if kept is None or pair[0] in kept),
        links={alias: _named(link, current.links.get(alias)) for alias, link in wanted.links.items()},
        invitation=_next_invitation(wanted, seen),
        required_actions=() if seen else wanted.required_actions,
    )


def _named(wanted: KeycloakLink, seen: KeycloakLink | None) -> KeycloakLink:
    """The link with the name that is there where the policy gives none."""
    if wanted.name or seen is None or seen.id != wanted.id:
        return wanted if wanted.name else replace(wanted, name=wanted.id)
    return replace(wanted, name=seen.name)


def _next_invitation(wanted: User, seen: User | None) -> Invitation | str | None:
    """What becomes of the invitation: sent once, to an enabled account that was created for it."""
    if wanted.invitation is None:
        return None
    now = DUE if seen is None else (seen.invitation or "")
    return wanted.invitation if now == DUE and wanted.enabled else now


def narrowed(seen: User, wanted: User | None = None) -> User:
    """What was seen, without the fields that the policy does not speak of."""
    if wanted is None:
        return replace(seen, email_verified=None, attributes=(), links=_NO_LINKS, invitation=None)
    links = {alias: seen.links[alias] for alias in wanted.links if alias in seen.links}
    return replace(
        seen,
        email_verified=None if wanted.email_verified is None else seen.email_verified,
        attributes=tuple((name, values_of(seen.attributes, name)) for name, _ in wanted.attributes),
        links=links,
        invitation=None if wanted.invitation is None else (seen.invitation or ""),
    )
