"""The executor as a real process on a real socket: what it runs, what it refuses, what it remembers."""

import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import framing, verbs
from agent.errors import ExecutorUnavailableError
from agent.executor import Server
from tests.agent.house import ExecutorProcess, House, outcome, signing_key, ulid
from tests.agent.test_runner import is_alive, wait_for

SLOW_RESTIC = """#!/bin/sh
setsid sh -c 'echo $$ > {ready}; exec sleep 600' &
wait
sleep 600
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path).enroll()


@pytest.fixture
def executor(house: House) -> Iterator[ExecutorProcess]:
    with ExecutorProcess(house) as process:
        yield process


def slow_backup(house: House) -> Path:
    """Let `restic` be a program that never ends by itself; returns the file with its grandchild's pid."""
    ready, program, repository = house.folder / "ready", house.folder / "restic", house.folder / "repository"
    program.write_text(SLOW_RESTIC.format(ready=ready))
    program.chmod(0o755)
    repository.mkdir()
    (repository / "config").write_text("")
    (house.folder / "data").mkdir()
    password = house.folder / "password"
    password.write_text("secret")
    password.chmod(0o600)
    house.write_settings(
        executor={"restic": str(program), "reserve_mib": 1},
        path_sets={"data": [str(house.folder / "data")]},
        repositories={"local": {"url": str(repository), "password_file": str(password)}},
    )
    return ready


BACKUP = {"set": "data", "repository": "local"}


def test_a_signed_ping_is_done_and_has_a_receipt(house: House, executor: ExecutorProcess) -> None:
    answered = house.deliver(house.delivery())
    assert answered.state == "accepted"
    [receipt] = house.receipts()
    assert outcome(receipt) == ("done", "")
    assert receipt.result is not None
    assert receipt.result["hostname"] == os.uname().nodename
    assert receipt.action_sha256 == answered.action_sha256


def test_one_envelope_a_hundred_times_runs_once(house: House, executor: ExecutorProcess) -> None:
    delivery = house.delivery()
    answers = [house.deliver(delivery) for _ in range(100)]
    assert [answer.state for answer in answers] == ["accepted"] + ["refused"] * 99
    assert {answer.reason for answer in answers[1:]} == {"replayed"}
    assert [outcome(receipt) for receipt in house.receipts()] == [("done", ""), ("refused", "replayed")]


def test_a_replay_after_a_restart_is_refused(house: House) -> None:
    delivery = house.delivery()
    with ExecutorProcess(house):
        assert house.deliver(delivery).state == "accepted"
    with ExecutorProcess(house):
        assert house.deliver(delivery).reason == "replayed"


REFUSED_WITHOUT_RECEIPT: dict[str, tuple[Callable[[House], bytes], str]] = {
    "truncated": (lambda house: house.delivery()[:-20], "malformed_envelope"),
    "empty": (lambda house: b"", "malformed_envelope"),
    "duplicate key": (
        lambda house: house.delivery().replace(b'{"action":', b'{"action":{},"action":', 1),
        "malformed_envelope",
    ),
    "other key": (lambda house: house.delivery(key=signing_key()), "untrusted_key"),
    "too large": (lambda house: b" " * (513 << 10), "too_large"),
    "receipt as action": (
        lambda house: house.delivery().replace(b"action.v1", b"receipt.v1"),
        "wrong_payload_type",
    ),
}
REFUSED_WITH_RECEIPT: dict[str, tuple[Callable[[House], bytes], tuple[str, str]]] = {
    "other host": (lambda house: house.delivery(host_id=ulid()), ("refused", "wrong_host")),
    "expired": (
        lambda house: house.delivery(issued_at=1000, not_before=1000, expires_at=1600),
        ("expired", "expired"),
    ),
    "kind not allowed": (
        lambda house: house.delivery("service.restart", {"unit": "web"}),
        ("refused", "kind_not_allowed"),
    ),
    "unknown kind": (lambda house: house.delivery("shell.run"), ("refused", "unknown_kind")),
    "bad args": (lambda house: house.delivery("backup.run", {"set": "etc"}), ("refused", "bad_args")),
    "trust ahead": (lambda house: house.delivery(trust_version=9), ("refused", "trust_version_ahead")),
    "standing order": (
        lambda house: house.delivery(
            recurrence={"at": ["02:00"], "days": ["mon"], "jitter": 0, "time_zone": "Europe/Paris"}
        ),
        ("refused", "kind_not_allowed"),
    ),
    "names nobody defined": (
        lambda house: house.delivery("backup.run", {"set": "a", "repository": "b"}),
        ("refused", "args_not_allowed"),
    ),
}


