from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.backup import state
from exporters.errors import NoDataError, SourceError
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import at, host, only, scrape

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
WHERE = {"set": "etc", "repository": "local"}


def write(folder, name="etc.local.json", **changes):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps({**GOOD, **changes}))


def read(folder):
    return parse(Renderer().render(state.collect(state.read(folder))))


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
        state.parse(text.encode())


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(text):
    with pytest.raises(SourceError):
        state.parse(text)


@pytest.mark.parametrize("made", [True, False])
def test_without_files_there_is_no_data(tmp_path, made):
    folder = tmp_path / "backups"
    if made:
        folder.mkdir()
    with pytest.raises(NoDataError):
        state.read(folder)


async def test_in_the_registry(tmp_path):
    write(tmp_path / "backups")
    flags = {**only("backup"), "collector.backup.directory": str(tmp_path / "backups")}
    seen = await scrape(host(at(tmp_path), flags))
    assert seen.of("steward_backup_last_success_timestamp_seconds", **WHERE) == 1795000012
    assert seen.of("steward_scrape_collector_age_seconds", collector="backup") >= 0


async def test_without_a_folder_there_is_no_data(tmp_path):
    seen = await scrape(host(at(tmp_path), only("backup")))
    assert seen.of("steward_scrape_collector_no_data", collector="backup") == 1
