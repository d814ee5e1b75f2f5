"""What the machine may do to the collectors: hang, vanish, lie, refuse."""

from __future__ import annotations

import os
import shutil
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.collector import Collector
from exporters.errors import ExporterError, NoDataError, SourceError
from exporters.registry import Registry, Source
from exporters.system import (
    cpu,
    diskstats,
    filesystem,
    lists,
    loadavg,
    meminfo,
    netdev,
    osrelease,
    process,
    stat,
    vmstat,
)
from exporters.system.filters import accepts
from exporters.system.passwd import read_names
from exporters.system.tree import Tree
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import FIXTURES, at, fixed_statfs, host, scrape, tree

MOUNTS = b"""27 1 8:1 / / rw - ext4 /dev/sda1 rw
30 27 0:50 / /dead rw - nfs4 filer:/dead rw
31 27 0:51 / /alive rw - ext4 /dev/sdb1 rw
"""


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def folder(tmp_path):
    """A saved tree that the test may damage."""
    return shutil.copytree(FIXTURES / "server", tmp_path / "tree")


def text(families):
    return parse(Renderer().render(families))


class TestHungMount:
    """A statfs that never returns costs its own numbers and one thread, however often one scrapes."""

    @staticmethod
    def collector(folder, hang):
        (folder / "proc/1/mountinfo").write_bytes(MOUNTS)

        def statfs(path):
            if path.endswith(b"/dead"):
                hang()
            return SimpleNamespace(f_bsize=1, f_blocks=5, f_bfree=4, f_bavail=3, f_files=2, f_ffree=1)

        return filesystem.Mounts(at(folder), statfs=statfs)

    async def test_a_thousand_scrapes(self, folder, gate):
        asked = []

        def hang():
            asked.append(1)
            gate.wait()

        now = [0.0]
        mounts = self.collector(folder, hang)
        registry = Registry(
            [
                Source("filesystem", Collector(mounts.collect)),
                Source("loadavg", Collector(lambda: loadavg.collect(loadavg.read(at(folder))))),
            ],
            steady=lambda: now[0],
        )
        await registry.scrape()
        before = threading.active_count()
        for _ in range(1000):
            now[0] += 2
            seen = parse((await registry.scrape()).text.decode())
            dead = {
                "device": "filer:/dead",
                "mountpoint": "/dead",
                "fstype": "nfs4",
                "device_error": "mountpoint timeout",
            }
            alive = {"device": "/dev/sdb1", "mountpoint": "/alive", "fstype": "ext4", "device_error": ""}
            assert seen.of("node_filesystem_device_error", **dead) == 1
            assert seen.of("node_filesystem_size_bytes", **alive) == 5
            assert seen.of("node_load1") == 0.21
            assert seen.of("steward_scrape_collector_success", collector="filesystem") == 1
        # Slow once, the collector moves to the background, which has one thread for all.
        assert threading.active_count() <= before + 1
        assert asked == [1]
        registry.close()
        mounts.close()

    def test_it_is_asked_again_when_it_came_back(self, folder, gate):
        others = threading.enumerate()
        mounts = self.collector(folder, gate.wait)
        assert "mountpoint timeout" in Renderer().render(mounts.collect())
        threads = [thread for thread in threading.enumerate() if thread not in others]
        gate.set()
        threads[0].join()
        assert "mountpoint timeout" not in Renderer().render(mounts.collect())
        mounts.close()


def test_a_mount_that_fails_says_why(folder):
    (folder / "proc/1/mountinfo").write_bytes(MOUNTS)
    errors = {
        b"/dead": OSError(116, "Stale"),
        b"/alive": PermissionError(13, "No"),
    }

    def statfs(path):
        for end, error in errors.items():
            if path.endswith(end):
                raise error
        return fixed_statfs(path)

    mounts = filesystem.Mounts(at(folder), statfs=statfs)
    seen = text(mounts.collect())
    reasons = {
        dict(labels)["device_error"] for name, labels in seen.values if name == "node_filesystem_device_error"
    }
    assert reasons == {"", "stale NFS file handle", "permission denied"}
    assert len([name for name, _ in seen.values if name == "node_filesystem_size_bytes"]) == 1
    mounts.close()


