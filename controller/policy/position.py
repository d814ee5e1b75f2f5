"""Where a value stands in a policy: what errors, plans and explanations point at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SourcePosition"]


@dataclass(frozen=True, order=True, slots=True)
class SourcePosition:
    """A place in a file of the policy: `line` and `column` count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"
