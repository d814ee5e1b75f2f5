"""A whole command as a person runs it, and what it cost; tables with the budget beside."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

NO_CHANGES, CHANGES = 0, 2


class BenchError(Exception):
    """A command ended otherwise than it must."""


@dataclass(frozen=True)
class Cost:
    """What one process cost: wall clock and processor time in seconds, its peak of memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def steward(folder: Path, *words: str, code: int) -> Cost:
    """Run `steward` in `folder`, from the start of the process to its end. Raises BenchError."""
    program = Path(sys.executable).with_name("steward")
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen([program, *words], cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            said.seek(0)
            text = said.read()[-2000:].decode(errors="replace")
            raise BenchError(f"steward {' '.join(words)} ended with {process.returncode}: {text}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def best(costs: list[Cost]) -> Cost:
    """The least of each: what the machine's other work adds says nothing about ours."""
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.cpu_seconds for cost in costs),
        max(cost.peak_bytes for cost in costs),
    )


def print_head(title: str) -> None:
    """The head of a table of `print_line`s."""
    print(f"\n{title}")
    print(f"{'':44}{'measured':>12}{'budget':>12}{'of it':>8}")


def print_line(what: str, measured: float, budget: float, unit: str) -> bool:
    """One line; True where the budget was kept."""
    kept = measured <= budget
    share = f"{measured / budget:>8.0%}" if budget else f"{'':8}"
    cells = f"{f'{_shown(measured)} {unit}':>12}{f'{_shown(budget)} {unit}':>12}{share}"
    print(f"{what:44}{cells}{'' if kept else '  OVER'}")
    return kept


def _shown(number: float) -> str:
    return f"{number:.0f}" if number >= 100 or number == int(number) else f"{number:.3g}"
