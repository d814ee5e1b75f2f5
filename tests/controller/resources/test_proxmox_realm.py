"""The OpenID realm of the simulated cluster."""

from __future__ import annotations

import pytest

from controller.plan.change import Result
from tests.controller.resources.proxmox_world import (
    POLICY,
    keys,
    texts,
)


@pytest.mark.parametrize(
    ("realm", "why"),
    [
        ({"type": "ldap"}, "the realm sso is of type ldap, not openid: it is left alone"),
        (
            {"type": "openid", "username-claim": "email", "comment": "steward.owner=prod"},
            "the realm sso names people by email, which Proxmox never changes",
        ),
    ],
)
def test_a_realm_that_cannot_be_kept_is_left_alone_and_named(world, realm, why):
    world.lab.center.realms.by_name["sso"] = dict(realm)
    plan = world.plan()
    assert not any(key.endswith("realm/sso") for key in keys(plan))
    (gap,) = plan.unobserved
    assert why in gap.why
    assert gap.verdict == "not applied"


def test_a_realm_without_our_mark_is_never_touched(world):
    by_hand = {
        "type": "openid",
        "issuer-url": "https://x.example.org",
        "client-id": "x",
        "username-claim": "username",
    }
    world.lab.center.realms.by_name["sso"] = dict(by_hand)
    plan = world.plan()
    assert texts(plan, "realm") == ["realm exists and is not ours; adopt: true takes it over"]
    assert "update realm/sso" in keys(world.plan(POLICY.replace("pve: {secret", "pve: {adopt: true, secret")))
    world.apply()
    assert world.lab.center.realms.by_name["sso"] == by_hand


def test_a_client_secret_that_cannot_be_read_is_named_with_its_place(world):
    (world.secrets / "client").unlink()
    plan = world.plan()
    assert not any("realm/" in key for key in keys(plan))
    (gap,) = plan.unobserved
    assert gap.why.startswith("policy.yaml:21:")
    assert "cannot be read" in gap.why


def test_a_realm_that_changed_since_the_plan_is_a_conflict(world):
    world.apply()
    world.lab.center.realms.by_name["sso"]["autocreate"] = 1
    plan = world.plan()
    world.lab.center.realms.by_name["sso"]["comment"] = "changed meanwhile steward.owner=prod"
    assert [one.result for one in world.carry_out(plan)] == [Result.CONFLICT]
