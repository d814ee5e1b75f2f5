"""The one place that starts programs for actions: argv tuples, no shell, clean environment, bounded.

Each run stands under a supervisor of its own (`agent.supervise`), and in a systemd scope of its own where
systemd is PID 1. The variable STEWARD_ACTION marks every process of an action, so that an executor that was
killed finds on its next start what is left of it.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent import supervise
from agent.configuration import Resources
from agent.errors import RunnerError

__all__ = ["CLEAN_PATH", "Command", "Finished", "Runner", "kill_action", "scope_argv", "systemd_is_running"]

CLEAN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of every program that an action starts."""

_MARK = "STEWARD_ACTION"
_GRACE_SECONDS = 5.0

Ended = Literal["exited", "timed_out", "too_many_processes", "too_much_memory", "cancelled", "not_started"]


@dataclass(frozen=True)
class Command:
    """A program to run: arguments, its additional environment, and where."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"


@dataclass(frozen=True)
class Finished:
    """How a program ended; `exit_status` is None unless it ended by itself (negative: by that signal)."""

    ended: Ended
    exit_status: int | None
    stdout: bytes
    stderr: bytes
    cut: bool
    detail: str = ""


def systemd_is_running() -> bool:
    """Tell whether systemd is PID 1, as sd_booted(3) does, and scopes may be made."""
    return os.geteuid() == 0 and Path("/run/systemd/system").is_dir()


def scope_argv(action_id: str, bounds: Resources) -> tuple[str, ...]:
    """Return the prefix that puts a command into a systemd scope of its own (systemd-run(1))."""
    return (
        "systemd-run",
        "--scope",
        "--quiet",
        "--collect",
        f"--unit=steward-action-{action_id}.scope",
        f"--property=MemoryMax={bounds.memory_mib}M",
        "--property=MemorySwapMax=0",
        f"--property=TasksMax={bounds.processes + 8}",
        "--",
    )


class Runner:
    """Runs the programs of one action and can be told to stop."""

    def __init__(self, action_id: str, bounds: Resources, *, in_scope: bool) -> None:
        self._action_id = action_id
        self._bounds = bounds
        self._prefix = scope_argv(action_id, bounds) if in_scope else ()
        self._lock = threading.Lock()
        self._current: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self, command: Command) -> Finished:
        """Run one program to its end within the bounds; raises RunnerError."""
        argv = (*self._prefix, sys.executable, "-I", "-S", supervise.__file__)
        with self._lock:
            if self._cancelled:
                return Finished("cancelled", None, b"", b"", cut=False)
            try:
                supervisor = subprocess.Popen(  # noqa: S603 - an argv tuple of ours
                    argv,
                    env=self._environment({}),
                    cwd="/",
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                raise RunnerError(f"cannot start the supervisor: {error.strerror}") from error
            self._current = supervisor
        try:
            return self._converse(supervisor, command)
        finally:
            with self._lock:
                self._current = None
            kill_action(self._action_id)

    def cancel(self) -> None:
        """Kill what runs, and let nothing more of this action start."""
        with self._lock:
            self._cancelled = True
            if self._current is not None and self._current.stdin is not None:
                self._current.stdin.close()

    def _environment(self, additional: Mapping[str, str]) -> dict[str, str]:
        base = {"PATH": CLEAN_PATH, "LANG": "C.UTF-8", "HOME": "/nonexistent", _MARK: self._action_id}
        return {**base, **additional}

    def _converse(self, supervisor: "subprocess.Popen[bytes]", command: Command) -> Finished:
        request = {
            "argv": command.argv,
            "env": self._environment(command.environment),
            "cwd": command.cwd,
            "seconds": self._bounds.seconds,
            "memory_bytes": self._bounds.memory_mib << 20,
            "processes": self._bounds.processes,
            "output_bytes": self._bounds.output_kib << 10,
        }
        assert supervisor.stdin is not None and supervisor.stdout is not None  # noqa: S101, PT018 - both pipes
        guard = threading.Timer(self._bounds.seconds + _GRACE_SECONDS, supervisor.kill)
        guard.daemon = True
        guard.start()
        try:
            supervisor.stdin.write(json.dumps(request).encode() + b"\n")
            supervisor.stdin.flush()
            answer = supervisor.stdout.read()
        except (OSError, ValueError) as error:  # ValueError: cancel() closed the pipe first
            answer = b""
            if not self._cancelled:
                raise RunnerError(f"the supervisor went away: {error}") from error
        finally:
            guard.cancel()
            if not supervisor.stdin.closed:
                supervisor.stdin.close()
            supervisor.wait()
            supervisor.stdout.close()
        return self._finished(answer)

    def _finished(self, answer: bytes) -> Finished:
        if not answer:
            if self._cancelled:
                return Finished("cancelled", None, b"", b"", cut=False)
            raise RunnerError("the supervisor ended without an answer")
        told: dict[str, Any] = json.loads(answer)
        return Finished(
            ended=told["ended"],
            exit_status=told.get("exit_status"),
            stdout=base64.b64decode(told.get("stdout", "")),
            stderr=base64.b64decode(told.get("stderr", "")),
            cut=told.get("cut", False),
            detail=told.get("detail", ""),
        )


def kill_action(action_id: str, seconds: float = 2.0) -> int:
    """Kill whatever still carries the mark of an action; return how many outlived `seconds`.

    Only this agent's own user's processes are looked at, and never this process itself. A program that
    clears its environment escapes this search; it does not escape its supervisor or its systemd scope.
    """
    if systemd_is_running():
        subprocess.run(  # noqa: S603 - an argv tuple of ours
            ("/usr/bin/systemctl", "kill", "--signal=KILL", f"steward-action-{action_id}.scope"),
            check=False,  # the scope is normally gone already
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": CLEAN_PATH},
        )
    deadline = time.monotonic() + seconds
    while left := _marked(action_id):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                continue
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return len(left)


def _marked(action_id: str) -> list[int]:
    mark = f"{_MARK}={action_id}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue  # ended, a zombie, or somebody else's
        if mark in environment.split(b"\0"):
            found.append(int(entry.name))
    return found
