"""Teams: who is in them, and which roles that gives, whatever the shape of the tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.policy.model import Policy
from controller.policy.people import Role, Team, User
from controller.policy.teams import (
    all_members,
    ancestors,
    descendants,
    effective_roles,
    members,
    roles_of_everybody,
    teams_of,
    with_included,
)

ACME = Policy(
    roles={
        "viewer": Role(),
        "power": Role(includes=("viewer",)),
        "maintainer": Role(includes=("power",)),
        "reader": Role(),
    },
    teams={
        "science": Team(roles=("reader",), members=("boss",)),
        "research": Team(parent="science", members=("jo",), roles=("power",)),
        "lasers": Team(parent="research", members=("al",)),
        "ops": Team(roles=("maintainer",)),
    },
    users={
        "boss": User(),
        "jo": User(teams=("ops",)),
        "al": User(roles=("viewer",), teams=("lasers",)),
        "zoe": User(),
    },
)


def test_members_are_those_a_team_names_and_those_who_name_it():
    assert members(ACME) == {"science": {"boss"}, "research": {"jo"}, "lasers": {"al"}, "ops": {"jo"}}


def test_all_members_are_those_of_teams_below_as_well():
    assert all_members(ACME) == {
        "science": {"boss", "jo", "al"},
        "research": {"jo", "al"},
        "lasers": {"al"},
        "ops": {"jo"},
    }


def test_ancestors_stand_nearest_first():
    assert ancestors(ACME, "lasers") == ("research", "science")
    assert ancestors(ACME, "science") == ()
    assert ancestors(ACME, "unknown") == ()
    assert descendants(ACME, "science") == ("lasers", "research")


ROLES = {
    "boss": {"reader"},
    "jo": {"reader", "power", "viewer", "maintainer"},
    "al": {"viewer", "power", "reader"},
    "zoe": set(),
    "nobody": set(),
}


@pytest.mark.parametrize(("user", "roles"), ROLES.items(), ids=ROLES.keys())
def test_roles_come_from_people_teams_above_and_composites(user, roles):
    assert effective_roles(ACME, user) == roles


def test_teams_of_a_person_are_sorted_and_without_those_above():
    assert teams_of(ACME, "jo") == ("ops", "research")
    assert teams_of(ACME, "zoe") == ()


NAMES = ("a", "b", "c", "d", "e")
ROLE_NAMES = ("r", "s", "t")
ANY_POLICY = st.builds(
    Policy,
    roles=st.fixed_dictionaries(
        {
            name: st.builds(Role, includes=st.lists(st.sampled_from(ROLE_NAMES), max_size=2).map(tuple))
            for name in ROLE_NAMES
        }
    ),
    teams=st.dictionaries(
        st.sampled_from(NAMES),
        st.builds(
            Team,
            parent=st.none() | st.sampled_from(NAMES),
            members=st.lists(st.sampled_from(("jo", "al")), max_size=2).map(tuple),
            roles=st.lists(st.sampled_from(ROLE_NAMES), max_size=2).map(tuple),
        ),
    ),
    users=st.fixed_dictionaries(
        {
            name: st.builds(User, teams=st.lists(st.sampled_from(NAMES), max_size=2).map(tuple))
            for name in ("jo", "al")
        }
    ),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ANY_POLICY)
def test_every_question_ends_even_where_teams_and_roles_go_in_circles(policy):
    everybody = roles_of_everybody(policy)
    whole = all_members(policy)
    for user in policy.users:
        assert effective_roles(policy, user) == everybody[user]
        assert with_included(policy, everybody[user]) == everybody[user]
        for team in teams_of(policy, user):
            assert set(policy.teams[team].roles) <= everybody[user]
            for above in (team, *ancestors(policy, team)):
                assert user in whole[above]
                assert set(policy.teams[above].roles) <= everybody[user]
    for team, people in members(policy).items():
        assert people <= whole[team]
        assert team not in ancestors(policy, team)
