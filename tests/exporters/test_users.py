"""What users use: counters over the ends of processes, names, and processes that vanish."""

from __future__ import annotations

import pytest

from exporters.errors import SourceError
from exporters.system import users
from exporters.system.passwd import names, read_names
from exporters.system.tree import Tree
from exporters.system.users import Ledger, Process, Raw, parse
from exporters.text import Renderer
from tests.exporters.exposition import parse as read_back
from tests.exporters.trees import at, host

NAMES = {0: "root", 1000: "ada", 1001: "grace", 1002: "other"}


def process(uid, utime=0, stime=0, resident=0, threads=1, io=(None, None)):
    return Process(uid, utime, stime, resident, threads, *io)


def seen(ledger, **processes):
    """A reading of processes by a name, which stands for pid and start."""
    raw = Raw({(name, 1): each for name, each in processes.items()}, NAMES)
    return read_back(Renderer().render(ledger.collect(raw)))


def cpu(found, user, mode="user"):
    return found.of("steward_user_cpu_seconds_total", user=user, mode=mode)


def test_counters_keep_what_ended():
    ledger = Ledger(10)
    assert cpu(seen(ledger, a=process(1000, 500), b=process(1000, 100)), "ada") == 6
    assert cpu(seen(ledger, b=process(1000, 150)), "ada") == 6.5
    found = seen(ledger)
    assert cpu(found, "ada") == 6.5
    assert found.of("steward_user_processes", user="ada") == 0
    assert cpu(seen(ledger, c=process(1000, 7)), "ada") == 6.57


def test_a_pid_that_is_used_again_is_another_process():
    ledger = Ledger(10)
    for start, utime in ((1, 500), (2, 100)):
        found = read_back(Renderer().render(ledger.collect(Raw({("7", start): process(1000, utime)}, NAMES))))
    assert cpu(found, "ada") == 6


def test_a_process_that_becomes_another_users_counts_there_from_then_on():
    ledger = Ledger(10)
    seen(ledger, a=process(0, 100))
    found = seen(ledger, a=process(1000, 150))
    assert (cpu(found, "root"), cpu(found, "ada")) == (1, 0.5)


def test_gauges_are_of_now():
    found = seen(Ledger(10), a=process(1000, resident=4096, threads=3), b=process(1000, resident=8192))
    assert found.of("steward_user_memory_resident_bytes", user="ada") == 12288
    assert found.of("steward_user_tasks", user="ada") == 4


def test_io_that_may_not_be_read_is_absent():
    found = seen(Ledger(10), a=process(1000, io=(10, 20)), b=process(1000), c=process(1001))
    assert found.of("steward_user_io_read_bytes_total", user="ada") == 10
    assert not [name for name, labels in found.values if "_io_" in name and ("user", "grace") in labels]


def test_names_that_would_mislead_are_numbers():
    found = seen(Ledger(10), a=process(1002), b=process(100033))
    assert {dict(labels)["user"] for _, labels in found.values} == {"1002", "100033"}


def test_the_rest_is_other():
    ledger = Ledger(1)
    found = seen(ledger, a=process(1000, 900), b=process(1001, 100), c=process(0, 50))
    assert (cpu(found, "ada"), cpu(found, "other")) == (9, 1.5)
    found = seen(ledger, a=process(1000, 900), b=process(1001, 2000))
    assert (cpu(found, "grace"), cpu(found, "other")) == (20, 1.5)


def test_no_series_for_pids():
    found = seen(Ledger(10), a=process(0), b=process(1000))
    assert {tuple(sorted(dict(labels))) for _, labels in found.values} == {("mode", "user"), ("user",)}


STAT = (
    b"7 (a (odd) name) S 1 7 7 0 -1 4194560 1 2 0 0 250 50 9 9 20 0 3 0 1234 1000 25 18446744073709551615 1\n"
)
STATUS = b"Name:\ta\nUmask:\t0022\nState:\tS\nUid:\t1000\t1001\t1001\t1001\nGid:\t1\n"
IO = b"rchar: 1\nwchar: 2\nsyscr: 3\nread_bytes: 4096\nwrite_bytes: 512\ncancelled_write_bytes: 0\n"


def test_files_of_a_process():
    assert parse(STAT, STATUS, IO) == (1234, Process(1000, 250, 50, 25 * users._PAGE_BYTES, 3, 4096, 512))


@pytest.mark.parametrize(
    "files",
    [
        pytest.param((b"7 (a) S 1", STATUS, IO), id="short"),
        pytest.param((STAT, b"Name:\ta\n", IO), id="no uid"),
        pytest.param((STAT, STATUS, b"read_bytes: many\n"), id="no number"),
    ],
)
def test_malformed_files(files):
    with pytest.raises(SourceError):
        parse(*files)


def test_a_tree_whose_processes_vanish(tmp_path):
    for pid, files in {"7": (STAT, STATUS, IO), "8": (STAT,), "self": ()}.items():
        (tmp_path / "proc" / pid).mkdir(parents=True)
        for name, text in zip(("stat", "status", "io"), files, strict=False):
            (tmp_path / "proc" / pid / name).write_bytes(text)
    (tmp_path / "root" / "etc").mkdir(parents=True)
    (tmp_path / "root" / "etc" / "passwd").write_bytes(b"root:x:0:0::/:/bin/sh\nada:x:1000:1000::/:\nbad\n")
    collector = users.build(host(at(tmp_path)))
    found = read_back(Renderer().render(collector.collect()))
    collector.close()
    assert cpu(found, "ada") == 2.5
    assert found.of("steward_user_processes", user="ada") == 1


def test_this_machine(tmp_path):
    ledger = Ledger(1000)
    first, second = [read_back(Renderer().render(ledger.collect(users.read(Tree())))) for _ in range(2)]
    assert sum(value for (name, _), value in first.values.items() if name == "steward_user_processes") > 0
    for key, value in first.values.items():
        if key[0].endswith("_total"):
            assert second.values[key] >= value


def test_names_of_passwd(tmp_path):
    assert names(b"a:x:1:1:::\nb:x:1:1:::\n:x:2::\nc:x:y\nd\ncaf\xe9:x:3:\n") == {1: "a", 3: "caf\ufffd"}
    assert read_names(Tree(rootfs=tmp_path)) == {}
