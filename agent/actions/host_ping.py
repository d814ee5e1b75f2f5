"""host.ping: answer, and so prove the whole way there and back."""

import platform
import time

import msgspec

from agent.actions.work import Ending, Work
from protocol.kinds.host_ping import Result

__all__ = ["perform"]


def perform(_work: Work) -> Ending:
    """Tell the kernel's host name and the seconds since boot (suspend included)."""
    uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME))
    return Ending("done", result=msgspec.to_builtins(Result(platform.node()[:253], uptime)))