@pytest.mark.parametrize("case", REFUSED_WITHOUT_RECEIPT)
def test_what_nobody_signed_is_refused_without_a_receipt(
    case: str, house: House, executor: ExecutorProcess
) -> None:
    make, reason = REFUSED_WITHOUT_RECEIPT[case]
    answered = house.deliver(make(house))
    assert (answered.state, answered.reason, answered.receipts) == ("refused", reason, [])
    assert house.receipts() == []


def test_what_is_not_allowed_is_refused_with_a_receipt(house: House, executor: ExecutorProcess) -> None:
    for make, _ in REFUSED_WITH_RECEIPT.values():
        house.deliver(make(house))
    expected = [expected for _, expected in REFUSED_WITH_RECEIPT.values()]
    assert [outcome(receipt) for receipt in house.receipts()] == expected


def test_an_older_seq_on_one_resource_is_superseded(house: House, executor: ExecutorProcess) -> None:
    assert house.deliver(house.delivery(seq=8)).state == "accepted"
    assert house.deliver(house.delivery(seq=7)).reason == "superseded"
    assert house.deliver(house.delivery(seq=9)).state == "accepted"


def test_a_tightened_limit_counts_at_once(house: House, executor: ExecutorProcess) -> None:
    house.write_settings(limits={"kinds": {}})
    assert house.deliver(house.delivery()).reason == "kind_not_allowed"


def test_a_broken_configuration_allows_nothing(house: House, executor: ExecutorProcess) -> None:
    house.config.write_text("state: [")
    assert house.deliver(house.delivery()).reason == "kind_not_allowed"


def test_killed_in_the_middle_it_reports_interrupted_and_never_reruns(house: House) -> None:
    ready = slow_backup(house)
    delivery = house.delivery("backup.run", BACKUP)
    with ExecutorProcess(house) as executor:
        assert house.deliver(delivery, 0).state == "accepted"
        grandchild = int(wait_for(ready))
        executor.kill()
    with ExecutorProcess(house):
        assert not is_alive(grandchild)
        assert [outcome(receipt) for receipt in house.receipts()] == [("interrupted", "executor_died")]
        assert house.deliver(delivery).reason == "replayed"


def test_stopped_in_the_middle_it_kills_the_tree_and_says_so(house: House) -> None:
    ready = slow_backup(house)
    with ExecutorProcess(house) as executor:
        house.deliver(house.delivery("backup.run", BACKUP), 0)
        grandchild = int(wait_for(ready))
        executor.process.send_signal(signal.SIGTERM)
        assert executor.process.wait(30) == 0
    assert not is_alive(grandchild)
    with ExecutorProcess(house):
        assert [outcome(receipt) for receipt in house.receipts()] == [("interrupted", "executor_stopped")]


def test_what_runs_is_not_refused_when_it_is_delivered_again(house: House) -> None:
    ready = slow_backup(house)
    with ExecutorProcess(house):
        delivery = house.delivery("backup.run", BACKUP)
        house.deliver(delivery, 0)
        wait_for(ready)
        assert house.deliver(delivery, 0).state == "running"
        assert house.deliver(house.delivery()).state == "accepted", "other resources go on"
        assert [receipt.outcome for receipt in house.receipts()] == ["done"]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped"])
