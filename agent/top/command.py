"""`steward-agent top` itself: read, look, draw, listen, again."""

import os
import sys
from dataclasses import replace
from time import localtime, monotonic, sleep, strftime
from typing import TextIO

from agent.errors import AgentError, UsageError
from agent.top.history import History
from agent.top.reading import Reader, Reading, collectors
from agent.top.screen import Look, draw, plain
from agent.top.terminal import Terminal, encodable
from agent.top.view import view
from exporters.collector import Host
from exporters.errors import SettingError

__all__ = ["FLAGS", "run"]

FLAGS = {
    "collector.users": ("true",),
    "collector.users.interval": ("2s",),
    "collector.units.interval": ("2s",),
    "collector.gpu.interval": ("1s",),
}
"""What a person at the host wants beside the defaults: who uses it, and all of it soon."""


_QUIT = frozenset({"q", "Q", "\x1b", "\x03", "\x04"})
_SORT = {"m": "memory", "c": "cpu"}
_ONCE_WIDTH = 120
_PAUSED_SECONDS = 60.0


def run(host: Host, *, interval_seconds: float, once: bool) -> int:
    """Show the host until `q`; with `once` print one screen, from two readings an interval apart.

    Raises AgentError where there is no terminal to show it on, UsageError where a flag does not fit.
    """
    try:
        reader = Reader(collectors(host))
    except SettingError as error:
        raise UsageError(str(error)) from error
    try:
        if once:
            return _print_once(reader, host, interval_seconds)
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
            raise AgentError("this is no terminal", hint="--once prints one screen as text")
        terminal = Terminal(sys.stdout, sys.stdin, colour="NO_COLOR" not in os.environ)
        if not terminal.places_text:
            raise AgentError("TERM says that this terminal is dumb", hint="--once prints one screen as text")
        with terminal.taken():
            _loop(reader, host, terminal, Look(interval_seconds=interval_seconds))
    finally:
        reader.close()
    return 0


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether it is one; None is what was closed before this program began."""
    return stream is not None and stream.isatty()


def _loop(reader: Reader, host: Host, terminal: Terminal, look: Look) -> None:
    history = History()
    while True:
        before, after = reader.read(monotonic())
        seen = view(before, after)
        history.add(seen)
        due = monotonic() + look.interval_seconds
        while look.is_paused or monotonic() < due:
            columns, lines = terminal.size
            head = _head(host, after)
            terminal.show(draw(seen, history, look, head=head, width=columns, height=lines))
            key = terminal.key(_PAUSED_SECONDS if look.is_paused else max(0.0, due - monotonic()))
            if key in _QUIT:
                return
            look = _look(look, key)


def _look(look: Look, key: str) -> Look:
    if key == " ":
        return replace(look, is_paused=not look.is_paused)
    return replace(look, sort=_SORT.get(key, look.sort))


def _print_once(reader: Reader, host: Host, interval_seconds: float) -> int:
    if sys.stdout is None:
        raise AgentError("standard output is closed")
    reader.read(monotonic())
    sleep(interval_seconds)
    before, after = reader.read(monotonic())
    look = Look(interval_seconds=interval_seconds)
    lines = draw(
        view(before, after), History(), look, head=_head(host, after), width=_ONCE_WIDTH, height=None
    )
    sys.stdout.write(encodable("".join(f"{plain(line)}\n" for line in lines), sys.stdout.encoding))
    return 0


def _head(host: Host, seen: Reading) -> str:
    loads = " ".join(
        f"{value:.2f}" for name in ("1", "5", "15") if (value := seen.one(f"node_load{name}")) is not None
    )
    return f"{host.hostname}  {strftime('%H:%M:%S', localtime())}  load {loads}"
