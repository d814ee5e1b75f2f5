"""A server with TLS and users, as clients see it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import ssl

import pytest

from exporters.collector import Collector, Host
from exporters.errors import ExporterError, ListenError, NoDataError
from exporters.registry import Registry, Source
from exporters.samples import Kind, Metric
from exporters.serving.passwords import find_bcrypt
from exporters.serving.server import listening, parse_address
from exporters.serving.web import Options
from exporters.serving.web_config import WebConfigError
from exporters.settings import Settings
from exporters.system.tree import Tree
from tests.exporters.certificates import Authority

ONE = Metric("test_one_total", Kind.COUNTER, "One.")
HOST = Host(Tree(), Settings(), "here")
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key"


def one():
    return Registry([Source("one", Collector(lambda: [ONE.one(1)]))])


def hashed(password):
    return find_bcrypt()(password.encode(), b"$2b$04$abcdefghijklmnopqrstuu").decode()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Client:
    """Asks one thing per connection."""

    def __init__(self, authority=None, certificate=None, newest=ssl.TLSVersion.TLSv1_3):
        self.context = None
        if authority is not None:
            self.context = ssl.create_default_context(cafile=str(authority.file))
            self.context.maximum_version = newest
            if certificate is not None:
                self.context.load_cert_chain(*certificate)

    async def get(self, place, path="/metrics", method="GET", **fields):
        """Status, header fields with lower-case names, body; raises OSError where the server hangs up."""
        host, port = parse_address(place.address)
        reader, writer = await asyncio.open_connection(host, port, ssl=self.context)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = await reader.read()
        self.peer = None if self.context is None else writer.get_extra_info("peercert")
        writer.close()
        if not answer:
            raise ConnectionResetError
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *rest = head.decode("latin-1").split("\r\n")
        found = dict(line.split(": ", 1) for line in rest)
        return int(status.split()[1]), {name.lower(): value for name, value in found.items()}, body


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.sign("server", "localhost", "127.0.0.1")
    return made


@pytest.fixture
def web(tmp_path):
    """Writes web.yml and gives the options that name it."""

    def write(text, **more):
        file = tmp_path / "web.yml"
        file.write_text(text)
        return Options(config_file=file, **more)

    return write


async def test_tls_and_users(authority, web):
    options = web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('right')}}}")
    registry, client = one(), Client(authority)
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        assert place.url.startswith("https://127.0.0.1:")
        status, fields, body = await client.get(place)
        assert (status, fields["www-authenticate"].split()[0]) == (401, "Basic")
        assert b"test_one" not in body
        for wrong in (
            basic("alice", "wrong"),
            basic("bob", "right"),
            "Basic !",
            "Bearer right",
            "Basic YQ==",
        ):
            assert (await client.get(place, Authorization=wrong))[0] == 401
        status, _, body = await client.get(place, Authorization=basic("alice", "right"))
        assert status == 200
        assert b"test_one_total 1\n" in body
    registry.close()


async def test_every_path_asks_for_the_password(authority, web):
    options = web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('right')}}}")
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        for path in ("/", "/healthz", "/metrics", "/gpu", "/nothing"):
            assert (await Client(authority).get(place, path))[0] == 401
    registry.close()


async def test_a_certificate_and_users_are_read_again_when_files_change(authority, web, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    options = web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('old')}}}")
    registry, client = one(), Client(authority)
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        await client.get(place)
        before = client.peer["serialNumber"]
        authority.sign("server", "localhost", "127.0.0.1")
        await client.get(place)
        assert client.peer["serialNumber"] != before
        web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('a new one')}}}")
        assert (await client.get(place, Authorization=basic("alice", "old")))[0] == 401
        assert (await client.get(place, Authorization=basic("alice", "a new one")))[0] == 200
        web("nonsense")
        assert (await client.get(place, Authorization=basic("alice", "a new one")))[0] == 200
        (tmp_path / "server.key").write_text("half written")
        assert (await client.get(place, Authorization=basic("alice", "a new one")))[0] == 200
    said = [record.getMessage() for record in caplog.records]
    assert said.count("the web configuration cannot be used") == 2
    registry.close()


async def test_a_configuration_that_becomes_a_pipe_holds_nobody_up(authority, web, tmp_path, caplog):
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=web(f"{TLS}}}")) as (place,):
        (tmp_path / "web.yml").unlink()
        os.mkfifo(tmp_path / "web.yml")
        assert (await Client(authority).get(place))[0] == 200
    assert "not a regular file" in caplog.records[-1].reason
    registry.close()


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
async def test_a_key_that_everybody_may_read_is_told(authority, web, tmp_path, caplog, mode, told):
    (tmp_path / "server.key").chmod(mode)
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=web(f"{TLS}}}")):
        assert ("every user of this machine may read the key of TLS" in caplog.messages) is told
    registry.close()


async def test_a_wrong_name_is_logged_once_and_a_client_that_leaves_never(authority, web, caplog):
    shown = authority.sign("client", "someone.example.org")
    text = (
        f"{TLS}, client_ca_file: {authority.file}, client_auth_type: RequireAndVerifyClientCert,"
        " client_allowed_sans: [prometheus.example.org]}"
    )
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=web(text)) as (place,):
        for _ in range(3):
            _, writer = await asyncio.open_connection(*parse_address(place.address))
            writer.close()
            with pytest.raises(ConnectionError):
                await Client(authority, shown).get(place)
    said = [record for record in caplog.records if "no name that is allowed" in record.getMessage()]
    assert [record.address for record in said] == ["127.0.0.1"]
    registry.close()


async def test_users_that_are_taken_out_stay_until_a_restart(authority, web, caplog):
    options = web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('right')}}}")
    registry, client = one(), Client(authority)
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        for emptied in (f"{TLS}}}", f"{TLS}}}\nbasic_auth_users:"):
            web(emptied)
            assert (await client.get(place))[0] == 401
            assert (await client.get(place, Authorization=basic("alice", "right")))[0] == 200
    assert "would let everybody in" in caplog.records[-1].reason
    registry.close()


CLIENT_CERTIFICATES = {
    "required and there": ("RequireAndVerifyClientCert", "", "known", True),
    "required and not there": ("RequireAndVerifyClientCert", "", None, False),
    "required, of strangers": ("RequireAndVerifyClientCert", "", "stranger", False),
    "looked at if given": ("VerifyClientCertIfGiven", "", None, True),
    "looked at, of strangers": ("VerifyClientCertIfGiven", "", "stranger", False),
    "an allowed name": ("RequireAndVerifyClientCert", "[other, prometheus.example.org]", "known", True),
    "an allowed address": ("RequireAndVerifyClientCert", "['2001:db8::1']", "known", True),
    "no allowed name": ("RequireAndVerifyClientCert", "[other]", "known", False),
    "names, and no certificate": ("VerifyClientCertIfGiven", "[other]", None, False),
    "only asked for": ("RequestClientCert", "", None, True),
}


@pytest.mark.parametrize(
    ("policy", "sans", "shown", "let_in"), CLIENT_CERTIFICATES.values(), ids=CLIENT_CERTIFICATES.keys()
)
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_client_certificates(authority, web, tmp_path, policy, sans, shown, let_in, newest):
    ca = ", client_ca_file: ca.pem" if policy != "RequestClientCert" else ""
    names = f", client_allowed_sans: {sans}" if sans else ""
    options = web(f"{TLS}, client_auth_type: {policy}{ca}{names}}}")
    signed = {
        None: None,
        "known": authority.sign("known", "prometheus.example.org", "2001:db8::1"),
        "stranger": Authority(tmp_path, "other-ca").sign("stranger", "prometheus.example.org"),
    }
    registry, client = one(), Client(authority, signed[shown], newest)
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        if let_in:
            assert (await client.get(place))[0] == 200
        else:
            with pytest.raises(OSError):  # noqa: PT011 - as TLS or a reset, by version and timing
                await client.get(place)
    registry.close()


async def test_old_clients_are_turned_away(authority, web):
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=web(f"{TLS}, min_version: TLS13}}")) as (place,):
        with pytest.raises(OSError):  # noqa: PT011
            await Client(authority, newest=ssl.TLSVersion.TLSv1_2).get(place)
        assert (await Client(authority).get(place))[0] == 200
        with pytest.raises(OSError):  # noqa: PT011
            await Client().get(place)
    registry.close()


async def test_suites_and_curve(authority, web):
    text = f"{TLS}, max_version: TLS12, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384], "
    registry = one()
    options = web(text + "curve_preferences: [CurveP384]}")
    async with listening(registry, "127.0.0.1:0", options=options) as (place,):
        assert (await Client(authority).get(place))[0] == 200
        other = Client(authority, newest=ssl.TLSVersion.TLSv1_2)
        other.context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(OSError):  # noqa: PT011
            await other.get(place)
    registry.close()


async def test_certificates_in_the_file_itself(authority, web, tmp_path):
    def block(name):
        return "\n".join(f"    {line}" for line in (tmp_path / name).read_text().splitlines())

    text = f"tls_server_config:\n  cert: |\n{block('server.crt')}\n  key: |\n{block('server.key')}\n"
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=web(text)) as (place,):
        assert (await Client(authority).get(place))[0] == 200
    registry.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tls_server_config: {cert_file: none.crt, key_file: server.key}", "none.crt: No such file"),
        ("tls_server_config: {cert_file: server.key, key_file: server.key}", "certificate"),
        ("nonsense: 1", "1:1: unknown key"),
        ("tls_server_config: {cert_file: pipe, key_file: server.key}", "pipe: not a regular file"),
        ("tls_server_config: {cert_file: server.crt, key_file: /dev/zero}", "/dev/zero: not a regular file"),
        ("tls_server_config: {cert_file: ., key_file: server.key}", "Is a directory"),
    ],
)
async def test_a_configuration_that_cannot_be_used_does_not_start(authority, web, tmp_path, text, why):
    os.mkfifo(tmp_path / "pipe")
    registry = one()
    with pytest.raises(WebConfigError, match=why):
        async with listening(registry, "127.0.0.1:0", options=web(text)):
            pass
    registry.close()


async def test_strangers_need_tls_and_users(authority, web):
    registry = one()
    with pytest.raises(ListenError):
        async with listening(registry, "0.0.0.0:0", options=web(f"{TLS}}}")):
            pass
    options = web(f"{TLS}}}\nbasic_auth_users: {{alice: {hashed('right')}}}")
    async with listening(registry, "0.0.0.0:0", "[::1]:0", options=options) as places:
        assert len(places) == 2
    registry.close()


async def test_header_fields_and_the_rate_limit(web):
    text = "http_server_config: {headers: {X-Frame-Options: deny}}\nrate_limit: {interval: 1h, burst: 2}"
    registry, client = one(), Client()
    async with listening(registry, "127.0.0.1:0", options=web(text)) as (place,):
        answers = [await client.get(place) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert {fields["x-frame-options"] for _, fields, _ in answers} == {"deny"}
    registry.close()


def of_gpus(snapshot, name="gpu"):
    return Registry([Source(name, Collector(lambda: [ONE.one(1)], snapshot=snapshot))])


async def test_gpus_as_json_for_allowed_origins(authority, web):
    registry, client = of_gpus(lambda: ()), Client()
    options = Options(cors_origins=("https://wall.example",))
    async with listening(registry, "127.0.0.1:0", options=options, host=HOST) as (place,):
        status, fields, body = await client.get(place, "/gpu", Origin="https://wall.example")
        assert (status, json.loads(body)) == (200, {"gpus": []})
        assert fields["content-type"].startswith("application/json")
        assert fields["access-control-allow-origin"] == "https://wall.example"
        _, fields, _ = await client.get(place, "/gpu", Origin="https://evil.example")
        assert "access-control-allow-origin" not in fields
        assert fields["vary"] == "Origin"
        _, fields, _ = await client.get(place, "/metrics", Origin="https://wall.example")
        assert "access-control-allow-origin" not in fields
        status, fields, _ = await client.get(place, "/gpu", "OPTIONS", Origin="https://wall.example")
        assert (status, fields["access-control-allow-headers"]) == (204, "Authorization")
        assert (await client.get(place, "/gpu", "OPTIONS", Origin="https://evil.example"))[0] == 405
    registry.close()


NO_DOCUMENT = {
    "no driver": (NoDataError("no NVIDIA driver"), 200),
    "a driver that hangs": (ExporterError("the last reading is 90 s old"), 503),
    "a fault": (RuntimeError("broken"), 503),
}


@pytest.mark.parametrize(("error", "status"), NO_DOCUMENT.values(), ids=NO_DOCUMENT.keys())
async def test_no_gpus_to_tell_of(error, status):
    def snapshot():
        raise error

    registry = of_gpus(snapshot)
    async with listening(registry, "127.0.0.1:0", host=HOST) as (place,):
        assert (await Client().get(place, "/gpu"))[0] == status
        assert (await Client().get(place))[0] == 200
    registry.close()


async def test_documents_of_collectors_that_are_off():
    registry = one()
    async with listening(registry, "127.0.0.1:0", host=HOST) as (place,):
        assert (await Client().get(place, "/gpu"))[0] == 404
        assert (await Client().get(place, "/sd/guests"))[0] == 404
        assert b"/gpu" not in (await Client().get(place, "/"))[2]
    registry.close()


async def test_the_page_tells_how_collectors_fare():
    def failing():
        raise RuntimeError("<b>no & such</b>")

    registry = Registry(
        [
            Source("good", Collector(lambda: [ONE.one(1)]), reads="/proc/<x>"),
            Source("bad", Collector(failing)),
        ]
    )
    async with listening(registry, "127.0.0.1:0", options=Options(version="1.2.3")) as (place,):
        assert b"waiting" in (await Client().get(place, "/"))[2]
        await Client().get(place)
        _, fields, body = await Client().get(place, "/")
    page = body.decode()
    assert fields["content-type"] == "text/html; charset=utf-8"
    assert "1.2.3" in page
    assert "&lt;b&gt;no &amp; such&lt;/b&gt;" in page
    assert "/proc/&lt;x&gt;" in page
    assert page.index(">bad<") < page.index(">good<")
    registry.close()


async def test_another_path_and_openmetrics():
    registry = one()
    async with listening(registry, "127.0.0.1:0", options=Options(telemetry_path="/m")) as (place,):
        assert (await Client().get(place, "/metrics"))[0] == 404
        status, fields, body = await Client().get(place, "/m", Accept="application/openmetrics-text")
    assert (status, fields["content-type"]) == (
        200,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
    )
    assert b"# TYPE test_one counter\n" in body
    assert body.endswith(b"# EOF\n")
    registry.close()
