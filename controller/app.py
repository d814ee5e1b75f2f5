"""Where the controller is put together: the only place that builds clients, planner, applier and store.

Everything is imported where it is used, so that a command pays for what it needs and no more.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.errors import ControllerError, Refused
from controller.pacing import unmeasured
from controller.plan.limits import DEFAULT_LIMITS
from controller.plan.plan import Gap, Report
from controller.reconcile.limits import FLOOR, POLICY, limits_of
from controller.reconcile.planner import Planner, Standing, System
from controller.resources.proxmox_clusters import check_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Self

    from controller.clients.keycloak import KeycloakReader
    from controller.clients.keycloak_connection import KeycloakAccess
    from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
    from controller.clients.proxmox_writer import ProxmoxWriter
    from controller.config import Configuration, Keycloak, Proxmox
    from controller.plan.change import Outcome
    from controller.plan.limits import Limits
    from controller.plan.plan import Plan
    from controller.policy.model import Policy
    from controller.power_values import InHand
    from controller.reconcile.applier import Applier, Target
    from controller.reconcile.passes import Planned
    from controller.reconcile.planner import Memory
    from controller.resources.power_jobs import Desk
    from controller.store import Lease, Store

__all__ = ["Controller", "keycloak_standing"]

_KEYCLOAK_CONCURRENCY = 16
_PROXMOX_CONCURRENCY = 3
_SQLITE = "sqlite:///"
_NOTHING_IN_HAND: Mapping[tuple[str, str], InHand] = MappingProxyType({})


class Controller:
    """One controller's parts, built when asked for and closed together. Not for several threads at once."""

    def __init__(self, configuration: Configuration, *, clock: Callable[[], float] = time.time) -> None:
        self.configuration = configuration
        self._clock = clock
        self._open = ExitStack()
        self._store: Store | None = None
        self._readers: dict[str, KeycloakReader] = {}
        self._proxmox_readers: dict[str, ProxmoxReader] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def check_owner(self, policy: Policy) -> None:
        """Raise Refused for a policy whose ownership mark controller.yaml does not allow."""
        owners = ", ".join(self.configuration.owners)
        if policy.owner not in self.configuration.owners:
            raise Refused(
                f"the policy is owned by {policy.owner!r}; this controller acts for {owners or 'nobody'}",
                hint="add it to owners in controller.yaml",
            )

    def check(self, policy: Policy) -> None:
        """Raise Refused for an owner that is not ours, PolicyErrors for a cluster that nobody knows."""
        self.check_owner(policy)
        if self.configuration.proxmox:
            realms = {name: one.realm for name, one in self.configuration.proxmox.items()}
            check_clusters(policy, realms)

    def planner(self, policy: Policy) -> Planner:
        """A planner over every system that controller.yaml names; its clients cannot write."""
        issuer = self.issuer(policy.realm.name if policy.realm is not None else "")
        return Planner(self._systems(policy), datetime.fromtimestamp(self._clock(), UTC), issuer=issuer)

    def issuer(self, realm: str) -> str:
        """The address of a realm, as it stands in its tokens; "" without a realm or a Keycloak."""
        settings = self.configuration.keycloak
        return f"{settings.url.rstrip('/')}/realms/{realm}" if settings is not None and realm else ""

    def plan(
        self,
        policy: Policy,
        targets: Sequence[str] = (),
        *,
        in_hand: Mapping[tuple[str, str], InHand] = _NOTHING_IN_HAND,
    ) -> Planned:
        """Observe and plan; the store is read meanwhile. `in_hand` is power carried out beside the passes."""
        from controller.reconcile.passes import plan_pass

        self.check(policy)
        with ThreadPoolExecutor(1, thread_name_prefix="memory") as pool:
            memory: Future[Memory] = pool.submit(self.memory, policy, in_hand)
            planned = plan_pass(self.planner(policy), policy, memory.result, targets)
        return replace(planned, plan=self.completed(planned.plan, policy))

    def completed(self, plan: Plan, policy: Policy) -> Plan:
        """The plan with what no pass can see: systems that policy or controller.yaml does not name."""
        if policy.realm is None and self.configuration.keycloak is not None:
            text = "the policy names no realm: Keycloak is left alone"
            plan = replace(plan, reported=(*plan.reported, Report("keycloak", "realm", "", text)))
        seldom = unmeasured(policy, self.configuration.reconcile.interval)
        return replace(
            plan,
            reported=(*plan.reported, *seldom),
            unobserved=(*plan.unobserved, *self._unserved(policy)),
        )

    def _unserved(self, policy: Policy) -> tuple[Gap, ...]:
        """What the policy speaks of and controller.yaml names no system for: nobody looks there."""
        said: list[Gap] = []
        if policy.realm is not None and self.configuration.keycloak is None:
            said.append(Gap("keycloak", "realm", "controller.yaml names no Keycloak"))
        if policy.machines and not self.configuration.proxmox:
            said.append(Gap("proxmox", "machines.assigned", "controller.yaml names no Proxmox"))
        return tuple(said)

    def memory(self, policy: Policy, in_hand: Mapping[tuple[str, str], InHand] = _NOTHING_IN_HAND) -> Memory:
        """What earlier passes left; a store that was never written is not made by reading."""
        from controller.reconcile.memory import remember

        store = self.store() if self._has_store() else None
        given, now = limits_of(policy.limits, POLICY), int(self._clock())
        return remember(store, owner=policy.owner, floor=self.floor(), given=given, now=now, in_hand=in_hand)

    def floor(self) -> Limits:
        """The brakes that no policy loosens."""
        given, default = limits_of(self.configuration.limits, FLOOR), DEFAULT_LIMITS
        if given.count is None and given.share is None:
            given = replace(given, count=default.count, share=default.share)
        is_silent = given.delete_after_days is None
        return replace(given, delete_after_days=default.delete_after_days) if is_silent else given

    def applier(self, policy: Policy, desk: Desk | None = None) -> Applier:
        """An applier with clients that write; slots of power are carried out only with a `desk`."""
        from controller.reconcile.applier import Applier

        return Applier(self._targets(policy, desk))

    def desk(
        self,
        *,
        actor: str,
        term: int,
        wait: Callable[[float], bool],
        ended: Counter[str],
        goes_on: Callable[[], bool] = lambda: True,
    ) -> Desk:
        """Where power is carried out from: slots are claimed under the lease's `term`.

        `wait` waits so many seconds and says False to end the pass; `goes_on` whether something may be sent
        still; `ended` counts how slots ended.
        """
        from controller.reconcile.powering import Ledger
        from controller.resources.power_jobs import Desk

        ledger = Ledger(self.store().power_slots, actor, term, self._clock, ended)
        return Desk(ledger, self._clock, wait, goes_on=goes_on)

    def record_notes(
        self, planned: Planned, *, actor: str, term: int, is_applied: bool = True
    ) -> Counter[str]:
        """Write down what a plan noted, under the lease's `term`; how many slots of power ended how.

        Of a plan that is not applied, by a brake or because we only report, what was measured alone.
        """
        from controller.reconcile.powering import record_notes
        from controller.resources.power_decisions import reading_of

        notes = planned.plan.notes
        if planned.refusals or not is_applied:
            notes = tuple(note for note in notes if reading_of(note) is not None)
        if not notes:
            return Counter()
        return record_notes(self.store(), notes, actor=actor, term=term, now=int(self._clock()))

    def apply(
        self,
        planned: Planned,
        *,
        actor: str,
        term: int,
        kind: str = "apply",
        commit: str = "",
        on_outcomes: Callable[[Sequence[Outcome]], None] | None = None,
        wait: Callable[[float], bool] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> list[Outcome]:
        """Carry out a plan under the lease's `term` and keep the record of it. Raises Braked.

        `wait` is how power waits for its tasks: it says False to be broken off; `tell` hears what goes on.
        """
        from controller.reconcile.passes import Act, apply_pass
        from controller.resources.proxmox_power_apply import waited
        from controller.signing import new_ulid

        run_id = new_ulid(int(self._clock() * 1000), os.urandom(10))
        act = Act(run_id, actor, term, kind, commit)
        policy = planned.policy
        desk = self.desk(actor=actor, term=term, wait=wait or waited, ended=Counter())
        applier = self.applier(policy, desk if tell is None else replace(desk, tell=tell))
        return apply_pass(planned, self.planner(policy), applier, self.store(), act, on_outcomes=on_outcomes)

    def lease(self, holder: str) -> AbstractContextManager[Lease]:
        """The right to write, for the length of a block. Raises LeaseHeld while it is somebody else's."""
        from controller.reconcile.holding import held

        return held(self.store().lease, holder, clock=self._clock)

    def store(self) -> Store:
        """The store, opened once; its folder is made where it is missing, readable by us alone."""
        if self._store is None:
            from controller.store import Store

            url = self.configuration.store_url
            if url.startswith(_SQLITE):
                Path(url.removeprefix(_SQLITE)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = Store.open(url, chain=self.configuration.instance, clock=self._clock)
            self._open.callback(self._store.close)
        return self._store

    def _has_store(self) -> bool:
        url = self.configuration.store_url
        return not url.startswith(_SQLITE) or Path(url.removeprefix(_SQLITE)).exists()

    def _systems(self, policy: Policy) -> list[System]:
        systems: list[System] = []
        settings = self.configuration.keycloak
        if settings is not None and policy.realm is not None:
            systems.append(self._keycloak_system(settings, policy.realm.name))
        return systems + [self._proxmox_system(name) for name in self.configuration.proxmox]

    def _keycloak_system(self, settings: Keycloak, realm: str) -> System:
        from controller.clients.keycloak_glance import KeycloakGlance
        from controller.resources.keycloak_history import authors
        from controller.resources.table import KEYCLOAK

        reader = self.keycloak_reader(realm)
        return System(
            name="keycloak",
            address=f"{settings.url.rstrip('/')}/realms/{realm}",
            realm=realm,
            reader=reader,
            resources=KEYCLOAK,
            glance=KeycloakGlance,
            standing=lambda: keycloak_standing(
                reader, own_client=settings.client_id or "admin-cli" if settings.auth_realm == realm else ""
            ),
            history=lambda changes: authors(reader, changes),
        )

    def keycloak_reader(self, realm: str) -> KeycloakReader:
        """The client that reads this realm; one for each. Raises ControllerError without a Keycloak."""
        settings = self.configuration.keycloak
        if settings is None:
            raise ControllerError("controller.yaml names no Keycloak")
        if realm not in self._readers:
            from controller.clients.keycloak import KeycloakReader

            reader = KeycloakReader(self._keycloak_access(settings), realm)
            self._readers[realm] = self._open.enter_context(reader)
        return self._readers[realm]

    def _keycloak_access(self, settings: Keycloak) -> KeycloakAccess:
        from controller.clients.keycloak_connection import KeycloakAccess

        configuration = self.configuration
        return KeycloakAccess(
            url=settings.url,
            auth_realm=settings.auth_realm,
            client_id=settings.client_id or "admin-cli",
            client_secret=configuration.secret(settings.client_secret_file)
            if settings.client_secret_file
            else "",
            username=settings.username,
            password=configuration.secret(settings.password_file) if settings.password_file else "",
            ca_file=configuration.authority(settings.ca_file),
        )

    def _targets(self, policy: Policy, desk: Desk | None) -> list[Target]:
        targets: list[Target] = []
        settings = self.configuration.keycloak
        if settings is not None and policy.realm is not None:
            targets.append(self._keycloak_target(settings, policy.realm.name))
        return targets + [self._proxmox_target(name, desk) for name in self.configuration.proxmox]

    def _keycloak_target(self, settings: Keycloak, realm: str) -> Target:
        from controller.clients.keycloak_writer import KeycloakWriter
        from controller.reconcile.applier import Target
        from controller.resources.table import KEYCLOAK

        access, resolve = self._keycloak_access(settings), self.configuration.resolve
        writer = self._open.enter_context(KeycloakWriter(access, realm, resolve=resolve))
        return Target("keycloak", writer, KEYCLOAK, _KEYCLOAK_CONCURRENCY)

    def _proxmox_system(self, cluster: str) -> System:
        from controller.clients.proxmox import ProxmoxReader
        from controller.resources.proxmox_power_history import power_history
        from controller.resources.proxmox_table import PROXMOX

        settings, name = self.configuration.proxmox[cluster], f"proxmox:{cluster}"
        reader = self.proxmox_reader(cluster)
        own_name, _, own_realm = reader.own_userid.rpartition("@")
        ourselves = {f"{name}/holders/{settings.token_id}", f"{name}/holders/{reader.own_userid}"}
        ourselves |= {f"{name}/users/{own_name}"} if own_realm == settings.realm else set()
        return System(
            name=name,
            address=settings.url.rstrip("/"),
            realm=settings.realm,
            reader=reader,
            resources=PROXMOX,
            standing=lambda: Standing(ourselves=frozenset(ourselves)),
            history=lambda changes: power_history(reader, changes),
            only_cluster=len(self.configuration.proxmox) == 1,
            glance=ProxmoxReader.glance,
        )

    def proxmox_reader(self, cluster: str) -> ProxmoxReader:
        """The client that reads this cluster of controller.yaml; one for each."""
        if cluster not in self._proxmox_readers:
            from controller.clients.proxmox import ProxmoxReader

            login = self._proxmox_login(self.configuration.proxmox[cluster])
            reader = ProxmoxReader(login, cluster=cluster, secrets=self.configuration.secret_sources())
            self._proxmox_readers[cluster] = self._open.enter_context(reader)
        return self._proxmox_readers[cluster]

    def _proxmox_target(self, cluster: str, desk: Desk | None) -> Target:
        from controller.reconcile.applier import Target
        from controller.resources.proxmox_power import with_power
        from controller.resources.proxmox_table import PROXMOX

        writer = self.proxmox_writer(cluster)
        resources = PROXMOX if desk is None else with_power(PROXMOX, desk)
        return Target(f"proxmox:{cluster}", writer, resources, _PROXMOX_CONCURRENCY)

    def proxmox_writer(self, cluster: str) -> ProxmoxWriter:
        """A new client that writes to this cluster of controller.yaml; closed with everything else."""
        from controller.clients.proxmox_writer import ProxmoxWriter

        login = self._proxmox_login(self.configuration.proxmox[cluster])
        sources = self.configuration.secret_sources()
        return self._open.enter_context(ProxmoxWriter(login, cluster=cluster, secrets=sources))

    def _proxmox_login(self, settings: Proxmox) -> ProxmoxLogin:
        from controller.clients.proxmox import ProxmoxLogin

        configuration = self.configuration
        return ProxmoxLogin(
            url=settings.url,
            token_id=settings.token_id,
            token_secret=configuration.secret(settings.token_secret_file),
            ca_file=configuration.authority(settings.ca_file),
        )


def keycloak_standing(reader: KeycloakReader, *, own_client: str) -> Standing:
    """Whether our account may read the realm whole, and which of its users and clients we are.

    `own_client` is the client that we log in through where it is one of this realm, "" otherwise.

    Who may manage may view (Keycloak, AdminPermissionEvaluator). In a realm that is not there yet nobody
    has rights.
    """
    rights = reader.rights()
    ourselves = frozenset[str]()
    if own_client:
        ourselves = frozenset({f"keycloak/users/{rights.username}", f"keycloak/clients/{own_client}"})
    if not rights.roles and rights.create_realm and reader.realm() is None:
        return Standing(ourselves=ourselves)
    missing = [
        f"view-{thing} of the realm {reader.realm_name}"
        for thing in ("realm", "users", "clients")
        if not rights.roles & {f"view-{thing}", f"manage-{thing}"}
    ]
    return Standing(tuple(missing), ourselves)
