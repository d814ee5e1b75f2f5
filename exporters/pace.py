"""Decides which collectors a scrape waits for, and when the others are read: arithmetic without a clock.

A scrape reads its sources anew while that is quick. Where it is not (thousands of interfaces, CPUs or
mounts), the costliest collectors leave the scrape until what remains fits the budget. They are read in the
background just before the next scrape is expected, so that what is served is young, and no more often than
keeps them to a small share of one core. Nobody scrapes: nothing is read.
"""

from collections.abc import Mapping

FOREGROUND_SECONDS = 0.1
"""What all readings of one scrape may take together."""
RETURN_SECONDS = FOREGROUND_SECONDS / 2
"""What they may take once a collector returns; less than the budget, so that none goes to and fro."""
SHARE = 0.05
"""Of one core, for each collector that is read in the background."""
LONGEST_GAP_SECONDS = 60.0
DEADLINE_SECONDS = 60.0
"""What one run in the background may take."""

_LEAD_SECONDS = 0.25
_OLDEST_SECONDS = 60.0


def slow_ones(seconds: Mapping[str, float], slow: frozenset[str]) -> frozenset[str]:
    """Names of the collectors to read in the background from now on.

    `seconds` is what the last run of each collector took, `slow` are those in the background until now.
    """
    total = sum(taken for name, taken in seconds.items() if name not in slow)
    chosen = set(slow)
    for name in sorted(seconds.keys() - slow, key=lambda name: -seconds[name]):
        if total <= FOREGROUND_SECONDS:
            break
        total -= seconds[name]
        chosen.add(name)
    total = sum(taken for name, taken in seconds.items() if name not in chosen)
    for name in sorted(slow, key=lambda name: seconds[name]):
        total += seconds[name]
        if total > RETURN_SECONDS:
            break
        chosen.discard(name)
    return frozenset(chosen)


def next_reading(last_scrape: float, gap_seconds: float, read_at: float, seconds: float) -> float:
    """When to read again what took `seconds` at `read_at`, where scrapes come `gap_seconds` apart."""
    expected = last_scrape + min(gap_seconds, LONGEST_GAP_SECONDS)
    return max(read_at + seconds / SHARE, expected - 2 * seconds - _LEAD_SECONDS)


def oldest_seconds(gap_seconds: float, seconds: float) -> float:
    """Age from which a reading is not served any more; ordinary pauses never reach it."""
    return _OLDEST_SECONDS + 2 * max(min(gap_seconds, LONGEST_GAP_SECONDS), seconds / SHARE)
