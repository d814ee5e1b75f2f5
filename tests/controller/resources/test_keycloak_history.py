"""Who changed it: which of the realm's records says it for which change. Pure, over a stub of the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from controller.errors import ControllerError
from controller.keycloak_values import AdminEvent, KeycloakRealm, KeycloakRights
from controller.plan.change import Change, ChangedBy, update
from controller.resources.keycloak_history import PAGES, authors

OURS = {"actor": "us", "client": "steward"}
EVE = {"actor": "eve-id", "client": "console", "address": "192.0.2.7"}


@dataclass
class Record:
    """The record of a realm as the client gives it."""

    events: tuple[AdminEvent, ...] = ()
    own: tuple[AdminEvent, ...] = ()
    keeps: bool = True
    read: int = 0
    names: dict[str, str] = field(default_factory=lambda: {"eve-id": "eve", "jo-id": "jo"})

    def rights(self) -> KeycloakRights:
        return KeycloakRights("us", "steward", frozenset())

    def realm(self) -> KeycloakRealm | None:
        return KeycloakRealm("acme", admin_events=self.keeps)

    def admin_events(self, *, kinds=(), start=0, limit=1000):
        self.read += 1
        found = [event for event in self.events if event.resource_type in kinds]
        return tuple(found[start : start + limit])

    def own_events(self, *, types, limit=1000):
        return tuple(event for event in self.own if event.operation in types)

    def own_client(self) -> str:
        return "steward"

    def account_name(self, user_id: str) -> str:
        return self.names.get(user_id, "")


def event(at: int, kind: str, path: str, who=EVE, **more) -> AdminEvent:
    return AdminEvent(at, "UPDATE", kind, path, **who, **more)


def change(section: str, fields: str, key: str = "jo", object_id: str = "jo-id") -> Change:
    before, after = dict.fromkeys(fields.split(), "a"), dict.fromkeys(fields.split(), "b")
    return update("keycloak", section, key, before, after, object_id=object_id)


CASES = {
    "a field": (change("users", "email"), event(1, "USER", "users/jo-id")),
    "a role": (
        change("users", "roles"),
        event(1, "REALM_ROLE_MAPPING", "users/jo-id/role-mappings/realm"),
    ),
    "a team": (change("users", "teams"), event(1, "GROUP_MEMBERSHIP", "users/jo-id/groups/g")),
    "a link": (change("users", "links.google"), event(1, "USER", "users/jo-id/federated-identity/google")),
    "a group": (change("teams", "managers", "lab", "g"), event(1, "GROUP", "groups/g")),
    "a group's role": (
        change("teams", "roles", "lab", "g"),
        event(1, "REALM_ROLE_MAPPING", "groups/g/role-mappings/realm"),
    ),
    "a group that was moved": (
        change("teams", "parent", "lab", "g"),
        event(1, "GROUP", "groups/above/children", object_id="g"),
    ),
    "a role by id": (change("roles", "description", "viewer", "r"), event(1, "REALM_ROLE", "roles-by-id/r")),
    "a role by name": (
        change("roles", "includes", "viewer", "r"),
        event(1, "REALM_ROLE", "roles/viewer/composites"),
    ),
    "default roles": (
        change("default_roles", "roles", "acme", "r"),
        event(1, "REALM_ROLE", "roles-by-id/r/composites"),
    ),
    "the realm": (change("realm", "display_name", "acme", ""), event(1, "REALM", "")),
    "the profile": (
        change("profile", "steward.owner", "users", ""),
        event(1, "USER_PROFILE", "users/profile"),
    ),
    "a provider": (
        change("identity_providers", "enabled", "google", ""),
        event(1, "IDENTITY_PROVIDER", "identity-provider/instances/google"),
    ),
    "a client": (change("clients", "redirect", "grafana", "c"), event(1, "CLIENT", "clients/c")),
}


@pytest.mark.parametrize(("wanted", "said"), CASES.values(), ids=CASES)
def test_the_event_that_tells(wanted, said):
    at = datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)
    assert authors(Record((said,)), [wanted]) == {wanted.identity: ChangedBy("eve", at, "from 192.0.2.7")}


SILENT = {
    "another object": event(1, "USER", "users/al-id"),
    "another kind of write": event(1, "REALM_ROLE_MAPPING", "users/jo-id/role-mappings/realm"),
    "our own write": event(1, "USER", "users/jo-id", OURS),
    "a path that is none": event(1, "USER", ""),
}


@pytest.mark.parametrize("said", SILENT.values(), ids=SILENT)
def test_events_that_tell_nothing(said):
    assert authors(Record((said,)), [change("users", "email")]) == {}


def test_the_newest_counts_and_ours_after_theirs_means_nobody():
    theirs, ours = event(1, "USER", "users/jo-id"), event(2, "USER", "users/jo-id", OURS)
    later = event(3, "USER", "users/jo-id")
    jo = change("users", "email")
    assert authors(Record((ours, theirs)), [jo]) == {}
    assert authors(Record((later, ours, theirs)), [jo])[jo.identity].at.microsecond == 3000


def test_our_account_by_another_program_is_a_person():
    jo = change("users", "email")
    by_hand = event(1, "USER", "users/jo-id", {"actor": "us", "client": "console"})
    assert authors(Record((by_hand,), names={"us": "admin"}), [jo])[jo.identity].actor == "admin"


def test_people_who_change_their_own_account():
    jo = change("users", "email")
    own = AdminEvent(5, "UPDATE_EMAIL", "USER", "users/jo-id", "jo-id")
    assert authors(Record((event(1, "USER", "users/jo-id"),), (own,)), [jo])[jo.identity].actor == "jo"


def test_somebody_whom_nobody_knows_is_told_by_id():
    jo = change("users", "email")
    said = event(1, "USER", "users/jo-id", {"actor": "x-1"})
    assert authors(Record((said,)), [jo])[jo.identity].actor == "account x-1 of another realm"


def test_a_realm_without_a_record_says_why():
    with pytest.raises(ControllerError, match="no record"):
        authors(Record(keeps=False), [change("users", "email")])


def test_reading_ends_with_the_last_author_and_at_the_limit():
    noise = tuple(event(9000 - number, "USER", "users/al-id") for number in range(7000))
    early, late = Record((event(9999, "USER", "users/jo-id"), *noise)), Record(noise)
    authors(early, [change("users", "email")])
    authors(late, [change("users", "email")])
    assert (early.read, late.read) == (1, PAGES)
