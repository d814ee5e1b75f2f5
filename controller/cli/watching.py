"""``steward plan --watch``: plan and mistakes drawn anew at each save.

The world is observed in the background, every few seconds; a save costs reading the folder and one
comparison. Files are watched by their times of change: no inotify, so that it works on every file system.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.policy.problems import PolicyErrors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from controller.app import Controller
    from controller.plan.brakes import Refusal
    from controller.plan.plan import Plan
    from controller.policy.model import Policy
    from controller.reconcile.planner import Planner, Sight

__all__ = ["Drawing", "Watch", "follow", "stamps", "watch_plan"]

_POLL_SECONDS = 0.1
_OBSERVE_SECONDS = 5.0


@dataclass(frozen=True)
class Drawing:
    """What is to be shown: a plan with the brakes that hold it, or the mistakes that stand in its way."""

    plan: Plan | None
    refusals: tuple[Refusal, ...] = ()
    mistakes: str = ""
    policy: Policy | None = None
    work_seconds: float = 0.0

    def same_as(self, other: Drawing | None) -> bool:
        """Whether drawing it would show nothing new."""
        if other is None or self.mistakes != other.mistakes or (self.plan is None) != (other.plan is None):
            return False
        if self.plan is None or other.plan is None:
            return True
        return self.plan.to_json() == other.plan.to_json() and self.refusals == other.refusals


def stamps(folders: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Time of change (ns) and size of every policy file below `folders`, as far as they stay while we look.

    Hidden folders (`.git`) hold no policy.
    """
    found: dict[str, tuple[int, int]] = {}
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".")]
            for name in names:
                if not name.endswith((".yaml", ".yml")):
                    continue
                path = os.path.join(parent, name)  # noqa: PTH118 - ten times a second over whole folders
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                found[path] = (status.st_mtime_ns, status.st_size)
    return found


class Watch:
    """One watched folder. `refresh` observes the world; `look` reads the folder and compares."""

    def __init__(self, controller: Controller, folder: Path, targets: Sequence[str]) -> None:
        self._controller = controller
        self._folder = folder
        self._targets = targets
        self._planner: Planner | None = None
        self._realm: str | None = None
        self._sights: Mapping[str, Sight] | None = None
        self._policy: Policy | None = None
        self.folders: frozenset[Path] = frozenset({folder})
        """What the policy was last read from: the folder itself and those that it extends."""

    def look(self) -> Drawing:
        """Read the folder and compare it with what was last observed; observe where nothing was yet."""
        from controller.policy.folder import load

        began = time.monotonic()
        try:
            policy = load(self._folder)
            self._read_from(policy.files)
            self._controller.check(policy)
            self._policy = policy
            planner = self._planner_for(policy)
            if self._sights is None:
                self._sights = planner.observe(policy)
            return self._compared(planner, policy, began)
        except ControllerError as error:
            if isinstance(error, PolicyErrors):
                self._read_from([*map(str, self.folders), *(one.position.file for one in error.problems)])
            return Drawing(None, mistakes=str(error), work_seconds=time.monotonic() - began)

    def _read_from(self, files: Iterable[str]) -> None:
        found = (Path(file) for file in files)
        self.folders = frozenset({self._folder, *(one if one.is_dir() else one.parent for one in found)})

    def refresh(self) -> None:
        """Observe the world for the last policy that was sound; called from another thread than `look`."""
        policy, planner = self._policy, self._planner
        if policy is None or planner is None:
            return
        sights = planner.observe(policy)
        if planner is self._planner:  # a policy of another realm may have come meanwhile
            self._sights = sights

    def _compared(self, planner: Planner, policy: Policy, began: float) -> Drawing:
        from controller.reconcile.planner import refusals

        sights = self._sights or {}
        memory = self._controller.memory(policy)
        plan = self._controller.completed(planner.compare(policy, sights, memory, self._targets), policy)
        held = refusals(plan, sights, memory.limits)
        return Drawing(plan, held, policy=policy, work_seconds=time.monotonic() - began)

    def _planner_for(self, policy: Policy) -> Planner:
        """The planner of the policy's realm; another realm is another world."""
        realm = policy.realm.name if policy.realm else None
        if self._planner is None or realm != self._realm:
            self._planner, self._realm, self._sights = self._controller.planner(policy), realm, None
        return self._planner


def watch_plan(controller: Controller, folder: Path, targets: Sequence[str]) -> None:
    """Draw until Ctrl-C."""
    over = threading.Event()
    try:
        follow(Watch(controller, folder, targets), _draw, over)
    except KeyboardInterrupt:
        over.set()


def follow(watch: Watch, draw: Callable[[Drawing], None], over: threading.Event) -> None:
    """Draw what changes, in the folders or in the world, until `over` is set."""
    changed_world = threading.Event()
    observer = threading.Thread(
        target=_observe, args=(watch, changed_world, over), daemon=True, name="observe"
    )
    shown: Drawing | None = None
    seen: dict[str, tuple[int, int]] | None = None
    while not over.is_set():
        folders = watch.folders
        now = stamps(watch.folders)
        if now != seen or changed_world.is_set():
            changed_world.clear()
            drawing = watch.look()
            if watch.folders != folders:  # something saved there meanwhile would go unseen: look again
                continue
            if now != seen or not drawing.same_as(shown):
                draw(drawing)
                shown = drawing
            seen = now
        if observer.ident is None:
            observer.start()
        over.wait(_POLL_SECONDS)


def _observe(watch: Watch, changed_world: threading.Event, over: threading.Event) -> None:
    while not over.wait(_OBSERVE_SECONDS):
        try:
            watch.refresh()
        except ControllerError:
            continue  # the next look says so itself
        changed_world.set()


def _draw(drawing: Drawing) -> None:
    from controller.cli.rendering import console, print_plan

    out = console()
    if out.is_terminal:
        out.clear()
    if drawing.plan is None:
        out.print(drawing.mistakes, style="red", soft_wrap=True)
    else:
        print_plan(out, drawing.plan, drawing.refusals, policy=drawing.policy)
    out.print(f"{time.strftime('%H:%M:%S')}  {drawing.work_seconds * 1000:.0f} ms; Ctrl-C ends", style="dim")
