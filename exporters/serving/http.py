"""The little of HTTP/1.1 (RFC 9112) that a scrape needs: parse a request's head, build an answer's.

A scrape happens every few seconds for years and its cost is the product here, hence a hundred lines instead
of a framework: GET and HEAD, no bodies, keep-alive. What is not plainly well-formed is refused and the
connection closed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

LONGEST_HEAD_BYTES = 8192
HEAD_END = b"\r\n\r\n"

_REASONS = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    404: b"Not Found",
    405: b"Method Not Allowed",
    421: b"Misdirected Request",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
    505: b"HTTP Version Not Supported",
}
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,4096}) HTTP/1\.([01])")
_ABSOLUTE = re.compile(r"https?://([^/?#@]+)(/[^#]*|)", re.IGNORECASE)
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([ -~\t\x80-\xff]*?)[ \t]*")
_MOST_QUERY_FIELDS = 100


class Malformed(Exception):  # noqa: N818 - never leaves the server: it becomes an answer
    """The request cannot be served; `status` says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request without a body. `fields` have lower-case names; `keep_alive` says whether the connection
    outlives it.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    fields: Mapping[str, str]
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with; `fields` are whole header lines beside those that every answer has.

    `keep_alive` False ends the connection after it.
    """

    status: int
    content_type: bytes
    body: bytes
    fields: tuple[bytes, ...] = ()
    keep_alive: bool = True


PLAIN = b"text/plain; charset=utf-8"


def plain(status: int, words: str, *fields: bytes, keep_alive: bool = True) -> Answer:
    """An answer of one line for people."""
    return Answer(status, PLAIN, f"{words}\n".encode(), fields, keep_alive)


def parse_head(head: bytes) -> Request:
    """The request in `head`, which is everything before the empty line.

    Raises:
        Malformed: it is no request, or one with a body, or of another version.
    """
    lines = head.decode("latin-1").split("\r\n")
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        raise Malformed(400, "malformed request line")
    fields = _fields(lines[1:])
    if fields.get("content-length", "0") != "0" or "transfer-encoding" in fields:
        raise Malformed(400, "a body is not wanted here")
    if match[3] == "1" and "host" not in fields:
        raise Malformed(400, "no Host field")
    connection = fields.get("connection", "").lower()
    keep_alive = "close" not in connection if match[3] == "1" else "keep-alive" in connection
    path, _, query = _target(match[2], fields).partition("?")
    return Request(match[1], path, _query(query), fields, keep_alive)


def _target(text: str, fields: dict[str, str]) -> str:
    """Path and query of a request's target; the host that an absolute one names is the one that counts (RFC
    9112, 3.2.2).
    """
    if text.startswith("/") or text == "*":
        return text
    absolute = _ABSOLUTE.fullmatch(text)
    if absolute is None:
        raise Malformed(400, "malformed request target")
    fields["host"] = absolute[1]
    return absolute[2] or "/"


def answer_head(
    status: int, content_type: bytes, length: int, *, keep_alive: bool, extra: tuple[bytes, ...] = ()
) -> bytes:
    """Status line and fields of an answer with a body of `length` bytes, up to and with the empty line."""
    return b"\r\n".join(
        (
            b"HTTP/1.1 %d %s" % (status, _REASONS[status]),
            b"Content-Type: " + content_type,
            b"Content-Length: %d" % length,
            b"Connection: keep-alive" if keep_alive else b"Connection: close",
            *extra,
            b"",
            b"",
        )
    )


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Malformed(400, "malformed header field")
        name = match[1].lower()
        if name in ("host", "content-length") and name in fields:
            raise Malformed(400, f"{name} is given twice")
        fields[name] = f"{fields[name]}, {match[2]}" if name in fields else match[2]
    return fields


def _query(text: str) -> Mapping[str, list[str]]:
    if not text:
        return {}
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_QUERY_FIELDS)
    except ValueError as error:
        raise Malformed(400, "malformed query") from error
