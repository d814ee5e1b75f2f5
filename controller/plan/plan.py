"""The plan: an ordered, immutable list of changes with a digest over everything that a reviewer agreed to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from controller.plan.change import Change, Json, Operation, thaw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.policy.position import SourcePosition

__all__ = [
    "FORMAT",
    "LAST",
    "SECTIONS",
    "Gap",
    "Note",
    "Plan",
    "Report",
    "difference",
    "ordered",
    "rank",
    "stage",
]

FORMAT = "steward-plan-1"
"""Names the digest's input; a change of its shape changes this word."""

SECTIONS = (
    "realm",
    "profile",
    "identity_providers",
    "roles",
    "default_roles",
    "teams",
    "clients",
    "users",
    "pools",
    "tokens",
    "machines.assigned",
    "pools.assigned",
    "storages.assigned",
    "nodes.assigned",
    "machines.power",
    "backups",
)
"""The order of creation and update; deletions run through it backwards."""

LAST = "machines.power"
"""What comes after everything else: a shutdown may take minutes, and must not hold up a revocation."""

_PLACES = {section: place for place, section in enumerate(SECTIONS)}

_EMPTY: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True)
class Gap:
    """A section of a system that was not seen whole: the plan deletes nothing of it.

    Where `is_held`, it was seen, but a part of it, which `why` names, is not applied as the policy says.
    """

    system: str
    section: str
    why: str
    is_held: bool = False

    @property
    def verdict(self) -> str:
        """What became of the section, in two words."""
        return "not applied" if self.is_held else "not observed"

    def to_json(self) -> dict[str, Json]:
        """The gap as JSON."""
        return {"system": self.system, "section": self.section, "why": self.why, "held": self.is_held}


@dataclass(frozen=True)
class Report:
    """Something seen and left alone: a foreign mark, what is not ours, drift in a section in report mode.

    `change` is what would be done about it, were its section not in report mode; `title` is what people call
    the object where its key is the system's own. The change does not stand in JSON.
    """

    system: str
    section: str
    key: str
    text: str
    pages: bool = False
    source: SourcePosition | None = None
    change: Change | None = None
    title: str = ""

    def to_json(self) -> dict[str, Json]:
        """The report as JSON; `pages` says whether somebody is to be woken."""
        return {
            "system": self.system,
            "section": self.section,
            "key": self.key,
            "title": self.title,
            "text": self.text,
            "pages": self.pages,
            "source": None if self.source is None else str(self.source),
        }


@dataclass(frozen=True)
class Note:
    """Something that a pass records and that changes nothing: a slot of a schedule that was missed, say.

    `record` is what the store keeps of it.
    """

    system: str
    section: str
    key: str
    text: str
    record: Mapping[str, Json] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True)
class Plan:
    """What one pass would do. `changes` stand in the order of execution; altered only by dataclasses.replace.

    `instances` names the systems by address, `scope` what was looked at, `limits` the brakes in force, and
    `populations` how many objects of ours were seen, by `system/section` (the brakes' denominator). `notes`
    go into the record of the pass, `possessions` are the roles, teams and groups that protected people have,
    by name; neither stands in JSON. `overrides` are those in force, in words; not they are in the digest, but
    what comes of them.
    """

    owner: str
    changes: tuple[Change, ...] = ()
    unobserved: tuple[Gap, ...] = ()
    reported: tuple[Report, ...] = ()
    instances: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    scope: tuple[str, ...] = ()
    limits: Mapping[str, Json] = field(default_factory=lambda: _EMPTY)
    populations: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[Note, ...] = ()
    possessions: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    overrides: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing is to be changed; gaps and reports do not count."""
        return not self.changes

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON of what a reviewer agrees to."""
        return hashlib.sha256(_canonical(self.essence())).hexdigest()

    def essence(self) -> dict[str, Json]:
        """What the digest covers; changes in order of execution."""
        return {
            "format": FORMAT,
            "owner": self.owner,
            "instances": dict(self.instances),
            "scope": list(self.scope),
            "limits": thaw(self.limits),
            "changes": [change.essence() for change in ordered(self.changes)],
        }

    def to_json(self) -> dict[str, Json]:
        """The plan as `--output json` prints it and as `--plan FILE` reads it back."""
        return {
            "format": FORMAT,
            "digest": self.digest,
            "owner": self.owner,
            "instances": dict(self.instances),
            "scope": list(self.scope),
            "limits": thaw(self.limits),
            "changes": [change.to_json() for change in self.changes],
            "unobserved": [gap.to_json() for gap in self.unobserved],
            "reported": [report.to_json() for report in self.reported],
            "overrides": list(self.overrides),
        }

    def count(self, operation: Operation) -> int:
        """How many changes of this operation the plan holds."""
        return sum(change.operation is operation for change in self.changes)


