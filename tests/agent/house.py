"""A host for tests: its owner's agent.yaml, a controller's keys and trust, and a real executor process."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent import verbs
from agent.errors import AgentError
from agent.executor_client import ask
from agent.files import make_directory, write_atomically
from agent.identity import Identity
from agent.journal import Journal
from protocol import dsse
from protocol.documents import Action, Delivery, Receipt, TrustBundle, TrustDocument
from protocol.keys import SigningKey
from protocol.receipts import GENESIS, Head, head_of, verify_receipt

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid() -> str:
    return "0" + "".join(secrets.choice(ALPHABET) for _ in range(25))


def signing_key() -> SigningKey:
    return SigningKey.generate(os.urandom(32))


def role(key: SigningKey) -> dict[str, Any]:
    return {"keys": [key.public.as_json()], "threshold": 1}


@dataclass
class Authority:
    """The people's root key and the controller's signing key."""

    root: SigningKey = field(default_factory=signing_key)
    controller: SigningKey = field(default_factory=signing_key)
    admin: SigningKey = field(default_factory=signing_key)

    def trust(
        self,
        version: int = 1,
        *,
        pins: tuple[str, ...] = (),
        controller: SigningKey | None = None,
        days: int = 20,
    ) -> dsse.Envelope:
        fields = {
            "approver_admin": role(self.admin),
            "ca_pins": list(pins),
            "controller": role(controller or self.controller),
            "expires_at": int(time.time()) + days * 86_400,
            "root": role(self.root),
            "version": version,
        }
        return dsse.sign(TrustDocument.from_value(fields).to_payload(), dsse.TRUST, [self.root])

    def bundle(self, *steps: dsse.Envelope) -> TrustBundle:
        chain = steps or (self.trust(),)
        return TrustBundle(
            hashlib.sha256(chain[0].payload).hexdigest(), tuple(step.as_json() for step in chain)
        )

    def delivery(
        self,
        host_id: str,
        kind: str = "host.ping",
        args: Mapping[str, Any] | None = None,
        *,
        key: SigningKey | None = None,
        **changes: Any,
    ) -> bytes:
        """An action that is valid now, as it travels; `seq` is by default the time in microseconds."""
        now = int(time.time())
        fields = {
            "args": dict(args or {}),
            "expires_at": now + 600,
            "host_id": host_id,
            "id": ulid(),
            "issued_at": now,
            "kind": kind,
            "not_before": now,
            "policy_commit": "5f" * 20,
            "seq": time.time_ns() // 1000,
            "trust_version": 1,
        } | changes
        payload = Action.from_value(fields).to_payload()
        return Delivery(dsse.sign(payload, dsse.ACTION, [key or self.controller])).encode()


@dataclass
class House:
    """A host's files, as enrolment leaves them."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    host_id: str = field(default_factory=ulid)
    receipt_key: SigningKey = field(default_factory=signing_key)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings = {
            "state": str(self.state),
            "socket": str(self.socket),
            "metrics": {"listen": "127.0.0.1:0"},
            "limits": {"kinds": {"host.ping": {}, "backup.run": {"sets": ["*"], "repositories": ["*"]}}},
            "executor": {"reserve_mib": 1},
        } | self.settings
        self.write_settings()

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        return self.folder / "x.sock"

    @property
    def config(self) -> Path:
        return self.folder / "agent.yaml"

    @property
    def journal(self) -> Path:
        return self.state / "executor" / "journal.sqlite"

    def write_settings(self, **changes: Any) -> None:
        """JSON is YAML."""
        self.settings |= changes
        write_atomically(self.config, json.dumps(self.settings).encode(), mode=0o644)

    def enroll(self, bundle: TrustBundle | None = None) -> "House":
        executor = self.state / "executor"
        make_directory(self.state, 0o755)
        make_directory(executor, 0o700)
        Journal.create(self.journal, self.host_id).close()
        identity = Identity(self.host_id, "web1", "demo", "https://127.0.0.1:1")
        write_atomically(executor / "receipt.pem", self.receipt_key.to_pem())
        write_atomically(executor / "trust.json", (bundle or self.authority.bundle()).encode())
        write_atomically(executor / "identity.json", identity.encode())
        return self

    def delivery(
        self, kind: str = "host.ping", args: Mapping[str, Any] | None = None, **changes: Any
    ) -> bytes:
        host_id = changes.pop("host_id", self.host_id)
        return self.authority.delivery(host_id, kind, args, **changes)

    def ask(self, question: verbs.Ask) -> verbs.Answered:
        return ask(self.socket, question)

    def deliver(self, delivery: bytes, wait_seconds: float = 30.0) -> verbs.Answered:
        return self.ask(verbs.Deliver(delivery, wait_seconds))

    def receipts(self, since: int = 0) -> list[Receipt]:
        """All receipts after a number; the whole chain is verified when it is read from the start."""
        envelopes = self.ask(verbs.AskReceipts(since)).receipts
        previous: Head | None = None if since else GENESIS
        found = []
        for envelope in envelopes:
            receipt = verify_receipt(
                dsse.parse_envelope(envelope), key=self.receipt_key.public, previous=previous
            )
            previous = head_of(receipt)
            found.append(receipt)
        return found

    def status(self) -> verbs.Status:
        status = self.ask(verbs.AskStatus()).status
        assert status is not None
        return status


class ExecutorProcess:
    """`steward-agent executor` as a process of its own; a context manager that always ends it."""

    def __init__(self, house: House, *, environ: Mapping[str, str] | None = None) -> None:
        self.house = house
        self._environ = {**os.environ, **(environ or {})}

    def __enter__(self) -> "ExecutorProcess":
        self._log = (self.house.folder / "executor.log").open("ab")
        self.process = subprocess.Popen(
            (sys.executable, "-m", "agent.cli", "executor", "--config", str(self.house.config)),
            env=self._environ,
            stderr=self._log,
        )
        self.await_ready()
        return self

    def await_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.house.status()
            except AgentError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.house.folder / "executor.log").read_text()) from None
                os.sched_yield()
            else:
                return

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self._log.close()


def outcome(receipt: Receipt) -> tuple[str, str]:
    return receipt.outcome, receipt.reason or ""
