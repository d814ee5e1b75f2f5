"""The whole service: real TLS, real Git, the lab's Keycloak; and its parts that keep time."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest

from controller.config import Configuration
from controller.datafolder import DataFolder
from controller.errors import ControllerError
from controller.leadership import Leadership, LeaseTiming
from controller.serve import backoff_seconds
from controller.service import build_service, server_names
from controller.store import Store
from controller.trust import first_document, sign_document
from tests.controller.api.guest import ROOT, Guest, allow, opened, queue
from tests.controller.gitops.repository import SETTINGS, Source
from tests.controller.stage import NOON, SMALL, staged


class Running:
    """A running controller and a browser that trusts its CA."""

    def __init__(self, built, session):
        self.built = built
        self.site = built.site
        self.session = session

    def metric(self, name, **labels):
        return self.site.metrics.registry.get_sample_value(name, labels)

    async def until(self, holds):
        """Wait until something is so; each change of the page is a reason to look again."""
        async with asyncio.timeout(60):
            while True:
                ticket = self.site.wakeups.ticket("status")
                if holds():
                    return
                await self.site.wakeups.wait("status", ticket, 60)


@pytest.fixture
def stage(tmp_path):
    with staged(tmp_path) as one:
        yield one


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path / "policies")


def prepare(stage, source, **policy):
    git = {"git": str(source.path), "folder": "prod", "interval": "1h", "apply": True, **policy}
    stage.configure(policy=git, listen="127.0.0.1:0", sd_token_file="state/sd.token")
    data = DataFolder(stage.folder / "state")
    data.create("stage", ["127.0.0.1", "localhost"], now=int(time.time()))  # TLS goes by the real clock
    data.trust.add(sign_document(first_document(ROOT.public, data.public_key("signing"), [], now=NOON), ROOT))
    return data


@asynccontextmanager
async def serving(stage):
    built = build_service(Configuration.load(stage.config, {}), clock=stage.clock)
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(built.service.run(stop, ready=ready.set))
    try:
        async with asyncio.timeout(30):
            await asyncio.wait([task, asyncio.create_task(ready.wait())], return_when="FIRST_COMPLETED")
        if task.done():
            await task
        authority = ssl.create_default_context(cadata=built.site.ca_certificate.decode())
        base = f"https://127.0.0.1:{built.service.port}"
        connector = aiohttp.TCPConnector(ssl=authority)
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield Running(built, session)
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await asyncio.gather(task, return_exceptions=True)
        built.close()


async def test_a_commit_is_applied_drift_is_repaired_and_everything_is_told(stage, source):
    prepare(stage, source)
    commit = source.commit({"prod/policy.yaml": SETTINGS, "prod/all.yaml": SMALL})
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.last_success_at)
        assert running.metric("steward_lease_held") == 1
        assert running.metric("steward_policy_commit_info", commit=commit) == 1
        assert running.metric("steward_reconcile_total", resource="users", result="applied") == 2
        assert running.metric("steward_drift_changes", resource="users", operation="create") == 0
        assert running.metric("steward_reconcile_last_success_timestamp_seconds") == NOON
        runs = running.site.store.runs.latest(5)
        assert [(run.kind, run.result, run.commit) for run in runs] == [("reconcile", "done", commit)]
        assert "jo" in running.site.store.outcomes.owned_names("keycloak", "users")
        page = await (await running.session.get("/")).text()
        assert commit[:10] in page
        assert "Everything observed is as Git says" in page

        before = stage.writes
        running.built.service.wake()
        seen = running.metric("steward_reconcile_passes_total", result="done")
        await running.until(lambda: running.metric("steward_reconcile_passes_total", result="done") > seen)
        assert stage.writes == before  # nothing differed: nothing was written, and no pass was recorded
        assert len(running.site.store.runs.latest(5)) == 1

    store = Store.open(f"sqlite:///{stage.folder}/state/steward.db", chain="stage")
    assert store.lease.current().until == 0  # given back
    store.close()


async def test_with_apply_false_drift_is_told_and_nothing_written(stage, source):
    prepare(stage, source, apply=False)
    source.commit({"prod/policy.yaml": SETTINGS, "prod/all.yaml": SMALL})
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.planned_at)
        assert running.metric("steward_drift_changes", resource="users", operation="create") == 2
        assert stage.writes == 0
        assert running.site.store.runs.latest(5) == []
        page = await (await running.session.get("/")).text()
        assert "jo@example.org" in page


async def test_a_keycloak_that_is_down_is_told_and_nothing_is_taken_for_empty(stage, source, tmp_path):
    prepare(stage, source)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = json.loads(stage.config.read_text())
    settings["keycloak"]["url"] = f"http://127.0.0.1:{port}"
    stage.config.write_text(json.dumps(settings))
    source.commit({"prod/policy.yaml": SETTINGS, "prod/all.yaml": SMALL})
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.gaps or running.site.situation.pass_error)
        assert running.metric("steward_unobserved_sections") > 0
        assert running.metric("steward_drift_changes", resource="users", operation="delete") == 0
        assert running.site.situation.last_success_at is None
        assert running.built.service._retry is not None  # it will look again by itself
        assert "not observed" in await (await running.session.get("/")).text()


async def test_a_bad_commit_pages_and_the_service_goes_on(stage, source):
    prepare(stage, source)
    good = source.commit({"prod/policy.yaml": SETTINGS, "prod/all.yaml": SMALL})
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.last_success_at)
        bad = source.commit({"prod/bad.yaml": "users:\n  al2: {roles: [viewr]}\n"})
        running.built.service.wake()
        await running.until(lambda: running.site.situation.fault)
        assert running.metric("steward_policy_error", reason="invalid") == 1
        assert running.site.situation.commit == good
        page = await (await running.session.get("/")).text()
        assert bad[:10] in page
        assert "prod/bad.yaml:2:" in page


async def test_an_agent_over_tls_and_a_checkpoint_in_its_answer(stage, source):
    prepare(stage, source)
    hosts = "hosts: {web-01: {labels: {site: par1}}}\n"
    source.commit({"prod/policy.yaml": SETTINGS, "prod/hosts.yaml": hosts})
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.commit)
        guest = Guest(running.session, stage.clock)
        guest.token = lambda body, **more: Guest.token(guest, body, aud="stage", **more)
        assert (await guest.enroll(allow(running.site, guest.name))).status == 200
        action = queue(running.site, guest.host_id)
        await running.until(lambda: running.site.situation.checkpoint_seq)
        answer = await guest.poll()
        assert opened(answer["deliveries"][0]).id == action.id
        assert await guest.send(guest.receipt(action)) == [action.id]
        assert answer["checkpoint"] == json.loads(running.site.situation.checkpoint)


async def test_a_second_controller_waits_for_the_lease_and_serves_meanwhile(stage, source):
    prepare(stage, source)
    source.commit({"prod/policy.yaml": SETTINGS, "prod/all.yaml": SMALL})
    other = Store.open(f"sqlite:///{stage.folder}/state/steward.db", chain="stage")
    other.lease.acquire("elsewhere", 10**6, NOON)
    async with serving(stage) as running:
        await running.until(lambda: running.site.situation.pass_error)
        assert running.metric("steward_lease_held") == 0
        assert stage.writes == 0
        assert "elsewhere holds the lease" in await (await running.session.get("/")).text()
        assert (await running.session.get("/readyz")).status == 200
    other.close()


async def test_a_port_that_is_taken_is_said(stage, source):
    prepare(stage, source)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = json.loads(stage.config.read_text())
        settings["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        stage.config.write_text(json.dumps(settings))
        with pytest.raises(ControllerError, match="cannot listen"):
            async with serving(stage):
                pass


@pytest.mark.parametrize(
    "times",
    [{"ttl": 14}, {"loop_wait": 6}, {"retry_timeout": 6}, {"ttl": 0}, {"loop_wait": 0}],
    ids=str,
)
def test_lease_times_that_do_not_add_up_are_refused(times):
    with pytest.raises(ControllerError):
        LeaseTiming(**times)


class Watch:
    """A wall clock and a monotonic clock that go together."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def leading(tmp_path, watch):
    store = Store.open(f"sqlite:///{tmp_path}/s.db", clock=watch)

    def candidate(name):
        return Leadership(store, name, LeaseTiming(), clock=watch, monotonic=watch)

    yield candidate
    store.close()


