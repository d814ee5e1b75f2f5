"""Real programs under the real supervisor: bounds, cleaning up, and nothing left behind."""

import os
import sys
import threading
from pathlib import Path

import pytest

from agent.configuration import Resources
from agent.runner import Command, Finished, Runner, kill_action, scope_argv

SETSID_TREE = """
import os, sys, time
ready = sys.argv[1]
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open(ready, "w").write(str(os.getpid()))
        time.sleep(600)
    time.sleep(600)
time.sleep(600)
"""


def run(*argv: str, action: str = "01TEST", **bounds: int) -> Finished:
    return Runner(action, Resources(**bounds), in_scope=False).run(Command(argv))


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(path: Path) -> str:
    """Wait until a program wrote its file; the run's own time limit bounds the wait."""
    while not (path.exists() and (text := path.read_text())):
        os.sched_yield()
    return text


def test_exit_status_and_output_come_back() -> None:
    finished = run("/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    assert (finished.ended, finished.exit_status) == ("exited", 3)
    assert (finished.stdout, finished.stderr) == (b"out\n", b"err\n")


def test_environment_is_clean() -> None:
    os.environ["STEWARD_TEST_SECRET"] = "do not pass on"
    try:
        finished = run("/usr/bin/env")
    finally:
        del os.environ["STEWARD_TEST_SECRET"]
    names = {line.split(b"=")[0] for line in finished.stdout.splitlines()}
    assert names == {b"PATH", b"LANG", b"HOME", b"STEWARD_ACTION"}


def test_a_missing_program_is_told() -> None:
    finished = run("/nonexistent/program")
    assert finished.ended == "not_started"
    assert "/nonexistent/program" in finished.detail


def test_the_tail_of_long_output_is_kept() -> None:
    finished = run("/bin/sh", "-c", "yes filler | head -c 500000; echo last", output_kib=4)
    assert finished.cut
    assert len(finished.stdout) == 4096
    assert finished.stdout.endswith(b"last\n")


def test_a_time_out_kills_grandchildren_in_sessions_of_their_own(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    finished = run(sys.executable, "-c", SETSID_TREE, str(ready), seconds=2)
    assert finished.ended == "timed_out"
    assert not is_alive(int(ready.read_text()))


def test_what_a_program_leaves_behind_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = f"setsid sh -c 'echo $$ > {ready}; exec sleep 600' & while ! test -s {ready}; do :; done"
    finished = run("/bin/sh", "-c", script)
    assert finished.ended == "exited"
    assert not is_alive(int(ready.read_text()))


@pytest.mark.parametrize(
    ("script", "bounds", "ended"),
    [
        ("for i in 1 2 3 4 5 6 7 8 9; do sleep 600 & done; wait", {"processes": 4}, "too_many_processes"),
        (
            "exec python3 -c 'b = bytearray(300 << 20); import time; time.sleep(600)'",
            {"memory_mib": 100},
            "too_much_memory",
        ),
    ],
    ids=["processes", "memory"],
)
def test_a_tree_over_its_bounds_is_killed(script: str, bounds: dict[str, int], ended: str) -> None:
    assert run("/bin/sh", "-c", script, **bounds).ended == ended


def test_cancel_ends_a_run(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    runner = Runner("01CANCEL", Resources(), in_scope=False)
    results: list[Finished] = []
    command = Command((sys.executable, "-c", SETSID_TREE, str(ready)))
    thread = threading.Thread(target=lambda: results.append(runner.run(command)))
    thread.start()
    grandchild = int(wait_for(ready))
    runner.cancel()
    thread.join()
    assert results[0].ended == "cancelled"
    assert not is_alive(grandchild)
    assert runner.run(command).ended == "cancelled", "nothing more of a cancelled action starts"


def test_marked_processes_are_found_without_their_supervisor(tmp_path: Path) -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {"STEWARD_ACTION": "01LEFT"})
    other = os.posix_spawn("/bin/sleep", ["sleep", "600"], {"STEWARD_ACTION": "01LEFTOVER"})
    try:
        assert kill_action("01LEFT") == 0
        assert not is_alive(pid)
        assert is_alive(other)
    finally:
        kill_action("01LEFTOVER")


def test_a_scope_bounds_memory_and_processes() -> None:
    argv = scope_argv("01ABC", Resources(memory_mib=512, processes=10))
    assert argv[0] == "systemd-run"
    assert "--unit=steward-action-01ABC.scope" in argv
    assert "--property=MemoryMax=512M" in argv
    assert argv[-1] == "--"
