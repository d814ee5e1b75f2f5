"""The client of Proxmox VE's API: whom it trusts, whom it asks next, what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporters.clients.https import Connection
from exporters.clients.tls import Trust
from exporters.collector import Host
from exporters.errors import ExporterError, SettingError
from exporters.settings import Settings, text
from exporters.system.tree import Tree
from exporters.vm.api import KEPT_SECONDS, Api
from exporters.vm.build import build
from exporters.vm.errors import DeniedError, NodeDownError, ProxmoxError, UnreachableError
from exporters.vm.options import fingerprint, node_address
from exporters.vm.token import read_token
from lab.tls import Authority
from tests.exporters.pve import environment, host, scrape
from tests.lab_servers import proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "steward@pve!controller=3f6c3f2e-0000-4000-8000-000000000001"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"data": 7}'


class Server:
    """Answers each request as told, over TLS."""

    def __init__(self, context: ssl.SSLContext, answer: Callable[[ssl.SSLSocket], None]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with plain:
                plain.settimeout(10)
                try:
                    with self._context.wrap_socket(plain, server_side=True) as secured:
                        self._talk(secured)
                except OSError:
                    continue

    def _talk(self, secured: ssl.SSLSocket) -> None:
        while head := _head(secured):
            self.requests.append(head)
            self._answer(secured)


def _head(secured: ssl.SSLSocket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        got = secured.recv(65536)
        if not got:
            return b""
        head += got
    return head


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority.create(tmp_path / "ca")


@contextmanager
def serving(authority: Authority, answer: bytes | Callable[[ssl.SSLSocket], None]) -> Iterator[Server]:
    respond = answer if callable(answer) else lambda secured: secured.sendall(answer)
    server = Server(authority.server_context(), respond)
    try:
        yield server
    finally:
        server.close()


def api(*urls: str, trust: Trust, timeout: float = 5.0) -> Api:
    return Api(
        [Connection(node_address(url), trust, timeout, kept_seconds=KEPT_SECONDS) for url in urls],
        lambda: TOKEN,
    )


def trusting(authority: Authority) -> Trust:
    return Trust(authority.ca_file)


def test_the_token_goes_into_a_field_over_one_kept_connection(authority):
    with serving(authority, OK) as server:
        client = api(server.url, trust=trusting(authority))
        assert [client.get("/version") for _ in range(3)] == [7, 7, 7]
        client.close()
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /api2/json/version HTTP/1.1\r\n")
    assert f"Authorization: PVEAPIToken={TOKEN}\r\n".encode() in server.requests[0]


def test_a_connection_that_the_server_closed_is_opened_again(authority):
    def once(secured: ssl.SSLSocket) -> None:
        secured.sendall(OK)
        raise ConnectionError

    with serving(authority, once) as server:
        client = api(server.url, trust=trusting(authority))
        assert [client.get("/version") for _ in range(3)] == [7, 7, 7]
        client.close()
    assert server.connections == 3


def test_a_long_answer_after_which_the_server_closes_is_read_whole(authority):
    rows = json.dumps({"data": ["x" * 100] * 20_000}).encode()
    with serving(authority, answer("200 OK", rows, "Connection: close")) as server:
        client = api(server.url, trust=trusting(authority))
        assert client.get("/cluster/resources") == ["x" * 100] * 20_000
        assert client.get("/cluster/resources") == ["x" * 100] * 20_000
    assert server.connections == 2


def test_who_is_not_trusted_never_sees_the_token(authority, tmp_path):
    other = Authority.create(tmp_path / "other")
    with serving(authority, OK) as server:
        client = api(server.url, trust=trusting(other))
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get("/version")
        for trust in (
            Trust(authority.ca_file, server_name="pve1.example.org"),
            Trust(fingerprints=frozenset({"0" * 64})),
        ):
            with pytest.raises(UnreachableError, match=r"pve1\.example\.org|fingerprint"):
                api(server.url, trust=trust).get("/version")
    assert server.requests == []


def test_a_fingerprint_is_trusted_without_authority_and_name(authority):
    with serving(authority, OK) as server:
        pem = ssl.get_server_certificate(("127.0.0.1", int(server.url.rpartition(":")[2])))
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        written = ":".join(digest[place : place + 2] for place in range(0, 64, 2)).upper()
        client = api(server.url, trust=Trust(fingerprints=frozenset({fingerprint(written)})))
        assert client.get("/version") == 7
        client.close()


def test_the_next_address_is_asked_and_stays_the_first(authority):
    with serving(authority, OK) as gone, serving(authority, OK) as server:
        gone.close()
        client = api(gone.url, server.url, trust=trusting(authority))
        assert client.get("/version") == 7
        assert client.requests == 2
        assert client.get("/version") == 7
        assert client.requests == 3
        assert client.address == server.url.removeprefix("https://")
        client.close()


def test_every_address_is_named_where_none_answers(authority):
    with serving(authority, OK) as one, serving(authority, OK) as two:
        one.close()
        two.close()
        with pytest.raises(UnreachableError) as caught:
            api(one.url, two.url, trust=trusting(authority)).get("/version")
    for server in (one, two):
        assert server.url.removeprefix("https://") in str(caught.value)


def test_who_drips_is_given_up(authority):
    stop = threading.Event()

    def drip(secured: ssl.SSLSocket) -> None:
        secured.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.01):
            secured.sendall(b"X: y\r\n")

    with serving(authority, drip) as server:
        client = api(server.url, trust=trusting(authority), timeout=0.3)
        with pytest.raises(UnreachableError, match="in time"):
            client.get("/version")
        with pytest.raises(NodeDownError, match="in time"):
            client.get("/nodes/pve2/replication", for_node=True)
        stop.set()


def answer(status: str, body: bytes, *fields: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


REFUSED = [
    pytest.param(answer("302 Found", b"", "Location: https://evil.example"), ProxmoxError, "302", id="moved"),
    pytest.param(answer("200 OK", b"{"), ProxmoxError, "no JSON", id="cut JSON"),
    pytest.param(answer("200 OK", b"[" * 200_000), ProxmoxError, "no JSON", id="deep JSON"),
    pytest.param(answer("200 OK", b"[1]"), ProxmoxError, "no object", id="a list"),
    pytest.param(answer("200 OK", b'{"data": NaN}'), ProxmoxError, "no JSON", id="NaN"),
    pytest.param(answer("200 OK", b'{"data": "' + b"x" * 300_000), ProxmoxError, "more than", id="large"),
    pytest.param(answer("401 No ticket", b""), ProxmoxError, "401 No ticket", id="no ticket"),
    pytest.param(answer("595 Connection refused", b""), NodeDownError, "595", id="node is off"),
    pytest.param(answer("596 Connection timed out", b""), NodeDownError, "596", id="node hangs"),
    pytest.param(
        answer(
            "403 Permission check failed",
            json.dumps({"data": None, "message": "Permission check failed (/, Sys.Audit)\n"}).encode(),
        ),
        DeniedError,
        "Sys.Audit on /",
        id="denied",
    ),
    pytest.param(answer("500 a" + "b" * 9000, b"{}"), ProxmoxError, "500 ab", id="long reason"),
    pytest.param(b"SSH-2.0-OpenSSH\r\n", UnreachableError, "SSH", id="no HTTP"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", UnreachableError, "Incomplete", id="cut"
    ),
]


@pytest.mark.parametrize(("sent", "error", "words"), REFUSED)
def test_what_is_refused(authority, sent, error, words):
    def reply(secured: ssl.SSLSocket) -> None:
        secured.sendall(sent)
        raise ConnectionError

    with serving(authority, reply) as server:
        client = api(server.url, trust=trusting(authority))
        with pytest.raises(error, match=words) as caught:
            client.get("/version", most_bytes=250_000)
        client.close()
    assert type(caught.value) is error
    assert len(str(caught.value)) < 400
    assert TOKEN not in str(caught.value)


URLS = [
    "http://pve1:8006",
    "https://",
    "https://a/b",
    "https://u:p@a:8006",
    "pve1:8006",
    "https://a:99999",
    "",
]


@pytest.mark.parametrize("url", URLS)
def test_no_address(url):
    with pytest.raises(SettingError, match=r"collector\.pve\.url"):
        node_address(url)


@pytest.mark.parametrize("text", ["", "ab", "z" * 64, "a" * 65])
def test_no_fingerprint(text):
    with pytest.raises(SettingError, match="fingerprint"):
        fingerprint(text)


TOKENS = [
    pytest.param(b"root@pam!x", id="no secret"),
    pytest.param(b"root!x=1", id="no realm"),
    pytest.param(b"root@pam!x=a\r\nX: y", id="another field"),
    pytest.param(b"", id="empty"),
    pytest.param(b"\xff" * 20, id="no text"),
    pytest.param(b"\xff@pam!x=1", id="a user who is no text"),
    pytest.param(b"a\x00b@pam!x=1", id="a control character"),
    pytest.param(b"a@pam!x=" + b"1" * 9000, id="long"),
]


@pytest.mark.parametrize("written", TOKENS)
def test_a_file_without_token(tmp_path, written):
    path = tmp_path / "token"
    path.write_bytes(written)
    path.chmod(0o600)
    with pytest.raises(ProxmoxError, match="holds no token") as caught:
        read_token(path)
    assert written.decode("latin-1") not in str(caught.value) or not written


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o666, 0o601])
def test_a_token_that_others_may_read(tmp_path, mode):
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(mode)
    with pytest.raises(ProxmoxError, match="lets others"):
        read_token(path)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_token_of_its_own(tmp_path, mode):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(mode)
    assert read_token(path) == TOKEN


def test_a_token_of_a_user_named_by_mail_address(tmp_path):
    path = tmp_path / "token"
    path.write_text("ada@example.org@keycloak!look=1-2-3")
    path.chmod(0o600)
    assert read_token(path) == "ada@example.org@keycloak!look=1-2-3"


def test_a_token_in_no_plain_file(tmp_path):
    with pytest.raises(ProxmoxError, match="not a plain file"):
        read_token(tmp_path)
    with pytest.raises(ProxmoxError, match="No such file"):
        read_token(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ProxmoxError, match="not a plain file"):
        read_token(tmp_path / "pipe")


async def test_a_renewed_token_is_read(tmp_path):
    with proxmox_lab(tmp_path, environment(1, 2)) as lab:
        made = host(lab)
        path = tmp_path / "pve-token"
        path.write_text("steward@pve!controller=other\n")
        collector = build(made)
        with pytest.raises(ExporterError, match="401"):
            collector.collect()
        collector.close()
        assert (await scrape(lab)).of("steward_scrape_collector_success", collector="pve") == 1


def test_on_a_node_the_cluster_s_own_authority_is_trusted(tmp_path):
    with proxmox_lab(tmp_path, environment(1, 2)) as lab:
        made = host(lab, {"collector.pve.url": lab.url.replace("127.0.0.1", "localhost")})
        given = {name: made.settings[text(name, "", "")] for name in made.settings.names}
        given.pop("collector.pve.ca-file")
        plain = replace(made, settings=Settings({name: (value,) for name, value in given.items()}))
        collector = build(plain, own_authority=lab.ca_file)
        assert collector.collect()
        collector.close()
        elsewhere = build(plain, own_authority=tmp_path / "absent")
        with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            elsewhere.collect()
        elsewhere.close()


def test_without_a_token_file_there_is_no_collector():
    with pytest.raises(SettingError, match="token-file"):
        build(Host(Tree(), Settings(), "here"))


def test_flags_that_do_not_fit(tmp_path):
    with proxmox_lab(tmp_path, environment(1, 0)) as lab:
        for flags in (
            {"collector.pve.url": "http://127.0.0.1"},
            {"collector.pve.fingerprint": "12"},
            {"collector.pve.scope": "world"},
            {"collector.pve.without": "resources"},
            {"collector.pve.target": "{owner}:9100"},
            {"collector.pve.target": ""},
        ):
            with pytest.raises(SettingError, match=next(iter(flags))):
                build(host(lab, flags))
