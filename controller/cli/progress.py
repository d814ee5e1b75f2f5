"""How far an apply has come: a bar on a terminal, a line for each fifth of the way otherwise."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from controller.cli.wording import name_of
from controller.plan.change import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from controller.plan.change import Outcome

__all__ = ["Shown", "interruptible", "progress"]

_STEPS = 5


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Give the function that raises KeyboardInterrupt once Ctrl-C was pressed; call it between changes.

    An interrupt anywhere else could hit the store in the middle of a transaction. A second Ctrl-C does so
    all the same: it is for when something hangs.
    """
    pressed = False

    def press(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)
        typer.echo("stopping after the changes under way; Ctrl-C again stops at once", err=True)

    def stop() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Shown:
    """What to call while changes are made: `advance` with outcomes as they end, `say` with what is under way.

    `say` may be called from any thread.
    """

    advance: Callable[[Sequence[Outcome]], None]
    say: Callable[[str], None]


@contextmanager
def progress(total: int) -> Iterator[Shown]:
    """Show how far it has come; everything goes to standard error."""
    if sys.stderr.isatty():
        with _bar(total) as shown:
            yield shown
    else:
        yield Shown(_lines(total), lambda text: typer.echo(text, err=True))


@contextmanager
def _bar(total: int) -> Iterator[Shown]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),  # last, so that names of any length do not move the bar
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False, markup=False)) as bar:
        task = bar.add_task("applying", total=total)

        def advance(ended: Sequence[Outcome]) -> None:
            last = ended[-1].change
            bar.update(task, advance=len(ended), description=f"{last.operation} {name_of(last)}")
            for outcome in ended:
                if outcome.result is not Result.APPLIED:
                    bar.console.print(f"{outcome.result}: {name_of(outcome.change)}: {outcome.reason}")

        yield Shown(advance, lambda text: bar.update(task, description=text))


def _lines(total: int) -> Callable[[Sequence[Outcome]], None]:
    done = 0
    said = 0

    def advance(ended: Sequence[Outcome]) -> None:
        nonlocal done, said
        done += len(ended)
        if done * _STEPS // total > said:
            said = done * _STEPS // total
            typer.echo(f"{done} of {total} changes", err=True)

    return advance
