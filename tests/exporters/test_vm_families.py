"""What the collector makes of the API's answers, and what it remembers from reading to reading."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.text import Format, Renderer
from exporters.vm import answers
from exporters.vm.errors import ProxmoxError
from exporters.vm.families import collect
from exporters.vm.world import Backups, Tasks, Wanted, World
from tests.exporters.exposition import Exposition, parse
from tests.exporters.pve import LITTLE, Ticking, environment, reader
from tests.lab_servers import proxmox_lab
from tests.real.servers import real_server

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "vm.prom"
NIGHT = 1_800_000_000


def told(world: World, *, only_local: bool = False) -> Exposition:
    families = list(collect(world, only_local=only_local))
    return parse(Renderer().reading(families).text(Format.TEXT).decode())


def guest(**fields: Any) -> dict[str, Any]:
    return {"id": "qemu/101", "vmid": 101, "type": "qemu", "node": "pve1", "status": "running", **fields}


def world_of(*rows: dict[str, Any]) -> World:
    world = World()
    world.take_resources(answers.resources(list(rows)))
    return world


def golden_text(folder: Path) -> str:
    # When a subscription ends depends on the time zone of the host that reads it.
    world = environment(2, 6, **{**LITTLE, "subscriptions": {"pve1": {"status": "active", "level": "c"}}})
    with proxmox_lab(folder, world, role="PVEAuditor", clock=lambda: NIGHT) as lab:
        reading = reader(lab, Ticking(NIGHT))
        families = reading.read()
        reading.close()
    return Renderer().reading(families).text(Format.TEXT).decode()


def test_the_golden_text(tmp_path):
    assert golden_text(tmp_path) == GOLDEN.read_text()


def test_the_golden_text_lints_clean():
    run = subprocess.run(
        [real_server("promtool"), "check", "metrics"],
        input=GOLDEN.read_bytes(),
        capture_output=True,
        check=False,
    )
    complaints = [line for line in run.stderr.decode().splitlines() if not _is_theirs(line)]
    assert complaints == []


def _is_theirs(complaint: str) -> bool:
    """Names that are prometheus-pve-exporter's, and dashboards ask for: a gauge that ends in _total."""
    return complaint.startswith("pve_not_backed_up_total ")


def test_a_dead_node_leaves_names():
    full = guest(name="web", template=0, tags="prod;owner-ada", mem=5, netin=7, uptime=9)
    bare = {"id": "qemu/101", "vmid": 101, "type": "qemu", "node": "pve1", "status": "unknown"}
    world = world_of(full)
    for _ in range(3):
        world.take_resources(answers.resources([bare]))
    seen = told(world)
    assert seen.of(
        "pve_guest_info",
        id="qemu/101",
        node="pve1",
        name="web",
        type="qemu",
        template="0",
        tags="prod;owner-ada",
    )
    assert seen.of("steward_pve_guest_state", id="qemu/101", state="unknown") == 1
    assert seen.of("pve_up", id="qemu/101") == 0
    assert not {"pve_memory_usage_bytes", "pve_network_receive_bytes", "pve_uptime_seconds"} & seen.names()


def test_a_guest_that_is_gone_is_forgotten():
    world = world_of(guest(name="web"))
    world.onboot["qemu/101"] = 1
    world.backups.add_stored({"101": 5, "999": 5})
    world.take_resources(())
    world.take_resources(answers.resources([guest(status="unknown")]))
    seen = told(world)
    assert dict(next(labels for name, labels in seen.values if name == "pve_guest_info"))["name"] == ""
    assert not {"pve_onboot_status", "steward_pve_guest_last_backup_timestamp_seconds"} & seen.names()


def test_a_guest_listed_twice_has_one_series():
    seen = told(world_of(guest(node="pve1", mem=1), guest(node="pve2", mem=2)))
    assert len([name for name, _ in seen.values if name == "pve_guest_info"]) == 1
    assert seen.of("pve_memory_usage_bytes", id="qemu/101") == 1


