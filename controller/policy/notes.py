"""What a reader of a plan should know about a policy that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.policy.position import SourcePosition

__all__ = ["NotApplied", "Overridden"]


@dataclass(frozen=True, order=True, slots=True)
class NotApplied:
    """Something that is understood and checked, but that this version does not carry out."""

    position: SourcePosition
    what: str

    def __str__(self) -> str:
        return f"{self.position}: {self.what} is understood but not applied by this version"


@dataclass(frozen=True, order=True, slots=True)
class Overridden:
    """A value that `override` gave, and the place that it replaced (None where nothing stood there)."""

    position: SourcePosition
    what: str
    replaced: SourcePosition | None

    def __str__(self) -> str:
        instead = f" instead of {self.replaced}" if self.replaced else ""
        return f"{self.position}: overrides {self.what}{instead}"
