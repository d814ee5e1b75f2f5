"""What is wrong with a policy: each problem at its place, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.policy.position import SourcePosition

__all__ = ["PolicyErrors", "Problem", "did_you_mean", "quoted"]


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One mistake: where it is, what it is, and what was probably meant ("" where nothing comes close)."""

    position: SourcePosition
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        question = f"; did you mean {quoted(self.suggestion)}?" if self.suggestion else ""
        return f"{self.position}: {self.message}{question}"

    def to_json(self) -> dict[str, str | int]:
        """The problem as JSON, its place in parts."""
        return {
            "file": self.position.file,
            "line": self.position.line,
            "column": self.position.column,
            "message": self.message,
            "suggestion": self.suggestion,
        }


class PolicyErrors(ControllerError):  # noqa: N818 - the name says what it carries: all errors of a folder
    """A policy that cannot be used: `problems` sorted by place, `str()` one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that `word` is probably a slip of, or ""."""
    choices = list(known)
    by_lower = {choice.lower(): choice for choice in choices}
    if word.lower() in by_lower:
        return by_lower[word.lower()]
    close = get_close_matches(word, choices, n=1, cutoff=0.6)
    return close[0] if close else ""


def quoted(word: object) -> str:
    """A word as a message shows it: in double quotes, shortened, control characters escaped."""
    text = str(word)
    short = text if len(text) <= 60 else text[:57] + "..."
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + '"'
