"""The agents' API, by a real HTTP client with real keys: joining, polling, receipts, and each refusal."""

from __future__ import annotations

import asyncio
import hmac
import io
import json

import pytest

from controller.api.application import public_application
from controller.api.tokens import TokenRefusedError
from protocol.documents import TrustBundle
from protocol.keys import SigningKey
from protocol.trust import walk
from tests.controller.api.guest import (
    NOON,
    Clock,
    Guest,
    allow,
    b64url,
    make_site,
    opened,
    queue,
    renew_trust,
)


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
async def guest(site, client, clock):
    made = Guest(client, clock)
    assert (await made.enroll(allow(site, made.name))).status == 200
    return made


def metric(site, name, **labels):
    return site.metrics.registry.get_sample_value(name, labels)


def events(site):
    return [entry.event for entry in site.store.audit.walk("demo")]


async def test_a_host_joins_once_and_gets_identity_and_trust(site, client, clock):
    guest = Guest(client, clock)
    secret = allow(site, guest.name)
    answer = await (await guest.enroll(secret)).json()
    assert answer["audience"] == "demo"
    bundle = TrustBundle.parse(answer["trust"])
    assert bundle.root_sha256 == site.trust.root_sha256()
    assert walk(bundle, now=NOON, known_version=0).version == 1
    second = Guest(client, clock, transport=SigningKey.generate(b"x" * 32))
    refused = await second.enroll(secret)
    assert (refused.status, refused.content_type) == (403, "application/problem+json")
    assert metric(site, "steward_enrolment_refused_total", reason="token_used") == 1
    assert events(site)[-1] == "host.enrolment_refused"
    assert len(site.store.hosts.listed()) == 1


@pytest.mark.parametrize(
    ("reason", "ttl", "wait", "name", "secret"),
    [
        pytest.param("token_unknown", 600, 0, "web-01", b"?" * 32, id="unknown"),
        pytest.param("token_expired", 600, 601, "web-01", b"s" * 32, id="expired"),
        pytest.param("wrong_name", 600, 0, "db-01", b"s" * 32, id="for-another-name"),
    ],
)
async def test_a_token_that_lets_nobody_in(site, client, clock, reason, ttl, wait, name, secret):
    allow(site, "web-01", ttl_seconds=ttl)
    clock.now += wait
    response = await Guest(client, clock, name=name).enroll(secret.hex())
    assert response.status == 403
    assert metric(site, "steward_enrolment_refused_total", reason=reason) == 1
    assert site.store.hosts.listed() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="truncated-json"),
        pytest.param(b"[]", 400, id="another-shape"),
        pytest.param(b'{"secret": "00"}', 400, id="fields-lack"),
        pytest.param(b'{"secret": 1e999}', 400, id="another-type"),
        pytest.param(b"\xff" * 10, 400, id="no-utf8"),
        pytest.param(b"[" * 100_000, 400, id="deep"),
        pytest.param(b" " * (1024 * 1024 + 1), 413, id="too-long"),
    ],
)
async def test_hostile_bodies_are_answered_in_problem_json(client, body, status):
    response = await client.post("/agent/v1/enroll", data=io.BytesIO(body))
    assert (response.status, response.content_type) == (status, "application/problem+json")
    assert (await response.json())["status"] == status
    assert response.headers["X-Request-ID"]


async def test_re_enrolment_revokes_the_old_host_and_voids_what_it_was_to_do(site, guest, client, clock):
    action = queue(site, guest.host_id)
    new = Guest(client, clock, transport=SigningKey.generate(b"n" * 32))
    assert (await new.enroll(allow(site, "web-01", b"2" * 32))).status == 200
    assert new.host_id != guest.host_id
    assert (await guest.post("poll", guest.poll_body())).status == 401
    assert site.store.actions.get(action.id).state == "expired"
    assert (await new.poll())["deliveries"] == []


