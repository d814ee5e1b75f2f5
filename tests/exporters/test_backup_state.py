from __future__ import annotations

import json
import os
import re
import subprocess
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.actions.backup_state import (
    BackupState,
    Proof,
    RepositoryState,
    Snapshot,
    write_repository_state,
    write_state,
)
from exporters.backup import files, state
from exporters.errors import NoDataError, SourceError
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import at, host, only, scrape
from tests.real.servers import real_server

GOOD = {
    "set": "etc",
    "repository": "local",
    "outcome": "done",
    "started_at": 1795000000,
    "finished_at": 1795000012,
    "snapshot": "3f5c0e11",
    "files": 1203,
    "bytes": 4500000,
    "exit_status": 0,
    "last_success_at": 1795000012,
}
SNAPSHOT = {
    "snapshot": "3f5c0e11",
    "started_at": 1795000000,
    "hostname": "vm",
    "username": "root",
    "paths": ["/etc", "/home"],
    "tags": ["steward", "daily"],
    "files": 1203,
    "bytes": 4500000,
    "bytes_added": 7,
    "duration_seconds": 11.5,
    "files_new": 1,
    "dirs_new": None,
}
WHERE = {"set": "etc", "repository": "local"}


def write(folder, name="etc.local.json", **changes):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({**GOOD, **changes}))


def read(folder):
    return parse(Renderer().render(state.collect(files.read(folder))))


def test_a_good_run(tmp_path):
    write(tmp_path)
    seen = read(tmp_path)
    assert seen.of("steward_backup_last_success_timestamp_seconds", **WHERE) == 1795000012
    assert seen.of("steward_backup_last_run_success", **WHERE) == 1
    assert seen.of("steward_backup_last_run_duration_seconds", **WHERE) == 12
    assert seen.of("steward_backup_last_run_files", **WHERE) == 1203
    assert seen.of("steward_backup_last_run_bytes", **WHERE) == 4500000
    assert seen.of("steward_backup_unreadable_state_files") == 0


def test_a_failed_run_does_not_move_the_last_success(tmp_path):
    write(tmp_path, outcome="failed", finished_at=1795009999, exit_status=3)
    seen = read(tmp_path)
    assert seen.of("steward_backup_last_success_timestamp_seconds", **WHERE) == 1795000012
    assert seen.of("steward_backup_last_run_timestamp_seconds", **WHERE) == 1795009999
    assert seen.of("steward_backup_last_run_success", **WHERE) == 0


def test_before_the_first_success_there_is_none(tmp_path):
    write(tmp_path, outcome="failed", last_success_at=None)
    assert "steward_backup_last_success_timestamp_seconds" not in read(tmp_path).names()


def test_each_set_and_repository_is_a_series(tmp_path):
    write(tmp_path)
    write(tmp_path, "home.local.json", set="home")
    write(tmp_path, "etc.far.json", repository="far")
    names = [labels for name, labels in read(tmp_path).values if name == "steward_backup_last_run_success"]
    assert len(names) == 3


