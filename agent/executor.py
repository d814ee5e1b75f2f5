"""The executor's process: a Unix socket that answers the few verbs of `agent.verbs`, to known users alone.

Under systemd the socket comes by activation (sd_listen_fds(3)) and the process leaves after some idle
minutes; systemd starts it again at the next call. Without systemd it makes its own socket and stays.
"""

import contextlib
import os
import pwd
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent import framing, verbs
from agent.actions import TABLE
from agent.configuration import Loaded, load
from agent.errors import AgentError, FrameError, JournalError
from agent.execution import Execution
from agent.files import check_private_directory
from agent.identity import lock_executor, read_identity, read_key
from agent.journal import Journal
from agent.judge import Judge
from agent.logs import RateLimit, log
from agent.receipt_book import ReceiptBook
from agent.trust_store import TrustStore
from protocol.errors import ProtocolError

__all__ = [
    "Assembled",
    "Server",
    "activated_socket",
    "allowed_users",
    "assemble",
    "has_room",
    "own_socket",
    "undoable_kinds",
]

_MAXIMUM_CONNECTIONS = 16
_MAXIMUM_OF_A_USER = 12
_MAXIMUM_WAIT_SECONDS = 60.0
_SILENCE_SECONDS = 90.0
_FRAME_SECONDS = 10.0
_FIRST_ACTIVATED_FD = 3


@dataclass(frozen=True)
class Assembled:
    """Everything that an executor owns; `close` lets go of it."""

    execution: Execution
    loaded: Loaded
    journal: Journal | None
    lock: int

    def close(self) -> None:
        """Stop what runs, close the journal and give up the lock."""
        self.execution.stop()
        if self.journal is not None:
            self.journal.close()
        os.close(self.lock)


def assemble(path: Path, environ: Mapping[str, str], clock: Callable[[], int]) -> Assembled:
    """Open this host's identity, trust, journal and receipt key; raises AgentError.

    A journal that cannot be used is no error here: the executor then refuses everything and says why.
    """
    loaded = load(path, environ)
    for directory in (loaded.state, loaded.executor_directory):
        check_private_directory(directory)
    directory = loaded.executor_directory
    identity = read_identity(directory)
    lock = lock_executor(directory)
    try:
        key = read_key(directory / "receipt.pem")
        trust = TrustStore(directory / "trust.json")
        journal = _open_journal(directory / "journal.sqlite", identity.host_id)
    except BaseException:
        os.close(lock)
        raise
    book = ReceiptBook(host_id=identity.host_id, key=key, journal=journal) if journal else None
    judge = Judge(
        host_id=identity.host_id,
        load_settings=lambda: load(path, environ),
        trust=trust,
        kinds=TABLE,
        clock=clock,
    )
    execution = Execution(judge=judge, trust=trust, journal=journal, book=book, clock=clock, table=TABLE)
    execution.recover()
    return Assembled(execution, loaded, journal, lock)


def undoable_kinds(loaded: Loaded) -> list[str]:
    """Return the kinds that agent.yaml allows and that this agent has no code for: misspelt, or to come."""
    return sorted(set(loaded.settings.limits.get("kinds", {})) - set(TABLE))


def _open_journal(path: Path, host_id: str) -> Journal | None:
    try:
        return Journal.open(path, host_id)
    except JournalError as error:
        log("journal unusable, everything is refused", error=str(error), hint=error.hint)
        return None


def activated_socket(environ: Mapping[str, str], pid: int) -> socket.socket | None:
    """Return the socket that systemd hands over, or None where it did not."""
    if environ.get("LISTEN_PID") != str(pid) or environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=_FIRST_ACTIVATED_FD)


