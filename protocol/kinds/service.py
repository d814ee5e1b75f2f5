"""service.start, .stop, .restart, .status: a unit, by its name in agent.yaml."""

from typing import Final

from msgspec import Struct

from protocol.kinds.kind import Kind, Name

__all__ = ["KINDS", "Args"]


class Args(Struct, frozen=True, forbid_unknown_fields=True):
    """The unit's name in agent.yaml."""

    unit: Name


KINDS: Final = tuple(
    Kind(f"service.{verb}", Args, family="service", resource_of="unit", names={"unit": "units"})
    for verb in ("start", "stop", "restart", "status")
)
