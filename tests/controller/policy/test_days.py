"""Days of the week, as schedules name them."""

from __future__ import annotations

import pytest

from controller.policy.days import parse_days

DAYS = {
    "mon": {0},
    "mon-fri": {0, 1, 2, 3, 4},
    "mon,wed": {0, 2},
    "mon, wed , sun": {0, 2, 6},
    "sat-mon": {5, 6, 0},
    "mon-wed,fri-sun": {0, 1, 2, 4, 5, 6},
    "wed-wed": {2},
    "daily": {0, 1, 2, 3, 4, 5, 6},
    "weekdays": {0, 1, 2, 3, 4},
    "weekends,mon": {5, 6, 0},
}


@pytest.mark.parametrize(("text", "days"), DAYS.items(), ids=DAYS.keys())
def test_days(text, days):
    assert parse_days(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon,,wed", "mon-fri-sun", "1-5", "Mon", "*"])
def test_what_is_no_day_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"is no day: mon, tue"):
        parse_days(text)
