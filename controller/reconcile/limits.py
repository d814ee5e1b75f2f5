"""The limits that a policy, or controller.yaml as their floor, gives: in the words of the brakes. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from controller.plan.limits import Allowance, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

__all__ = ["FLOOR", "POLICY", "limits_of"]

POLICY = "the policy"
FLOOR = "controller.yaml"

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
    def sections(self) -> Mapping[Any, _MaxDeletes]: ...
    @property
    def minimum(self) -> Mapping[Any, int]: ...
    @property
    def delete_after(self) -> timedelta | None: ...
    @property
    def protected_users(self) -> Iterable[str]: ...


def limits_of(given: _Given, source: str) -> Limits:
    """What a section `limits` says, of the file `source`; a part of a day counts as a whole one."""
    general, wait = _allowance(given.max_deletes), given.delete_after
    return Limits(
        count=general.count,
        share=general.share,
        delete_after_days=None if wait is None else -(-int(wait.total_seconds()) // _SECONDS_A_DAY),
        protected=frozenset(given.protected_users),
        sections={str(name): _allowance(one) for name, one in given.sections.items()},
        minimum={str(name): number for name, number in given.minimum.items()},
        source=source,
    )


def _allowance(given: _MaxDeletes) -> Allowance:
    share = given.share
    return Allowance(given.count, None if share is None else Fraction(share).limit_denominator(10_000))
