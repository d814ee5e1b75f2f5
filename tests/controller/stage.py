"""A controller on a simulated Keycloak, as tests of plan, apply and the command line need it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.app import Controller
from controller.config import Configuration
from controller.policy.parse import parse
from lab.keycloak.model import Keycloak
from lab.keycloak.server import FAULTS, REQUESTS, FaultSwitch, serve
from lab.serving import serve_in_thread

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from controller.plan.change import Outcome
    from controller.policy.model import Policy
    from controller.reconcile.passes import Planned

DAY = 86_400
NOON = 1_767_268_800  # 2026-01-01 12:00 UTC


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """The simulated server's state beside a controller's configuration."""

    url: str
    keycloak: Keycloak
    requests: Counter[str]
    faults: FaultSwitch
    folder: Path
    clock: Clock

    @property
    def config(self) -> Path:
        return self.folder / "controller.yaml"

    def configure(self, **more: Any) -> None:
        settings = {
            "instance": "stage",
            "owners": ["prod"],
            "data": "state",
            "keycloak": {"url": self.url, "username": "admin", "password_file": "password"},
            **more,
        }
        self.config.write_text(json.dumps(settings))
        (self.folder / "password").write_text("admin\n")

    def controller(self) -> Controller:
        return Controller(Configuration.load(self.config, {}), clock=self.clock)

    def plan(self, policy: Policy, targets: Sequence[str] = ()) -> Planned:
        with self.controller() as controller:
            return controller.plan(policy, targets)

    def apply(self, policy: Policy) -> list[Outcome]:
        with self.controller() as controller, controller.lease("test") as lease:
            planned = controller.plan(policy)
            return controller.apply(planned, actor="test", term=lease.term)

    @property
    def writes(self) -> int:
        """How many requests asked the server to write, logins aside."""
        return sum(
            count
            for request, count in self.requests.items()
            if not request.startswith("GET") and "/protocol/" not in request
        )


@contextmanager
def staged(folder: Path, keycloak: Keycloak | None = None) -> Iterator[Stage]:
    """Serve a Keycloak, empty but for master unless one is given, and configure a controller for it."""
    clock = Clock()
    held = keycloak or Keycloak(seed=1, clock=clock)
    app = serve(held)
    with serve_in_thread(app) as url:
        stage = Stage(url, held, app[REQUESTS], app[FAULTS], folder, clock)
        stage.configure()
        yield stage


def policy_of(text: str, *, settings: str = "") -> Policy:
    """A policy of two files, owned by `prod`."""
    files = {"policy.yaml": f"version: 1\nowner: prod\n{settings}".encode(), "all.yaml": text.encode()}
    return parse(files, "")


SMALL = """
realm: {name: acme, brute_force: {failures: 5, lockout: 15m}}
roles:
  viewer: {description: may look}
  power-user: {description: may act, includes: [viewer]}
users:
  jo: {email: jo@example.org, first_name: Jo, last_name: Doe, roles: [power-user], mfa: required}
  al: {email: al@example.org, roles: [viewer]}
"""
