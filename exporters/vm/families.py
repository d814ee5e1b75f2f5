"""From what is known of a cluster to families; pure, and one by one: each may have thousands of series."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from exporters.samples import SINGLE, Family, Metric, Number, Row
from exporters.vm import metrics
from exporters.vm.answers import Member, Resource
from exporters.vm.world import World

_WANTED = (("/", "Sys.Audit"), ("/vms", "VM.Audit"), ("/storage", "Datastore.Audit"))
"""What a token needs for everything here, but for what storages list (see exporters/vm/world.py)."""

Series = tuple[Row, Number]


def shown(world: World, *, only_local: bool) -> tuple[Resource, ...]:
    """The resources to tell of; with `only_local` those of the node that answers."""
    if not only_local:
        return world.resources
    return tuple(row for row in world.resources if row.node == world.local)


def collect(world: World, *, only_local: bool = False) -> Iterator[Family]:
    """Every family, one without series too."""
    rows = shown(world, only_local=only_local)
    status = world.status
    members = status.members if status is not None else ()
    if only_local:
        members = tuple(member for member in members if member.name == world.local)
    yield _family(metrics.UP, _up(world, members, rows))
    yield from _cluster(world, members)
    yield from _resources(rows)
    yield from _states(rows)
    yield from _backups(world, rows)
    yield from _replications(world)
    yield from _subscriptions(world)
    yield from _own(world)


def _family(metric: Metric, series: Iterable[Series]) -> Family:
    found = dict(series)
    return Family(metric, tuple(found), tuple(found.values()))


def _present(metric: Metric, rows: Iterable[Row]) -> Family:
    return _family(metric, ((row, 1) for row in rows))


def _one_of(metric: Metric, told: Sequence[tuple[str, str, Sequence[str]]]) -> Family:
    """A series for each of the states that something may be in, of (id, state, states).

    These are half of all series, so no dictionary of them is made on the way: ids occur once.
    """
    rows = tuple([(one, state) for one, _, states in told for state in states])
    return Family(metric, rows, bytes([state == now for _, now, states in told for state in states]))


def _up(world: World, members: Sequence[Member], rows: Sequence[Resource]) -> Iterator[Series]:
    told = {member.id for member in members}
    for member in members:
        yield (member.id,), int(member.is_online)
    if world.status is not None and world.status.cluster is not None:
        cluster = world.status.cluster
        yield (f"cluster/{cluster.name}",), int(cluster.quorate == "1")
    for row in rows:
        if row.is_guest:
            yield (row.id,), int(row.status == "running")
        elif row.kind == "storage":
            yield (row.id,), int(row.status == "available")
        elif row.kind == "node" and row.id not in told:
            # Without Sys.Audit on / the cluster's status is refused, and this is what there is.
            yield (row.id,), int(row.status == "online")


def _cluster(world: World, members: Sequence[Member]) -> Iterator[Family]:
    if world.version:
        names = [label for label in metrics.VERSION.labels if label in world.version]
        metric = Metric(metrics.VERSION.name, metrics.VERSION.kind, metrics.VERSION.help, tuple(names))
        yield Family(metric, (tuple(world.version[name] for name in names),), (1,))
    yield _present(metrics.NODE, ((one.id, one.level, one.name, one.nodeid) for one in members))
    cluster = None if world.status is None else world.status.cluster
    if cluster is None:
        return
    identity = f"cluster/{cluster.name}"
    yield Family(metrics.CLUSTER, ((identity, cluster.nodes, cluster.quorate, cluster.version),), (1,))
    if world.qdevice:
        told = tuple(world.qdevice.get(name, "") for name in metrics.QDEVICE_FIELDS)
        yield Family(metrics.QDEVICE_UP, ((identity,),), (int(told[-1] == "Connected"),))
        yield Family(metrics.QDEVICE, ((identity, *told),), (1,))


def _resources(rows: Sequence[Resource]) -> Iterator[Family]:
    ids = {row.id: (row.id,) for row in rows}
    for name, metric in metrics.RESOURCE_NUMBERS:
        yield _family(metric, ((ids[row.id], row.numbers[name]) for row in rows if name in row.numbers))
    yield _present(
        metrics.GUEST,
        ((row.id, row.node, row.name, row.kind, row.template, row.tags) for row in rows if row.is_guest),
    )
    yield _present(
        metrics.STORAGE,
        (
            (row.id, row.node, row.storage, row.plugintype, row.content)
            for row in rows
            if row.kind == "storage"
        ),
    )


def _states(rows: Sequence[Resource]) -> Iterator[Family]:
    managed = [row for row in rows if row.is_guest or row.kind == "node"]
    yield _one_of(
        metrics.HA_STATE,
        [
            (row.id, row.hastate, metrics.GUEST_HA_STATES if row.is_guest else metrics.NODE_HA_STATES)
            for row in managed
        ],
    )
    guests = [row for row in rows if row.is_guest]
    yield _one_of(metrics.LOCK_STATE, [(row.id, row.lock, metrics.LOCKS) for row in guests])
    yield _present(metrics.GUEST_STATE, ((row.id, row.status) for row in guests))


def _backups(world: World, rows: Sequence[Resource]) -> Iterator[Family]:
    guests = {row.vmid: row for row in rows if row.is_guest}
    yield _family(
        metrics.ONBOOT,
        (
            ((row.id, row.node, row.kind), value)
            for row in guests.values()
            if (value := world.onboot.get(row.id)) is not None
        ),
    )
    if world.not_backed_up is not None and world.status is not None:
        total = len(world.not_backed_up)
        yield Family(metrics.NOT_BACKED_UP_TOTAL, ((f"cluster/{world.status.name}",),), (total,))
        ids = {row.id for row in guests.values()}
        yield _present(metrics.NOT_BACKED_UP, ((one,) for one in world.not_backed_up if one in ids))
    for metric, known in (
        (metrics.BACKUP_SUCCESS, world.backups.succeeded),
        (metrics.BACKUP_FAILURE, world.backups.failed),
    ):
        yield _family(metric, (((row.id,), known[vmid]) for vmid, row in guests.items() if vmid in known))


def _replications(world: World) -> Iterator[Family]:
    jobs = [job for each in world.replications.values() for job in each]
    for name, metric in metrics.REPLICATION_NUMBERS:
        yield _family(metric, (((job.id,), job.numbers[name]) for job in jobs if name in job.numbers))
    yield _present(
        metrics.REPLICATION,
        {job.id: (job.id, job.type, job.source, job.target, job.guest) for job in jobs}.values(),
    )


def _subscriptions(world: World) -> Iterator[Family]:
    known = {f"node/{node}": told for node, told in world.subscriptions.items()}
    yield _present(
        metrics.SUBSCRIPTION, ((node, told.get("level", "unknown")) for node, told in known.items())
    )
    yield _family(
        metrics.SUBSCRIPTION_STATUS,
        (
            ((node, status), int(told.get("status", "unknown") == status))
            for node, told in known.items()
            for status in metrics.SUBSCRIPTION_STATES
        ),
    )
    due = ((node, _day(told.get("nextduedate", ""))) for node, told in known.items())
    yield _family(metrics.SUBSCRIPTION_DUE, (((node,), at) for node, at in due if at is not None))


def _day(text: str) -> float | None:
    """The beginning of a day written YYYY-MM-DD, in this host's time zone."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone().timestamp()
    except ValueError:
        return None


def _own(world: World) -> Iterator[Family]:
    refused = {(error.path, error.privilege) for error in world.denied.values()}
    yield _present(metrics.DENIED, sorted(refused.union(_lacking(world))))
    yield _family(
        metrics.TASK_FAILURES, (((node, kind), n) for (node, kind), n in world.tasks.failures.items())
    )
    answering = world.nodes_answering.items()
    yield _family(metrics.NODE_ANSWERS, (((f"node/{node}",), int(ok)) for node, ok in answering))
    yield _family(metrics.PART_SUCCESS, (((name,), int(part.ok)) for name, part in world.answered.items()))
    yield _family(
        metrics.PART_LAST_SUCCESS,
        (
            ((name,), part.succeeded_at)
            for name, part in world.answered.items()
            if part.succeeded_at is not None
        ),
    )
    yield Family(metrics.REQUESTS, SINGLE, (world.requests,))


def _lacking(world: World) -> Iterator[tuple[str, str]]:
    """Privileges that the token was not given: the API leaves rows out without a word."""
    if world.privileges is None:
        return
    for path, privilege in _WANTED:
        if privilege not in world.privileges.get(path, frozenset()):
            yield path, privilege
