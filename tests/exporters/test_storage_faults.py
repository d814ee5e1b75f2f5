"""Malformed, endless and half-written texts of RAID, file systems and block devices."""

from __future__ import annotations

import shutil
import threading
from errno import ENODEV, EPERM
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import ExporterError, NoDataError, SettingError, SourceError
from exporters.system import bcache, bcachefs, btrfs, btrfs_devices, diskstats, drbd, filesystem, mdadm, xfs
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.trees import FIXTURES, at, fixed_statfs, host, tree

MDSTAT = (FIXTURES / "numa/proc/mdstat").read_bytes()


def text(families):
    return parse(Renderer().render(families))


def test_arrays_in_every_state():
    arrays = {array.name: array for array in mdadm.parse(MDSTAT)}
    assert arrays["md1"] == mdadm.Array("md1", "recovering", 6, 8, 1, 0, 46883352576, 571234560)
    assert arrays["md0"].state == "active"
    assert (arrays["md127"].active, arrays["md127"].required) == (2, 2)


PROGRESS = {
    b"      [>....]  resync =  0.3% (19/5840) finish=1.0min speed=1K/sec": ("resyncing", 19),
    b"      [>....]  check =  0.3% (19/5840) finish=1.0min speed=1K/sec": ("checking", 19),
    b"      [>....]  reshape =  0.3% (19/5840) finish=1.0min speed=1K/sec": ("reshaping", 19),
    b"      \tresync=DELAYED": ("resyncing", 0),
    b"      \tresync=PENDING": ("resyncing", 0),
    b"      ": ("active", 5840),
}


@pytest.mark.parametrize(("line", "said"), PROGRESS.items())
def test_progress(line, said):
    head = b"Personalities : [raid1]\nmd3 : active raid1 sda[0] sdb[1](S)\n      5840 blocks [2/1] [U_]\n"
    (array,) = mdadm.parse(head + line + b"\n\nunused devices: <none>\n")
    assert (array.state, array.synced) == said
    assert (array.active, array.required, array.spare) == (1, 2, 1)


MALFORMED = {
    "mdstat cut": (mdadm.parse, b"md0 : active raid1 sda[0]\n"),
    "mdstat words": (mdadm.parse, b"md0 :\n\n\n\n"),
    "mdstat blocks": (mdadm.parse, b"md0 : active raid1 sda[0]\n  many blocks [2/2] [UU]\n\n\n"),
    "mdstat disks": (mdadm.parse, b"md0 : active raid1 sda[0]\n  12 blocks super 1.2\n\n\n"),
    "mdstat progress": (mdadm.parse, b"md0 : active raid1 a[0]\n  1 blocks [1/1] [U]\n  resync = soon\n\n"),
    "mdstat long": (mdadm.parse, b"md0 : active raid1 " + b"x" * (1 << 20) + b"\n\n\n\n"),
    "mdstat digits": (mdadm.parse, b"md0 : active raid1 a[0]\n  " + b"9" * 5000 + b" blocks [1/1] [U]\n\n\n"),
    "xfs digits": (xfs.parse, b"rw 1 " + b"9" * 5000),
    "xfs short": (xfs.parse, b"rw 1\n"),
    "xfs words": (xfs.parse, b"rw 1 many\n"),
    "drbd words": (drbd.collect, b"0: cs:Connected ns:many\n"),
    "btrfs commits": (btrfs.commits, b"commits\n"),
    "bcachefs number": (bcachefs.human, b"2.05Q"),
    "bcachefs counter": (lambda raw: bcachefs.collect([volume(raw)]), b"nothing known"),
}


def volume(counter):
    return bcachefs.Volume("u", {}, {"c": counter}, {})


@pytest.mark.parametrize(("call", "raw"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_sources_are_said_to_be_malformed(call, raw):
    with pytest.raises(SourceError) as caught:
        call(raw)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=300))
def test_no_source_makes_a_collector_fail_otherwise(raw):
    calls = (
        mdadm.parse,
        xfs.parse,
        drbd.collect,
        btrfs.commits,
        bcachefs.human,
        lambda data: bcachefs.collect([bcachefs.Volume("u", {"errors": data}, {}, {"d": {"io_done": data}})]),
        diskstats.parse_properties,
    )
    for call in calls:
        try:
            call(raw)
        except SourceError:
            continue


