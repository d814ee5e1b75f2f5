"""What commands print for people: times in UTC, lists and maps without brackets and quotes."""

from __future__ import annotations

import json

import pytest

from controller.cli.plan import Output
from controller.cli.printing import print_record, print_rows
from tests.controller.api.guest import NOON


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        pytest.param("expires_at", NOON, "2026-01-01 12:00:00 UTC", id="an-instant"),
        pytest.param("not_before", NOON, "2026-01-01 12:00:00 UTC", id="an-instant-of-another-name"),
        pytest.param("receipt started_at", NOON, "2026-01-01 12:00:00 UTC", id="an-instant-of-a-receipt"),
        pytest.param("seq", 7, "7", id="a-number"),
        pytest.param("finished_at", None, "", id="not-yet"),
        pytest.param("root_keyids", ["ab", "cd"], "ab, cd", id="a-list"),
        pytest.param("approvers", [], "", id="an-empty-list"),
        pytest.param("result", {"files": 3, "at": NOON}, "files=3, at=2026-01-01 12:00:00 UTC", id="a-map"),
        pytest.param("is_open", True, "yes", id="a-truth"),
        pytest.param("state", "[red]", "[red]", id="no-markup"),
    ],
)
def test_a_value_as_people_read_it(capsys, name, value, shown):
    print_record({name: value}, Output.TABLE)
    assert capsys.readouterr().out == f"{name.replace('_', ' ')}  {shown}".rstrip() + "\n"
    print_record({name: value}, Output.JSON)
    assert json.loads(capsys.readouterr().out) == {name: value}


def test_nothing_is_cut_off_where_it_is_not_a_terminal(capsys):
    row = {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "reason": "x" * 200, "issued_at": NOON}
    print_rows([row], ("id", "reason", "issued_at"), Output.TABLE)
    printed = capsys.readouterr().out
    assert row["id"] in printed
    assert row["reason"] in printed
    assert "2026-01-01 12:00:00 UTC" in printed
