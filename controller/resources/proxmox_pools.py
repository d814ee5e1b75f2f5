"""Pools of Proxmox VE: made where they are missing, ours by the mark in their comment.

Which guests and storages are in a pool is left alone, and so a pool is pruned only while it is empty, and
while nobody else has an entry on it: entries go with their pool.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controller.errors import Conflict, ControllerError, NotThere
from controller.plan.change import Change, Operation, Outcome, delete, freeze
from controller.plan.plan import Gap, Report
from controller.proxmox_values import ProxmoxPool
from controller.resources.ownership import Rules, compare
from controller.resources.proxmox_clusters import entries_here
from controller.resources.proxmox_holds import require_own
from controller.resources.proxmox_marks import marked, owner_of, text_of
from controller.resources.proxmox_roles import PREFIX
from controller.resources.proxmox_sight import require_guests, require_pools
from controller.resources.resource import Context, Difference
from controller.resources.writing import applied, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.plan.change import Fields
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition
    from controller.resources.proxmox_ports import ProxmoxReader, ProxmoxWriter

__all__ = ["SECTION", "Pool", "SeenPools", "apply", "desired", "diff", "observe"]

SECTION = "pools"


@dataclass(frozen=True)
class Pool:
    """What we manage of a pool; a comment of None is one that the policy leaves alone."""

    owner: str
    comment: str | None = None
    holds: str = field(default="", compare=False)
    adopt: bool = field(default=False, compare=False)
    object_id: str = field(default="", compare=False)
    source: SourcePosition | None = field(default=None, compare=False)

    def fields(self) -> Fields:
        """The managed fields, as a plan shows them."""
        return {"owner": self.owner, "comment": self.comment or ""}


@dataclass(frozen=True)
class SeenPools:
    """All pools by name; `hidden` says why some may be missing, "" where none is.

    `members` tells what is in one pool, storages too; it is asked of pools that are about to go.
    """

    pools: Mapping[str, Pool]
    hidden: str = ""
    members: Callable[[str], tuple[str, ...]] = field(default=lambda _: ())


def desired(policy: Policy, context: Context) -> Mapping[str, Pool]:
    """The pools of this cluster."""
    return {
        name: Pool(
            context.owner,
            text_of(pool.comment) if "comment" in pool.model_fields_set else None,
            adopt=pool.adopt,
            source=policy.at(SECTION, name),
        )
        for name, pool in entries_here(policy.pools, context).items()
    }


def observe(client: ProxmoxReader, context: Context) -> SeenPools:
    """All pools, and what is seen to be in them."""
    pools, guests, rights = client.pools(), client.resources().guests, client.rights()
    entries = client.entries()
    paths = {entry.path for entry in entries}
    inside: dict[str, list[str]] = {}
    for guest in guests:
        inside.setdefault(guest.pool, []).append(f"guest {guest.vmid}")
    for name in pools:
        inside.setdefault(name.rpartition("/")[0], []).append(f"pool {name}")
    for entry in entries:
        if not entry.role.startswith(PREFIX):
            what = f"the role {entry.role} of {entry.holder}"
            inside.setdefault(entry.path.removeprefix("/pool/"), []).append(what)
    hidden = ""
    try:
        require_pools(rights, paths, context)
        require_guests(rights, paths, context)
    except ControllerError as error:
        hidden = str(error)
    seen = {name: _normal(pool, inside.get(name, [])) for name, pool in pools.items()}
    return SeenPools(seen, hidden, client.pool_members)


def diff(observed: SeenPools, desired: Mapping[str, Pool], context: Context) -> Difference:
    """What to create, alter and (as prunes, where empty) delete. Nothing where pools may be hidden."""
    if observed.hidden:
        gaps = (Gap(context.system, SECTION, observed.hidden),) if desired else ()
        return Difference(gaps=gaps)
    seen = observed.pools
    wanted = {name: _aligned(pool, seen.get(name)) for name, pool in desired.items()}
    changes, reported = compare(seen, wanted, context, Rules(SECTION, "pool"))
    ours = {name: pool for name, pool in seen.items() if pool.owner == context.owner}
    left = {
        name: pool if pool.holds else replace(pool, holds=_held(observed.members(name)))
        for name, pool in ours.items()
        if name not in desired
    }
    reported += [_kept(name, pool, context) for name, pool in left.items() if pool.holds]
    prunes = [_prune(name, pool, context) for name, pool in left.items() if not pool.holds]
    return Difference(tuple(changes), tuple(prunes), tuple(reported), {SECTION: len(ours)})


def apply(client: ProxmoxWriter, change: Change) -> Outcome:
    """Write one change of a pool, where the pool is still what the plan has seen."""
    return ended(change, lambda: _write(client, change))


def _write(client: ProxmoxWriter, change: Change) -> Outcome:
    if change.operation is Operation.CREATE and change.after is not None:
        client.create_pool(_pool(change.key, change.after))
        return applied(change)
    seen = client.pools().get(change.key)
    if seen is None:
        raise NotThere(f"the pool {change.key} is gone")
    if freeze(_normal(seen, []).fields()) != change.before:
        raise Conflict(f"the pool {change.key} is not what the plan has seen")
    if change.after is None:
        others = [one for one in client.entries() if one.path == f"/pool/{change.key}"]
        require_own(others, f"the pool {change.key}")
        client.delete_pool(change.key)
    else:
        client.update_pool(_pool(change.key, change.after))
    return applied(change)


def _normal(seen: ProxmoxPool, inside: list[str]) -> Pool:
    return Pool(owner_of(seen.comment), text_of(seen.comment), _held(inside), object_id=seen.name)


def _held(inside: Sequence[str]) -> str:
    more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
    return f"{inside[0]}{more}" if inside else ""


def _aligned(wanted: Pool, seen: Pool | None) -> Pool:
    if wanted.comment is not None:
        return wanted
    return replace(wanted, comment=seen.comment if seen else "")


def _pool(name: str, fields: Fields) -> ProxmoxPool:
    return ProxmoxPool(name, marked(str(fields["comment"]), owner=str(fields["owner"])))


def _kept(name: str, pool: Pool, context: Context) -> Report:
    text = f"no longer in the policy, and still holds {pool.holds}: left alone until it is empty"
    return Report(context.system, SECTION, name, text)


def _prune(name: str, pool: Pool, context: Context) -> Change:
    reason = "pool is ours, empty, and no longer in the policy"
    return delete(context.system, SECTION, name, pool.fields(), reason=reason, object_id=pool.object_id)
