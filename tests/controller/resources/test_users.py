"""What becomes of people: a case each for what was seen, what is wanted, and whose it is. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.change import Operation
from controller.resources.administration import OTHER_WAY
from controller.resources.resource import Context
from controller.resources.users import SeenUsers, User, diff

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROLES = frozenset({"viewer", "operator"})


def context(**more) -> Context:
    return Context("keycloak", "prod", "acme", NOW, role_names=ROLES, delete_after_days=30, **more)


def seen(**fields) -> User:
    plain = {"owner": "prod", "email": "", "first_name": "", "last_name": "", "second_factor": False}
    return User(**{**plain, "object_id": "id-1", **fields})


def wanted(**fields) -> User:
    return User(**{"owner": "prod", **fields})


CASES = {
    "same": (seen(), wanted(), None, ()),
    "not there": (None, wanted(), Operation.CREATE, ()),
    "fields not given are left alone": (seen(email="a@b.c", first_name="A"), wanted(), None, ()),
    "a field given is set": (seen(email="a@b.c"), wanted(email="x@b.c"), Operation.UPDATE, ("email",)),
    "a field given empty is cleared": (seen(email="a@b.c"), wanted(email=""), Operation.UPDATE, ("email",)),
    "a role more": (seen(), wanted(roles=frozenset({"viewer"})), Operation.UPDATE, ("roles",)),
    "a role less": (seen(roles=frozenset({"viewer"})), wanted(), Operation.UPDATE, ("roles",)),
    "a second factor is asked for": (
        seen(),
        wanted(second_factor=True),
        Operation.UPDATE,
        ("second_factor",),
    ),
    "a second factor is never taken": (seen(second_factor=True), wanted(), None, ()),
    "disabled": (seen(), wanted(enabled=False), Operation.UPDATE, ("enabled",)),
    "back from having vanished": (
        seen(enabled=False, vanished="2026-04-01"),
        wanted(),
        Operation.UPDATE,
        ("enabled", "vanished"),
    ),
    "not ours": (seen(owner=""), wanted(enabled=False), None, ()),
    "adopted": (seen(owner=""), wanted(adopt=True), Operation.UPDATE, ("owner",)),
    "somebody else's is never adopted": (seen(owner="test"), wanted(adopt=True), None, ()),
    "wanted gone": (seen(), wanted(absent=True), Operation.DELETE, None),
    "wanted gone and not ours": (seen(owner=""), wanted(absent=True), None, ()),
    "from a directory is never adopted": (seen(owner="", federated=True), wanted(adopt=True), None, ()),
    "from a directory, marked by hand": (seen(federated=True), wanted(enabled=False), None, ()),
    "from a directory, wanted gone": (seen(federated=True), wanted(absent=True), None, ()),
    "wanted gone and not there": (None, wanted(absent=True), None, ()),
}


@pytest.mark.parametrize(("before", "after", "operation", "fields"), CASES.values(), ids=CASES)
def test_one_person(before, after, operation, fields):
    found = diff(SeenUsers({} if before is None else {"jo": before}, ROLES), {"jo": after}, context())
    assert found.prunes == ()
    assert [change.operation for change in found.changes] == ([] if operation is None else [operation])
    for change in found.changes:
        assert fields is None or change.operation is Operation.CREATE or change.changed == fields


VANISHED = {
    "today": (seen(), {"vanished": "2026-05-01", "enabled": False}),
    "before, not long enough": (seen(enabled=False, vanished="2026-04-02"), None),
    "long enough": (seen(enabled=False, vanished="2026-04-01"), "deleted"),
    "enabled again by hand": (
        seen(vanished="2026-04-20"),
        {"vanished": "2026-05-01", "enabled": False},
    ),
    "a mark that is no day": (
        seen(enabled=False, vanished="soon"),
        {"vanished": "2026-05-01", "enabled": False},
    ),
}


@pytest.mark.parametrize(("before", "after"), VANISHED.values(), ids=VANISHED)
def test_a_name_that_is_no_longer_in_the_policy(before, after):
    found = diff(SeenUsers({"jo": before}, ROLES), {}, context())
    assert found.changes == ()
    if after is None:
        assert found.prunes == ()
    elif after == "deleted":
        assert [change.operation for change in found.prunes] == [Operation.DELETE]
    else:
        (change,) = found.prunes
        assert change.after is not None
        assert {name: change.after[name] for name in after} == after


def test_a_role_that_is_not_ours_is_no_business_of_a_plan():
    found = diff(SeenUsers({"jo": seen()}, frozenset({"viewer"})), {"jo": wanted(roles=ROLES)}, context())
    (change,) = found.changes
    assert change.after is not None
    assert change.after["roles"] == ("viewer",)


def test_what_the_brakes_count():
    before = seen(roles=ROLES)
    observed = SeenUsers({"jo": before, "al": seen()}, ROLES, admins={"jo": frozenset({OTHER_WAY})})
    found = diff(observed, {"al": wanted()}, context())
    (change,) = found.prunes
    assert dict(change.removals) == {"users": 1, "admins": 1, "active_users": 1}
    assert dict(found.populations) == {"users": 2, "grants": 2, "admins": 1, "active_users": 2}
    (change,) = diff(observed, {"jo": wanted(), "al": wanted()}, context()).changes
    assert dict(change.removals) == {"grants": 2}


def test_what_protected_people_have_is_told():
    observed = SeenUsers({"jo": seen(roles=ROLES), "al": seen(roles=ROLES)}, ROLES)
    found = diff(observed, {}, context(protected=frozenset({"jo", "nobody"})))
    assert found.possessions == {"jo": frozenset(f"keycloak/roles/{role}" for role in ROLES)}


UNLISTED = {
    "count": ([], ["2 users that no policy names"]),
    "report": ([], ["no policy names this user"] * 2),
    "disable": (["al"], []),
}


@pytest.mark.parametrize("mode", UNLISTED)
def test_people_whom_no_policy_names(mode):
    strangers = {"al": seen(owner=""), "li": seen(owner="", enabled=False)}
    if mode == "disable":
        strangers["mo"] = seen(owner="", federated=True)
    found = diff(SeenUsers(strangers, ROLES), {}, context(unlisted=mode))
    keys, texts = UNLISTED[mode]
    assert [change.key for change in found.changes] == keys
    assert [report.text for report in found.reported] == texts


_PEOPLE = st.builds(
    seen,
    owner=st.sampled_from(["prod", "", "test"]),
    email=st.sampled_from(["", "a@b.c"]),
    enabled=st.booleans(),
    roles=st.frozensets(st.sampled_from(sorted(ROLES))),
    second_factor=st.booleans(),
    vanished=st.sampled_from(["", "2026-01-01", "2026-04-30"]),
)
_WISHES = st.builds(
    wanted,
    email=st.sampled_from([None, "", "x@b.c"]),
    enabled=st.booleans(),
    roles=st.frozensets(st.sampled_from(sorted(ROLES))),
    second_factor=st.sampled_from([None, True]),
    absent=st.booleans(),
    adopt=st.booleans(),
)
_NAMES = st.sampled_from("abcd")


@given(st.dictionaries(_NAMES, _PEOPLE), st.dictionaries(_NAMES, _WISHES))
def test_once_applied_nothing_is_left_to_do_and_others_are_untouched(people, wishes):
    found = diff(SeenUsers(people, ROLES), wishes, context())
    after = dict(people)
    for change in (*found.changes, *found.prunes):
        before = people.get(change.key)
        assert before is None or before.owner == "prod" or (wishes[change.key].adopt and not before.owner)
        if change.after is None:
            del after[change.key]
        else:
            fields = dict(change.after)
            sets = {name: frozenset(fields[name]) for name in ("roles", "teams")}
            after[change.key] = seen(**{**fields, **sets})
    again = diff(SeenUsers(after, ROLES), wishes, context())
    assert (again.changes, again.prunes) == ((), ())


def test_who_comes_from_a_directory_is_said_and_never_pruned():
    found = diff(SeenUsers({"jo": seen(federated=True)}, ROLES), {"jo": wanted()}, context())
    assert [(report.key, "directory" in report.text) for report in found.reported] == [("jo", True)]
    assert diff(SeenUsers({"jo": seen(federated=True)}, ROLES), {}, context()).prunes == ()


def test_an_address_that_somebody_else_keeps_is_said_with_the_name():
    people = {"jo": seen(email="jo@b.c"), "eve": seen(owner="", email="x@b.c")}
    found = diff(SeenUsers(people, ROLES), {"jo": wanted(email="x@b.c")}, context())
    assert "eve has the address x@b.c" in [report.text for report in found.reported]