def test_a_line_of_a_megabyte_in_mdstat_costs_the_arrays_only(tmp_path):
    folder = shutil.copytree(FIXTURES / "numa", tmp_path / "tree", symlinks=True)
    (folder / "proc/mdstat").write_bytes(
        b"md0 : active raid1 " + b"sda[0] " * 150_000 + b"\n  1 blocks [1/1] [U]\n\n\n"
    )
    (array,) = mdadm.read(at(folder)).arrays
    assert array.blocks == 1
    (folder / "proc/mdstat").write_bytes(b"\xff" * (1 << 20))
    with pytest.raises(SourceError):
        mdadm.read(at(folder))
    (folder / "proc/mdstat").unlink()
    with pytest.raises(NoDataError):
        mdadm.read(at(folder))


HUMAN = {
    b"0": 0,
    b"512": 512,
    b"1.1k": 1124,
    b"20.4G": 21894266880,
    b"-3": None,
    b"": None,
    b"x": None,
    b"1.k": 1024,
}


@pytest.mark.parametrize(("raw", "said"), HUMAN.items())
def test_numbers_for_people(raw, said):
    if said is None and raw != b"-3":
        with pytest.raises(ValueError, match=r"."):
            bcache.human(raw)
    else:
        assert bcache.signed(raw) == (-3 if said is None else said)


def test_drbd():
    seen = text(
        drbd.collect(
            b"version: 8.4.3\n 1: cs:Connected ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n"
            b"    ns:17 nr:18 dw:19 dr:20 al:1 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:3\n"
        )
    )
    assert seen.of("node_drbd_connected", device="drbd1") == 1
    assert seen.of("node_drbd_network_sent_bytes_total", device="drbd1") == 17 * 1024
    assert seen.of("node_drbd_network_received_bytes_total", device="drbd1") == 18
    assert seen.of("node_drbd_disk_state_is_up_to_date", device="drbd1", node="remote") == 0
    assert seen.of("node_drbd_node_role_is_primary", device="drbd1", node="local") == 1


class TestBtrfs:
    """Devices answer at a mount point, or only /sys does."""

    UUID = "0abb23a9-579b-43e6-ad30-227ef47fcb9d"

    @pytest.fixture
    def folder(self, tmp_path):
        place = tmp_path / "sys/fs/btrfs" / self.UUID
        files = {
            "label": "",
            "metadata_uuid": self.UUID,
            "allocation/global_rsv_size": "16777216",
            "allocation/data/bytes_reserved": "0",
            "allocation/data/raid5/total_bytes": "300",
            "allocation/data/raid5/used_bytes": "12",
            "devices/sda/size": "2048",
            "devices/sdb/size": "2048",
            "devices/sdc/size": "2048",
            "commit_stats": "commits 5\nlast_commit_ms 12\nmax_commit_ms 90\ntotal_commit_ms 1500",
        }
        for name, value in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(value + "\n")
        (tmp_path / "proc/1").mkdir(parents=True)
        (tmp_path / "proc/1/mountinfo").write_text("27 1 0:30 / /data rw - btrfs /dev/sda rw\n")
        (tmp_path / "root/data").mkdir(parents=True)
        return tmp_path

    def answer(self, _descriptor, request, buffer):
        """As the kernel answers for devices 1 and 3."""
        if request == 0x8400941F:
            buffer[:32] = (
                (3).to_bytes(8, "little")
                + (2).to_bytes(8, "little")
                + bytes.fromhex(self.UUID.replace("-", ""))
            )
            return 0
        number = buffer[0]
        if number not in (1, 3):
            raise OSError(ENODEV, "no such device")
        if request == 0xD000941E:
            buffer[8:40] = (
                bytes([number]) * 16 + (100).to_bytes(8, "little") + (1 << 40).to_bytes(8, "little")
            )
            buffer[-1024:-1016] = b"/dev/sd" + b"xabc"[number : number + 1]
        else:
            assert request == 0xC4089434
            assert buffer[8] == 5
            for place in range(5):
                buffer[24 + 8 * place] = number * 10 + place
        return 0

    def test_devices_answer(self, folder):
        saved = at(folder)
        volumes = btrfs.Volumes(saved, btrfs_devices.Devices(saved, self.answer))
        seen = text(volumes.collect())
        device = {
            "uuid": self.UUID,
            "device": "sdc",
            "btrfs_dev_uuid": "03030303-0303-0303-0303-030303030303",
        }
        assert seen.of("node_btrfs_device_size_bytes", **device) == 1 << 40
        assert seen.of("node_btrfs_device_unused_bytes", **device) == (1 << 40) - 100
        assert seen.of("node_btrfs_device_errors_total", **device, type="corruption") == 33
        assert seen.of("node_btrfs_commit_seconds_total", uuid=self.UUID) == 1.5
        profile = {"uuid": self.UUID, "block_group_type": "data", "mode": "raid5"}
        assert seen.of("node_btrfs_allocation_ratio", **profile) == 1.5

    def test_devices_may_not_be_asked(self, folder):
        def refuse(_descriptor, _request, _buffer):
            raise OSError(EPERM, "no")

        saved = at(folder)
        seen = text(btrfs.Volumes(saved, btrfs_devices.Devices(saved, refuse)).collect())
        assert seen.of("node_btrfs_device_size_bytes", uuid=self.UUID, device="sda") == 1 << 20
        assert "node_btrfs_device_errors_total" not in seen.names()

    @pytest.mark.parametrize(
        ("mode", "devices", "said"), [("raid6", 4, 2), ("raid5", 1, 0), ("new", 4, 0), ("dup", 1, 2)]
    )
    def test_ratios(self, mode, devices, said):
        assert btrfs.ratio(mode, devices) == said


