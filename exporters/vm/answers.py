"""From the API's JSON to values: each row is checked here once; nothing past this module sees JSON.

Perl prints numbers as texts now and then, so both are taken; what is neither is as if it were not there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from sys import intern

from exporters.samples import Number
from exporters.vm.errors import ProxmoxError

NUMBERS = (
    "maxdisk",
    "disk",
    "maxmem",
    "mem",
    "netout",
    "netin",
    "diskwrite",
    "diskread",
    "cpu",
    "maxcpu",
    "uptime",
    "shared",
)
"""Numbers of /cluster/resources that become metrics."""

GUESTS = ("qemu", "lxc")
_MOST_ROWS = 200_000
_LONGEST_ID = 400
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?")
_STORAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9\-_.]{0,99}")
_UPID = re.compile(
    r"UPID:[A-Za-z0-9\-]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:[^:\s/?#%]+:[^:\s/?#%]*:[^:\s/?#%]+:"
)

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Resource:
    """A row of /cluster/resources. Texts that the API does not tell are empty; `numbers` has what it told."""

    id: str
    kind: str
    node: str
    name: str
    status: str
    template: str
    tags: str
    storage: str
    plugintype: str
    content: str
    hastate: str
    lock: str
    pool: str
    numbers: Mapping[str, Number]

    @property
    def is_guest(self) -> bool:
        """Whether it is a virtual machine or a container."""
        return self.kind in GUESTS

    @property
    def vmid(self) -> str:
        """Number of the guest, of `qemu/100`."""
        return self.id.partition("/")[2]

    def remembering(self, before: "Resource | None") -> "Resource":
        """With the texts that it had before, where it is unknown now: its node is dead and tells nothing."""
        if before is None or self.status != "unknown" or not self.is_guest:
            return self
        return replace(
            self,
            name=self.name or before.name,
            template=self.template or before.template,
            tags=self.tags or before.tags,
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A node in /cluster/status."""

    id: str
    name: str
    level: str
    nodeid: str
    is_online: bool
    is_local: bool
    ip: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster in /cluster/status."""

    name: str
    nodes: str
    quorate: str
    version: str


@dataclass(frozen=True, slots=True)
class Status:
    """/cluster/status. `name` is the cluster's, or the node's where there is no cluster."""

    name: str
    cluster: Cluster | None
    members: tuple[Member, ...]

    @property
    def local(self) -> str:
        """Name of the node that answered; empty where none says that it is."""
        return next((member.name for member in self.members if member.is_local), "")


@dataclass(frozen=True, slots=True)
class ReplicationJob:
    """A job in /nodes/{node}/replication; `numbers` as the API names them."""

    id: str
    type: str
    source: str
    target: str
    guest: str
    numbers: Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Task:
    """A task that has ended, of a list of tasks. `status` is OK, WARNINGS: n, or why not."""

    upid: str
    node: str
    type: str
    id: str
    status: str
    starttime: Number
    endtime: Number

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error."""
        return self.status != "OK" and not self.status.startswith("WARNINGS")


def resources(data: object) -> tuple[Resource, ...]:
    """/cluster/resources, one row for each id, of objects or what `resource` made of them; raises
    ProxmoxError.
    """
    found: dict[str, Resource] = {}
    for given in _list("/cluster/resources", data):
        row = given if isinstance(given, Resource) else resource(_object("/cluster/resources", given))
        if isinstance(row, Resource):
            found.setdefault(row.id, row)
    return tuple(found.values())


def resource(row: dict[str, object]) -> object:
    """A row of /cluster/resources as a Resource, anything else as it is.

    Each row is made so as soon as it was parsed: as JSON, all of them together are several times as large.
    """
    identity, kind = _text(row, "id"), _text(row, "type")
    if not identity or not kind or len(identity) > _LONGEST_ID:
        return row
    return _resource(identity, kind, row)


def _resource(identity: str, kind: str, row: Json) -> Resource:
    return Resource(
        id=identity,
        kind=kind,
        node=_text(row, "node"),
        name=_text(row, "name"),
        status=_text(row, "status"),
        template=_text(row, "template"),
        tags=_text(row, "tags"),
        storage=_text(row, "storage"),
        plugintype=_text(row, "plugintype"),
        # The API lists these in another order each time.
        content=",".join(sorted(_text(row, "content").split(","))),
        hastate=_text(row, "hastate"),
        lock=_text(row, "lock"),
        pool=_text(row, "pool"),
        numbers=_numbers(row, NUMBERS),
    )


def status(data: object) -> Status:
    """/cluster/status; raises ProxmoxError."""
    rows = _rows("/cluster/status", data)
    clusters = [row for row in rows if row.get("type") == "cluster" and _text(row, "name")]
    members = [row for row in rows if row.get("type") == "node" and is_node_name(_text(row, "name"))]
    return Status(
        name=_text(rows[0], "name") if rows else "",
        cluster=None if not clusters else _cluster(clusters[0]),
        members=tuple({member.id: member for member in map(_member, members)}.values()),
    )


def _cluster(row: Json) -> Cluster:
    return Cluster(*(_text(row, name) for name in ("name", "nodes", "quorate", "version")))


def _member(row: Json) -> Member:
    return Member(
        id=_text(row, "id"),
        name=_text(row, "name"),
        level=_text(row, "level"),
        nodeid=_text(row, "nodeid"),
        is_online=_is_set(row, "online"),
        is_local=_is_set(row, "local"),
        ip=_text(row, "ip"),
    )


