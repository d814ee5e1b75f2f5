"""What Prometheus, load balancers, people and operators on the machine get to see."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from controller.api.application import local_application, public_application
from controller.api.site import PlannedChange
from controller.named_hosts import BY_ENROLMENT, UNREAD, NamedHosts
from tests.controller.api.guest import NOON, Clock, Guest, allow, make_site, opened, queue

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site(tmp_path, clock):
    made = make_site(tmp_path, clock)
    yield made
    made.executor.shutdown()
    made.store.close()


@pytest.fixture
async def client(site, aiohttp_client):
    return await aiohttp_client(public_application(site))


@pytest.fixture
async def local(site, tmp_path):
    runner = web.AppRunner(local_application(site))
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    connector = aiohttp.UnixConnector(path=str(tmp_path / "s"))
    async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
        yield session
    await runner.cleanup()


async def enrolled(site, client, clock, name="web-01", **keys):
    guest = Guest(client, clock, name=name, **keys)
    assert (await guest.enroll(allow(site, name, name.encode().ljust(32, b".")))).status == 200
    return guest


async def test_targets_need_the_token_and_come_with_the_hosts_name(site, client, clock):
    guest = await enrolled(site, client, clock)
    await guest.poll(metrics_address="https://10.0.0.1:9095/node")
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic prometheus-token"}):
        assert (await client.get("/sd/prometheus", headers=given)).status == 401
    response = await client.get("/sd/prometheus", headers={"Authorization": "Bearer prometheus-token"})
    labels = {"host": "web-01", "site": "par1", "__scheme__": "https", "__metrics_path__": "/node"}
    assert await response.json() == [{"targets": ["10.0.0.1:9095"], "labels": labels}]


async def test_without_a_token_file_nobody_gets_targets(site, client, clock):
    from dataclasses import replace

    from aiohttp.test_utils import TestClient, TestServer

    async with TestClient(TestServer(public_application(replace(site, sd_token="")))) as bare:
        response = await bare.get("/sd/prometheus", headers={"Authorization": "Bearer "})
        assert response.status == 401


async def test_metrics_start_at_zero_and_follow_the_hosts(site, client, clock):
    text = await (await client.get("/metrics")).text()
    assert 'steward_actions_total{kind="host.ping",result="done"} 0.0' in text
    assert 'steward_reconcile_total{resource="users",result="applied"} 0.0' in text
    assert 'steward_drift_changes{operation="create",resource="users"} 0.0' in text
    assert "steward_reconcile_last_success_timestamp_seconds" not in text  # never: absent, not 0
    guest = await enrolled(site, client, clock)
    await guest.poll()
    text = await (await client.get("/metrics")).text()
    assert f'steward_host_last_poll_timestamp_seconds{{host="web-01"}} {float(NOON):.10g}' in text.replace(
        "1.7672688e+09", "1767268800"
    )
    site.store.hosts.revoke("web-01", actor="jo", now=NOON)
    assert "web-01" not in await (await client.get("/metrics")).text()


async def test_a_store_that_is_gone_fails_readiness_and_not_life(site, client, tmp_path):
    assert (await client.get("/readyz")).status == 200
    site.store.close()
    (tmp_path / "state" / "steward.db").write_bytes(b"broken" * 1000)
    for beside in ("steward.db-wal", "steward.db-shm"):
        (tmp_path / "state" / beside).unlink(missing_ok=True)
    assert (await client.get("/readyz")).status == 503
    assert (await client.get("/healthz")).status == 200
    health = await (await client.get("/api/health")).json()
    assert health["status"] == "degraded"
    assert health["dependencies"]["store"] != "ok"


async def test_an_expired_trust_document_fails_readiness(client, clock):
    clock.now += 31 * 86_400
    response = await client.get("/readyz")
    assert (response.status, "expired" in await response.text()) == (503, True)


async def test_the_page_shows_what_is_so_and_escapes_what_it_is_told(site, client, clock):
    guest = await enrolled(site, client, clock)
    await guest.poll(agent_version=HOSTILE)
    queue(site, guest.host_id)
    situation = site.situation
    situation.commit, situation.newest, situation.fault = "a" * 40, "b" * 40, "invalid"
    situation.fault_lines = (f"prod/users.yaml:12:7: role {HOSTILE} unknown",)
    situation.plan = (
        PlannedChange(
            "keycloak", "users", HOSTILE, "update", (("email", "a", "b"),), "differs", "u.yaml:1:1"
        ),
    )
    situation.planned_at = NOON
    response = await client.get("/")
    text = await response.text()
    assert "web-01" in text
    assert "prod/users.yaml:12:7" in text
    assert "host.ping" in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert " style=" not in text
    assert "onclick" not in text


@pytest.mark.parametrize("fault", ["", "unreachable", "not_fast_forward"])
async def test_an_empty_controller_has_a_page_too(site, client, fault):
    site.situation.fault, site.situation.newest = fault, "c" * 40
    text = await (await client.get("/")).text()
    assert "No host is enrolled" in text
    assert ("steward gitops accept" in text) is (fault == "not_fast_forward")


@pytest.mark.parametrize("name", ["style.css", "live.js", "mark.svg"])
async def test_the_pages_files_travel_with_the_package(client, name):
    assert (await client.get(f"/static/{name}")).status == 200
    assert (await client.get(f"/static/../{name}")).status == 404


async def test_the_page_is_told_that_something_changed(site, client):
    async with client.get("/events") as response:
        assert response.content_type == "text/event-stream"
        assert await response.content.readline() == b": open\n"
        site.wakeups.ring("status")
        await response.content.readline()
        assert await response.content.readline() == b"event: changed\n"
        site.wakeups.close()


async def test_unknown_paths_and_methods_are_problems(client):
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/healthz", 405)):
        response = await client.request(method, path, headers={"X-Request-ID": "trace-7"})
        assert (response.status, response.content_type) == (status, "application/problem+json")
        assert response.headers["X-Request-ID"] == "trace-7"
    harmful = await client.get("/healthz", headers={"X-Request-ID": "a b;c"})
    assert harmful.headers["X-Request-ID"] != "a b;c"


async def test_operators_queue_actions_and_are_named_by_the_kernel(site, client, local, clock):
    guest = await enrolled(site, client, clock)
    body = {"host": "web-01", "kind": "host.ping", "args": {}}
    response = await local.post("/local/v1/actions", data=json.dumps(body))
    assert response.status == 201
    queued = site.store.actions.get((await response.json())["id"])
    assert (queued.state, queued.created_by.partition(":")[0]) == ("queued", "local")
    assert len((await guest.poll())["deliveries"]) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"host": "nobody"}, 404, id="unknown-host"),
        pytest.param({"kind": "host.reboot"}, 400, id="unknown-kind"),
        pytest.param({"args": {"a": "b"}}, 400, id="args-of-another-kind"),
        pytest.param({"valid_seconds": 3601}, 400, id="valid-too-long"),
        pytest.param({"more": 1}, 400, id="unknown-field"),
    ],
)
async def test_operators_hear_what_is_wrong(site, client, local, clock, change, status):
    await enrolled(site, client, clock)
    body = {"host": "web-01", "kind": "host.ping", **change}
    response = await local.post("/local/v1/actions", data=json.dumps(body))
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert site.store.actions.latest(5) == []


async def test_without_the_lease_nothing_is_signed(site, client, local, clock):
    await enrolled(site, client, clock)
    site.situation.lease = None
    body = json.dumps({"host": "web-01", "kind": "host.ping"})
    assert (await local.post("/local/v1/actions", data=body)).status == 409


async def test_a_host_in_quarantine_is_given_nothing(site, client, local, clock):
    guest = await enrolled(site, client, clock)
    site.store.hosts.quarantine(site.store.hosts.get(guest.host_id), "test", now=NOON)
    body = json.dumps({"host": "web-01", "kind": "host.ping"})
    response = await local.post("/local/v1/actions", data=body)
    assert (response.status, "release" in (await response.json())["hint"]) == (409, True)


@pytest.mark.parametrize(
    ("without", "hint"),
    [
        pytest.param(NamedHosts({"db-01": {}}), "`web-01: {}`", id="another-is-named"),
        pytest.param(NamedHosts(), "under `hosts:`", id="none-is-named"),
        pytest.param(UNREAD, "status page", id="no-policy-yet"),
    ],
)
async def test_a_host_that_the_policy_does_not_name_gets_trust_and_nothing_else(
    site, client, local, clock, without, hint
):
    guest = await enrolled(site, client, clock)
    action = queue(site, guest.host_id)
    site.situation.checkpoint = "{}"
    site.situation.named_hosts = without
    body = json.dumps({"host": "web-01", "kind": "host.ping"})
    refused = await local.post("/local/v1/actions", data=body)
    told = await refused.json()
    assert (refused.status, told["title"]) == (409, "host_not_named")
    assert hint in told["hint"]
    answer = await guest.poll(trust_version=0)
    assert (answer["deliveries"], len(answer["trust"])) == ([], 1)
    assert "checkpoint" not in answer
    site.situation.named_hosts = NamedHosts({"web-01": {}})
    answer = await guest.poll()
    assert opened(answer["deliveries"][0]).id == action.id
    assert answer["checkpoint"] == {}


async def test_a_controller_without_git_goes_by_enrolment(site, client, local, clock):
    guest = await enrolled(site, client, clock)
    site.situation.named_hosts = BY_ENROLMENT
    body = json.dumps({"host": "web-01", "kind": "host.ping"})
    assert (await local.post("/local/v1/actions", data=body)).status == 201
    assert len((await guest.poll())["deliveries"]) == 1


async def test_a_waiting_host_hears_that_the_policy_names_it_now(site, client, clock):
    guest = await enrolled(site, client, clock)
    action = queue(site, guest.host_id)
    site.situation.named_hosts = UNREAD
    waiting = asyncio.create_task(guest.poll(wait_seconds=50))
    await site.wakeups.begun.wait()
    site.situation.named_hosts = NamedHosts({"web-01": {}})
    site.wakeups.ring_all()
    async with asyncio.timeout(10):
        assert opened((await waiting)["deliveries"][0]).id == action.id


async def test_the_network_has_no_operators_door(client):
    assert (await client.post("/local/v1/actions", json={})).status == 404


async def test_the_page_tells_who_is_named_and_who_is_not(site, client, clock):
    await enrolled(site, client, clock)
    await enrolled(site, client, clock, name="stray-01")
    site.situation.named_hosts = NamedHosts({"web-01": {}, "absent-01": {}})
    text = await (await client.get("/")).text()
    assert text.count("not in the policy") == 1
    assert text.index("stray-01") < text.index("not in the policy") < text.index("web-01</strong>")
    assert "not enrolled: absent-01." in text
    site.situation.named_hosts = BY_ENROLMENT
    assert "not in the policy" not in await (await client.get("/")).text()
