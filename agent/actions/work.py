"""What an action gets to work with, and how it says how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.configuration import Loaded
from agent.runner import Command, Finished

__all__ = ["Ending", "Implementation", "Work"]


@dataclass(frozen=True)
class Work:
    """An accepted action on its way: its arguments, this host's settings, the runner and the clock."""

    args: Mapping[str, Any]
    loaded: Loaded
    run: Callable[[Command], Finished]
    clock: Callable[[], int]


@dataclass(frozen=True)
class Ending:
    """How an action ended; `reason` is one word of a bounded set, empty where it is done."""

    outcome: Literal["done", "failed", "refused", "interrupted"]
    reason: str = ""
    exit_status: int | None = None
    result: Mapping[str, Any] = field(default_factory=dict)


Implementation = Callable[[Work], Ending]
"""Does one kind of action. May raise AgentError, which ends the action as failed."""
