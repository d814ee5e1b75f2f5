"""The controller's data folder: where each key, certificate and document lies, with which permissions.

    keys/signing.pem  keys/signing.pub    signs actions           trust/N.json   the chain of trust documents
    keys/audit.pem    keys/audit.pub      signs checkpoints       policy.git/    mirror of the policy
    ca.pem ca.key     server.pem server.key     own TLS           steward.db     the store
    sd.token          bearer token of Prometheus                  api.sock       operators on this machine

The folder is 0700 and every secret in it 0600, created so and never widened.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from controller import pki
from controller.errors import ControllerError
from controller.signing import UriSigner
from controller.trust import TrustFolder
from protocol.errors import ProtocolError
from protocol.keys import PublicKey, SigningKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["DataFolder", "write_new", "write_secret"]

RENEW_SERVER_SECONDS = 30 * 86_400


class DataFolder:
    """Names the files; raises ControllerError with the file's name where one is missing or unusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mirror = path / "policy.git"
        self.socket = path / "api.sock"
        self.sd_token = path / "sd.token"
        self.trust = TrustFolder(path / "trust")

    def create(self, instance: str, names: Sequence[str], *, now: int) -> None:
        """Make every key, the authority, the server certificate and the token; nothing may be there yet."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        (self.path / "keys").mkdir(mode=0o700)
        (self.path / "trust").mkdir(mode=0o700)
        for role in ("signing", "audit"):
            key = SigningKey.generate(secrets.token_bytes(32))
            write_new(self.path / "keys" / f"{role}.pem", key.to_pem())
            write_new(self.path / "keys" / f"{role}.pub", f"{key.public.as_json()['public']}\n".encode())
        authority = pki.create_authority(instance, now=now)
        write_new(self.path / "ca.pem", authority.certificate)
        write_new(self.path / "ca.key", authority.key)
        self._keep_server(pki.issue_server(authority, names, now=now))
        write_new(self.sd_token, f"{secrets.token_urlsafe(32)}\n".encode())

    def public_key(self, role: str) -> PublicKey:
        """The public key of `signing` or `audit`."""
        path = self.path / "keys" / f"{role}.pub"
        try:
            return PublicKey.from_base64(_read(path).decode("ascii").strip())
        except (ProtocolError, UnicodeDecodeError) as error:
            raise ControllerError(f"{path} holds no public key: {error}") from error

    def signer(self, role: str) -> UriSigner:
        """What signs as `signing` or `audit`."""
        return UriSigner(f"file2:{self.path / 'keys' / role}.pem", self.public_key(role))

    def ca_certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        found = _read(self.path / "ca.pem")
        pki.spki_sha256(found)  # what is none is said now, not by the first agent
        return found

    def server_files(self, names: Sequence[str], *, now: int) -> tuple[Path, Path]:
        """Certificate and key for TLS.

        Issued anew where they end within 30 days, lack one of `names`, or do not belong together: a machine
        that stopped between the writing of the two leaves them so.
        """
        authority = self.ca_certificate()
        current = pki.Pair(_read(self.path / "server.pem"), _read(self.path / "server.key"))
        if not pki.is_good(current, authority, names, until=now + RENEW_SERVER_SECONDS):
            pair = pki.Pair(authority, _read(self.path / "ca.key"))
            self._keep_server(pki.issue_server(pair, names, now=now))
        return self.path / "server.pem", self.path / "server.key"

    def _keep_server(self, pair: pki.Pair) -> None:
        write_secret(self.path / "server.key", pair.key)
        write_secret(self.path / "server.pem", pair.certificate)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads and that must not exist; raises ControllerError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ControllerError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk: half a key is worse than none
        path.unlink()
        raise ControllerError(f"{path} cannot be written: {error.strerror}") from error


def write_secret(path: Path, content: bytes) -> None:
    """Write or replace a file that only its owner reads; readers see the old one or the new one."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    write_new(beside, content)
    beside.replace(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "`steward init` makes a data folder"
        raise ControllerError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
