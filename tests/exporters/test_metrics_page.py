from __future__ import annotations

import re

import pytest

from exporters.samples import Kind, Metric
from exporters.table import TABLE
from tests.exporters import metrics_page

SECTIONS = metrics_page.sections()
ALL = {name: metric for section in SECTIONS for name, metric in section.metrics.items()}


def test_the_page_is_what_the_code_says():
    written = metrics_page.PAGE.read_text(encoding="utf-8")
    assert written == metrics_page.render(SECTIONS), "run `python -m tests.exporters.metrics_page`"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_collector_has_a_section_with_metrics(row):
    [section] = [section for section in SECTIONS if section.title == f"`{row.name}`"]
    assert section.metrics
    assert row.source in section.words


def test_each_metric_has_a_help():
    assert [name for name, metric in ALL.items() if not metric.help] == []


def test_our_own_names_follow_the_rules_on_units_and_labels():
    """Those of others are as they are."""
    own = {name: metric for name, metric in ALL.items() if name.startswith("steward_")}
    counters = {name for name, metric in own.items() if metric.kind is Kind.COUNTER}
    assert counters == {name for name in own if name.endswith("_total")}
    scaled = re.compile(r"_(percent|ms|milliseconds|kb|mb|kib|mib|mhz)(_|$)")
    assert [name for name in own if scaled.search(name)] == []
    personal = {"pid", "nonce", "error", "message"}
    assert [name for name, metric in own.items() if personal & set(metric.labels)] == []


KNOWN = {
    "node_cpu_seconds_total": "seconds",
    "node_memory_MemFree_bytes": "bytes",
    "node_boot_time_seconds": "seconds since 1970",
    "steward_gpu_up": "",
    "steward_backup_last_success_timestamp_seconds": "seconds since 1970",
    "DCGM_FI_DEV_SM_CLOCK": "megahertz",
    "DCGM_FI_DEV_FB_USED": "mebibytes",
    "restic_size_total": "bytes",
    "steward_ai_requests_total": "",
}


@pytest.mark.parametrize("name", KNOWN)
def test_units(name):
    assert metrics_page.unit(ALL[name]) == KNOWN[name]


def test_a_bar_in_a_help_text_does_not_break_the_table():
    metric = Metric("a", Kind.GAUGE, "one | two\nthree")
    page = metrics_page.render([metrics_page.Section("s", "w", {"a": metric})])
    assert page.endswith("| `a` | gauge |  |  | one \\| two three |\n")
