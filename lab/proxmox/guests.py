"""Lists, status and configuration of guests (qemu-server:src/PVE/API2/Qemu.pm, QemuServer.pm)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.proxmox.accounts import ROOT
from lab.proxmox.checks import OnPath
from lab.proxmox.errors import ApiError, wrong_parameters
from lab.proxmox.formats import split_list
from lab.proxmox.guest_options import OPTIONS, needed_for
from lab.proxmox.methods import Call, Method
from lab.proxmox.schema import Field, Schema, boolean, integer, text

if TYPE_CHECKING:
    from lab.proxmox.environment import Guest

__all__ = ["GUEST", "METHODS", "NODE", "check_lock", "configured_guest", "find_guest"]

NODE = text("node")
GUEST = {"node": NODE, "vmid": Field(kind="integer", format="vmid", minimum=100, maximum=999_999_999)}
_MIB = 2**20
_NUMBERS_IN_CONFIG = frozenset(
    name for name, option in OPTIONS.items() if option.kind in {"boolean", "integer"}
)
_LATER: Schema = {
    "background_delay": integer(minimum=1, maximum=30),
    "import-working-storage": text("storageid", optional=True),
}
_PRESSURES = ("cpufull", "cpusome", "iofull", "iosome", "memoryfull", "memorysome")
_CONFIG_PRIVILEGES = tuple(
    f"VM.Config.{area}"
    for area in ("Disk", "CDROM", "CPU", "Memory", "Network", "HWType", "Options", "Cloudinit")
)


def find_guest(call: Call) -> Guest | None:
    """The guest that the path names, where it is on that node and has a configuration."""
    guest = call.center.environment.guests.get(int(call.params["vmid"]))
    if guest is None or guest.node != call.params["node"] or guest.config is None or guest.type != "qemu":
        return None
    return guest


def configured_guest(call: Call) -> tuple[Guest, dict[str, str]]:
    """The guest and its configuration; raises upstream's error where there is none on the node."""
    guest = find_guest(call)
    if guest is None or guest.config is None:
        path = f"nodes/{call.params['node']}/qemu-server/{call.params['vmid']}.conf"
        raise ApiError(f"Configuration file '{path}' does not exist\n")
    return guest, guest.config


def check_lock(config: dict[str, str]) -> None:
    """Raise upstream's error where an operation has locked the guest."""
    if config.get("lock"):
        raise ApiError(f"VM is locked ({config['lock']})\n")


def list_guests(call: Call) -> object:
    """The virtual machines of a node that the caller may see."""
    rows = []
    for guest in call.center.environment.guests.values():
        on_node = guest.node == call.params["node"] and guest.type == "qemu" and guest.config is not None
        if on_node and call.rights.check(call.who, f"/vms/{guest.vmid}", ("VM.Audit",), quiet=True):
            rows.append(_status(call, guest))
    return rows


def show_status(call: Call) -> object:
    """What a guest does now; a paused one shows as running, and as paused only in `qmpstatus`."""
    guest, config = configured_guest(call)
    managed = guest.vmid in call.center.environment.ha_managed
    status = _status(call, guest)
    status["qmpstatus"] = guest.state
    status["ha"] = {"managed": 1, "state": None} if managed else {"managed": 0}
    if config.get("agent", "0").split(",")[0].removeprefix("enabled=").lower() in {"1", "on", "yes", "true"}:
        status["agent"] = 1
    if re.match(r"(type=)?(qxl|virtio)", config.get("vga", "")):
        status["spice"] = 1
    return status


