"""What hands and names do on a simulated cluster that a careless controller would break, or break on."""

from __future__ import annotations

import pytest

from controller.plan.change import Result
from lab.proxmox.accounts import Entry, Pool, User
from tests.controller.resources.proxmox_world import POLICY, World, keys, texts

BARE = "version: 1\nowner: prod\nlimits: {delete_after: 30d}\n"


def entry(world: World, path: str, kind: str, holder: str, role: str) -> Entry:
    """An entry that somebody made by hand."""
    made = Entry(path, kind, holder, role)  # type: ignore[arg-type]
    world.lab.center.accounts.acl[made] = 1
    return made


def converge(world: World, text: str, *, passes: int = 4) -> list[str]:
    """What is left to do after some passes, each of which must write without a failure."""
    for _ in range(passes):
        results = world.apply(text)
        assert results <= {Result.APPLIED}, results
    return keys(world.plan(text))


def test_a_pool_that_holds_only_storages_is_left_alone_and_named(world):
    world.apply()
    world.lab.center.accounts.pools["gpu"].storage.add("nfs-1")
    world.lab.center.accounts.pools["old"] = Pool("steward.owner=prod")
    plan = world.plan(BARE)
    pools = [key for key in keys(plan) if " pools/" in key]
    assert pools == ["delete pools/old"]
    assert "no longer in the policy, and still holds storage nfs-1: left alone until it is empty" in texts(
        plan, "pools"
    )
    world.lab.center.requests.clear()
    world.plan()
    assert not [what for what in world.lab.center.requests if what == "GET /pools" and "poolid" in what]


def test_a_pool_on_which_others_have_something_is_left_alone_and_named(world):
    world.apply()
    foreign = entry(world, "/pool/gpu", "user", "dee@sso", "PVEPoolUser")
    assert converge(world, BARE) == []
    accounts = world.lab.center.accounts
    assert "gpu" in accounts.pools
    assert foreign in accounts.acl
    (told,) = [text for text in texts(world.plan(BARE), "pools") if "left alone" in text]
    assert "PVEPoolUser" in told


def test_a_group_that_has_something_from_others_is_left_alone_and_named(world):
    world.apply()
    foreign = entry(world, "/vms/101", "group", "steward-ml", "PVEAuditor")
    assert converge(world, BARE) == []
    accounts = world.lab.center.accounts
    assert "steward-ml" in accounts.groups
    assert "steward-science" not in accounts.groups
    assert foreign in accounts.acl
    (told,) = [text for text in texts(world.plan(BARE), "teams") if "left alone" in text]
    assert "PVEAuditor on /vms/101" in told


def test_a_group_that_holds_somebody_elses_account_is_left_alone_and_named(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.users["guest@pve"] = User()
    accounts.groups["steward-ml"].users.add("guest@pve")
    assert converge(world, BARE) == []
    assert accounts.groups["steward-ml"].users == {"guest@pve"}
    (told,) = [text for text in texts(world.plan(BARE), "teams") if "left alone" in text]
    assert "guest@pve" in told


TEXTS = [
    pytest.param(
        "science: {description: all of science}", 'science: {description: "  two\\n lines "}', id="group"
    ),
    pytest.param("gpu: {comment: for models,", 'gpu: {comment: " for models ",', id="pool"),
    pytest.param("ci: {comment: builds,", 'ci: {comment: " builds  ",', id="token"),
    pytest.param("comment: Single sign-on}", 'comment: " Single\\nsign-on "}', id="realm"),
    pytest.param(
        "dee: {}", 'dee: {first_name: " Dee ", last_name: "D\\u00a0", email: dee@example.org}', id="person"
    ),
    pytest.param(
        "gpu: {comment: for models,", "gpu: {comment: mine steward.owner=other,", id="a mark of our kind"
    ),
    pytest.param("gpu: {comment: for models,", 'gpu: {comment: "50% a:b",', id="what the file has to encode"),
]


@pytest.mark.parametrize(("plain", "odd"), TEXTS)
def test_a_text_that_proxmox_keeps_otherwise_is_written_once(world, plain, odd):
    assert plain in POLICY
    assert converge(world, POLICY.replace(plain, odd), passes=2) == []


def test_guests_that_a_pool_hides_from_us_lose_nothing(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.pools["dark"] = Pool(vms={201})
    userid, _, _ = world.lab.token_id.partition("!")
    for kind, holder in (("user", userid), ("token", world.lab.token_id)):
        entry(world, "/pool/dark", kind, holder, "NoAccess")
    before = dict(accounts.acl)
    plan = world.plan()
    assert "machines.assigned" in {gap.section for gap in plan.unobserved}
    world.carry_out(plan)
    assert accounts.acl == before


GIVEN_SINCE = [("/pool/gpu", "user", "dee@sso", "pools/gpu"), ("/vms/101", "group", "steward-ml", "teams/ml")]


@pytest.mark.parametrize(("path", "kind", "holder", "key"), GIVEN_SINCE)
def test_what_others_are_given_after_the_plan_is_no_more_taken(world, path, kind, holder, key):
    world.apply()
    plan = world.plan(BARE)
    assert f"delete {key}" in keys(plan)
    foreign = entry(world, path, kind, holder, "PVEPoolUser")
    outcomes = {one.change.identity: one for one in world.carry_out(plan)}
    refused = outcomes[f"proxmox:par1/{key}"]
    assert (refused.result, "is not deleted" in refused.reason) == (Result.CONFLICT, True)
    assert foreign in world.lab.center.accounts.acl


def test_the_second_pass_after_trouble_takes_what_nobody_uses_any_more(world):
    world.apply()
    foreign = entry(world, "/pool/gpu", "user", "dee@sso", "PVEPoolUser")
    converge(world, BARE)
    assert "gpu" in world.lab.center.accounts.pools
    del world.lab.center.accounts.acl[foreign]
    assert converge(world, BARE, passes=1) == []
    assert "gpu" not in world.lab.center.accounts.pools
