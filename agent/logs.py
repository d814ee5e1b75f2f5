"""Log lines: a constant message and key=value fields, as JSON objects when nobody watches a terminal.

The standard library's logging alone: structlog pulls in rich wherever that is installed, and the network
process of a host should be small.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable

__all__ = ["RateLimit", "configure", "log"]

_logger = logging.getLogger("steward.agent")
_exporters = logging.getLogger("exporters")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def log(message: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Write one line; `message` is constant, what varies stands in `fields`. Never pass a secret."""
    _logger.log(level, message, extra={"fields": fields})


def configure() -> None:
    """Send log lines to standard error: text on a terminal, JSON lines elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if sys.stderr.isatty() else _Json())
    for logger in (_logger, _exporters):
        logger.handlers[:] = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


class RateLimit:
    """Lets one line of a name through per interval and counts the others."""

    def __init__(self, interval_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def admit(self, name: str) -> int | None:
        """Return how many lines were held back before this one, or None where this one is held back too."""
        now = self._monotonic()
        with self._lock:
            if name in self._last and now - self._last[name] < self._interval:
                self._held[name] = self._held.get(name, 0) + 1
                return None
            self._last[name] = now
            return self._held.pop(name, 0)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value!r}" for key, value in _fields(record).items())
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        return f"{stamp} {record.levelname.lower():7} {record.getMessage()}  {fields}".rstrip()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = {"timestamp": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**line, **_fields(record)}, default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What varies: `fields` of `log`, or what another room of ours passed as `extra`."""
    fields = getattr(record, "fields", None)
    if isinstance(fields, dict):
        return dict(fields)
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        given["error"] = repr(record.exc_info[1])
    return given
