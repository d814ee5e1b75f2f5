"""For any policy: apply makes the world so, the plan is empty then, and nobody else's objects are touched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controller.errors import Unobserved
from tests.controller.worlds import World, results, world
from tests.policies import policies

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = {"keycloak": 150, "proxmox": 100}
"""Each example is a policy and the one after it: 500 policies in all."""

KILLED, BLIND = 30, 60


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as one:
        yield one


@pytest.mark.parametrize("system", ["proxmox", "keycloak"])
def test_apply_makes_any_policy_so_and_any_other_after_it(both, system):
    """The second apply writes nothing, and what nobody gave to us stays as it is, to the byte."""
    both.systems = (system,)
    drawn = policies(both.secrets)

    @settings(max_examples=PAIRS[system], suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(drawn, drawn, st.booleans())
    def holds(first, second, has_realm):
        both.begin(has_realm=has_realm)
        others = both.others()
        for one in (first, second):
            policy = both.policy(one)
            plan = both.plan(policy)
            assert plan.unobserved == ()
            assert results(both.apply(plan, policy)) == []
            again = both.plan(policy)
            assert [change.to_json() for change in again.changes] == []
            assert again.unobserved == ()
            writes = both.writes
            both.apply(again, policy)
            assert both.writes == writes
            assert both.others() | others == both.others()

    holds()


@pytest.mark.parametrize("system", ["proxmox", "keycloak"])
def test_a_pass_that_is_killed_at_any_step_leaves_exactly_the_rest(both, system):
    """Every prefix of the way from one policy to another, each over a world of its own."""
    both.systems = (system,)
    drawn = policies(both.secrets)

    @settings(max_examples=KILLED, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(drawn, drawn, st.data())
    def holds(first, second, data):
        def arrive():
            both.begin(has_realm=True)
            before, after = both.policy(first), both.policy(second)
            both.apply(both.plan(before), before)
            return after, both.plan(after)

        policy, whole = arrive()
        steps = data.draw(st.sets(st.integers(0, len(whole.changes)), max_size=4))
        for step in sorted(steps):
            if step != min(steps):
                policy, whole = arrive()
            both.apply(replace(whole, changes=whole.changes[:step]), policy)
            rest = both.plan(policy).changes
            # what is left needs less to be there first, so that it may come in another order
            left = {one.identity: one.essence() for one in whole.changes[step:]}
            assert {one.identity: one.essence() for one in rest} == left

    holds()


class Blind:
    """A reader some of whose lists are hidden."""

    def __init__(self, reader, hidden):
        self._reader, self._hidden = reader, hidden

    def __getattr__(self, name):
        if name in self._hidden:
            return self._raise
        return getattr(self._reader, name)

    def _raise(self, *_given, **_named):
        raise Unobserved("here", "a list is hidden")


READS = {
    "proxmox": ("rights", "users", "roles", "entries", "groups", "pools", "realms", "resources", "tokens"),
}


@pytest.mark.parametrize("system", READS)
def test_what_cannot_be_seen_is_never_taken_for_empty(both, system):
    """Whatever is hidden: nothing of its sections changes, and nothing changes that would not otherwise."""
    both.systems = (system,)
    drawn = policies(both.secrets)

    @settings(max_examples=BLIND, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(drawn, drawn, st.sets(st.sampled_from(READS[system]), min_size=1))
    def holds(first, second, hidden):
        both.begin(has_realm=True)
        before, after = both.policy(first), both.policy(second)
        both.apply(both.plan(before), before)
        whole = {change.identity: change.essence() for change in both.plan(after).changes}
        blind = both.plan(after, reader=lambda reader: Blind(reader, hidden))
        unseen = {(gap.system, gap.section) for gap in blind.unobserved}
        for change in blind.changes:
            assert (change.system, change.section) not in unseen
            assert whole[change.identity] == change.essence()

    holds()
