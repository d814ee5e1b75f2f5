"""Ed25519 keys and their ids (RFC 8032; by cryptography)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import BadKey, NotStrictJson
from protocol.wire import decode_base64, encode_base64

__all__ = ["PublicKey", "SigningKey", "keyid_of"]

_KEY_BYTES: Final = 32
_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x5FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_WEAK: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""y of the points of order 1, 2, 4 and 8: under them one signature holds for many messages."""


def keyid_of(raw: bytes) -> str:
    """The key id of a public key: SHA-256 of its raw bytes, in hex."""
    return hashlib.sha256(raw).hexdigest()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key; its id is always computed, never taken from elsewhere. Raises BadKey."""

    raw: bytes
    keyid: str = field(init=False, compare=False)
    _key: Ed25519PublicKey = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != _KEY_BYTES:
            raise BadKey(f"an Ed25519 public key has {_KEY_BYTES} bytes, not {len(self.raw)}")
        y = int.from_bytes(self.raw, "little") & (2**255 - 1)
        if y >= _FIELD or y in _WEAK:
            raise BadKey("not a usable Ed25519 point, or not in its one encoding")
        object.__setattr__(self, "keyid", keyid_of(self.raw))
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.raw))

    @classmethod
    def from_base64(cls, text: str) -> Self:
        """The key of strict base64 text. Raises BadKey."""
        try:
            return cls(decode_base64(text))
        except NotStrictJson as error:
            raise BadKey(str(error)) from error

    def verify(self, sig: bytes, data: bytes) -> bool:
        """Whether `sig` is this key's signature over `data`."""
        try:
            self._key.verify(sig, data)
        except InvalidSignature:
            return False
        return True

    def as_json(self) -> dict[str, str]:
        """The KEY of a trust document."""
        return {"public": encode_base64(self.raw), "scheme": "ed25519"}


class SigningKey:
    """An Ed25519 private key; a dsse.Signer. It never shows itself in text."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public: Final = PublicKey(raw)

    @classmethod
    def generate(cls, seed: bytes) -> Self:
        """The key of 32 random bytes that the caller drew. Raises BadKey for another length."""
        if len(seed) != _KEY_BYTES:
            raise BadKey(f"a seed has {_KEY_BYTES} bytes, not {len(seed)}")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """The key of an unencrypted PKCS#8 PEM text. Raises BadKey."""
        try:
            private = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise BadKey("not an unencrypted PEM private key") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise BadKey("not an Ed25519 private key")
        return cls(private)

    def to_pem(self) -> bytes:
        """Unencrypted PKCS#8 PEM; the caller keeps it where only its owner reads."""
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def keyid(self) -> str:
        """The public key's id."""
        return self.public.keyid

    def sign(self, data: bytes) -> bytes:
        """The 64 signature bytes over `data`."""
        return self._private.sign(data)

    def __repr__(self) -> str:
        return f"SigningKey(keyid={self.keyid!r})"
