"""Who may do what on a guest of Proxmox VE, and by which entry: its own rules, worked out step by step. Pure.

The rules (pve-access-control, PVE::RPCEnvironment and PVE::AccessControl): the deepest level of the path
with an entry that applies wins and nothing is added from above; within a level a person's own entries
beat those of groups, and groups add up; NoAccess in the winning level gives nothing; an entry without
propagate counts on its own path only; roles that somebody has on a guest's pool are added on the guest,
and NoAccess on either side wins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controller.policy.position import SourcePosition
    from controller.proxmox_values import ProxmoxAccess, ProxmoxEntry

__all__ = ["SUPERUSER", "Asked", "Explanation", "Grant", "Verdict", "explain"]

NO_ACCESS = "NoAccess"
SUPERUSER = "root@pam"


@dataclass(frozen=True)
class Asked:
    """What the policy says of an entry: its line, the set that gives it, how the person is of its team."""

    source: SourcePosition
    by: str = ""
    team: str = ""


@dataclass(frozen=True)
class Verdict:
    """One entry that is about the person: `counts`, or is masked, and `why`.

    `asked` is what the policy says of the entry, None where it does not ask for it.
    """

    entry: ProxmoxEntry
    counts: bool
    why: str
    asked: Asked | None = None

    @property
    def source(self) -> SourcePosition | None:
        """The line of the policy that asks for the entry, None where none does."""
        return None if self.asked is None else self.asked.source

    def to_json(self) -> dict[str, object]:
        """The verdict as JSON."""
        return {
            "path": self.entry.path,
            "kind": self.entry.kind,
            "holder": self.entry.holder,
            "role": self.entry.role,
            "propagate": self.entry.propagate,
            "counts": self.counts,
            "why": self.why,
            "source": None if self.source is None else str(self.source),
            "set": self.asked.by if self.asked else "",
            "team": self.asked.team if self.asked else "",
        }


@dataclass(frozen=True)
class Grant:
    """One privilege: whether it is held, and the entries that grant it or would, were they not masked."""

    privilege: str
    held: bool
    by: tuple[Verdict, ...]

    def to_json(self) -> dict[str, object]:
        """The privilege as JSON."""
        return {
            "privilege": self.privilege,
            "held": self.held,
            "by": [verdict.to_json() for verdict in self.by],
        }


@dataclass(frozen=True)
class Explanation:
    """What a person may do on a guest. `notes` say what else decides, as an account that is disabled.

    `is_usable` is False where there is no account, or it is disabled. `server` is what Proxmox itself
    answers, None where it was not asked.
    """

    userid: str
    path: str
    grants: tuple[Grant, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    is_usable: bool = True
    server: frozenset[str] | None = None

    @property
    def held(self) -> frozenset[str]:
        """The privileges that the person has there."""
        return frozenset(grant.privilege for grant in self.grants if grant.held)

    @property
    def agrees(self) -> bool | None:
        """Whether Proxmox gives the same answer, None where it was not asked."""
        return None if self.server is None else self.server == self.held

    def to_json(self) -> dict[str, object]:
        """The explanation as JSON."""
        return {
            "user": self.userid,
            "path": self.path,
            "privileges": [grant.to_json() for grant in self.grants],
            "entries": [verdict.to_json() for verdict in self.verdicts],
            "notes": list(self.notes),
            "usable": self.is_usable,
            "proxmox": None if self.server is None else sorted(self.server),
            "agrees": self.agrees,
        }


def explain(
    userid: str,
    path: str,
    access: ProxmoxAccess,
    *,
    pool: str = "",
    declared: Mapping[tuple[str, str, str], Asked] | None = None,
) -> Explanation:
    """Work out what `userid` may do on `path` (`/vms/101`), a member of `pool` or of none.

    `userid` may be a token (`jo@realm!ci`): a separated one may do what its own entries give it and its
    person may, any other what its person may. `declared` tells what the policy says of an entry, by path,
    holder and role.
    """
    owner, mark, token = userid.partition("!")
    if owner == SUPERUSER and not mark:
        return Explanation(userid, path, (), (), ("root@pam may do everything",))
    if mark and not _is_separated(owner, token, access):
        found = explain(owner, path, access, pool=pool, declared=declared)
        return replace(found, userid=userid, notes=(*found.notes, f"the token has all rights of {owner}"))
    on_path = _walk(userid, path, access)
    on_pool = _walk(userid, f"/pool/{pool}", access) if pool else []
    places = declared or {}
    placed = tuple(
        replace(one, asked=places.get((one.entry.path, one.entry.holder, one.entry.role)))
        for one in _united(on_path, on_pool, path, pool)
    )
    notes = _notes(owner, access)
    found = Explanation(userid, path, _grants(placed, access), placed, notes, is_usable=not notes)
    if not mark or owner == SUPERUSER:
        return found
    return _limited(found, explain(owner, path, access, pool=pool))


def _is_separated(owner: str, token: str, access: ProxmoxAccess) -> bool:
    """Whether a token has rights of its own; one that is not there has none either way."""
    tokens = access.users[owner].tokens if owner in access.users else ()
    return all(one.separated for one in tokens if one.name == token)


def _limited(token: Explanation, owner: Explanation) -> Explanation:
    """A separated token may not do what its person may not."""
    lacking = sorted(token.held - owner.held)
    if not lacking:
        return token
    grants = tuple(replace(one, held=one.held and one.privilege in owner.held) for one in token.grants)
    note = f"{owner.userid} has no {', '.join(lacking)} here: a token never exceeds its person"
    return replace(token, grants=grants, notes=(*token.notes, note))


def _walk(userid: str, path: str, access: ProxmoxAccess) -> list[Verdict]:
    """A verdict for each entry on the way to `path` that names the person or a group of theirs."""
    levels = _levels(path)
    about = [entry for entry in access.entries if entry.path in levels and _is_about(userid, entry, access)]
    applying = [entry for entry in about if entry.propagate or entry.path == path]
    deepest = max((levels.index(entry.path) for entry in applying), default=-1)
    winning = [entry for entry in applying if levels.index(entry.path) == deepest]
    own = [entry for entry in winning if entry.kind != "group"]
    effective = own or winning
    denied = any(entry.role == NO_ACCESS for entry in effective)
    return [
        _judge(entry, path, levels[deepest] if winning else "", effective, denied=denied) for entry in about
    ]


def _levels(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/" + "/".join(parts[:depth]) for depth in range(len(parts) + 1)]


def _is_about(userid: str, entry: ProxmoxEntry, access: ProxmoxAccess) -> bool:
    if entry.kind == "group":
        group = access.groups.get(entry.holder)
        return group is not None and userid in group.members
    return entry.holder == userid


def _judge(
    entry: ProxmoxEntry, path: str, winner: str, effective: list[ProxmoxEntry], *, denied: bool
) -> Verdict:
    if not entry.propagate and entry.path != path:
        return Verdict(entry, counts=False, why=f"does not propagate below {entry.path}")
    if entry.path != winner:
        return Verdict(entry, counts=False, why=f"masked by entries on {winner}, which is deeper")
    if entry not in effective:
        return Verdict(entry, counts=False, why=f"masked by the person's own entry on {winner}")
    if denied and entry.role != NO_ACCESS:
        return Verdict(entry, counts=False, why=f"masked by {NO_ACCESS} on {winner}")
    where = "set here" if entry.path == path else f"inherited from {entry.path}"
    group = f", by the group {entry.holder}" if entry.kind == "group" else ""
    return Verdict(entry, counts=True, why=where + group)


def _united(on_path: list[Verdict], on_pool: list[Verdict], path: str, pool: str) -> list[Verdict]:
    """Add what the pool gives to what the path gives; NoAccess on either side leaves nothing of the other."""
    here = [Verdict(one.entry, one.counts, f"{one.why}; {path} is in the pool {pool}") for one in on_pool]
    if any(one.counts and one.entry.role == NO_ACCESS for one in on_path):
        return on_path + [_masked(one, f"masked by {NO_ACCESS} on the way to {path}") for one in here]
    if any(one.counts and one.entry.role == NO_ACCESS for one in here):
        return [_masked(one, f"masked by {NO_ACCESS} of the pool {pool}") for one in on_path] + here
    return on_path + here


def _masked(verdict: Verdict, why: str) -> Verdict:
    return Verdict(verdict.entry, counts=False, why=why) if verdict.counts else verdict


def _grants(verdicts: Iterable[Verdict], access: ProxmoxAccess) -> tuple[Grant, ...]:
    by: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        role = access.roles.get(verdict.entry.role)
        for privilege in role.privileges if role else ():
            by.setdefault(privilege, []).append(verdict)
    return tuple(
        Grant(privilege, any(one.counts for one in listed), tuple(sorted(listed, key=_counting_first)))
        for privilege, listed in sorted(by.items())
    )


def _counting_first(verdict: Verdict) -> tuple[bool, str]:
    return not verdict.counts, verdict.entry.path


def _notes(userid: str, access: ProxmoxAccess) -> tuple[str, ...]:
    user = access.users.get(userid)
    if user is None:
        return (f"there is no account {userid}",)
    return () if user.enabled else (f"the account {userid} is disabled: it can do nothing",)
