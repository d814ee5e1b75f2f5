"""The controller's certificate authority: fetched once unverified, believed only where its key is pinned.

The pin is the SHA-256 of the CA's SubjectPublicKeyInfo. It comes from the enrolment token first, from the
trust document later. Everything else is spoken under that CA alone, host name checked; the system's own
authorities count for nothing. A PEM text may hold several certificates, and a TLS library believes them all:
so exactly one is taken, and only that one is ever handed on.
"""

import hashlib
import ssl
from collections.abc import Container

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.answers import read_bounded, session
from agent.errors import ControllerUnavailableError, UntrustedControllerError

__all__ = ["context", "fetch_ca", "spki_sha256"]

_MAXIMUM_BYTES = 64 << 10
_TIMEOUT_SECONDS = 20.0


def spki_sha256(pem: bytes) -> str:
    """Return the pin of a CA certificate; raises UntrustedControllerError where it is not exactly one."""
    try:
        key = _certificate(pem).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UntrustedControllerError("the controller's CA has a key that cannot be used") from error
    return hashlib.sha256(key).hexdigest()


def context(ca_pem: bytes) -> ssl.SSLContext:
    """Return a client context that believes this one CA and checks the host's name."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_verify_locations(cadata=_certificate(ca_pem).public_bytes(Encoding.DER))
    except (ssl.SSLError, ValueError) as error:
        raise UntrustedControllerError("the CA certificate cannot be used") from error
    return made


async def fetch_ca(address: str, pins: Container[str]) -> bytes:
    """Fetch the controller's CA and return it, alone and in PEM, where its key is pinned.

    The one request that is not verified by TLS: the pin verifies what it brings. Raises
    ControllerUnavailableError, UntrustedControllerError.
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    url = f"{address}/agent/v1/ca"
    try:
        async with (
            session() as unbelieved,
            unbelieved.get(url, ssl=unverified, allow_redirects=False, timeout=timeout) as response,
        ):
            if response.status != 200:
                raise ControllerUnavailableError(f"{url} answered {response.status}")
            pem = await read_bounded(response, _MAXIMUM_BYTES)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise ControllerUnavailableError(f"{address}: {error or 'no answer in time'}") from error
    if spki_sha256(pem) not in pins:
        raise UntrustedControllerError(
            f"the CA at {address} is not the pinned one",
            hint="somebody is in between, or the token is of another controller",
        )
    return _certificate(pem).public_bytes(Encoding.PEM)


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise UntrustedControllerError("what the controller sent as its CA is no certificate") from error
    if len(found) != 1:
        raise UntrustedControllerError(f"the controller's CA is not one certificate but {len(found)}")
    return found[0]
