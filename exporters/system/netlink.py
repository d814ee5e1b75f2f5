"""Questions to the kernel over netlink (netlink(7)): a dump, message by message, bounded.

The kernel's answers are trusted in their content, not in their shape: each length is checked before it is
used. Numbers are in the machine's byte order.
"""

import os
import socket
import sys
import threading
from dataclasses import dataclass, field
from struct import Struct

from exporters.errors import SourceError

HEADER_BYTES = 16
_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port: struct nlmsghdr
_HEAD = Struct("=IHH")  # the first three of them
_ATTRIBUTE = Struct("=HH")  # length, type: struct nlattr
_ATTRIBUTE_TYPE = 0x3FFF
_REQUEST = 0x1
_DUMP = 0x300
_INTERRUPTED = 0x10
_CONTROL = (2, 3)  # NLMSG_ERROR, NLMSG_DONE
_KERNEL = 0
_SEQUENCE = 1
_BUFFER_BYTES = 1 << 16  # the kernel fills at most 32 KiB at once (net/netlink/af_netlink.c)
_LIMIT_BYTES = 1 << 28
_TIMEOUT = Struct("@ll").pack(1, 0)  # seconds, microseconds: struct timeval
_ATTEMPTS = 3

Message = tuple[bytes, int, int]
"""A datagram, and where in it the body of a message begins and ends."""


class Channel:
    """A socket to one part of the kernel, opened when it is first needed and closed after an error.

    `protocol` is a number of linux/netlink.h. Several threads may ask; they wait for each other.
    """

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def dump(self, kind: int, body: bytes) -> list[Message]:
        """What there is of this kind, asked again where it changed while the kernel told it.

        Raises:
            OSError: the kernel refuses, does not know the request, or does not answer in time.
            SourceError: an answer is malformed or does not end.
        """
        for _ in range(_ATTEMPTS):
            answer = self._exchange(kind, body, _REQUEST | _DUMP)
            if not answer.is_interrupted:
                break
        return answer.messages

    def ask(self, kind: int, body: bytes) -> list[Message]:
        """The answer to a single question.

        Raises:
            OSError: the kernel refuses, does not know the request, or does not answer in time.
            SourceError: the answer is malformed.
        """
        return self._exchange(kind, body, _REQUEST).messages

    def close(self) -> None:
        """Close the socket."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_NETLINK, kind, self._protocol)
            # The kernel keeps the time: with a timeout of Python's, each answer would cost a poll as well.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        return self._socket

    def _exchange(self, kind: int, body: bytes, flags: int) -> "_Answer":
        with self._lock:
            try:
                open_socket = self._open()
                length = HEADER_BYTES + len(body)
                open_socket.send(_HEADER.pack(length, kind, flags, _SEQUENCE, 0) + body)
                return _receive(open_socket, is_dump=bool(flags & _DUMP))
            except (OSError, SourceError):
                self._close()  # what is left of the answer goes with the socket
                raise


class Changes:
    """Listens to what the kernel tells unasked; `groups` are bits of linux/rtnetlink.h (RTMGRP_*)."""

    def __init__(self, protocol: int, groups: int) -> None:
        self._protocol = protocol
        self._groups = groups
        self._socket: socket.socket | None = None

    def happened(self) -> bool:
        """Whether anything was told since the last call; true at the first, and where something was lost.

        Raises:
            OSError: the kernel does not let us listen.
        """
        if self._socket is None:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._socket = socket.socket(socket.AF_NETLINK, kind, self._protocol)
            self._socket.bind((_KERNEL, self._groups))
            return True
        try:
            self._socket.recv(1)
        except BlockingIOError:
            return False
        except OSError:  # ENOBUFS: there was more than the socket holds
            pass
        self.close()  # with all that waits; the next call listens anew, before anything is asked
        return True

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@dataclass(slots=True)
class _Answer:
    messages: list[Message] = field(default_factory=list)
    is_interrupted: bool = False

    def add(self, datagram: bytes) -> bool:
        """Take the messages of a datagram; whether the answer ends with it."""
        place, size = 0, len(datagram)
        unpack, add = _HEAD.unpack_from, self.messages.append
        while place + HEADER_BYTES <= size:
            length, kind, flags = unpack(datagram, place)
            start, end = place + HEADER_BYTES, place + length
            if not start <= end <= size:
                raise SourceError("netlink", f"message of {length} bytes in {size - place}")
            if flags & _INTERRUPTED:
                self.is_interrupted = True
            if kind in _CONTROL:
                _check(datagram[start:end])
                return True
            add((datagram, start, end))
            place += (length + 3) & ~3
        return False


def _receive(open_socket: socket.socket, *, is_dump: bool) -> _Answer:
    answer = _Answer()
    size = 0
    while size < _LIMIT_BYTES:
        datagram, (sender, _) = open_socket.recvfrom(_BUFFER_BYTES)
        size += len(datagram)
        if sender == _KERNEL and (answer.add(datagram) or not is_dump):
            return answer
    raise SourceError("netlink", f"more than {_LIMIT_BYTES} bytes")


def _check(body: bytes) -> None:
    """An error message, and the end of a dump, begin with a negative errno or 0."""
    code = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if code > 0:
        raise OSError(code, os.strerror(code))


def attributes(datagram: bytes, start: int, end: int) -> dict[int, bytes]:
    """Attributes by type, between two places of a datagram.

    Raises:
        SourceError: an attribute is malformed.
    """
    found = {}
    unpack = _ATTRIBUTE.unpack_from
    while start + _ATTRIBUTE.size <= end:
        length, kind = unpack(datagram, start)
        if not _ATTRIBUTE.size <= length <= end - start:
            raise SourceError("netlink", f"attribute of {length} bytes in {end - start}")
        found[kind & _ATTRIBUTE_TYPE] = datagram[start + 4 : start + length]
        start += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute as a request has it."""
    padding = -len(value) % 4
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(padding)