TOKENS = {
    "wrong_audience": {"aud": "other"},
    "bad_claims-sub": {"sub": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "bad_claims-long-life": {"exp": NOON + 61},
    "bad_claims-from-the-future": {"iat": NOON + 31, "exp": NOON + 40},
    "bad_claims-no-jti": {"jti": None},
    "bad_claims-short-jti": {"jti": "a"},
    "bad_claims-text-time": {"iat": str(NOON)},
    "bad_claims-true-as-time": {"iat": True},
    "bad_claims-no-hash": {"body_sha256": None},
    "expired-over": {"iat": NOON - 10, "exp": NOON - 31},
    "body_mismatch": {"body_sha256": "00" * 32},
    "unknown_host": {"iss": "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
    "malformed-no-issuer": {"iss": None},
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_is_refused_for_its_claims(site, guest, name):
    body = guest.poll_body()
    response = await guest.post("poll", body, guest.token(body, **TOKENS[name]))
    expected = name.partition("-")[0] if name != "expired-over" else "bad_claims"
    assert (response.status, (await response.json())["title"]) == (401, expected)
    assert metric(site, "steward_agent_token_refused_total", reason=expected) == 1


HEADERS = {
    "another-type": ({"typ": "JWT"}, "bad_claims"),
    "no-algorithm": ({"alg": "none"}, "bad_signature"),
    "hmac": ({"alg": "HS256"}, "bad_signature"),
    "newer-name": ({"alg": "Ed25519"}, "bad_signature"),
    "key-of-its-own": ({"jwk": {"kty": "OKP"}, "alg": "EdDSA", "kid": "x"}, None),
    "critical": ({"crit": ["exp"]}, "bad_signature"),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_a_token_is_judged_by_the_key_on_file_and_one_algorithm(guest, name):
    header, expected = HEADERS[name]
    body = guest.poll_body()
    response = await guest.post("poll", body, guest.token(body, header=header))
    if expected is None:
        assert response.status == 200
        guest.transport = SigningKey.generate(b"z" * 32)
        response = await guest.post("poll", body, guest.token(body, header=header))
        expected = "bad_signature"
    assert (response.status, (await response.json())["title"]) == (401, expected)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param("", "no_token", id="none"),
        pytest.param("a.b", "malformed", id="two-parts"),
        pytest.param("a.!!.c", "malformed", id="no-base64"),
        pytest.param("a.W10.c", "malformed", id="a-list"),
        pytest.param("a." + "b" * 5000 + ".c", "malformed", id="long"),
    ],
)
async def test_what_is_no_token_is_refused(guest, token, reason):
    response = await guest.post("poll", guest.poll_body(), token)
    assert (response.status, (await response.json())["title"]) == (401, reason)
    assert reason in TokenRefusedError.REASONS


async def test_a_token_works_once_for_one_body_by_one_key(site, guest):
    body = guest.poll_body()
    token = guest.token(body)
    assert (await guest.post("poll", body, token)).status == 200
    again = await guest.post("poll", body, token)
    assert (await again.json())["title"] == "replayed"
    other = await guest.post("poll", guest.poll_body(wait_seconds=1), guest.token(body))
    assert (await other.json())["title"] == "body_mismatch"
    guest.transport = SigningKey.generate(b"z" * 32)
    assert (await (await guest.post("poll", body)).json())["title"] == "bad_signature"


async def test_a_token_from_before_the_restart_is_refused(guest, clock):
    body = guest.poll_body()
    old = guest.token(body, iat=NOON - 1, exp=NOON + 20)
    assert (await (await guest.post("poll", body, old)).json())["title"] == "expired"


async def test_an_action_is_given_until_its_receipt_is_stored(site, guest, clock):
    action = queue(site, guest.host_id)
    answer = await guest.poll()
    assert opened(answer["deliveries"][0]).id == action.id
    assert (await guest.poll())["deliveries"] == []  # it has it: no flood
    clock.now += 10
    assert len((await guest.poll())["deliveries"]) == 1
    assert await guest.send(guest.receipt(action)) == [action.id]
    clock.now += 10
    assert (await guest.poll())["deliveries"] == []
    ended = site.store.actions.get(action.id)
    assert (ended.state, ended.finished_at) == ("done", NOON + 10)
    assert metric(site, "steward_actions_total", kind="host.ping", result="done") == 1
    assert events(site)[-1] == "receipt"


async def test_a_waiting_poll_is_woken_by_a_new_action(site, guest):
    waiting = asyncio.create_task(guest.poll(wait_seconds=50))
    await site.wakeups.begun.wait()
    action = queue(site, guest.host_id)
    async with asyncio.timeout(10):
        answer = await waiting
    assert opened(answer["deliveries"][0]).id == action.id


async def test_waiting_polls_are_answered_when_the_service_stops(site, guest):
    waiting = asyncio.create_task(guest.poll(wait_seconds=50))
    await site.wakeups.begun.wait()
    site.wakeups.close()
    async with asyncio.timeout(10):
        assert (await waiting)["deliveries"] == []


async def test_actions_are_given_in_order_and_expire(site, guest, clock):
    first, second = queue(site, guest.host_id), queue(site, guest.host_id)
    assert (first.seq, second.seq) == (1, 2)
    given = [opened(one).seq for one in (await guest.poll())["deliveries"]]
    assert given == [1, 2]
    third = queue(site, guest.host_id)
    clock.now += 600 + 91
    ended = {action.id: action.state for action in site.store.actions.expire(now=site.now())}
    assert ended == {first.id: "unknown", second.id: "unknown", third.id: "expired"}
    assert await guest.send(guest.receipt(first, outcome="failed", reason="late")) == [first.id]
    assert site.store.actions.get(first.id).state == "failed"  # a late receipt still tells


async def test_newer_trust_is_handed_out_at_once(site, guest):
    renew_trust(site, SigningKey.generate(b"c" * 32))
    async with asyncio.timeout(10):
        answer = await guest.poll(wait_seconds=50)
    bundle = TrustBundle(site.trust.root_sha256(), (site.trust.bundle().trust[0], *answer["trust"]))
    assert walk(bundle, now=NOON, known_version=1).version == 2
    assert (await guest.poll(trust_version=2))["trust"] == []


async def test_the_same_receipt_again_is_stored_already(site, guest):
    action = queue(site, guest.host_id)
    envelope = guest.receipt(action)
    assert await guest.send(envelope) == await guest.send(envelope) == [action.id]
    assert len(site.store.receipts.of_action(action.id)) == 1


async def test_a_gap_between_receipts_pages(site, guest):
    action = queue(site, guest.host_id)
    await guest.send(guest.receipt(action, seq=3, previous_sha256="ab" * 32))
    assert metric(site, "steward_receipt_gap_total") == 1
    assert site.store.hosts.get(guest.host_id).receipt_gaps == 1
    assert site.store.receipts.of_action(action.id)[0].after_gap


async def test_two_receipts_under_one_number_mean_quarantine(site, guest):
    action = queue(site, guest.host_id)
    await guest.send(guest.receipt(action))
    assert await guest.send(guest.receipt(action, seq=1, previous_sha256=None, outcome="failed")) == []
    assert metric(site, "steward_host_quarantined", host="web-01") == 1
    assert site.store.actions.get(action.id).state == "done"


async def test_a_receipt_for_what_was_never_signed_here_pages(site, guest):
    action = queue(site, guest.host_id)
    await guest.send(guest.receipt(action, action_sha256="cd" * 32))
    assert metric(site, "steward_receipt_foreign_total") == 1
    assert site.store.actions.get(action.id).state == "queued"


async def test_a_refused_replay_does_not_undo_what_was_done(site, guest):
    action = queue(site, guest.host_id)
    await guest.send(guest.receipt(action))
    await guest.send(guest.receipt(action, outcome="refused", reason="replayed"))
    assert site.store.actions.get(action.id).state == "done"
    assert len(site.store.receipts.of_action(action.id)) == 2


@pytest.mark.parametrize("how", ["another-key", "another-host", "garbage"])
async def test_a_receipt_that_does_not_verify_is_not_stored_and_does_not_hold_up_the_rest(site, guest, how):
    action = queue(site, guest.host_id)
    honest, kept = guest.receipts, guest.head
    if how == "garbage":
        bad = {"payload": "!", "payloadType": "x", "signatures": []}
    elif how == "another-key":
        guest.receipts = SigningKey.generate(b"z" * 32)
        bad = guest.receipt(action).as_json()
    else:
        bad = guest.receipt(action, host_id="01ARZ3NDEKTSV4RRFFQ69G5FAV").as_json()
    guest.receipts, guest.head = honest, kept
    good = guest.receipt(action).as_json()
    body = json.dumps({"receipts": [bad, good]}).encode()
    response = await guest.post("receipts", body)
    assert (await response.json())["stored"] == [action.id]
    assert metric(site, "steward_receipt_refused_total") == 1
    assert "receipt.refused" in events(site)


@pytest.mark.parametrize("how", ["behind", "rewritten"])
async def test_a_journal_that_went_back_means_quarantine_until_released(site, guest, how):
    action = queue(site, guest.host_id)
    await guest.send(guest.receipt(action))
    await guest.poll()
    journal = {"seq": 0, "sha256": ""} if how == "behind" else {"seq": 1, "sha256": "ab" * 32}
    second = queue(site, guest.host_id)
    assert (await guest.poll(journal=journal))["deliveries"] == []
    assert metric(site, "steward_host_quarantined", host="web-01") == 1
    assert events(site)[-1] == "host.quarantined"
    assert (await guest.poll())["deliveries"] == []  # an honest head later does not end it
    site.store.hosts.release("web-01", actor="jo", now=site.now())
    assert opened((await guest.poll())["deliveries"][0]).id == second.id


async def test_a_revoked_host_is_not_believed(site, guest):
    site.store.hosts.revoke("web-01", actor="jo", now=site.now())
    response = await guest.post("poll", guest.poll_body())
    assert (response.status, (await response.json())["title"]) == (401, "unknown_host")


async def test_the_ca_is_public(client, site):
    response = await client.get("/agent/v1/ca")
    assert await response.read() == site.ca_certificate


async def test_a_poll_that_a_receipt_overtook_is_given_nothing_yet(site, guest):
    first = queue(site, guest.host_id)
    late = guest.poll_body()
    await guest.send(guest.receipt(first))
    second = queue(site, guest.host_id)
    response = await guest.post("poll", late)
    assert (await response.json())["deliveries"] == []
    assert site.store.hosts.get(guest.host_id).quarantined_at is None
    assert opened((await guest.poll())["deliveries"][0]).id == second.id


async def test_two_that_hold_one_token_do_not_both_get_in(site, client, clock):
    secret = allow(site, "web-01")
    guests = [Guest(client, clock, transport=SigningKey.generate(bytes([n]) * 32)) for n in range(8)]
    answers = await asyncio.gather(*(one.enroll(secret) for one in guests))
    assert sorted(answer.status for answer in answers) == [200] + [403] * 7
    assert len(site.store.hosts.listed(include_revoked=True)) == 1


HOSTILE = {
    "no-utf8-in-a-text": b'{"secret": "\xff"}',
    "no-utf8-in-a-key": b'{"\xc3\x28": 1}',
    "half-a-pair": b'{"agent_version": "\\ud800"}',
    "a-key-twice": b'{"secret": "00", "secret": "01"}',
    "a-huge-number": b'{"journal": {"seq": ' + b"9" * 400 + b', "sha256": ""}}',
    "deep": b'{"receipts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "zeros": b"\0" * 100,
    "a-bom": b"\xef\xbb\xbf{}",
    "empty": b"",
}


@pytest.mark.parametrize("path", ["enroll", "poll", "receipts"])
@pytest.mark.parametrize("name", HOSTILE)
async def test_no_body_surprises_the_controller(guest, path, name):
    response = await guest.post(path, HOSTILE[name])
    assert (response.status, response.content_type) == (400, "application/problem+json")


async def test_a_known_host_cannot_spoil_a_receipts_text(site, guest):
    for raw in (b'"\xff"', b'{"payload": "\xff"}', b"1", b"[" * 40 + b"]" * 40, b"null"):
        response = await guest.post("receipts", b'{"receipts": [' + raw + b"]}")
        assert response.status in (200, 400), await response.text()
        if response.status == 200:
            assert (await response.json())["stored"] == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"metrics_address": "http://["}, id="half-an-address"),
        pytest.param({"metrics_address": "http://a:b@c/"}, id="a-user-in-it"),
        pytest.param({"trust_version": 10**30}, id="beyond-the-stores-numbers"),
        pytest.param({"journal": {"seq": 2**63, "sha256": ""}}, id="a-seq-beyond-the-stores-numbers"),
        pytest.param({"wait_seconds": 51}, id="too-patient"),
        pytest.param({"wait_seconds": True}, id="true-for-a-number"),
        pytest.param({"journal": {"seq": -1, "sha256": ""}}, id="below-nothing"),
    ],
)
async def test_what_a_host_says_is_checked(site, guest, changed):
    response = await guest.post("poll", guest.poll_body(**changed))
    assert (response.status, response.content_type) == (400, "application/problem+json")


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("content", [b"[" * 2000, b'{"iss":' * 400, b"\xff", b"1" * 3000, b"null"])
async def test_no_part_of_a_token_surprises_the_controller(guest, part, content):
    parts = guest.token(b"{}").split(".")
    parts[part] = b64url(content)
    response = await guest.post("poll", b"{}", ".".join(parts))
    assert response.status == 401


