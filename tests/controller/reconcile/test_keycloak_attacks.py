"""What attackers and unlucky administrators do to a realm, and what comes of it, on both Keycloaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.plan.change import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plan.brakes import Refusal
    from controller.policy.model import Policy
    from tests.controller.place import Place

EVENTS = "  events: {admin: true, admin_details: true}"
PEOPLE = """
roles:
  viewer: {}
  operator: {includes: [viewer]}
teams:
  science: {roles: [viewer]}
  research: {parent: science}
users:
  jo: {email: jo@example.org, first_name: Jo, last_name: Doe, roles: [operator], teams: [research]}
  al: {email: al@example.org, first_name: Al, last_name: Poe, roles: [viewer]}
  li: {email: li@example.org, first_name: Li, last_name: Roe}
"""


@pytest.fixture
def settled(there: Place) -> Place:
    there.settle(there.policy(EVENTS, PEOPLE))
    return there


def altered(place: Place, *swaps: tuple[str, str], events: str = EVENTS) -> Policy:
    text = PEOPLE
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    return place.policy(events, text)


def refusals(place: Place, policy: Policy) -> list[Refusal]:
    with place.controller() as controller:
        return list(controller.plan(policy).refusals)


def reports(place: Place, policy: Policy) -> dict[str, str]:
    return {one.key: one.text for one in place.plan(policy).plan.reported}


def edited(place: Place, path: str, **fields: Any) -> None:
    place.put(path, place.get(path) | fields)


def mapped(place: Place, name: str) -> set[str]:
    return {one["name"] for one in place.get(f"/users/{place.user(name)['id']}/role-mappings/realm")}


def realm_admin(place: Place) -> tuple[str, dict[str, Any]]:
    (management,) = place.get("/clients?clientId=realm-management")
    return management["id"], place.get(f"/clients/{management['id']}/roles/realm-admin")


# addresses


SWAPS = {
    "two swap": {"jo": "al", "al": "jo"},
    "three in a ring": {"jo": "al", "al": "li", "li": "jo"},
    "a chain": {"jo": "al", "al": "li", "li": "new"},
    "a chain the other way": {"li": "al", "al": "jo", "jo": "new"},
}


@pytest.mark.parametrize("moves", SWAPS.values(), ids=SWAPS)
def test_people_take_over_the_addresses_of_each_other_in_one_pass(settled: Place, moves) -> None:
    text = PEOPLE
    for old, new in moves.items():
        text = text.replace(f"email: {old}@", f"email: (new){new}@")
    settled.settle(settled.policy(EVENTS, text.replace("(new)", "")))
    for old, new in moves.items():
        assert settled.user(old)["email"] == f"{new}@example.org"


def test_somebody_new_gets_the_address_that_another_gives_up(settled: Place) -> None:
    text = PEOPLE.replace("email: jo@", "email: j@") + "  mo: {email: jo@example.org}\n"
    settled.settle(settled.policy(EVENTS, text))
    assert settled.user("mo")["email"] == "jo@example.org"


# administrators


def by_mapping(place: Place) -> None:
    client, role = realm_admin(place)
    place.post(f"/users/{place.user('jo')['id']}/role-mappings/clients/{client}", [role])


def by_team(place: Place) -> None:
    client, role = realm_admin(place)
    place.post(f"/groups/{place.group('science')['id']}/role-mappings/clients/{client}", [role])


def by_role(place: Place) -> None:
    _, role = realm_admin(place)
    place.post("/roles/operator/composites", [role])


def by_included_role(place: Place) -> None:
    _, role = realm_admin(place)
    place.post("/roles/viewer/composites", [role])
    al = place.user("al")["id"]
    place.delete(f"/users/{al}/role-mappings/realm", [place.get("/roles/viewer")])
    place.delete(f"/users/{place.user('jo')['id']}/groups/{place.group('research')['id']}")


def by_role_of_a_role(place: Place) -> None:
    _, role = realm_admin(place)
    place.post("/roles", {"name": "theirs"})
    place.post("/roles/theirs/composites", [role])
    place.post("/roles/operator/composites", [place.get("/roles/theirs")])
    place.post(f"/users/{place.user('jo')['id']}/role-mappings/realm", [place.get("/roles/theirs")])


WAYS: dict[str, Callable[[Place], None]] = {
    "a mapping": by_mapping,
    "the team above theirs": by_team,
    "a role that includes it": by_role,
    "a role that includes a role that includes it": by_role_of_a_role,
}
LOSSES = {
    "disabled": ("jo: {", "jo: {state: disabled, "),
    "gone": ("jo: {", "jo: {state: absent, "),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_last_administrator_stays_whatever_made_one(settled: Place, way, loss) -> None:
    way(settled)
    assert "last_admin" in {one.rule for one in refusals(settled, altered(settled, loss))}


BREAKS = {
    "leaves the team": (by_team, (" teams: [research]", " teams: []")),
    "the team leaves the one above": (by_team, ("  research: {parent: science}", "  research: {}")),
    "loses the role": (by_role, ("roles: [operator]", "roles: [viewer]")),
    "the role loses what it includes": (by_included_role, ("operator: {includes: [viewer]}", "operator: {}")),
}


@pytest.mark.parametrize(("way", "swap"), BREAKS.values(), ids=BREAKS)
def test_the_last_administrator_keeps_what_makes_one(settled: Place, way, swap) -> None:
    way(settled)
    assert "last_admin" in {one.rule for one in refusals(settled, altered(settled, swap))}


def test_another_administrator_lets_the_first_one_go(settled: Place) -> None:
    by_team(settled)
    client, role = realm_admin(settled)
    settled.post(f"/users/{settled.user('al')['id']}/role-mappings/clients/{client}", [role])
    assert refusals(settled, altered(settled, ("jo: {", "jo: {state: disabled, "))) == []


# marks by hand


def test_the_default_role_with_our_mark_is_taken_from_nobody(settled: Place) -> None:
    default = f"default-roles-{settled.realm}"
    edited(settled, f"/roles/{default}", attributes={"steward.owner": ["prod"]})
    planned = settled.plan(altered(settled)).plan
    assert [change.label for change in planned.changes] == []
    assert default in mapped(settled, "jo")


def test_objects_that_somebody_else_marked_as_ours_are_not_deleted(settled: Place) -> None:
    marked = {"attributes": {"steward.owner": ["prod"]}}
    settled.post("/roles", {"name": "theirs"} | marked)
    settled.post("/groups", {"name": "theirs"} | marked)
    settled.post("/users", {"username": "theirs", "enabled": True} | marked)
    settled.post("/clients", {"clientId": "theirs", "attributes": {"steward.owner": "prod"}})
    planned = settled.plan(altered(settled)).plan
    assert planned.is_empty
    told = {one.section for one in planned.reported if one.pages and "foreign mark" in one.text}
    assert told == {"roles", "teams", "users", "clients"}


def test_another_owner_s_are_left_alone_whatever_the_policy_says(there: Place) -> None:
    marked = {"attributes": {"steward.owner": ["test"]}}
    there.writer.declare_owner()
    there.post("/roles", {"name": "viewer"} | marked)
    there.post("/groups", {"name": "science"} | marked)
    there.post("/users", {"username": "alice", "enabled": True} | marked)
    before = [there.user("alice"), there.group("science"), there.get("/roles/viewer")]
    policy = altered(
        there,
        ("  al: {", "  alice: {adopt: true, "),
        ("science: {", "science: {adopt: true, "),
        ("viewer: {}", "viewer: {adopt: true}"),
    )
    there.apply(policy)
    assert [there.user("alice"), there.group("science"), there.get("/roles/viewer")] == before


def test_a_mark_that_people_could_write_themselves_is_declared_anew(settled: Place) -> None:
    profile = settled.get("/users/profile")
    for attribute in profile["attributes"]:
        if attribute["name"] == "steward.owner":
            attribute["permissions"] = {"view": ["admin", "user"], "edit": ["admin", "user"]}
    settled.put("/users/profile", profile)
    assert list(settled.changes(altered(settled))) == ["profile/users"]
    settled.settle(altered(settled))
    (mark,) = [one for one in settled.get("/users/profile")["attributes"] if one["name"] == "steward.owner"]
    assert mark["permissions"] == {"view": ["admin"], "edit": ["admin"]}


# names and places


def test_a_team_that_was_put_below_its_own_child(settled: Place) -> None:
    science, research = settled.group("science"), settled.group("research")
    settled.post("/groups", {"id": research["id"], "name": "research"})
    settled.post(f"/groups/{research['id']}/children", {"id": science["id"], "name": "science"})
    settled.settle(altered(settled))
    assert settled.group("research")["path"] == "/science/research"


def test_a_team_cannot_go_where_a_foreign_group_has_its_name(settled: Place) -> None:
    settled.post("/groups", {"name": "research"})
    policy = altered(settled, ("research: {parent: science}", "research: {}"))
    (outcome,) = settled.apply(policy)
    assert outcome.result is Result.CONFLICT
    assert "named 'research' already exists" in outcome.reason


def test_a_renamed_role_is_made_anew_and_the_old_one_said(settled: Place) -> None:
    edited(settled, "/roles/viewer", name="seer")
    policy = altered(settled)
    assert "foreign mark" in reports(settled, policy)["seer"]
    settled.settle(policy)
    assert mapped(settled, "al") >= {"viewer"}


def test_roles_of_clients_stay_in_composites(settled: Place) -> None:
    _, role = realm_admin(settled)
    settled.post("/roles/viewer/composites", [role])
    settled.post("/roles/operator/composites", [role])
    assert settled.changes(altered(settled)) == {}
    with settled.controller() as controller:
        policy = altered(settled, ("operator: {includes: [viewer]}", "operator: {}"))
        controller.applier(policy).apply(controller.plan(policy).plan)
    assert [one["id"] for one in settled.get("/roles/operator/composites")] == [role["id"]]
    assert [one["id"] for one in settled.get("/roles/viewer/composites")] == [role["id"]]


# people


def test_who_is_to_be_gone_and_is_not_ours_is_said(settled: Place) -> None:
    settled.post("/users", {"username": "eve", "enabled": True})
    policy = settled.policy(EVENTS, PEOPLE + "  eve: {state: absent}\n")
    assert settled.changes(policy) == {}
    assert "not ours" in reports(settled, policy)["eve"]


def test_an_attribute_that_the_realm_would_drop_is_an_error(settled: Place) -> None:
    policy = altered(settled, ("jo: {", "jo: {attributes: {theme: dark}, "))
    planned = settled.plan(policy).plan
    (gap,) = planned.unobserved
    assert gap.is_held
    assert str(policy.at("users", "jo", "attributes", "theme")) in gap.why


@pytest.mark.parametrize("section", ["teams", "roles"])
def test_what_is_only_reported_is_not_given_to_people(there: Place, section: str) -> None:
    policy = there.policy(EVENTS, PEOPLE).model_copy(update={"modes": {section: "report"}})
    there.settle(policy)
    assert any(f"{section} are only reported" in text for text in reports(there, policy).values())
    there.settle(there.policy(EVENTS, PEOPLE))
