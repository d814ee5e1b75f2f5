"""Who uses a GPU: users, containers and guests, and what no process accounts for."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import SourceError
from exporters.gpu.ledger import Ledger
from exporters.gpu.owners import NOBODY, Owner, Owners, place, start_time, uid
from exporters.gpu.readings import Field, GpuReading, Identity, Processes, ProcessReading
from exporters.system.passwd import names
from exporters.system.tree import Tree
from tests.exporters.nvml import GIB, MIB, VALUES, by, gpu, labels_of, machine, watched

ID = "3f4e1c0b" * 8
MEMORY = "steward_gpu_user_memory_bytes"
PLACES = {
    "login": (b"0::/user.slice/user-1000.slice/session-3.scope\n", ("", "", "")),
    "service": (b"0::/system.slice/ollama.service\n", ("", "", "")),
    "docker, cgroup v2": (f"0::/system.slice/docker-{ID}.scope\n".encode(), (ID[:12], "docker", "")),
    "docker without systemd": (f"0::/docker/{ID}\n".encode(), (ID[:12], "docker", "")),
    "docker, cgroup v1": (
        f"12:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n".encode(),
        (ID[:12], "docker", ""),
    ),
    "rootless podman": (
        f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container\n".encode(),
        (ID[:12], "podman", ""),
    ),
    "kubernetes, containerd": (
        f"0::/kubepods.slice/kubepods-pod12.slice/cri-containerd-{ID}.scope\n".encode(),
        (ID[:12], "containerd", ""),
    ),
    "kubernetes, cri-o": (
        f"0::/kubepods.slice/kubepods-pod12.slice/crio-{ID}.scope\n".encode(),
        (ID[:12], "crio", ""),
    ),
    "kubernetes, cgroupfs": (
        f"0::/kubepods/burstable/pod12/{ID}\n".encode(),
        (ID[:12], "kubernetes", ""),
    ),
    "container of Proxmox": (b"0::/lxc/101/ns/system.slice/x.service\n", ("", "", "lxc/101")),
    "container of LXC": (b"0::/lxc.payload.102/init.scope\n", ("", "", "lxc/102")),
    "guest of Proxmox": (b"0::/qemu.slice/100.scope\n", ("", "", "qemu/100")),
    "docker in a container of Proxmox": (
        f"0::/lxc/101/ns/system.slice/docker-{ID}.scope\n".encode(),
        (ID[:12], "docker", "lxc/101"),
    ),
    "a scope that only looks so": (b"0::/system.slice/docker-short.scope\n", ("", "", "")),
    "a monitor": (b"0::/lxc.monitor/101\n", ("", "", "")),
    "a scope of another slice": (b"0::/user.slice/100.scope\n", ("", "", "")),
    "nothing": (b"", ("", "", "")),
    "no colons": (b"\xff\xfe nonsense\n", ("", "", "")),
}


@pytest.mark.parametrize(("text", "expected"), PLACES.values(), ids=PLACES.keys())
def test_a_control_group_tells_container_and_guest(text, expected):
    assert place(text) == expected


@given(st.binary(max_size=400))
def test_any_control_group_is_read(text):
    container, runtime, guest = place(text)
    assert bool(container) == bool(runtime)
    assert guest == "" or guest.split("/")[0] in ("lxc", "qemu")


def test_names_of_users_come_from_passwd():
    text = (
        b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\n#\n+::::::\nl\xe9a:x:1001:1::/:\nbad:x:y:1::/:\n"
    )
    assert names(text) == {0: "root", 1001: "l�a"}


BAD_STATUS = (b"", b"Name:\tx\n", b"Uid:\n", b"Uid:\tx\ty\n", b"Uid:\t-1\n")


@pytest.mark.parametrize("text", BAD_STATUS)
def test_a_malformed_status_is_an_error(text):
    with pytest.raises(SourceError):
        uid(text)


def test_a_command_with_brackets_and_blanks_does_not_move_the_start():
    fields = " ".join(str(number) for number in range(4, 53))
    assert start_time(f"7 (a) b (c)) S {fields}".encode()) == b"22"
    with pytest.raises(SourceError):
        start_time(b"7 (x) S 1")


class Host:
    """A saved /proc and passwd that processes come to and go from."""

    def __init__(self, folder):
        self.proc = folder / "proc"
        (folder / "root" / "etc").mkdir(parents=True)
        self.passwd = folder / "root" / "etc" / "passwd"
        self.passwd.write_text("root:x:0:0::/:\nana:x:1001:1001::/:\nbo:x:1002:1002::/:\n")
        self.tree = Tree(procfs=self.proc, sysfs=folder / "sys", rootfs=folder / "root")

    def start(self, pid, uid=1001, cgroup="/user.slice", start=100):
        folder = self.proc / str(pid)
        folder.mkdir(parents=True, exist_ok=True)
        before = " ".join(["0"] * 18)
        (folder / "stat").write_text(f"{pid} (python) S {before} {start} 0 0\n")
        (folder / "status").write_text(f"Name:\tpython\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        (folder / "cgroup").write_text(f"0::{cgroup}\n")

    def end(self, pid):
        for file in (self.proc / str(pid)).iterdir():
            file.unlink()
        (self.proc / str(pid)).rmdir()


@pytest.fixture
def here(tmp_path):
    return Host(tmp_path)


class TestOwners:
    def test_of_processes(self, here):
        here.start(10, uid=1001)
        here.start(11, uid=0, cgroup=f"/system.slice/docker-{ID}.scope")
        here.start(12, uid=101000, cgroup="/lxc/101/ns")
        found = Owners(here.tree).of({10, 11, 12, 13})
        assert found == {
            10: Owner("ana"),
            11: Owner("root", ID[:12], "docker"),
            12: Owner("101000", guest="lxc/101"),
            13: NOBODY,
        }

    def test_one_that_has_just_gone_keeps_its_owner_until_nobody_asks(self, here):
        here.start(10)
        owners = Owners(here.tree)
        assert owners.of({10})[10] == Owner("ana")
        here.end(10)
        assert owners.of({10})[10] == Owner("ana")
        assert owners.of(set()) == {}
        assert owners.of({10})[10] == NOBODY

    def test_a_pid_that_comes_again_is_another_process(self, here):
        here.start(10, uid=1001, start=100)
        owners = Owners(here.tree)
        owners.of({10})
        here.start(10, uid=1002, start=200)
        assert owners.of({10})[10] == Owner("bo")

    def test_a_user_that_was_added_later_has_a_name(self, here):
        here.start(10, uid=1001)
        here.start(11, uid=1003)
        owners = Owners(here.tree)
        assert owners.of({10, 11}) == {10: Owner("ana"), 11: Owner("1003")}
        here.passwd.write_text("ana:x:1001:1001::/:\ncy:x:1003:1003::/home/cy:\n")
        assert owners.of({10, 11}) == {10: Owner("ana"), 11: Owner("cy")}

    def test_without_passwd_a_user_is_a_number(self, here):
        here.passwd.unlink()
        here.start(10, uid=1001)
        assert Owners(here.tree).of({10})[10] == Owner("1001")


def reading(*processes, used=None, utilization=0, listed=True, sampled=True, uuid="GPU-0", up=True):
    values = {Field.GPU_UTILIZATION: utilization}
    if used is not None:
        values[Field.MEMORY_USED] = used
    found = tuple(ProcessReading(*process) for process in processes)
    identity = Identity("0", uuid, "", "nvidia0", "x")
    return GpuReading(identity, up=up, values=values, processes=Processes(found, listed, sampled))


OWNERS = {1: Owner("ana"), 2: Owner("bo", "c1", "docker"), 3: Owner("ana", guest="qemu/100")}


class TestLedger:
    def account(self, ledger, gpu, at):
        return ledger.add(gpu, OWNERS, now=1e9 + at, steady=at)

    def test_sums_by_owner_and_the_rest_is_unknown(self):
        gpu = reading((1, 100, 10), (2, 30, 5), (3, 20, 0), (4, 7, 1), used=1000)
        account = self.account(Ledger(), gpu, 0)
        assert {key[0]: one.memory for key, one in account.users.items()} == {
            "unknown": 850,
            "ana": 120,
            "bo": 30,
        }
        assert {key[0]: one.sm for key, one in account.users.items()} == {"unknown": 1, "ana": 10, "bo": 5}
        assert {key: one.memory for key, one in account.containers.items()} == {("c1", "docker"): 30}
        assert {key[0]: one.processes for key, one in account.guests.items()} == {"qemu/100": 1}

    def test_seconds_go_on_while_there_is_a_process_and_never_back(self):
        ledger = Ledger()
        self.account(ledger, reading((1, 100, 50), used=1000), 0)
        account = self.account(ledger, reading((1, 100, 50), used=1000), 10)
        assert (account.users["ana", ""].seconds, account.users["ana", ""].busy_seconds) == (10, 5)
        account = self.account(ledger, reading(used=0), 20)
        assert (account.users["ana", ""].seconds, account.users["ana", ""].memory) == (10, 0)
        account = self.account(ledger, reading((1, 100, 50), used=1000), 5)
        assert account.users["ana", ""].seconds == 10
        account = self.account(ledger, reading((1, 100, 50), used=1000), 100_000)
        assert account.users["ana", ""].seconds == 70  # a long gap counts as a minute

    def test_a_query_that_failed_is_no_idle_gpu(self):
        ledger = Ledger()
        self.account(ledger, reading((1, 100, 50), used=1000), 0)
        account = self.account(ledger, reading(used=1000, listed=False, sampled=False), 10)
        assert (account.users, account.containers, account.guests) == ({}, {}, {})
        account = self.account(ledger, reading((1, 100, None), used=1000, sampled=False), 20)
        assert account.users["ana", ""].memory == 100
        assert (account.users["ana", ""].sm, account.users["ana", ""].busy_seconds) == (None, None)

    def test_a_driver_that_does_not_tell_the_memory_leaves_it_to_unknown(self):
        account = self.account(Ledger(), reading((1, None, 50), used=1000), 0)
        assert {key[0]: one.memory for key, one in account.users.items()} == {"unknown": 1000, "ana": 0}

    @pytest.mark.parametrize(
        ("gpu", "is_used"),
        [
            (reading(used=1000), False),
            (reading((1, 100, 0), used=1000), False),
            (reading((1, 100, 3), used=1000), True),
            (reading(used=1000, utilization=1), True),
            (reading(used=1000, utilization=1, up=False), False),
        ],
    )
    def test_last_used_is_when_something_computed(self, gpu, is_used):
        assert self.account(Ledger(), gpu, 5).last_used == (1e9 + 5 if is_used else None)

    def test_last_used_stays(self):
        ledger = Ledger()
        self.account(ledger, reading(utilization=1), 5)
        assert self.account(ledger, reading(), 500).last_used == 1e9 + 5
        assert self.account(ledger, reading(up=False), 600).last_used == 1e9 + 5

    def test_containers_are_forgotten_and_owners_are_bounded(self):
        ledger = Ledger()
        for hour in range(50):
            owners = {pid: Owner("ana", f"{hour}-{pid}", "docker") for pid in range(60)}
            gpu = reading(*((pid, 1, 1) for pid in range(60)))
            account = ledger.add(gpu, owners, now=0, steady=3601.0 * hour)
            assert len(account.containers) <= 120
        owners = {pid: Owner(f"user{pid}") for pid in range(3000)}
        gpu = reading(*((pid, 1, 1) for pid in range(3000)), used=5000)
        account = ledger.add(gpu, owners, now=0, steady=1e6)
        assert len(account.users) <= 1001
        assert sum(one.memory for one in account.users.values()) == 5000
        assert account.users["other", ""].processes > 1900

    @given(
        st.lists(
            st.tuples(st.integers(1, 5), st.none() | st.integers(0, 1000), st.integers(0, 100)),
            unique_by=lambda one: one[0],
        ),
        st.integers(0, 10_000),
    )
    def test_the_sum_is_what_the_gpu_has_in_use(self, processes, more):
        used = sum(memory or 0 for _, memory, _ in processes) + more
        account = self.account(Ledger(), reading(*processes, used=used), 0)
        assert sum(one.memory for one in account.users.values()) == used


class TestThroughTheDriver:
    def test_lists_are_merged_by_pid(self, here):
        here.start(10)
        here.start(11)
        processes = [
            {"pid": 10, "bytes": GIB, "sm": 30, "lists": ["compute", "graphics", "mps"]},
            {"pid": 11, "bytes": -1, "sm": 5, "lists": ["graphics"]},
        ]
        machine(gpu(0, processes=processes))
        with watched(here.tree) as gpus:
            seen = gpus.read()
        assert by(seen, MEMORY, "user") == {"ana": GIB, "unknown": 3 * GIB}
        assert by(seen, "steward_gpu_user_processes", "user") == {"ana": 2, "unknown": 0}
        assert by(seen, "steward_gpu_user_sm_ratio", "user")["ana"] == 0.35
        assert by(seen, "steward_gpu_processes", "uuid") == {"GPU-0": 2}

    @pytest.mark.parametrize(
        "call", ["nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetProcessUtilization"]
    )
    def test_a_failed_query_does_not_look_like_an_idle_gpu(self, here, call, caplog):
        here.start(10)
        lab = machine(gpu(0, processes=[{"pid": 10, "bytes": GIB, "sm": 30}]))
        with watched(here.tree) as gpus:
            gpus.read()
            gpus.read()
            lab.change("GPU-0", errors={call: "UNKNOWN"})
            seen = gpus.read()
            is_list = "Running" in call
            query = "memory" if is_list else "utilization"
            assert by(seen, "steward_gpu_process_query_success", "query")[query] == 0
            gone = MEMORY if is_list else "steward_gpu_user_sm_ratio"
            assert gone not in seen.names()
            assert "steward_gpu_user_busy_seconds_total" not in seen.names()
            assert ("steward_gpu_processes" in seen.names()) != is_list
            assert len(caplog.records) == 1
            lab.change("GPU-0", errors={})
            seen = gpus.read()
        assert by(seen, MEMORY, "user")["ana"] == GIB
        assert by(seen, "steward_gpu_user_seconds_total", "user")["ana"] >= 10

    def test_an_idle_process_has_no_share_and_an_idle_gpu_no_last_use(self, here):
        here.start(10)
        idle = {**VALUES, "gpu_utilization": 0, "encoder_utilization": 0, "decoder_utilization": 0}
        lab = machine(gpu(0, values=idle, processes=[{"pid": 10, "bytes": GIB}]))
        with watched(here.tree) as gpus:
            seen = gpus.read()
            assert by(seen, "steward_gpu_user_sm_ratio", "user")["ana"] == 0
            assert "steward_gpu_last_used_timestamp_seconds" not in seen.names()
            lab.change("GPU-0", values=VALUES)
            used_at = gpus.clock.at + 10
            seen = gpus.read()
            lab.change("GPU-0", values=idle)
            seen = gpus.read()
        assert by(seen, "steward_gpu_last_used_timestamp_seconds", "uuid") == {"GPU-0": used_at}

    def test_processes_of_mig_instances_are_their_owners(self, here):
        here.start(10, uid=1001)
        here.start(11, uid=1002)
        mig = [
            {"uuid": f"MIG-{number}", "instance": number, "profile": "1g.18gb", "total": 18 * GIB}
            for number in (1, 2)
        ]
        mig.append({**mig[1], "uuid": "MIG-3"})  # two compute instances in one GPU instance
        processes = [
            {"pid": 10, "bytes": GIB, "mig": "MIG-1"},
            {"pid": 10, "bytes": GIB, "mig": "MIG-2"},
            {"pid": 11, "bytes": 512 * MIB, "mig": "MIG-3"},
        ]
        machine(gpu(0, values={**VALUES, "mig_mode": 1}, mig=mig, processes=processes))
        with watched(here.tree) as gpus:
            seen = gpus.read()
        assert by(seen, MEMORY, "user") == {"ana": 2 * GIB, "bo": 512 * MIB, "unknown": 1536 * MIB}
        assert "steward_gpu_user_sm_ratio" not in seen.names()  # no driver tells it with MIG
        assert by(seen, "steward_gpu_process_query_success", "query") == {"memory": 1}

    def test_without_users_no_series_names_a_person(self, here):
        here.start(10, cgroup=f"/system.slice/docker-{ID}.scope")
        machine(gpu(0, processes=[{"pid": 10, "bytes": GIB, "sm": 30}]))
        with watched(here.tree, {"collector.gpu.users": "false"}) as gpus:
            seen = gpus.read()
            (state,) = gpus.gpus.states
        assert not any("user" in name for name in seen.names())
        assert "ana" not in str(seen)
        assert by(seen, "steward_gpu_container_memory_bytes", "container", "runtime") == {
            (ID[:12], "docker"): GIB
        }
        assert state.users == ()
        assert state.containers[0].memory_bytes == GIB

    def test_eight_gpus_and_two_hundred_processes_of_twenty_users(self, here):
        """One GPU lost, one with MIG, one without a power reading; root and vanished pids."""
        dice = random.Random(5)
        here.passwd.write_text(
            "root:x:0:0::/:\n" + "".join(f"user{number}:x:{2000 + number}:1::/:\n" for number in range(19))
        )
        expected = defaultdict(int)
        processes = defaultdict(list)
        for pid in range(5000, 5200):
            number, memory, share = dice.randrange(8), dice.randrange(1, 50) * MIB, dice.choice([None, 1, 2])
            person = dice.randrange(20)
            gone = pid % 10 == 0
            if not gone:
                here.start(pid, uid=0 if person == 19 else 2000 + person)
            processes[number].append({"pid": pid, "bytes": memory, "sm": share, "mig": "MIG-1"})
            user = "unknown" if gone else "root" if person == 19 else f"user{person}"
            expected[f"GPU-{number}", user] += memory
        machines = [gpu(number, processes=processes[number]) for number in range(8)]
        machines[4]["values"] = {**VALUES, "mig_mode": 1}
        machines[4]["mig"] = [{"uuid": "MIG-1", "instance": 1, "profile": "7g.141gb", "total": 141 * GIB}]
        machines[5]["values"] = {name: value for name, value in VALUES.items() if name != "power_mw"}
        lab = machine(*machines)
        with watched(here.tree) as gpus:
            gpus.read()
            lab.change("GPU-3", lost=True)
            seen = gpus.read()
            up = by(seen, "steward_gpu_up", "uuid")
            assert up == {f"GPU-{number}": int(number != 3) for number in range(8)}
            lab.change("GPU-3", lost=False)
            for _ in range(4):
                again = gpus.read()
            assert set(by(again, "steward_gpu_up", "uuid").values()) == {1}
        memory = by(seen, MEMORY, "uuid", "user")
        for number in set(range(8)) - {3}:
            uuid = f"GPU-{number}"
            assert sum(value for key, value in memory.items() if key[0] == uuid) == VALUES["memory_used"]
        for key, value in memory.items():
            if key[1] != "unknown":
                assert value == expected[key]
        for name in seen.names():
            if name.startswith("steward_gpu_user_"):
                assert len(labels_of(seen, name)) <= 8 * 21
        assert not any("pid" in dict(labels) for _, labels in seen.values)
        assert {labels["UUID"] for labels in labels_of(seen, "DCGM_FI_DEV_POWER_USAGE")} == (
            {f"GPU-{number}" for number in range(8)} - {"GPU-3", "GPU-5"}
        )

    def test_guests_with_a_vgpu_are_known_by_their_number(self, here):
        here.start(10, uid=0)
        vgpus = [
            {"vm": "00000000-0000-0000-0000-000000000100", "bytes": 8 * GIB, "sm": 30},
            {"vm": "7f3c1b2a-0000-4000-8000-000000000001", "bytes": 4 * GIB, "sm": 5},
        ]
        values = {**VALUES, "memory_used": 12 * GIB}
        lab = machine(gpu(0), gpu(1, values=values, vgpus=vgpus, processes=[{"pid": 10, "bytes": -1}]))
        with watched(here.tree) as gpus:
            gpus.read()
            seen = gpus.read()
            held = by(seen, "steward_gpu_guest_memory_bytes", "uuid", "guest")
            assert held == {
                ("GPU-1", "qemu/100"): 8 * GIB,
                ("GPU-1", "vm/7f3c1b2a-0000-4000-8000-000000000001"): 4 * GIB,
            }
            assert by(seen, "steward_gpu_guest_sm_ratio", "guest")["qemu/100"] == 0.3
            assert by(seen, "steward_gpu_guest_seconds_total", "guest")["qemu/100"] == 10
            assert by(seen, "steward_gpu_guest_busy_seconds_total", "guest")["qemu/100"] == 3
            assert lab.calls("nvmlDeviceGetActiveVgpus") == 5  # who has none is not asked again
            lab.change("GPU-1", errors={"nvmlDeviceGetVgpuUtilization": "UNKNOWN"})
            seen = gpus.read()
        assert "steward_gpu_guest_sm_ratio" not in seen.names()
        assert by(seen, "steward_gpu_guest_memory_bytes", "guest")["qemu/100"] == 8 * GIB
