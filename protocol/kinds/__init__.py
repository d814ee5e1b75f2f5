"""The kinds of action: arguments, the names in them that a host limits, the resource acted on."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from protocol.kinds import account, backup_run, host_ping, service
from protocol.kinds.kind import Kind, NameList

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KINDS", "Kind", "NameList"]

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.name: kind for kind in (host_ping.KIND, *service.KINDS, *account.KINDS, backup_run.KIND)}
)
"""Every kind that exists, by its name. What is not here is refused as `unknown_kind`."""
