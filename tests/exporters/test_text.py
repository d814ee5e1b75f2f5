from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import SampleError
from exporters.samples import SINGLE, Block, Family, Kind, Metric, Shape, label
from exporters.text import Renderer, escape_label
from tests.exporters.exposition import parse

DEVICES = Metric("node_things_total", Kind.COUNTER, "Things.", ("device", "mode"))
LOAD = Metric("node_load1", Kind.GAUGE, "1m load average.")


def test_a_family_is_a_group_of_lines():
    text = Renderer().render([Family(DEVICES, (("sda", "r"), ("sdb", "w")), (1, 2.5)), LOAD.one(0.21)])
    assert text == (
        "# HELP node_things_total Things.\n# TYPE node_things_total counter\n"
        'node_things_total{device="sda",mode="r"} 1\nnode_things_total{device="sdb",mode="w"} 2.5\n'
        "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.21\n"
    )


def test_rows_of_a_histogram_begin_with_the_suffix_of_their_series():
    waited = Metric("app_wait_seconds", Kind.HISTOGRAM, "Waits.", ("queue", "le"), is_sparse=True)
    rows = (("_bucket", "a", "1.0"), ("_bucket", "a", "+Inf"), ("_sum", "a", ""), ("_count", "a", ""))
    assert Renderer().render([Family(waited, rows, (1, 2, 3.5, 2))]).splitlines()[2:] == [
        'app_wait_seconds_bucket{queue="a",le="1.0"} 1',
        'app_wait_seconds_bucket{queue="a",le="+Inf"} 2',
        'app_wait_seconds_sum{queue="a"} 3.5',
        'app_wait_seconds_count{queue="a"} 2',
    ]


def test_a_summary_has_no_other_series_than_its_own():
    took = Metric("app_took_seconds", Kind.SUMMARY, "Took.", ("quantile",), is_sparse=True)
    text = Renderer().render([Family(took, (("", "0.5"), ("_sum", "")), (1, 2))])
    assert text.splitlines()[2:] == ['app_took_seconds{quantile="0.5"} 1', "app_took_seconds_sum 2"]
    with pytest.raises(SampleError, match="no summary has a series '_bucket'"):
        Renderer().render([Family(took, (("_bucket", "0.5"),), (1,))])


def test_a_family_without_rows_leaves_no_lines():
    assert Renderer().render([Family(DEVICES, (), ())]) == ""


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (1e300, "1e+300"),
        (0.1, "0.1"),
    ],
)
def test_numbers(value, printed):
    assert Renderer().render([LOAD.one(value)]).endswith(f"node_load1 {printed}\n")


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ('say "hi"', r"say \"hi\""),
        ("C:\\temp", r"C:\\temp"),
        ("two\nlines", r"two\nlines"),
        ("100 %s %d %%", "100 %s %d %%"),
        ('{a="b"}', r"{a=\"b\"}"),
        (label(b"caf\xe9"), "caf\ufffd"),
        (label(b"\xff\xfe side \xff"), "\ufffd side \ufffd"),
    ],
)
def test_label_values_are_escaped(value, escaped):
    assert escape_label(value) == escaped
    text = Renderer().render([Family(DEVICES, ((value, ""),), (1,))])
    assert parse(text).of("node_things_total", device=value, mode="") == 1


def test_help_is_escaped():
    metric = Metric("a", Kind.GAUGE, 'back\\slash, "quote", 5 %\nline')
    assert Renderer().render([metric.one(1)]).startswith('# HELP a back\\\\slash, "quote", 5 %\\nline\n')


@given(
    st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=3)), unique=True),
    st.data(),
)
def test_whatever_is_rendered_reads_back(rows, data):
    rows = [tuple(part.encode("utf-8", "replace").decode() for part in row) for row in rows]
    rows = tuple(dict.fromkeys(rows))
    numbers = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63)
    values = data.draw(st.lists(numbers, min_size=len(rows), max_size=len(rows)))
    renderer = Renderer()
    for _ in range(2):  # the second time from the template
        text = renderer.render([Family(DEVICES, rows, values)])
        read = parse(text).values if text else {}
        assert list(read.values()) == [float(value) for value in values]
        assert {frozenset(zip(("device", "mode"), row, strict=True)) for row in rows} == {
            key for _, key in read
        }


def test_a_new_shape_is_not_mixed_with_the_old_template():
    renderer = Renderer()
    renderer.render([Family(DEVICES, (("a", ""), ("b", "")), (1, 2))])
    text = renderer.render([Family(DEVICES, (("b", ""),), (3,))])
    assert parse(text).values == {("node_things_total", frozenset({("device", "b"), ("mode", "")})): 3}


REFUSED = {
    "a value is a bool": [LOAD.one(True)],  # noqa: FBT003
    "a value is text": [Family(LOAD, ((),), ("1",))],
    "more values than rows": [Family(LOAD, ((),), (1, 2))],
    "fewer labels than names": [Family(DEVICES, (("sda",),), (1,))],
    "the same series twice": [Family(DEVICES, (("a", "b"), ("a", "b")), (1, 2))],
    "the same metric twice": [LOAD.one(1), LOAD.one(2)],
}


@pytest.mark.parametrize("families", REFUSED.values(), ids=REFUSED.keys())
def test_bad_families_are_refused(families):
    with pytest.raises(SampleError):
        Renderer().render(families)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("", ()),
        ("1a", ()),
        ("a-b", ()),
        ("ä", ()),
        ("a", ("b-c",)),
        ("a", ("__name__",)),
        ("a", ("b", "b")),
        ("a", ("",)),
    ],
)
def test_bad_names_are_refused(name, labels):
    with pytest.raises(SampleError):
        Metric(name, Kind.GAUGE, "", labels)


def test_a_block_is_its_families_one_after_the_other():
    series = [(DEVICES, (("sda", "r"), ("sdb", "w"))), (LOAD, SINGLE)]
    shape = Shape(series)
    block = Block(shape, [1, 2.5, 3])
    assert list(block) == [Family(*series[0], [1, 2.5]), Family(*series[1], [3])]
    assert (len(block), block[1]) == (2, Family(*series[1], [3]))
    renderer = Renderer()
    texts = [renderer.render(families) for families in (block, list(block), Block(shape, [4, 5, 6]))]
    assert texts[0] == texts[1] == Renderer().render(list(block))
    assert texts[2] == Renderer().render(list(Block(shape, [4, 5, 6])))
    with pytest.raises(SampleError, match="2 values for 3 series"):
        Block(shape, [1, 2])
    with pytest.raises(SampleError, match="twice"):
        renderer.render(Block(Shape([(LOAD, SINGLE), (LOAD, SINGLE)]), [1, 2]))