BAD = {
    "no JSON": "{",
    "nested without end": "[" * 50_000,
    "another version": json.dumps({**GOOD, "version": 2}),
    "not a number": json.dumps({**GOOD, "files": float("nan")}),
    "without bounds": json.dumps({**GOOD, "bytes": float("inf")}),
    "too large": json.dumps({**GOOD, "bytes": 1 << 80}),
    "less than nothing": json.dumps({**GOOD, "files": -1}),
    "a long name": json.dumps({**GOOD, "set": "x" * 5000}),
    "a drill as text": json.dumps({**GOOD, "drill": "done"}),
    "half a drill": json.dumps({**GOOD, "drill": {"outcome": "done"}}),
    "half a snapshot": json.dumps({**GOOD, "last_success": {"hostname": "vm"}}),
    "paths as text": json.dumps({**GOOD, "last_success": {**SNAPSHOT, "paths": "/etc"}}),
    "no object": "[]",
    "no set": json.dumps({key: value for key, value in GOOD.items() if key != "set"}),
    "time as text": json.dumps({**GOOD, "finished_at": "today"}),
    "time as truth": json.dumps({**GOOD, "finished_at": True}),
    "last success as text": json.dumps({**GOOD, "last_success_at": "never"}),
    "too long": json.dumps({**GOOD, "more": "x" * 100_000}),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_counted_and_the_others_are_served(tmp_path, text):
    write(tmp_path)
    (tmp_path / "bad.json").write_text(text)
    seen = read(tmp_path)
    assert seen.of("steward_backup_unreadable_state_files") == 1
    assert seen.of("steward_backup_last_run_success", **WHERE) == 1
    with pytest.raises(SourceError):
        files.parse_set(text.encode())


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(text):
    with pytest.raises(SourceError):
        files.parse_set(text)


@pytest.mark.parametrize("made", [True, False])
def test_without_files_there_is_no_data(tmp_path, made):
    folder = tmp_path / "backups"
    if made:
        folder.mkdir()
    with pytest.raises(NoDataError):
        files.read(folder)


async def test_in_the_registry(tmp_path):
    write(tmp_path / "backups")
    flags = {**only("backup"), "collector.backup.directory": str(tmp_path / "backups")}
    seen = await scrape(host(at(tmp_path), flags))
    assert seen.of("steward_backup_last_success_timestamp_seconds", **WHERE) == 1795000012
    assert seen.of("steward_scrape_collector_age_seconds", collector="backup") >= 0


async def test_without_a_folder_there_is_no_data(tmp_path):
    seen = await scrape(host(at(tmp_path), only("backup")))
    assert seen.of("steward_scrape_collector_no_data", collector="backup") == 1


def test_what_the_agent_writes_is_what_is_served(tmp_path):
    """The format is between the two: written by one, read by the other."""
    snapshot = Snapshot("3f5c0e11", 100, "vm", "root", ("/etc", "/home"), ("steward",), 5, 6, 7, 1.5, 1, 2, 2)
    drill = Proof("failed", 200, 260, files=3, bytes=4, last_success_at=150)
    check = Proof("done", 300, 390, last_success_at=390)
    done = BackupState("etc", "local", "done", 100, 102, "3f5c0e11", 5, 6, last_success=snapshot, drill=drill)
    write_state(tmp_path, done)
    write_repository_state(tmp_path, RepositoryState("local", 12, 0, 102, check))
    seen = read(tmp_path)
    ours = {name: value for (name, _), value in seen.values.items() if name.startswith("steward_backup_")}
    assert ours == {
        "steward_backup_last_success_timestamp_seconds": 102,
        "steward_backup_last_success_duration_seconds": 1.5,
        "steward_backup_last_success_files": 5,
        "steward_backup_last_success_bytes": 6,
        "steward_backup_last_success_added_bytes": 7,
        "steward_backup_last_run_timestamp_seconds": 102,
        "steward_backup_last_run_success": 1,
        "steward_backup_last_run_duration_seconds": 2,
        "steward_backup_last_run_files": 5,
        "steward_backup_last_run_bytes": 6,
        "steward_backup_last_run_info": 1,
        "steward_backup_repository_snapshots": 12,
        "steward_backup_repository_locks": 0,
        "steward_backup_repository_counted_timestamp_seconds": 102,
        "steward_backup_last_check_timestamp_seconds": 390,
        "steward_backup_last_check_success": 1,
        "steward_backup_last_check_duration_seconds": 90,
        "steward_backup_last_check_success_timestamp_seconds": 390,
        "steward_backup_last_drill_timestamp_seconds": 260,
        "steward_backup_last_drill_success": 0,
        "steward_backup_last_drill_duration_seconds": 60,
        "steward_backup_last_drill_files": 3,
        "steward_backup_last_drill_bytes": 4,
        "steward_backup_last_drill_success_timestamp_seconds": 150,
        "steward_backup_unreadable_state_files": 0,
    }


def test_why_the_last_run_failed(tmp_path):
    write(tmp_path, outcome="failed", reason="repository_locked")
    labels = {**WHERE, "outcome": "failed", "reason": "repository_locked"}
    assert read(tmp_path).of("steward_backup_last_run_info", **labels) == 1


CLIENT = {
    "client_hostname": "vm",
    "client_username": "root",
    "client_version": "",
    "snapshot_hash": sha256(b"vmroot/etc,/home").hexdigest(),
    "snapshot_tag": "steward",
    "snapshot_tags": "steward,daily",
    "snapshot_paths": "",
}


def test_the_names_of_the_restic_dashboard(tmp_path):
    write(tmp_path, last_success=SNAPSHOT)
    write(tmp_path / "repositories", "local.json", snapshots=12, locks=1, size=9)
    seen = read(tmp_path)
    restic = {name: value for (name, _), value in seen.values.items() if name.startswith("restic_")}
    del restic["restic_scrape_duration_seconds"]
    assert restic == {
        "restic_locks_total": 1,
        "restic_size_total": 9,
        "restic_snapshots_total": 12,
        "restic_backup_timestamp": 1795000000,
        "restic_backup_files_total": 1203,
        "restic_backup_size_total": 4500000,
        "restic_backup_files_new": 1,
        "restic_backup_data_added_bytes": 7,
        "restic_backup_duration_seconds": 11.5,
    }
    assert seen.of("restic_backup_timestamp", **CLIENT) == 1795000000


def test_paths_are_told_only_where_asked_for(tmp_path):
    write(tmp_path, last_success=SNAPSHOT)
    text = Renderer().render(state.collect(files.read(tmp_path), with_paths=True))
    assert parse(text).of("restic_backup_timestamp", **{**CLIENT, "snapshot_paths": "/etc,/home"})


def test_of_two_repositories_neither_is_the_one(tmp_path):
    """restic-exporter's repository metrics have no labels: they cannot tell of two."""
    write(tmp_path, last_success=SNAPSHOT)
    for name in ("local", "far"):
        write(tmp_path / "repositories", f"{name}.json", repository=name, snapshots=12)
    seen = read(tmp_path)
    assert "restic_snapshots_total" not in seen.names()
    assert seen.of("steward_backup_repository_snapshots", repository="far") == 12
    assert seen.of("restic_backup_timestamp", **CLIENT) == 1795000000


def test_the_same_paths_in_two_repositories_are_one_series_of_restic(tmp_path):
    write(tmp_path, last_success=SNAPSHOT)
    write(tmp_path, "etc.far.json", repository="far", last_success={**SNAPSHOT, "started_at": 1795000009})
    assert read(tmp_path).of("restic_backup_timestamp", **CLIENT) == 1795000009


def test_a_pipe_and_a_second_file_of_the_same_set_are_counted(tmp_path):
    write(tmp_path)
    write(tmp_path, "copy.json", files=1)
    os.mkfifo(tmp_path / "pipe.json")
    seen = read(tmp_path)
    assert seen.of("steward_backup_unreadable_state_files") == 2
    assert seen.of("steward_backup_last_run_files", **WHERE) == 1


def test_half_a_surrogate_pair_does_not_reach_the_page(tmp_path):
    write(tmp_path, set="\ud800")
    assert read(tmp_path).of("steward_backup_last_run_success", set="?", repository="local") == 1


def test_too_many_files_are_counted_not_read(tmp_path):
    for number in range(1003):
        write(tmp_path, f"{number:04}.json", set=str(number))
    assert read(tmp_path).of("steward_backup_unreadable_state_files") == 3


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "last_success", "drill", "version"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children),
            max_leaves=5,
        ),
    )
)
def test_odd_fields_never_reach_the_page_unseen(changes):
    """Either the file is refused whole, or what is served is text that Prometheus reads."""
    try:
        raw = files.parse_set(json.dumps({**GOOD, **changes}).encode())
    except SourceError:
        return
    parse(Renderer().render(state.collect(files.Raw((raw,), (), 0))))


def test_prometheus_reads_the_text(tmp_path):
    """It may only complain of the names of the restic dashboard, which end in _total and are gauges."""
    write(tmp_path, last_success=SNAPSHOT)
    write(tmp_path / "repositories", "local.json", snapshots=12, locks=1, size=9)
    text = Renderer().render(state.collect(files.read(tmp_path))).encode()
    argv = [str(real_server("promtool")), "check", "metrics"]
    done = subprocess.run(argv, input=text, capture_output=True, check=False)
    complaints = (done.stdout + done.stderr).decode().splitlines()
    assert [line for line in complaints if not re.match(r"restic_\w+_total non-counter", line)] == []
