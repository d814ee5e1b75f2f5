"""Starting and stopping guests (qemu-server:src/PVE/API2/Qemu.pm, QemuServer.pm, QemuConfig.pm).

What can be seen at once is refused at once, with a 500; the rest is the outcome of a task. Guests under
high availability get tasks that only file the wish. Underneath stands a QEMU process as the recordings have
it: a start takes no time, a power-down ends the process unless the guest hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT, is_true
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, wrong_parameters
from lab.proxmox.guests import GUEST, check_lock, configured_guest, find_guest
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, Schema, boolean, integer, text

if TYPE_CHECKING:
    from lab.proxmox.environment import Guest

__all__ = ["METHODS"]

_POWER = OnPath("/vms/{vmid}", ("VM.PowerMgmt",))
_DEFAULT_TIMEOUT_SECONDS = 60
_DEFAULT_STATE_STORAGE = "local"
_OF_MIGRATION = (
    "stateuri",
    "skiplock",
    "migratedfrom",
    "migration_type",
    "migration_network",
    "targetstorage",
    "force-cpu",
    "nets-host-mtu",
    "with-conntrack-state",
)
Outcome = Callable[[], Iterable[str]]


def _begin(call: Call, kind: str, outcome: Outcome, *, after_seconds: float = 0.0) -> str:
    now = call.center.now()
    task = call.center.tasks.start(
        kind,
        node=call.params["node"],
        identifier=call.params["vmid"],
        who=call.who,
        now=now,
        ends_at=now + after_seconds,
        outcome=outcome,
    )
    return task.upid


def _is_managed(call: Call) -> bool:
    return int(call.params["vmid"]) in call.center.environment.ha_managed


def _file_wish(call: Call, wish: str) -> str:
    vmid = call.params["vmid"]
    delay = call.center.environment.ha_delay_seconds
    if delay is not None:
        call.center.tasks.later(call.center.now() + delay, lambda: _carry_out_wish(call, wish))
    return _begin(call, f"ha{wish}", lambda: [f"Requesting HA {wish} for VM {vmid}"])


def _carry_out_wish(call: Call, wish: str) -> None:
    guest = find_guest(call)
    if guest is None:
        return
    if wish == "start" and not guest.is_running:
        _run(call, guest)
    elif wish == "stop":
        guest.state = "stopped"


def _refuse_reserved(call: Call, *options: str) -> None:
    for option in options:
        if is_true(call.params.get(option)) and call.who != ROOT:
            raise wrong_parameters({option: "Only root may use this option."})


def _existing(call: Call) -> Guest:
    """The guest; other words than those for a configuration that is read."""
    guest = find_guest(call)
    if guest is None:
        vmid = call.params["vmid"]
        raise ApiError(f"unable to find configuration file for VM {vmid} on node '{call.params['node']}'\n")
    return guest


def _require_running(call: Call) -> None:
    if not _existing(call).is_running:
        raise ApiError(f"VM {call.params['vmid']} not running\n")


def _is_paused(call: Call) -> bool:
    guest = find_guest(call)
    return guest is not None and guest.state == "paused"


def _run(call: Call, guest: Guest) -> None:
    guest.state, guest.hangs, guest.started_at = "running", False, call.center.now()
    guest.process = 2000 + len(call.center.requests) + guest.vmid


def start(call: Call) -> object:
    """Start; a running guest under backup is resumed."""
    _refuse_reserved(call, *_OF_MIGRATION)
    if "targetstorage" in call.params and "migratedfrom" not in call.params:
        raise wrong_parameters({"targetstorage": "targetstorage can only by used with migratedfrom."})
    if _is_managed(call) and not call.params.get("stateuri"):
        return _file_wish(call, "start")
    return _begin(call, "qmstart", lambda: _start(call))


def _start(call: Call) -> Iterator[str]:
    guest, config = configured_guest(call)
    if config.get("template") == "1":
        raise ApiError("you can't start a vm if it's a template\n")
    if guest.is_running and config.get("lock") == "backup":
        guest.state = "running"
        return iter(())
    if config.get("lock") == "suspended":
        del config["lock"]
    if not call.flag("skiplock"):
        check_lock(config)
    if guest.is_running:
        raise ApiError(f"VM {guest.vmid} already running\n")
    if guest.fails_to_start:
        raise ApiError("start failed: QEMU exited with code 1\n")
    _run(call, guest)
    return iter(["WARN: no efidisk configured! Using temporary efivars disk."] if guest.warns else [])


@dataclass(frozen=True)
class _Ending:
    """How a guest is brought to an end: by asking it, by force after the timeout, or at once."""

    ask: bool
    force: bool = True
    restart: bool = False
    skip_lock: bool = False


def _end(call: Call, ending: _Ending) -> Iterator[str]:
    guest = _existing(call)
    if not guest.is_running:
        return iter(())
    if not ending.skip_lock:
        check_lock(configured_guest(call)[1])
    if ending.ask and guest.hangs and not ending.force:
        raise ApiError("VM quit/powerdown failed - got timeout\n")
    guest.state, guest.hangs = "stopped", False
    if ending.ask and not ending.force and call.params.get("timeout") == "0":
        # Upstream counts the seconds before it looks: none is too few even for a guest that obeys.
        raise ApiError("VM quit/powerdown failed - got timeout\n")
    if ending.restart:
        _run(call, guest)
    return iter(())


def _seconds_until_end(call: Call, *, ask: bool) -> float:
    """A guest that hangs keeps the task until the timeout: as given, `down` of its start-up order, 60 s."""
    guest = find_guest(call)
    if guest is None or guest.config is None or not (ask and guest.is_running and guest.hangs):
        return 0.0
    if guest.config.get("lock") and not call.flag("skiplock"):
        return 0.0
    options = dict(part.partition("=")[::2] for part in guest.config.get("startup", "").split(","))
    return float(call.params.get("timeout", options.get("down", _DEFAULT_TIMEOUT_SECONDS)))


def stop(call: Call) -> object:
    """End the process at once; with `overrule-shutdown` running shutdown tasks of the guest first."""
    _refuse_reserved(call, "skiplock", "keepActive", "migratedfrom")
    if _is_managed(call) and "migratedfrom" not in call.params:
        if call.flag("overrule-shutdown"):
            raise wrong_parameters({"overrule-shutdown": "Not applicable for HA resources."})
        return _file_wish(call, "stop")
    return _begin(call, "qmstop", lambda: _stop(call))


def _stop(call: Call) -> Iterator[str]:
    lines = []
    if call.flag("overrule-shutdown"):
        tasks = [
            task
            for task in call.center.tasks.running(call.params["node"])
            if task.type == "qmshutdown" and task.id == call.params["vmid"]
        ]
        for task in tasks:
            task.kill(call.center.now())
        if tasks:
            lines.append(f"overruled qmshutdown tasks: {', '.join(task.upid for task in tasks)}")
    _end(call, _Ending(ask=False, skip_lock=call.flag("skiplock")))
    return iter(lines)


def shutdown(call: Call) -> object:
    """Ask the guest to end; `forceStop` ends it after the timeout, and a paused one at once."""
    _refuse_reserved(call, "skiplock", "keepActive")
    ask = True
    if _is_paused(call):
        if not call.flag("forceStop"):
            raise ApiError("VM is paused - cannot shutdown\n")
        ask = False
    if _is_managed(call):
        return _file_wish(call, "stop")
    ending = _Ending(ask=ask, force=call.flag("forceStop") or not ask, skip_lock=call.flag("skiplock"))
    return _begin(
        call, "qmshutdown", lambda: _end(call, ending), after_seconds=_seconds_until_end(call, ask=ask)
    )


def reboot(call: Call) -> object:
    """Ask the guest to end; it is started again afterwards."""
    if _is_paused(call):
        raise ApiError("VM is paused - cannot shutdown\n")
    _require_running(call)
    ending = _Ending(ask=True, force=False, restart=True)
    return _begin(
        call, "qmreboot", lambda: _end(call, ending), after_seconds=_seconds_until_end(call, ask=True)
    )


def reset(call: Call) -> object:
    """Press the reset button."""
    _refuse_reserved(call, "skiplock")
    _require_running(call)
    return _begin(call, "qmreset", lambda: _while_unlocked(call, "running", lock_of_backup_counts=True))


def suspend(call: Call) -> object:
    """Pause the guest; with `todisk` save its memory and end it."""
    _refuse_reserved(call, "skiplock")
    _require_running(call)
    if not call.flag("todisk"):
        return _begin(call, "qmpause", lambda: _while_unlocked(call, "paused"))
    if _is_managed(call):
        raise ApiError("Cannot suspend HA managed VM to disk\n")
    call.rights.check(call.who, f"/vms/{call.params['vmid']}", ("VM.Config.Disk",))
    if any(option.startswith("hostpci") for option in configured_guest(call)[1]):
        raise ApiError(
            "cannot suspend VM to disk due to passed-through PCI device(s), which lack the"
            " possibility to save/restore their internal state\n"
        )
    storage = call.params.get("statestorage", _DEFAULT_STATE_STORAGE)
    call.rights.check(call.who, f"/storage/{storage}", ("Datastore.AllocateSpace",))
    return _begin(call, "qmsuspend", lambda: _suspend_to_disk(call))


def _suspend_to_disk(call: Call) -> Iterator[str]:
    guest, config = configured_guest(call)
    if not call.flag("skiplock"):
        check_lock(config)
    config["lock"] = "suspended"
    guest.state = "stopped"
    return iter(())


def resume(call: Call) -> object:
    """Let a paused guest go on; one that was suspended to disk is started."""
    _refuse_reserved(call, "skiplock", "nocheck")
    guest = find_guest(call)
    if guest is not None and guest.config is not None and guest.config.get("lock") == "suspended":
        return _begin(call, "qmresume", lambda: _start(call))
    _require_running(call)
    return _begin(call, "qmresume", lambda: _while_unlocked(call, "running"))


def _while_unlocked(call: Call, state: str, *, lock_of_backup_counts: bool = False) -> Iterator[str]:
    guest, config = configured_guest(call)
    is_backing_up = config.get("lock") == "backup" and not lock_of_backup_counts
    if not (call.flag("skiplock") or is_backing_up):
        check_lock(config)
    guest.state = state
    return iter(())


_TIMEOUT: Schema = {"timeout": integer(minimum=0)}
_SKIP: Schema = {"skiplock": boolean()}
_ACTIONS: tuple[tuple[str, Callable[[Call], object], Schema], ...] = (
    (
        "start",
        start,
        {
            **_SKIP,
            **_TIMEOUT,
            "force-cpu": text(optional=True),
            "machine": text(optional=True),
            "migratedfrom": text("node", optional=True),
            "migration_network": text("network", optional=True),
            "migration_type": Field(optional=True, enum=("secure", "insecure")),
            "nets-host-mtu": Field(optional=True, pattern=r"net\d+=\d+(,net\d+=\d+)*"),
            "stateuri": text(optional=True, max_length=128),
            "targetstorage": text(optional=True, listed=True),
            "with-conntrack-state": boolean(),
        },
    ),
    (
        "stop",
        stop,
        {
            **_SKIP,
            **_TIMEOUT,
            "keepActive": boolean(),
            "migratedfrom": text("node", optional=True),
            "overrule-shutdown": boolean(),
        },
    ),
    ("shutdown", shutdown, {**_SKIP, **_TIMEOUT, "forceStop": boolean(), "keepActive": boolean()}),
    ("reboot", reboot, _TIMEOUT),
    ("reset", reset, _SKIP),
    (
        "suspend",
        suspend,
        {**_SKIP, "todisk": boolean(), "statestorage": text("storageid", optional=True, requires="todisk")},
    ),
    ("resume", resume, {**_SKIP, "nocheck": boolean()}),
)

METHODS = tuple(
    Method(
        "POST", f"/nodes/{{node}}/qemu/{{vmid}}/status/{name}", run, {**GUEST, **schema}, _POWER, proxied=True
    )
    for name, run, schema in _ACTIONS
)
