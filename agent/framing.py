"""Frames between the two processes of a host: four bytes of length, big-endian, then JSON.

The longest frame is 2 MiB: a delivery of 512 KiB in base64 and room for receipts. A longer one is refused
before its body is read.
"""

import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from agent.errors import FrameError

__all__ = ["MAXIMUM_BYTES", "decode", "encode", "length", "receive", "send"]

MAXIMUM_BYTES = 2 << 20
"""Longest body of a frame."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the frame of a message; raises FrameError where it would be too long."""
    body = msgspec.json.encode(message)
    if len(body) > MAXIMUM_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes is over {MAXIMUM_BYTES}")
    return len(body).to_bytes(4, "big") + body


def decode(body: bytes) -> dict[str, Any]:
    """Return the message in a frame's body; raises FrameError where it is no JSON object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FrameError(f"not a frame of ours: {error}") from error


def length(header: bytes) -> int:
    """Return the length that a header announces; raises FrameError where it is too great."""
    announced = int.from_bytes(header, "big")
    if announced > MAXIMUM_BYTES:
        raise FrameError(f"a frame of {announced} bytes is over {MAXIMUM_BYTES}")
    return announced


def send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Write one frame; raises FrameError or OSError."""
    connection.sendall(encode(message))


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Read one frame; None where the other side closed between frames; raises FrameError, OSError."""
    header = _exactly(connection, 4)
    if not header:
        return None
    if len(header) < 4:
        raise FrameError("cut off inside a frame's header")
    body = _exactly(connection, wanted := length(header))
    if len(body) < wanted:
        raise FrameError("cut off inside a frame")
    return decode(body)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 16))
        if not part:
            break
        parts += part
    return bytes(parts)
