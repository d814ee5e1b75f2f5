"""The web configuration file of Prometheus' exporter-toolkit: TLS, users, header fields, a rate limit.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. What is unknown or
cannot be done here is refused where it stands; the text of an error holds no secret. PyYAML is imported only
where there is such a file.
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.errors import ExporterError

if TYPE_CHECKING:
    import yaml

__all__ = ["ClientAuth", "Tls", "WebConfig", "WebConfigError", "parse"]

_MOST_BYTES = 1 << 18
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 19)
_VERSIONS = {"TLS12": 12, "TLS13": 13}
_TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{name}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for name, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("CHACHA20_POLY1305", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}


class WebConfigError(ExporterError):
    """The file cannot be used; the text begins with the place, FILE:LINE:COLUMN."""


class ClientAuth(Enum):
    """What clients have to show, by Go's names."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"

    @property
    def verifies(self) -> bool:
        """Whether certificates of clients are looked at."""
        return self in (ClientAuth.IF_GIVEN, ClientAuth.REQUIRED)


@dataclass(frozen=True)
class Tls:
    """`tls_server_config`. Texts are given inline, paths where they stand in files; versions are 12 or 13.

    `ciphers` are OpenSSL's names for TLS 1.2, None for its own choice; `curve` is None for all.
    """

    cert_file: Path | None = None
    cert: str = ""
    key_file: Path | None = None
    key: str = field(default="", repr=False)
    client_auth: ClientAuth = ClientAuth.NONE
    client_ca_file: Path | None = None
    client_ca: str = ""
    allowed_sans: tuple[str, ...] = ()
    min_version: int = 12
    max_version: int = 13
    ciphers: tuple[str, ...] | None = None
    curve: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that it is read from."""
        return tuple(
            path for path in (self.cert_file, self.key_file, self.client_ca_file) if path is not None
        )


@dataclass(frozen=True)
class WebConfig:
    """The whole file. `users` maps names to bcrypt hashes; `interval_seconds` 0 sets no limit of requests."""

    tls: Tls | None = None
    headers: tuple[tuple[str, str], ...] = ()
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    interval_seconds: float = 0.0
    burst: int = 0

    @property
    def knows_callers(self) -> bool:
        """Whether a page of another site, in a browser that reaches this server, is kept out: by a password
        that it lacks, or by a certificate for other names than its own.
        """
        return bool(self.users) or self.tls is not None

    @property
    def is_guarded(self) -> bool:
        """Whether strangers neither read what is served nor listen to it."""
        if self.tls is None:
            return False
        return bool(self.users) or self.tls.client_auth is ClientAuth.REQUIRED


def parse(data: bytes, path: Path) -> WebConfig:
    """What the file says; relative paths in it start at its folder.

    Raises:
        WebConfigError: it is no such file.
    """
    import yaml

    if len(data) > _MOST_BYTES:
        raise WebConfigError(f"{path}: longer than {_MOST_BYTES} bytes")
    try:
        node = yaml.compose(data, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise WebConfigError(f"{path}{place}: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise WebConfigError(f"{path}: no YAML") from error
    return WebConfig() if node is None else _Reader(path).whole(node)


class _Reader:
    """Reads the nodes of one file; each method takes a node and gives its value."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def whole(self, node: "yaml.Node") -> WebConfig:
        sections = self._map(
            node, ("tls_server_config", "http_server_config", "rate_limit", "basic_auth_users")
        )
        tls = sections.get("tls_server_config")
        limits = self._fields(sections.get("rate_limit"), {"interval": self._duration, "burst": self._number})
        http = self._fields(
            sections.get("http_server_config"), {"http2": self._boolean, "headers": self._headers}
        )
        users = sections.get("basic_auth_users")
        return WebConfig(
            tls=None if tls is None or _is_null(tls) else self._tls(tls),
            headers=http.get("headers", ()),
            users={} if users is None or _is_null(users) else self._users(users),
            interval_seconds=limits.get("interval", 0.0),
            burst=limits.get("burst", 0),
        )

    def _tls(self, node: "yaml.Node") -> Tls | None:
        found = self._fields(
            node,
            {
                "cert": self._text,
                "cert_file": self._file,
                "key": self._text,
                "key_file": self._file,
                "client_auth_type": self._client_auth,
                "client_ca": self._text,
                "client_ca_file": self._file,
                "client_allowed_sans": self._texts,
                "min_version": self._version,
                "max_version": self._version,
                "cipher_suites": self._ciphers,
                "curve_preferences": self._curve,
                "prefer_server_cipher_suites": self._boolean,
            },
        )
        if not found:
            return None
        found.pop("prefer_server_cipher_suites", None)  # Go has ignored it since 1.17
        for short, long in (
            ("client_auth_type", "client_auth"),
            ("client_allowed_sans", "allowed_sans"),
            ("cipher_suites", "ciphers"),
            ("curve_preferences", "curve"),
        ):
            if short in found:
                found[long] = found.pop(short)
        tls = Tls(**found)
        self._check(tls, node)
        return tls

    def _check(self, tls: Tls, node: "yaml.Node") -> None:
        if not (tls.cert or tls.cert_file):
            raise self._error(node, "one of cert_file and cert is missing")
        if not (tls.key or tls.key_file):
            raise self._error(node, "one of key_file and key is missing")
        has_ca = bool(tls.client_ca or tls.client_ca_file)
        if has_ca and tls.client_auth is ClientAuth.NONE:
            raise self._error(node, "a client CA without client_auth_type")
        if tls.client_auth.verifies and not has_ca:
            raise self._error(node, f"{tls.client_auth.value} needs client_ca_file or client_ca")
        if tls.allowed_sans and not tls.client_auth.verifies:
            raise self._error(node, "client_allowed_sans without certificates that are verified")
        if tls.min_version > tls.max_version:
            raise self._error(node, "min_version is newer than max_version")

    def _users(self, node: "yaml.Node") -> Mapping[str, str]:
        users = {}
        for name, value in self._map(node, None).items():
            hashed = self._text(value)
            match = _BCRYPT.fullmatch(hashed)
            if match is None or int(match[1]) not in _COSTS:
                raise self._error(value, f"the password of {name!r} is no bcrypt hash of cost 4 to 18")
            if not name or ":" in name:
                raise self._error(value, f"{name!r} is no name of a user")
            users[name] = hashed
        return users

    def _headers(self, node: "yaml.Node") -> tuple[tuple[str, str], ...]:
        found = []
        for name, value in self._map(node, _HEADERS).items():
            text = self._text(value)
            if _HEADERS[name] and text not in _HEADERS[name]:
                raise self._error(value, f"{name} is one of {', '.join(_HEADERS[name])}")
            if not text.isascii() or not text.isprintable():
                raise self._error(value, f"{name} has a value that no header field can have")
            found.append((name, text))
        return tuple(found)

    def _client_auth(self, node: "yaml.Node") -> ClientAuth:
        text = self._text(node)
        if text in ("RequireAnyClientCert", "RequireClientCert"):
            raise self._error(
                node, f"{text} would take any certificate unverified; use RequireAndVerifyClientCert"
            )
        return ClientAuth(self._one_of(node, text or "NoClientCert", [one.value for one in ClientAuth]))

    def _version(self, node: "yaml.Node") -> int:
        text = self._text(node)
        if text in ("TLS10", "TLS11"):
            raise self._error(node, f"{text} is broken and not offered; TLS12 and TLS13 are")
        return _VERSIONS[self._one_of(node, text, _VERSIONS)]

    def _ciphers(self, node: "yaml.Node") -> tuple[str, ...] | None:
        names = [self._one_of(node, text, (*_CIPHERS, *_TLS13_CIPHERS)) for text in self._texts(node)]
        return tuple(_CIPHERS[name] for name in names if name in _CIPHERS) if names else None

    def _curve(self, node: "yaml.Node") -> str | None:
        names = {self._one_of(node, text, _CURVES) for text in self._texts(node)}
        if not names or names == set(_CURVES):
            return None
        if len(names) > 1:
            raise self._error(node, "Python's TLS takes one curve, or all of them")
        return _CURVES[names.pop()]

    def _file(self, node: "yaml.Node") -> Path | None:
        text = self._text(node)
        return self._path.parent / text if text else None

    def _duration(self, node: "yaml.Node") -> float:
        text = self._text(node)
        match = _DURATION.fullmatch(text)
        if match is None and text != "0":
            raise self._error(node, "no duration such as 500ms, 1s or 2m")
        return float(match[1]) * _SECONDS[match[2]] if match else 0.0

    def _number(self, node: "yaml.Node") -> int:
        text = self._text(node)
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise self._error(node, "no whole number")
        return int(text)

    def _boolean(self, node: "yaml.Node") -> bool:
        text = self._text(node)
        if text.lower() not in ("true", "false"):
            raise self._error(node, "neither true nor false")
        return text.lower() == "true"

    def _text(self, node: "yaml.Node") -> str:
        import yaml

        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a text is expected here")
        return "" if _is_null(node) else str(node.value)

    def _texts(self, node: "yaml.Node") -> tuple[str, ...]:
        import yaml

        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, "a list is expected here")
        return tuple(self._text(one) for one in node.value)

    def _fields(
        self, node: "yaml.Node | None", known: Mapping[str, Callable[["yaml.Node"], Any]]
    ) -> dict[str, Any]:
        if node is None or _is_null(node):
            return {}
        return {name: known[name](value) for name, value in self._map(node, known).items()}

    def _map(self, node: "yaml.Node", known: Collection[str] | None) -> dict[str, "yaml.Node"]:
        import yaml

        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "keys with values are expected here")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key)
            if known is not None:
                self._one_of(key, name, known, "unknown key ")
            if name in found:
                raise self._error(key, f"key {name!r} stands twice")
            found[name] = value
        return found

    def _one_of(self, node: "yaml.Node", text: str, known: Collection[str], what: str = "unknown ") -> str:
        if text in known:
            return text
        near = difflib.get_close_matches(text, known, 1)
        raise self._error(node, f"{what}{text!r}" + (f"; did you mean {near[0]}?" if near else ""))

    def _error(self, node: "yaml.Node", why: str) -> WebConfigError:
        mark = node.start_mark
        return WebConfigError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {why}")


def _is_null(node: "yaml.Node") -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")
