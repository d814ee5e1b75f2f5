"""One pass that kills itself with SIGKILL once so many of its changes have ended: a program for tests.

`killed_pass.py FOLDER POLICIES AFTER LATER`: the clock goes LATER seconds ahead, so that the lease of a pass
that was killed before has run out.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from controller.app import Controller
from controller.config import Configuration
from controller.policy.folder import load


def main(folder: Path, policies: str, after: int, later: int) -> None:
    """Plan and apply; ends by itself where fewer changes than `after` are to be made."""
    ended = 0

    def count(outcomes):
        nonlocal ended
        ended += len(outcomes)
        if ended >= after:
            os.kill(os.getpid(), signal.SIGKILL)

    with Controller(
        Configuration.load(folder / "controller.yaml", {}), clock=lambda: time.time() + later
    ) as controller:
        policy = load(folder / policies)
        with controller.lease(f"killed after {after}") as lease:
            controller.apply(controller.plan(policy), actor="test", term=lease.term, on_outcomes=count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
