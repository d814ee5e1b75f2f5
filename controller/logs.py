"""What the service logs: one JSON object a line on standard error, or coloured lines on a terminal.

Libraries log in Python's own way; their lines come out in the same form. What a stranger sends that is not
HTTP is one line, not a traceback: anybody who reaches the port could fill the disk with those.
"""

from __future__ import annotations

import logging
import sys

import structlog
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["log_to_stderr"]


def log_to_stderr() -> None:
    """Send every line of this process there."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward()], force=True)


class _Forward(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            log.info("not HTTP", what=record.getMessage(), error=error.message)
        else:
            log.log(record.levelno, record.getMessage(), exc_info=error)
