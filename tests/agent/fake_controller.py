"""A controller for tests: the four endpoints over real TLS, checked with protocol code, state in memory.

It checks what a controller has to check (JWT, body hash, token, receipts' chain) and remembers all requests.
"""

import asyncio
import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.tls import spki_sha256
from lab.tls import Authority as Certificates
from protocol import dsse
from protocol.documents import Receipt, TrustBundle
from protocol.enrolment import (
    EnrolBody,
    EnrolmentToken,
    PollBody,
    ReceiptsBody,
    decode_body,
)
from protocol.keys import PublicKey
from protocol.receipts import GENESIS, Head, head_of, verify_receipt
from tests.agent.house import Authority, ulid

AUDIENCE = "demo"


class FakeController:
    """Holds one host; an asynchronous context manager while it answers. It can go away and come back."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.authority = authority
        self.certificates = Certificates.create(folder)
        self.ca_pem = self.certificates.ca_file.read_bytes()
        self.steps = [authority.trust(pins=(spki_sha256(self.ca_pem),))]
        self.secret = os.urandom(32).hex()
        self.spent = False
        self.host_id = ""
        self.transport_key: PublicKey | None = None
        self.receipt_key: PublicKey | None = None
        self.head: Head = GENESIS
        self.receipts: list[Receipt] = []
        self.queue: dict[str, bytes] = {}
        """SHA-256 of an action → its delivery, until its receipt is stored."""
        self.always: list[bytes] = []
        """Delivered in the next answer whatever is stored: replays, and junk."""
        self.bodies: list[tuple[int, bytes]] = []
        """Status and bytes of the next answers to polls, whatever they are."""
        self.checkpoint = b""
        self.polls: list[PollBody] = []
        self.refused: list[str] = []
        self.port = 0
        self._jti: set[str] = set()
        self.changed = asyncio.Condition()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def bundle(self) -> TrustBundle:
        return self.authority.bundle(*self.steps)

    def token(self, **changes: str) -> str:
        fields = {
            "address": self.address,
            "ca_sha256": spki_sha256(self.ca_pem),
            "host_name": "web1",
            "root_sha256": self.bundle.root_sha256,
            "secret": self.secret,
        } | changes
        return EnrolmentToken(**fields).encode()

    async def __aenter__(self) -> "FakeController":
        application = web.Application(client_max_size=1 << 20)
        application.add_routes(
            [
                web.get("/agent/v1/ca", self._ca),
                web.post("/agent/v1/enroll", self._enroll),
                web.post("/agent/v1/poll", self._poll),
                web.post("/agent/v1/receipts", self._receipts),
            ]
        )
        context = self.certificates.server_context()
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def enqueue(self, delivery: bytes) -> str:
        payload = base64.b64decode(json.loads(delivery)["action"]["payload"])
        sha256 = hashlib.sha256(payload).hexdigest()
        async with self.changed:
            self.queue[sha256] = delivery
            self.changed.notify_all()
        return sha256

    async def wait_until(self, true: Any) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(true)

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(body=self.ca_pem, content_type="application/x-pem-file")

    async def _enroll(self, request: web.Request) -> web.Response:
        body = decode_body(await request.read(), EnrolBody)
        if self.spent or body.secret != self.secret:
            return problem(403, "token", "unknown or used already")
        self.spent = True
        self.host_id = ulid()
        self.transport_key = PublicKey.from_base64(body.transport_key)
        self.receipt_key = PublicKey.from_base64(body.receipt_key)
        return web.json_response(
            {"host_id": self.host_id, "audience": AUDIENCE, "trust": self.bundle.as_json()}
        )

    async def _poll(self, request: web.Request) -> web.Response:
        data = await request.read()
        if (refusal := self._unauthorized(request, data)) is not None:
            return refusal
        body = decode_body(data, PollBody)
        async with self.changed:
            self.polls.append(body)
            self.changed.notify_all()
            try:
                async with asyncio.timeout(body.wait_seconds):
                    await self.changed.wait_for(lambda: self._waiting(body))
            except TimeoutError:
                pass
            return self._answer(body)

    def _waiting(self, body: PollBody) -> bool:
        return bool(self.queue or self.always or self.bodies) or len(self.steps) > body.trust_version

    def _answer(self, body: PollBody) -> web.Response:
        if self.bodies:
            status, text = self.bodies.pop(0)
            return web.Response(body=text, status=status, content_type="application/json")
        deliveries = [*self.queue.values(), *self.always]
        self.always.clear()
        trust = [step.as_json() for step in self.steps[body.trust_version :]]
        text = b'{"deliveries":[' + b",".join(deliveries) + b'],"trust":' + json.dumps(trust).encode()
        text += b',"checkpoint":' + self.checkpoint + b"}" if self.checkpoint else b"}"
        return web.Response(body=text, content_type="application/json")

    async def _receipts(self, request: web.Request) -> web.Response:
        data = await request.read()
        if (refusal := self._unauthorized(request, data)) is not None:
            return refusal
        stored = []
        assert self.receipt_key is not None
        async with self.changed:
            for raw in decode_body(data, ReceiptsBody).receipts:
                envelope = dsse.parse_envelope(bytes(raw))
                receipt = verify_receipt(envelope, key=self.receipt_key, previous=None)
                if receipt.seq == self.head.seq + 1:
                    verify_receipt(envelope, key=self.receipt_key, previous=self.head)
                    self.head = head_of(receipt)
                    self.receipts.append(receipt)
                self.queue.pop(receipt.action_sha256, None)
                stored.append(receipt.id)
            self.changed.notify_all()
        return web.json_response({"stored": stored})

    def _unauthorized(self, request: web.Request, body: bytes) -> web.Response | None:
        why = self._jwt_problem(request.headers.get("Authorization", ""), body)
        if why is None:
            return None
        self.refused.append(why)
        return problem(401, "unauthorized", why)

    def _jwt_problem(self, header: str, body: bytes) -> str | None:
        scheme, _, token = header.partition(" ")
        parts = token.split(".")
        if scheme != "Bearer" or len(parts) != 3 or self.transport_key is None:
            return "no token"
        head, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts)
        if not self.transport_key.verify(signature, ".".join(parts[:2]).encode()):
            return "bad signature"
        said, now = json.loads(claims), int(time.time())
        if json.loads(head) != {"alg": "EdDSA", "typ": "steward-agent+jwt"}:
            return "bad header"
        if (said["iss"], said["sub"], said["aud"]) != (self.host_id, self.host_id, AUDIENCE):
            return "bad names"
        if said["exp"] - said["iat"] > 60 or not said["iat"] - 5 <= now <= said["exp"]:
            return "bad time"
        if said["jti"] in self._jti or said["body_sha256"] != hashlib.sha256(body).hexdigest():
            return "replayed or another body"
        self._jti.add(said["jti"])
        return None


def problem(status: int, title: str, detail: str) -> web.Response:
    return web.json_response(
        {"title": title, "detail": detail}, status=status, content_type="application/problem+json"
    )