def own_socket(path: Path, network_user: str) -> socket.socket:
    """Listen on a socket of our own that the network process's group may reach; raises AgentError.

    Who connects is checked by credentials anyway; the mode only keeps others from knocking.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():
            path.unlink()  # the lock says that no executor of ours listens there
        listener.bind(str(path))
        path.chmod(0o600)
        with contextlib.suppress(KeyError):
            group = pwd.getpwnam(network_user).pw_gid
            if os.geteuid() == 0:
                os.chown(path, 0, group)
                path.chmod(0o660)
        listener.listen(_MAXIMUM_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise AgentError(f"cannot listen on {path}: {error.strerror or error}") from error
    return listener


def allowed_users(network_user: str) -> frozenset[int]:
    """Return the uids that may ask: root, this process's own, and the network process's where it exists."""
    found = {0, os.geteuid()}
    with contextlib.suppress(KeyError):
        found.add(pwd.getpwnam(network_user).pw_uid)
    return frozenset(found)


def has_room(connected: Collection[int], uid: int) -> bool:
    """Whether one more connection of a user fits beside those of the users in `connected`.

    A network process that was taken over must not keep root from `trust install`.
    """
    mine = sum(1 for other in connected if other == uid)
    return len(connected) < _MAXIMUM_CONNECTIONS and (uid == 0 or mine < _MAXIMUM_OF_A_USER)


class Server:
    """Answers verbs on a listening socket until told to stop, or until idle for long enough."""

    def __init__(
        self,
        listener: socket.socket,
        execution: Execution,
        *,
        users: frozenset[int],
        idle_seconds: float | None,
        frame_seconds: float = _FRAME_SECONDS,
    ) -> None:
        """`idle_seconds` None means: never leave by yourself; a frame has to come within `frame_seconds`."""
        listener.settimeout(0)
        self._listener = listener
        self._execution = execution
        self._users = users
        self._idle_seconds = idle_seconds
        self._frame_seconds = frame_seconds
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, int] = {}
        self._quiet = RateLimit(10.0)

    @property
    def wakeup_fd(self) -> int:
        """What makes `serve` return when written to; for signal.set_wakeup_fd."""
        return self._wake_write

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal handler."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            os.write(self._wake_write, b"x")

    def serve(self) -> None:
        """Accept and answer; returns after `stop` or when idle."""
        last_busy = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(self._idle_seconds)]
                if self._wake_read in ready:
                    break
                if ready or self._connections or self._execution.is_busy:
                    last_busy = time.monotonic()
                if ready:
                    self._accept()
                elif self._idle_seconds and time.monotonic() - last_busy >= self._idle_seconds:
                    log("nothing to do, leaving")
                    break
        self._close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return  # whoever knocked is gone
        except OSError as error:  # no descriptor is free: the next round tries again
            self._say("cannot accept", str(error))
            return
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", credentials)
        with self._lock:
            if uid not in self._users or not has_room(self._connections.values(), uid):
                self._say("connection refused", f"uid {uid}, pid {pid}, beside {len(self._connections)}")
                connection.close()
                return
            self._connections[connection] = uid
        threading.Thread(target=self._converse, args=(connection,), name="connection", daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_SILENCE_SECONDS)
            while (body := framing.receive(connection, frame_seconds=self._frame_seconds)) is not None:
                connection.settimeout(_SILENCE_SECONDS)
                framing.send(connection, verbs.encode(self._answer(body)))
        except (FrameError, OSError) as error:
            self._say("connection ended", str(error))
        except Exception as error:  # noqa: BLE001 - a question ends its own connection at most
            self._say("connection failed", repr(error))
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _say(self, message: str, what: str) -> None:
        """Log what whoever connects can provoke, so that it cannot fill the disk."""
        held_back = self._quiet.admit(message)
        if held_back is not None:
            log(message, what=what, more_since_last=held_back)

    def _answer(self, body: bytes) -> verbs.Answered:
        try:
            answered = self._do(verbs.decode_ask(body))
        except (AgentError, ProtocolError, OSError) as error:
            self._say("request refused", str(error))
            answered = verbs.Answered(error=str(error))
        status = msgspec.convert(self._execution.status(), verbs.Status)
        return msgspec.structs.replace(answered, status=status)

    def _do(self, ask: verbs.Ask) -> verbs.Answered:
        match ask:
            case verbs.Deliver():
                return self._deliver(ask)
            case verbs.AskReceipts():
                wait = min(ask.wait_seconds, _MAXIMUM_WAIT_SECONDS)
                return verbs.Answered(receipts=self._execution.receipts(ask.since, wait))
            case verbs.InstallTrust():
                self._execution.install_trust(ask.steps, ask.approvers)
                return verbs.Answered()
            case verbs.AskStatus():
                return verbs.Answered()

    def _deliver(self, ask: verbs.Deliver) -> verbs.Answered:
        answer = self._execution.deliver(ask.delivery)
        receipt = answer.receipt
        if answer.state in {"accepted", "running"} and ask.wait_seconds > 0:
            wait = min(ask.wait_seconds, _MAXIMUM_WAIT_SECONDS)
            receipt = self._execution.await_receipt(answer.action_sha256, wait)
        return verbs.Answered(
            state=answer.state,
            reason=answer.reason,
            detail=answer.detail,
            action_id=answer.action_id,
            action_sha256=answer.action_sha256,
            receipts=[receipt] if receipt else [],
        )

    def _close(self) -> None:
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        os.close(self._wake_read)
        os.close(self._wake_write)
