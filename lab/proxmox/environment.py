"""What exists when the simulator starts: nodes, guests, storages, statistics, backups.

The shape is that of `environment` in the recordings: `nodes` (names, or objects with `node id online ip`),
`guests` (`vmid type node`, optional `config` text and `running`: running, paused or hung), `storages`
(names, or objects with `storage content shared nodes`), `ha_managed` (VM IDs), `rrd` (statistics as
upstream's status daemon sends them) and `backup_files` (storage → file names, with remarks in brackets).
`release` is the version played, 9.2 where it is not given, or 8.4.
`live_statistics` makes /cluster/resources follow the guests instead of constant rrd lines; `cluster_name`
names the cluster; `ha_delay_seconds` is how long the high availability manager takes to carry out a wish (it
never does where nothing is given, as in the recordings). `ha_states` are states of guests (by vmid) and
nodes (by name) where they are not `started` and none; `subscriptions` (by node), `replications` and `qdevice`
are as the API tells them.
"""

from __future__ import annotations

import calendar
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from lab.errors import SeedError

__all__ = ["RELEASES", "Backup", "Environment", "Guest", "Node", "Storage", "read_environment"]

RELEASES = ("9.2", "8.4")
"""The versions that can be played."""

_ALL_CONTENT = "backup,images,iso,rootdir,snippets,vztmpl"
_BACKUP_FILE = re.compile(
    r"vzdump-(?P<type>qemu|lxc)-(?P<vmid>\d+)-(?P<time>\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d)"
    r"\.(?P<format>vma\.(?:gz|lzo|zst)|vma|tar\.(?:gz|lzo|zst)|tgz|tar)"
)
_BACKUP_SIZE_BYTES = 1234
_OPTION = re.compile(r"([a-z][a-z_\-]*\d*):\s*(.+?)\s*")


@dataclass
class Node:
    """A cluster member; `online` off makes requests that are proxied to it end with 595.

    `hangs` makes them end with 596 while the cluster takes the node for alive: its daemon does not answer.
    """

    name: str
    number: int = 0
    online: bool = True
    address: str = "127.0.0.1"
    hangs: bool = False


@dataclass
class Guest:
    """A virtual machine or container; `config` is None where upstream's file is not read.

    One that `warns` starts with a warning in its task's log; one that `hangs` obeys no power-down. `load`
    is the share of its processors in use and the bytes received so far, where not made up.
    """

    vmid: int
    type: str
    node: str
    config: dict[str, str] | None = None
    state: str = "stopped"
    fails_to_start: bool = False
    warns: bool = False
    hangs: bool = False
    process: int = 0
    started_at: float = 0.0
    load: tuple[float, int] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has a process; a paused guest has one."""
        return self.state != "stopped"

    def digest(self) -> str:
        """SHA-1 of the configuration."""
        lines = "".join(f"{key}: {value}\n" for key, value in sorted((self.config or {}).items()))
        return hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Storage:
    """A storage definition."""

    name: str
    content: str
    shared: int = 0
    type: str = "dir"
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backup:
    """A backup file on a storage; `created` in seconds since the epoch."""

    storage: str
    file: str
    type: str
    vmid: int
    format: str
    created: int
    notes: str = ""
    protected: bool = False
    size: int = _BACKUP_SIZE_BYTES

    @property
    def volid(self) -> str:
        """The volume's identifier."""
        return f"{self.storage}:backup/{self.file}"


@dataclass
class Environment:
    """The whole description, typed."""

    nodes: dict[str, Node]
    guests: dict[int, Guest]
    storages: dict[str, Storage]
    clustered: bool
    ha_managed: frozenset[int] = frozenset()
    ha_delay_seconds: float | None = None
    rrd: dict[str, list[str]] = field(default_factory=dict)
    backups: list[Backup] = field(default_factory=list)
    live_statistics: bool = False
    cluster_name: str = ""
    release: str = "9.2"
    ha_states: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, object]] = field(default_factory=dict)
    replications: list[dict[str, object]] = field(default_factory=list)
    qdevice: dict[str, object] = field(default_factory=dict)


