"""A host as the wire sees it: real keys, tokens and receipts; and a controller's site for it to talk to."""

from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.api.metrics import Metrics
from controller.api.site import Site, Situation
from controller.api.tokens import AgentTokens
from controller.api.wakeups import Wakeups
from controller.datafolder import DataFolder
from controller.named_hosts import NamedHosts
from controller.plan.plan import SECTIONS
from controller.signing import ActionSigner, Order
from controller.store import Store
from controller.trust import first_document, next_document, sign_document
from protocol.documents import Action, Receipt
from protocol.keys import SigningKey
from protocol.kinds import KINDS
from protocol.receipts import GENESIS, Head, build, head_of

if TYPE_CHECKING:
    from pathlib import Path

    from controller.store import StoredAction
    from protocol.dsse import Envelope

NOON = 1_767_268_800
ROOT = SigningKey.generate(b"r" * 32)


@dataclass
class Clock:
    """Seconds since 1970, moved by hand."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


class Watched(Wakeups):
    """Tells a test that somebody has begun to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def wait(self, name: str, ticket: int, timeout_seconds: float) -> bool:
        if timeout_seconds > 0:
            self.begun.set()
        return await super().wait(name, ticket, timeout_seconds)


def make_site(folder: Path, clock: Clock) -> Site:
    """A site with keys and a trust document of its own, holding the lease."""
    data = DataFolder(folder / "state")
    data.create("demo", ["127.0.0.1"], now=NOON)
    first = first_document(ROOT.public, data.public_key("signing"), [], now=NOON)
    data.trust.add(sign_document(first, ROOT))
    store = Store.open(f"sqlite:///{folder}/state/steward.db", chain="demo", clock=clock)
    situation = Situation(
        started_at=NOON,
        lease=store.lease.acquire("test", 10**6, NOON),
        named_hosts=NamedHosts({"web-01": {"site": "par1"}}),
    )
    return Site(
        instance="demo",
        version="0",
        url="https://127.0.0.1",
        store=store,
        trust=data.trust,
        signer=ActionSigner(
            data.signer("signing"), trust_version=data.trust.version, policy_commit=lambda: ""
        ),
        tokens=AgentTokens("demo", started_at=NOON),
        metrics=Metrics(resources=SECTIONS, kinds=KINDS),
        wakeups=Watched(),
        situation=situation,
        clock=clock,
        executor=ThreadPoolExecutor(4),
        ca_certificate=data.ca_certificate(),
        sd_token="prometheus-token",
    )


def renew_trust(site: Site, controller: SigningKey) -> None:
    """One more trust document, that names another controller key."""
    document = next_document(site.trust.last(), controller.public, [], now=NOON)
    site.trust.add(sign_document(document, ROOT))


def queue(site: Site, host_id: str, kind: str = "host.ping") -> StoredAction:
    """Sign and queue an action, as the local API does."""
    order = Order(host_id, kind, {})

    def sign(seq: int) -> Any:
        return site.signer.sign(order, action_id=site.new_id(), seq=seq, now=site.now())

    queued = site.store.actions.queue(
        host_id, sign, created_by="test", term=site.situation.lease.term, now=site.now()
    )
    site.wakeups.ring(host_id)
    return queued


def allow(site: Site, name: str, secret: bytes = b"s" * 32, ttl_seconds: int = 600) -> str:
    """Let a host in; the secret as the token carries it."""
    digest = hashlib.sha256(secret).hexdigest()
    site.store.hosts.allow(digest, name=name, created_by="test", now=site.now(), ttl_seconds=ttl_seconds)
    return secret.hex()


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Guest:
    """One host. `client` is anything with aiohttp's `post`."""

    client: Any
    clock: Clock
    name: str = "web-01"
    transport: SigningKey = field(default_factory=lambda: SigningKey.generate(b"t" * 32))
    receipts: SigningKey = field(default_factory=lambda: SigningKey.generate(b"p" * 32))
    host_id: str = ""
    head: Head = GENESIS
    tokens: int = 0

    async def enroll(self, secret: str, **changed: Any) -> Any:
        body = {
            "secret": secret,
            "host_name": self.name,
            "transport_key": b64encode(self.transport.public.raw).decode(),
            "receipt_key": b64encode(self.receipts.public.raw).decode(),
            "agent_version": "1.0",
            **changed,
        }
        response = await self.client.post("/agent/v1/enroll", json=body)
        if response.status == 200:
            self.host_id = (await response.json())["host_id"]
        return response

    def token(self, body: bytes, *, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A token for a body; `changed` claims replace ours, None leaves one out."""
        self.tokens += 1
        now = int(self.clock.now)
        claims = {
            "iss": self.host_id,
            "sub": self.host_id,
            "aud": "demo",
            "iat": now,
            "exp": now + 60,
            "jti": f"{self.name}-token-{self.tokens}",
            "body_sha256": hashlib.sha256(body).hexdigest(),
            **changed,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        head = {"alg": "EdDSA", "typ": "steward-agent+jwt", **(header or {})}
        signed = f"{b64url(json.dumps(head).encode())}.{b64url(json.dumps(kept).encode())}"
        return f"{signed}.{b64url(self.transport.sign(signed.encode()))}"

    def poll_body(self, **changed: Any) -> bytes:
        body = {
            "agent_version": "1.0",
            "trust_version": 1,
            "approvers_version": 0,
            "journal": {"seq": self.head.seq, "sha256": self.head.sha256},
            "wait_seconds": 0,
            "metrics_address": "http://10.0.0.1:9095",
            **changed,
        }
        return json.dumps(body).encode()

    async def post(self, path: str, body: bytes, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token(body) if token is None else token}"}
        return await self.client.post(f"/agent/v1/{path}", data=body, headers=headers)

    async def poll(self, **changed: Any) -> Any:
        response = await self.post("poll", self.poll_body(**changed))
        assert response.status == 200, await response.text()
        return await response.json()

    def receipt(self, action: StoredAction, **changed: Any) -> Envelope:
        """The next receipt of this host's chain, for an action."""
        now = int(self.clock.now)
        known = {
            "action_sha256": action.action_sha256,
            "agent_version": "1.0",
            "approvers": (),
            "finished_at": now,
            "host_id": self.host_id,
            "id": action.id,
            "limits_sha256": "00" * 32,
            "outcome": "done",
            "previous_sha256": self.head.sha256 or None,
            "seq": self.head.seq + 1,
            "trust_version": 1,
        }
        receipt = Receipt(**(known | changed))
        previous = Head(receipt.seq - 1, receipt.previous_sha256 or "")
        envelope = build(receipt, previous=previous, signer=self.receipts)
        self.head = head_of(receipt)
        return envelope

    async def send(self, *envelopes: Envelope) -> list[str]:
        body = json.dumps({"receipts": [envelope.as_json() for envelope in envelopes]}).encode()
        response = await self.post("receipts", body)
        assert response.status == 200, await response.text()
        return (await response.json())["stored"]


def opened(delivery: dict[str, Any]) -> Action:
    """The action inside a delivery."""
    from protocol.documents import Delivery

    return Action.from_payload(Delivery.parse(json.dumps(delivery).encode()).action.payload)
