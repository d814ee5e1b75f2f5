"""Overrides of the store as a pass sees them."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.reconcile.overriding import overrides_of
from controller.store import StoredOverride

UNTIL = 1_795_201_200
AT = datetime.fromtimestamp(UNTIL, UTC)


def stored(kind, name, state=""):
    return StoredOverride(1, kind, name, state, "local:ann", "because", UNTIL - 60, UNTIL)


def test_people_are_suspended_and_machines_held():
    found = overrides_of([stored("user", "jo"), stored("machine", "web-01", "running")], ())
    assert found.suspended["jo"].until == AT
    assert (found.held["web-01"].state, found.held["web-01"].until) == ("running", AT)
    assert found.told({"jo"}) == (
        f"user jo is suspended by local:ann until {AT:%Y-%m-%d %H:%M} UTC: because",
        f"machine web-01 is held running by local:ann until {AT:%Y-%m-%d %H:%M} UTC: because",
    )


def test_nobody_whom_limits_protect_is_suspended_and_it_is_told():
    found = overrides_of([stored("user", "breakglass")], {"breakglass"})
    assert dict(found.suspended) == {}
    [line] = found.told({"breakglass"})
    assert "limits.protected_users" in line


def test_a_suspension_of_nobody_is_told():
    [line] = overrides_of([stored("user", "joo")], ()).told({"jo"})
    assert line.endswith("the policy names nobody so")


def test_a_state_that_this_version_does_not_know_leaves_the_machine_alone():
    assert overrides_of([stored("machine", "web-01", "paused")], ()).held["web-01"].state == "as-is"
