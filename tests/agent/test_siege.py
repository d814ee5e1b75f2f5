"""The executor besieged: by a network process that was taken over, a full disk, nonsense of a program."""

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent import framing, verbs
from agent.executor import Server, assemble, has_room
from tests.agent.house import ExecutorProcess, House, outcome
from tests.agent.test_executor import BACKUP, slow_backup
from tests.agent.test_runner import wait_for

DEEP = b"[" * 100_000 + b"]" * 100_000
QUESTIONS: dict[str, bytes] = {
    "not UTF-8": b'{"verb":"\xff"}',
    "deep": b'{"verb":"trust","steps":' + DEEP + b"}",
    "deep field": b'{"verb":"status","x":' + DEEP + b"}",
    "a number beyond 64 bits": b'{"verb":"receipts","since":' + b"9" * 30 + b"}",
    "a negative number": b'{"verb":"receipts","since":-1}',
    "a negative wait": b'{"verb":"receipts","since":0,"wait_seconds":-1}',
    "a payload that is a list": b'{"verb":"trust","steps":[{"payload":[],"payloadType":"","signatures":[]}]}',
    "steps that are numbers": b'{"verb":"trust","steps":[1,2]}',
    "approvers that are none": b'{"verb":"trust","steps":[],"approvers":{"payload":"x"}}',
    "base64 that is none": b'{"verb":"deliver","delivery":"\\u0000"}',
    "half a million empty steps": b'{"verb":"trust","steps":[' + b"{}," * 500_000 + b"{}]}",
    "no verb": b"{}",
    "nothing": b"",
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path).enroll()


@contextmanager
def serving(house: House, **options: Any) -> Iterator[None]:
    """The server of this very process, on the house's socket."""
    assembled = assemble(house.config, {}, lambda: 1_700_000_000)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(house.socket))
    listener.listen()
    server = Server(listener, assembled.execution, idle_seconds=None, **options)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join()
        assembled.close()


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("besieged")).enroll()
    with ExecutorProcess(house):
        yield house


@pytest.mark.parametrize("case", QUESTIONS)
def test_a_question_that_is_none_is_answered_with_an_error(case: str, besieged: House) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(besieged.socket))
        framing.send(connection, QUESTIONS[case])
        body = framing.receive(connection)
        assert body is not None
        assert verbs.decode_answer(body).error
        framing.send(connection, verbs.encode(verbs.AskStatus()))
        assert framing.receive(connection) is not None, "the connection goes on"
    log = (besieged.folder / "executor.log").read_text()
    assert "Traceback" not in log
    assert len(log) < 10_000


@pytest.mark.parametrize("part", [b"\0", b"\0\0\0\x20", b"\0\0\0\x20half"])
def test_a_frame_that_does_not_come_on_is_cut_off(part: bytes, house: House) -> None:
    with serving(house, users=frozenset({0, house.folder.stat().st_uid}), frame_seconds=0.01):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(house.socket))
            connection.sendall(part)
            assert connection.recv(1) == b"", "it was closed from the other side"
        assert house.status().journal_usable


def test_one_user_cannot_take_every_connection() -> None:
    assert has_room([], 7)
    assert has_room([7] * 11, 7)
    assert not has_room([7] * 12, 7)
    assert has_room([7] * 12, 0), "the host's root always gets through"
    assert not has_room([7] * 12 + [0] * 4, 0)


def test_what_waits_for_a_resource_runs_in_order_of_seq(house: House) -> None:
    """Whoever carries deliveries may turn their order round: nothing is lost by that."""
    ready = slow_backup(house)
    go = house.folder / "go"
    program = house.folder / "restic"
    program.write_text(f"#!/bin/sh\necho x > {ready}\nwhile [ ! -e {go} ]; do sleep 0.02; done\n")
    with ExecutorProcess(house):
        for seq in (5, 9, 7):
            assert house.deliver(house.delivery("backup.run", BACKUP, seq=seq), 0).state == "accepted"
            wait_for(ready)
        last = house.delivery("backup.run", BACKUP, seq=8)
        house.deliver(last, 0)
        go.touch()
        house.deliver(last)
        receipts = house.receipts()
        while len(receipts) < 4:
            house.ask(verbs.AskReceipts(len(receipts), 30.0))
            receipts = house.receipts()
    assert [outcome(receipt) for receipt in receipts] == [("failed", "no_summary")] * 4


def test_kinds_that_are_allowed_and_cannot_be_done_are_refused_plainly(house: House) -> None:
    kinds = {"host.ping": {}, "service.restart": {"units": ["web"]}, "backup.rum": {}}
    house.write_settings(limits={"kinds": kinds})
    with ExecutorProcess(house):
        answered = house.deliver(house.delivery("service.restart", {"unit": "web"}))
        assert (answered.reason, answered.detail) == ("unknown_kind", "this agent cannot do service.restart")
        assert [outcome(receipt) for receipt in house.receipts()] == [("refused", "unknown_kind")]
        log = (house.folder / "executor.log").read_text()
    assert '"kinds": ["backup.rum", "service.restart"]' in log


SUMMARY = (
    '{"message_type":"summary","snapshot_id":%s,"total_files_processed":%s,'
    '"total_bytes_processed":1,"data_added":1}'
)


@pytest.mark.parametrize(
    "line",
    [
        SUMMARY % ('"abcdef12"', "1.5"),
        SUMMARY % ('"abcdef12"', "-1"),
        SUMMARY % ("5", "1"),
        SUMMARY % ('"' + "é" * 9 + '"', "1"),
        SUMMARY % ("null", "null"),
        '{"message_type":"summary\\377"}',
        "[" * 5_000,
    ],
)
def test_a_program_that_answers_nonsense_blocks_nothing(line: str, house: House) -> None:
    slow_backup(house)
    program = house.folder / "restic"
    program.write_text(f"#!/bin/sh\nprintf '%b\\n' '{line}'\n")
    with ExecutorProcess(house):
        for _ in range(2):
            house.deliver(house.delivery("backup.run", BACKUP))
        assert [outcome(receipt) for receipt in house.receipts()] == [("failed", "no_summary")] * 2
        assert house.status().pending == 0


def test_a_disk_that_is_full_at_start_keeps_the_executor_answering(house: House) -> None:
    ready = slow_backup(house)
    with ExecutorProcess(house) as executor:
        house.deliver(house.delivery("backup.run", BACKUP), 0)
        wait_for(ready)
        executor.kill()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        executor = ExecutorProcess(house)
        process = executor.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    try:
        assert house.status().journal_usable
        assert house.receipts() == []
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, before)
        house.ask(verbs.AskReceipts(0, 30.0))
        assert [outcome(receipt) for receipt in house.receipts()] == [("interrupted", "executor_died")]
    finally:
        executor.__exit__()
