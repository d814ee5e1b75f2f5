"""A plan in Markdown: as it always read, and nothing in it that a name could break or forge."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from controller.cli.markdown import MOST_CHARACTERS, code, plan_markdown
from controller.plan.brakes import check
from controller.plan.change import ChangedBy, create, update
from controller.plan.limits import DEFAULT_LIMITS, Limits, strictest
from controller.plan.plan import Gap, Plan, Report
from tests.controller.cli.test_rendering import USER, plan

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "plan.md"
_PARSER = MarkdownIt("commonmark").enable("table")
_BY = ChangedBy("mallory", datetime(2026, 11, 19, 14, 2, tzinfo=UTC), "from 192.0.2.7")


def whole_plan() -> Plan:
    """One of everything that a plan can say."""
    told = update("keycloak", "roles", "viewer", {"description": "a"}, {"description": "b"})
    plain = plan()
    first, *rest = plain.changes
    return replace(
        plain,
        changes=(replace(first, changed_by=_BY), *rest),
        unobserved=(Gap("proxmox:par1", "machines.power", "the node pve3 does not answer"),),
        reported=(*plain.reported, Report("keycloak", "roles", "viewer", "would update", change=told)),
        populations={"keycloak/users": 4, "keycloak/active_users": 4},
        overrides=("user jo is suspended by al until 2026-11-20 08:00 UTC: lost laptop",),
    )


def test_a_plan_reads_as_it_always_did():
    limits = strictest([DEFAULT_LIMITS, Limits(count=0, source="the policy")])
    made = whole_plan()
    text = re.sub(r"`[0-9a-f]{64}`", "`…`", plan_markdown(made, check(made, limits)))
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_an_empty_plan_is_one_line():
    lines = plan_markdown(Plan("prod")).splitlines()
    assert lines[0] == "### Steward plan: nothing to do"
    assert len([line for line in lines if line]) == 2


HOSTILE = st.text(
    st.one_of(st.sampled_from("|`\\<>@*_[]()!#~&\n\r\t"), st.characters(codec="utf-8")), max_size=30
)


@given(HOSTILE)
def test_any_text_is_one_span_and_one_cell(text):
    parsed = _PARSER.parse(f"| a | b |\n| --- | --- |\n| {code(text)} | end |\n")
    cells = [one for one in parsed if one.type == "inline"][2:]
    assert len(cells) == 2
    assert cells[1].content == "end"
    kinds = {child.type for child in cells[0].children or []}
    assert kinds <= {"code_inline", "text"}
    if any(one.isprintable() and not one.isspace() for one in text):
        assert kinds == {"code_inline"}


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_name_value_or_reason_becomes_markup(name, value, reason, why):
    change = update("keycloak", "users", name, {"a": value}, {"a": f"{value}!"}, reason=reason)
    made = Plan(
        "prod",
        (change,),
        unobserved=(Gap("keycloak", "users", why),),
        reported=(Report("keycloak", "users", name, reason, pages=True),),
        overrides=(why,),
    )
    held = check(made, strictest([]), ourselves=frozenset({change.identity}))
    text = plan_markdown(made, held)
    kinds = {child.type for one in _PARSER.parse(text) for child in one.children or []}
    assert not kinds & {"link_open", "image", "em_open", "strong_open_of_a_name"}
    tags = set(re.findall(r"</?[a-zA-Z][^>]*>", re.sub(r"(`+).*?\1", "", text)))
    assert tags <= {"<details open>", "<details>", "</details>", "<summary>", "</summary>", "<b>", "</b>"} | {
        "<br>",
        "<sub>",
        "</sub>",
    }
    spans = re.sub(r"(`+)(?:(?!\1).)*?\1", "", text)
    assert not re.search(r"@[A-Za-z]", spans)


@pytest.mark.parametrize("number", [1, 11, 5000])
def test_a_comment_has_room_for_it_whatever_its_size(number):
    users = tuple(
        create("keycloak", "users", f"user{n}", {**USER, "email": "x" * 500}) for n in range(number)
    )
    reports = tuple(Report("keycloak", "users", f"other{n}", "is not ours " * 20) for n in range(number))
    text = plan_markdown(Plan("prod", users, reported=reports))
    assert len(text) <= MOST_CHARACTERS
    assert f"{number} to create" in text.splitlines()[0]
    assert ("more: `steward plan` shows all of them" in text) == (number == 5000)
    assert text.count("<details") == text.count("</details>")


def test_a_reference_to_a_secret_is_told_by_its_place():
    before, after = (
        {"secret": {"controller_env": "OLD"}},
        {"secret": {"controller_file": "/etc/steward/secrets/x"}},
    )
    text = plan_markdown(Plan("prod", (update("keycloak", "clients", "grafana", before, after),)))
    assert "| `from environment OLD` | `from file /etc/steward/secrets/x` |" in text
