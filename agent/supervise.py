"""Stand over one program and everything it starts, and leave nothing of it behind.

Run as a script of its own (`python -I -S supervise.py`), by `agent.runner`, with the standard library alone.
The request is one JSON line on standard input, which then stays open as a lifeline: when it closes, the
executor is gone and the tree is killed. The answer is one JSON object on standard output.

The process is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): whoever is orphaned below it comes to it,
also after setsid(2) or a double fork, so the whole tree can be found and killed.
"""

import base64
import ctypes
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

__all__ = ["become_subreaper", "descendants", "main"]

_PR_SET_CHILD_SUBREAPER = 36
_TICK_SECONDS = 0.25
_KILL_SECONDS = 1.8
"""A time-out kills the whole tree within two seconds; the rest is for the answer."""


def become_subreaper() -> None:
    """Make orphans below this process come to it; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(root: int) -> dict[int, int]:
    """Return pid → resident bytes of every living process below `root` (proc(5), stat, fields 3, 4, 24)."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted, often
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        # The command stands in parentheses and may hold anything: fields begin after the last one.
        fields = stat[stat.rindex(b")") + 2 :].split()
        children.setdefault(int(fields[1]), []).append(int(entry))
        if fields[0] not in {b"Z", b"X"}:
            resident[int(entry)] = int(fields[21]) * page
    found: dict[int, int] = {}
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        if pid in resident:
            found[pid] = resident[pid]
        waiting.extend(children.get(pid, ()))
    return found


def kill_tree(root: int, seconds: float = _KILL_SECONDS) -> int:
    """Kill everything below `root`, reap what came to us; return how many outlived `seconds`."""
    deadline = time.monotonic() + seconds
    stopped: set[int] = set()
    while left := descendants(root):
        fresh = left.keys() - stopped
        # Stop first, kill when no new one appears: a tree that keeps forking is frozen before it is felled.
        for pid in fresh or left.keys():
            try:
                os.kill(pid, signal.SIGSTOP if fresh else signal.SIGKILL)
            except OSError:
                continue
        stopped |= fresh
        _reap()
        if time.monotonic() > deadline:
            return len(left)
        time.sleep(0 if fresh else 0.01)
    _reap()
    return 0


def _reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


class _Tail:
    """The last bytes of a stream, and whether more came before them."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream = stream
        self.limit = limit
        self.kept = bytearray()
        self.cut = False
        os.set_blocking(stream.fileno(), False)

    def read(self) -> bool:
        """Take what is there; False at the end of the stream."""
        try:
            part = os.read(self.stream.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        self.kept += part
        if len(self.kept) > self.limit:
            del self.kept[: -self.limit]
            self.cut = True
        return bool(part)

    def drain(self) -> None:
        """Take what is left in the pipe without waiting for anybody who may still hold it."""
        while True:
            before = len(self.kept), self.cut
            if not self.read() or (len(self.kept), self.cut) == before:
                return

    def text(self) -> str:
        """The kept bytes in base64."""
        return base64.b64encode(bytes(self.kept)).decode("ascii")


def _limits() -> None:
    """In the child, before exec: no core dumps, they would hold secrets."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _spawn(request: Mapping[str, Any]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - an argv tuple from a builder, never a shell
        request["argv"],
        env=request["env"],
        cwd=request["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_limits,  # noqa: PLW1509 - this process has one thread
    )


def _watch(child: "subprocess.Popen[bytes]", request: Mapping[str, Any], tails: tuple[_Tail, _Tail]) -> str:
    """Wait for the end of the program or for a reason to end it; return which."""
    deadline = time.monotonic() + request["seconds"]
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        for tail in tails:
            selector.register(tail.stream, selectors.EVENT_READ, tail)
        pidfd = os.pidfd_open(child.pid)
        selector.register(pidfd, selectors.EVENT_READ)
        try:
            while True:
                left = deadline - time.monotonic()
                for key, _ in selector.select(max(0.0, min(left, _TICK_SECONDS))):
                    if key.fileobj is sys.stdin.buffer:
                        return "cancelled"
                    if isinstance(key.data, _Tail) and not key.data.read():
                        selector.unregister(key.fileobj)
                # Reaping is left to kill_tree's end: a zombie's pid is not given to anybody else.
                if os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return "exited"
                if left <= 0:
                    return "timed_out"
                tree = descendants(os.getpid())
                if len(tree) > request["processes"]:
                    return "too_many_processes"
                if sum(tree.values()) > request["memory_bytes"]:
                    return "too_much_memory"
        finally:
            os.close(pidfd)


def main() -> int:
    """Do what the line on standard input asks and answer on standard output."""
    request = json.loads(sys.stdin.buffer.readline())
    become_subreaper()
    try:
        child = _spawn(request)
    except OSError as error:
        _answer({"ended": "not_started", "detail": f"{request['argv'][0]}: {error.strerror}"})
        return 0
    assert child.stdout is not None and child.stderr is not None  # noqa: S101, PT018 - both are pipes
    tails = (_Tail(child.stdout, request["output_bytes"]), _Tail(child.stderr, request["output_bytes"]))
    ended = _watch(child, request, tails)
    status = child.wait() if ended == "exited" else None
    left = kill_tree(os.getpid())
    for tail in tails:
        tail.drain()
    _answer(
        {
            "ended": ended,
            "exit_status": status,
            "survivors": left,
            "stdout": tails[0].text(),
            "stderr": tails[1].text(),
            "cut": tails[0].cut or tails[1].cut,
        }
    )
    return 0


def _answer(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
