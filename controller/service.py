"""Builds the service from controller.yaml: which keys, which clock, which systems.

Nothing is started here.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from controller.api.metrics import Metrics
from controller.api.site import Site, Situation
from controller.api.tokens import AgentTokens
from controller.api.wakeups import Wakeups
from controller.app import Controller
from controller.datafolder import DataFolder
from controller.doors import Listening
from controller.errors import ControllerError
from controller.following import PolicyFollower, read_policy
from controller.gitops import PolicyRepository
from controller.leadership import Leadership, LeaseTiming
from controller.named_hosts import BY_ENROLMENT, UNREAD, NamedHosts
from controller.pacing import too_seldom_for_idleness
from controller.plan.plan import SECTIONS
from controller.policy import PolicyErrors
from controller.reconciling import Reconciler
from controller.serve import Intervals, Service
from controller.signing import ActionSigner
from controller.store import Store
from protocol.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.config import Configuration
    from controller.policy import Policy

__all__ = [
    "Built",
    "build_service",
    "data_folder",
    "holder_name",
    "named_hosts",
    "policy_in_force",
    "policy_repository",
    "server_names",
]

_THREADS = 16
_log = structlog.get_logger("steward.serve")


@dataclass(frozen=True)
class Built:
    """A service that can be run, and what has to be closed afterwards."""

    service: Service
    site: Site

    def close(self) -> None:
        """Close the store and end the threads."""
        self.site.executor.shutdown(wait=True)
        self.site.store.close()


def build_service(configuration: Configuration, *, clock: Callable[[], float] = time.time) -> Built:
    """The service of a configuration; raises ControllerError where a key, a file or the store is missing."""
    data = data_folder(configuration)
    store = Store.open(configuration.store_url, chain=configuration.instance, clock=clock)
    try:
        return _built(configuration, data, store, clock)
    except BaseException:
        store.close()
        raise


def _built(configuration: Configuration, data: DataFolder, store: Store, clock: Callable[[], float]) -> Built:
    seldom = too_seldom_for_idleness(configuration.reconcile.interval)
    if seldom:
        _log.warning("idle_shutdown does nothing", reason=seldom)
    timing = LeaseTiming()
    leadership = Leadership(store, holder_name("serve"), timing, clock=clock, monotonic=time.monotonic)
    site = _site(configuration, data, store, clock)
    reconciler = Reconciler(
        lambda: Controller(configuration, clock=clock),
        store,
        leadership,
        applies=configuration.policy.apply,
        new_id=site.new_id,
        is_stopping=site.wakeups.is_closed,
    )
    service = Service(
        site,
        listening=_listening(configuration, data, clock),
        intervals=Intervals(
            policy=configuration.policy.interval.total_seconds(),
            reconcile=configuration.reconcile.interval.total_seconds(),
            lease=timing.loop_wait,
        ),
        leadership=leadership,
        follower=_follower(configuration, data, store, clock),
        reconciler=reconciler,
        audit_signer=data.signer("audit"),
        recorded_commit=next((run.commit for run in store.runs.latest(1)), ""),
    )
    site.on_reconcile.append(service.wake)
    return Built(service, site)


def data_folder(configuration: Configuration) -> DataFolder:
    """The data folder that controller.yaml names."""
    return DataFolder(configuration.file(configuration.data))


def policy_repository(configuration: Configuration, data: DataFolder) -> PolicyRepository:
    """The mirror of the policy's repository; a path in controller.yaml starts from its folder."""
    git = configuration.policy
    source = git.git if _is_address(git.git) else str(configuration.file(git.git))
    return PolicyRepository(data.mirror, source, git.branch)


def named_hosts(configuration: Configuration, data: DataFolder, store: Store) -> NamedHosts:
    """Which hosts may be given work by the commit that was obeyed last; for commands without a service.

    Raises ControllerError where that commit cannot be read any more, or not by this version.
    """
    if not configuration.policy.git:
        return BY_ENROLMENT
    policy = policy_in_force(configuration, data, store)
    return UNREAD if policy is None else NamedHosts.of(policy)


def policy_in_force(configuration: Configuration, data: DataFolder, store: Store) -> Policy | None:
    """The policy of the commit that was obeyed last; None where no Git is followed, or nothing was obeyed.

    Raises ControllerError where that commit cannot be read any more, or not by this version.
    """
    last = store.commits.last_applied()
    if not configuration.policy.git or not last:
        return None
    repository = policy_repository(configuration, data)
    try:
        return read_policy(repository, last, configuration.policy.folder)
    except PolicyErrors as error:
        raise ControllerError(f"the policy in force, {last[:12]}, is not valid for this version") from error


def holder_name(purpose: str) -> str:
    """How this process signs the lease row: purpose, machine and process id."""
    return f"{purpose}@{socket.gethostname()}:{os.getpid()}"


def server_names(url: str, listen: str) -> list[str]:
    """The names that the server certificate must speak for.

    Those of the URL, the address, and this machine.
    """
    host, _ = _address(listen)
    names = [urlsplit(url).hostname or "localhost", "localhost", "127.0.0.1"]
    if host not in ("", "0.0.0.0", "::"):  # noqa: S104 - told apart, not bound
        names.append(host)
    return list(dict.fromkeys(names))


def _site(configuration: Configuration, data: DataFolder, store: Store, clock: Callable[[], float]) -> Site:
    now = int(clock())
    seq, envelope = store.audit.last_checkpoint()
    situation = Situation(
        started_at=now,
        applies=configuration.policy.apply,
        named_hosts=UNREAD if configuration.policy.git else BY_ENROLMENT,
        checkpoint=envelope,
        checkpoint_seq=seq,
    )
    signer = ActionSigner(
        data.signer("signing"), trust_version=data.trust.version, policy_commit=lambda: situation.commit
    )
    token_file = configuration.sd_token_file
    return Site(
        instance=configuration.instance,
        version=metadata.version("steward-infra"),
        url=configuration.url,
        store=store,
        trust=data.trust,
        signer=signer,
        tokens=AgentTokens(configuration.instance, started_at=now),
        metrics=Metrics(resources=SECTIONS, kinds=KINDS),
        wakeups=Wakeups(),
        situation=situation,
        clock=clock,
        executor=ThreadPoolExecutor(_THREADS, thread_name_prefix="store"),
        ca_certificate=data.ca_certificate(),
        sd_token=configuration.secret(token_file) if token_file else "",
    )


def _listening(configuration: Configuration, data: DataFolder, clock: Callable[[], float]) -> Listening:
    names = server_names(configuration.url, configuration.listen)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def renew() -> None:
        certificate, key = data.server_files(names, now=int(clock()))
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError is one
            raise ControllerError(f"{certificate} and its key cannot be used: {error}") from error

    renew()
    host, port = _address(configuration.listen)
    return Listening(host, port, context, data.socket, renew)


def _follower(
    configuration: Configuration, data: DataFolder, store: Store, clock: Callable[[], float]
) -> PolicyFollower | None:
    if not configuration.policy.git:
        return None
    repository = policy_repository(configuration, data)
    return PolicyFollower(repository, configuration.policy.folder, store.commits, clock=clock)


def _is_address(source: str) -> bool:
    """Whether Git would take it for an address: `scheme://…` or `user@host:path`."""
    return "://" in source or ":" in source.partition("/")[0]


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise ControllerError(f"listen: {listen!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
