"""The controller's own TLS.

One EC P-256 authority that agents pin, and the server certificate that it issues.

The pin is the SHA-256 over the authority's SubjectPublicKeyInfo (RFC 7469 section 2.4), so that the
authority's certificate can be renewed without touching a host. Extensions are those that RFC 5280 asks for,
because OpenSSL's strict mode (Python 3.13 and newer) refuses chains without them. Pure: time and names come
in, PEM goes out.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Pair", "create_authority", "is_good", "issue_server", "spki_sha256"]

AUTHORITY_DAYS = 3650
SERVER_DAYS = 90
_RESTORE = "restore ca.pem and ca.key from where they are kept: hosts have pinned them"
_BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM; the key is unencrypted and never shown."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Pair(spki_sha256={spki_sha256(self.certificate)!r})"


def create_authority(instance: str, *, now: int) -> Pair:
    """A new authority, good for ten years, allowed to sign server certificates and nothing below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Steward {instance} CA"[:64])])
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue_server(authority: Pair, names: Sequence[str], *, now: int) -> Pair:
    """A server certificate for DNS names and IP addresses, good for 90 days; the first is its common name."""
    issuer, signer = _certificate(authority.certificate), _private_key(authority.key)
    if signer.public_key() != issuer.public_key():
        raise ControllerError("the authority's key is not the one of its certificate", hint=_RESTORE)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(identifier, critical=False)
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def spki_sha256(certificate: bytes) -> str:
    """The pin of a PEM certificate: SHA-256 hex over its SubjectPublicKeyInfo in DER.

    Raises ControllerError for what is no certificate.
    """
    public = _certificate(certificate).public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def is_good(server: Pair, authority: bytes, names: Sequence[str], *, until: int) -> bool:
    """Whether a server's pair belongs together, is the authority's, speaks for all of `names` until then."""
    try:
        loaded, key = _certificate(server.certificate), _private_key(server.key)
        loaded.verify_directly_issued_by(_certificate(authority))
        extension = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ControllerError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    is_pair = loaded.public_key() == key.public_key()
    speaks = {_general(name) for name in names} <= set(extension.value)
    return is_pair and speaks and loaded.not_valid_after_utc.timestamp() > until


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ControllerError(f"not a certificate: {error}", hint=_RESTORE) from error


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ControllerError("not a private key without a password", hint=_RESTORE) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ControllerError("the key is not an EC key", hint=_RESTORE)
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: int, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATED)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), private)
