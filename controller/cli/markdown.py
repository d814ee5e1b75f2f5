"""A plan to paste in a pull request: a summary, then what changes field by field, folded by system. Pure.

Every value stands in a code span, where Markdown, HTML and mentions of people mean nothing; what a span or a
table cannot hold is escaped. A text has room for what forges take in one comment; what does not fit is
counted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from controller.cli.grouping import Group, alike, grouped
from controller.cli.wording import author_of, beside, is_obvious, label_of, noun_of, text_of
from controller.plan.change import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from controller.plan.brakes import Refusal
    from controller.plan.change import Change
    from controller.plan.plan import Plan, Report

__all__ = ["MOST_CHARACTERS", "code", "plan_markdown"]

MOST_CHARACTERS = 60_000
"""GitHub takes 65,536 characters a comment, GitLab a million."""

_SIGNS = {Operation.CREATE: "**+**", Operation.UPDATE: "**~**", Operation.DELETE: "**−**"}
_DONE = {Operation.CREATE: "create", Operation.UPDATE: "update", Operation.DELETE: "delete"}
_FEW = 10
_LONGEST_VALUE = 300
_ROOM_FOR_THE_END = 2_000
_MOST_SUBJECTS = 12
_UNSEEN = "\N{EM DASH}"


def plan_markdown(plan: Plan, refusals: Sequence[Refusal] = (), *, heading: str = "Steward plan") -> str:
    """The plan in GitHub's Markdown; ends with a line break."""
    blocks = [f"### {heading}: {_summary(plan)}", *_warnings(plan, refusals)]
    room = MOST_CHARACTERS - _ROOM_FOR_THE_END - sum(len(block) + 2 for block in blocks)
    for system in dict.fromkeys(change.system for change in plan.changes):
        changes = [change for change in plan.changes if change.system == system]
        block = _system(system, plan.instances.get(system, ""), changes, room)
        blocks.append(block)
        room -= len(block) + 2
    told = [report.change for report in plan.reported if report.change is not None]
    lists = (
        ("In report mode: told and not changed", [_sentence(change) for change in told]),
        ("Seen and left alone", _reports(plan.reported)),
        ("Overrides in force", [_escaped(text) for text in plan.overrides]),
    )
    for title, lines in lists:
        block = _folded(title, lines, room)
        blocks += [block] if block else []
        room -= len(block)
    return "\n\n".join([*blocks, f"<sub>digest {code(plan.digest)}</sub>"]) + "\n"


