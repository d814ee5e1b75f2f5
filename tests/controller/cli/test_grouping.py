"""What is alike is told as one line, and nothing else is."""

from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from controller.cli.grouping import grouped
from controller.cli.markdown import plan_markdown
from controller.cli.rendering import print_plan
from controller.plan.change import Change, create, delete, update
from controller.plan.plan import Plan, Report
from controller.policy.position import SourcePosition

LINE = SourcePosition("prod/cluster.yaml", 7, 16)


def entry(number: int, operation=create, holder: str = "team research: power-user", **details) -> Change:
    fields = {"path": f"/vms/{number}", "holder": "steward-research", "role": "steward-power-user"}
    title = f"lab-{number:02} ← {holder}"
    return operation("proxmox:par1", "machines.assigned", f"vms/{number} x", fields, title=title, **details)


def of_the_set(number: int) -> Change:
    return entry(number, source=LINE, by="lab-boxes", reason="is power-user in the policy")


def drawn(plan: Plan, width: int = 100, **more) -> list[str]:
    out = io.StringIO()
    print_plan(Console(file=out, width=width, highlight=False, markup=False), plan, **more)
    return out.getvalue().splitlines()


def test_a_line_of_the_policy_about_many_machines_is_one_line_of_the_plan():
    other = entry(1, holder="jo: viewer", source=LINE)
    plan = Plan("prod", changes=(*map(of_the_set, range(1, 26)), other))
    shown = drawn(plan)
    assert shown[1] == f"  + lab-boxes (25 machines) ← team research: power-user{'prod/cluster.yaml:7':>45}"
    assert shown[2].strip() == "lab-01 lab-02 lab-03 lab-04 lab-05 lab-06 lab-07 lab-08 and 17 more"
    assert shown[3].startswith("  + lab-01 ← jo: viewer")
    assert shown[-2] == "26 to create"
    assert "assignment `lab-boxes (25 machines) ← team research: power-user`" in plan_markdown(plan)


def test_what_goes_is_told_together_with_the_names():
    shown = drawn(Plan("prod", changes=tuple(entry(n, delete, reason="gone") for n in range(1, 6))))
    assert shown[1] == (
        "  - 5 machines ← team research: power-user  gone · lab-01 lab-02 lab-03 lab-04 lab-05"
    )


def test_a_few_and_what_differs_stand_alone():
    few = [of_the_set(n) for n in range(3)]
    unlike = [replace(of_the_set(n), source=SourcePosition("a.yaml", n, 1)) for n in range(3, 9)]
    assert len(grouped([*few, *unlike])) == 9


def test_people_are_never_told_together():
    people = [delete("keycloak", "users", f"user{n}", {"email": ""}, reason="vanished") for n in range(20)]
    assert len(grouped(people)) == 20


def test_a_plan_cut_short_counts_groups_as_lines():
    plan = Plan("prod", changes=tuple(map(of_the_set, range(1, 26))))
    assert "more (steward plan shows all)" not in "\n".join(drawn(plan, most=5))


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60, unique=True))
def test_no_change_is_lost_or_told_twice(picked):
    changes = [of_the_set(n) if is_set else entry(n, delete, reason="gone") for n, is_set in picked]
    told = [change for group in grouped(changes) for change in group.changes]
    assert sorted(map(id, told)) == sorted(map(id, changes))


def test_fields_of_one_part_of_an_object_are_said_together():
    before = {"events.admin": False, "events.keep_seconds": 0, "name": "a", "mail.port": None}
    after = {"events.admin": True, "events.keep_seconds": 86_400, "name": "b", "mail.port": 587}
    (group,) = grouped([update("keycloak", "realm", "acme", before, after, source=LINE)])
    assert group.words == ["events: admin off → on, keep 0s → 1d", "mail.port none → 587", "name a → b"]


def test_things_at_one_line_of_the_policy_name_it_once():
    reports = tuple(
        Report("proxmox:par1", "machines.assigned", f"lab-{n}", "is not ours", source=LINE) for n in range(3)
    )
    shown = drawn(Plan("prod", reported=reports))
    assert shown[1] == "  · proxmox:par1: is not ours: lab-0, lab-1, lab-2 (prod/cluster.yaml:7)"
    assert plan_markdown(Plan("prod", reported=reports)).count("is not ours") == 1


def test_what_stands_beside_an_obvious_reason_is_said():
    reason = "differs in enabled; suspended by al until 2026-11-23 08:00 UTC: laptop lost"
    change = update(
        "keycloak", "users", "jo", {"enabled": True}, {"enabled": False}, reason=reason, source=LINE
    )
    told = "suspended by al until 2026-11-23 08:00 UTC: laptop lost"
    assert grouped([change])[0].words == ["enabled → disabled", told]
    assert told in plan_markdown(Plan("prod", changes=(change,)))
