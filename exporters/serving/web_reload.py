"""The web configuration in use: read again when its files change, as exporter-toolkit does.

A file that cannot be used after a change (half written, a certificate whose key is still the old one) leaves
what was there before in use and says so in the log, until the next change: scrapes go on.
"""

import logging
import os
import ssl
from dataclasses import dataclass
from errno import EINVAL, EISDIR
from ipaddress import ip_address
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from exporters.serving.web_config import ClientAuth, Tls, WebConfig, WebConfigError, parse

__all__ = ["Watched", "is_allowed", "tls_context"]

logger = logging.getLogger(__name__)

_VERSIONS = {12: ssl.TLSVersion.TLSv1_2, 13: ssl.TLSVersion.TLSv1_3}
_VERIFY = {ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL, ClientAuth.REQUIRED: ssl.CERT_REQUIRED}

_Stamps = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Current:
    """A configuration and its TLS context, None without TLS."""

    config: WebConfig
    context: ssl.SSLContext | None


class Watched:
    """A web configuration file. `current` is what holds now.

    Raises, when it is made:
        WebConfigError: the file, or one that it names, cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: tuple[Path, ...] = (path,)
        self._stamps: _Stamps = ()
        self._current = self._read()

    @property
    def current(self) -> Current:
        """What holds now, looked at anew where a file has changed."""
        if _stamps(self._files) != self._stamps:
            try:
                self._current = self._read()
            except WebConfigError as error:
                logger.warning("the web configuration cannot be used", extra={"reason": str(error)})
            else:
                logger.info("the web configuration was read again", extra={"file": str(self._path)})
        return self._current

    def _read(self) -> Current:
        files, stamps = self._files, _stamps(self._files)
        try:
            try:
                _see_that_it_ends(self._path)
                config = parse(self._path.read_bytes(), self._path)
                files = (self._path, *(config.tls.files if config.tls is not None else ()))
                for path in files[1:]:
                    _see_that_it_ends(path)
            except OSError as error:
                raise WebConfigError(f"{error.filename}: {error.strerror}") from error
            if config.tls is not None and config.tls.key_file is not None:
                _warn_of_readers(config.tls.key_file)
            # Stamped before they are read: what changes meanwhile is read again.
            stamps = _stamps(files)
            had_tls = self._stamps != () and self._current.context is not None
            if self._stamps != () and had_tls != (config.tls is not None):
                raise WebConfigError(f"{self._path}: TLS begins and ends with a restart only")
            if self._stamps != () and self._current.config.is_guarded and not config.is_guarded:
                raise WebConfigError(f"{self._path}: would let everybody in, which takes a restart")
            return Current(config, None if config.tls is None else tls_context(config.tls))
        finally:
            self._files, self._stamps = files, stamps


def tls_context(tls: Tls) -> ssl.SSLContext:
    """The server's side of TLS.

    Raises:
        WebConfigError: a certificate, key or name cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.maximum_version = _VERSIONS[tls.max_version]
    # Suites of 1.3 cannot be chosen, neither with Go: a list of them alone leaves 1.2 nothing to speak.
    only_13 = tls.ciphers == ()
    context.minimum_version = _VERSIONS[13 if only_13 else tls.min_version]
    try:
        if tls.ciphers:
            context.set_ciphers(":".join(tls.ciphers))
        if tls.curve is not None:
            context.set_ecdh_curve(tls.curve)
        _load_pair(context, tls)
        if tls.client_auth.verifies:
            context.verify_mode = _VERIFY[tls.client_auth]
            context.load_verify_locations(
                cafile=None if tls.client_ca_file is None else str(tls.client_ca_file),
                cadata=tls.client_ca or None,
            )
    except FileNotFoundError as error:
        raise WebConfigError(f"{_missing(tls)}: no such file") from error
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; its text names no secret
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise WebConfigError(f"tls_server_config: certificate, key or client CA: {reason}") from error
    return context


def is_allowed(tls: Tls, certificate: "dict[str, object] | None") -> bool:
    """Whether a client's verified certificate (as `SSLSocket.getpeercert` has it) has an allowed name."""
    if not tls.allowed_sans:
        return True
    if not certificate:
        # VerifyClientCertIfGiven lets those without a certificate in, but who names names wants to see one.
        return False
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple)  # noqa: S101 - the ssl module's own form
    return any(_plain(kind, value) in tls.allowed_sans for kind, value in names)


def _plain(kind: str, value: str) -> str:
    if kind != "IP Address":
        return value
    try:
        return str(ip_address(value.strip()))  # OpenSSL writes IPv6 addresses in full, in capitals
    except ValueError:
        return value


def _load_pair(context: ssl.SSLContext, tls: Tls) -> None:
    """Certificate and key; the ssl module reads files only, so what is inline goes through memory files."""
    held: list[int] = []

    def place(path: Path | None, text: str) -> str:
        if path is not None:
            return str(path)
        held.append(os.memfd_create("steward-web-config", os.MFD_CLOEXEC))
        os.write(held[-1], text.encode())
        return f"/proc/self/fd/{held[-1]}"

    try:
        # An encrypted key would ask at the terminal: no password is none.
        context.load_cert_chain(place(tls.cert_file, tls.cert), place(tls.key_file, tls.key), lambda: b"")
    finally:
        for descriptor in held:
            os.close(descriptor)


def _see_that_it_ends(path: Path) -> None:
    """Refuse a pipe or a device: reading it would hold every connection up; raises OSError."""
    mode = path.stat().st_mode
    if S_ISDIR(mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if not S_ISREG(mode):
        raise OSError(EINVAL, "not a regular file", str(path))


def _warn_of_readers(path: Path) -> None:
    if path.stat().st_mode & 0o007:
        logger.warning("every user of this machine may read the key of TLS", extra={"path": str(path)})


def _missing(tls: Tls) -> Path | str:
    return next((path for path in tls.files if not path.exists()), "a file of tls_server_config")


def _stamps(files: tuple[Path, ...]) -> _Stamps:
    return tuple(_stamp(path) for path in files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