async def test_files_that_vanish_cost_their_collector(folder):
    now = [0.0]
    saved = at(folder)
    registry = Registry(
        [
            Source("meminfo", Collector(lambda: meminfo.collect(meminfo.read(saved)))),
            Source("loadavg", Collector(lambda: loadavg.collect(loadavg.read(saved)))),
        ],
        steady=lambda: now[0],
    )
    assert "node_memory_MemTotal_bytes" in parse((await registry.scrape()).text.decode()).names()
    (folder / "proc/meminfo").unlink()
    now[0] += 2
    seen = parse((await registry.scrape()).text.decode())
    assert "node_memory_MemTotal_bytes" not in seen.names()
    assert seen.of("steward_scrape_collector_success", collector="meminfo") == 0
    assert seen.of("node_load1") == 0.21
    registry.close()


async def test_a_machine_without_sys(folder):
    shutil.rmtree(folder / "sys")
    shutil.rmtree(folder / "udev")
    seen = await scrape(host(at(folder)))
    failed = [
        dict(labels)["collector"]
        for (name, labels), value in seen.values.items()
        if name == "steward_scrape_collector_success" and value == 0
    ]
    assert failed == []
    assert seen.of("node_cpu_seconds_total", cpu="0", mode="user") == 100
    assert seen.of("node_disk_reads_completed_total", device="sda") == 25354637
    assert not seen.names() & {"node_cpu_online", "node_cpu_isolated", "node_network_receive_nohandler_total"}


async def test_a_machine_without_anything(tmp_path):
    seen = await scrape(host(Tree(procfs=tmp_path, sysfs=tmp_path, rootfs=tmp_path, udev_data=tmp_path)))
    for name in ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "netdev", "stat", "vmstat"):
        assert seen.of("steward_scrape_collector_success", collector=name) == 0
    assert seen.of("steward_scrape_collector_no_data", collector="os") == 1
    assert seen.of("steward_scrape_collector_success", collector="uname") == 1


def test_names_that_are_not_utf8_and_names_that_need_escapes(folder):
    names = (b"eth\xff", b'a"b', b"c\\d", b"eth\xfe")
    line = b": " + b" ".join([b"1"] * 16) + b"\n"
    (folder / "proc/net/dev").write_bytes(b"head\nhead\n" + b"".join(name + line for name in names))
    (folder / "proc/1/mountinfo").write_bytes(
        b'27 1 8:1 / /a\\012b rw - ext4 /dev/"x\\y rw\n28 1 8:1 / /\xff rw - ext4 /dev/z rw\n'
    )
    saved = at(folder)
    devices = {dict(labels)["device"] for _, labels in text(netdev.Devices(saved).collect()).values}
    assert devices == {"eth\ufffd", 'a"b', "c\\d"}  # the two that become alike are one series, the first
    mounts = filesystem.Mounts(saved, statfs=fixed_statfs)
    seen = text(mounts.collect())
    assert {dict(labels)["mountpoint"] for _, labels in seen.values} == {"/a\nb", "/\ufffd"}
    assert {dict(labels)["device"] for _, labels in seen.values} == {'/dev/"x\\y', "/dev/z"}
    mounts.close()


def test_process_one_is_hidden(folder):
    (folder / "proc/self").mkdir()
    (folder / "proc/1/mountinfo").rename(folder / "proc/self/mountinfo")
    mounts = filesystem.Mounts(at(folder), statfs=fixed_statfs)
    assert "node_filesystem_size_bytes" in text(mounts.collect()).names()
    mounts.close()


MALFORMED = {
    "loadavg short": (loadavg.collect, b"0.1 0.2\n"),
    "loadavg words": (loadavg.collect, b"a b c\n"),
    "meminfo empty": (meminfo.collect, b""),
    "vmstat words": (vmstat.collect, b"pgfault many\n"),
    "vmstat odd": (vmstat.collect, b"pgfault\n"),
    "stat empty": (stat.collect, b""),
    "cpu none": (cpu.parse_ticks, b"intr 5\n"),
    "cpu words": (cpu.parse_ticks, b"cpu0 1 x 3\n"),
    "netdev words": (lambda raw: netdev.parse(raw, accepts()), b"h\nh\neth0: 1 2 x\n"),
    "netdev short": (lambda raw: netdev.parse(raw, accepts()), b"h\nh\neth0: 1 2 3\n"),
    "mounts short": (lambda raw: filesystem.parse(raw, "/"), b"27 1 8:1 / / rw\n"),
    "mounts device": (lambda raw: filesystem.parse(raw, "/"), b"27 1 8 / / rw - ext4 /dev/sda1 rw\n"),
    "cpu list": (lambda raw: lists.parse_list("list", raw), b"0-x\n"),
    "support end": (osrelease.collect, {"SUPPORT_END": "soon"}),
}


