"""Asking the executor: one connection a question, so that systemd may start it for each and it may leave."""

import asyncio
import socket
from pathlib import Path

from agent import framing, verbs
from agent.errors import ExecutorUnavailableError

__all__ = ["ask", "ask_async"]

_GRACE_SECONDS = 15.0
_HINT = "start it: systemctl start steward-executor.socket, or as root: steward-agent executor"


def ask(path: Path, question: verbs.Ask) -> verbs.Answered:
    """Ask and wait for the answer; raises ExecutorUnavailableError, FrameError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_patience(question))
            connection.connect(str(path))
            framing.send(connection, verbs.encode(question))
            body = framing.receive(connection)
    except OSError as error:
        raise ExecutorUnavailableError(f"{path}: {error.strerror or error}", hint=_HINT) from error
    if body is None:
        raise ExecutorUnavailableError(f"{path}: closed without an answer", hint=_HINT)
    return verbs.decode_answer(body)


async def ask_async(path: Path, question: verbs.Ask) -> verbs.Answered:
    """The same for an event loop."""
    try:
        async with asyncio.timeout(_patience(question)):
            reader, writer = await asyncio.open_unix_connection(str(path), limit=framing.MAXIMUM_BYTES)
            try:
                writer.write(framing.wrap(verbs.encode(question)))
                await writer.drain()
                return verbs.decode_answer(await framing.read(reader))
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise ExecutorUnavailableError(f"{path}: {error}", hint=_HINT) from error


def _patience(question: verbs.Ask) -> float:
    return _GRACE_SECONDS + float(getattr(question, "wait_seconds", 0.0))