def _status(call: Call, guest: Guest) -> dict[str, object]:
    config = guest.config or {}
    memory = int(config.get("memory", "512")) * _MIB
    cores = int(config.get("sockets", "1")) * int(config.get("cores", "1"))
    status: dict[str, object] = {
        "vmid": guest.vmid,
        "name": config.get("name", f"VM{guest.vmid}"),
        "status": "running" if guest.is_running else "stopped",
        "cpus": int(config.get("vcpus", cores)),
        "maxmem": memory,
        **dict.fromkeys(("cpu", "mem", "memhost", "disk", "maxdisk", "netin", "netout", "uptime"), 0),
    }
    if "balloon" in config and config["balloon"] != "0":
        status |= {"balloon_min": int(config["balloon"]) * _MIB, "shares": int(config.get("shares", "1000"))}
    for name in ("lock", "tags"):
        if config.get(name):
            status[name] = config[name]
    if config.get("template") == "1":
        status["template"] = 1
    if any(re.fullmatch(r"serial\d", name) for name in config):
        status["serial"] = 1
    if guest.is_running:
        started = guest.started_at or call.center.now() - 3600
        status |= {"pid": guest.process or 1000 + guest.vmid, "uptime": int(call.center.now() - started)}
        status |= {"cpu": 0.01, "mem": memory // 2, "memhost": memory // 2}
        status |= {f"pressure{name}": 0 for name in _PRESSURES}
    return status


def _require_right(call: Call, option: str) -> None:
    if call.who == ROOT:
        return
    privileges = needed_for(option)
    if not privileges:
        raise ApiError(f"only root can set '{option}' config\n")
    call.rights.check_any(call.who, f"/vms/{call.params['vmid']}", privileges)
    if option == "startup":
        # It changes what the node does.
        call.rights.check(call.who, "/", ("Sys.Modify",))


def show_config(call: Call) -> object:
    """The configuration; its digest is what `PUT` compares."""
    guest, config = configured_guest(call)
    shown: dict[str, object] = {
        name: int(value) if name in _NUMBERS_IN_CONFIG else value for name, value in config.items()
    }
    if "description" in shown:
        shown["description"] = f"{shown['description']}\n"
    return {**shown, "digest": guest.digest()}


def update_config(call: Call) -> object:
    """Change options and remove those listed in `delete`; a digest that no longer holds is refused."""
    params = {name: value for name, value in call.params.items() if name not in {"node", "vmid"}}
    digest, skip = params.pop("digest", ""), params.pop("skiplock", "0") == "1"
    if skip and call.who != ROOT:
        raise wrong_parameters({"skiplock": "Only root may use this option."})
    for name in ("force", "revert"):
        params.pop(name, None)
    deleted = ["ide2" if option == "cdrom" else option for option in split_list(params.pop("delete", ""))]
    if not params and not deleted:
        raise ApiError("no options specified\n")
    for option in deleted:
        if option in params:
            both = f"you can't use '-{option}' and -delete {option}' at the same time"
            raise wrong_parameters({"delete": both})
        if option not in OPTIONS:
            raise wrong_parameters({"delete": f"unknown option '{option}'"})
    for option in (*params, *deleted):
        _require_right(call, option)
    guest, config = configured_guest(call)
    if digest and digest != guest.digest():
        raise ApiError("checksum mismatch (file change by other user?)\n")
    if not skip:
        check_lock(config)
    for option in deleted:
        config.pop(option, None)
    config.update(params)
    return None


def change_config(call: Call) -> object:
    """The same in a task; what can be seen at once is refused at once."""
    for name in _LATER:
        call.params.pop(name, None)
    update_config(call)
    now = call.center.now()
    return call.center.tasks.start(
        "qmconfig",
        node=call.params["node"],
        identifier=call.params["vmid"],
        who=call.who,
        now=now,
        ends_at=now,
        outcome=list,
    ).upid


def show_index(call: Call) -> object:
    """What can be asked of the state of a guest; upstream does not name `resume`."""
    configured_guest(call)
    actions = ("current", "start", "stop", "reset", "shutdown", "suspend", "reboot")
    return [{"subdir": action} for action in actions]


_CHANGE: Schema = {
    **GUEST,
    **OPTIONS,
    "delete": text("configid", optional=True, listed=True),
    "digest": text(optional=True, max_length=40),
    "force": boolean(requires="delete"),
    "skiplock": boolean(),
}
_MAY_CHANGE = OnPath("/vms/{vmid}", _CONFIG_PRIVILEGES, any_of=True)

METHODS = (
    Method("GET", "/nodes/{node}/qemu/{vmid}/status", show_index, GUEST, open_to="all", proxied=True),
    Method(
        "POST",
        "/nodes/{node}/qemu/{vmid}/config",
        change_config,
        {**_CHANGE, **_LATER},
        _MAY_CHANGE,
        proxied=True,
    ),
    Method(
        "GET",
        "/nodes/{node}/qemu",
        list_guests,
        {"node": NODE, "full": boolean()},
        open_to="all",
        proxied=True,
    ),
    Method(
        "GET",
        "/nodes/{node}/qemu/{vmid}/status/current",
        show_status,
        GUEST,
        OnPath("/vms/{vmid}", ("VM.Audit",)),
        proxied=True,
    ),
    Method(
        "GET",
        "/nodes/{node}/qemu/{vmid}/config",
        show_config,
        {**GUEST, "current": boolean(), "snapshot": text("configid", optional=True, max_length=40)},
        OnPath("/vms/{vmid}", ("VM.Audit",)),
        proxied=True,
    ),
    Method(
        "PUT",
        "/nodes/{node}/qemu/{vmid}/config",
        update_config,
        _CHANGE,
        _MAY_CHANGE,
        proxied=True,
    ),
)
