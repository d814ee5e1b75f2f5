"""The `certificates` collector: when the certificates in named files and on named ports expire.

Nothing is looked at until a file or an endpoint is named. Files may be PEM, with chains and private keys in
them (which are passed over), or DER. An endpoint's certificate is read also where it has expired or nobody
trusts it, which is when one wants to know; `steward_certificate_verified` says whether it would be accepted.
Read in the background.
"""

import glob
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric, Row, label
from exporters.settings import Setting, duration, file_path, texts
from exporters.system.x509 import Certificate, certificate, certificates


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that speaks TLS from the first byte on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint(text: str) -> Endpoint:
    """An endpoint of `HOST:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f"{text!r} is not HOST:PORT")
    if ":" in bare and not host.startswith("["):
        raise ValueError(f"{text!r} is not [ADDRESS]:PORT")
    return Endpoint(bare, int(port))


def _endpoints(given: Sequence[str]) -> tuple[Endpoint, ...]:
    if len(given) > MOST_ENDPOINTS:
        raise ValueError(f"more than {MOST_ENDPOINTS}")
    return tuple(endpoint(text) for text in given)


MOST_FILES = 1000
MOST_ENDPOINTS = 100
MOST_BYTES = 1 << 20
MOST_CERTIFICATES = 2000
"""What is looked at: files, endpoints, bytes of a file, certificates of all files together."""

FILE = texts(
    "collector.certificates.file", (), "Certificates in PEM or DER; globs are followed, may be repeated."
)
ENDPOINT: Setting[tuple[Endpoint, ...]] = Setting(
    "collector.certificates.endpoint",
    (),
    "HOST:PORT that speaks TLS, whose certificate is read; may be repeated.",
    _endpoints,
)
CA_FILE = file_path(
    "collector.certificates.ca-file", None, "Whom to trust at endpoints, beside those whom the system trusts."
)
INTERVAL = duration("collector.certificates.interval", 300.0, "How often certificates are read.")
SETTINGS = (FILE, ENDPOINT, CA_FILE, INTERVAL)

FIRST_WAIT_SECONDS = 1.5
_PLACE = ("source", "position")
_NOT_AFTER = Metric(
    "steward_certificate_not_after_timestamp_seconds",
    Kind.GAUGE,
    "When the certificate expires, in unixtime.",
    _PLACE,
)
_NOT_BEFORE = Metric(
    "steward_certificate_not_before_timestamp_seconds",
    Kind.GAUGE,
    "When the certificate begins to be valid, in unixtime.",
    _PLACE,
)
_INFO = Metric(
    "steward_certificate_info",
    Kind.GAUGE,
    "What the certificate says of itself, and its digest; position 0 is the first in a file.",
    (*_PLACE, "subject", "issuer", "serial", "sha256"),
)
_VERIFIED = Metric(
    "steward_certificate_verified",
    Kind.GAUGE,
    "Whether the endpoint's certificate would be accepted: trusted, valid now, and for this name.",
    ("source",),
)
_ERROR = Metric(
    "steward_certificate_error",
    Kind.GAUGE,
    "Set where no certificate could be read, and why.",
    ("source", "reason"),
)


class Reason(StrEnum):
    """Why there is no certificate."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    MALFORMED = "malformed"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    HANDSHAKE = "handshake"


@dataclass(frozen=True, slots=True)
class Found:
    """The certificates of a file or an endpoint, or why there are none; `verified` is of endpoints."""

    source: str
    certificates: tuple[Certificate, ...] = ()
    reason: Reason | None = None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """What was found, in the order of the flags."""

    found: tuple[Found, ...]


def read(patterns: Iterable[str], endpoints: Iterable[Endpoint], probe: Callable[[Endpoint], Found]) -> Raw:
    """Read all files, and probe all endpoints."""
    found: dict[str, Found] = {}
    for path in _paths(patterns):
        found[path] = read_file(path) if len(found) < MOST_FILES else Found(path, reason=Reason.TOO_MANY)
    return Raw((*found.values(), *map(probe, dict.fromkeys(endpoints))))


def _paths(patterns: Iterable[str]) -> list[str]:
    """The files that the patterns mean; a pattern that means none stands for itself: it is an error then."""
    paths: list[str] = []
    for pattern in patterns:
        # pathlib cannot follow an absolute pattern
        matches = glob.glob(pattern) if glob.has_magic(pattern) else []  # noqa: PTH207
        paths += sorted(matches) or [pattern]
    return paths


def read_file(path: str) -> Found:
    """The certificates in a file."""
    source = label(os.fsencode(path))
    try:
        with open(path, "rb", opener=_opener) as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            return Found(source, reason=Reason.TOO_LARGE)
        return Found(source, tuple(certificates(data)))
    except OSError:
        return Found(source, reason=Reason.UNREADABLE)
    except SourceError:
        return Found(source, reason=Reason.MALFORMED)


def collect(raw: Raw) -> list[Family]:
    """The families of all that was found."""
    placed: list[tuple[Row, Certificate]] = []
    errors: dict[Row, None] = {}
    for found in raw.found:
        if found.reason is not None:
            errors[found.source, str(found.reason)] = None
        elif len(placed) + len(found.certificates) > MOST_CERTIFICATES:
            errors[found.source, str(Reason.TOO_MANY)] = None
        else:
            placed += [
                ((found.source, str(position)), each) for position, each in enumerate(found.certificates)
            ]
    rows = tuple(row for row, _ in placed)
    verified = [(found.source, found.verified) for found in raw.found if found.verified is not None]
    return [
        Family(_NOT_AFTER, rows, [each.not_after for _, each in placed]),
        Family(_NOT_BEFORE, rows, [each.not_before for _, each in placed]),
        Family(
            _INFO,
            tuple((*row, each.subject, each.issuer, each.serial, each.sha256) for row, each in placed),
            [1] * len(placed),
        ),
        Family(_VERIFIED, tuple((source,) for source, _ in verified), [int(good) for _, good in verified]),
        Family(_ERROR, tuple(errors), [1] * len(errors)),
    ]


def answer(asked: Endpoint, der: bytes, *, verified: bool) -> Found:
    """What an endpoint's certificate says."""
    try:
        return Found(str(asked), (certificate(der),), verified=verified)
    except SourceError:
        return Found(str(asked), reason=Reason.MALFORMED, verified=verified)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _nothing() -> Sequence[Family]:
    raise NoDataError("no certificates are named")


def build(host: Host) -> Collector:
    """The collector on this host, in the background; without a file or an endpoint it has no data."""
    settings = host.settings
    patterns, endpoints = settings[FILE], settings[ENDPOINT]
    if not patterns and not endpoints:
        return Collector(_nothing)
    ca_file = settings[CA_FILE]

    def collected() -> Sequence[Family]:
        from exporters.system.tls_probe import (
            Prober,
        )  # `ssl` is two megabytes, for those who name certificates

        return collect(read(patterns, endpoints, Prober(ca_file).probe))

    interval_seconds = settings[INTERVAL]
    return Background(
        "certificates",
        collected,
        interval_seconds=interval_seconds,
        first_wait_seconds=FIRST_WAIT_SECONDS,
    ).collector()
