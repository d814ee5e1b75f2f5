"""Keys and their ids."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import BadKey
from protocol.keys import PublicKey, SigningKey
from tests.protocol.scene import key

# RFC 8032, section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
# The points of small order in their canonical encodings, and encodings beyond the field.
WEAK = {
    "identity": (1).to_bytes(32, "little"),
    "order_2": (2**255 - 20).to_bytes(32, "little"),
    "order_4": bytes(32),
    "order_4_signed": bytes(31) + b"\x80",
    "order_8": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    "order_8_other": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "identity_beyond_the_field": (2**255 - 18).to_bytes(32, "little"),
    "all_ones": b"\xff" * 32,
}


def test_published_example() -> None:
    signer = SigningKey.generate(SEED)
    assert signer.public.raw == PUBLIC
    assert signer.sign(b"") == SIGNATURE
    assert PublicKey(PUBLIC).verify(SIGNATURE, b"")
    assert not PublicKey(PUBLIC).verify(SIGNATURE, b"\0")


def test_the_id_is_the_hash_of_the_raw_bytes() -> None:
    assert PublicKey(PUBLIC).keyid == hashlib.sha256(PUBLIC).hexdigest()


def test_pem_round_trip() -> None:
    signer = key("controller")
    assert SigningKey.from_pem(signer.to_pem()).public == signer.public


def test_a_signing_key_never_shows_itself() -> None:
    signer = SigningKey.generate(SEED)
    assert SEED.hex() not in repr(signer) + str(vars(signer))


@pytest.mark.parametrize("name", WEAK)
def test_weak_and_out_of_range_points_are_no_keys(name: str) -> None:
    with pytest.raises(BadKey):
        PublicKey(WEAK[name])


@pytest.mark.parametrize("raw", [b"", bytes(31), bytes(33)], ids=len)
def test_keys_of_another_length(raw: bytes) -> None:
    with pytest.raises(BadKey):
        PublicKey(raw)
    with pytest.raises(BadKey):
        SigningKey.generate(raw)


def test_files_that_hold_no_ed25519_key() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    locked = key("controller")._private.private_bytes(*form, serialization.BestAvailableEncryption(b"x"))
    for pem in (b"", b"steward", other.private_bytes(*form, serialization.NoEncryption()), locked):
        with pytest.raises(BadKey):
            SigningKey.from_pem(pem)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), b"\xff" * 64, bytes(65)], ids=len)
def test_odd_signatures_do_not_verify(signature: bytes) -> None:
    assert not key("controller").public.verify(signature, b"")