def read_environment(raw: Mapping[str, Any]) -> Environment:
    """The description of a data centre; raises SeedError where it is none."""
    try:
        nodes = [_node(entry) for entry in raw["nodes"]]
        if not nodes:
            raise SeedError("an environment needs at least one node")
        guests = [_guest(entry) for entry in raw.get("guests", ())]
        return Environment(
            nodes={node.name: node for node in nodes},
            guests={guest.vmid: guest for guest in guests},
            storages={storage.name: storage for storage in map(_storage, raw.get("storages", ()))},
            clustered=any(isinstance(entry, Mapping) for entry in raw["nodes"]),
            ha_managed=frozenset(int(vmid) for vmid in raw.get("ha_managed", ())),
            ha_delay_seconds=raw.get("ha_delay_seconds"),
            rrd=_statistics(raw.get("rrd", ())),
            backups=_backups(raw.get("backup_files", {})),
            live_statistics=bool(raw.get("live_statistics", False)),
            cluster_name=str(raw.get("cluster_name", "")),
            release=_release(raw.get("release", "9.2")),
            ha_states={str(key): str(state) for key, state in raw.get("ha_states", {}).items()},
            subscriptions={node: dict(told) for node, told in raw.get("subscriptions", {}).items()},
            replications=[dict(job) for job in raw.get("replications", ())],
            qdevice=dict(raw.get("qdevice", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SeedError(f"not an environment: {error!r}") from error


def _release(named: object) -> str:
    if named not in RELEASES:
        raise SeedError(f"no release {named!r} can be played: {', '.join(RELEASES)}")
    return str(named)


def _node(entry: str | Mapping[str, Any]) -> Node:
    if isinstance(entry, str):
        return Node(entry)
    return Node(
        entry["node"],
        int(entry.get("id", 0)),
        bool(entry.get("online", 1)),
        str(entry.get("ip", "127.0.0.1")),
        hangs=bool(entry.get("hangs", 0)),
    )


def _guest(entry: Mapping[str, Any]) -> Guest:
    text = entry.get("config")
    config = None if text is None else _configuration(text)
    running = str(entry.get("running", "stopped"))
    # In the recordings the guest that QEMU cannot start is the one named `broken`.
    fails = bool(entry.get("fails_to_start", config is not None and config.get("name") == "broken"))
    return Guest(
        vmid=int(entry["vmid"]),
        type=str(entry["type"]),
        node=str(entry["node"]),
        config=config,
        state="running" if running == "hung" else running,
        fails_to_start=fails,
        hangs=running == "hung",
    )


def _configuration(text: str) -> dict[str, str]:
    """A guest's file: options of the guest itself, the description as comments before them.

    Snapshots and what is pending stand in sections below, and are none of the lab's business.
    """
    config: dict[str, str] = {}
    description: list[str] = []
    for line in text.splitlines():
        if line.startswith("["):
            break
        if line.startswith("#"):
            description.append(unquote(line[1:]))
        elif (option := _OPTION.fullmatch(line)) is not None:
            config[option[1]] = option[2]
    return {**config, "description": "\n".join(description)} if description else config


def _storage(entry: str | Mapping[str, Any]) -> Storage:
    if isinstance(entry, str):
        return Storage(entry, _ALL_CONTENT if entry == "local" else "backup,images")
    return Storage(
        entry["storage"],
        str(entry.get("content", "backup,images")),
        int(entry.get("shared", 0)),
        str(entry.get("type", "dir")),
        tuple(entry.get("nodes", ())),
    )


def _statistics(lines: Sequence[str]) -> dict[str, list[str]]:
    statistics = {}
    for line in lines:
        key, *values = line.split(":")
        statistics[key] = values
    return statistics


def _backups(files: Mapping[str, Sequence[str]]) -> list[Backup]:
    found = []
    for storage, names in files.items():
        for listed in names:
            name, _, remarks = listed.partition(" ")
            match = _BACKUP_FILE.fullmatch(name)
            if match is not None:
                found.append(_backup(storage, name, match, remarks))
    return found


def _backup(storage: str, name: str, match: re.Match[str], remarks: str) -> Backup:
    notes = re.search(r"note '([^']*)'", remarks)
    return Backup(
        storage=storage,
        file=name,
        type=match["type"],
        vmid=int(match["vmid"]),
        format=match["format"],
        # Upstream reads the time in the node's zone; the lab's nodes run on UTC.
        created=calendar.timegm(time.strptime(match["time"], "%Y_%m_%d-%H_%M_%S")),
        notes=notes[1] if notes else "",
        protected="protected" in remarks,
    )
