"""What a person would see and may do under a policy."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from controller.errors import NotThere
from controller.resources.overrides import Hold, Overrides, Suspension
from controller.simulating import simulate
from tests.controller.stage import policy_of

POLICIES = Path(__file__).resolve().parents[2] / "policies"

POLICY = policy_of("""\
realm: {name: acme, invitation: {actions: [UPDATE_PASSWORD]}}
roles:
  viewer: {api: ["vm:read"], proxmox: [VM.Audit]}
teams:
  science: {managers: [jo], roles: [viewer]}
  research: {parent: science}
users:
  jo:
    email: jo@example.org
    first_name: Jo
    teams: [research]
    mfa: required
    expires: 2027-01-31
    invite: true
    required_actions: [VERIFY_PROFILE]
    proxmox_tokens: {ci: {secret: {controller_file: /x}}}
  old: {state: absent}
clients:
  grafana: {redirect: ["https://g.example.org/*"], roles_claim: true}
  wiki: {redirect: ["https://w.example.org/*"]}
  robot: {service_account: true}
calendars: {fr: [2026-12-25]}
schedules:
  office:
    time_zone: Europe/Paris
    start: {days: mon-fri, at: "07:00"}
    stop: {days: mon-fri, at: "20:00"}
    skip: [fr]
machine_sets:
  labs: {match: {name: "lab-*"}, assigned: {users: {jo: viewer}}, power: {state: running}}
machines:
  web-01:
    power: {schedule: office, idle_shutdown: 90m}
    assigned: {teams: {science: viewer}, tokens: {jo!ci: viewer}}
hosts: {web-01: {accounts: {jo: {sudo: true}}}, db-01: {}}
""")
DAYS = {
    "2027-01-31": (True, ""),
    "2027-02-01": (False, "the account expired on 2027-01-31"),
}


@pytest.mark.parametrize(("day", "expected"), DAYS.items(), ids=DAYS.keys())
def test_an_account_lets_in_until_its_day(day, expected):
    account = simulate(POLICY, "jo", date.fromisoformat(day)).account
    assert (account.can_log_in, account.why) == expected
    assert account.second_factor
    assert account.first_login == ("VERIFY_PROFILE", "UPDATE_PASSWORD")


def test_everything_that_one_person_has():
    found = simulate(POLICY, "jo", date(2026, 1, 1))
    assert [(seat.team, seat.above, seat.is_member, seat.is_manager) for seat in found.teams] == [
        ("research", ("science",), True, False),
        ("science", (), False, True),
    ]
    assert {role: str(ways[0]) for role, ways in found.roles.items()} == {
        "viewer": "through team research, part of science"
    }
    assert found.permissions == {"vm:read": ("viewer",)}
    assert [(one.name, one.privileges) for one in found.access] == [
        ("web-01", ("VM.Audit",)),
        ("labs", ("VM.Audit",)),
    ]
    assert [(one.token, one.name, one.role) for one in found.tokens] == [("jo!ci", "web-01", "viewer")]
    assert found.clients == {"grafana": ("viewer",), "wiki": ()}
    assert found.hosts == {"web-01": True}


def test_when_the_machines_run():
    found = simulate(POLICY, "jo", date(2026, 1, 1))
    assert {one.name: (one.words, one.held) for one in found.power} == {
        "web-01": (
            (
                "office: starts mon-fri 07:00, stops mon-fri 20:00 (Europe/Paris, not on days of fr)",
                "shut down after 90m without use",
            ),
            "",
        ),
        "labs": (("kept running",), ""),
    }


def test_overrides_that_are_in_force_count():
    until = datetime(2026, 1, 2, 8, tzinfo=UTC)
    overrides = Overrides(
        suspended={"jo": Suspension("jo", until, "al", "laptop lost")},
        held={"web-01": Hold("web-01", until, "stopped", "al")},
    )
    found = simulate(POLICY, "jo", date(2026, 1, 1), overrides)
    assert not found.account.can_log_in
    assert found.account.why == "suspended by al until 2026-01-02 08:00 UTC: laptop lost"
    assert found.power[0].held == "held stopped by al until 2026-01-02 08:00 UTC"
    assert found.to_json()["power"][0]["held"] == found.power[0].held


def test_who_is_to_be_gone_and_who_is_not_there():
    assert simulate(POLICY, "old", date(2026, 1, 1)).account.why == "the policy wants the account gone"
    with pytest.raises(NotThere, match='names no user "joo"; did you mean "jo"'):
        simulate(POLICY, "joo", date(2026, 1, 1))


def steward(*arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-c", "from controller.cli.main import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=POLICIES)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_on_the_command_line():
    printed = steward("simulate", "jo", "tour", "--day", "2026-06-01")
    assert "may log in until 2027-01-31, with a second factor" in printed
    assert "through role power-user" in printed
    assert "own entry wins" in " ".join(printed.split())
    gone = steward("simulate", "jo", "tour", "--day", "2027-02-01")
    assert "cannot log in: the account expired on 2027-01-31" in gone
    as_json = json.loads(steward("simulate", "jo", "tour", "--output", "json", "--day", "2026-06-01"))
    assert as_json["account"]["can_log_in"] is True
    assert as_json["roles"]["viewer"][0]["roles"] == ["power-user"]
    assert "is no day" in steward("simulate", "jo", "tour", "--day", "soon", code=1)
    assert 'did you mean "jo"' in steward("simulate", "joo", "tour", code=1)