@pytest.mark.parametrize("audience", [["demo"], ["demo", "other"], None, "Demo", "demo\0"])
async def test_only_this_audience_is_this_audience(guest, audience):
    body = guest.poll_body()
    response = await guest.post("poll", body, guest.token(body, aud=audience))
    assert (await response.json())["title"] == "wrong_audience"


async def test_the_public_key_is_no_secret_to_sign_with(guest):
    """RFC 8725, section 2.1: a verifier that takes the key's bytes for an HMAC secret believes everybody."""
    body = guest.poll_body()
    head, claims, _ = guest.token(body, header={"alg": "HS256"}).split(".")
    mac = hmac.digest(guest.transport.public.raw, f"{head}.{claims}".encode(), "sha256")
    response = await guest.post("poll", body, f"{head}.{claims}.{b64url(mac)}")
    assert (await response.json())["title"] == "bad_signature"


async def test_another_hosts_key_speaks_for_itself_alone(site, guest, client, clock):
    other = Guest(client, clock, name="db-01", transport=SigningKey.generate(b"d" * 32))
    assert (await other.enroll(allow(site, "db-01", b"d" * 32))).status == 200
    body = other.poll_body()
    response = await other.post("poll", body, other.token(body, iss=guest.host_id, sub=guest.host_id))
    assert (await response.json())["title"] == "bad_signature"


async def test_a_clock_that_was_set_back_does_not_lock_hosts_out(guest, clock):
    clock.now -= 3600  # the machine started with a wrong clock, then heard the right time
    await guest.poll()
    body = guest.poll_body()
    early = guest.token(body, iat=int(clock.now) - 1, exp=int(clock.now) + 20)
    assert (await (await guest.post("poll", body, early)).json())["title"] == "expired"


async def test_an_undelivered_action_is_given_again_after_the_clock_went_back(site, guest, clock):
    action = queue(site, guest.host_id)
    await guest.poll()
    clock.now -= 3600
    assert opened((await guest.poll())["deliveries"][0]).id == action.id