def test_a_holder_stops_writing_before_its_lease_ends(leading, watch):
    first = leading("a")
    assert first.step().term == 1
    assert first.may_write()
    watch.now += 10
    assert not first.may_write()  # a request begun now could outlive the lease
    assert first.lease is not None
    watch.now += 5
    assert first.lease is None
    assert first.step().term == 2


def test_a_successor_waits_for_the_drain_unless_the_lease_was_given_back(leading, watch):
    first, second, third = leading("a"), leading("b"), leading("c")
    first.step()
    assert second.step() is None
    assert "a holds the lease" in second.note
    watch.now += 15
    assert second.step().term == 2
    assert not second.may_write()
    for _ in range(3):
        watch.now += 5
        second.step()
    assert second.may_write()
    second.release()
    assert third.step().term == 3
    assert third.may_write()


def test_a_clean_release_is_not_claimed_for_a_lease_that_ran_out(leading, watch):
    first, second = leading("a"), leading("b")
    first.step()
    watch.now += 16
    first.release()
    second.step()
    assert not second.may_write()


@pytest.mark.parametrize(
    ("failures", "spread", "seconds"),
    [(0, 0.5, 5), (1, 0.5, 5), (2, 0.5, 10), (3, 0.5, 20), (99, 0.5, 300), (1, 0.0, 4), (1, 1.0, 6)],
)
def test_a_pass_that_failed_is_made_again_later_each_time(failures, spread, seconds):
    assert backoff_seconds(failures, most=300, spread=spread) == pytest.approx(seconds)


def test_names_of_the_server_certificate():
    assert server_names("https://steward.example.org:8443", "10.0.0.1:8443") == [
        "steward.example.org",
        "localhost",
        "127.0.0.1",
        "10.0.0.1",
    ]
    assert server_names("https://h", "0.0.0.0:443") == ["h", "localhost", "127.0.0.1"]
    with pytest.raises(ControllerError):
        server_names("https://h", "8443x")
