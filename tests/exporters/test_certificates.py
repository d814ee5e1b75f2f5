"""Certificates: our reader of X.509 against `cryptography`, files that hold other things too, and ports whose
certificates nobody should trust.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from exporters.collector import Host
from exporters.errors import NoDataError, SettingError, SourceError
from exporters.settings import Settings
from exporters.system import certificates
from exporters.system.certificates import Endpoint, Found, Raw, Reason, endpoint, read, read_file
from exporters.system.tls_probe import Prober
from exporters.system.tree import Tree
from exporters.system.x509 import Certificate, certificate
from exporters.text import Renderer
from lab.tls import Authority
from tests.exporters.exposition import parse

KEY = ec.generate_private_key(ec.SECP256R1())
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
START = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
END = dt.datetime(2027, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
LONDON = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "GB"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Lovelace, "Ada" + Söhne'),
        x509.NameAttribute(NameOID.COMMON_NAME, "ada.example"),
    ]
)


def made(subject=LONDON, issuer=LONDON, serial=0xABCDEF, start=START, end=END, key=KEY):
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), serial, start, end)
    return builder.sign(KEY, hashes.SHA256())


def private_key():
    return KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


SOUND = made().public_bytes(DER)


def seen(*found):
    return parse(Renderer().render(certificates.collect(Raw(found))))


class TestReader:
    def test_a_certificate(self):
        whole = made()
        assert certificate(whole.public_bytes(DER)) == Certificate(
            subject='CN=ada.example,O=Lovelace\\, \\"Ada\\" \\+ Söhne,C=GB',
            issuer='CN=ada.example,O=Lovelace\\, \\"Ada\\" \\+ Söhne,C=GB',
            serial="abcdef",
            sha256=whole.fingerprint(hashes.SHA256()).hex(),
            not_before=int(START.timestamp()),
            not_after=int(END.timestamp()),
        )

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME]),
                st.text(
                    st.characters(exclude_categories=["C"], exclude_characters="#"), min_size=1, max_size=20
                ),
            ),
            max_size=4,
        ),
        st.integers(1, 2**159 - 1),
        st.integers(-631_152_000, 7_258_118_400),
        st.integers(0, 10**10),
    )
    def test_what_cryptography_makes(self, names, serial, start, seconds):
        subject = x509.Name([x509.NameAttribute(oid, text) for oid, text in names])
        start = dt.datetime.fromtimestamp(start, dt.UTC)
        whole = made(subject, serial=serial, start=start, end=start + dt.timedelta(seconds=seconds))
        found = certificate(whole.public_bytes(DER))
        assert (int(found.serial, 16), found.not_before) == (serial, int(start.timestamp()))
        assert found.not_after == int(start.timestamp()) + seconds
        if not any(set(text) & set(' ,+"\\<>;=') for _, text in names):
            assert found.subject == subject.rfc4514_string()

    @given(st.data())
    def test_damaged_certificates_are_refused_or_read(self, data):
        sound = SOUND
        place = data.draw(st.integers(0, len(sound) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=3))
        for each in (sound[:place] + damage + sound[place + len(damage) :], sound[:place]):
            with contextlib.suppress(SourceError):
                assert isinstance(certificate(each), Certificate)

    @given(st.binary(max_size=80))
    def test_anything_else_is_refused(self, data):
        with pytest.raises(SourceError):
            certificate(data)

    @pytest.mark.parametrize(
        "length", [b"\x80", b"\x85\0\0\0\0\x01", b"\x81\x05", b"\x82\0\x80", b"\x84\xff\xff\xff\xff"]
    )
    def test_lengths_that_are_not_der(self, length):
        with pytest.raises(SourceError):
            certificate(b"\x30" + length + bytes(5))

    def test_a_name_that_does_not_end(self):
        endless = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 60) for _ in range(50)])
        assert len(certificate(made(endless).public_bytes(DER)).subject) == 256


class TestFiles:
    def test_a_chain_with_its_private_key(self, tmp_path):
        other = made(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]), end=END + dt.timedelta(days=1)
        )
        path = tmp_path / "server.pem"
        path.write_bytes(private_key() + b"words\r\n" + made().public_bytes(PEM) + other.public_bytes(PEM))
        found = read_file(str(path))
        shown = seen(found)
        assert shown.of(
            "steward_certificate_not_after_timestamp_seconds", source=str(path), position="0"
        ) == int(END.timestamp())
        assert (
            shown.of("steward_certificate_not_after_timestamp_seconds", source=str(path), position="1")
            == int(END.timestamp()) + 86400
        )
        infos = [dict(labels) for name, labels in shown.values if name == "steward_certificate_info"]
        assert {(info["position"], info["subject"]) for info in infos} == {
            ("0", 'CN=ada.example,O=Lovelace\\, \\"Ada\\" \\+ Söhne,C=GB'),
            ("1", "CN=ca"),
        }

    def test_nothing_of_a_private_key_is_shown(self, tmp_path):
        path = tmp_path / "key.pem"
        path.write_bytes(private_key())
        assert read_file(str(path)) == Found(str(path), reason=Reason.MALFORMED)
        body = private_key().split(b"\n")[1].decode()
        assert body not in Renderer().render(certificates.collect(Raw((read_file(str(path)),))))

    def test_der(self, tmp_path):
        path = tmp_path / "server.crt"
        path.write_bytes(made().public_bytes(DER))
        assert [each.serial for each in read_file(str(path)).certificates] == ["abcdef"]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", Reason.MALFORMED),
            (b"-----BEGIN CERTIFICATE-----\nMIIB\n", Reason.MALFORMED),
            (b"-----BEGIN CERTIFICATE-----\nAAA=A\n-----END CERTIFICATE-----\n", Reason.MALFORMED),
            (b"-----BEGIN CERTIFICATE-----\n" + b"A" * (1 << 20), Reason.TOO_LARGE),
            (b"0" + bytes(100), Reason.MALFORMED),
        ],
    )
    def test_what_is_no_certificate(self, tmp_path, data, reason):
        path = tmp_path / "x.pem"
        path.write_bytes(data)
        assert (
            seen(read_file(str(path))).of("steward_certificate_error", source=str(path), reason=str(reason))
            == 1
        )

    def test_what_is_no_file(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        reasons = {read_file(str(tmp_path / name)).reason for name in ("pipe", "none", ".")}
        assert reasons == {Reason.UNREADABLE, Reason.MALFORMED}

    def test_globs(self, tmp_path):
        for name in ("a.pem", "b.pem", "c.txt"):
            (tmp_path / name).write_bytes(made().public_bytes(PEM))
        patterns = [f"{tmp_path}/*.pem", f"{tmp_path}/a.pem", f"{tmp_path}/*.none"]
        raw = read(patterns, (), Prober().probe)
        assert [(found.source.rpartition("/")[2], found.reason) for found in raw.found] == [
            ("a.pem", None),
            ("b.pem", None),
            ("*.none", Reason.UNREADABLE),
        ]

    def test_limits(self, tmp_path):
        (tmp_path / "bundle.pem").write_bytes(made().public_bytes(PEM) * 300)
        bundle = read_file(str(tmp_path / "bundle.pem"))
        shown = seen(*(Found(f"/{i}", bundle.certificates) for i in range(10)))
        assert sum(name == "steward_certificate_info" for name, _ in shown.values) == 1800
        assert shown.of("steward_certificate_error", source="/9", reason="too_many") == 1


@contextlib.contextmanager
def listening(context=None):
    """A port that speaks TLS, or without a context accepts and says nothing, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    accepted.append(client)
                    if context is not None:
                        with (
                            client,
                            contextlib.suppress(OSError),
                            context.wrap_socket(client, server_side=True) as tls,
                        ):
                            tls.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Endpoint("127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for client in accepted:
                client.close()
            thread.join()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"))


def context_of(tmp_path, whole):
    path = tmp_path / "own.pem"
    path.write_bytes(private_key() + whole.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class TestEndpoints:
    def test_one_that_is_trusted(self, authority):
        with listening(authority.server_context()) as asked:
            found = Prober(authority.ca_file).probe(asked)
        shown = seen(found)
        assert shown.of("steward_certificate_verified", source=str(asked)) == 1
        left = shown.of("steward_certificate_not_after_timestamp_seconds", source=str(asked), position="0")
        assert left == int(
            x509.load_pem_x509_certificates((authority.directory / "server.pem").read_bytes())[
                0
            ].not_valid_after_utc.timestamp()
        )

    def test_one_that_nobody_trusts(self, authority):
        with listening(authority.server_context()) as asked:
            found = Prober().probe(asked)
        assert (found.verified, found.certificates[0].subject) == (False, "CN=Steward lab server")

    def test_one_that_has_expired_and_has_another_name(self, tmp_path):
        with listening(context_of(tmp_path, made(start=START - dt.timedelta(9), end=START))) as asked:
            found = Prober().probe(asked)
        assert (found.verified, found.certificates[0].not_after) == (False, int(START.timestamp()))

    def test_one_that_does_not_answer(self):
        with listening() as asked:
            assert Prober(deadline_seconds=0.1).probe(asked).reason is Reason.TIMEOUT

    def test_one_that_speaks_something_else(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve():
                client, _ = listener.accept()
                with client:
                    client.sendall(b"220 mail ESMTP\r\n")
                    client.recv(1 << 16)

            thread = threading.Thread(target=serve)
            thread.start()
            found = Prober().probe(Endpoint("127.0.0.1", listener.getsockname()[1]))
            thread.join()
        assert found.reason is Reason.HANDSHAKE

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        assert Prober().probe(Endpoint("127.0.0.1", port)).reason is Reason.UNREACHABLE

    def test_a_host_that_cannot_be(self):
        assert Prober().probe(Endpoint("a" * 64 + ".example", 443)).reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org:443", Endpoint("example.org", 443)),
        ("10.0.0.1:8006", Endpoint("10.0.0.1", 8006)),
        ("[::1]:443", Endpoint("::1", 443)),
    ],
)
def test_endpoints(text, expected):
    assert endpoint(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["example.org", ":443", "example.org:", "example.org:0", "a:99999", "::1:443", "a:٣", "a:-1"]
)
def test_what_is_no_endpoint(text):
    with pytest.raises(ValueError, match=r"is not (HOST|\[ADDRESS\]):PORT"):
        endpoint(text)


class TestCollector:
    @staticmethod
    def built(**flags):
        given = {f"collector.certificates.{name}": values for name, values in flags.items()}
        return certificates.build(Host(Tree(), Settings(given), "here"))

    def test_nothing_is_named(self):
        with pytest.raises(NoDataError):
            self.built().collect()

    def test_a_file_and_an_endpoint(self, tmp_path, authority):
        path = tmp_path / "a.pem"
        path.write_bytes(made().public_bytes(PEM))
        with listening(authority.server_context("both")) as asked:
            collector = self.built(
                file=(str(path),), endpoint=(str(asked),), **{"ca-file": (str(authority.ca_file),)}
            )
            shown = parse(Renderer().render(collector.collect()))
            collector.close()
        assert shown.of("steward_certificate_verified", source=str(asked)) == 1
        assert shown.of("steward_certificate_not_after_timestamp_seconds", source=str(path), position="0") > 0

    def test_an_endpoint_that_is_none(self):
        with pytest.raises(SettingError, match="endpoint"):
            self.built(endpoint=("example.org",))
