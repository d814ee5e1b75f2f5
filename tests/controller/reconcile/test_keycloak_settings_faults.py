"""Settings under rights, faults and interruption: nothing is lost, nothing is taken for empty."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from controller.plan.change import Result
from controller.reconcile.passes import Braked
from tests.contract.test_keycloak_rights import service_account
from tests.controller.stage import policy_of, staged

if TYPE_CHECKING:
    from pathlib import Path

    from tests.controller.place import Place


FEW = """
realm:
  name: acme
  default_roles: [viewer]
  sessions: {idle: 40m}
  identity_providers:
    one: {type: github, client_id: x, by_email: link, trust_email: true}
    two: {type: gitlab, client_id: y, by_email: link, trust_email: true}
roles: {viewer: {api: [vm:read]}}
clients: {a: {redirect: ["https://a/*"], roles_claim: true}, b: {service_account: true}}
"""


@pytest.mark.parametrize("applied", range(7))
def test_any_prefix_of_a_plan_leaves_exactly_the_rest(tmp_path: Path, applied: int):
    policy = policy_of(FEW)
    with staged(tmp_path) as stage:
        with stage.controller() as controller:
            whole = controller.plan(policy).plan
            controller.applier(policy).apply(replace(whole, changes=whole.changes[:applied]))
        left = stage.plan(policy).plan.changes
        assert [one.identity for one in left] == [one.identity for one in whole.changes[applied:]]
        assert {one.result for one in stage.apply(policy)} <= {Result.APPLIED}
        assert stage.plan(policy).plan.is_empty


LOST = {
    "realm": Result.APPLIED,
    "identity_providers": Result.UNKNOWN,  # what was lost is the flow, which it needs first
    "default_roles": Result.APPLIED,
    "clients": Result.APPLIED,
}


@pytest.mark.parametrize(("section", "result"), LOST.items(), ids=LOST)
def test_an_answer_that_is_lost_is_settled_by_looking_again(tmp_path: Path, section: str, result: Result):
    policy = policy_of(FEW)
    with staged(tmp_path) as stage:
        with stage.controller() as controller, controller.lease("test") as lease:
            planned = controller.plan(policy)
            changes = planned.plan.changes
            at = next(number for number, one in enumerate(changes) if one.section == section)
            controller.applier(policy).apply(replace(planned.plan, changes=changes[:at]))
            stage.faults.alter(lost_answers=1)
            one = replace(planned, plan=replace(planned.plan, changes=changes[at : at + 1]))
            (outcome,) = controller.apply(one, actor="test", term=lease.term)
        assert outcome.result is result
        assert {one.result for one in stage.apply(policy)} <= {Result.APPLIED}
        assert stage.plan(policy).plan.is_empty


def test_reading_takes_as_many_requests_for_many_as_for_few(tmp_path: Path):
    counted = []
    for number in (3, 300):
        folder = tmp_path / str(number)
        folder.mkdir()
        with staged(folder) as stage:
            names = [f"n{i}" for i in range(number)]
            text = "realm:\n  name: acme\n  sessions: {idle: 40m}\n  identity_providers:\n"
            text += "".join(f"    {name}: {{type: github, client_id: x}}\n" for name in names)
            text += "clients:\n" + "".join(f"  {name}: {{redirect: ['https://x/*']}}\n" for name in names)
            assert {one.result for one in stage.apply(policy_of(text))} == {Result.APPLIED}
            stage.requests.clear()
            assert stage.plan(policy_of(text)).plan.is_empty
            counted.append(dict(stage.requests))
    assert counted[0] == counted[1]
    assert sum(counted[0].values()) < 40


def logs_in_as(place: Place, client: str, rights: tuple[str, ...]) -> None:
    """The controller logs in with a service account of the realm that has these rights."""
    service_account(place.server, place.writer, client, rights)
    config = place.folder / "controller.yaml"
    (place.folder / "own.secret").write_text(client)
    keycloak = {
        "url": place.server.url,
        "auth_realm": place.realm,
        "client_id": client,
        "client_secret_file": "own.secret",
        "ca_file": str(place.server.ca_file),
    }
    config.write_text(json.dumps(json.loads(config.read_text()) | {"keycloak": keycloak}))


def test_the_client_that_we_log_in_with_is_held_by_a_brake(there: Place):
    logs_in_as(there, "steward", ("realm-admin",))
    policy = there.policy("", "clients: {steward: {redirect: ['https://x/*'], adopt: true}, other: {}}")
    planned = there.plan(policy)
    assert {(one.rule, change.key) for one in planned.refusals for change in one.changes} == {
        ("ourselves", "steward")
    }
    before = there.get("/clients?clientId=steward")
    with pytest.raises(Braked):
        there.apply(policy)
    assert there.get("/clients?clientId=steward") == before


def test_an_account_that_may_not_see_identity_providers_manages_the_rest(there: Place):
    logs_in_as(there, "few", ("view-realm", "view-users", "view-clients"))
    plan = there.plan(there.policy("", "clients: {a: {}}")).plan
    assert ([one.key for one in plan.changes], plan.unobserved) == (["a"], ())
    assert "identity_providers" in {one.section for one in plan.reported}
    plan = there.plan(there.policy("  identity_providers: {g: {type: google, client_id: x}}")).plan
    assert [one.section for one in plan.unobserved] == ["identity_providers"]
