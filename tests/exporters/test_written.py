"""Readings that are written where they are read: the renderer's text, and read back as they were."""

import zlib
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters import packing
from exporters.background import Background
from exporters.errors import SampleError
from exporters.registry import Registry, Source
from exporters.samples import Family, Kind, Metric
from exporters.text import Format, Renderer
from exporters.written import Writer

SIZE = Metric("size_bytes", Kind.GAUGE, 'A "size",\nwith a \\.', ("id", "name"))
GROWN = Metric("grown_bytes", Kind.GAUGE, "Deprecated form.", ("id",))
GROWN_TOTAL = Metric("grown_bytes_total", Kind.COUNTER, "Grown.", ("id",))
READ = Metric("read_bytes_total", Kind.COUNTER, "Read.", ("id",))
PLAIN = Metric("plain", Kind.UNTYPED, "Without labels.")
NAMES = frozenset(metric.name for metric in (SIZE, GROWN, GROWN_TOTAL, READ, PLAIN))
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
rows = st.lists(st.tuples(st.text(), st.text()), unique=True, max_size=8)


def families(rows: list[tuple[str, str]], value: float) -> list[Family]:
    return [
        Family(SIZE, tuple(rows), (value,) * len(rows)),
        Family(GROWN, (("a",),), (1,)),
        Family(GROWN_TOTAL, (("a",),), (1,)),
        Family(READ, (("a",), ("b",)), (5, value)),
        PLAIN.one(value),
    ]


@given(rows, numbers, st.sampled_from(Format), st.sampled_from(Format))
def test_it_is_the_renderer_s_text(rows, value, first, wanted):
    writer = Writer(NAMES)
    writer.asked(first)
    given = families(rows, value)
    written = writer.write(given)
    assert written.rendering.text(wanted) == Renderer().reading(given).text(wanted)
    assert list(written) == [family for family in given if family.rows]


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_what_is_not_finite(value):
    written = Writer(NAMES).write([read(value)])
    for wanted in Format:
        assert written.rendering.text(wanted) == Renderer().reading([read(value)]).text(wanted)


def read(value: float) -> Family:
    return Family(READ, (("a",),), (value,))


def test_it_is_compressed_in_the_format_that_was_asked_for_last():
    writer = Writer(NAMES)
    writer.write([PLAIN.one(1)]).rendering.text(Format.OPENMETRICS)
    later = writer.write([PLAIN.one(2)]).rendering
    blocks = later.blocks(Format.OPENMETRICS)
    assert later.blocks(Format.TEXT) is None
    text = later.text(Format.OPENMETRICS)
    assert zlib.decompress(packing.join([(text, blocks)]), 31) == text


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([PLAIN.one(1), PLAIN.one(2)], "twice in one collector"),
        ([Family(READ, (("a",), ("a",)), (1, 2))], "same series"),
        ([Family(READ, (("a", "b"),), (1,))], "2 label values for 1"),
        ([Family(READ, (("a",), ("b",)), (1,))], "1 values for 2 rows"),
        ([PLAIN.one("1")], "str"),
        (
            [Family(Metric("h", Kind.HISTOGRAM, "H.", ("le",), is_sparse=True), (("_sum", ""),), (1,))],
            "ahead",
        ),
    ],
)
def test_what_it_refuses(wrong, why):
    with pytest.raises(SampleError, match=why):
        Writer(NAMES).write(wrong)


async def test_a_registry_serves_it_in_both_formats_and_compressed():
    writer, turns = Writer(NAMES), iter(range(1, 9))
    source = Background("ahead", lambda: writer.write([PLAIN.one(next(turns))]), interval_seconds=3600)
    registry = Registry([Source("ahead", source.collector())], fresh_seconds=0)
    try:
        for wanted in (*Format, *Format):
            reading = await registry.scrape(wanted=wanted)
            assert b"\nplain 1\n" in reading.text
            assert zlib.decompress(reading.gzipped, 31) == reading.text
    finally:
        registry.close()


async def test_two_that_have_the_same_metric():
    written = Writer(NAMES).write([PLAIN.one(1)])
    sources = [Background(name, lambda: written, interval_seconds=3600) for name in ("one", "two")]
    registry = Registry(
        [Source(name, source.collector()) for name, source in zip(("one", "two"), sources, strict=True)]
    )
    try:
        text = (await registry.scrape()).text
        assert text.count(b"\nplain 1\n") + text.startswith(b"plain 1\n") == 1
        assert b'steward_scrape_collector_success{collector="two"} 0' in text
    finally:
        registry.close()


async def test_nothing_to_tell():
    written = Writer(NAMES).write([])
    assert (len(written), written.rendering.is_empty, written.rendering.text()) == (0, True, b"")
