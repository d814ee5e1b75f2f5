from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters import packing
from exporters.reading import Packer
from exporters.serving.negotiation import accepts_gzip, wanted_format
from exporters.text import Format

TEXT, OPENMETRICS = Format.TEXT, Format.OPENMETRICS

ACCEPTS = {
    "Prometheus 2.42": (
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ),
        OPENMETRICS,
    ),
    "Prometheus 3.5": (
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        ),
        OPENMETRICS,
    ),
    "Prometheus 3.5, text preferred": (
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,"
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2"
        ),
        TEXT,
    ),
    "with protobuf": (
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
        ),
        OPENMETRICS,
    ),
    "a browser": ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", TEXT),
    "curl": ("*/*", TEXT),
    "nothing": ("", TEXT),
    "no version": ("application/openmetrics-text", OPENMETRICS),
    "an old version only": ("application/openmetrics-text;version=0.0.1", TEXT),
    "refused": ("application/openmetrics-text;q=0, text/plain;q=0.1", TEXT),
    "the first of equals": ("text/plain;q=0.5,application/openmetrics-text;q=0.5", TEXT),
    "a weight that is none": ("application/openmetrics-text;q=high,text/plain;q=0.1", TEXT),
    "a weight above one": ("application/openmetrics-text;q=7,text/plain;q=0.1", TEXT),
    "not a number": ("application/openmetrics-text;q=nan,text/plain;q=0.1", TEXT),
    "spaces and capitals": (" Application/OpenMetrics-Text ; Version=1.0.0 ; Q=0.9 , */*;q=0.1", OPENMETRICS),
    "only commas": (",,;,", TEXT),
}


@pytest.mark.parametrize(("field", "expected"), ACCEPTS.values(), ids=ACCEPTS.keys())
def test_format(field, expected):
    assert wanted_format(field) is expected


@given(st.text())
def test_any_field_has_an_answer(field):
    assert wanted_format(field) in Format
    assert accepts_gzip(field) in (True, False)


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("gzip", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("GZIP", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("br, *;q=0", False),
        ("gzip;q=0, *", False),
    ],
)
def test_accept_encoding(field, wanted):
    assert accepts_gzip(field) is wanted


@given(st.lists(st.binary(max_size=2000)))
def test_pieces_are_one_gzip_stream_for_others(texts):
    packed = packing.join([(text, packing.piece(text)) for text in texts])
    assert zlib.decompress(packed, 31) == b"".join(texts)


@given(st.lists(st.lists(st.sampled_from([b"same", b"other", b"", b"x" * 5000]), max_size=6), max_size=4))
def test_whatever_changes_between_answers_they_are_read_back(answers):
    packer = Packer()
    for texts in answers:
        parts = [(str(place), text) for place, text in enumerate(texts)]
        assert zlib.decompress(packer.pack(parts, TEXT), 31) == b"".join(texts)
