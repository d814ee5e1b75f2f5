"""D-Bus messages as bytes: https://dbus.freedesktop.org/doc/dbus-specification.html, message protocol 1.

We send calls whose arguments are strings, and read whatever is answered.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from exporters.errors import SourceError

MOST_BYTES = 1 << 24
"""A larger message is refused; the specification allows 128 MiB, a list of 10,000 units has 3."""

_MOST_DEPTH = 64
_FIXED = {
    "y": ("B", 1),
    "b": ("I", 4),
    "n": ("h", 2),
    "q": ("H", 2),
    "i": ("i", 4),
    "u": ("I", 4),
    "x": ("q", 8),
    "t": ("Q", 8),
    "d": ("d", 8),
    "h": ("I", 4),
}
_ALIGNMENT = {kind: size for kind, (_, size) in _FIXED.items()} | {
    "s": 4, "o": 4, "g": 1, "a": 4, "v": 1, "(": 8, "{": 8,
}  # fmt: skip
_CLOSING = {"(": ")", "{": "}"}
_ORDERS = {ord("l"): "<", ord("B"): ">"}
_FIXED_HEADER_BYTES = 16
_VERSION = 1

Value = int | float | str | tuple["Value", ...] | list["Value"]
"""A value: structs and dictionary entries are tuples, arrays lists; a variant is the value in it."""


class MessageKind(IntEnum):
    """What a message is."""

    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


class _Header(IntEnum):
    PATH = 1
    INTERFACE = 2
    MEMBER = 3
    ERROR_NAME = 4
    REPLY_SERIAL = 5
    DESTINATION = 6
    SENDER = 7
    SIGNATURE = 8


@dataclass(frozen=True, slots=True)
class Call:
    """A method call: the object and method that are meant, and the arguments, which are strings."""

    destination: str
    path: str
    interface: str
    member: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came. `error` is the name of the error in an answer that is one."""

    kind: int
    reply_serial: int
    error: str
    body: tuple[Value, ...]


def encode(call: Call, serial: int) -> bytes:
    """The bytes of a method call; `serial` is not 0 and is that of the answer's `reply_serial`."""
    body = b""
    for argument in call.arguments:
        body = _padded(body, 4) + _string(argument)
    fields = [
        (_Header.PATH, "o", call.path),
        (_Header.DESTINATION, "s", call.destination),
        (_Header.INTERFACE, "s", call.interface),
        (_Header.MEMBER, "s", call.member),
    ]
    header = b""
    for code, kind, value in fields:
        header = _padded(header, 8) + bytes((code, 1)) + kind.encode() + b"\0" + _string(value)
    if call.arguments:
        signature = b"s" * len(call.arguments)
        header = _padded(header, 8) + bytes((_Header.SIGNATURE, 1)) + b"g\0" + bytes((len(signature),))
        header += signature + b"\0"
    start = struct.pack("<cBBBIII", b"l", MessageKind.CALL, 0, _VERSION, len(body), serial, len(header))
    return _padded(start + header, 8) + body


def length(start: bytes | bytearray) -> int | None:
    """Bytes of the message that begins with `start`; None where more of it is needed to tell.

    Raises:
        SourceError: it is no message, or too long.
    """
    if len(start) < _FIXED_HEADER_BYTES:
        return None
    order = _ORDERS.get(start[0])
    if order is None or start[3] != _VERSION:
        raise SourceError("D-Bus", f"no message of version {_VERSION}")
    body, _, fields = struct.unpack_from(f"{order}III", start, 4)
    whole = _FIXED_HEADER_BYTES + _up(fields, 8) + body
    if whole > MOST_BYTES:
        raise SourceError("D-Bus", f"a message of {whole} bytes")
    return int(whole)


def decode(message: bytes) -> Message:
    """A whole message.

    Raises:
        SourceError: it is malformed.
    """
    try:
        return _decode(message)
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise SourceError("D-Bus", f"malformed message: {error}") from error


