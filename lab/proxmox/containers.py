"""Containers: lists, status, configuration, power (pve-container:src/PVE/API2/LXC.pm, LXC/Status.pm).

No recording holds them; they follow the published schema of 9.2 and, for what they answer, upstream's source.
Other than with virtual machines, starting a container that runs and stopping one that does not are refused at
once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.guests import GUEST, NODE
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Schema, boolean, integer, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lab.proxmox.environment import Guest

__all__ = ["METHODS"]

_MIB = 2**20
_ROOT_DISK_BYTES = 8 * 2**30
_DEFAULT_TIMEOUT_SECONDS = 60
_NUMBERS = frozenset(
    {"cores", "memory", "swap", "onboot", "protection", "template", "unprivileged", "cpuunits"}
)
_NEEDED_FOR = {"cores": "CPU", "cpulimit": "CPU", "cpuunits": "CPU", "memory": "Memory", "swap": "Memory"}
_NETWORK = frozenset({"hostname", "nameserver", "searchdomain", "net0"})


def _find(call: Call) -> Guest | None:
    guest = call.center.environment.guests.get(int(call.params["vmid"]))
    if guest is None or guest.node != call.params["node"] or guest.config is None or guest.type != "lxc":
        return None
    return guest


def _configured(call: Call) -> tuple[Guest, dict[str, str]]:
    guest = _find(call)
    if guest is None or guest.config is None:
        path = f"nodes/{call.params['node']}/lxc/{call.params['vmid']}.conf"
        raise ApiError(f"Configuration file '{path}' does not exist\n")
    return guest, guest.config


def list_containers(call: Call) -> object:
    """The containers of a node that the caller may see."""
    return [
        {"type": "lxc", **_status(call, guest)}
        for guest in call.center.environment.guests.values()
        if guest.node == call.params["node"]
        and guest.type == "lxc"
        and guest.config is not None
        and call.rights.check(call.who, f"/vms/{guest.vmid}", ("VM.Audit",), quiet=True)
    ]


def show_status(call: Call) -> object:
    """What a container does now."""
    guest, _ = _configured(call)
    managed = guest.vmid in call.center.environment.ha_managed
    ha = {"managed": 1, "state": None} if managed else {"managed": 0}
    return {"type": "lxc", **_status(call, guest), "ha": ha}


def _status(call: Call, guest: Guest) -> dict[str, object]:
    config = guest.config or {}
    memory = int(config.get("memory", "512")) * _MIB
    status: dict[str, object] = {
        "vmid": guest.vmid,
        "name": config.get("hostname") or config.get("name", f"CT{guest.vmid}"),
        "status": "running" if guest.is_running else "stopped",
        "cpus": int(config.get("cores", "1")),
        "maxmem": memory,
        "maxswap": int(config.get("swap", "512")) * _MIB,
        "maxdisk": _ROOT_DISK_BYTES,
        **dict.fromkeys(
            ("cpu", "mem", "swap", "disk", "diskread", "diskwrite", "netin", "netout", "uptime"), 0
        ),
    }
    for name in ("lock", "tags"):
        if config.get(name):
            status[name] = config[name]
    if config.get("template") == "1":
        status["template"] = 1
    if guest.is_running:
        started = guest.started_at or call.center.now() - 3600
        status |= {"pid": 1000 + guest.vmid, "uptime": int(call.center.now() - started)}
        status |= {"cpu": 0.01, "mem": memory // 2}
    return status


def show_config(call: Call) -> object:
    """The configuration; its digest is what `PUT` compares."""
    guest, config = _configured(call)
    shown: dict[str, object] = {
        name: int(value) if name in _NUMBERS else value for name, value in config.items()
    }
    return {**shown, "digest": guest.digest()}


def update_config(call: Call) -> object:
    """Change options and remove those listed in `delete`; a digest that no longer holds is refused."""
    params = {name: value for name, value in call.params.items() if name not in {"node", "vmid"}}
    digest, deleted = params.pop("digest", ""), split_list(params.pop("delete", ""))
    if not params and not deleted:
        raise ApiError("no options specified\n")
    for option in (*params, *deleted):
        area = "Network" if option in _NETWORK else _NEEDED_FOR.get(option, "Options")
        call.rights.check(call.who, f"/vms/{call.params['vmid']}", (f"VM.Config.{area}",))
    guest, config = _configured(call)
    if digest and digest != guest.digest():
        raise ApiError("checksum mismatch (file change by other user?)\n")
    _check_lock(config)
    for option in deleted:
        config.pop(option, None)
    config.update(params)
    return None


def _check_lock(config: dict[str, str]) -> None:
    if config.get("lock"):
        raise ApiError(f"CT is locked ({config['lock']})\n")


def _begin(call: Call, kind: str, outcome: Callable[[], Iterable[str]], *, after_seconds: float = 0.0) -> str:
    now = call.center.now()
    return call.center.tasks.start(
        kind,
        node=call.params["node"],
        identifier=call.params["vmid"],
        who=call.who,
        now=now,
        ends_at=now + after_seconds,
        outcome=outcome,
    ).upid


def _refuse_skiplock(call: Call) -> None:
    if call.flag("skiplock") and call.who != ROOT:
        raise wrong_parameters({"skiplock": "Only root may use this option."})


def _wish(call: Call, wish: str) -> str | None:
    """The task that files a wish with the manager of high availability, for a container that it manages."""
    vmid = call.params["vmid"]
    if not _is_managed(call):
        return None
    return _begin(call, f"ha{wish}", lambda: [f"Requesting HA {wish} for CT {vmid}"])


def _is_managed(call: Call) -> bool:
    return int(call.params["vmid"]) in call.center.environment.ha_managed


def _is_running(call: Call) -> bool:
    guest = _find(call)
    return guest is not None and guest.is_running


def _require_running(call: Call) -> None:
    if not _is_running(call):
        raise ApiError(f"CT {call.params['vmid']} not running\n")


def start(call: Call) -> object:
    """Start a container that does not run."""
    _refuse_skiplock(call)
    if _is_running(call):
        raise ApiError(f"CT {call.params['vmid']} already running\n")
    return _wish(call, "start") or _begin(call, "vzstart", lambda: _start(call))


def _start(call: Call) -> Iterator[str]:
    guest, config = _configured(call)
    if config.get("template") == "1":
        raise ApiError("you can't start a CT if it's a template\n")
    if not call.flag("skiplock"):
        _check_lock(config)
    if guest.fails_to_start:
        raise ApiError(f"startup for container '{guest.vmid}' failed\n")
    guest.state, guest.hangs, guest.started_at = "running", False, call.center.now()
    return iter(())


def stop(call: Call) -> object:
    """End a container at once."""
    _refuse_skiplock(call)
    _require_running(call)
    if _is_managed(call) and call.flag("overrule-shutdown"):
        raise wrong_parameters({"overrule-shutdown": "Not applicable for HA resources."})
    return _wish(call, "stop") or _begin(call, "vzstop", lambda: _end(call, ask=False))


def shutdown(call: Call) -> object:
    """Ask a container to end; `forceStop` ends it after the timeout."""
    _require_running(call)
    wait = _seconds_until_end(call)
    return _wish(call, "stop") or _begin(call, "vzshutdown", lambda: _end(call, ask=True), after_seconds=wait)


def reboot(call: Call) -> object:
    """Ask a container to end, and start it again."""
    if not _is_running(call):
        # Upstream's word for a container is the wrong one here.
        raise ApiError(f"VM {call.params['vmid']} not running\n")
    return _begin(
        call, "vzreboot", lambda: _end(call, ask=True, restart=True), after_seconds=_seconds_until_end(call)
    )


def _seconds_until_end(call: Call) -> float:
    guest = _find(call)
    if guest is None or not guest.hangs:
        return 0.0
    return float(call.params.get("timeout", _DEFAULT_TIMEOUT_SECONDS))


def _end(call: Call, *, ask: bool, restart: bool = False) -> Iterator[str]:
    guest, config = _configured(call)
    if not guest.is_running:
        return iter(())
    if not call.flag("skiplock"):
        _check_lock(config)
    if ask and guest.hangs and not call.flag("forceStop"):
        raise ApiError("container did not stop\n")
    guest.state, guest.hangs = ("running" if restart else "stopped"), False
    if restart:
        guest.started_at = call.center.now()
    return iter(())


_AUDIT = OnPath("/vms/{vmid}", ("VM.Audit",))
_POWER = OnPath("/vms/{vmid}", ("VM.PowerMgmt",))
_CHANGE = OnPath(
    "/vms/{vmid}",
    tuple(f"VM.Config.{area}" for area in ("Disk", "CPU", "Memory", "Network", "Options")),
    any_of=True,
)
_PATH = "/nodes/{node}/lxc/{vmid}"
_OPTIONS: Schema = {
    **{name: text(optional=True) for name in ("features", "nameserver", "net0", "searchdomain")},
    "startup": text("startup-order", optional=True),
    **{name: boolean() for name in ("onboot", "protection", "template", "unprivileged")},
    "hostname": text("dns-name", optional=True, max_length=255),
    "description": text(optional=True, max_length=8192),
    "tags": text("tag", optional=True, listed=True),
    "cores": integer(minimum=1, maximum=8192),
    "memory": integer(minimum=16),
    "swap": integer(minimum=0),
    "cpuunits": integer(minimum=0, maximum=500000),
    "cpulimit": number(minimum=0, maximum=8192),
}
_ACTIONS: tuple[tuple[str, Callable[[Call], object], Schema], ...] = (
    ("start", start, {"skiplock": boolean(), "debug": boolean()}),
    ("stop", stop, {"skiplock": boolean(), "overrule-shutdown": boolean()}),
    ("shutdown", shutdown, {"timeout": integer(minimum=0), "forceStop": boolean()}),
    ("reboot", reboot, {"timeout": integer(minimum=0)}),
)

METHODS = (
    Method("GET", "/nodes/{node}/lxc", list_containers, {"node": NODE}, open_to="all", proxied=True),
    Method("GET", f"{_PATH}/status/current", show_status, GUEST, _AUDIT, proxied=True),
    Method(
        "GET",
        f"{_PATH}/config",
        show_config,
        {**GUEST, "current": boolean(), "snapshot": text("configid", optional=True, max_length=40)},
        _AUDIT,
        proxied=True,
    ),
    Method(
        "PUT",
        f"{_PATH}/config",
        update_config,
        {
            **GUEST,
            **_OPTIONS,
            "delete": text("configid", optional=True, listed=True),
            "digest": text(optional=True, max_length=40),
        },
        _CHANGE,
        proxied=True,
    ),
    *(
        Method("POST", f"{_PATH}/status/{name}", run, {**GUEST, **schema}, _POWER, proxied=True)
        for name, run, schema in _ACTIONS
    ),
)
