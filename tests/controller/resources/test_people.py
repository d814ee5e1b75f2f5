"""Fields of people that the policy may speak of or not: teams, attributes, links, invitations. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.keycloak_groups import KeycloakLink
from controller.plan.change import Operation
from controller.resources.overrides import Overrides, Suspension
from controller.resources.people import Invitation, SeenUsers, User, desired
from controller.resources.resource import Context
from controller.resources.users import diff
from tests.controller.stage import policy_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MAIL = Invitation(("UPDATE_PASSWORD", "VERIFY_EMAIL"), 259_200)
GOOGLE = KeycloakLink("1042", "jo")


def context(**more) -> Context:
    return Context("keycloak", "prod", "acme", NOW, delete_after_days=30, **more)


def seen(**fields) -> User:
    plain = {"owner": "prod", "email": "", "first_name": "", "last_name": "", "second_factor": False}
    server = {"email_verified": False, "invitation": "", "object_id": "id-1"}
    return User(**{**plain, **server, **fields})


def wanted(**fields) -> User:
    return User(**{"owner": "prod", **fields})


def compared(before: User | None, after: User, **sight):
    people = {} if before is None else {"jo": before}
    given = {"managed_teams": frozenset({"research", "lab"}), **sight}
    return diff(SeenUsers(people, **given), {"jo": after}, context())


TEAMS = frozenset({"research"})
CASES = {
    "a team more": (seen(), wanted(teams=TEAMS), {"teams": ("research",)}),
    "a team less": (seen(teams=TEAMS), wanted(), {"teams": ()}),
    "a team that is not ours": (seen(), wanted(teams=frozenset({"theirs"})), {}),
    "verified": (seen(), wanted(email_verified=True), {"email_verified": True}),
    "verified or not is left alone": (seen(email_verified=True), wanted(), {}),
    "an attribute": (
        seen(attributes=(("theme", ("light",)),)),
        wanted(attributes=(("theme", ("dark",)),)),
        {"attributes.theme": "dark"},
    ),
    "an attribute given empty is cleared": (
        seen(attributes=(("theme", ("light",)),)),
        wanted(attributes=(("theme", ()),)),
        {"attributes.theme": ""},
    ),
    "an attribute of several values": (
        seen(attributes=(("theme", ("a", "b")),)),
        wanted(attributes=(("theme", ("a",)),)),
        {"attributes.theme": "a"},
    ),
    "an attribute not given is left alone": (seen(attributes=(("theme", ("light",)),)), wanted(), {}),
    "an account elsewhere": (
        seen(),
        wanted(links={"google": GOOGLE}),
        {"links.google": {"id": "1042", "name": "jo"}},
    ),
    "another account elsewhere": (
        seen(links={"google": KeycloakLink("7", "eve")}),
        wanted(links={"google": GOOGLE}),
        {"links.google": {"id": "1042", "name": "jo"}},
    ),
    "a name there that the policy does not give": (
        seen(links={"google": GOOGLE}),
        wanted(links={"google": KeycloakLink("1042")}),
        {},
    ),
    "an account elsewhere not given is left alone": (seen(links={"google": GOOGLE}), wanted(), {}),
    "an invitation that is due": (
        seen(invitation="due"),
        wanted(invitation=MAIL),
        {
            "invitation": {
                "actions": ("UPDATE_PASSWORD", "VERIFY_EMAIL"),
                "lifespan_seconds": 259_200,
                "client": "",
                "redirect": "",
            }
        },
    ),
    "an invitation waits for the account": (
        seen(invitation="due", enabled=False),
        wanted(invitation=MAIL, enabled=False),
        {},
    ),
    "an invitation is sent once": (seen(invitation="sent"), wanted(invitation=MAIL), {}),
    "nobody who is there already is invited": (seen(), wanted(invitation=MAIL), {}),
    "an invitation of which nobody knows": (seen(invitation="claimed"), wanted(invitation=MAIL), {}),
    "required actions are asked for once": (seen(), wanted(required_actions=("UPDATE_PASSWORD",)), {}),
}


@pytest.mark.parametrize(("before", "after", "changed"), CASES.values(), ids=CASES)
def test_one_field(before, after, changed):
    found = compared(before, after)
    assert [{name: change.after[name] for name in change.changed} for change in found.changes] == (
        [changed] if changed else []
    )


def test_a_creation_shows_what_the_policy_speaks_of_and_no_more():
    asked = wanted(invitation=MAIL, required_actions=("UPDATE_PASSWORD",), links={"google": GOOGLE})
    (change,) = compared(None, asked).changes
    assert change.operation is Operation.CREATE
    assert change.after["required_actions"] == ("UPDATE_PASSWORD",)
    assert change.after["invitation"]["lifespan_seconds"] == 259_200
    assert "keycloak/identity_providers/google" in change.depends_on
    (plain,) = compared(None, wanted()).changes
    assert not {"required_actions", "invitation", "email_verified"} & plain.after.keys()


def test_an_invitation_to_a_disabled_account_is_due_and_not_sent():
    (change,) = compared(None, wanted(invitation=MAIL, enabled=False)).changes
    assert change.after["invitation"] == "due"


def test_an_invitation_waits_for_the_client_that_it_leads_to():
    (change,) = compared(seen(invitation="due"), wanted(invitation=replace(MAIL, client="app"))).changes
    assert "keycloak/clients/app" in change.depends_on


def test_attributes_that_the_server_would_drop_are_said_once_and_never_planned():
    after = wanted(attributes=(("phone", ("1",)), ("theme", ("dark",))))
    found = compared(seen(), after, kept_attributes=frozenset({"theme"}))
    assert [change.changed for change in found.changes] == [("attributes.theme",)]
    (gap,) = found.gaps
    assert gap.is_held
    assert "attribute phone of jo is not set" in gap.why


def test_an_open_invitation_is_said():
    (report,) = compared(seen(invitation="claimed"), wanted(invitation=MAIL)).reported
    assert (report.key, "nobody knows" in report.text) == ("jo", True)


@pytest.mark.parametrize("pages", [True, False])
def test_strangers_in_our_teams_page_where_the_team_gives_roles(pages):
    stranger = seen(owner="", teams=TEAMS)
    privileged = TEAMS if pages else frozenset()
    found = diff(SeenUsers({"eve": stranger}, privileged_teams=privileged), {}, context())
    assert [(report.key, report.pages) for report in found.reported if report.key] == [("eve", pages)]


POLICY = """
realm: {name: acme, invitation: {actions: [UPDATE_PASSWORD], lives: 1d}}
roles: {viewer: {}}
teams:
  science: {members: [jo]}
  research: {parent: science}
