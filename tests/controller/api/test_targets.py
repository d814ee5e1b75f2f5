"""What a host says of itself, and what a policy says of it, as Prometheus will take it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.targets import target

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@pytest.mark.parametrize(
    ("address", "netloc", "path"),
    [
        pytest.param("http://10.0.0.1:9095", "10.0.0.1:9095", None, id="as-agents-say-it"),
        pytest.param("https://web-01.example.org/", "web-01.example.org", None, id="a-bare-slash"),
        pytest.param("http://[fe80::1]:9095/node", "[fe80::1]:9095", "/node", id="ipv6-and-path"),
    ],
)
def test_an_address_becomes_a_target(address, netloc, path):
    found = target("web-01", address, {})
    assert (found["targets"], found["labels"].get("__metrics_path__")) == ([netloc], path)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://[",
        "http://[::1",
        "http://u:p@h/",
        "http://h/?x=1",
        "http://h#a",
        "ftp://h",
        "http://é",
        "h:1",
    ],
)
def test_nonsense_costs_nobody_their_metrics(address):
    assert target("web-01", address, {}) is None


@pytest.mark.parametrize(
    ("given_labels", "told"),
    [
        pytest.param({"site": "par1"}, {"site": "par1"}, id="plain"),
        pytest.param({"rack-row": "7"}, {"rack_row": "7"}, id="a-dash"),
        pytest.param({"2nd": "x"}, {"_2nd": "x"}, id="a-digit"),
        pytest.param({"host": "db-01", "job": "x", "instance": "y"}, {}, id="ours"),
        pytest.param({"__address__": "evil:80", "..address..": "evil:80"}, {}, id="what-steers-the-scrape"),
    ],
)
def test_labels_of_the_policy(given_labels, told):
    labels = target("web-01", "http://h:1", given_labels)["labels"]
    assert labels == {**told, "host": "web-01", "__scheme__": "http"}


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=4), st.text())
def test_prometheus_takes_whatever_comes_out(labels, address):
    for found in (target("web-01", "http://h:1", labels), target("web-01", address, labels)):
        names = found["labels"] if found else {}
        assert all(LABEL.fullmatch(name) for name in names)
        assert json.dumps(found)
