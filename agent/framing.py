"""Frames between the two processes of a host: four bytes of length, big-endian, then a JSON body.

The longest body is 2 MiB: a delivery of 512 KiB in base64, or receipts. A longer one is refused before it is
read.
"""

import asyncio
import socket
import time

from agent.errors import FrameError

__all__ = ["MAXIMUM_BYTES", "read", "receive", "send", "wrap"]

MAXIMUM_BYTES = 2 << 20
"""Longest body of a frame."""


def wrap(body: bytes) -> bytes:
    """Return the frame around a body; raises FrameError where it is too long."""
    if len(body) > MAXIMUM_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes is over {MAXIMUM_BYTES}")
    return len(body).to_bytes(4, "big") + body


def send(connection: socket.socket, body: bytes) -> None:
    """Write one frame; raises FrameError or OSError."""
    connection.sendall(wrap(body))


def receive(connection: socket.socket, *, frame_seconds: float | None = None) -> bytes | None:
    """Read one frame's body; None where the other side closed between frames; raises FrameError, OSError.

    The first byte may take as long as the connection's own time-out; from then on the whole frame has to be
    there within `frame_seconds`, however it is cut up.
    """
    header = _exactly(connection, 1, None)
    if not header:
        return None
    deadline = None if frame_seconds is None else time.monotonic() + frame_seconds
    header += _exactly(connection, 3, deadline)
    if len(header) < 4:
        raise FrameError("cut off inside a frame's header")
    body = _exactly(connection, wanted := _length(header), deadline)
    if len(body) < wanted:
        raise FrameError("cut off inside a frame")
    return body


async def read(reader: asyncio.StreamReader) -> bytes:
    """Read one frame's body from a stream; raises FrameError, OSError."""
    try:
        return await reader.readexactly(_length(await reader.readexactly(4)))
    except asyncio.IncompleteReadError as error:
        raise FrameError("cut off inside a frame") from error


def _length(header: bytes) -> int:
    announced = int.from_bytes(header, "big")
    if announced > MAXIMUM_BYTES:
        raise FrameError(f"a frame of {announced} bytes is over {MAXIMUM_BYTES}")
    return announced


def _exactly(connection: socket.socket, count: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        if deadline is not None:
            connection.settimeout(max(deadline - time.monotonic(), 1e-6))
        part = connection.recv(min(count - len(parts), 1 << 16))
        if not part:
            break
        parts += part
    return bytes(parts)
