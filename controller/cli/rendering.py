"""Plans and outcomes as people read them: by system, a line for a change, at any width.

Colour only on a terminal; `--output json` is for programs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from controller.cli.fitting import LEAST_ROOM, fitted, listed, packed, shortened, wrapped
from controller.cli.grouping import Group, alike, grouped
from controller.cli.wording import counted, is_adoption, name_of, noun_of
from controller.plan.change import Operation, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

    from controller.plan.brakes import Refusal
    from controller.plan.change import Change, Outcome
    from controller.plan.plan import Plan, Report
    from controller.policy.model import Policy
    from controller.policy.position import SourcePosition

__all__ = ["console", "place_of", "print_outcomes", "print_plan", "print_totals", "print_wrapped"]

_SIGNS = {
    Operation.CREATE: ("+", "green"),
    Operation.UPDATE: ("~", "yellow"),
    Operation.DELETE: ("-", "red"),
}
_WIDTH_WITHOUT_TERMINAL = 100
_INDENT = 4
_FEW = 3
_LINES_AT_ONCE = 500
_MOST_REPORTS = 30
_MOST_SUBJECTS = 12


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no guessing at colours."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = _WIDTH_WITHOUT_TERMINAL
    return made


def print_plan(
    out: Console,
    plan: Plan,
    refusals: Sequence[Refusal] = (),
    *,
    policy: Policy | None = None,
    most: int | None = None,
) -> None:
    """The plan (at most `most` changes), what is left alone or was not seen, and the digest.

    With `policy`, also what that overrides, and what of it this version does not carry out.
    """
    shown = [change for group in grouped(plan.changes)[:most] for change in group.changes]
    _print_systems(out, shown, plan.instances)
    if len(shown) < len(plan.changes):
        out.print(f"… and {len(plan.changes) - len(shown)} more (steward plan shows all)", style="dim")
    _print_report_mode(out, [report.change for report in plan.reported if report.change is not None])
    _print_reports(out, [report for report in plan.reported if report.change is None])
    for override in plan.overrides:
        print_wrapped(out, f"override in force: {override}", style="yellow")
    if policy is not None:
        _print_notes(out, policy)
    print_totals(out, plan, refusals)


def print_totals(out: Console, plan: Plan, refusals: Sequence[Refusal] = ()) -> None:
    """What was not seen, what holds the plan, how much it is, and its digest."""
    unseen: dict[tuple[str, str, str], list[str]] = {}
    for gap in plan.unobserved:
        unseen.setdefault((gap.verdict, gap.system, gap.why), []).append(gap.section)
    for (verdict, system, why), sections in unseen.items():
        print_wrapped(out, f"{verdict}: {system} {', '.join(sections)}: {why}", style="bold red")
    for refusal in refusals:
        print_wrapped(out, f"held by the brake {refusal.rule}: {refusal.text}", style="bold red")
        names = [group.name for group in grouped(refusal.changes)]
        if names:
            print_wrapped(out, f"  {listed('', names, _MOST_SUBJECTS)}", style="red")
        print_wrapped(out, f"  to loosen it: {refusal.remedy}", style="red")
    if plan.is_empty:
        out.print(_nothing(plan), style="bold")
        return
    out.print(", ".join(f"{n} to {one}" for one in Operation if (n := plan.count(one))), style="bold")
    out.print(f"digest {plan.digest}", soft_wrap=True)


def _nothing(plan: Plan) -> str:
    told = sum(report.change is not None for report in plan.reported)
    if plan.unobserved:
        return "nothing to do where it could be observed"
    if told:
        return f"nothing to do: {told} difference{'' if told == 1 else 's'} in report mode"
    return "nothing to do: no difference"


def _print_notes(out: Console, policy: Policy) -> None:
    """What a policy overrides, and what of it this version leaves undone: a paragraph each."""
    overridden = [f"{note.what} ({place_of(note.position)})" for note in policy.overridden]
    undone = [f"{note.what} ({place_of(note.position)})" for note in policy.not_applied]
    for heading, notes in (("overridden", overridden), ("understood, not applied by this version", undone)):
        if notes:
            print_wrapped(out, f"{heading}: {', '.join(notes)}", style="dim")
    if policy.overridden or policy.not_applied:
        out.print()


def print_wrapped(out: Console, text: str, *, style: str = "") -> None:
    """A paragraph, its further lines indented; words (paths, addresses) stay whole."""
    out.print("\n".join(wrapped(text, out.width)), style=style, soft_wrap=True)


def print_outcomes(out: Console, outcomes: Sequence[Outcome], seconds: float) -> None:
    """What did not go well, then the counts; what was skipped for one reason is said once."""
    skipped: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        change = outcome.change
        if outcome.result is Result.SKIPPED:
            skipped.setdefault((change.system, outcome.reason), []).append(name_of(change))
        elif outcome.result is not Result.APPLIED:
            text = f"{change.system}: {change.operation} {name_of(change)}: {outcome.reason}"
            print_wrapped(out, f"{outcome.result}: {text}", style="red")
    for (system, reason), names in list(skipped.items())[:_MOST_REPORTS]:
        print_wrapped(out, f"skipped: {system}: {listed('', names, _FEW)}: {reason}", style="red")
    if len(skipped) > _MOST_REPORTS:
        rest = sum(len(names) for names in list(skipped.values())[_MOST_REPORTS:])
        out.print(f"skipped: {rest} more, each for what it needs (--output json shows all)", style="red")
    results = [outcome.result for outcome in outcomes]
    counts = ", ".join(f"{results.count(result)} {result}" for result in Result if result in results)
    out.print(f"{counts} in {seconds:.1f} s", style="bold")


def _print_systems(out: Console, changes: Sequence[Change], instances: Mapping[str, str]) -> None:
    from rich.text import Text

    for system in dict.fromkeys(change.system for change in changes):
        heading = Text(system, "bold").append(f"  {instances.get(system, '')}", "dim")
        out.print(heading, soft_wrap=True)
        _print_changes(out, [change for change in changes if change.system == system])
        out.print()


def _print_report_mode(out: Console, changes: Sequence[Change]) -> None:
    """What sections in report mode differ in: the same lines, under a heading that says so."""
    if not changes:
        return
    for system in dict.fromkeys(change.system for change in changes):
        out.print(f"{system}: in report mode, told and not changed", style="bold")
        _print_changes(out, [change for change in changes if change.system == system])
        out.print()


def _print_changes(out: Console, changes: Sequence[Change]) -> None:
    from rich.text import Text

    adoptions: dict[str, list[str]] = {}
    for change in changes:
        if is_adoption(change):
            adoptions.setdefault(change.section, []).append(change.key)
    many = {section for section, keys in adoptions.items() if len(keys) > _FEW}
    shown = [change for change in changes if not (is_adoption(change) and change.section in many)]
    groups = grouped(shown)
    width = out.width  # asked for once: the console looks at the environment each time
    name_width = _name_width(groups, width)
    for start in range(0, len(groups), _LINES_AT_ONCE):
        lines = [_line(group, name_width, width) for group in groups[start : start + _LINES_AT_ONCE]]
        out.print(Text("\n").join(lines), soft_wrap=True)
    for section in sorted(many):
        text = f"  ~ {counted(len(adoptions[section]), section)} adopted, nothing but our mark is set: "
        out.print(fitted(text, adoptions[section], out.width), style="yellow", soft_wrap=True)


def _name_width(groups: Iterable[Group], width: int) -> int:
    """The column of names: as wide as those need that have words beside them, within reason."""
    names = [len(group.name) for group in groups if len(group.changes) == 1 and group.words]
    return min(max(names, default=0), width * 2 // 5)


def _line(group: Group, name_width: int, width: int) -> Text:
    """Sign, name, words, and the place at the right edge; further words on lines of their own."""
    from rich.text import Text

    change = group.first
    sign, style = _SIGNS[change.operation]
    takes_away = style == "red" or change.removals.get("users") or change.removals.get("admins")
    place = shortened(place_of(change.source), width // 3) if change.source else ""
    name = group.name
    column = max(len(name), name_width)
    room = width - _INDENT - column - 2 - (len(place) + 2 if place else 0)
    left = _INDENT + name_width + 2
    words = packed(group.words, room if room >= LEAST_ROOM else 0, width - left)
    line = Text().append(f"  {sign} {name:<{column if words and words[0] else 0}}", style)
    tone = "red" if takes_away else ""
    line.append(f"  {words[0]}" if words and words[0] else "", tone)
    if place:
        gap = max(2, width - line.cell_len - len(place))
        line.append(" " * gap).append(place, "dim")
    for more in words[1:]:
        line.append("\n" + " " * left).append(more, tone)
    return line


def _print_reports(out: Console, reports: Sequence[Report]) -> None:
    """What is left alone; what should wake somebody first. What is said of many is said once."""
    if not reports:
        return
    out.print("seen and left alone", style="bold")
    found = alike(reports)
    for (pages, system, text), about in list(found.items())[:_MOST_REPORTS]:
        subjects = _subjects(about)
        sign, style = ("!", "bold red") if pages else ("·", "yellow")
        said = f"{subjects[0]}: {text}" if len(subjects) == 1 else text
        many = f": {listed('', subjects, _MOST_SUBJECTS)}" if len(subjects) > 1 else ""
        print_wrapped(out, f"  {sign} {system}: {said}{many}", style=style)
    if len(found) > _MOST_REPORTS:
        out.print(f"  and {len(found) - _MOST_REPORTS} more (--output json shows all)", style="yellow")
    out.print()


def _subjects(about: Sequence[Report]) -> list[str]:
    """The objects, each with its place; of several that one line names the last alone has it."""
    places = [f" ({place_of(one.source)})" if one.source else "" for one in about]
    named = [_subject(one) for one in about]
    following = [*places[1:], ""]
    pairs = zip(named, places, following, strict=True)
    return [name + ("" if place == after else place) for name, place, after in pairs if name]


def _subject(report: Report) -> str:
    """The object; "" where the report's own words name it (those about entries do)."""
    if report.title:
        return report.title
    is_entry = report.section.endswith(".assigned")
    if not report.key or (is_entry and " " in report.key):
        return ""
    return report.key if is_entry else f"{noun_of(report.section)} {report.key}"


def place_of(source: SourcePosition) -> str:
    """File and line, from the current folder where the file is below it."""
    path = Path(source.file)
    here = Path.cwd()
    file = path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path
    return f"{file}:{source.line}"
