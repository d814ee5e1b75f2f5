"""SSHSIG, verified without ssh: who signed which bytes, in which namespace.

Formats: OpenSSH's PROTOCOL.sshsig (armor, blob), PROTOCOL.u2f (sk keys and signatures), RFC 4253 section
6.6, RFC 5656 (ecdsa), RFC 8709 (ed25519). Accepted: ssh-ed25519, ecdsa-sha2-nistp{256,384,521} and the two
sk forms, for which the user's presence is required. RSA, DSA, certificates and webauthn are not. Signing is
ssh-keygen's job.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol.errors import BadKey, BadSshSignature, NotStrictJson
from protocol.wire import decode_base64

__all__ = [
    "APPROVE_NAMESPACE",
    "REQUEST_NAMESPACE",
    "SshKey",
    "SshSignature",
    "parse_public_key",
    "parse_signature",
]

REQUEST_NAMESPACE: Final = "steward-request@steward"
APPROVE_NAMESPACE: Final = "steward-approve@steward"

_MAGIC: Final = b"SSHSIG"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_MAX_ARMOR: Final = 8192
_MAX_LINE: Final = 76
_USER_PRESENT: Final = 0x01
_HASHES: Final = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_CURVES: Final[dict[bytes, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm]]]] = {
    b"nistp256": (ec.SECP256R1, hashes.SHA256),
    b"nistp384": (ec.SECP384R1, hashes.SHA384),
    b"nistp521": (ec.SECP521R1, hashes.SHA512),
}
_ED25519: Final = b"ssh-ed25519"
_SK_ED25519: Final = b"sk-ssh-ed25519@openssh.com"
_ECDSA: Final = {b"ecdsa-sha2-" + curve: curve for curve in _CURVES}
_SK_ECDSA: Final = b"sk-ecdsa-sha2-nistp256@openssh.com"


@dataclass(frozen=True, slots=True)
class SshKey:
    """A public key as its wire blob; two keys are the same where the blobs are."""

    blob: bytes


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed SSHSIG: the key that it names and what it claims; `verify` says whether it holds."""

    key: SshKey
    namespace: str
    hash_algorithm: bytes
    signature: bytes

    def verify(self, message: bytes, namespace: str) -> None:
        """Raises BadSshSignature unless the named key signed `message` in `namespace`."""
        if self.namespace != namespace:
            raise BadSshSignature("made in another namespace")
        digest = _HASHES[self.hash_algorithm](message).digest()
        parts = (namespace.encode("ascii"), b"", self.hash_algorithm, digest)
        signed = _MAGIC + b"".join(_string(part) for part in parts)
        try:
            _verify(self.key.blob, self.signature, signed)
        except (InvalidSignature, ValueError) as error:
            raise BadSshSignature("the signature does not verify") from error


class _Reader:
    """Takes the fields of RFC 4251 off the front of bytes, strictly."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, length: int) -> bytes:
        if len(self._data) < length:
            raise BadSshSignature("cut short")
        taken, self._data = self._data[:length], self._data[length:]
        return taken

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.uint32())

    def positive(self) -> int:
        raw = self.string()
        value = int.from_bytes(raw, "big", signed=True)
        if value <= 0 or len(raw) != value.bit_length() // 8 + 1:
            raise BadSshSignature("an mpint that is not positive or not minimal")
        return value

    def end(self) -> None:
        if self._data:
            raise BadSshSignature("bytes after the end")


def parse_public_key(line: str) -> SshKey:
    """The key of one line `type base64 [comment]`, of any type. Raises BadKey.

    A type that this room does not verify is a key all the same: it just never signs anything that holds.
    """
    fields = line.split(" ", 2)
    if len(fields) < 2 or not line.isprintable():
        raise BadKey("an SSH public key is a type and base64 on one line")
    try:
        blob = decode_base64(fields[1])
        named = _Reader(blob).string()
    except (NotStrictJson, BadSshSignature) as error:
        raise BadKey("an SSH public key that is not strict base64 of a key") from error
    if named != fields[0].encode("utf-8"):
        raise BadKey("an SSH public key whose type differs from its content")
    return SshKey(blob)


def parse_signature(armored: str) -> SshSignature:
    """The signature of armored text, as `ssh-keygen -Y sign` writes it. Raises BadSshSignature."""
    reader = _Reader(_unarmor(armored))
    if reader.take(len(_MAGIC)) != _MAGIC or reader.uint32() != 1:
        raise BadSshSignature("not an SSHSIG of version 1")
    blob, namespace, reserved = reader.string(), reader.string(), reader.string()
    hash_algorithm, signature = reader.string(), reader.string()
    reader.end()
    if reserved:
        raise BadSshSignature("the reserved field is not empty")
    if hash_algorithm not in _HASHES:
        raise BadSshSignature("a hash that is neither sha256 nor sha512")
    if not namespace.isascii():
        raise BadSshSignature("a namespace that is not ASCII")
    return SshSignature(SshKey(blob), namespace.decode("ascii"), hash_algorithm, signature)


def _unarmor(armored: str) -> bytes:
    lines = armored.removesuffix("\n").split("\n")
    if len(armored) > _MAX_ARMOR or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSshSignature("not an armored SSH signature")
    if any(not 0 < len(line) <= _MAX_LINE for line in lines[1:-1]):
        raise BadSshSignature("a line of the armor is empty or too long")
    try:
        return decode_base64("".join(lines[1:-1]))
    except NotStrictJson as error:
        raise BadSshSignature("the armor holds no strict base64") from error


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _verify(blob: bytes, signature: bytes, signed: bytes) -> None:
    key, proof = _Reader(blob), _Reader(signature)
    kind = key.string()
    if proof.string() != kind:
        raise BadSshSignature("the signature is of another type than its key")
    if kind in (_ED25519, _SK_ED25519):
        point = key.string()
        application = key.string() if kind == _SK_ED25519 else None
        raw = proof.string()
        signed = _presence(proof, application, signed)
        key.end()
        proof.end()
        Ed25519PublicKey.from_public_bytes(point).verify(raw, signed)
    elif kind in _ECDSA or kind == _SK_ECDSA:
        curve, point = key.string(), key.string()
        if curve != _ECDSA.get(kind, b"nistp256"):
            raise BadSshSignature("an ecdsa key that names another curve")
        application = key.string() if kind == _SK_ECDSA else None
        pair = _Reader(proof.string())
        signed = _presence(proof, application, signed)
        key.end()
        proof.end()
        _verify_ecdsa(curve, point, pair, signed)
    else:
        raise BadSshSignature("a key type that is not accepted")


def _presence(proof: _Reader, application: bytes | None, signed: bytes) -> bytes:
    """What a security key really signs: application, flags and counter around the hash."""
    if application is None:
        return signed
    flags, counter = proof.take(1), proof.take(4)
    if not flags[0] & _USER_PRESENT:
        raise BadSshSignature("a security key signed without the user's presence")
    return hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(signed).digest()


def _verify_ecdsa(curve: bytes, point: bytes, pair: _Reader, signed: bytes) -> None:
    r, s = pair.positive(), pair.positive()
    pair.end()
    if point[:1] != b"\x04":
        raise BadSshSignature("a point that is not in uncompressed form")
    group, algorithm = _CURVES[curve]
    public = ec.EllipticCurvePublicKey.from_encoded_point(group(), point)
    public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(algorithm()))
