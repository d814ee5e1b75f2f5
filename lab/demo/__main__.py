"""``make demo``: set the stage, play, invite, and clear up.

``ONCE=1`` ends after the play with exit status 0; ``REAL=1`` uses a real Keycloak. Status 1 at the first step
that is not what it should be. ``demo.jsonl`` in the current folder holds every step.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.demo.play import act
from lab.demo.scenery import Scenery
from lab.demo.stage import Stage, StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

RECORD = "demo.jsonl"
FOLDER = ".demo"
MARK = "made-by-the-demo"
INTERRUPTED = 130


def main() -> int:
    """0 when every step was what it should be, 1 when one was not, 130 when interrupted before the end."""
    began = time.monotonic()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        _answer_signals_by(signal.SIG_IGN)  # an impatient second Ctrl-C would leave servers behind
        raise KeyboardInterrupt

    _answer_signals_by(on_signal)
    scenery = Scenery(folder=_fresh_folder(Path(FOLDER).absolute()), source=Path.cwd())
    is_whole = False
    with Path(RECORD).open("w", encoding="utf-8") as record:
        stage = Stage(folder=scenery.folder, record=record)
        try:
            act(stage, scenery, real_keycloak=os.environ.get("REAL") == "1")
            is_whole = True
            stage.console.print(
                f"\n[green]Every step was what it should be[/] ({time.monotonic() - began:.0f} s)."
            )
            _invite(stage, scenery)
            if os.environ.get("ONCE") != "1":
                while True:  # not signal.pause: a signal just before it would be waited out
                    time.sleep(1)
        except (OSError, subprocess.TimeoutExpired) as error:  # URLError among them: a server went away
            stage.note("the demo's own request", 1, "", seconds=0.0, problem=str(error))
            return _failed(stage, str(error))
        except StepFailed as error:
            return _failed(stage, str(error))
        except KeyboardInterrupt:
            stage.console.print("\nEnding everything that the demo started.")
            return 0 if is_whole else INTERRUPTED
        finally:
            for number in (
                signal.SIGINT,
                signal.SIGTERM,
            ):  # an impatient second Ctrl-C would leave servers behind
                signal.signal(number, signal.SIG_IGN)
            stage.close()
            shutil.rmtree(scenery.sockets, ignore_errors=True)
    return 0


def _answer_signals_by(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    # Said outright: SIGINT is ignored in what a shell starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _failed(stage: Stage, why: str) -> int:
    stage.console.print("\n[bold red]The demo failed:[/]", end=" ")
    stage.console.print(why, markup=False, highlight=False)
    return 1


def _fresh_folder(folder: Path) -> Path:
    """An empty folder of the demo's own; only one that an earlier demo made is cleared."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise SystemExit(f"{folder} is there and was not made by the demo; move it away")
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    (folder / MARK).touch()
    return folder


def _invite(stage: Stage, scenery: Scenery) -> None:
    folder = scenery.folder.name
    stage.console.rule("Look around", align="left")
    addresses = {
        "Status page": f"{scenery.controller_url}/   (its CA: {folder}/controller/state/ca.pem)",
        "Agent": f"{scenery.agent_url}/metrics",
        **scenery.addresses,
        "Record": RECORD,
    }
    for name, address in addresses.items():
        stage.console.print(f"  {name:<13} {address}", highlight=False, soft_wrap=True)
    stage.console.print(
        f"\nEdit {folder}/policies/prod/*.yaml in another terminal while this shows what would happen:\n"
        f"  .venv/bin/steward plan {folder}/policies/prod -c {folder}/controller/controller.yaml --watch\n"
        + ("Commit there, and the controller carries it out." if scenery.has_git else ""),
        highlight=False,
        soft_wrap=True,
    )
    if os.environ.get("ONCE") != "1":
        stage.console.print("Ctrl-C ends everything.")


if __name__ == "__main__":
    sys.exit(main())
