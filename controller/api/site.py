"""What every handler needs, in one value.

The store, the keys' users, the metrics and what the service knows.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from aiohttp import web

from controller.named_hosts import UNREAD, NamedHosts
from controller.signing import new_ulid

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from controller.api.metrics import Metrics
    from controller.api.tokens import AgentTokens
    from controller.api.wakeups import Wakeups
    from controller.signing import ActionSigner
    from controller.store import Lease, Store
    from controller.trust import TrustFolder

__all__ = ["PlannedChange", "Site", "Situation", "put_site", "site_of"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class PlannedChange:
    """One change of the newest plan, as the status page shows it.

    `title` is what people call the object where its key is the system's own, `author` who made it differ and
    when.
    """

    system: str
    section: str
    key: str
    operation: str
    fields: tuple[tuple[str, str, str], ...]
    reason: str
    source: str
    title: str = ""
    author: str = ""


@dataclass
class Situation:
    """What the service knows just now. Written on the event loop only, by the service.

    Read by the status page.

    `commit` is the policy in force, `newest` the branch's head; `fault` is one of metrics.POLICY_FAULTS
    with its `fault_lines` for people. Times are seconds since 1970 UTC.
    """

    started_at: int = 0
    commit: str = ""
    newest: str = ""
    fault: str = ""
    fault_lines: tuple[str, ...] = ()
    fetched_at: int | None = None
    planned_at: int | None = None
    plan: tuple[PlannedChange, ...] = ()
    reports: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    pass_error: str = ""
    last_success_at: int | None = None
    applies: bool = True
    named_hosts: NamedHosts = UNREAD
    lease: Lease | None = None
    lease_note: str = ""
    checkpoint: str = ""
    checkpoint_seq: int = 0
    dependencies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """One controller's service, as its handlers see it. Store calls go through `call`, off the event loop."""

    instance: str
    version: str
    url: str
    store: Store
    trust: TrustFolder
    signer: ActionSigner
    tokens: AgentTokens
    metrics: Metrics
    wakeups: Wakeups
    situation: Situation
    clock: Callable[[], float]
    executor: Executor
    ca_certificate: bytes
    sd_token: str = field(repr=False)
    on_reconcile: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        return int(self.clock())

    def new_id(self) -> str:
        """A new ULID."""
        return new_ulid(int(self.clock() * 1000), secrets.token_bytes(10))

    async def call(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Do blocking work on the service's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, lambda: work(*args, **kwargs))


_KEY: web.AppKey[Any] = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """The site that a request came to."""
    found: Site = request.app[_KEY]
    return found


def put_site(app: web.Application, site: Site) -> None:
    """Tell an application which site it serves."""
    app[_KEY] = site
