"""Keys, certificates and trust documents: made as the standards ask, refused where they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from controller import pki
from controller.datafolder import DataFolder, write_new, write_secret
from controller.errors import ControllerError, Refused
from controller.signing import ActionSigner, BadOrderError, Order, UriSigner, new_ulid
from controller.trust import TrustFolder, first_document, next_document, sign_document
from protocol.documents import Delivery, Limits, TrustBundle, VerifierState
from protocol.keys import SigningKey
from protocol.trust import walk
from protocol.verify import Accepted, verify
from tests.controller.api.guest import NOON, ROOT

DAY = 86_400
HOST = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER = SigningKey.generate(b"o" * 32)


@pytest.fixture
def data(tmp_path):
    folder = DataFolder(tmp_path / "state")
    folder.create("demo", ["steward.example.org", "127.0.0.1"], now=NOON)
    return folder


def checked(data, subject, *, at=NOON):
    """The server's chain as a strict client sees it (RFC 5280, CA/Browser Forum names)."""
    authority = x509.load_pem_x509_certificate(data.ca_certificate())
    server = x509.load_pem_x509_certificate((data.path / "server.pem").read_bytes())
    builder = PolicyBuilder().store(Store([authority])).time(datetime.fromtimestamp(at, UTC))
    return builder.build_server_verifier(subject).verify(server, [])


def test_a_strict_client_accepts_the_server_under_its_names_alone(data):
    assert len(checked(data, x509.DNSName("steward.example.org"))) == 2
    assert len(checked(data, x509.IPAddress(ip_address("127.0.0.1")))) == 2
    with pytest.raises(VerificationError):
        checked(data, x509.DNSName("elsewhere.example.org"))
    with pytest.raises(VerificationError):
        checked(data, x509.DNSName("steward.example.org"), at=NOON + 91 * DAY)


@pytest.mark.parametrize(
    ("names", "days", "is_new"),
    [
        pytest.param(["127.0.0.1"], 59, False, id="good-for-a-month"),
        pytest.param(["127.0.0.1"], 61, True, id="ends-soon"),
        pytest.param(["127.0.0.1", "new.example.org"], 0, True, id="a-name-lacks"),
    ],
)
def test_the_server_certificate_is_renewed_and_the_pin_stays(data, names, days, is_new):
    pin, before = pki.spki_sha256(data.ca_certificate()), (data.path / "server.pem").read_bytes()
    data.server_files(names, now=NOON + days * DAY)
    assert ((data.path / "server.pem").read_bytes() != before) is is_new
    assert pki.spki_sha256(data.ca_certificate()) == pin
    assert "PRIVATE" not in repr(pki.Pair(data.ca_certificate(), b"-----BEGIN PRIVATE KEY-----"))


def test_a_key_file_is_never_written_over(tmp_path):
    write_new(tmp_path / "key", b"one")
    with pytest.raises(ControllerError, match="cannot be written"):
        write_new(tmp_path / "key", b"two")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ControllerError):
        write_new(tmp_path / "link", b"two")
    write_secret(tmp_path / "key", b"three")
    assert (tmp_path / "key").read_bytes() == b"three"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "link"]


def test_a_signing_key_that_is_not_the_one_on_file_is_refused(data, tmp_path):
    uri = f"file2:{data.path}/keys/signing.pem"
    assert UriSigner(uri, data.public_key("signing")).keyid == data.public_key("signing").keyid
    for path, public in ((uri, OTHER.public), (f"file2:{tmp_path}/none.pem", data.public_key("signing"))):
        with pytest.raises(ControllerError, match="cannot be used"):
            UriSigner(path, public)


def test_a_host_accepts_what_the_controller_signs(data):
    document = first_document(ROOT.public, data.public_key("signing"), [], now=NOON)
    data.trust.add(sign_document(document, ROOT))
    signer = ActionSigner(
        data.signer("signing"), trust_version=data.trust.version, policy_commit=lambda: "ab" * 20
    )
    order = Order(HOST, "host.ping", {})
    signed = signer.sign(order, action_id=new_ulid(NOON * 1000, b"0123456789"), seq=1, now=NOON)
    delivery = signed.delivery.encode()
    judged = verify(
        delivery, bundle=data.trust.bundle(), limits=Limits(), host_id=HOST, now=NOON, state=VerifierState()
    )
    assert isinstance(judged, Accepted)
    assert judged.action_sha256 == signed.action_sha256
    assert Delivery.parse(delivery).encode() == delivery
    for seconds in (0, 3601):
        with pytest.raises(BadOrderError):
            signer.sign(Order(HOST, "host.ping", {}, seconds), action_id=HOST, seq=1, now=NOON)


@given(
    st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=2, unique=True),
    st.binary(min_size=10, max_size=10),
)
def test_ulids_are_well_formed_and_sort_by_time(instants, entropy):
    first, second = (new_ulid(instant, entropy) for instant in sorted(instants))
    assert first < second
    assert len(first) == 26
    assert set(first + second) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert first[0] in "01234567"


def test_a_chain_of_trust_grows_and_hosts_can_walk_it(tmp_path):
    folder = TrustFolder(tmp_path / "trust")
    with pytest.raises(ControllerError, match="no trust document yet"):
        folder.bundle()
    first = first_document(ROOT.public, OTHER.public, ["ab" * 32], now=NOON)
    folder.add(sign_document(first, ROOT))
    second = next_document(first, OTHER.public, ["cd" * 32], now=NOON + DAY, days=7)
    folder.add(sign_document(second, ROOT))
    trusted = walk(TrustBundle.parse(folder.bundle().encode()), now=NOON, known_version=1)
    assert (trusted.version, trusted.expires_at) == (2, NOON + 8 * DAY)
    assert [len(folder.after(version)) for version in (0, 1, 2)] == [2, 1, 0]
    with pytest.raises(ControllerError, match="exists already"):
        folder.add(sign_document(second, ROOT))
    with pytest.raises(Refused):
        sign_document(second, OTHER)


@pytest.mark.parametrize("days", [0, 31])
def test_a_trust_document_lives_at_most_thirty_days(days):
    with pytest.raises(ControllerError):
        first_document(ROOT.public, OTHER.public, [], now=NOON, days=days)


@pytest.mark.parametrize("damage", ["gap", "garbage", "another-number"])
def test_a_damaged_chain_is_said(tmp_path, damage):
    folder = TrustFolder(tmp_path / "trust")
    first = first_document(ROOT.public, OTHER.public, [], now=NOON)
    path = folder.add(sign_document(first, ROOT))
    if damage == "garbage":
        path.write_text("{")
    else:
        path.rename(path.with_name("2.json" if damage == "gap" else "7.json"))
    with pytest.raises(ControllerError, match="trust document"):
        TrustFolder(tmp_path / "trust").steps()


def test_a_server_certificate_outlives_the_backdating(data):
    server = x509.load_pem_x509_certificate((data.path / "server.pem").read_bytes())
    assert server.not_valid_before_utc < datetime.fromtimestamp(NOON, UTC)
    assert server.not_valid_after_utc - datetime.fromtimestamp(NOON, UTC) == timedelta(days=90)
