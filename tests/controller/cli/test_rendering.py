"""What people see of a plan: golden text at fixed widths, without colour."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from controller.cli.rendering import place_of, print_outcomes, print_plan
from controller.cli.wording import words_of
from controller.plan.brakes import check
from controller.plan.change import Outcome, Result, create, delete, update
from controller.plan.limits import Limits, strictest
from controller.plan.plan import Gap, Plan, Report, ordered
from controller.policy.parse import parse
from controller.policy.position import SourcePosition

GOLDEN = Path(__file__).parents[2] / "golden"

USER = {
    "owner": "prod",
    "email": "ada.moreau@acme.example",
    "first_name": "Ada",
    "last_name": "Moreau",
    "enabled": True,
    "roles": ["maintainer"],
    "second_factor": True,
    "vanished": "",
}
ACCOUNT = {"userid": "ada.moreau@keycloak", "owner": "prod", "enabled": True, "email": "", "vanished": ""}
ROLE = {"owner": "prod", "description": "reads everything, changes nothing", "includes": ["viewer"]}
ENTRY = {"path": "/vms/101", "kind": "user", "holder": "ada.moreau@keycloak", "role": "steward-viewer"}


def at(file: str, line: int) -> SourcePosition:
    return SourcePosition(f"prod/{file}.yaml", line, 3)


def assignment(operation, title: str, number: int, **more):
    key = f"vms/{number} ada.moreau@keycloak steward-viewer"
    return operation(
        "proxmox:par1", "machines.assigned", key, {**ENTRY, "propagate": True}, title=title, **more
    )


def changes():
    realm = {"brute_force": False, "failures": 30, "lockout_seconds": 900}
    guarded = {"brute_force": True, "failures": 5, "lockout_seconds": 7200}
    gone = {**USER, "enabled": False, "vanished": "2026-01-01"}
    back = {**USER, "vanished": "2026-01-01", "enabled": False}
    undeclared, declared = {"steward.owner": "undeclared"}, {"steward.owner": "declared"}
    left = "user left the policy: disabled, deleted after 30 days"
    return ordered(
        [
            update("keycloak", "realm", "acme", realm, guarded, reason="differs", source=at("realm", 4)),
            update(
                "keycloak", "profile", "users", undeclared, declared, reason="Keycloak would drop our mark"
            ),
            create("keycloak", "roles", "auditor", ROLE, source=at("roles", 15)),
            create("keycloak", "users", "ada.moreau", USER, reason="not there", source=at("people", 4)),
            create(
                "keycloak", "users", "x1", {**USER, "enabled": False, "roles": []}, source=at("people", 9)
            ),
            update("keycloak", "users", "bo", USER, gone, reason=left, removals={"users": 1}),
            update("keycloak", "users", "cy", back, {**USER, "roles": ["viewer"]}, source=at("people", 20)),
            update("keycloak", "users", "di", {**USER, "owner": ""}, USER, source=at("people", 30)),
            delete("keycloak", "users", "ed", USER, reason="user vanished from the policy on 2025-11-01"),
            create("proxmox:par1", "users", "ada.moreau", ACCOUNT, source=at("people", 4)),
            create("proxmox:par1", "roles", "viewer", {"privileges": ["VM.Audit"]}, source=at("roles", 3)),
            assignment(create, "web-01 ← ada.moreau: viewer", 101, source=at("machines", 7)),
            assignment(delete, "web-02 ← ada.moreau: viewer", 102, reason="no longer in the policy"),
        ]
    )


def plan(*made) -> Plan:
    return Plan(
        owner="prod",
        changes=made or changes(),
        instances={"keycloak": "https://sso.acme.example/realms/acme", "proxmox:par1": "https://par1:8006"},
        reported=(
            Report("keycloak", "users", "", "200 users that no policy names"),
            Report("keycloak", "users", "eve", "is not ours and holds our roles viewer", pages=True),
            Report("proxmox:par1", "roles", "viewer", "this version has no privilege", source=at("roles", 4)),
        ),
    )


def drawn(width: int, one: Plan, **more) -> str:
    out = io.StringIO()
    print_plan(Console(file=out, width=width, highlight=False, markup=False), one, **more)
    return re.sub(r"digest [0-9a-f]{64}", "digest …", out.getvalue())


@pytest.mark.parametrize("width", [60, 100, 160])
def test_a_plan_reads_as_it_always_did(width):
    assert drawn(width, plan()) == (GOLDEN / f"plan_{width}.txt").read_text(encoding="utf-8")


@given(width=st.integers(40, 200), cut=st.integers(0, 13))
def test_no_line_is_wider_than_the_terminal_unless_one_word_is(width, cut):
    for line in drawn(width, plan(*changes()[cut:])).splitlines():
        assert len(line) <= width or len(max(line.split(), key=len)) > width // 4, line
        assert line == line.rstrip()


def test_many_adoptions_are_one_line_and_a_real_change_among_them_is_seen():
    unmarked = {**USER, "owner": ""}
    taken = [
        update("keycloak", "users", f"user{n:03}", unmarked, USER, source=at("people", n))
        for n in range(1, 99)
    ]
    edited = update("keycloak", "users", "zoe", unmarked, {**USER, "roles": []}, source=at("people", 99))
    shown = drawn(100, replace(plan(*taken, edited), reported=())).splitlines()
    assert shown[1] == f"  ~ user zoe  adopted · roles -maintainer{'prod/people.yaml:99':>59}"
    assert shown[2].startswith("  ~ 98 users adopted, nothing but our mark is set: user001, user002,")
    assert len(shown) == 6


def test_what_report_mode_holds_back_is_told_as_changes_and_not_counted():
    held = create("keycloak", "users", "ada.moreau", USER, source=at("people", 4))
    report = Report("keycloak", "users", "ada.moreau", "would create (report mode)", change=held)
    shown = drawn(100, Plan(owner="prod", reported=(report,)))
    assert shown.startswith("keycloak: in report mode, told and not changed\n  + user ada.moreau  maintainer")
    assert shown.endswith("nothing to do: 1 difference in report mode\n")


def test_what_is_said_of_many_is_said_once():
    text = "foreign mark"
    many = [Report("keycloak", "users", f"user{n:02}", text, pages=True) for n in range(20)]
    entry = Report("keycloak", "machines.assigned", "vms/1 a b", text, pages=True, title="web-01 ← a: b")
    shown = drawn(100, Plan(owner="prod", reported=(entry, *many))).splitlines()
    assert shown[1].startswith("  ! keycloak: foreign mark: web-01 ← a: b, user user00, user user01,")
    assert "user user10, and 9 more" in " ".join(" ".join(shown).split())


def test_gaps_of_one_cause_are_one_line():
    gaps = tuple(Gap("keycloak", section, "no answer") for section in ("realm", "users"))
    shown = drawn(100, Plan(owner="prod", unobserved=gaps))
    assert (
        shown == "not observed: keycloak realm, users: no answer\nnothing to do where it could be observed\n"
    )


def test_a_brake_is_named_with_its_changes():
    one = delete("keycloak", "users", "jo", USER, reason="gone")
    held = check(plan(one), strictest([Limits(protected=frozenset({"jo"}))]))
    assert "held by the brake protected_users:" in drawn(100, plan(one), refusals=held)


def test_what_is_not_applied_is_said_once_and_short():
    repository = b"{s3: {url: 's3:https://s3.example.org/b', password: {host_env: X}}}"
    text = b"repositories: " + repository + b"\nhosts: {a: {machine: b}}\nmachines: {b: {}}"
    policy = parse({"policy.yaml": b"version: 1\nowner: prod\n", "all.yaml": text}, "")
    shown = drawn(160, Plan(owner="prod"), policy=policy)
    said = "section repositories (all.yaml:1), hosts.machine (all.yaml:2)"
    assert shown.splitlines()[0] == f"understood, not applied by this version: {said}"


def test_a_place_is_relative_to_the_current_folder(tmp_path):
    with contextlib.chdir(tmp_path):
        assert place_of(SourcePosition(str(Path.cwd() / "prod" / "a.yaml"), 3, 1)) == "prod/a.yaml:3"
    assert place_of(SourcePosition("/elsewhere/a.yaml", 3, 1)) == "/elsewhere/a.yaml:3"


def test_outcomes_name_what_went_wrong_and_count():
    made = changes()
    ended = [Outcome(one, Result.APPLIED) for one in made[:-1]] + [
        Outcome(made[-1], Result.CONFLICT, "moved")
    ]
    out = io.StringIO()
    print_outcomes(Console(file=out, width=100, highlight=False), ended, 1.26)
    assert out.getvalue() == "conflict: keycloak: delete user ed: moved\n12 applied, 1 conflict in 1.3 s\n"


CASES = {
    "a switch turned off": ({"enabled": True}, {"enabled": False}, "enabled → disabled"),
    "a text that was empty": ({"email": ""}, {"email": "a@b.c"}, "email none → a@b.c"),
    "a list by what comes and goes": ({"roles": ["a", "b"]}, {"roles": ["b", "c"]}, "roles +c -a"),
    "a duration": ({"lockout_seconds": 90}, {"lockout_seconds": 86_400}, "lockout 90s → 1d"),
    "another owner": ({"owner": "a"}, {"owner": "b"}, "owner a → b"),
    "a field nobody here knows": ({"shape": {"a": 1}}, {"shape": None}, "shape a=1 → none"),
}


@pytest.mark.parametrize(("before", "after", "said"), CASES.values(), ids=CASES)
def test_an_update_in_words(before, after, said):
    assert words_of(update("keycloak", "users", "jo", before, after, source=at("people", 1))) == [said]


def test_thousands_that_were_skipped_for_one_reason_are_one_line():
    users = [create("keycloak", "users", f"user{n}", USER) for n in range(5000)]
    reason = "needs keycloak/teams/everybody, which ended as failed"
    outcomes = [Outcome(one, Result.SKIPPED, reason) for one in users]
    out = io.StringIO()
    print_outcomes(Console(file=out, width=100), outcomes, 1.0)
    assert out.getvalue().splitlines() == [
        "skipped: keycloak: user user0, user user1, user user2, and 4997 more: needs",
        "    keycloak/teams/everybody, which ended as failed",
        "5000 skipped in 1.0 s",
    ]
