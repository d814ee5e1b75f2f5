"""What a policy says of access on the simulated cluster is made and mended, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.plan.change import Result
from lab.proxmox.accounts import Entry, Group, Pool, Token, User
from tests.controller.resources.proxmox_world import (
    ENVIRONMENT,
    ISSUER,
    POLICY,
    cluster,
    keys,
)


def test_everything_that_the_policy_says_is_made_and_then_nothing_is_left(world):
    assert keys(world.plan()) == [
        "create realm/sso",
        "create roles/power",
        "create roles/store",
        "create roles/viewer",
        "create teams/ml",
        "create teams/ops",
        "create teams/science",
        "create users/ada",
        "create users/bo",
        "create users/cy",
        "create users/dee",
        "create pools/gpu",
        "create tokens/ada!ci",
        "create machines.assigned/vms/101 ada@sso steward-power",
        "create machines.assigned/vms/101 ada@sso!ci steward-power",
        "create machines.assigned/vms/101 steward-science steward-viewer",
        "create machines.assigned/vms/201 steward-ops steward-viewer",
        "create machines.assigned/vms/202 steward-ops steward-viewer",
        "create pools.assigned/pool/gpu steward-ml steward-power",
        "create storages.assigned/storage/nfs-1 steward-science steward-store",
        "create nodes.assigned/nodes/pve1 dee@sso steward-viewer",
    ]
    assert world.apply() == {Result.APPLIED}
    accounts = world.lab.center.accounts
    assert accounts.groups["steward-science"] == Group(
        "all of science steward.owner=prod", {"ada@sso", "bo@sso"}
    )
    assert accounts.groups["steward-ml"].users == {"bo@sso"}
    assert accounts.pools["gpu"].comment == "for models steward.owner=prod"
    assert accounts.acl[Entry("/vms/202", "group", "steward-ops", "steward-viewer")] == 1
    assert accounts.acl[Entry("/vms/101", "token", "ada@sso!ci", "steward-power")] == 1
    token = accounts.users["ada@sso"].tokens["ci"]
    assert token == Token(1, 1_801_440_000, "builds steward.owner=prod")
    assert world.lab.center.realms.by_name["sso"] == {
        "type": "openid",
        "issuer-url": ISSUER,
        "client-id": "pve",
        "client-key": "the-client-secret",
        "username-claim": "username",
        "autocreate": 0,
        "default": 1,
        "comment": "Single sign-on steward.owner=prod",
    }
    world.lab.center.requests.clear()
    second = world.plan()
    assert keys(second) == []
    assert not second.unobserved
    assert all(what.startswith("GET ") for what in world.lab.center.requests)
    assert sum(world.lab.center.requests.values()) <= 10


DRIFT = [
    pytest.param(
        lambda c: c.accounts.groups["steward-ml"].users.clear(), ["update users/bo"], id="member gone"
    ),
    pytest.param(
        lambda c: c.accounts.groups["steward-ml"].users.add("ada@sso"),
        ["update users/ada"],
        id="member added",
    ),
    pytest.param(
        lambda c: setattr(c.accounts.groups["steward-science"], "comment", "steward.owner=prod"),
        ["update teams/science"],
        id="description",
    ),
    pytest.param(
        lambda c: setattr(c.accounts.users["ada@sso"].tokens["ci"], "privsep", 0),
        ["update tokens/ada!ci"],
        id="token not separated",
    ),
    pytest.param(
        lambda c: setattr(c.accounts.users["ada@sso"].tokens["ci"], "expire", 0),
        ["update tokens/ada!ci"],
        id="token never expires",
    ),
    pytest.param(
        lambda c: c.accounts.users["ada@sso"].tokens.clear(),
        ["create tokens/ada!ci"],
        id="token deleted, its entry not yet",
    ),
    pytest.param(
        lambda c: setattr(c.accounts.pools["gpu"], "comment", "steward.owner=prod"),
        ["update pools/gpu"],
        id="comment of a pool",
    ),
    pytest.param(
        lambda c: c.realms.by_name["sso"].update({"client-key": "stolen"}),
        ["update realm/sso"],
        id="client key",
    ),
    pytest.param(
        lambda c: c.realms.by_name["sso"].update({"autocreate": 1}), ["update realm/sso"], id="autocreate"
    ),
    pytest.param(lambda c: c.realms.by_name["sso"].pop("default"), ["update realm/sso"], id="default"),
    pytest.param(
        lambda c: c.realms.by_name["sso"].update({"issuer-url": "https://evil.example.org"}),
        ["update realm/sso"],
        id="issuer",
    ),
    pytest.param(
        lambda c: c.accounts.acl.pop(Entry("/pool/gpu", "group", "steward-ml", "steward-power")),
        ["create pools.assigned/pool/gpu steward-ml steward-power"],
        id="entry on a pool",
    ),
    pytest.param(
        lambda c: c.accounts.acl.update(
            {Entry("/storage/nfs-1", "group", "steward-science", "steward-store"): 0}
        ),
        ["update storages.assigned/storage/nfs-1 steward-science steward-store"],
        id="propagate on a storage",
    ),
    pytest.param(
        lambda c: c.accounts.acl.update({Entry("/nodes/pve2", "user", "dee@sso", "steward-viewer"): 1}),
        ["delete nodes.assigned/nodes/pve2 dee@sso steward-viewer"],
        id="an entry of ours too many",
    ),
    pytest.param(
        lambda c: c.accounts.acl.update({Entry("/sdn", "user", "dee@sso", "steward-viewer"): 1}),
        ["delete machines.assigned/sdn dee@sso steward-viewer"],
        id="an entry of ours where no section is",
    ),
]


@pytest.mark.parametrize(("harm", "planned"), DRIFT)
def test_each_change_by_hand_is_seen_and_mended(world, harm, planned):
    world.apply()
    mended = world.state()
    harm(world.lab.center)
    world.lab.center.accounts.settle()
    if planned == ["create tokens/ada!ci"]:
        (world.secrets / "ada-ci").unlink()
        planned = [*planned, "create machines.assigned/vms/101 ada@sso!ci steward-power"]
    assert keys(world.plan()) == planned
    assert world.apply() == {Result.APPLIED}
    assert keys(world.plan()) == []
    assert world.state() == mended


def test_what_is_not_ours_is_the_same_before_and_after(world):
    accounts, realms = world.lab.center.accounts, world.lab.center.realms.by_name
    accounts.users |= {
        "x@pve": User(comment="by hand"),
        "bo@sso": User(comment="by hand", tokens={"own": Token(0)}),
    }
    accounts.groups |= {
        "ops": Group("nights", {"x@pve"}),
        "steward-old": Group("another owner steward.owner=lab", {"x@pve"}),
    }
    accounts.groups["ops"].users.add("bo@sso")
    accounts.pools["production"] = Pool("by hand", {101}, {"local"})
    accounts.acl[Entry("/pool/production", "group", "ops", "PVEVMUser")] = 1
    realms["sso2"] = {"type": "openid", "issuer-url": "https://other.example.org", "client-id": "other"}
    accounts.settle()
    before = world.state()
    world.apply()
    world.apply(POLICY.replace("gpu:", "gpu2:").replace("ops: {members: [cy]}", "ops: {members: [ada]}"))
    (users, groups, _, acl, pools), after_realms = world.state()
    (old_users, old_groups, _, old_acl, old_pools), old_realms = before
    assert {name: users[name] for name in old_users if name != "steward@pve"} == {
        name: one for name, one in old_users.items() if name != "steward@pve"
    }
    assert {name: groups[name] for name in old_groups} == old_groups
    assert old_acl.items() <= acl.items()
    assert {name: pools[name] for name in old_pools} == old_pools
    assert {name: after_realms[name] for name in old_realms if name != "keycloak"} == {
        name: one for name, one in old_realms.items() if name != "keycloak"
    }


def test_any_prefix_of_a_plan_leaves_exactly_the_rest(world):
    plan = world.plan()
    total = len(plan.changes)
    for done in range(total):
        rest = world.plan()
        assert keys(rest) == keys(plan)[done:]
        assert [one.result for one in world.carry_out(replace(rest, changes=rest.changes[:1]))] == [
            Result.APPLIED
        ]
    assert keys(world.plan()) == []


def test_a_plan_of_a_large_cluster_takes_ten_requests_at_most(tmp_path):
    people, guests = range(500), range(1000)
    text = "".join(
        [
            "version: 1\nowner: prod\nroles: {viewer: {proxmox: [VM.Audit]}}\nusers:\n",
            *(f"  u{n}: {{}}\n" for n in people),
            "teams:\n",
            *(f"  t{n}: {{members: [u{n}, u{n + 1}]}}\n" for n in range(20)),
            "machines:\n",
            *(
                f"  g{n}: {{vmid: {1000 + n}, assigned: {{users: {{u{n % 500}: viewer}}, "
                f"teams: {{t{n % 20}: viewer}}}}}}\n"
                for n in guests
            ),
        ]
    )
    environment = {
        **ENVIRONMENT,
        "guests": [
            {"vmid": 1000 + n, "type": "qemu", "node": f"pve{n % 3 + 1}", "config": f"name: g{n}\n"}
            for n in guests
        ],
    }

    def populate(center: Any) -> None:
        accounts, mark = center.accounts, "steward.owner=prod"
        accounts.roles["steward-viewer"] = {"VM.Audit"}
        accounts.users |= {f"u{n}@sso": User(comment=mark) for n in people}
        accounts.groups |= {f"steward-t{n}": Group(mark, {f"u{n}@sso", f"u{n + 1}@sso"}) for n in range(20)}
        for n in guests:
            path = f"/vms/{1000 + n}"
            accounts.acl[Entry(path, "user", f"u{n % 500}@sso", "steward-viewer")] = 1
            accounts.acl[Entry(path, "group", f"steward-t{n % 20}", "steward-viewer")] = 1
        accounts.settle()

    with cluster(tmp_path, environment=environment, populate=populate) as world:
        assert len(world.lab.center.accounts.acl) == 2001
        plan = world.plan(text)
        assert (keys(plan), plan.unobserved) == ([], ())
        asked = world.lab.center.requests
        assert sum(asked.values()) <= 10, asked
        assert max(asked.values()) == 1


def test_every_write_whose_answer_is_lost_is_found_done_or_done_again(world):
    """Proxmox commits and the answer gets lost, at every change in turn: the next pass finishes the rest."""
    for _ in range(60):
        plan = world.plan()
        if plan.is_empty:
            break
        world.lab.center.faults.lost_answers = 1
        (outcome,) = world.carry_out(replace(plan, changes=plan.changes[:1]))
        assert outcome.result in {Result.UNKNOWN, Result.FAILED}
        world.lab.center.faults.lost_answers = 0
        rest = world.plan()
        if keys(rest)[:1] == ["update tokens/ada!ci"]:  # made, and its secret lost with the answer
            world.apply()
    assert world.plan().is_empty
    token = world.lab.center.token_values["ada@sso!ci"]
    assert (world.secrets / "ada-ci").read_text().strip() == token
