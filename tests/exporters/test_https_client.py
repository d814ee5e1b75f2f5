"""The one HTTP client of the exporters: what it refuses, whoever asks."""

import http.client

import pytest

from exporters.clients.https import Connection, TooLargeError, parse_url
from exporters.clients.tls import Deadline, Trust, parse_fingerprint
from lab.tls import Authority
from tests.exporters.model_servers import Behaviour, serving

PORTS = {"http": 80, "https": 443}
HEAD = b"HTTP/1.1 200 OK\r\n"
CUT = {
    "fewer bytes than announced": HEAD + b"Content-Length: 100\r\n\r\nhalf",
    "no byte of those announced": HEAD + b"Content-Length: 100\r\n\r\n",
    "a chunk that ends early": HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    "no last chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("authority"))


def asked(url, trust, kept_seconds, most_bytes=1000):
    connection = Connection(parse_url(url, PORTS), trust, 5.0, kept_seconds=kept_seconds)
    try:
        return connection.get("/", {}, most_bytes)
    finally:
        connection.close()


@pytest.mark.parametrize("kept_seconds", [0.0, 4.0], ids=["closed", "kept"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("sent", CUT.values(), ids=CUT.keys())
def test_an_answer_that_was_cut_short_is_an_error(sent, is_secure, kept_seconds, authority):
    behaviour = Behaviour({}, raw={"/": lambda: iter([sent])})
    context = authority.server_context() if is_secure else None
    with serving(behaviour, context) as url, pytest.raises(http.client.IncompleteRead):
        asked(url, Trust(authority.ca_file), kept_seconds)


def test_a_redirect_is_an_answer_and_nobody_follows_it():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /secret\r\nContent-Length: 0\r\n\r\n"
    behaviour = Behaviour({"/secret": b"x"}, raw={"/": lambda: iter([moved])})
    with serving(behaviour) as url:
        assert asked(url, Trust(), 0.0).status == http.client.FOUND
    assert behaviour.asked == ["/"]


@pytest.mark.parametrize(("size", "is_taken"), [(1000, True), (1001, False)])
def test_an_answer_has_a_limit(size, is_taken):
    with serving(Behaviour({"/": b"x" * size})) as url:
        if is_taken:
            assert asked(url, Trust(), 0.0).body == b"x" * size
        else:
            with pytest.raises(TooLargeError):
                asked(url, Trust(), 0.0)


@pytest.mark.parametrize("kept_seconds", [0.0, 4.0])
def test_a_connection_serves_again(kept_seconds):
    with serving(Behaviour({"/": b"x"})) as url:
        connection = Connection(parse_url(url, PORTS), Trust(), 5.0, kept_seconds=kept_seconds)
        assert [connection.get("/", {}, 10).body for _ in range(3)] == [b"x"] * 3
        connection.close()


def test_an_authority_that_nobody_named_is_not_believed(authority):
    behaviour = Behaviour({"/": b"x"})
    with serving(behaviour, authority.server_context()) as url:
        for trust in (Trust(), Trust(authority.ca_file, server_name="other.example"), Trust(None, PINS)):
            with pytest.raises(OSError, match=r"CERTIFICATE_VERIFY_FAILED|fingerprint"):
                asked(url, trust, 0.0)
    assert behaviour.asked == []


PINS = frozenset({parse_fingerprint("00:" * 31 + "00")})


@pytest.mark.parametrize("url", ["https://ada:pw@a", "https://ada:pw@a:99999", "https://a/?key=pw", "pw"])
def test_an_address_is_refused_without_its_secrets(url):
    with pytest.raises(ValueError, match="address") as caught:
        parse_url(url, PORTS)
    assert "pw" not in str(caught.value)


def test_a_deadline_passes():
    now = [0.0]
    deadline = Deadline(2.0, lambda: now[0])
    assert deadline.left() == 2.0
    now[0] = 2.0
    with pytest.raises(TimeoutError):
        deadline.left()
