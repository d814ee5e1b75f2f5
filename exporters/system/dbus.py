"""A D-Bus client for collectors: a few calls at once, over a Unix socket, within a deadline.

https://dbus.freedesktop.org/doc/dbus-specification.html: EXTERNAL authentication (the socket tells who we
are), then `Hello` where a bus is on the other side. A connection lives for one reading.
"""

import os
import socket
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from exporters.errors import BusError, SourceError
from exporters.system.dbus_wire import Call, Message, MessageKind, Value, decode, encode, length
from exporters.system.tree import Tree

_SYSTEM_BUS = "/run/dbus/system_bus_socket"
_MOST_UNDER_WAY = 64
"""Calls sent before their answers are read: a bus limits what it holds back for one client."""
_CHUNK_BYTES = 1 << 16
_MOST_LINE_BYTES = 1 << 12

Answer = tuple[Value, ...] | BusError


class Bus:
    """A connection to a bus, or where `hello` is false to a peer that speaks the protocol without one.

    Use it as a context manager. Raises, from each method:
        OSError: nobody listens at `path`, the connection ended, or the deadline passed (TimeoutError).
        SourceError: what came is not D-Bus.
        BusError: we were refused.
    """

    def __init__(
        self,
        path: str,
        *,
        hello: bool = True,
        deadline_seconds: float = 5.0,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._path = path
        self._hello = hello
        self._steady = steady
        self._until = steady() + deadline_seconds
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._received = bytearray()
        self._serial = 0

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def one(self, call: Call) -> tuple[Value, ...]:
        """The answer to a call; an answer that is an error is raised as `BusError`."""
        (answer,) = self.all([call])
        if isinstance(answer, BusError):
            raise answer
        return answer

    def all(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers to these calls, in their order."""
        answers: list[Answer] = []
        for start in range(0, len(calls), _MOST_UNDER_WAY):
            answers += self._batch(calls[start : start + _MOST_UNDER_WAY])
        return answers

    def _open(self) -> None:
        self._limit()
        self._socket.connect(self._path)
        self._send(b"\0AUTH EXTERNAL %s\r\n" % str(os.geteuid()).encode().hex().encode())
        line = self._line()
        if not line.startswith(b"OK "):
            raise BusError("authentication", line.decode("ascii", "replace"))
        self._send(b"BEGIN\r\n")
        if self._hello:
            bus = "org.freedesktop.DBus"
            self.one(Call(bus, "/org/freedesktop/DBus", bus, "Hello"))

    def _batch(self, calls: Sequence[Call]) -> list[Answer]:
        first = self._serial + 1
        self._serial += len(calls)
        self._send(b"".join(encode(call, first + place) for place, call in enumerate(calls)))
        answers: dict[int, Answer] = {}
        while len(answers) < len(calls):
            message = self._message()
            place = message.reply_serial - first
            if 0 <= place < len(calls):
                answers[place] = _answer(message)
        return [answers[place] for place in range(len(calls))]

    def _message(self) -> Message:
        while True:
            size = length(self._received)
            if size is not None and len(self._received) >= size:
                message = bytes(self._received[:size])
                del self._received[:size]
                return decode(message)
            self._receive()

    def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if len(self._received) > _MOST_LINE_BYTES:
                raise SourceError("D-Bus", "a line without an end")
            self._receive()
        line = bytes(self._received[:end])
        del self._received[: end + 2]
        return line

    def _send(self, data: bytes) -> None:
        self._limit()
        self._socket.sendall(data)

    def _receive(self) -> None:
        self._limit()
        chunk = self._socket.recv(_CHUNK_BYTES)
        if not chunk:
            raise ConnectionError(f"{self._path}: the connection was closed")
        self._received += chunk

    def _limit(self) -> None:
        left = self._until - self._steady()
        if left <= 0:
            raise TimeoutError(f"{self._path}: no answer in time")
        self._socket.settimeout(left)


def _answer(message: Message) -> Answer:
    if message.kind == MessageKind.ERROR:
        text = message.body[0] if message.body else ""
        return BusError(message.error, text if isinstance(text, str) else "")
    return message.body


def get(destination: str, path: str, interface: str, name: str) -> Call:
    """The call that reads a property of an object; its answer has one value."""
    return Call(destination, path, "org.freedesktop.DBus.Properties", "Get", (interface, name))


def system_bus(tree: Tree) -> str:
    """Path of the system bus below this root: the usual one, or of a live system what
    DBUS_SYSTEM_BUS_ADDRESS says.
    """
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "") if tree.rootfs == "/" else ""
    kind, _, options = address.partition(";")[0].partition(":")
    pairs = dict(option.partition("=")[::2] for option in options.split(","))
    if kind == "unix" and "path" in pairs:
        return pairs["path"]
    return tree.below_root(_SYSTEM_BUS)
