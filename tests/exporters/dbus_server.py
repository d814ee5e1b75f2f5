"""A D-Bus server of our own for the tests: a bus, or a peer without one, that answers from a table.

It is not built on what it tests: the marshalling here is its own, by signature, in either byte order.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CODES = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
ALIGNMENT = {code: struct.calcsize("=" + packed) for code, packed in CODES.items()} | {
    "s": 4,
    "o": 4,
    "g": 1,
    "a": 4,
    "v": 1,
    "(": 8,
    "{": 8,
}


class RefusedError(Exception):
    """A handler answers with this D-Bus error."""


@dataclass
class Variant:
    """A value with its signature."""

    signature: str
    value: Any


def take(signature: str) -> tuple[str, str]:
    """The first complete type, and the rest."""
    if signature[0] == "a":
        inner, rest = take(signature[1:])
        return "a" + inner, rest
    if signature[0] not in "({":
        return signature[0], signature[1:]
    depth = 0
    for place, code in enumerate(signature):
        depth += (code in "({") - (code in ")}")
        if depth == 0:
            return signature[: place + 1], signature[place + 1 :]
    raise ValueError(signature)


def kinds(signature: str) -> list[str]:
    """Its complete types."""
    found = []
    while signature:
        one, signature = take(signature)
        found.append(one)
    return found


class Writer:
    """Marshals values; `data` is what they are, from a multiple of eight on."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = bytearray()

    def align(self, size: int) -> None:
        self.data += bytes(-len(self.data) % size)

    def put(self, signature: str, value: Any) -> None:
        """Put one value of that complete type."""
        code = signature[0]
        self.align(ALIGNMENT[code])
        if code in CODES:
            self.data += struct.pack(self.order + CODES[code], value)
        elif code in "so":
            raw = value.encode()
            self.data += struct.pack(self.order + "I", len(raw)) + raw + b"\0"
        elif code == "g":
            self.data += bytes((len(value),)) + value.encode() + b"\0"
        elif code == "v":
            self.put("g", value.signature)
            self.put(value.signature, value.value)
        elif code == "a":
            self._array(signature[1:], value)
        else:
            for kind, part in zip(kinds(signature[1:-1]), value, strict=True):
                self.put(kind, part)

    def _array(self, kind: str, values: Any) -> None:
        place = len(self.data)
        self.data += bytes(4)
        self.align(ALIGNMENT[kind[0]])
        start = len(self.data)
        for value in values:
            self.put(kind, value)
        self.data[place : place + 4] = struct.pack(self.order + "I", len(self.data) - start)


def message(
    kind: int,
    serial: int,
    fields: list[tuple[int, Variant]],
    signature: str,
    body: list[Any],
    order: str = "<",
) -> bytes:
    """The bytes of a message."""
    arguments = Writer(order)
    for part, value in zip(kinds(signature), body, strict=True):
        arguments.put(part, value)
    if signature:
        fields = [*fields, (8, Variant("g", signature))]
    head = Writer(order)
    for code, value in (("y", ord("l" if order == "<" else "B")), ("y", kind), ("y", 0), ("y", 1)):
        head.put(code, value)
    head.put("u", len(arguments.data))
    head.put("u", serial)
    head.put("a(yv)", fields)
    head.align(8)
    return bytes(head.data + arguments.data)


class Reader:
    """Reads what a client sends: little-endian calls whose arguments are strings."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, code: str) -> int:
        size = struct.calcsize("=" + code)
        self.at += -self.at % size
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return int(value)

    def text(self, code: str) -> str:
        size = self.number("B" if code == "g" else "I")
        raw = self.data[self.at : self.at + size]
        self.at += size + 1
        return raw.decode()


def read_call(data: bytes) -> tuple[int, dict[int, str], list[str]]:
    """Serial, header fields and arguments of a call."""
    reader = Reader(data)
    order, kind, _, version = data[:4]
    assert (order, kind, version) == (ord("l"), 1, 1)
    reader.at = 4
    body_size, serial, fields_size = reader.number("I"), reader.number("I"), reader.number("I")
    fields = {}
    while reader.at < 16 + fields_size:
        reader.at += -reader.at % 8
        code = reader.number("B")
        signature = reader.text("g")
        fields[code] = reader.text(signature)
    reader.at += -reader.at % 8
    body_at = reader.at
    arguments = Reader(data[body_at:])
    found = [arguments.text("s") for _ in fields.get(8, "")]
    assert arguments.at == body_size == len(data) - body_at
    return serial, fields, found


def size_of(data: bytes) -> int | None:
    """Bytes of the message that begins here, once it can be told."""
    if len(data) < 16:
        return None
    body, _, fields = struct.unpack_from("<III", data, 4)
    return 16 + fields + (-fields % 8) + body


@dataclass
class Server:
    """Answers on a socket.

    `handler` gets path, interface, member and arguments and gives signature and values, or raises
    `RefusedError` with the name of the error. `raw` answers any call with those bytes instead.
    """

    path: Path
    handler: Callable[[str, str, str, list[Any]], tuple[str, list[Any]]]
    order: str = "<"
    raw: bytes | None = None
    refuse: bool = False
    silent: threading.Event | None = None
    calls: list[tuple[str, ...]] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Listens until the block ends."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen()
        threads: list[threading.Thread] = []
        clients: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    clients.append(client)
                    thread = threading.Thread(target=self._serve, args=(client,))
                    threads.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield self
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            acceptor.join()
            if self.silent is not None:
                self.silent.set()
            for client in clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            self.path.unlink()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            data = self._login(client)
            while True:
                size = size_of(data)
                if size is None or len(data) < size:
                    chunk = client.recv(1 << 16)
                    if not chunk:
                        return
                    data += chunk
                    continue
                if self.silent is not None:
                    self.silent.wait()
                client.sendall(self._answer(data[:size]))
                data = data[size:]

    def _login(self, client: socket.socket) -> bytes:
        data = b""
        while True:
            chunk = client.recv(1 << 12)
            if not chunk:
                raise ConnectionError
            data += chunk
            while b"\r\n" in data:
                line, _, data = data.partition(b"\r\n")
                if line == b"BEGIN":
                    return data
                self.logins.append(line)
                client.sendall(self._accepts(line.lstrip(b"\0")) + b"\r\n")

    def _accepts(self, line: bytes) -> bytes:
        """A client may ask which ways there are, and whether it may pass file descriptors."""
        if self.refuse or line == b"AUTH":
            return b"REJECTED EXTERNAL"
        return b"AGREE_UNIX_FD" if line == b"NEGOTIATE_UNIX_FD" else b"OK 0123456789abcdef0123456789abcdef"

    def _answer(self, data: bytes) -> bytes:
        serial, fields, arguments = read_call(data)
        path, interface, member = fields[1], fields.get(2, ""), fields[3]
        self.calls.append((path, interface, member, *arguments))
        if self.raw is not None:
            return self.raw
        to = [(5, Variant("u", serial)), (6, Variant("s", ":1.7")), (7, Variant("s", "org.example"))]
        signal = message(
            4,
            9,
            [(1, Variant("o", "/a")), (2, Variant("s", "org.a")), (3, Variant("s", "Noise"))],
            "a{sv}",
            [[("x", Variant("as", ["y"]))]],
            self.order,
        )
        if member == "Hello":
            return signal + message(2, 1, to, "s", [":1.7"], self.order)
        try:
            signature, values = self.handler(path, interface, member, arguments)
        except RefusedError as error:
            named = [*to, (4, Variant("s", str(error)))]
            return message(3, 2, named, "s", ["no"], self.order)
        return message(2, 2, to, signature, values, self.order)
