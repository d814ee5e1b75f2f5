"""What can go wrong in the lab itself (not what its simulated servers answer).

LabError            root of the room
└── SeedError       an environment or seed that describes no data centre
"""

from __future__ import annotations

__all__ = ["LabError", "SeedError"]


class LabError(Exception):
    """Root of the lab's errors; the message is meant for the person at the terminal."""


class SeedError(LabError):
    """An environment or a seed that describes no data centre."""