def code(text: str) -> str:
    """Any text as a code span that fits into a table's cell."""
    flat = " ".join(text.split()) if "\n" in text or "\r" in text else text
    flat = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in flat)
    longest = max((len(run) for run in re.findall("`+", flat)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if flat.startswith(("`", " ")) or flat.endswith(("`", " ")) else ""
    return f"{fence}{pad}{flat.replace('|', chr(92) + '|')}{pad}{fence}" if flat else _UNSEEN


def _summary(plan: Plan) -> str:
    counted = [f"{number} to {_DONE[one]}" for one in Operation if (number := plan.count(one))]
    if not counted:
        return "nothing to do where it could be observed" if plan.unobserved else "nothing to do"
    return ", ".join(counted)


def _warnings(plan: Plan, refusals: Sequence[Refusal]) -> Iterator[str]:
    for refusal in refusals:
        yield (
            f"> [!CAUTION]\n> **Held by the brake {code(refusal.rule)}**: "
            f"{_escaped(refusal.text)}{_held(refusal)}  \n> {_escaped(refusal.remedy)}"
        )
    gaps: dict[tuple[str, str, str], list[str]] = {}
    for gap in plan.unobserved:
        gaps.setdefault((gap.verdict, gap.system, gap.why), []).append(gap.section)
    if gaps:
        yield "> [!WARNING]\n" + "\n".join(
            f"> **{verdict}**: {code(system)} {_escaped(', '.join(sections))}: {_escaped(why)}  "
            for (verdict, system, why), sections in gaps.items()
        )


def _held(refusal: Refusal) -> str:
    """The changes that a brake holds, by name."""
    names = [code(group.name) for group in grouped(refusal.changes)]
    rest = f", and {len(names) - _MOST_SUBJECTS} more" if len(names) > _MOST_SUBJECTS else ""
    return f": {', '.join(names[:_MOST_SUBJECTS])}{rest}" if names else ""


def _system(system: str, address: str, changes: Sequence[Change], room: int) -> str:
    """One system's changes, as many as there is room for."""
    counts = {one: sum(change.operation is one for change in changes) for one in Operation}
    counted = ", ".join(f"{number} to {one}" for one, number in counts.items() if number)
    where = f" ({_html(address)})" if address else ""
    is_open = " open" if len(changes) <= _FEW else ""
    head = f"<details{is_open}><summary><b>{_html(system)}</b>{where}: {counted}</summary>\n"
    rows = ["| | object | field | before | after | why |", "| --- | --- | --- | --- | --- | --- |"]
    used, shown = len(head), 0
    for group in grouped(changes):
        more = list(_rows(group))
        used += sum(len(row) + 1 for row in more)
        if used > room:
            break
        rows += more
        shown += len(group.changes)
    rest = len(changes) - shown
    said = f"\n… and {rest} more: `steward plan` shows all of them.\n" if rest else ""
    return "\n".join([head, *rows, f"{said}\n</details>"])


def _rows(group: Group) -> Iterator[str]:
    """A row for each field; what is said of the change itself stands in the first.

    What comes or goes as an assignment is told by its name: it has no fields besides.
    """
    change = group.first
    before, after = change.before or {}, change.after or {}
    called = change.title or change.key if len(group.changes) == 1 else group.name
    leading, why = [_SIGNS[change.operation], f"{noun_of(change.section)} {code(called)}"], _why(change)
    is_whole = change.section.endswith(".assigned") and change.operation is not Operation.UPDATE
    names = () if is_whole else [name for name in change.changed if not _goes_without_saying(name, change)]
    shown = [(name, _value(name, before.get(name)), _value(name, after.get(name))) for name in names]
    for name, had, has in [one for one in shown if one[1:] != (_UNSEEN, _UNSEEN)] or [("", _UNSEEN, _UNSEEN)]:
        yield f"| {' | '.join([*leading, code(label_of(name)) if name else _UNSEEN, had, has, why])} |"
        leading, why = ["", ""], ""


def _goes_without_saying(name: str, change: Change) -> bool:
    """What a new or vanishing object has as every other has it: our mark, its own name, what is off."""
    if change.operation is Operation.UPDATE:
        return False
    value = (change.after or change.before or {}).get(name)
    return name in {"owner", "userid", "vanished"} or value is (name == "enabled")


def _value(name: str, value: object) -> str:
    if value is None or value in ("", ()):
        return _UNSEEN
    text = text_of(name, value)  # type: ignore[arg-type]
    if len(text) > _LONGEST_VALUE:
        text = f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"
    return code(text)


def _why(change: Change) -> str:
    said = [_escaped(one) for one in beside(change)] if is_obvious(change) else [_escaped(change.reason)]
    said += [f"changed by {_escaped(author_of(change))}"] if change.changed_by else []
    said += [code(str(change.source))] if change.source else []
    return "<br>".join(said)


def _sentence(change: Change) -> str:
    fields = ", ".join(code(name) for name in change.changed)
    by = f" (changed by {_escaped(author_of(change))})" if change.changed_by else ""
    what = f"{_DONE[change.operation]} {noun_of(change.section)} {code(change.title or change.key)}"
    return f"{code(change.system)}: {what}{f': {fields}' if fields else ''}{by}"


def _reports(reports: Iterable[Report]) -> list[str]:
    """What should wake somebody first; what is said of many is said once."""
    return [
        f"{'**!** ' if pages else ''}{code(system)}: {_subjects(about)}{_escaped(text)}"
        for (pages, system, text), about in alike(reports).items()
    ]


def _subjects(about: Sequence[Report]) -> str:
    """Whom or what it is about, up to the colon."""
    names = [f"{noun_of(one.section)} {code(one.title or one.key)}" for one in about if one.key]
    rest = f", and {len(names) - _MOST_SUBJECTS} more" if len(names) > _MOST_SUBJECTS else ""
    return f"{', '.join(names[:_MOST_SUBJECTS])}{rest}: " if names else ""


def _folded(title: str, lines: Sequence[str], room: int) -> str:
    shown: list[str] = []
    for line in lines:
        room -= len(line) + 3
        if room < 0:
            break
        shown.append(f"- {line}")
    rest = len(lines) - len(shown)
    shown += [f"- … and {rest} more"] if rest else []
    if not shown:
        return ""
    return "\n".join([f"<details><summary>{title} ({len(lines)})</summary>\n", *shown, "\n</details>"])


def _escaped(text: str) -> str:
    """Prose that names things: what Markdown would read is escaped, mentions are broken."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", _html(flat)).replace("@", "@\N{ZERO WIDTH SPACE}")


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