STATES = [
    pytest.param("pve_ha_state", {"hastate": "migrate"}, "migrate", 11, id="high availability"),
    pytest.param("pve_lock_state", {"lock": "snapshot-delete"}, "snapshot-delete", 9, id="lock"),
    pytest.param("pve_ha_state", {"hastate": "new one"}, None, 11, id="a state that nobody knows"),
]


@pytest.mark.parametrize(("name", "fields", "state", "number"), STATES)
def test_one_series_for_each_state(name, fields, state, number):
    seen = told(world_of(guest(**fields)))
    found = {dict(labels)["state"]: value for (one, labels), value in seen.values.items() if one == name}
    assert len(found) == number
    assert {one for one, value in found.items() if value} == ({state} if state else set())


NAMES = [
    pytest.param('a"b\\c\nd — é', 'a"b\\c\nd — é', id="quotes and more"),
    pytest.param("a\ud800b", "a?b", id="half a surrogate pair"),
    pytest.param("100%s %r", "100%s %r", id="percent"),
]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_names_of_all_kinds(name, shown):
    seen = told(world_of(guest(name=name)))
    assert any(("name", shown) in labels for one, labels in seen.values if one == "pve_guest_info")


DAYS = [
    pytest.param("2027-03-01", datetime(2027, 3, 1).astimezone().timestamp(), id="a day"),
    pytest.param("", None, id="none"),
    pytest.param("soon", None, id="no day"),
    pytest.param("9999-99-99", None, id="no such day"),
]


@pytest.mark.parametrize(("day", "at"), DAYS)
def test_when_a_subscription_ends(day, at):
    world = world_of()
    world.subscriptions["pve1"] = {"status": "active", "level": "c", "nextduedate": day}
    seen = told(world)
    assert seen.of("pve_subscription_status", id="node/pve1", status="active") == 1
    key = ("pve_subscription_next_due_timestamp_seconds", frozenset({("id", "node/pve1")}))
    assert seen.values.get(key) == at


def task(upid: int, *, node: str = "pve1", kind: str = "qmstart", status: str = "OK", **more: Any) -> Any:
    row = {
        "upid": f"UPID:{node}:{upid:08X}:00000001:{NIGHT:08X}:{kind}:{more.get('id', '')}:root@pam:",
        "node": node,
        "type": kind,
        "status": status,
        "starttime": NIGHT,
        "endtime": NIGHT + 60,
        **more,
    }
    (read,) = answers.tasks([row])
    return read


def test_each_failure_counts_once():
    counted = Tasks()
    old = task(1, status="boom")
    counted.add((old, task(2)))
    assert counted.failures == {("pve1", "qmstart"): 0}
    listed = (
        old,
        task(3, status="boom"),
        task(4, status="WARNINGS: 2"),
        task(5, kind="vzdump", status="job errors"),
    )
    for _ in range(3):
        counted.add(listed)
    assert counted.failures == {("pve1", "qmstart"): 1, ("pve1", "vzdump"): 1}
    counted.add(())
    counted.add(listed)
    assert counted.failures[("pve1", "qmstart")] == 1


def test_a_node_that_comes_back_brings_no_old_failures():
    counted = Tasks()
    counted.add((task(1),))
    counted.add((task(2, node="pve2", status="boom", endtime=NIGHT - 5000),))
    assert counted.failures[("pve2", "qmstart")] == 0


