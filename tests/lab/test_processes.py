"""A server that the lab starts: ready or told why not, halted and resumed, and ended with all it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.errors import LabError
from lab.processes import free_port, started

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILY = """
import http.server, os, pathlib, signal, subprocess, sys
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path(sys.argv[2], "pids").write_text(f"{os.getpid()} {child.pid}")
os.chdir(sys.argv[2])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
"""A server with a child of its own: PORT FOLDER KIND."""
OUTER = """
import signal, sys
from pathlib import Path
from lab.processes import started
folder, port = Path(sys.argv[1]), sys.argv[2]
argv = [sys.executable, "-c", sys.argv[3], port, folder, "polite"]
with started(argv, log=folder / "log", ready=f"http://127.0.0.1:{port}/"):
    print("up", flush=True)
    signal.pause()
"""


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def waited(condition: Callable[[], bool], within_seconds: float = 30) -> bool:
    """Wait for what other processes do, which nobody is told of."""
    deadline, never = time.monotonic() + within_seconds, threading.Event()
    while not condition() and time.monotonic() < deadline:
        never.wait(0.02)
    return condition()


def family(folder: Path, port: int, kind: str = "polite") -> list[str | Path]:
    return [sys.executable, "-c", FAMILY, str(port), folder, kind]


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text("ascii").split()]


def test_a_server_that_ends_by_itself_shows_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('no disk left'); raise SystemExit(3)"]
    ready = f"http://127.0.0.1:{free_port()}/"
    with (
        pytest.raises(LabError, match=r"ended with 3:\nno disk left"),
        started(argv, log=tmp_path / "log", ready=ready),
    ):
        pass


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    argv = family(tmp_path, free_port())
    elsewhere = f"http://127.0.0.1:{free_port()}/"
    with (
        pytest.raises(LabError, match="was not ready in 1 s"),
        started(argv, log=tmp_path / "log", ready=elsewhere, within_seconds=1),
    ):
        pass
    assert not any(map(alive, pids(tmp_path)))


def test_a_program_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="No such file"),
        started(["/nonexistent"], log=tmp_path / "log", ready=f"http://127.0.0.1:{free_port()}/"),
    ):
        pass


def test_a_server_is_ended_with_all_it_started(tmp_path: Path) -> None:
    port = free_port()
    with started(family(tmp_path, port), log=tmp_path / "log", ready=f"http://127.0.0.1:{port}/") as server:
        assert server.ended() is None
        assert all(map(alive, pids(tmp_path)))
    assert server.ended() == 128 + signal.SIGTERM
    assert not any(map(alive, pids(tmp_path)))
    with pytest.raises(LabError, match="runs no more"):
        server.halt()


def test_a_server_that_does_not_want_to_end_is_made_to(tmp_path: Path) -> None:
    port = free_port()
    with started(
        family(tmp_path, port, "deaf"),
        log=tmp_path / "log",
        ready=f"http://127.0.0.1:{port}/",
        stop_seconds=0.2,
    ) as server:
        assert server.ended() is None
    assert server.ended() == 128 + signal.SIGKILL
    assert not any(map(alive, pids(tmp_path)))


def test_a_halted_server_is_ended_all_the_same(tmp_path: Path) -> None:
    port = free_port()
    with started(family(tmp_path, port), log=tmp_path / "log", ready=f"http://127.0.0.1:{port}/") as server:
        stat = Path(f"/proc/{pids(tmp_path)[0]}/stat")

        def state() -> str:
            return stat.read_text("ascii").rpartition(")")[2].split()[0]

        server.halt()
        assert waited(lambda: state() == "T")
        server.resume()
        assert waited(lambda: state() != "T")
        server.halt()
        assert waited(lambda: state() == "T")
    assert not any(map(alive, pids(tmp_path)))


def test_the_environment_given_is_all_of_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os; raise SystemExit(str(sorted(os.environ)))"]
    with (
        pytest.raises(LabError, match=r"\['LC_CTYPE', 'ONLY'\]|\['ONLY'\]"),
        started(
            argv,
            log=tmp_path / "log",
            ready=f"http://127.0.0.1:{free_port()}/",
            environment={"ONLY": "this"},
        ),
    ):
        pass


def test_nothing_runs_on_where_the_starter_is_killed(tmp_path: Path) -> None:
    outer = subprocess.Popen(
        [sys.executable, "-c", OUTER, str(tmp_path), str(free_port()), FAMILY],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with outer:
        assert outer.stdout is not None
        assert outer.stdout.readline() == b"up\n"
        family_pids = pids(tmp_path)
        assert all(map(alive, family_pids))
        outer.kill()
    assert waited(lambda: not any(map(alive, family_pids)))
