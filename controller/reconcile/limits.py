"""The limits that a policy gives, in the words of the brakes. Pure."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from controller.plan.brakes import Limits

if TYPE_CHECKING:
    from controller.policy.model import Policy

__all__ = ["policy_limits"]

_SECONDS_A_DAY = 86_400


def policy_limits(policy: Policy) -> Limits:
    """What the policy's `limits` say; a part of a day counts as a whole one."""
    given = policy.limits
    share, wait = given.max_deletes.share, given.delete_after
    return Limits(
        count=given.max_deletes.count,
        share=None if share is None else Fraction(share).limit_denominator(10_000),
        delete_after_days=None if wait is None else -(-int(wait.total_seconds()) // _SECONDS_A_DAY),
        protected=frozenset(given.protected_users),
    )
