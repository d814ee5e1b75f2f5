"""The reading half of a pass: observe every system anew, compare with the policy, yield a plan.

Systems are observed side by side, and so are the sections of one system. A section that could not be seen
whole is a gap in the plan: never taken for empty, nothing of it changed. The clients here cannot write.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from controller.errors import ControllerError
from controller.plan.brakes import Refusal, check
from controller.plan.plan import Gap, Plan, Report, ordered
from controller.power_values import PowerMemory
from controller.reconcile.authors import with_authors
from controller.reconcile.narrowing import known_prunes, only_reported, without_ignored
from controller.reconcile.targets import aimed, check_targets, is_aimed_at
from controller.resources.overrides import Overrides
from controller.resources.resource import Context, Difference, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from controller.plan.change import Change, ChangedBy
    from controller.plan.limits import Strictest
    from controller.plan.plan import Note
    from controller.policy.model import Policy

__all__ = ["Memory", "Planner", "Sight", "Standing", "System", "refusals"]


@dataclass(frozen=True)
class Standing:
    """What our account is on a system: rights that it lacks for reading, and its own identities there."""

    missing: tuple[str, ...] = ()
    ourselves: frozenset[str] = frozenset()


@dataclass(frozen=True)
class System:
    """One system as planning sees it. `address` names it in the digest; `reader` cannot write.

    `realm` is the Keycloak realm, or on Proxmox the realm behind the `@` of a user id. `history`, where the
    system keeps one, tells by identity who made objects what they are; it raises ControllerError where that
    cannot be read. `glance` makes of the reader one for a single observation, which may answer all resources
    from the same reading.
    """

    name: str
    address: str
    realm: str
    reader: Any
    resources: tuple[Resource, ...]
    standing: Callable[[], Standing] = Standing
    only_cluster: bool = True
    history: Callable[[Sequence[Change]], Mapping[str, ChangedBy]] | None = None
    glance: Callable[[Any], Any] = field(default=lambda reader: reader)


@dataclass(frozen=True)
class Sight:
    """What was seen of one system in one pass, by section, and what could not be seen."""

    observed: Mapping[str, Any]
    gaps: tuple[Gap, ...] = ()
    ourselves: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Memory:
    """What we remember of earlier passes.

    `known` tells whether our own record or an earlier commit knows an object (system, section, key): the
    second half of what prune needs. `whose` names the other owner who has it by the same store, "" where none
    does: what both have, neither prunes. `limits` are the effective brakes, the last applied commit's among
    them; `overrides` those in force at the instant of the pass; `power` what was done about machines' power.
    """

    limits: Strictest
    known: Callable[[str, str, str], bool]
    whose: Callable[[str, str, str], str] = lambda _system, _section, _key: ""
    overrides: Overrides = field(default_factory=Overrides)
    power: PowerMemory = field(default_factory=PowerMemory)


@dataclass(frozen=True)
class Planner:
    """Makes plans from policies; writes nothing and keeps nothing. `now` is the instant (UTC)."""

    systems: Sequence[System]
    now: datetime
    issuer: str = ""

    def observe(self, policy: Policy) -> dict[str, Sight]:
        """Read every system once, whole. What goes wrong becomes a gap."""

        def look(system: System) -> Sight:
            return _observe(system, self.context(system, policy))

        with ThreadPoolExecutor(max(1, len(self.systems)), thread_name_prefix="observe") as pool:
            sights = pool.map(look, self.systems)
            return dict(zip((system.name for system in self.systems), sights, strict=True))

    def compare(
        self, policy: Policy, sights: Mapping[str, Sight], memory: Memory, targets: Sequence[str] = ()
    ) -> Plan:
        """The plan for what was seen. Pure but for `memory.known`, which is asked only about prunes."""
        changes: list[Change] = []
        reported: list[Report] = []
        populations: dict[str, int] = {}
        notes: list[Note] = []
        possessions: dict[str, frozenset[str]] = {}
        gaps = [gap for sight in sights.values() for gap in sight.gaps]
        for system in self.systems:
            for resource in system.resources:
                if resource.section not in sights[system.name].observed:
                    continue
                context = self.context(system, policy, memory)
                observed = sights[system.name].observed[resource.section]
                found = resource.diff(observed, resource.desired(policy, context), context)
                made, told = _narrowed(resource, found, policy, memory)
                changes += made
                reported += told
                notes += found.notes
                gaps += found.gaps
                populations |= {f"{system.name}/{name}": number for name, number in found.populations.items()}
                for name, theirs in found.possessions.items():
                    possessions[name] = possessions.get(name, frozenset()) | theirs
        check_targets(targets, changes, policy)
        sections = {resource.section for system in self.systems for resource in system.resources}
        return Plan(
            owner=policy.owner,
            changes=ordered(aimed(changes, targets, policy)),
            unobserved=tuple(gaps),
            reported=tuple(reported),
            instances=MappingProxyType({system.name: system.address for system in self.systems}),
            scope=tuple(sorted(targets or sections)),
            limits=memory.limits.to_json(),
            populations=MappingProxyType(populations),
            notes=tuple(note for note in notes if is_aimed_at(note, targets)),
            possessions=MappingProxyType(possessions),
            overrides=memory.overrides.told(policy.users),
        )

    def with_authors(self, plan: Plan) -> Plan:
        """The plan with who changed what, as far as the systems tell."""
        return with_authors(plan, self.systems)

    def named(self, policy: Policy) -> dict[str, list[str]]:
        """The keys that this policy names, by `system/section`: what later passes may prune."""
        return {
            f"{system.name}/{resource.section}": sorted(
                resource.desired(policy, self.context(system, policy))
            )
            for system in self.systems
            for resource in system.resources
        }

    def context(self, system: System, policy: Policy, memory: Memory | None = None) -> Context:
        """What the resources of a system may know in this pass."""
        limits = memory.limits if memory else None
        return Context(
            system=system.name,
            owner=policy.owner,
            realm=system.realm,
            now=self.now,
            issuer=self.issuer,
            role_names=frozenset(policy.roles),
            adopted_roles=frozenset(name for name, role in policy.roles.items() if role.adopt),
            teams={name: team.parent or "" for name, team in policy.teams.items()},
            adopted_teams=frozenset(name for name, team in policy.teams.items() if team.adopt),
            linked=frozenset(name for name, user in policy.users.items() if user.links),
            reported=frozenset(name for name, mode in policy.modes.items() if mode == "report"),
            delete_after_days=(limits and limits.delete_after_days) or 0,
            protected=limits.protected if limits else frozenset(),
            overrides=memory.overrides if memory else Overrides(),
            power=memory.power if memory else PowerMemory(),
            unlisted=policy.unlisted.users,
            unlisted_acls=policy.unlisted.acls,
            only_cluster=system.only_cluster,
        )


def refusals(plan: Plan, sights: Mapping[str, Sight], limits: Strictest) -> tuple[Refusal, ...]:
    """The brakes that hold this plan; empty when it may be applied."""
    ourselves = frozenset[str]().union(*(sight.ourselves for sight in sights.values()))
    return check(plan, limits, ourselves=ourselves)


def _narrowed(
    resource: Resource, found: Difference, policy: Policy, memory: Memory
) -> tuple[list[Change], list[Report]]:
    pruned, foreign = known_prunes(found.prunes, memory.known, memory.whose)
    changes = without_ignored([*found.changes, *pruned], policy)
    reported = [*found.reported, *foreign]
    if _is_reported(resource, policy):
        return [], reported + only_reported(changes)
    return changes, reported


def _is_reported(resource: Resource, policy: Policy) -> bool:
    mode = policy.modes.get(resource.mode or resource.section)  # type: ignore[call-overload]
    return bool(mode == "report")


def _observe(system: System, context: Context) -> Sight:
    sections = [resource.section for resource in system.resources]
    try:
        standing = system.standing()
    except ControllerError as error:
        return Sight({}, _gaps(system, sections, str(error)))
    if standing.missing:
        why = f"our account lacks {', '.join(standing.missing)}"
        return Sight({}, _gaps(system, sections, why), standing.ourselves)
    reader = system.glance(system.reader)
    with ThreadPoolExecutor(len(sections), thread_name_prefix=system.name) as pool:
        seen = list(pool.map(lambda resource: _seen(reader, resource, context), system.resources))
    observed = {name: found for name, found in zip(sections, seen, strict=True) if not isinstance(found, Gap)}
    return Sight(observed, tuple(found for found in seen if isinstance(found, Gap)), standing.ourselves)


def _seen(reader: Any, resource: Resource, context: Context) -> Any:
    try:
        return resource.observe(reader, context)
    except ControllerError as error:
        return Gap(context.system, resource.section, str(error))
    except Exception as error:  # noqa: BLE001 - the isolating runner: what nobody foresaw is not seen either
        return Gap(context.system, resource.section, f"unexpected {type(error).__name__}: {error}")


def _gaps(system: System, sections: Sequence[str], why: str) -> tuple[Gap, ...]:
    return tuple(Gap(system.name, section, why) for section in sections)