LOG = """INFO: starting new backup job: vzdump 101 102 103 --mode snapshot
INFO: Starting Backup of VM 101 (qemu)
INFO: Backup started at 2027-01-15 03:00:00
INFO: Finished Backup of VM 101 (00:01:00)
INFO: Backup finished at 2027-01-15 03:01:00
INFO: Starting Backup of VM 102 (qemu)
INFO: Backup started at 2027-01-15 03:01:00
ERROR: Backup of VM 102 failed - no space left
INFO: Failed at 2027-01-15 03:02:00
INFO: Starting Backup of VM 103 (lxc)
INFO: Backup started at 2027-01-15 03:02:00
INFO: Finished Backup of VM 103 (00:28:00)
INFO: Backup finished at 2027-01-15 03:30:00
INFO: Backup job finished with errors
TASK ERROR: job errors""".splitlines()


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 15])
def test_a_log_tells_of_each_guest(pages):
    backups = Backups()
    backups.add_tasks((task(1, kind="vzdump", status="job errors", endtime=NIGHT + 3600),))
    size = -(-len(LOG) // pages)
    for start in range(0, len(LOG), size):
        ((wanted),) = backups.wanted.values()
        assert wanted.start == start
        page = tuple(LOG[start : start + size])
        backups.add_log(wanted, page, is_last=start + size >= len(LOG))
    assert backups.wanted == {}
    assert backups.succeeded.keys() == {"101", "103"}
    assert backups.failed == {"102": NIGHT + 3600}
    if pages == 1:
        assert backups.succeeded == {"101": NIGHT + 60, "103": NIGHT + 1800}
    backups.add_tasks((task(1, kind="vzdump", status="job errors", endtime=NIGHT + 3600),))
    assert backups.wanted == {}


def test_a_task_of_one_guest_speaks_for_itself():
    backups = Backups()
    backups.add_tasks((task(1, kind="vzdump", id="101"), task(2, kind="vzdump", id="102", status="no space")))
    assert (backups.succeeded, backups.failed) == ({"101": NIGHT + 60}, {"102": NIGHT + 60})
    assert backups.wanted == {}


def test_an_older_backup_changes_nothing():
    backups = Backups()
    backups.add_stored({"101": NIGHT})
    backups.add_stored({"101": NIGHT - 86400})
    assert backups.succeeded == {"101": NIGHT}


def test_logs_of_many_jobs_are_not_piled_up():
    backups = Backups()
    backups.add_tasks(tuple(task(number, kind="vzdump") for number in range(500)))
    assert len(backups.wanted) == 10
    assert all(isinstance(wanted, Wanted) for wanted in backups.wanted.values())


NOT_ANSWERS = [None, {}, "x", 5, [5], [None], [["id"]], [{"id": "qemu/1"}, 3]]


@pytest.mark.parametrize("data", NOT_ANSWERS, ids=repr)
def test_no_list_of_resources(data):
    with pytest.raises(ProxmoxError):
        answers.resources(data)


ODD = [
    pytest.param({"mem": "1024"}, 1024, id="a number as text"),
    pytest.param({"mem": "1e3"}, 1000, id="a number with exponent"),
    pytest.param({"mem": -5}, -5, id="below zero"),
    pytest.param({"mem": 1 << 80}, 1 << 80, id="large"),
    pytest.param({"mem": "x"}, None, id="text"),
    pytest.param({"mem": "inf"}, None, id="infinite"),
    pytest.param({"mem": True}, None, id="a boolean"),
    pytest.param({"mem": [1]}, None, id="a list"),
    pytest.param({"mem": None}, None, id="null"),
]


@pytest.mark.parametrize(("fields", "value"), ODD)
def test_numbers(fields, value):
    (row,) = answers.resources([guest(**fields)])
    assert row.numbers.get("mem") == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"id": JSON, "type": st.sampled_from(["qemu", "lxc", "node", "storage", "pool", 7])},
        optional=dict.fromkeys(
            [*answers.NUMBERS, "name", "node", "status", "tags", "content", "hastate"], JSON
        ),
    ),
    max_size=6,
)


@given(rows=ROWS)
def test_whatever_rows_come_the_text_is_well_formed(rows):
    told(world_of(*rows))


PARSERS = [
    answers.status,
    answers.version,
    answers.not_backed_up,
    answers.replication,
    answers.replication_sources,
    answers.onboot,
    answers.tasks,
    answers.log_lines,
    answers.backups,
    answers.privileges,
    lambda data: answers.flat("x", data),
]


@given(data=JSON | st.lists(st.dictionaries(st.sampled_from(["id", "name", "type", "vmid", "upid"]), JSON)))
def test_whatever_comes_is_read_or_refused(data):
    for parser in PARSERS:
        try:
            parser(data)
        except ProxmoxError:
            continue


if __name__ == "__main__":
    place = Path("build/vm-golden")
    place.mkdir(parents=True)
    GOLDEN.write_text(golden_text(place))
    shutil.rmtree(place)