def test_short_lines_of_old_partitions_are_left_out():
    devices = {disk.name for disk in diskstats.Disks(tree("old")).read()}
    assert devices == {"hda"}


MANY = 10_000


class TestMounts:
    """Many mounts, and mounts that answer late."""

    @staticmethod
    def saved(tmp_path, lines):
        (tmp_path / "proc/1").mkdir(parents=True)
        (tmp_path / "proc/1/mountinfo").write_bytes(b"".join(lines))
        return at(tmp_path)

    def test_ten_thousand(self, tmp_path):
        lines = [b"%d 1 8:%d / /m/%d rw - ext4 /dev/sd%d rw\n" % (n, n, n, n) for n in range(MANY)]
        threads = set()

        def statfs(path):
            threads.add(threading.get_ident())
            return SimpleNamespace(
                f_bsize=1, f_blocks=int(path.rpartition(b"/")[2]), f_bfree=4, f_bavail=3, f_files=2, f_ffree=1
            )

        mounts = filesystem.Mounts(self.saved(tmp_path, lines), statfs=statfs, timeout_seconds=60)
        first, second = mounts.collect(), mounts.collect()
        sizes = {family.metric.name: family for family in second}["node_filesystem_size_bytes"]
        assert list(sizes.values) == list(range(MANY))
        assert len(threads) <= filesystem.WORKERS.default
        assert all(one.rows is other.rows for one, other in zip(first, second, strict=True))
        mounts.close()

    def test_several_that_hang_are_asked_once(self, tmp_path):
        lines = [b"%d 1 8:%d / /m/%d rw - nfs4 filer:/%d rw\n" % (n, n, n, n) for n in range(40)]
        gate, asked = threading.Event(), []

        def statfs(path):
            if path.endswith((b"/7", b"/8", b"/9")):
                asked.append(path)
                gate.wait()
            return SimpleNamespace(f_bsize=1, f_blocks=5, f_bfree=4, f_bavail=3, f_files=2, f_ffree=1)

        mounts = filesystem.Mounts(self.saved(tmp_path, lines), statfs=statfs, timeout_seconds=0.05)
        try:
            for _ in range(5):
                seen = text(mounts.collect())
                hung = {
                    dict(labels)["mountpoint"]
                    for name, labels in seen.values
                    if name == "node_filesystem_device_error"
                    and ("device_error", "mountpoint timeout") in labels
                }
                assert {"/m/7", "/m/8", "/m/9"} <= hung
                assert len(
                    [name for name, _ in seen.values if name == "node_filesystem_size_bytes"]
                ) == 40 - len(hung)
        finally:
            gate.set()
            mounts.close()
        assert len(asked) == len(set(asked))

    def test_a_disk_of_this_machine_needs_no_thread_and_waits_for_none_that_hangs(self, tmp_path):
        lines = [
            b"1 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
            b"2 1 0:9 / /gone rw - nfs4 filer:/ rw\n",
            b"3 2 8:2 / /gone/disk rw - xfs /dev/sda2 rw\n",
            b"4 1 8:3 / /goner rw - xfs /dev/sda3 rw\n",
            b"5 1 0:8 / /program rw - fuse.sshfs other: rw\n",
        ]
        gate, asked = threading.Event(), {}

        def statfs(path):
            asked.setdefault(path.rpartition(b"root")[2], threading.get_ident())
            if path.endswith(b"/gone"):
                gate.wait()
            return SimpleNamespace(f_bsize=1, f_blocks=5, f_bfree=4, f_bavail=3, f_files=2, f_ffree=1)

        mounts = filesystem.Mounts(self.saved(tmp_path, lines), statfs=statfs, timeout_seconds=0.05)
        try:
            seen = text(mounts.collect())
        finally:
            gate.set()
            mounts.close()
        here = {path for path, thread in asked.items() if thread == threading.get_ident()}
        assert {path.rpartition(b"/")[2] for path in here} == {b"", b"goner"}
        assert {path.rpartition(b"/")[2] for path in asked} == {b"", b"gone", b"goner", b"disk", b"program"}
        assert len([name for name, _ in seen.values if name == "node_filesystem_size_bytes"]) == 4

    def test_an_automounter_is_never_asked(self, tmp_path):
        lines = [b"1 1 0:9 / /auto rw - autofs systemd-1 rw\n", b"2 1 8:1 / / rw - ext4 /dev/sda1 rw\n"]
        asked = []

        def statfs(path):
            asked.append(path)
            return fixed_statfs(b"/")

        mounts = filesystem.Mounts(self.saved(tmp_path, lines), statfs=statfs, accept_type=lambda _kind: True)
        mounts.collect()
        mounts.close()
        assert not [path for path in asked if path.endswith(b"/auto")]

    @pytest.mark.parametrize(
        ("flags", "points"),
        [
            ({}, {"/", "/data"}),
            ({"collector.filesystem.mount-points-include": "^/data$"}, {"/data"}),
            ({"collector.filesystem.mount-points-exclude": "^/data$"}, {"/", "/proc"}),
            ({"collector.filesystem.fs-types-include": "^ext4$"}, {"/"}),
            ({"collector.filesystem.fs-types-exclude": "^ext4$"}, {"/data"}),
        ],
    )
    def test_flags(self, tmp_path, flags, points):
        lines = [
            b"1 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
            b"2 1 8:2 / /data rw - xfs /dev/sdb1 rw\n",
            b"3 1 0:2 / /proc rw - tmpfs proc rw\n",
        ]
        collector = filesystem.build(host(self.saved(tmp_path, lines), flags))
        seen = text(collector.collect())
        collector.close()
        assert {dict(labels)["mountpoint"] for _, labels in seen.values} == points

    @pytest.mark.parametrize("kind", ["mount-points", "fs-types"])
    def test_flags_that_contradict(self, tmp_path, kind):
        both = {f"collector.filesystem.{kind}-include": "a", f"collector.filesystem.{kind}-exclude": "b"}
        with pytest.raises(SettingError, match=kind):
            filesystem.build(host(at(tmp_path), both))

    def test_a_time_that_no_scrape_has_is_cut(self, tmp_path):
        flags = {"collector.filesystem.mount-timeout": "5s"}
        with pytest.raises(ExporterError):
            filesystem.build(host(at(tmp_path), {"collector.filesystem.stat-workers": "0"}))
        filesystem.build(host(at(tmp_path), flags)).close()