def version(data: object) -> Mapping[str, str]:
    """release, repoid and version of /version; raises ProxmoxError."""
    row = _object("/version", data)
    return {name: _text(row, name) for name in ("release", "repoid", "version") if name in row}


def not_backed_up(data: object) -> tuple[str, ...]:
    """Guests without a backup job, of /cluster/backup-info/not-backed-up; raises ProxmoxError."""
    rows = _rows("/cluster/backup-info/not-backed-up", data)
    return tuple(dict.fromkeys(f"{_text(row, 'type')}/{_text(row, 'vmid')}" for row in rows))


def flat(path: str, data: object) -> Mapping[str, str]:
    """An object's texts and numbers as texts; raises ProxmoxError."""
    row = _object(path, data or {})
    return {name: _text(row, name) for name in row if isinstance(row[name], (str, int, float))}


def replication(data: object) -> tuple[ReplicationJob, ...]:
    """/nodes/{node}/replication: jobs whose source is that node; raises ProxmoxError."""
    fields = ("duration", "last_sync", "last_try", "next_sync", "fail_count")
    jobs = {
        _text(row, "id"): ReplicationJob(
            id=_text(row, "id"),
            type=_text(row, "type"),
            source=f"node/{_text(row, 'source')}",
            target=f"node/{_text(row, 'target')}",
            guest=f"{_text(row, 'vmtype')}/{_text(row, 'guest')}",
            numbers=_numbers(row, fields),
        )
        for row in _rows("/nodes/{node}/replication", data)
    }
    return tuple(jobs.values())


def replication_sources(data: object) -> frozenset[str]:
    """Names of the nodes that are a source of jobs, of /cluster/replication; raises ProxmoxError."""
    names = (_text(row, "source") for row in _rows("/cluster/replication", data))
    return frozenset(filter(is_node_name, names))


def onboot(data: object) -> Number | None:
    """Whether a guest's configuration lets it start with its node; None where it does not say."""
    return _number(_object("config", data).get("onboot"))


def tasks(data: object) -> tuple[Task, ...]:
    """The tasks of a list that have ended; raises ProxmoxError."""
    return tuple(filter(None, map(_task, _rows("/cluster/tasks", data))))


def _task(row: Json) -> Task | None:
    upid, ended, started = _text(row, "upid"), _number(row.get("endtime")), _number(row.get("starttime"))
    if ended is None or started is None or not _UPID.fullmatch(upid):
        return None
    return Task(
        upid, _text(row, "node"), _text(row, "type"), _text(row, "id"), _text(row, "status"), started, ended
    )


def log_lines(data: object) -> tuple[str, ...]:
    """Lines of a task's log; raises ProxmoxError."""
    return tuple(str(row.get("t", "")) for row in _rows("log", data))


def backups(data: object) -> Mapping[str, Number]:
    """When the newest backup of each vmid was made, of a storage's content; raises ProxmoxError."""
    newest: dict[str, Number] = {}
    for row in _rows("content", data):
        vmid, made = _text(row, "vmid"), _number(row.get("ctime"))
        if vmid and made is not None and row.get("content") == "backup":
            newest[vmid] = max(made, newest.get(vmid, made))
    return newest


def privileges(data: object) -> Mapping[str, frozenset[str]]:
    """Privileges of the token by path, of /access/permissions; raises ProxmoxError."""
    row = _object("/access/permissions", data)
    return {path: frozenset(held) for path, held in row.items() if isinstance(held, dict)}


def is_node_name(name: str) -> bool:
    """Whether it can stand in a path."""
    return _NODE_NAME.fullmatch(name) is not None


def is_storage_name(name: str) -> bool:
    """Whether it can stand in a path."""
    return _STORAGE_NAME.fullmatch(name) is not None


def _rows(path: str, data: object) -> Sequence[Json]:
    return list(_objects(path, _list(path, data)))


def _list(path: str, data: object) -> list[object]:
    if not isinstance(data, list):
        raise ProxmoxError(f"{path}: the answer is no list")
    if len(data) > _MOST_ROWS:
        raise ProxmoxError(f"{path}: {len(data)} rows, more than {_MOST_ROWS}")
    return data


def _objects(path: str, data: list[object]) -> Iterator[Json]:
    for row in data:
        yield _object(path, row)


def _object(path: str, data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ProxmoxError(f"{path}: not an object where one must be")
    return data


def _text(row: Json, name: str) -> str:
    value = row.get(name)
    if isinstance(value, str):
        if not value.isascii():
            # JSON may escape half of a surrogate pair, which is no character.
            value = value.encode("utf-8", "replace").decode()
        # Nodes, kinds and states stand in thousands of rows and in every reading: once in memory is enough.
        return intern(value)
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _is_set(row: Json, name: str) -> bool:
    value = row.get(name)
    return value not in (None, False, 0, "", "0")


def _numbers(row: Json, names: Sequence[str]) -> dict[str, Number]:
    return {name: value for name in names if (value := _number(row.get(name))) is not None}


def _number(value: object) -> Number | None:
    if type(value) is int:
        return value
    if isinstance(value, str):
        try:
            value = int(value) if value.isdigit() else float(value)
        except ValueError:
            return None
        return value if isfinite(value) else None
    return value if isinstance(value, float) and isfinite(value) else None
