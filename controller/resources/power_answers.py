"""What the words of Proxmox VE about a start or a stop mean: done, try again, or no. Pure.

Words of qemu-server (QemuServer.pm, QemuConfig.pm) and pve-guest-common (AbstractConfig.pm), which arrive as
an answer of 500 or as the result of a task.
"""

from __future__ import annotations

import re
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BRINGS_ABOUT", "Verdict", "is_disobeyed", "verdict"]

BRINGS_ABOUT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "running": frozenset({"qmstart", "qmresume", "vzstart", "hastart"}),
        "stopped": frozenset({"qmshutdown", "qmstop", "vzshutdown", "vzstop", "hastop"}),
    }
)
"""The types of tasks that bring a state about."""


class Verdict(StrEnum):
    """What to do after such words."""

    REACHED = "reached"
    AGAIN = "again"
    FAILED = "failed"


_REACHED = re.compile(r"(?:VM|CT) \d+ (?:already|not) running|already running|already stopped")
_AGAIN = re.compile(
    r"can't lock file .*got timeout|(?:VM|CT) is locked|got lock request timeout|got no worker upid"
    r"|no quorum|answered 59[5-9]"
)
_DISOBEYED = re.compile(r"got timeout|container did not stop|lxc-stop .*failed")


def verdict(text: str) -> Verdict:
    """What to do. A shutdown that was not obeyed (`… failed - got timeout`) is no lock: it has failed."""
    if _REACHED.search(text):
        return Verdict.REACHED
    return Verdict.AGAIN if _AGAIN.search(text) else Verdict.FAILED


def is_disobeyed(text: str) -> bool:
    """Whether a shutdown failed because the guest did not end in its time."""
    return _DISOBEYED.search(text) is not None and not _AGAIN.search(text)