def _decode(message: bytes) -> Message:
    reader = _Reader(message, _ORDERS[message[0]])
    reader.at = 12
    fields: dict[int, Value] = {}
    for field in reader.array("(yv)", 0):
        if isinstance(field, tuple) and isinstance(field[0], int):
            fields[field[0]] = field[1]
    reader.align(8)
    signature = fields.get(_Header.SIGNATURE, "")
    serial = fields.get(_Header.REPLY_SERIAL, 0)
    error = fields.get(_Header.ERROR_NAME, "")
    if not (isinstance(signature, str) and isinstance(serial, int) and isinstance(error, str)):
        raise ValueError("a header field has another type than the specification gives it")
    body = tuple([reader.value(kind, 0) for kind in split(signature)])
    if reader.at != len(message):
        raise ValueError(f"{len(message) - reader.at} bytes beyond the body's values")
    return Message(message[1], serial, error, body)


@lru_cache(maxsize=128)
def split(signature: str) -> tuple[str, ...]:
    """The single complete types of a signature, such as `a(su)`, `s`.

    Raises:
        ValueError: it is not a signature.
    """
    kinds, start = [], 0
    while start < len(signature):
        end = _end(signature, start, 0)
        kinds.append(signature[start:end])
        start = end
    return tuple(kinds)


def _end(signature: str, at: int, depth: int) -> int:
    code = signature[at]
    if depth > _MOST_DEPTH or code not in _ALIGNMENT:
        raise ValueError(f"signature {signature!r}")
    if code == "a":
        return _end(signature, at + 1, depth + 1)
    if code not in _CLOSING:
        return at + 1
    at += 1
    while signature[at] != _CLOSING[code]:
        at = _end(signature, at, depth + 1)
    return at + 1


class _Reader:
    """Takes values from a message one after the other, from `at` on."""

    def __init__(self, data: bytes, order: str) -> None:
        self._data = data
        self._fixed = {kind: struct.Struct(order + code) for kind, (code, _) in _FIXED.items()}
        self.at = 0

    def align(self, size: int) -> None:
        """Go to the next multiple of `size`; what is passed over are zeros."""
        until = _up(self.at, size)
        if any(self._data[self.at : until]):
            raise ValueError("padding is not zero")
        self.at = until

    def value(self, kind: str, depth: int) -> Value:
        """The next value, of that single complete type."""
        code = kind[0]
        if depth > _MOST_DEPTH:
            raise ValueError("nested too deep")
        if code in "so":
            return self._text(self._number("u"))
        if code in self._fixed:
            return self._number(code)
        if code == "g":
            return self._text(self._number("y"))
        if code == "a":
            return self.array(kind[1:], depth + 1)
        if code == "v":
            inner = split(self._text(self._number("y")))
            if len(inner) != 1:
                raise ValueError("a variant of several types")
            return self.value(inner[0], depth + 1)
        self.align(8)
        return tuple([self.value(part, depth + 1) for part in split(kind[1:-1])])

    def array(self, kind: str, depth: int) -> list[Value]:
        """The values of an array of that type."""
        size = self._number("u")
        self.align(_ALIGNMENT[kind[0]])
        end = self.at + size
        if end > len(self._data):
            raise ValueError("an array beyond the message's end")
        values: list[Value] = []
        while self.at < end:
            before = self.at
            values.append(self.value(kind, depth))
            if self.at == before:
                raise ValueError("an array of nothing")
        if self.at != end:
            raise ValueError("an array whose length is not that of its values")
        return values

    def _number(self, code: str) -> int:
        fixed = self._fixed[code]
        if self.at % fixed.size:
            self.align(fixed.size)
        (number,) = fixed.unpack_from(self._data, self.at)
        self.at += fixed.size
        found: int = number
        return found

    def _text(self, size: int) -> str:
        end = self.at + size
        if self._data[end] != 0:
            raise ValueError("a string does not end where it should")
        text = self._data[self.at : end].decode()
        self.at = end + 1
        return text


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def _up(number: int, size: int) -> int:
    return -(-number // size) * size


def _padded(data: bytes, size: int) -> bytes:
    return data + bytes(-len(data) % size)
