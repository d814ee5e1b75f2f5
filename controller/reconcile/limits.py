"""The limits that a policy, or controller.yaml as their floor, gives: in the words of the brakes. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from controller.plan.brakes import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

__all__ = ["limits_of"]

_SECONDS_A_DAY = 86_400


class _MaxDeletes(Protocol):
    @property
    def count(self) -> int | None: ...
    @property
    def share(self) -> float | None: ...


class _Given(Protocol):
    @property
    def max_deletes(self) -> _MaxDeletes: ...
    @property
    def delete_after(self) -> timedelta | None: ...
    @property
    def protected_users(self) -> Iterable[str]: ...


def limits_of(given: _Given) -> Limits:
    """What a section `limits` says; a part of a day counts as a whole one."""
    share, wait = given.max_deletes.share, given.delete_after
    return Limits(
        count=given.max_deletes.count,
        share=None if share is None else Fraction(share).limit_denominator(10_000),
        delete_after_days=None if wait is None else -(-int(wait.total_seconds()) // _SECONDS_A_DAY),
        protected=frozenset(given.protected_users),
    )
