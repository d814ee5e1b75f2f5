"""Which collectors a set of flags switches on."""

import pytest

from exporters.errors import SettingError
from exporters.settings import Settings
from exporters.table import TABLE, wanted

DEFAULTS = {row.name for row in TABLE if row.by_default}
ONLY = {"collector.disable-defaults": "true"}
PVE_URL = {"collector.pve.url": "https://pve1:8006"}
CASES = {
    "nothing": ({}, DEFAULTS),
    "one more": ({"collector.swap": "true"}, DEFAULTS | {"swap"}),
    "one less": ({"collector.cpu": "false"}, DEFAULTS - {"cpu"}),
    "one alone": (ONLY | {"collector.cpu": "true"}, {"cpu"}),
    "a flag of one that is off": (PVE_URL, DEFAULTS | {"pve"}),
    "a flag of one that is switched off": (PVE_URL | {"collector.pve": "false"}, DEFAULTS),
    "a flag of one that is on": ({"collector.netdev.device-exclude": "^veth"}, DEFAULTS),
    "a flag beside another collector": (ONLY | {"collector.cpu": "true"} | PVE_URL, {"cpu", "pve"}),
    "a flag under a shorter name": (
        ONLY | {"collector.powersupply.ignored-supplies": "^$"},
        {"powersupplyclass"},
    ),
    "a flag of serving": (ONLY | {"web.max-requests": "3"}, set()),
}


def given(flags):
    return Settings({name: (value,) for name, value in flags.items()})


@pytest.mark.parametrize(("flags", "names"), CASES.values(), ids=CASES.keys())
def test_what_is_on(flags, names):
    assert {row.name for row in wanted(given(flags))} == names


@pytest.mark.parametrize("name", [row.name for row in TABLE if not row.by_default])
def test_no_flag_is_given_to_no_effect(name):
    [row] = [row for row in TABLE if row.name == name]
    for setting in row.settings:
        value = "false" if setting.is_switch else _value(setting)
        assert name in {row.name for row in wanted(given({setting.name: value}))}


def _value(setting):
    """A value that the setting takes."""
    for text in ("1", "1s", "cluster", "replication", "/x", "^$"):
        try:
            setting.parse([text])
        except ValueError:
            continue
        return text
    raise AssertionError(f"{setting.name} takes none of these")


@pytest.mark.parametrize("name", ["collector.none", "collector.cpu.none", "web.none", "collector.pve.urls"])
def test_what_is_no_flag(name):
    with pytest.raises(SettingError, match=name):
        wanted(given({name: "x"}))
