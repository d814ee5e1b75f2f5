"""Passes over teams and people, on both Keycloaks: what is asked for, done by hand, and others'."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from controller.clients.keycloak_writer import KeycloakWriter
from controller.errors import Unobserved
from controller.keycloak_values import KeycloakRealm, UserPatch
from controller.plan.change import Result
from controller.policy.settings import Ignore
from controller.reconcile.applier import Applier, Target
from controller.resources.table import KEYCLOAK
from lab.keycloak.real import RealKeycloak
from tests.controller.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.controller.place import Place


EVENTS = "  events: {admin: true, admin_details: true}"
PEOPLE = """
roles:
  viewer: {description: may look}
  operator: {includes: [viewer]}
teams:
  science: {description: all of it, managers: [jo], roles: [viewer]}
  research: {parent: science, members: [jo], roles: [operator]}
  lab: {parent: research}
users:
  jo: {email: jo@example.org, first_name: Jo, last_name: Doe, roles: [operator], teams: [lab],
       email_verified: true, required_actions: [UPDATE_PASSWORD]}
  al: {email: al@example.org, first_name: Al, last_name: Poe, roles: [viewer], teams: [science]}
"""


@pytest.fixture
def settled(place: Place) -> Place:
    place.settle(place.policy(EVENTS, PEOPLE))
    return place


def altered(place: Place, *swaps: tuple[str, str]) -> Any:
    text = PEOPLE
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return place.policy(EVENTS, text)


def world(place: Place) -> str:
    """Every user with roles and groups and every group with members and roles, as the server tells."""
    query = "search=*&populateHierarchy=false&briefRepresentation=false&max=1000"
    groups = [one | {"members": members(place, one["id"])} for one in place.get(f"/groups?{query}")]
    users = place.get("/users?briefRepresentation=false&max=1000")
    people = [
        one
        | {"roles": sorted(r["name"] for r in place.get(f"/users/{one['id']}/role-mappings/realm"))}
        | {"links": place.get(f"/users/{one['id']}/federated-identity")}
        for one in users
    ]
    return json.dumps([groups, people], sort_keys=True)


def members(place: Place, group_id: str) -> list[str]:
    return sorted(one["username"] for one in place.get(f"/groups/{group_id}/members?max=1000"))


def test_applied_once_and_then_nothing(settled: Place) -> None:
    assert settled.group("lab")["path"] == "/science/research/lab"
    assert settled.group("science")["attributes"] == {"steward.owner": ["prod"], "steward.managers": ["jo"]}
    assert [settled.group(name)["realmRoles"] for name in ("science", "research")] == [
        ["viewer"],
        ["operator"],
    ]
    assert members(settled, settled.group("research")["id"]) == ["jo"]
    jo = settled.user("jo")
    assert (jo["emailVerified"], jo["requiredActions"]) == (True, ["UPDATE_PASSWORD"])
    default = f"default-roles-{settled.realm}"
    held = {one["name"] for one in settled.get(f"/users/{jo['id']}/role-mappings/realm")}
    assert held == {"operator", default}
    before = settled.events()
    assert settled.apply(settled.policy(EVENTS, PEOPLE)) == []
    assert settled.events() == before


def drop_role(place: Place) -> None:
    jo, role = place.user("jo"), place.get("/roles/operator")
    place.delete(f"/users/{jo['id']}/role-mappings/realm", [role])


def edited(place: Place, **fields: Any) -> None:
    jo = place.user("jo")
    place.put(f"/users/{jo['id']}", jo | fields)


BY_HAND: dict[str, tuple[Callable[[Place], None], dict[str, tuple[str, ...]]]] = {
    "a field": (lambda place: edited(place, lastName="X"), {"users/jo": ("last_name",)}),
    "verified": (lambda place: edited(place, emailVerified=False), {"users/jo": ("email_verified",)}),
    "disabled": (lambda place: edited(place, enabled=False), {"users/jo": ("enabled",)}),
    "a role taken": (drop_role, {"users/jo": ("roles",)}),
    "put into a team": (
        lambda place: place.put(f"/users/{place.user('al')['id']}/groups/{place.group('lab')['id']}", {}),
        {"users/al": ("teams",)},
    ),
    "taken out of a team": (
        lambda place: place.delete(f"/users/{place.user('jo')['id']}/groups/{place.group('lab')['id']}"),
        {"users/jo": ("teams",)},
    ),
    "deleted": (lambda place: place.delete(f"/users/{place.user('al')['id']}"), {"users/al": ()}),
    "a team moved": (
        lambda place: place.post("/groups", {"id": place.group("lab")["id"], "name": "lab"}),
        {"teams/lab": ("parent",)},
    ),
    "a team's role": (
        lambda place: place.post(
            f"/groups/{place.group('lab')['id']}/role-mappings/realm", [place.get("/roles/viewer")]
        ),
        {"teams/lab": ("roles",)},
    ),
    "a team's description": (
        lambda place: place.put(f"/groups/{place.group('science')['id']}", {"name": "science"}),
        {"teams/science": ("description",)},
    ),
    "a team deleted": (
        lambda place: place.delete(f"/groups/{place.group('lab')['id']}"),
        {"teams/lab": (), "users/jo": ("teams",)},
    ),
}


@pytest.mark.parametrize(("hand", "seen"), BY_HAND.values(), ids=BY_HAND)
def test_what_was_changed_by_hand_is_seen_and_mended(settled: Place, hand, seen) -> None:
    policy = settled.policy(EVENTS, PEOPLE)
    hand(settled)
    found = settled.changes(policy)
    assert {name: change.changed if change.before else () for name, change in found.items()} == seen
    settled.settle(policy)


def test_a_policy_that_turns_the_tree_over(settled: Place) -> None:
    turned = altered(
        settled,
        ("science: {description: all of it, ", "science: {parent: lab, "),
        ("research: {parent: science, ", "research: {parent: lab, "),
        ("lab: {parent: research}", "lab: {}"),
    )
    settled.settle(turned)
    assert settled.group("science")["path"] == "/lab/science"
    gone = altered(
        settled,
        ("  lab: {parent: research}\n", ""),
        (" teams: [lab],", ""),
    )
    settled.settle(gone)
    assert settled.group("research")["path"] == "/science/research"


def test_what_is_not_ours_stays_byte_for_byte(place: Place) -> None:
    place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
    place.post("/roles", {"name": "theirs"})
    place.post("/groups", {"name": "theirs", "attributes": {"a": ["b"]}, "description": "d"})
    above = place.group("theirs")["id"]
    place.post(f"/groups/{above}/children", {"name": "science"})
    place.post(f"/groups/{above}/role-mappings/realm", [place.get("/roles/theirs")])
    place.post("/users", {"username": "stranger", "email": "s@example.org", "enabled": True})
    place.put(f"/users/{place.user('stranger')['id']}/groups/{above}", {})
    before = world(place)
    policy = place.policy(EVENTS, PEOPLE)
    place.settle(policy)
    empty = place.policy(EVENTS, "roles: {}")
    with place.controller() as controller:
        pruned = controller.plan(empty).plan
        controller.applier(empty).apply(pruned)
    assert {change.key for change in pruned.changes} >= {"jo", "al", "science", "research", "lab"}
    theirs = json.loads(world(place))
    theirs[1] = [one for one in theirs[1] if one["username"] not in {"jo", "al"}]
    assert json.dumps(theirs, sort_keys=True) == before


def test_a_foreign_group_below_ours_is_never_deleted(settled: Place) -> None:
    settled.post(f"/groups/{settled.group('lab')['id']}/children", {"name": "theirs"})
    gone = altered(settled, ("  lab: {parent: research}\n", ""), (" teams: [lab],", ""))
    planned = settled.plan(gone).plan
    assert [change.identity for change in planned.changes] == ["keycloak/users/jo"]
    assert any("/theirs below it is not ours" in report.text for report in planned.reported)


def test_a_group_that_got_a_sub_group_since_the_plan_is_not_deleted(settled: Place) -> None:
    gone = altered(settled, ("  lab: {parent: research}\n", ""), (" teams: [lab],", ""))
    with settled.controller() as controller:
        planned = controller.plan(gone).plan
        settled.post(f"/groups/{settled.group('lab')['id']}/children", {"name": "theirs"})
        ended = {one.change.identity: one for one in controller.applier(gone).apply(planned)}
    assert ended["keycloak/teams/lab"].result is Result.CONFLICT
    assert "theirs" in ended["keycloak/teams/lab"].reason


def test_offline_sessions_end_with_the_account_and_no_enabling_revives_them(place: Place) -> None:
    place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
    password = {"type": "password", "value": "correct horse", "temporary": False}
    body = {
        "username": "alice",
        "email": "al@example.org",
        "firstName": "Al",
        "lastName": "Poe",
        "enabled": True,
    }
    place.post("/users", body | {"credentials": [password]})
    active = altered(place, ("al: {", "alice: {adopt: true, "))
    place.settle(active)
    login = {"grant_type": "password", "username": "alice", "password": "correct horse"}

    def refresh(held: dict[str, Any]) -> str:
        answer = place.token(grant_type="refresh_token", refresh_token=held["refresh_token"])
        return str(answer.get("error_description", "refreshed"))

    held = place.token(**login, scope="openid offline_access")
    assert refresh(held) == "refreshed"
    place.settle(altered(place, ("al: {", "alice: {adopt: true, state: disabled, ")))
    assert refresh(held) != "refreshed"
    place.settle(active)
    assert refresh(held) == "Offline user session not found"
    held = place.token(**login, scope="openid offline_access")
    alice = place.user("alice")
    place.put(f"/users/{alice['id']}", alice | {"enabled": False})  # by hand, which leaves the session
    place.settle(active)
    assert refresh(held) == "Offline user session not found"


@pytest.mark.parametrize("cut", range(1, 9))
def test_any_prefix_leaves_the_rest(place: Place, cut: int) -> None:
    policy = place.policy(EVENTS, PEOPLE)
    with place.controller() as controller:
        whole = controller.plan(policy).plan
        controller.applier(policy).apply(replace(whole, changes=whole.changes[:cut]))
    left = [change.essence() for change in place.plan(policy).plan.changes]
    assert left == [change.essence() for change in whole.changes[cut:]]


def test_groups_that_somebody_else_makes_meanwhile_are_in_nobodys_way(place: Place) -> None:
    class Busy(KeycloakWriter):
        def groups(self) -> Any:
            raise Unobserved("keycloak", "2 groups before, 3 read")

    policy = place.policy(EVENTS, PEOPLE)
    with place.controller() as controller, Busy(place.access, place.realm) as writer:
        plan = controller.plan(policy).plan
        outcomes = Applier([Target("keycloak", writer, KEYCLOAK, 4)]).apply(plan)
    assert [one.reason for one in outcomes if one.result is not Result.APPLIED] == []
    assert place.changes(policy) == {}


def test_an_attribute_that_the_profile_knows_is_kept_and_another_is_said(settled: Place) -> None:
    policy = altered(settled, ("jo: {", "jo: {attributes: {theme: dark}, "))
    planned = settled.plan(policy).plan
    assert planned.is_empty
    assert any("attribute theme of jo is not set" in gap.why for gap in planned.unobserved if gap.is_held)
    profile = settled.get("/users/profile")
    declared = {"name": "theme", "permissions": {"view": ["admin"], "edit": ["admin"]}, "multivalued": False}
    settled.put("/users/profile", profile | {"attributes": [*profile["attributes"], declared]})
    settled.settle(policy)
    assert settled.user("jo")["attributes"]["theme"] == ["dark"]
    edited(settled, attributes=settled.user("jo")["attributes"] | {"theme": ["light"]})
    assert list(settled.changes(policy)) == ["users/jo"]
    ignored = policy.model_copy(update={"ignore": (Ignore(users="*", fields=("attributes.theme",)),)})
    assert settled.changes(ignored) == {}


def test_accounts_at_identity_providers(place: Place) -> None:
    providers = "  identity_providers: {google: {type: google, client_id: x}}"
    text = PEOPLE.replace("al: {", 'al: {links: {google: {id: "1042", name: al}}, ')
    policy = place.policy(f"{EVENTS}\n{providers}", text)
    place.settle(policy)
    path = f"/users/{place.user('al')['id']}/federated-identity"
    assert place.get(path) == [{"identityProvider": "google", "userId": "1042", "userName": "al"}]
    place.delete(f"{path}/google")
    assert list(place.changes(policy)) == ["users/al"]
    place.settle(policy)
    place.delete(f"{path}/google")
    place.post(f"{path}/google", {"userId": "666", "userName": "eve"})
    place.settle(policy)
    assert place.get(path)[0]["userId"] == "1042"


def test_an_invitation_is_sent_once_and_a_refused_one_stays_due(place: Place) -> None:
    with Mailbox() as mailbox:
        mail = f"  mail: {{host: 127.0.0.1, port: {mailbox.port}, sender: sso@example.org}}"
        text = PEOPLE.replace("al: {", "al: {invite: true, ")
        failed = [one for one in place.apply(place.policy(EVENTS, text)) if one.result is not Result.APPLIED]
        assert [one.change.identity for one in failed] == ["keycloak/users/al"]
        assert place.user("al")["attributes"]["steward.invited"] == ["due"]
        policy = place.policy(f"{EVENTS}\n{mail}", text)
        place.settle(policy)
        assert place.apply(policy) == []
        assert place.user("al")["attributes"]["steward.invited"] == ["sent"]
        sent = [one for one in place.writer.admin_events() if one.resource_path.endswith("-actions-email")]
        assert len(sent) == 1
        if isinstance(place.server, RealKeycloak):  # the lab's sends no mail
            assert [mail.recipient for mail in mailbox.mails] == ["al@example.org"]


def test_who_changed_it(settled: Place) -> None:
    admin = settled.writer._access
    body = {"username": "eve", "email": "eve@example.org", "firstName": "E", "lastName": "V", "enabled": True}
    settled.post("/users", body | {"credentials": [{"type": "password", "value": "pw", "temporary": False}]})
    eve = settled.user("eve")
    (management,) = settled.get("/clients?clientId=realm-management")
    role = settled.get(f"/clients/{management['id']}/roles/realm-admin")
    settled.post(f"/users/{eve['id']}/role-mappings/clients/{management['id']}", [role])
    access = replace(admin, auth_realm=settled.realm, username="eve", password="pw")
    with KeycloakWriter(access, settled.realm) as hand:
        hand.update_user(settled.user("jo")["id"], UserPatch(last_name="X"))
        hand.leave(settled.user("al")["id"], settled.group("science")["id"])
    edited(settled, firstName="Joe")  # by the controller's own account and program
    found = settled.changes(settled.policy(EVENTS, PEOPLE))
    assert {name: one.changed_by and one.changed_by.actor for name, one in found.items()} == {
        "users/al": "eve",
        "users/jo": None,
    }


READING = ("view-realm", "view-users", "view-clients", "view-events")
WRITING = (*READING, "manage-realm", "manage-users")


def as_service_account(place: Place, name: str, rights: tuple[str, ...]) -> Place:
    """The same place, for an account that has exactly these rights; its secret is its name."""
    body = {"clientId": name, "secret": name, "serviceAccountsEnabled": True, "publicClient": False}
    place.post("/clients", body)
    account = place.user(f"service-account-{name}")
    (management,) = place.get("/clients?clientId=realm-management")
    roles = [place.get(f"/clients/{management['id']}/roles/{right}") for right in rights]
    place.post(f"/users/{account['id']}/role-mappings/clients/{management['id']}", roles)
    folder = place.folder / name
    folder.mkdir()
    settings = json.loads((place.folder / "controller.yaml").read_text())
    kept = {key: settings["keycloak"][key] for key in ("url", "ca_file")}
    login = {"auth_realm": place.realm, "client_id": name, "client_secret_file": "secret"}
    (folder / "controller.yaml").write_text(json.dumps({**settings, "keycloak": {**kept, **login}}))
    (folder / "secret").write_text(name)
    return replace(place, folder=folder)


def test_the_rights_that_the_documentation_names_are_enough(place: Place) -> None:
    place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
    reader = as_service_account(place, "reader", READING)
    writer = as_service_account(place, "writer", WRITING)
    policy = place.policy(EVENTS, PEOPLE)
    assert reader.plan(policy).plan.unobserved == ()
    writer.settle(policy)
    edited(place, lastName="X")
    found = reader.plan(policy).plan
    assert [(one.key, one.changed_by and one.changed_by.actor) for one in found.changes] == [
        ("jo", f"account {place.writer.rights().user_id} of another realm")
    ]
    turned = altered(place, ("lab: {parent: research}", "lab: {roles: [viewer]}"), (" teams: [lab],", ""))
    writer.settle(turned)
    writer.settle(altered(place, ("  lab: {parent: research}\n", ""), (" teams: [lab],", "")))
