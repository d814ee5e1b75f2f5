"""OpenMetrics, read back by Prometheus' own Python library, which is strict."""

from __future__ import annotations

import subprocess
from shutil import which

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read

from exporters.samples import Family, Kind, Metric
from exporters.text import Format, Renderer, go_float
from tests.exporters import trees

OPENMETRICS = Format.OPENMETRICS


def families(*given):
    """What another reads of these families: name → (type, samples)."""
    text = Renderer().render(given, OPENMETRICS) + OPENMETRICS.end.decode()
    return {
        found.name: (found.type, [(sample.name, sample.labels, sample.value) for sample in found.samples])
        for found in read(text)
    }


def metric(name, kind, *labels, **more):
    return Metric(name, kind, "Help.", labels, **more)


def test_a_counter_is_named_without_its_suffix():
    (name, (kind, samples)), *_ = families(
        metric("a_total", Kind.COUNTER, "x").one(1)._replace(rows=(("y",),))
    ).items()
    assert (name, kind, samples) == ("a", "counter", [("a_total", {"x": "y"}, 1.0)])


CASES = {
    "a counter without _total": (metric("node_intr", Kind.COUNTER), 5, "node_intr", "unknown"),
    "a gauge with _total": (metric("a_total", Kind.GAUGE), 5, "a_total", "gauge"),
    "untyped": (metric("node_vmstat_pgfault", Kind.UNTYPED), 5, "node_vmstat_pgfault", "unknown"),
    "a counter below zero": (metric("a_total", Kind.COUNTER), -5, "a_total", "unknown"),
    "a counter that is no number": (metric("a_total", Kind.COUNTER), float("nan"), "a_total", "unknown"),
    "a gauge below zero": (metric("a", Kind.GAUGE), -5, "a", "gauge"),
    "a gauge without end": (metric("a", Kind.GAUGE), float("-inf"), "a", "gauge"),
}


@pytest.mark.parametrize(("of", "value", "name", "kind"), CASES.values(), ids=CASES.keys())
def test_types(of, value, name, kind):
    found = families(of.one(value))
    assert found[name][0] == kind
    assert repr(float(found[name][1][0][2])) == repr(float(value))


def test_a_counter_gives_way_to_a_metric_of_its_short_name():
    found = families(metric("a", Kind.GAUGE).one(1), metric("a_total", Kind.COUNTER).one(2))
    assert {name: kind for name, (kind, _) in found.items()} == {"a": "gauge", "a_total": "unknown"}


def test_a_counter_that_was_impossible_once_is_a_counter_again():
    renderer, wrapped = Renderer(), metric("a_total", Kind.COUNTER)
    for value, kind in ((1, "counter"), (-1, "unknown"), (2, "counter")):
        assert f" {kind}\n" in renderer.render([wrapped.one(value)], OPENMETRICS)


def test_escapes():
    odd = Metric("a", Kind.GAUGE, 'A "word", a \\ and\na line, 100 %s.', ("of",))
    found = families(Family(odd, (('"\\\n é%d',),), (1,)))
    assert found["a"][1] == [("a", {"of": '"\\\n é%d'}, 1.0)]


def test_buckets_and_quantiles_are_canonical_numbers():
    waits = metric("w_seconds", Kind.HISTOGRAM, "le", is_sparse=True)
    took = metric("t_seconds", Kind.SUMMARY, "quantile", is_sparse=True)
    rows = (("_bucket", "1"), ("_bucket", "+Inf"), ("_count", ""), ("_sum", ""))
    found = families(
        Family(waits, rows, (1, 2, 2, 0.5)),
        Family(took, (("", "0.50"), ("_sum", ""), ("_count", "")), (1, 2, 3)),
    )
    assert [labels for _, labels, _ in found["w_seconds"][1]] == [{"le": "1.0"}, {"le": "+Inf"}, {}, {}]
    assert found["t_seconds"][1][0][1] == {"quantile": "0.5"}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1", "1.0"),
        ("0.50", "0.5"),
        ("1000000", "1e+06"),
        ("-1234567.5", "-1.2345675e+06"),
        ("1e9", "1e+09"),
        ("1e100", "1e+100"),
        ("0.00001", "1e-05"),
        ("inf", "+Inf"),
        ("-inf", "-Inf"),
        ("nan", "NaN"),
    ],
)
def test_numbers_in_labels(text, canonical):
    assert go_float(text) == canonical


@pytest.mark.parametrize("name", trees.TREES)
async def test_a_whole_host_is_read_and_says_the_same_in_both_formats(name):
    registry = trees.registry(trees.host(trees.tree(name)))
    try:
        one = (await registry.scrape(wanted=OPENMETRICS)).text.decode()
        other = (await registry.scrape()).text.decode()
    finally:
        registry.close()
    assert one.endswith("# EOF\n")
    assert len(list(read(one))) > 20
    ours = "steward_scrape_", "node_scrape_"
    assert _samples(one, ours) == _samples(other, ours)


def _samples(text, without):
    return {line for line in text.splitlines() if not line.startswith(("#", *without))}


@pytest.mark.skipif(which("promtool") is None, reason="promtool is not installed")
def test_promtool_reads_text():
    text = Renderer().render([metric("a_total", Kind.COUNTER).one(1)])
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
