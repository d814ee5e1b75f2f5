"""The state of a simulated data centre: everything that requests read and change."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.proxmox.accounts import Accounts
from lab.proxmox.realms import Passwords, Realms
from lab.proxmox.tasks import Tasks
from lab.proxmox.tickets import Tickets

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.proxmox.api import Request
    from lab.proxmox.environment import Environment

__all__ = ["Datacenter", "Faults"]


@dataclass
class Faults:
    """What goes wrong on demand: `down` drops connections, `malformed` spoils bodies.

    `lost_answers` is how many writes from now on are carried out while their answer gets lost between nodes.
    `refused` are paths that are answered as if the privilege beside them were missing: (path, privilege).
    """

    latency_seconds: float = 0.0
    down: bool = False
    malformed: bool = False
    lost_answers: int = 0
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass
class Datacenter:
    """One cluster. `now` is the clock, in seconds since the epoch; tests bring their own.

    `requests` counts what was asked; `journal`, where somebody puts a list there, keeps it with parameters.
    """

    environment: Environment
    now: Callable[[], float]
    accounts: Accounts = field(default_factory=Accounts)
    realms: Realms = field(default_factory=Realms)
    passwords: Passwords = field(default_factory=Passwords)
    tickets: Tickets = field(default_factory=Tickets)
    token_values: dict[str, str] = field(default_factory=dict)
    tasks: Tasks = field(default_factory=Tasks)
    backup_jobs: dict[str, dict[str, object]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    faults: Faults = field(default_factory=Faults)
    journal: list[Request] | None = None

    @property
    def cluster_name(self) -> str:
        """The cluster's name; empty for one that has none."""
        return self.environment.cluster_name

    @property
    def local_node(self) -> str:
        """The node that answers: the first one."""
        return next(iter(self.environment.nodes))

    def is_enabled(self, userid: str) -> bool:
        """Whether the user exists, is enabled and not expired."""
        user = self.accounts.users.get(userid)
        if user is None or not user.enable:
            return False
        expire = int(user.expire or 0)
        return expire == 0 or expire >= self.now()

    def is_valid_token(self, full: str, value: str) -> bool:
        """Whether this is the token's value and neither it nor its user is disabled or expired."""
        userid, _, name = full.partition("!")
        if not self.is_enabled(userid) or name not in self.accounts.users[userid].tokens:
            return False
        expire = int(self.accounts.users[userid].tokens[name].expire or 0)
        if expire and expire < self.now():
            return False
        return secrets.compare_digest(self.token_values.get(full, "").encode(), value.encode())

    def forget_tokens(self, userid: str) -> None:
        """Drop the values of all tokens of a user."""
        for full in [full for full in self.token_values if full.startswith(f"{userid}!")]:
            del self.token_values[full]

    def proxy_failure(self, node: str) -> tuple[int, str] | None:
        """Status and reason of a request for a node that does not answer; None where it does."""
        found = self.environment.nodes[node]
        if node == self.local_node or (found.online and not found.hangs):
            return None
        return (596, "Connection timed out") if found.online else (595, "Connection refused")
