"""Plans and outcomes as people read them. Colour only on a terminal; `--output json` is for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from controller.plan.change import Operation, Result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from controller.plan.brakes import Refusal
    from controller.plan.change import Change, Json, Outcome
    from controller.plan.plan import Plan

__all__ = ["console", "print_outcomes", "print_plan"]

_SIGNS = {
    Operation.CREATE: ("+", "green"),
    Operation.UPDATE: ("~", "yellow"),
    Operation.DELETE: ("-", "red"),
}
_LONGEST_VALUE = 60
_WIDTH_OF_A_FILE = 200
_MOST_REPORTS = 30


def console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no guessing at colours."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False)
    if not made.is_terminal:
        made.width = _WIDTH_OF_A_FILE
    return made


def print_plan(
    out: Console, plan: Plan, refusals: Sequence[Refusal] = (), *, most: int | None = None
) -> None:
    """The plan as a table (at most `most` changes), what was not seen or is left alone, and the digest."""
    shown = plan.changes[:most]
    if shown:
        out.print(_table(shown))
    if len(shown) < len(plan.changes):
        out.print(f"… and {len(plan.changes) - len(shown)} more (steward plan shows all)", style="dim")
    for gap in plan.unobserved:
        out.print(f"not observed: {gap.system} {gap.section}: {gap.why}", style="bold red")
    _print_reports(out, plan)
    for refusal in refusals:
        out.print(f"held by the brake {refusal.rule}: {refusal}", style="bold red")
    out.print(_counted(plan))


def _print_reports(out: Console, plan: Plan) -> None:
    """What is left alone; what should wake somebody first."""
    reports = sorted(plan.reported, key=lambda report: not report.pages)
    for report in reports[:_MOST_REPORTS]:
        place = f" ({report.source})" if report.source else ""
        name = "/".join(filter(None, (report.system, report.section, report.key)))
        out.print(
            f"reported: {name}: {report.text}{place}", style="bold yellow" if report.pages else "yellow"
        )
    if len(reports) > _MOST_REPORTS:
        out.print(f"reported: {len(reports) - _MOST_REPORTS} more (--output json shows all)", style="yellow")


def _counted(plan: Plan) -> str:
    if plan.is_empty:
        return (
            "nothing to do where it could be observed" if plan.unobserved else "nothing to do: no difference"
        )
    counts = ", ".join(
        f"{number} to {operation}" for operation in Operation if (number := plan.count(operation))
    )
    return f"{counts}\ndigest {plan.digest}"


def _table(changes: Sequence[Change]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for heading in ("", "object", "change", "because"):
        table.add_column(heading, overflow="fold")
    for change in changes:
        sign, style = _SIGNS[change.operation]
        because = f"{change.reason} ({change.source})" if change.source else change.reason
        name = f"{change.system}/{change.section}/{change.key}"
        table.add_row(Text(sign, style), Text(name, style), Text(_way(change)), Text(because, "dim"))
    return table


def _way(change: Change) -> str:
    """The fields that matter: all that a creation sets, those that an update alters."""
    before, after = change.before or {}, change.after or {}
    if change.operation is Operation.CREATE:
        return ", ".join(f"{name}={_shown(value)}" for name, value in after.items() if _says_something(value))
    if change.operation is Operation.DELETE:
        return "is deleted"
    return ", ".join(_step(name, before.get(name), after.get(name)) for name in change.changed)


def _says_something(value: Json) -> bool:
    return value not in (None, "", False, (), [])


def _step(name: str, before: Json, after: Json) -> str:
    """Lists by what comes and goes, everything else as before → after."""
    if _is_list(before) and _is_list(after):
        had, has = _texts(before), _texts(after)
        moves = [f"+{one}" for one in sorted(has - had)] + [f"-{one}" for one in sorted(had - has)]
        return f"{name} {' '.join(moves)}"
    return f"{name} {_shown(before)} → {_shown(after)}"


def _is_list(value: Json) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _texts(value: Json) -> set[str]:
    return set(map(str, value)) if isinstance(value, Sequence) else set()


def _shown(value: Json) -> str:
    if isinstance(value, str):
        text = value or '""'
    elif isinstance(value, Mapping):
        text = " ".join(f"{name}={_shown(item)}" for name, item in value.items())
    elif isinstance(value, Sequence):
        text = ",".join(map(_shown, value)) or "none"
    else:
        text = "none" if value is None else str(value).lower()
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def print_outcomes(out: Console, outcomes: Sequence[Outcome], seconds: float) -> None:
    """What did not go well, one line each, then the counts."""
    for outcome in outcomes:
        if outcome.result is not Result.APPLIED:
            out.print(
                f"{outcome.result}: {outcome.change.operation} {outcome.change.identity}: {outcome.reason}",
                style="red",
            )
    results = [outcome.result for outcome in outcomes]
    counts = ", ".join(f"{results.count(result)} {result}" for result in Result if result in results)
    out.print(f"{counts} in {seconds:.1f} s")
