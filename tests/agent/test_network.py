"""Enrolment and the network process against a controller over TLS, with a real executor process beside it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.configuration import load
from agent.enrolment import enroll
from agent.errors import AgentError, ControllerUnavailableError, EnrolmentError
from agent.identity import read_identity, read_key
from agent.network import Cursor, Network, Pace, backoff
from agent.tally import Tally
from agent.tls import spki_sha256
from controller.audit import Checkpoint
from controller.signing import checkpoint_envelope
from lab.tls import Authority as Certificates
from tests.agent.fake_controller import FakeController
from tests.agent.house import Authority, ExecutorProcess, House, outcome, signing_key

PACE = Pace(poll=5, receipts=1.0, first_retry=0.01, longest_retry=0.05, repeated=0.05, settle=0.0)
NOW = 1_700_000_000


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[FakeController]:
    folder = tmp_path / "controller"
    folder.mkdir()
    async with FakeController(folder, Authority()) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def enrolled(house: House, controller: FakeController) -> House:
    done = await enroll(load(house.config), controller.token(), replace=False, now=NOW)
    house.host_id, house.authority = done.identity.host_id, controller.authority
    house.receipt_key = read_key(house.state / "executor" / "receipt.pem")
    return house


class Running:
    """The network process's loops as a task, beside a real executor process."""

    def __init__(self, house: House, tally: Tally | None = None) -> None:
        self.house = house
        self.tally = tally or Tally()

    async def __aenter__(self) -> "Running":
        self.executor = await asyncio.to_thread(ExecutorProcess(self.house).__enter__)
        self.start()
        return self

    def start(self) -> None:
        directory = self.house.state / "network"
        network = Network(
            identity=read_identity(directory),
            key=read_key(directory / "transport.pem"),
            directory=directory,
            socket=self.house.socket,
            tally=self.tally,
            pace=PACE,
        )
        self.task = asyncio.create_task(network.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await asyncio.to_thread(self.executor.__exit__)


async def test_enrolment_makes_keys_that_only_their_owner_reads(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    for name in ("network/transport.pem", "executor/receipt.pem", "executor/journal.sqlite"):
        assert (house.state / name).stat().st_mode & 0o077 == 0, name
    assert (house.state / "executor").stat().st_mode & 0o777 == 0o700
    transport = read_key(house.state / "network" / "transport.pem")
    assert controller.transport_key is not None
    assert transport.public.raw == controller.transport_key.raw
    assert house.receipt_key.public.raw != transport.public.raw


BAD_TOKENS: dict[str, dict[str, str]] = {
    "CA of somebody else": {"ca_sha256": "00" * 32},
    "another root": {"root_sha256": "00" * 32},
    "unknown secret": {"secret": "00" * 32},
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_token_that_does_not_fit_changes_nothing(
    case: str, house: House, controller: FakeController
) -> None:
    with pytest.raises((EnrolmentError, ControllerUnavailableError)):
        await enroll(load(house.config), controller.token(**BAD_TOKENS[case]), replace=False, now=NOW)
    assert not (house.state / "executor" / "identity.json").exists()
    assert not (house.state / "network" / "transport.pem").exists()


async def test_no_secret_leaves_before_the_ca_is_proved(house: House, controller: FakeController) -> None:
    with pytest.raises(AgentError):
        await enroll(load(house.config), controller.token(ca_sha256="00" * 32), replace=False, now=NOW)
    assert not controller.spent


async def test_a_token_counts_once(house: House, controller: FakeController, tmp_path: Path) -> None:
    await enrolled(house, controller)
    second = tmp_path / "second"
    second.mkdir()
    with pytest.raises(EnrolmentError, match="used already"):
        await enroll(load(House(second).config), controller.token(), replace=False, now=NOW)


async def test_an_enrolled_host_needs_to_be_told_to_give_up_its_identity(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    controller.spent = False
    with pytest.raises(EnrolmentError, match="enrolled already"):
        await enroll(load(house.config), controller.token(), replace=False, now=NOW)
    old = house.host_id
    again = await enroll(load(house.config), controller.token(), replace=True, now=NOW)
    assert again.identity.host_id != old
    [retired] = (house.state / "executor").glob("retired-*")
    assert json.loads((retired / "identity.json").read_text())["host_id"] == old
    with ExecutorProcess(house):
        assert house.status().journal_usable


async def test_a_host_is_not_given_a_new_identity_under_a_running_executor(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    controller.spent = False
    with ExecutorProcess(house), pytest.raises(AgentError, match="another executor"):
        await enroll(load(house.config), controller.token(), replace=True, now=NOW)
    assert not controller.spent, "the token is not lost"
    assert read_identity(house.state / "executor").host_id == house.host_id


@pytest.mark.parametrize("text", ["", "steward-enrol-1.", "steward-enrol-1.AAAA", "x" * 10_000])
async def test_a_damaged_token_is_said_without_quoting_it(text: str, house: House) -> None:
    with pytest.raises(EnrolmentError) as caught:
        await enroll(load(house.config), text, replace=False, now=NOW)
    assert "AAAA" not in str(caught.value)


async def test_an_action_travels_and_its_receipt_comes_back(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: controller.receipts)
        await controller.wait_until(lambda: controller.polls[-1].journal.seq == 1)
    assert outcome(controller.receipts[0]) == ("done", "")
    assert controller.polls[-1].journal.sha256 == controller.head.sha256
    assert controller.refused == []
    assert running.tally.status is not None


async def test_a_true_replay_reaches_the_executor_and_is_refused(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        delivery = house.delivery()
        await controller.enqueue(delivery)
        await controller.wait_until(lambda: len(controller.receipts) == 1)
        polls = len(controller.polls)
        await controller.wait_until(lambda: len(controller.polls) > polls)
        async with controller.changed:
            controller.always.append(delivery)
            controller.changed.notify_all()
        await controller.wait_until(lambda: len(controller.receipts) == 2)
    assert outcome(controller.receipts[1]) == ("refused", "replayed")
    assert refusals(running.tally)["replayed"] == 1


async def test_nothing_is_lost_while_the_controller_is_away(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        await controller.wait_until(lambda: controller.polls)
        await controller.__aexit__()
        answered = await asyncio.to_thread(house.deliver, house.delivery())
        assert answered.state == "accepted", "the executor needs no controller"
        await controller.__aenter__()
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: len(controller.receipts) == 2)
        assert not running.task.done()
    assert [receipt.outcome for receipt in controller.receipts] == ["done", "done"]


async def test_receipts_are_handed_over_after_a_restart(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        await running.stop()
        await asyncio.to_thread(house.deliver, house.delivery())
        running.start()
        await controller.wait_until(lambda: controller.receipts)
        await controller.wait_until(lambda: controller.polls)
    assert Cursor(house.state / "network" / "cursor.json").stored == 1


async def test_nothing_is_lost_while_the_executor_is_away(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        await controller.wait_until(lambda: controller.polls)
        await asyncio.to_thread(running.executor.kill)
        await controller.enqueue(house.delivery())
        running.executor = await asyncio.to_thread(ExecutorProcess(house).__enter__)
        await controller.wait_until(lambda: controller.receipts)
    assert outcome(controller.receipts[0]) == ("done", "")


async def test_newer_trust_comes_by_the_poll_and_the_ca_follows_it(
    house: House, controller: FakeController, tmp_path: Path
) -> None:
    await enrolled(house, controller)
    new_key, folder = signing_key(), tmp_path / "renewed"
    folder.mkdir()
    async with Running(house):
        await controller.wait_until(lambda: controller.polls)
        await controller.__aexit__()
        controller.certificates = Certificates.create(folder)
        old_pin = spki_sha256(controller.ca_pem)
        new_pin = spki_sha256(controller.certificates.ca_file.read_bytes())
        both = controller.authority.trust(2, pins=(old_pin, new_pin), controller=new_key)
        await asyncio.to_thread(install, house, both.as_json())
        controller.ca_pem = controller.certificates.ca_file.read_bytes()
        controller.steps.append(both)
        await controller.__aenter__()
        await controller.enqueue(house.delivery(key=new_key, trust_version=2))
        await controller.wait_until(lambda: controller.receipts)
    assert controller.polls[-1].trust_version == 2
    assert spki_sha256((house.state / "network" / "ca.pem").read_bytes()) == new_pin


def install(house: House, step: dict[str, Any]) -> None:
    from agent import verbs

    assert house.ask(verbs.InstallTrust([step])).error == ""


async def test_trust_that_does_not_hold_stops_no_deliveries(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    async with Running(house):
        controller.steps.append(Authority().trust(2))
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: controller.receipts)
    assert controller.polls[-1].trust_version == 1


async def test_receipts_of_what_was_delivered_by_hand_are_carried_too(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    async with Running(house):
        await controller.wait_until(lambda: controller.polls)
        by_hand = await asyncio.to_thread(house.deliver, house.delivery())
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: len(controller.receipts) == 2)
    assert controller.receipts[0].action_sha256 == by_hand.action_sha256


async def test_junk_does_not_spin(house: House, controller: FakeController) -> None:
    await enrolled(house, controller)
    tally = Tally()
    async with Running(house, tally):
        async with controller.changed:
            controller.always += [b'{"action":{}}', b"[]", b'"x"']
            controller.changed.notify_all()
        await controller.wait_until(lambda: not controller.always)
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: controller.receipts)
    assert refusals(tally)["malformed_envelope"] == 3


DEEP = b"[" * 100_000 + b"]" * 100_000
EVIL_ANSWERS: dict[str, tuple[int, bytes]] = {
    "not JSON": (200, b"{"),
    "not UTF-8": (200, b'{"\xff":[]}'),
    "deep delivery": (200, b'{"deliveries":[' + DEEP + b'],"trust":[]}'),
    "deep trust": (200, b'{"deliveries":[],"trust":[' + DEEP + b"]}"),
    "trust not UTF-8": (200, b'{"deliveries":[],"trust":[{"payload":"\xff"}]}'),
    "trust whose payload is a list": (
        200,
        b'{"deliveries":[],"trust":[{"payload":[],"payloadType":"","signatures":[]}]}',
    ),
    "trust with a key twice": (
        200,
        b'{"deliveries":[],"trust":[{"payload":"","payload":"","payloadType":"","signatures":[]}]}',
    ),
    "trust with a lone surrogate": (
        200,
        b'{"deliveries":[],"trust":[{"payload":"QQ==","payloadType":"\\ud800","signatures":[]}]}',
    ),
    "delivery not UTF-8": (200, b'{"deliveries":["\xff",{"action":{"payload":"\xff"}}],"trust":[]}'),
    "two hundred thousand deliveries": (200, b'{"deliveries":[' + b"0," * 200_000 + b'0],"trust":[]}'),
    "checkpoint that is none": (200, b'{"deliveries":[],"trust":[],"checkpoint":{"x":"\xff"}}'),
    "endless": (200, b" " * (2 << 20)),
    "a problem that is none": (500, b'{"title":"\xff"}'),
    "a deep problem": (500, DEEP),
    "nothing, at once": (200, b'{"deliveries":[],"trust":[]}'),
}


@pytest.mark.parametrize("case", EVIL_ANSWERS)
async def test_no_answer_of_a_controller_ends_the_network_process(
    case: str, house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    async with Running(house) as running:
        async with controller.changed:
            controller.bodies.append(EVIL_ANSWERS[case])
            controller.changed.notify_all()
        await controller.wait_until(lambda: not controller.bodies)
        await controller.enqueue(house.delivery())
        await controller.wait_until(lambda: controller.receipts)
        assert not running.task.done()
    assert sum(refusals(running.tally).values()) <= 64
    assert "Traceback" not in (house.folder / "executor.log").read_text()


async def test_an_audit_log_that_was_cut_short_shows_in_the_metrics(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    tally, audit = Tally(), signing_key()
    async with Running(house, tally):
        for seq in (7, 6):
            controller.checkpoint = checkpoint_envelope(
                Checkpoint("demo", seq, "aa" * 32), audit, at=1
            ).encode()
            await controller.enqueue(house.delivery())
            await controller.wait_until(lambda: not controller.queue)
    series = {family.metric.name: value for family in tally.collect() for _, value in family.samples()}
    assert series["steward_agent_audit_checkpoint_seq"] == 7
    assert series["steward_agent_audit_checkpoint_conflicts_total"] >= 1


def refusals(tally: Tally) -> dict[str, float]:
    [family] = [family for family in tally.collect() if family.metric.name == "steward_agent_refusals_total"]
    return {labels["reason"]: value for labels, value in family.samples()}


async def test_the_command_polls_serves_metrics_and_ends_on_sigterm(
    house: House, controller: FakeController
) -> None:
    await enrolled(house, controller)
    with ExecutorProcess(house):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.cli", "run", "--config", str(house.config), "--poll-seconds", "1"),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await controller.wait_until(lambda: controller.polls)
            address = controller.polls[-1].metrics_address
            assert address is not None
            import aiohttp

            async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as response:
                text = await response.text()
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
    assert process.returncode == 0, errors
    assert "steward_agent_trust_version 1" in text
    assert "steward_agent_journal_usable 1" in text
    assert 'steward_agent_refusals_total{reason="replayed"} 0' in text
    assert "node_load1 " in text


def test_backoff_grows_with_jitter_and_is_bounded() -> None:
    pace = Pace(first_retry=1.0, longest_retry=60.0)
    assert [backoff(pace, failures, 1.0) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff(pace, 10_000, 0.5) == 30.0
    assert backoff(pace, 3, 0.0) == 0.0
