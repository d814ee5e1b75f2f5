"""The person's terminal: its other screen while it lasts, colours where they are wanted, a key at a time."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import TextIO

from agent.top.screen import Line, plain

__all__ = ["Terminal", "coloured", "encodable"]

_Attributes = list[int | list[bytes | int]]
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)

_STYLES = {"title": "1", "dim": "2", "good": "32", "warm": "33", "hot": "31"}
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"
_END = "\x04"
_PLAINER = str.maketrans("█▇▆▅▄▃▂▁░…", "######__.~", "°")


class Terminal:
    """The terminal of this process; `colour` says whether styles are shown (https://no-color.org/)."""

    def __init__(self, out: TextIO, keys: TextIO, *, colour: bool) -> None:
        self._out = out
        self._keys = keys.fileno()
        self._colour = colour
        self._woken, self._waker = os.pipe()

    @property
    def places_text(self) -> bool:
        """Whether text can be put anywhere on it; a dumb one prints line after line."""
        return os.environ.get("TERM", "dumb") != "dumb"

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take the screen and the keyboard, and give both back as they were, whatever happens."""
        before = termios.tcgetattr(self._keys)

        def pause(number: int, _frame: FrameType | None) -> None:
            self._give_back(before)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})  # it stops here, and goes on here
            signal.signal(number, pause)
            self._take()
            self._wake(number, None)

        handlers = {signal.SIGWINCH: self._wake, signal.SIGTSTP: pause, **dict.fromkeys(_ENDING, _end)}
        held = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            self._take()
            yield
        finally:
            with contextlib.suppress(OSError, termios.error):  # of a terminal that has gone nothing is left
                self._give_back(before)
            for number, handler in held.items():
                signal.signal(number, handler)
            os.close(self._woken)
            os.close(self._waker)

    def _take(self) -> None:
        tty.setcbreak(self._keys)
        self._out.write(_ENTER)

    def _give_back(self, before: "_Attributes") -> None:
        termios.tcsetattr(self._keys, termios.TCSADRAIN, before)
        self._out.write(_LEAVE)
        self._out.flush()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = os.get_terminal_size(self._out.fileno())
        return found.columns or 80, found.lines or 24

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of the last."""
        text = f"{_CLEAR_LINE}\n".join(coloured(line) if self._colour else plain(line) for line in lines)
        self._out.write(encodable(f"{_HOME}{text}{_CLEAR_LINE}{_CLEAR_BELOW}", self._out.encoding))
        self._out.flush()

    def key(self, within_seconds: float) -> str:
        """The key that was pressed meanwhile; "" where none was, or where the window has another size; ^D
        where the keyboard has gone.
        """
        ready, _, _ = select.select([self._keys, self._woken], [], [], within_seconds)
        if self._woken in ready:
            os.read(self._woken, 64)
        if self._keys not in ready:
            return ""
        pressed = os.read(self._keys, 64)
        return pressed.decode("utf-8", "replace") or _END

    def _wake(self, _number: int, _frame: FrameType | None) -> None:
        os.write(self._waker, b"w")


def encodable(text: str, encoding: str) -> str:
    """The text as an output of this encoding can take it: for blocks that it lacks, signs like them."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAINER).encode(encoding, "replace").decode(encoding)
    return text


def coloured(line: Line) -> str:
    """A line with its styles as SGR sequences (ECMA-48)."""
    return "".join(
        f"\x1b[{_STYLES[span.style]}m{span.text}\x1b[0m" if span.style in _STYLES else span.text
        for span in line
    )


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
