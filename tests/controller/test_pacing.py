"""An interval of passes that is too long for what the policy asks is said, in the plan and at the start."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.pacing import too_seldom_for_idleness, unmeasured
from controller.policy import parse

POLICY = b"""\
version: 1
owner: prod
machines:
  web-01: {vmid: 101, power: {idle_shutdown: 30m}}
  db-01: {vmid: 102, power: {state: running}}
machine_sets:
  lab: {match: {name: "lab-*"}, power: {idle_shutdown: 1h}}
"""


@pytest.mark.parametrize(
    ("minutes", "named"), [(5, []), (19, []), (20, ["web-01", "lab"]), (60, ["web-01", "lab"])]
)
def test_machines_that_would_never_be_found_idle_are_named(minutes, named):
    policy = parse({"policy.yaml": POLICY}, "")
    reports = unmeasured(policy, timedelta(minutes=minutes))
    assert [report.key for report in reports] == named
    assert [str(report.source) for report in reports] == ["policy.yaml:4:3", "policy.yaml:7:3"][: len(named)]


def test_it_is_said_in_words():
    assert too_seldom_for_idleness(timedelta(minutes=30)) == (
        "reconcile.interval is 30 min: idleness is measured between passes of less than 20 min, "
        "so that no machine is ever found idle"
    )