@pytest.mark.parametrize(("call", "raw"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_sources_are_said_to_be_malformed(call, raw):
    with pytest.raises(SourceError):
        call(raw)


@given(st.binary(max_size=300))
def test_no_source_makes_a_collector_fail_otherwise(raw):
    calls = (
        loadavg.collect,
        meminfo.collect,
        vmstat.collect,
        stat.collect,
        cpu.parse_ticks,
        diskstats.parse_properties,
        osrelease.parse,
        lambda data: netdev.parse(data, accepts()),
        lambda data: filesystem.parse(data, "/"),
    )
    for call in calls:
        try:
            call(raw)
        except SourceError:
            continue


def test_without_os_release_there_is_no_data(tmp_path):
    with pytest.raises(NoDataError):
        osrelease.OsRelease(at(tmp_path)).collect()


def test_os_release_is_read_again_when_it_changes(folder):
    saved = osrelease.OsRelease(at(folder))
    assert text(saved.collect()).of("node_os_version", id="ubuntu", id_like="debian", name="Ubuntu") == 24.04
    (folder / "root/etc/os-release").write_text("ID=other\nVERSION_ID=7.1.2\nNAME='O''S'\n")
    assert text(saved.collect()).of("node_os_version", id="other", id_like="", name="O''S") == 7.1


@pytest.mark.parametrize(
    ("include", "exclude", "accepted"),
    [("", "", {"lo", "eth0"}), ("^eth", "", {"eth0"}), ("", "^eth", {"lo"}), ("", "t", {"lo"})],
)
def test_filters(include, exclude, accepted):
    assert set(filter(accepts(include=include, exclude=exclude), ("lo", "eth0"))) == accepted


@pytest.mark.parametrize(("include", "exclude"), [("a", "b"), ("(", ""), ("", "[")])
def test_bad_filters_are_refused(include, exclude):
    with pytest.raises(ExporterError):
        accepts(include=include, exclude=exclude)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    (tmp_path / "etc").mkdir()
    for name in ("os-release", "passwd"):
        os.mkfifo(tmp_path / "etc" / name)
    tree = Tree(rootfs=tmp_path)
    with pytest.raises(OSError, match="seek"):
        osrelease.OsRelease(tree).collect()
    assert read_names(tree) == {}


def test_a_file_that_does_not_end_is_left():
    with pytest.raises(SourceError):
        Tree(procfs=FIXTURES.joinpath("/dev")).proc("zero")


def test_live_files_are_opened_once():
    live = Tree()
    first, second = live.proc("uptime"), live.proc("uptime")
    assert first.split()
    assert second.split()
    live.close()


def test_own_process_is_there():
    own = process.OwnProcess("1.2.3")
    seen = text(own.collect())
    own.close()
    assert seen.of("process_open_fds") > 2
    assert seen.of("process_resident_memory_bytes") > 1e6
    assert seen.of("process_start_time_seconds") > 1e9
    assert "process_virtual_memory_max_bytes" in seen.names()
    (build,) = [dict(labels) for name, labels in seen.values if name == "node_exporter_build_info"]
    assert build["version"] == "1.2.3"


@pytest.mark.parametrize("name", ["server", "old"])
def test_saved_trees_are_read_each_time(name, tmp_path):
    copied = shutil.copytree(FIXTURES / name, tmp_path / "tree")
    saved = at(copied)
    before = loadavg.read(saved)
    (copied / "proc/loadavg").write_bytes(b"9 9 9\n")
    assert before == loadavg.read(tree(name))
    assert loadavg.read(saved) == b"9 9 9\n"
