"""Plan and apply against the simulated Keycloak: what the world is like afterwards, and what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.plan.change import Operation, Result
from controller.reconcile.passes import Braked
from controller.resources.table import KEYCLOAK
from tests.controller.stage import DAY, SMALL, Stage, policy_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.keycloak.model import Realm


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


def role_names(realm: Realm, username: str) -> set[str]:
    user = next(user for user in realm.people() if user.username == username)
    return {role.name for role in realm.roles.values() if role.id in user.roles}


def results(outcomes: list) -> set[Result]:
    return {outcome.result for outcome in outcomes}


def test_a_whole_policy_is_made_in_a_realm_that_was_not_there(stage):
    outcomes = stage.apply(policy_of(SMALL))
    assert results(outcomes) == {Result.APPLIED}
    realm = stage.keycloak.realms["acme"]
    assert role_names(realm, "jo") == {"power-user", "default-roles-acme"}
    assert {user.username for user in realm.people()} == {"jo", "al"}
    jo = next(user for user in realm.people() if user.username == "jo")
    assert (jo.email, jo.first_name, jo.required_actions) == ("jo@example.org", "Jo", ["CONFIGURE_TOTP"])
    assert jo.attributes["steward.owner"] == ["prod"]


def test_after_apply_the_plan_is_empty_and_a_second_apply_writes_nothing(stage):
    stage.apply(policy_of(SMALL))
    assert stage.plan(policy_of(SMALL)).plan.is_empty
    before = stage.writes
    assert stage.apply(policy_of(SMALL)) == []
    assert stage.writes == before


def test_planning_makes_no_write(stage):
    assert len(stage.plan(policy_of(SMALL)).plan.changes) == 6
    assert stage.writes == 0


@pytest.mark.parametrize("applied", range(7))
def test_any_prefix_of_a_plan_leaves_exactly_the_rest(stage, applied):
    from dataclasses import replace

    policy = policy_of(SMALL)
    with stage.controller() as controller:
        whole = controller.plan(policy)
        prefix = replace(whole.plan, changes=whole.plan.changes[:applied])
        controller.applier(policy).apply(prefix)
    left = stage.plan(policy).plan.changes
    assert [change.essence() for change in left] == [
        change.essence() for change in whole.plan.changes[applied:]
    ]


def test_a_role_changed_by_hand_is_drift_and_is_repaired(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    realm.roles["viewer"].description = "may do what it likes"
    jo = next(user for user in realm.people() if user.username == "jo")
    jo.roles.discard(realm.roles["power-user"].id)
    planned = stage.plan(policy_of(SMALL)).plan
    assert [(change.key, change.changed) for change in planned.changes] == [
        ("viewer", ("description",)),
        ("jo", ("roles",)),
    ]
    assert results(stage.apply(policy_of(SMALL))) == {Result.APPLIED}
    assert realm.roles["viewer"].description == "may look"
    assert "power-user" in role_names(realm, "jo")


def test_what_is_not_ours_is_reported_and_never_touched(stage):
    realm = stage.keycloak.create_realm("acme", {"enabled": True})
    stage.keycloak.new_role(realm, "viewer", "theirs")
    stage.keycloak.new_user(realm, "jo", roles={"viewer"})
    stage.keycloak.new_user(realm, "stranger", roles=set())
    stage.apply(policy_of(SMALL))
    planned = stage.plan(policy_of(SMALL)).plan
    assert planned.is_empty
    assert realm.roles["viewer"].description == "theirs"
    assert role_names(realm, "jo") == {"viewer", "default-roles-acme"}
    told = {(report.section, report.key): report.text for report in planned.reported}
    assert "adopt: true" in told["roles", "viewer"]
    assert "adopt: true" in told["users", "jo"]
    assert told["users", ""] == "1 users that no policy names"


def test_adoption_takes_what_is_unmarked_and_keeps_what_the_policy_does_not_give(stage):
    realm = stage.keycloak.create_realm("acme", {"enabled": True})
    stage.keycloak.new_role(realm, "viewer", "theirs")
    user = stage.keycloak.new_user(realm, "jo", roles={"viewer"})
    realm.set_email(user, "old@example.org")
    user.attributes["theme"] = ["dark"]
    text = "realm: {name: acme}\nroles: {viewer: {adopt: true}}\nusers: {jo: {roles: [viewer], adopt: true}}"
    assert results(stage.apply(policy_of(text))) == {Result.APPLIED}
    assert stage.plan(policy_of(text)).plan.is_empty
    assert realm.roles["viewer"].description == "theirs"
    assert user.email == "old@example.org"
    assert user.attributes["steward.owner"] == ["prod"]


def test_a_name_that_vanishes_is_disabled_then_deleted_and_comes_back_in_between(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    without_al = policy_of("\n".join(line for line in SMALL.splitlines() if " al:" not in line))
    assert results(stage.apply(without_al)) == {Result.APPLIED}
    al = next(user for user in realm.people() if user.username == "al")
    assert not al.enabled
    assert al.attributes["steward.vanished"] == ["2026-01-01"]
    assert stage.plan(without_al).plan.is_empty
    stage.apply(policy_of(SMALL))
    assert al.enabled
    assert "steward.vanished" not in al.attributes
    stage.apply(without_al)
    stage.clock.now += 30 * DAY
    (deletion,) = stage.plan(without_al).plan.changes
    assert deletion.operation is Operation.DELETE
    stage.apply(without_al)
    assert {user.username for user in realm.people()} == {"jo"}


def test_our_mark_on_a_name_that_we_never_knew_is_reported_and_pages(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    forged = stage.keycloak.new_user(realm, "forged", roles=set())
    forged.attributes["steward.owner"] = ["prod"]
    planned = stage.plan(policy_of(SMALL)).plan
    assert planned.is_empty
    (report,) = [one for one in planned.reported if one.key == "forged"]
    assert report.pages
    assert "foreign mark" in report.text


def test_a_stranger_in_our_role_pages(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    stage.keycloak.new_user(realm, "stranger", roles={"power-user"})
    (report,) = [one for one in stage.plan(policy_of(SMALL)).plan.reported if one.key == "stranger"]
    assert report.pages


def test_a_dead_server_is_said_and_never_taken_for_empty(stage):
    stage.apply(policy_of(SMALL))
    stage.faults.alter(is_down=True)
    planned = stage.plan(policy_of("realm: {name: acme}"))
    assert planned.plan.is_empty
    assert {gap.section for gap in planned.plan.unobserved} == {one.section for one in KEYCLOAK}


def test_emptying_the_policy_is_held_by_the_brake_before_anything_is_written(stage):
    people = "\n".join(f"  user{n}: {{email: user{n}@example.org, roles: [viewer]}}" for n in range(12))
    full = f"realm: {{name: acme}}\nroles: {{viewer: {{}}}}\nusers:\n{people}"
    stage.apply(policy_of(full))
    before = stage.writes
    with pytest.raises(Braked) as caught:
        stage.apply(policy_of("realm: {name: acme}\nroles: {viewer: {}}"))
    assert "user11" in str(caught.value)
    assert stage.writes == before


def test_a_commit_cannot_loosen_a_limit_and_use_it(stage):
    people = "\n".join(f"  user{n}: {{roles: [viewer]}}" for n in range(12))
    full = f"realm: {{name: acme}}\nroles: {{viewer: {{}}}}\nusers:\n{people}"
    stage.configure(limits={"max_deletes": {"count": 50}})
    stage.apply(policy_of(full, settings="limits: {max_deletes: {count: 3}}\n"))
    empty = policy_of(
        "realm: {name: acme}\nroles: {viewer: {}}", settings="limits: {max_deletes: {count: 50}}\n"
    )
    assert stage.plan(empty).refusals


def test_an_answer_that_is_lost_is_settled_by_looking_again(stage):
    stage.apply(policy_of(SMALL))
    more = SMALL + "  li: {email: li@example.org, roles: [viewer]}\n"
    stage.faults.alter(lost_answers=1)
    (outcome,) = stage.apply(policy_of(more))
    assert outcome.result is Result.APPLIED
    assert "observed again" in outcome.reason
    assert stage.plan(policy_of(more)).plan.is_empty


def test_somebody_else_who_writes_meanwhile_makes_a_conflict(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    changed = policy_of(SMALL.replace("may look", "may look around").replace("Jo, last", "Joanna, last"))
    with stage.controller() as controller, controller.lease("test") as lease:
        planned = controller.plan(changed)
        realm.roles["viewer"].description = "changed by hand"
        jo = next(user for user in realm.people() if user.username == "jo")
        jo.last_name = "Roe"
        outcomes = controller.apply(planned, actor="test", term=lease.term)
    assert results(outcomes) == {Result.CONFLICT}
    assert realm.roles["viewer"].description == "changed by hand"


def test_one_failure_skips_its_dependents_and_nothing_else(stage):
    text = SMALL + "  li: {email: jo@example.net, roles: [viewer]}\n"
    with stage.controller() as controller, controller.lease("test") as lease:
        planned = controller.plan(policy_of(text))
        realm = stage.keycloak.create_realm("acme", {"enabled": True})
        outcomes = controller.apply(planned, actor="test", term=lease.term)
    assert realm.name == "acme"
    by_key = {outcome.change.identity: outcome for outcome in outcomes}
    assert by_key["keycloak/realm/acme"].result is Result.CONFLICT
    assert by_key["keycloak/users/jo"].result is Result.SKIPPED
    assert "keycloak/realm/acme" in by_key["keycloak/users/jo"].reason


def test_settings_that_fail_keep_nobodys_access_open(stage):
    stage.apply(policy_of(SMALL))
    mail = "{host: m, sender: a@example.org, user: u, password: {controller_file: /nowhere}}"
    text = SMALL.replace("realm: {name: acme,", f"realm: {{name: acme, mail: {mail},").replace(
        "al: {email: al@example.org, roles: [viewer]}", "al: {state: disabled}"
    )
    results = {one.change.section: one.result for one in stage.apply(policy_of(text))}
    assert results == {"realm": Result.FAILED, "users": Result.APPLIED}


def test_report_mode_shows_and_does_not_act(stage):
    stage.apply(policy_of(SMALL))
    stage.keycloak.realms["acme"].roles["viewer"].description = "by hand"
    planned = stage.plan(policy_of(SMALL, settings="modes: {roles: report}\n")).plan
    assert planned.is_empty
    assert "would update" in next(report.text for report in planned.reported if report.key == "viewer")


def test_ignored_fields_are_left_alone(stage):
    stage.apply(policy_of(SMALL))
    realm = stage.keycloak.realms["acme"]
    jo = next(user for user in realm.people() if user.username == "jo")
    jo.last_name = "Married"
    assert not stage.plan(policy_of(SMALL)).plan.is_empty
    settings = 'ignore: [{users: "*", fields: [last_name]}]\n'
    assert stage.plan(policy_of(SMALL, settings=settings)).plan.is_empty


def test_a_target_brings_what_it_needs_and_no_more(stage):
    planned = stage.plan(policy_of(SMALL), ["users/al"]).plan
    assert [change.key for change in planned.changes] == ["acme", "users", "viewer", "al"]
    assert planned.scope == ("users/al",)
    assert planned.digest != stage.plan(policy_of(SMALL)).plan.digest


def test_disabling_ends_sessions_and_expiry_disables(stage):
    stage.apply(policy_of(SMALL))
    expiring = SMALL.replace("mfa: required", "expires: 2026-01-01")
    assert stage.plan(policy_of(expiring)).plan.is_empty
    stage.clock.now += DAY
    (change,) = stage.plan(policy_of(expiring)).plan.changes
    assert change.changed == ("enabled",)
    stage.apply(policy_of(expiring))
    assert any("logout" in request for request in stage.requests if "/users/" in request)
