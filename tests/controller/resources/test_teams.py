"""What becomes of teams: a case each for what is there, what is wanted, and whose it is. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.keycloak_groups import MANAGERS_ATTRIBUTE, KeycloakGroup
from controller.keycloak_values import OWNER_ATTRIBUTE, attributes_of
from controller.plan.change import Operation
from controller.plan.plan import Plan, ordered
from controller.resources.resource import Context
from controller.resources.team_groups import sorted_out
from controller.resources.teams import SeenTeams, Team, diff

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROLES = frozenset({"viewer", "operator"})


def context(teams: dict[str, str] | None = None, adopted: frozenset[str] = frozenset()) -> Context:
    return Context(
        "keycloak", "prod", "acme", NOW, role_names=ROLES, teams=teams or {}, adopted_teams=adopted
    )


def group(path: str, *, owner: str = "prod", managers: tuple[str, ...] = (), **fields) -> KeycloakGroup:
    """A group by its path; ids are paths, so that a parent need not be named."""
    above, _, name = path.rpartition("/")
    marks = {OWNER_ATTRIBUTE: owner, MANAGERS_ATTRIBUTE: managers}
    attributes = attributes_of({key: value for key, value in marks.items() if value})
    return KeycloakGroup(name, path, path, above, attributes=attributes, **fields)


def team(**fields) -> Team:
    given = {
        name: frozenset(value) if name in {"roles", "managers"} else value for name, value in fields.items()
    }
    return Team(**{"owner": "prod", **given})


def compared(groups, wanted: dict[str, Team]):
    teams = {name: one.parent for name, one in wanted.items()}
    adopted = frozenset(name for name, one in wanted.items() if one.adopt)
    return diff(SeenTeams(tuple(groups), ROLES), wanted, context(teams, adopted))


CASES = {
    "same": ([group("/a")], team(), None, ()),
    "not there": ([], team(), Operation.CREATE, ()),
    "a description not given is left alone": ([group("/a", description="x")], team(), None, ()),
    "a description": (
        [group("/a", description="x")],
        team(description="y"),
        Operation.UPDATE,
        ("description",),
    ),
    "a manager more": ([group("/a")], team(managers=["jo"]), Operation.UPDATE, ("managers",)),
    "a manager less": ([group("/a", managers=("jo",))], team(), Operation.UPDATE, ("managers",)),
    "a role more": ([group("/a")], team(roles=["viewer"]), Operation.UPDATE, ("roles",)),
    "a role less": ([group("/a", roles=ROLES)], team(roles=["viewer"]), Operation.UPDATE, ("roles",)),
    "a role that is not ours stays": ([group("/a", roles=frozenset({"theirs"}))], team(), None, ()),
    "moved": ([group("/b", owner=""), group("/b/a")], team(), Operation.UPDATE, ("parent",)),
    "not ours": ([group("/a", owner="")], team(description="x"), None, ()),
    "adopted": ([group("/a", owner="")], team(adopt=True), Operation.UPDATE, ("owner",)),
    "somebody else's is never adopted": ([group("/a", owner="test")], team(adopt=True), None, ()),
    "of the same name elsewhere is nobody's business": (
        [group("/x", owner=""), group("/x/a", owner="")],
        team(adopt=True),
        Operation.CREATE,
        (),
    ),
    "the one in the right place wins": (
        [group("/a"), group("/b", owner=""), group("/b/a")],
        team(),
        None,
        (),
    ),
    "two, none in place": (
        [group("/b", owner=""), group("/b/a"), group("/c", owner=""), group("/c/a")],
        team(),
        None,
        (),
    ),
}


@pytest.mark.parametrize(("groups", "wanted", "operation", "fields"), CASES.values(), ids=CASES)
def test_one_team(groups, wanted, operation, fields):
    found = compared(groups, {"a": wanted})
    assert found.prunes == ()
    assert [change.operation for change in found.changes] == ([] if operation is None else [operation])
    for change in found.changes:
        assert change.operation is Operation.CREATE or change.changed == fields


REPORTS = {
    "in the way": ([group("/a", owner="")], "a", "exists and is not ours", False),
    "somebody else's": ([group("/a", owner="test")], "a", "belongs to test", False),
    "a second one": ([group("/a"), group("/b", owner=""), group("/b/a")], "a", "/b/a carries our mark", True),
    "ambiguous": (
        [group("/b", owner=""), group("/b/a"), group("/c", owner=""), group("/c/a")],
        "a",
        "several groups of this name",
        True,
    ),
    "a stranger that gives our roles": (
        [group("/a"), group("/x", owner="", roles=ROLES)],
        "/x",
        "is not ours and gives our roles operator, viewer",
        True,
    ),
}


@pytest.mark.parametrize(("groups", "key", "text", "pages"), REPORTS.values(), ids=REPORTS)
def test_what_is_reported(groups, key, text, pages):
    (report,) = compared(groups, {"a": team()}).reported
    assert (report.key, report.pages) == (key, pages)
    assert text in report.text


def test_a_group_whose_sub_groups_stay_is_kept_and_said():
    found = compared([group("/a"), group("/a/b"), group("/a/b/theirs", owner="")], {})
    assert found.prunes == ()
    assert [report.key for report in found.reported] == ["a", "b"]
    assert all("/a/b/theirs" in report.text for report in found.reported)


def test_sub_teams_go_before_their_team_and_a_team_that_stays_moves_out_first():
    groups = [group("/a"), group("/a/b"), group("/a/b/c"), group("/a/b/c/theirs", owner="")]
    found = compared(groups, {"c": team()})
    order = ordered([*found.changes, *found.prunes])
    assert [(change.operation, change.key) for change in order] == [
        (Operation.UPDATE, "c"),
        (Operation.DELETE, "b"),
        (Operation.DELETE, "a"),
    ]
    assert found.reported == ()


def test_parents_are_made_before_children():
    wanted = {"a": team(parent="b"), "b": team(parent="c"), "c": team()}
    assert [change.key for change in ordered(compared([], wanted).changes)] == ["c", "b", "a"]


def test_a_turned_chain_moves_what_comes_to_the_top_first():
    wanted = {"a": team(parent="b"), "b": team()}
    found = compared([group("/a"), group("/a/b")], wanted)
    assert [change.key for change in ordered(found.changes)] == ["b", "a"]


def test_teams_of_other_names_with_our_mark_count_as_managed():
    found = sorted_out(
        [group("/a"), group("/old"), group("/theirs", owner="")], context({"a": "", "new": ""})
    )
    assert found.managed(context({"a": "", "new": ""})) == {"a", "old", "new"}


_NAMES = st.sampled_from("abcd")


@st.composite
def trees(draw) -> dict[str, str]:
    """Teams with their parents, which come earlier: so there are no circles."""
    names = draw(st.permutations("abcd"))
    chosen = names[: draw(st.integers(0, 4))]
    return {
        name: draw(st.sampled_from(["", *chosen[:number]])) if number else ""
        for number, name in enumerate(chosen)
    }


def path_of(name: str, parents: dict[str, str]) -> str:
    return f"{path_of(parents[name], parents) if parents[name] else ''}/{name}"


@given(trees(), trees(), st.data())
def test_carried_out_in_order_every_plan_ends_with_nothing_to_do(before, after, data):
    world = {name: group(path_of(name, before)) for name in before}
    ids = {name: one.id for name, one in world.items()}
    wanted = {
        name: team(parent=parent, roles=data.draw(st.sets(st.sampled_from(sorted(ROLES)))))
        for name, parent in after.items()
    }
    found = compared(world.values(), wanted)
    for change in Plan("prod", ordered([*found.changes, *found.prunes])).changes:
        fields = change.after
        if fields is None:
            assert not any(one.parent_id == world[change.key].id for one in world.values())
            del world[change.key]
            continue
        parent = world[fields["parent"]].id if fields["parent"] else ""
        here = world.get(change.key) or group(f"/{change.key}", owner="prod")
        ids.setdefault(change.key, here.id)
        assert parent != here.id
        moved = replace(here, parent_id=parent, roles=frozenset(fields["roles"]))
        world[change.key] = moved
    again = compared(world.values(), wanted)
    assert (again.changes, again.prunes, again.reported) == ((), (), ())