def rank(section: str) -> int:
    """The place of a section in the order of execution; sections unknown here come last."""
    return _PLACES.get(section, len(SECTIONS))


def stage(change: Change) -> tuple[int, int]:
    """What has the same stage is independent, but for what it says that it needs; lower ones come first."""
    place = rank(change.section)
    if change.section == LAST:
        return (2, place)
    return (1, -place) if change.operation is Operation.DELETE else (0, place)


def ordered(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The order of execution: creations and updates by section, then deletions backwards, then power.

    Within a section what is needed comes before what needs it; otherwise names decide. So any prefix can be
    carried out by itself.
    """
    depths = _depths(changes)

    def position(change: Change) -> tuple[tuple[int, int], int, str, str, str]:
        return (stage(change), depths[change.identity], change.system, change.section, change.key)

    return tuple(sorted(changes, key=position))


def _depths(changes: Sequence[Change]) -> dict[str, int]:
    """How long the longest chain of needs below each change is, counting needs of its own section alone."""
    by_identity = {change.identity: change for change in changes}
    needs = {
        change.identity: [
            name
            for name in change.depends_on
            if name in by_identity and by_identity[name].section == change.section
        ]
        for change in changes
    }
    depths = dict.fromkeys(needs, 0)
    open_ones = [name for name, needed in needs.items() if needed]
    for _ in open_ones:  # a chain cannot be longer; a circle, which policies cannot hold, ends here as well
        deeper = {name: 1 + max(depths[one] for one in needs[name]) for name in open_ones}
        if all(depths[name] == depth for name, depth in deeper.items()):
            break
        depths.update(deeper)
    return depths


def difference(reviewed: Sequence[Mapping[str, Json]], current: Plan) -> tuple[str, ...]:
    """Lines that tell how `current` differs from the changes of a reviewed plan (as `to_json` wrote them)."""
    then = {_name(change): _comparable(change) for change in reviewed}
    now = {_name(change.essence()): _comparable(change.essence()) for change in current.changes}
    gone = [f"- {name}: in the reviewed plan, not needed now" for name in sorted(then.keys() - now.keys())]
    new = [f"+ {name}: not in the reviewed plan" for name in sorted(now.keys() - then.keys())]
    both = [
        f"~ {name}: reviewed {then[name].decode()}, now {now[name].decode()}"
        for name in sorted(then.keys() & now.keys())
        if then[name] != now[name]
    ]
    return (*gone, *new, *both)


def _name(change: Mapping[str, Json]) -> str:
    return f"{change.get('operation')} {change.get('system')}/{change.get('section')}/{change.get('key')}"


def _comparable(change: Mapping[str, Json]) -> bytes:
    return _canonical({"before": thaw(change.get("before")), "after": thaw(change.get("after"))})


def _canonical(value: Json) -> bytes:
    # Keys sorted, no blanks, UTF-8; values are strings, whole numbers, booleans and null, for which this is
    # RFC 8785 as long as keys are ASCII (names are, by the policy language).
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
