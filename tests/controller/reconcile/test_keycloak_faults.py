"""Whole passes while Keycloak fails: done, or said why not, and the next one does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.plan.change import Result
from lab.keycloak.faults import Faults
from tests.controller.stage import Stage, policy_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = """
realm:
  name: acme
  brute_force: {failures: 5}
  default_roles: [viewer]
  identity_providers: {hub: {type: github, client_id: x}}
roles: {viewer: {description: may look}, power-user: {includes: [viewer]}}
teams: {ops: {roles: [power-user], members: [al]}, night: {parent: ops, members: [jo]}}
users: {jo: {email: jo@example.org, roles: [viewer]}, al: {email: al@example.org}, kim: {}}
clients: {portal: {redirect: ["https://portal/*"], roles_claim: true}}
"""
CHANGED = WHOLE.replace("failures: 5", "failures: 6").replace("may look", "looks").replace(
    "members: [al]", "members: [al, kim]"
).replace("{email: al@example.org}", "{email: al@example.com, roles: [viewer]}")  # fmt: skip

ONCE: dict[str, dict[str, Any]] = {
    "a good token is refused": {"refused_tokens": 1},
    "tokens are good for three calls": {"token_uses": 3},
    "an answer to a write is lost": {"lost_answers": 1},
    "409 to a write": {"status": 409, "method": "PUT", "times": 1},
    "429 with Retry-After": {"status": 429, "retry_after_seconds": 1, "times": 1},
    "429 to a write": {"status": 429, "retry_after_seconds": 1, "method": "PUT", "times": 1},
    "500": {"status": 500, "times": 1},
    "500 to a write": {"status": 500, "method": "PUT", "times": 1},
    "502": {"status": 502, "times": 1},
    "502 to a write": {"status": 502, "method": "PUT", "times": 1},
    "503 to writes": {"status": 503, "method": "PUT", "times": 3},
    "the connection breaks in the middle of an answer": {"is_cut": True, "method": "GET", "times": 1},
    "the connection breaks in a page of users": {"is_cut": True, "path": "*/users", "times": 1},
    "half the JSON of a page": {"is_truncated": True, "path": "*/groups", "times": 1},
    "a proxy's page": {"is_garbled": True, "method": "GET", "times": 1},
    "rows are missing": {"missing_rows": 1, "path": "*/users", "times": 1},
}
faults = pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


@faults
def test_nothing_is_planned_of_what_was_not_seen(stage: Stage, fault: dict[str, Any]) -> None:
    """What is there stays there, whatever the answers looked like."""
    policy = policy_of(WHOLE)
    stage.apply(policy)
    before = stage.writes
    stage.faults.alter(**fault)
    plan = stage.plan(policy).plan
    assert plan.changes == ()
    assert all(gap.why for gap in plan.unobserved)
    assert stage.writes == before
    stage.faults.now = Faults()
    assert stage.plan(policy).plan.is_empty


@faults
def test_the_next_pass_does_the_rest(stage: Stage, fault: dict[str, Any]) -> None:
    stage.apply(policy_of(WHOLE))
    stage.faults.alter(**fault)
    outcomes = stage.apply(policy_of(CHANGED))
    assert all(one.reason for one in outcomes if one.result is not Result.APPLIED)
    stage.faults.now = Faults()
    assert {one.result for one in stage.apply(policy_of(CHANGED))} <= {Result.APPLIED}
    assert stage.plan(policy_of(CHANGED)).plan.is_empty


@faults
def test_a_first_pass_that_is_disturbed_is_finished_by_the_next(stage: Stage, fault: dict[str, Any]) -> None:
    policy = policy_of(WHOLE)
    stage.faults.alter(**fault)
    outcomes = stage.apply(policy)
    assert all(one.reason for one in outcomes if one.result is not Result.APPLIED)
    stage.faults.now = Faults()
    for _ in range(2):
        stage.apply(policy)
    assert stage.plan(policy).plan.is_empty
    realm = stage.keycloak.realms["acme"]
    assert sorted(user.username for user in realm.people()) == ["al", "jo", "kim"]
    assert sorted(realm.path_of(group) for group in realm.groups.values()) == ["/ops", "/ops/night"]


def test_writes_that_fail_for_good_are_told_and_nothing_is_lost(stage: Stage) -> None:
    stage.apply(policy_of(WHOLE))
    stage.faults.alter(status=500, method="PUT")
    outcomes = stage.apply(policy_of(CHANGED))
    failed = [one for one in outcomes if one.result is not Result.APPLIED]
    assert failed
    assert all(one.reason for one in failed)
    assert any("500" in one.reason for one in failed)
    stage.faults.now = Faults()
    stage.apply(policy_of(CHANGED))
    assert stage.plan(policy_of(CHANGED)).plan.is_empty
