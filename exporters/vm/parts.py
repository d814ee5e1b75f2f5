"""The parts that a reading can ask for beyond guests and members, each at a period of its own.

A reading asks /cluster/resources and /cluster/status, and of these parts the one that is most overdue, so
that an interval never has more than three requests, however large the cluster. On a large one a turn through
all parts takes longer than their periods say; `steward_pve_part_last_success_timestamp_seconds` tells.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from exporters.vm import answers
from exporters.vm.world import Wanted, World

_LOG_LINES = 2000
_MOST_CONTENT_BYTES = 2 << 20
"""About 7,000 backups; a storage with more is left to the tasks' logs, which cost no memory."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something to ask for: `key` tells it from others, `name` is its label, `take` puts the answer away.

    `node` is the one that answers where that need not be the one asked. `give_up`, where a part has it, is
    called when the API says that it does not have this at all. `each` makes values of the answer's objects
    while it is parsed.
    """

    key: str
    name: str
    path: str
    period_seconds: float
    take: Callable[[World, object], None]
    node: str = ""
    most_bytes: int = 8 << 20
    give_up: Callable[[World], None] | None = None
    each: Callable[[dict[str, object]], object] | None = None


RESOURCES = Part(
    "resources",
    "resources",
    "/cluster/resources",
    0,
    lambda world, data: world.take_resources(answers.resources(data)),
    most_bytes=32 << 20,
    each=answers.resource,
)


def _take_status(world: World, data: object) -> None:
    world.status = answers.status(data)


def _take_version(world: World, data: object) -> None:
    world.version = answers.version(data)


def _take_tasks(world: World, data: object) -> None:
    listed = answers.tasks(data)
    world.tasks.add(listed)
    world.backups.add_tasks(listed)


def _take_coverage(world: World, data: object) -> None:
    world.not_backed_up = answers.not_backed_up(data)


def _take_qdevice(world: World, data: object) -> None:
    world.qdevice = answers.flat("/cluster/config/qdevice", data)


def _take_sources(world: World, data: object) -> None:
    world.replication_sources = answers.replication_sources(data)


def _take_privileges(world: World, data: object) -> None:
    world.privileges = answers.privileges(data)


STATUS = Part("status", "status", "/cluster/status", 0, _take_status)
_OF_THE_CLUSTER = (
    Part("version", "version", "/version", 3600, _take_version),
    Part("permissions", "permissions", "/access/permissions", 600, _take_privileges),
    Part("tasks", "tasks", "/cluster/tasks", 60, _take_tasks),
    Part("backup_coverage", "backup_coverage", "/cluster/backup-info/not-backed-up", 300, _take_coverage),
    Part("qdevice", "qdevice", "/cluster/config/qdevice", 900, _take_qdevice),
    Part("replication_jobs", "replication_jobs", "/cluster/replication", 900, _take_sources),
)


def parts(world: World, *, only_local: bool) -> Iterator[Part]:
    """All parts of the cluster as it is now; with `only_local` those of other nodes are left to them."""
    yield from _OF_THE_CLUSTER
    nodes = _nodes(world, only_local=only_local)
    for node in nodes:
        yield _subscription(node)
        if node == world.local or node in world.replication_sources:
            yield _replication(node)
    if world.local in nodes:
        for guest in world.resources:
            if guest.is_guest and guest.node == world.local and guest.vmid.isdigit():
                yield _guest_config(guest.id, guest.node)
    for node in nodes:
        yield _backup_tasks(node)
    yield from _contents(world, nodes)
    for wanted in tuple(world.backups.wanted.values()):
        if wanted.task.node in nodes:
            yield _log(wanted)


def _nodes(world: World, *, only_local: bool) -> tuple[str, ...]:
    """Names of nodes that are worth asking: those that are online, the one that answers first."""
    online = [
        row.node for row in world.resources if row.kind == "node" and row.status == "online" and row.node
    ]
    if world.status is not None:
        online = [member.name for member in world.status.members if member.is_online]
    named = sorted(filter(answers.is_node_name, online), key=lambda node: (node != world.local, node))
    return tuple(node for node in named if node == world.local or not only_local)


def _subscription(node: str) -> Part:
    def take(world: World, data: object) -> None:
        world.subscriptions[node] = answers.flat("/nodes/{node}/subscription", data)

    return Part(f"subscription {node}", "subscription", f"/nodes/{node}/subscription", 21600, take, node)


def _replication(node: str) -> Part:
    def take(world: World, data: object) -> None:
        world.replications[node] = answers.replication(data)

    return Part(f"replication {node}", "replication", f"/nodes/{node}/replication", 300, take, node)


def _guest_config(guest: str, node: str) -> Part:
    def take(world: World, data: object) -> None:
        world.onboot[guest] = answers.onboot(data)

    return Part(f"config {guest}", "guest_config", f"/nodes/{node}/{guest}/config", 3600, take, node)


def _backup_tasks(node: str) -> Part:
    def take(world: World, data: object) -> None:
        world.backups.add_tasks(answers.tasks(data))

    path = f"/nodes/{node}/tasks?typefilter=vzdump&limit=100"
    return Part(f"backup_tasks {node}", "backup_tasks", path, 3600, take, node)


def _contents(world: World, nodes: tuple[str, ...]) -> Iterator[Part]:
    """Of each storage with backups; of a shared one once, by the first of the nodes that has it."""
    shared = set()
    place = {node: number for number, node in enumerate(nodes)}
    rows = [row for row in world.resources if row.kind == "storage" and row.node in place]
    for row in sorted(rows, key=lambda row: place[row.node]):
        if "backup" not in row.content.split(",") or not answers.is_storage_name(row.storage):
            continue
        if row.numbers.get("shared"):
            if row.storage in shared:
                continue
            shared.add(row.storage)
        yield _content(row.node, row.storage)


def _content(node: str, storage: str) -> Part:
    def take(world: World, data: object) -> None:
        world.backups.add_stored(answers.backups(data))

    path = f"/nodes/{node}/storage/{storage}/content?content=backup"
    key = f"content {node}/{storage}"
    return Part(key, "backup_content", path, 1800, take, node, most_bytes=_MOST_CONTENT_BYTES)


def _log(wanted: Wanted) -> Part:
    upid = wanted.task.upid

    def take(world: World, data: object) -> None:
        lines = answers.log_lines(data)
        world.backups.add_log(wanted, lines, is_last=len(lines) < _LOG_LINES)

    node, start = wanted.task.node, wanted.start
    path = f"/nodes/{node}/tasks/{quote(upid, safe=':@!')}/log?start={start}&limit={_LOG_LINES}"
    return Part(
        f"log {upid} {start}",
        "backup_log",
        path,
        600,
        take,
        node,
        give_up=lambda world: world.backups.give_up(upid),
    )