users:
  jo: {email: jo@example.org, teams: [research], invite: true, expires: 2026-05-01}
  al: {state: disabled, expires: 2026-04-01}
"""


def test_what_a_policy_wants():
    people = desired(policy_of(POLICY), context())
    assert people["jo"].teams == {"science", "research"}
    assert people["jo"].invitation == Invitation(("UPDATE_PASSWORD",), 86_400)
    assert people["jo"].enabled
    assert not people["al"].enabled


REASONS = {
    "suspended": (
        {"overrides": Overrides({"jo": Suspension("jo", NOW + timedelta(days=1), "ada", "leaked")})},
        "differs in enabled; suspended by ada until 2026-05-02 12:00 UTC: leaked",
    ),
    "expired": ({"now": NOW + timedelta(days=1)}, "differs in enabled; expired after 2026-05-01"),
}


@pytest.mark.parametrize(("altered", "reason"), REASONS.values(), ids=REASONS)
def test_why_an_active_person_is_disabled(altered, reason):
    given = replace(context(), **altered)
    policy = policy_of(POLICY.replace(", invite: true", ""))
    people = {"jo": seen(email="jo@example.org", teams=TEAMS | {"science"})}
    sight = SeenUsers(people, managed_teams=frozenset({"science", "research"}))
    found = diff(sight, {"jo": desired(policy, given)["jo"]}, given)
    assert [change.reason for change in found.changes] == [reason]
    assert dict(found.changes[0].removals) == {"users": 1, "active_users": 1}


def test_what_the_brakes_count_of_teams():
    found = compared(seen(teams=frozenset({"research", "lab"})), wanted())
    assert dict(found.changes[0].removals) == {"grants": 2}
    assert found.populations["grants"] == 2
