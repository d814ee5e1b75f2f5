"""What is answered to a request: metrics, JSON of what collectors last read, health, a page for people."""

import base64
import binascii
from collections.abc import Callable, Coroutine
from math import inf
from time import monotonic

from exporters.collector import Host
from exporters.errors import BusyError, ExporterError, UnknownCollectorError
from exporters.registry import BUDGET_SECONDS, Registry
from exporters.serving.documents import PATHS, Documents
from exporters.serving.http import Answer, Request, plain
from exporters.serving.landing import page
from exporters.serving.local_names import is_at_home
from exporters.serving.negotiation import accepts_gzip, wanted_format
from exporters.serving.passwords import Passwords, TooManyGuessesError, find_bcrypt
from exporters.serving.web import Options
from exporters.serving.web_config import WebConfig
from exporters.serving.web_reload import Watched

_TIMEOUT_OFFSET_SECONDS = 0.5
"""What is left of Prometheus' patience for the way there and back, as other exporters have it."""
_SHORTEST_BUDGET_SECONDS = 0.1
_LONGEST_BUDGET_SECONDS = 120.0
_LARGE_BYTES = 1 << 18

_HTML = b"text/html; charset=utf-8"
_JSON = b"application/json; charset=utf-8"
_VARY = b"Vary: Accept, Accept-Encoding"
_GZIP = b"Content-Encoding: gzip"
_ALLOW = b"Allow: GET, HEAD"
_CHALLENGE = b'WWW-Authenticate: Basic realm="steward-agent", charset="UTF-8"'
_MISDIRECTED = (
    "the Host field names neither localhost nor an address: a page of another site could read this machine's "
    "metrics so. Ask for it by address, or see --web.config.file and --insecure"
)
_NOTHING_ELSE = (
    b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
    b"X-Content-Type-Options: nosniff",
)

_Route = Callable[[Request], Coroutine[None, None, Answer]]


