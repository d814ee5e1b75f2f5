"""The stage of the demo: runs installed commands as a person would, shows them, and keeps a record.

Each step names the exit status and the proof that it expects; the first that is not what it should be ends
the demo with status 1. ``demo.jsonl`` gets a line a step: what ran, how it ended, what it proved, seconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["STARTED_WITHIN_SECONDS", "Show", "Stage", "StepFailed"]

STARTED_WITHIN_SECONDS = 60.0
COMMAND_WITHIN_SECONDS = 120.0


class StepFailed(Exception):  # noqa: N818 - it ends the play; it is not an error of a library
    """A step was not what it should be; the message says which and shows the output."""


@dataclass(frozen=True)
class Show:
    """What a finished command printed and returned."""

    status: int
    output: str

    def json(self) -> object:
        """The output as JSON; raises StepFailed where it is none."""
        try:
            return json.loads(self.output)
        except ValueError as error:
            raise StepFailed(f"not JSON: {self.output[:400]!r}") from error


@dataclass
class Stage:
    """Runs and records the steps of one demo; ``close`` ends all that it started, by process id."""

    folder: Path
    record: IO[str]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    console: Console = field(default_factory=Console)
    clock: Callable[[], float] = time.monotonic
    _running: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    _number: int = 0

    def scene(self, title: str) -> None:
        """Announce what comes next."""
        self._number += 1
        self.console.print()
        self.console.rule(f"[bold]{self._number}. {title}", align="left")

    def run(  # one call is one line of the script, so its expectations are its arguments
        self,
        *command: str,
        proves: str,
        expect: int = 0,
        says: Sequence[str] = (),
        shown: int = 30,
        hide_command: bool = False,
    ) -> Show:
        """Run a command to its end, show it, and hold its exit status and words against what is expected.

        ``shown`` is how many lines of the output to print (0: none). Raises StepFailed.
        """
        line = " ".join(command)
        if not hide_command:
            self.console.print(f"[bold cyan]$[/] {self._short(line)}", highlight=False, soft_wrap=True)
        began = self.clock()
        done = subprocess.run(
            command,
            env=dict(self.environment) | {"COLUMNS": str(min(self.console.width, 160) - 2)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_WITHIN_SECONDS,
            check=False,
        )
        show = Show(done.returncode, done.stdout.decode("utf-8", "replace"))
        self._print(show.output, shown)
        flat = " ".join(show.output.split())  # a narrow terminal breaks lines anywhere
        missing = [words for words in says if words not in flat]
        problem = ""
        if show.status != expect:
            problem = f"exit status {show.status}, expected {expect}"
        elif missing:
            problem = f"the output lacks {missing}"
        self.note(line, show.status, proves, seconds=self.clock() - began, problem=problem)
        if problem:
            raise StepFailed(f"{line}\n{problem}\n{show.output}")
        return show

    def start(
        self,
        name: str,
        *command: str,
        ready: Callable[[], bool],
        proves: str,
        within_seconds: float = STARTED_WITHIN_SECONDS,
    ) -> int:
        """Start a command that stays up, wait until ``ready`` says so, and return its process id.

        Its output goes to ``<folder>/<name>.log``. Raises StepFailed where it ends or stays unready.
        """
        line = " ".join(command)
        self.console.print(f"[bold cyan]$[/] {self._short(line)} &", highlight=False, soft_wrap=True)
        log = self.folder / f"{name}.log"
        began = self.clock()
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self._running.append((name, process))
        while not ready():
            if process.poll() is not None or self.clock() - began > within_seconds:
                tail = log.read_text("utf-8", "replace")[-2000:]
                self.note(
                    line, process.poll() or 0, proves, seconds=self.clock() - began, problem="did not start"
                )
                raise StepFailed(f"{line}\ndid not become ready\n{tail}")
            time.sleep(0.1)
        self.note(line, 0, proves, seconds=self.clock() - began)
        return process.pid

    def check(self, what: str, proves: str, *, holds: bool, found: object = "") -> None:
        """Record something that was looked at without a command. Raises StepFailed where it does not hold."""
        self.note(what, 0 if holds else 1, proves, seconds=0.0, problem="" if holds else f"found {found}")
        if not holds:
            raise StepFailed(f"{what}: {found}")
        self.console.print(f"  [green]✓[/] {proves}", highlight=False)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition of a running server. Raises StepFailed when it does not come."""
        began = self.clock()
        while not condition():
            if self.clock() - began > STARTED_WITHIN_SECONDS:
                raise StepFailed(f"waited {STARTED_WITHIN_SECONDS:.0f} s for: {what}")
            time.sleep(0.2)

    def note(self, command: str, status: int, proves: str, *, seconds: float, problem: str = "") -> None:
        """Write one line of ``demo.jsonl``."""
        entry = {
            "command": self._short(command),
            "exit_status": status,
            "proved": "" if problem else proves,
            "seconds": round(seconds, 2),
        }
        if problem:
            entry["problem"] = problem
        self.record.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self.record.flush()

    def say(self, text: str) -> None:
        """A sentence of the narrator."""
        self.console.print(f"[dim]{text}[/]", highlight=False)

    def close(self) -> None:
        """End what was started, last first."""
        for name, _process in reversed(self._running):
            self.stop(name)

    def stop(self, name: str) -> None:
        """End what was started under this name: SIGTERM, and SIGKILL after ten seconds."""
        for known, process in self._running:
            if known == name and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _short(self, line: str) -> str:
        return line.replace(str(self.folder.absolute()), self.folder.name)

    def _print(self, output: str, shown: int) -> None:
        lines = output.rstrip().splitlines()
        for text in lines[:shown]:
            self.console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)
        if 0 < shown < len(lines):
            self.console.print(f"  … {len(lines) - shown} more lines", style="dim", highlight=False)
