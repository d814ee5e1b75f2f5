"""Who made a machine run or stop, as the task log of its node tells."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controller.errors import ControllerError
from controller.plan.change import ChangedBy
from controller.resources.power_answers import BRINGS_ABOUT
from controller.resources.power_decisions import SECTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from controller.plan.change import Change
    from controller.power_values import ProxmoxTask
    from controller.resources.power_ports import PoweredReader

__all__ = ["power_history"]


def power_history(client: PoweredReader, changes: Sequence[Change]) -> Mapping[str, ChangedBy]:
    """By identity, who last brought each machine into the state that is to be changed.

    One request for each node; tasks of our own token are left out, and so is what no task of the log did (a
    guest that ended itself). Raises ControllerError where guests cannot be read.
    """
    asked = {change.object_id.partition("/")[2]: change for change in changes if change.section == SECTION}
    if not asked:
        return {}
    guests = client.resources().guests
    nodes = sorted({guest.node for guest in guests if str(guest.vmid) in asked})
    found: dict[str, ChangedBy] = {}
    for node in nodes:
        for task in sorted(_tasks(client, node), key=lambda one: one.started_at):
            change = asked.get(task.subject)
            if change is not None and _did(task, change) and task.user != client.power.own_user:
                at = datetime.fromtimestamp(task.started_at, UTC)
                found[change.identity] = ChangedBy(task.user, at, f"task {task.type} on {node}")
    return found


def _tasks(client: PoweredReader, node: str) -> list[ProxmoxTask]:
    """The tasks of a node; none of one that does not answer, whose machines are deferred anyway."""
    try:
        return client.power.tasks(node)
    except ControllerError:
        return []


def _did(task: ProxmoxTask, change: Change) -> bool:
    state = str((change.before or {}).get("state"))
    return task.is_done and task.type in BRINGS_ABOUT.get(state, ())