class Site:
    """Answers the requests of all connections of one server; `watched` is its web configuration, `host` what
    documents are made for."""

    def __init__(
        self, registry: Registry, options: Options, watched: Watched | None, host: Host | None
    ) -> None:
        self._registry = registry
        self._options = options
        self._watched = watched
        self._documents = Documents(registry, host)
        self._passwords: Passwords | None = None
        self._limit = _Limit()
        self._scrapes = 0
        self.unread = 0
        """Answers that clients have not read yet: each counts as a scrape, for it holds as much memory."""
        self._routes: dict[str, _Route] = {
            "/": self._landing,
            "/healthz": _health,
            options.telemetry_path: self._metrics,
            **dict.fromkeys(PATHS, self._document),
        }

    def close(self) -> None:
        """Let go of threads."""
        self._documents.close()
        if self._passwords is not None:
            self._passwords.close()

    async def answer(self, request: Request, address: str) -> Answer:
        """The answer to a request of a client at `address`."""
        config = None if self._watched is None else self._watched.current.config
        if not (self._options.insecure or (config is not None and config.knows_callers)) and (
            not is_at_home(request.fields.get("host", ""))
        ):
            return plain(421, _MISDIRECTED, keep_alive=False)
        if config is None:
            return await self._route(request)
        refusal = await self._refusal(request, config, address)
        answer = refusal or await self._route(request)
        if not config.headers:
            return answer
        set_here = {field.partition(b":")[0].lower() for field in answer.fields}
        lines = (f"{name}: {value}".encode() for name, value in config.headers)
        own = tuple(line for line in lines if line.partition(b":")[0].lower() not in set_here)
        return Answer(
            answer.status, answer.content_type, answer.body, (*answer.fields, *own), answer.keep_alive
        )

    async def _route(self, request: Request) -> Answer:
        route = self._routes.get(request.path)
        if route is None:
            return plain(404, "not found")
        if request.method == "OPTIONS" and request.path in PATHS:
            return self._preflight(request)
        if request.method not in ("GET", "HEAD"):
            return plain(405, "GET or HEAD", _ALLOW)
        return await route(request)

    async def _refusal(self, request: Request, config: WebConfig, address: str) -> Answer | None:
        """Why a request is not let in; None where it is."""
        if config.interval_seconds and not self._limit.admits(config.interval_seconds, config.burst):
            return plain(429, "too many requests")
        if not config.users or (request.method == "OPTIONS" and request.path in PATHS):
            return None  # a browser asks for leave without the password, and learns nothing
        given = _credentials(request.fields.get("authorization", ""))
        if given is None:
            return plain(401, "a user and a password are wanted here", _CHALLENGE)
        try:
            if self._passwords is None:
                self._passwords = Passwords(find_bcrypt())
            if await self._passwords.check(*given, config.users, address):
                return None
        except TooManyGuessesError as error:
            return plain(429, str(error), keep_alive=False)
        return plain(401, "wrong user or password", _CHALLENGE, keep_alive=False)

    async def _metrics(self, request: Request) -> Answer:
        if 0 < self._options.most_scrapes <= self._scrapes + self.unread:
            return plain(503, "too many scrapes at once")
        query = request.query
        try:
            names = (
                self._registry.select(query.get("collect[]", ()), query.get("exclude[]", ()))
                if query
                else None
            )
        except UnknownCollectorError as error:
            return plain(400, str(error))
        wanted = wanted_format(request.fields.get("accept", ""))
        self._scrapes += 1
        try:
            reading = await self._registry.scrape_whole(names, wanted, _budget_seconds(request))
            if not accepts_gzip(request.fields.get("accept-encoding", "")):
                return Answer(200, wanted.value, reading.text, (_VARY,))
            if reading.size > _LARGE_BYTES:
                await self._registry.pack(reading)
            return Answer(200, wanted.value, reading.gzipped, (_GZIP, _VARY))
        except BusyError as error:
            return plain(503, str(error))
        finally:
            self._scrapes -= 1

    async def _document(self, request: Request) -> Answer:
        fields = self._cors(request)
        try:
            body = await self._documents.read(request.path)
        except LookupError as error:
            return plain(404, str(error.args[0]), *fields)
        except ExporterError as error:
            return plain(503, str(error), *fields)
        return Answer(200, _JSON, body, (b"Cache-Control: no-store", *fields))

    async def _landing(self, request: Request) -> Answer:  # noqa: ARG002 - a route's signature
        reports = self._registry.reports()
        body = page(reports, self._options.version, self._options.telemetry_path, self._documents.paths)
        return Answer(200, _HTML, body, _NOTHING_ELSE)

    def _preflight(self, request: Request) -> Answer:
        fields = self._cors(request)
        if len(fields) < 2:
            return plain(405, "GET or HEAD", _ALLOW)
        allowed = (b"Access-Control-Allow-Methods: GET, HEAD", b"Access-Control-Allow-Headers: Authorization")
        return Answer(204, _JSON, b"", (*fields, *allowed, b"Access-Control-Max-Age: 600"))

    def _cors(self, request: Request) -> tuple[bytes, ...]:
        """What lets pages of other origins read the answer (Fetch Standard, CORS protocol)."""
        origins = self._options.cors_origins
        if not origins:
            return ()
        origin = request.fields.get("origin", "")
        if "*" in origins:
            return (b"Vary: Origin", b"Access-Control-Allow-Origin: *")
        if origin in origins:
            return (b"Vary: Origin", b"Access-Control-Allow-Origin: " + origin.encode("latin-1"))
        return (b"Vary: Origin",)


class _Limit:
    """`rate_limit` of the web configuration: one request each interval, and `burst` at once."""

    def __init__(self) -> None:
        self._tokens = inf
        self._since = monotonic()

    def admits(self, interval_seconds: float, burst: int) -> bool:
        now = monotonic()
        self._tokens = min(float(burst), self._tokens + (now - self._since) / interval_seconds)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


async def _health(request: Request) -> Answer:  # noqa: ARG001 - a route's signature
    return plain(200, "ok")


def _credentials(field: str) -> tuple[str, str] | None:
    """User and password of an Authorization field (RFC 7617)."""
    scheme, _, coded = field.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


def _budget_seconds(request: Request) -> float:
    """How long the scrape may take, by Prometheus' own word."""
    try:
        patience = float(request.fields.get("x-prometheus-scrape-timeout-seconds", "nan"))
    except ValueError:
        return BUDGET_SECONDS
    if not 0 < patience < inf:
        return BUDGET_SECONDS
    return min(
        max(patience - _TIMEOUT_OFFSET_SECONDS, patience / 2, _SHORTEST_BUDGET_SECONDS),
        _LONGEST_BUDGET_SECONDS,
    )