def test_without_its_journal_a_host_refuses_everything(damage: str, house: House) -> None:
    with ExecutorProcess(house):
        house.deliver(house.delivery())
    content = bytearray(house.journal.read_bytes())
    match damage:
        case "missing":
            house.journal.unlink()
        case "empty":
            house.journal.write_bytes(b"")
        case "cut":
            house.journal.write_bytes(content[: len(content) // 2])
        case _:
            place = content.rindex(b'"started_at"') + 3
            content[place] ^= 1
            house.journal.write_bytes(content)
    with ExecutorProcess(house):
        answered = house.deliver(house.delivery())
        assert (answered.reason, answered.receipts) == ("journal_unusable", [])
        status = house.status()
        assert not status.journal_usable
        assert status.head == verbs.Head(0, "")


def test_a_rolled_back_disk_shows_in_the_head(house: House) -> None:
    with ExecutorProcess(house):
        house.deliver(house.delivery())
        before = house.status().head
    shutil.copy(house.journal, house.folder / "snapshot")
    with ExecutorProcess(house):
        house.deliver(house.delivery())
        seen = house.status().head
    shutil.copy(house.folder / "snapshot", house.journal)
    with ExecutorProcess(house):
        assert house.status().head == before
    assert (before.seq, seen.seq) == (1, 2)


def test_a_disk_below_the_reserve_refuses_new_actions(house: House, executor: ExecutorProcess) -> None:
    house.write_settings(executor={"reserve_mib": 1 << 30})
    house.deliver(house.delivery())
    assert [outcome(receipt) for receipt in house.receipts()] == [("refused", "resources_exhausted")]


def test_a_full_disk_runs_nothing_and_forgets_nothing(house: House, executor: ExecutorProcess) -> None:
    done, waiting = house.delivery(), house.delivery()
    house.deliver(done)
    unlimited = resource.prlimit(executor.process.pid, resource.RLIMIT_FSIZE, (0, -1))
    answered = house.deliver(waiting)
    assert (answered.state, answered.receipts) == ("accepted", []), "it was queued and could not begin"
    assert house.status().pending == 0
    resource.prlimit(executor.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert house.deliver(done).reason == "replayed"
    assert house.deliver(waiting).receipts, "there is room again: it runs, once"
    assert house.deliver(waiting).reason == "replayed"
    assert house.status().journal_usable


def test_newer_trust_is_taken_by_the_chain_alone(house: House, executor: ExecutorProcess) -> None:
    new = signing_key()
    second = house.authority.trust(2, controller=new)
    forged = type(house.authority)().trust(2, controller=new)
    assert "trust_broken_chain" in house.ask(verbs.InstallTrust([forged.as_json()])).error
    assert house.ask(verbs.InstallTrust([second.as_json()])).error == ""
    assert house.status().trust.version == 2
    assert house.deliver(house.delivery()).reason == "untrusted_key", "the old key is revoked"
    assert house.deliver(house.delivery(key=new, trust_version=2)).state == "accepted"


def test_rolled_back_trust_is_refused(house: House) -> None:
    trust = house.state / "executor" / "trust.json"
    old = trust.read_bytes()
    with ExecutorProcess(house):
        house.ask(verbs.InstallTrust([house.authority.trust(2).as_json()]))
    trust.write_bytes(old)
    with ExecutorProcess(house):
        assert house.deliver(house.delivery()).reason == "trust_rolled_back"


def test_a_stranger_is_not_answered(house: House) -> None:
    from agent.executor import assemble

    assembled = assemble(house.config, {}, lambda: 0)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(house.socket))
    listener.listen()
    server = Server(listener, assembled.execution, users=frozenset({os.geteuid() + 1}), idle_seconds=None)
    import threading

    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with pytest.raises(ExecutorUnavailableError):
            house.ask(verbs.AskStatus())
    finally:
        server.stop()
        thread.join()
        assembled.close()


def test_garbage_on_the_socket_harms_nobody(house: House, executor: ExecutorProcess) -> None:
    for garbage in (b"\xff\xff\xff\xff", framing.wrap(b"no json"), framing.wrap(b'{"verb":"shell"}'), b"\0"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(house.socket))
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1 << 16)
    assert house.deliver(house.delivery()).state == "accepted"


def test_a_second_executor_is_turned_away(house: House, executor: ExecutorProcess) -> None:
    second = subprocess.run(
        (sys.executable, "-m", "agent.cli", "executor", "--config", str(house.config)),
        capture_output=True,
        check=False,
    )
    assert second.returncode == 1
    assert b"another executor" in second.stderr
    assert house.status().journal_usable


ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "agent.cli", "executor", "--config", sys.argv[2]])
"""


def test_under_socket_activation_it_answers_and_leaves_when_idle(house: House) -> None:
    house.write_settings(executor={"idle_seconds": 1, "reserve_mib": 1})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(house.socket))
        listener.listen()
        process = subprocess.Popen(
            (sys.executable, "-c", ACTIVATE, str(listener.fileno()), str(house.config)),
            pass_fds=(listener.fileno(),),
            stderr=subprocess.DEVNULL,
        )
        try:
            assert house.deliver(house.delivery()).state == "accepted"
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()


def test_deliver_by_hand_tells_the_receipt(house: House, executor: ExecutorProcess) -> None:
    def run(delivery: bytes, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            (sys.executable, "-m", "agent.cli", "deliver", "--config", str(house.config), *options, "-"),
            input=delivery,
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout.decode()

    first, second = house.delivery(), house.delivery()
    status, said = run(first, "--output", "json")
    assert (status, json.loads(said)["state"]) == (0, "accepted")
    status, said = run(second)
    assert (status, said.splitlines()[0]) == (0, "done")
    assert f"receipt 2 of host {house.host_id}" in said
    status, said = run(first, "--output", "json")
    assert (status, json.loads(said)["reason"]) == (3, "replayed")
    status, said = run(second)
    assert (status, said.splitlines()[0]) == (3, "refused: replayed")


def test_sigterm_ends_it_whichever_thread_the_kernel_gives_it_to(house: House) -> None:
    with ExecutorProcess(house) as executor, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(house.socket))
        connection.sendall(b"\0\0")  # half a frame keeps its thread alive
        pid, tasks = executor.process.pid, Path(f"/proc/{executor.process.pid}/task")
        while not (others := [int(task.name) for task in tasks.iterdir() if int(task.name) != pid]):
            os.sched_yield()
        assert ctypes.CDLL(None).tgkill(pid, others[0], signal.SIGTERM) == 0
        assert executor.process.wait(30) == 0
