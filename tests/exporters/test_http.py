from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.serving.http import Malformed, answer_head, parse_head

HOST = b"\r\nHost: localhost:9095"


def test_a_scrape_of_prometheus():
    head = (
        b"GET /metrics?collect[]=cpu&collect[]=meminfo HTTP/1.1\r\nHost: 127.0.0.1:9095\r\n"
        b"User-Agent: Prometheus/3.5.0\r\nAccept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
        b"Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10"
    )
    request = parse_head(head)
    assert (request.method, request.path, request.keep_alive) == ("GET", "/metrics", True)
    assert request.query == {"collect[]": ["cpu", "meminfo"]}
    assert request.fields["x-prometheus-scrape-timeout-seconds"] == "10"


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (b"GET / HTTP/1.1" + HOST, True),
        (b"GET / HTTP/1.1" + HOST + b"\r\nConnection: close", False),
        (b"GET / HTTP/1.1" + HOST + b"\r\nconnection: Keep-Alive, CLOSE", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_whether_the_connection_stays(head, kept):
    assert parse_head(head).keep_alive is kept


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://other.example:1/metrics?a=b", "/metrics", "other.example:1"),
        (b"HTTPS://other.example", "/", "other.example"),
        (b"//other.example/metrics", "//other.example/metrics", "localhost:9095"),
        (b"*", "*", "localhost:9095"),
    ],
)
def test_targets_with_a_host(target, path, host):
    request = parse_head(b"GET " + target + b" HTTP/1.1" + HOST)
    assert (request.path, request.fields["host"]) == (path, host)


def test_fields_of_one_name_are_one_list():
    request = parse_head(b"GET / HTTP/1.1" + HOST + b"\r\nAccept-Encoding: br\r\naccept-encoding: gzip")
    assert request.fields["accept-encoding"] == "br, gzip"


REFUSED = {
    "empty": b"",
    "no version": b"GET /metrics",
    "HTTP 0.9": b"GET /metrics HTTP/0.9",
    "HTTP 2": b"GET /metrics HTTP/2.0" + HOST,
    "lower case": b"get / HTTP/1.1" + HOST,
    "two spaces": b"GET  / HTTP/1.1" + HOST,
    "bare line feed": b"GET / HTTP/1.1\nHost: a",
    "target of a tunnel": b"CONNECT other.example:443 HTTP/1.1" + HOST,
    "target without a path": b"GET metrics HTTP/1.1" + HOST,
    "target with a user": b"GET http://localhost@other.example/ HTTP/1.1" + HOST,
    "target of another kind": b"GET file:///etc/passwd HTTP/1.1" + HOST,
    "target not ASCII": "GET /é HTTP/1.1\r\nHost: a".encode(),
    "no host": b"GET / HTTP/1.1",
    "two hosts": b"GET / HTTP/1.1" + HOST + HOST,
    "space before colon": b"GET / HTTP/1.1\r\nHost : a",
    "folded field": b"GET / HTTP/1.1" + HOST + b"\r\n folded",
    "field without colon": b"GET / HTTP/1.1" + HOST + b"\r\nnonsense",
    "NUL in a field": b"GET / HTTP/1.1" + HOST + b"\r\nA: b\x00c",
    "a body": b"POST /metrics HTTP/1.1" + HOST + b"\r\nContent-Length: 5",
    "a chunked body": b"POST /metrics HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked",
    "two lengths": b"GET / HTTP/1.1" + HOST + b"\r\nContent-Length: 0\r\nContent-Length: 0",
    "many query fields": b"GET /metrics?" + b"&".join([b"a=b"] * 200) + b" HTTP/1.1" + HOST,
}


@pytest.mark.parametrize("head", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(head):
    with pytest.raises(Malformed):
        parse_head(head)


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(head):
    with suppress(Malformed):
        parse_head(head)


def test_an_answer():
    head = answer_head(200, b"text/plain", 3, keep_alive=True, extra=(b"Vary: Accept-Encoding",))
    assert head == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: keep-alive\r\n"
        b"Vary: Accept-Encoding\r\n\r\n"
    )
