"""What units and containers use: whose a folder of cgroup v2 is, the sums over those without series of their
own, and a hierarchy that changes while it is read.
"""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.errors import NoDataError, SourceError
from exporters.system import cgroups, units
from exporters.system.cgroup_tree import Key, Raw, Values, classify, read, read_values
from exporters.system.container_names import ContainerNames
from exporters.system.toplist import TopList
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.reference import compare
from tests.exporters.trees import FIXTURES, at, host, tree

ID = "0123456789abcdef" * 4
SHORT = ID[:12]
NOTHING = Values(*[None] * len(Values._fields))


def of(saved):
    return read(saved, ContainerNames(saved))


def seen(raw, most=100, accept=lambda _: True):
    return parse(Renderer().render(units.Users(most, accept).collect(raw)))


@pytest.mark.parametrize(
    ("place", "labels"),
    [
        ("system.slice/ssh.service", ("ssh.service",)),
        ("init.scope", ("init.scope",)),
        ("system.slice/system-getty.slice/getty@tty1.service", ("getty@tty1.service",)),
        ("user.slice", ("user.slice",)),
        ("user.slice/user-1000.slice/session-3.scope", None),
        ("system.slice", None),
        ("system.slice/dev-hugepages.mount", None),
        ("system.slice/caf\udce9.service", ("caf\ufffd.service",)),
        ("lxc.payload.caf\udce9", ("lxc", "caf\ufffd")),
        (f"system.slice/docker-{ID}.scope", ("docker", SHORT)),
        (f"docker/{ID}", ("docker", SHORT)),
        (f"machine.slice/libpod-{ID}.scope", ("podman", SHORT)),
        (f"user.slice/user-1.slice/user@1.service/user.slice/libpod-{ID}.scope", ("podman", SHORT)),
        (f"machine.slice/libpod-conmon-{ID}.scope", None),
        (f"kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", ("containerd", SHORT)),
        (f"kubepods/burstable/pod12/{ID}", ("containerd", SHORT)),
        (f"kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", ("crio", SHORT)),
        ("lxc/101", ("lxc", "101")),
        ("lxc/101/ns", None),
        ("lxc.monitor/101", None),
        ("lxc.payload.web", ("lxc", "web")),
        ("qemu.slice/100.scope", ("qemu", "100")),
        ("machine.slice/machine-qemu\\x2d3\\x2dweb\\x2d1.scope", ("libvirt", "web-1")),
        ("machine.slice/systemd-nspawn@build.service", ("nspawn", "build")),
        ("machine.slice/machine-build.scope", ("machine", "build")),
        ("system.slice/docker-short.scope", ("docker-short.scope",)),
    ],
)
def test_whose_a_folder_is(place, labels):
    key = classify(place)
    assert (None if key is None else key.labels) == labels


class TestProxmoxHost:
    def test_units_and_containers(self):
        found = seen(of(tree("pve")))
        assert found.of("steward_unit_cpu_seconds_total", unit="pvedaemon.service", mode="user") == 50
        assert found.of("steward_container_memory_bytes", runtime="lxc", container="101") == 60 << 20
        assert found.of("steward_container_memory_limit_bytes", runtime="lxc", container="101") == 512 << 20
        assert found.of("steward_container_cpu_throttled_seconds_total", runtime="qemu", container="100") == 5
        assert found.of("steward_container_oom_kills_total", runtime="lxc", container="101") == 2
        # Over both devices, the guest's disk and that of the pool.
        assert found.of("steward_container_io_read_bytes_total", runtime="qemu", container="100") == 409600
        assert (
            found.of(
                "steward_container_pressure_stalled_seconds_total",
                runtime="qemu",
                container="100",
                resource="memory",
            )
            == 0.2
        )

    def test_nobody_is_named(self):
        labels = {value for _, pairs in seen(of(tree("pve"))).values for _, value in pairs}
        assert not [value for value in labels if "1000" in value or "session" in value]
        assert "user.slice" in labels

    def test_what_the_kernel_does_not_tell_is_absent(self):
        found = seen(of(tree("pve")))
        for name, labels in found.values:
            unit = dict(labels).get("unit")
            assert not (unit == "getty@tty1.service" and "_io_" in name)
            assert not (unit == "zfs-zed.service" and "pressure" in name)

    def test_the_rest_is_summed(self):
        found = seen(of(tree("pve")), most=1)
        assert found.of("steward_container_tasks", runtime="qemu", container="100") == 12
        assert found.of("steward_container_tasks", runtime="other", container="other") == 9 + 31 + 2
        assert (
            found.of("steward_container_cpu_seconds_total", runtime="other", container="other", mode="user")
            == 286
        )
        assert not [name for name, labels in found.values if "peak" in name and ("unit", "other") in labels]

    def test_names_can_be_left_out(self):
        found = seen(of(tree("pve")), accept=lambda name: name.startswith("qemu/"))
        assert {dict(labels)["container"] for _, labels in found.values} == {"100", "9001"}

    def test_the_collector_of_the_table(self):
        collector = units.build(host(tree("pve"), {"collector.units.exclude": "lxc"}))
        names = {
            dict(labels).get("runtime") for _, labels in parse(Renderer().render(collector.collect())).values
        }
        collector.close()
        assert names == {None, "qemu", "podman"}


class TestNames:
    """Of containers whose runtimes keep them in files, sound or not."""

    @pytest.fixture
    def root(self, tmp_path):
        for path in (
            "var/lib/docker/containers/" + ID,
            "var/lib/containers/storage/overlay-containers",
            "var/log/containers",
        ):
            (tmp_path / "root" / path).mkdir(parents=True)
        return tmp_path / "root"

    @staticmethod
    def found(root, *wanted):
        return ContainerNames(at(root.parent)).of(wanted)

    def test_docker(self, root):
        (root / f"var/lib/docker/containers/{ID}/config.v2.json").write_text('{"Name": "/web", "Config": {}}')
        assert self.found(root, ("docker", ID)) == {("docker", ID): "web"}

    def test_podman(self, root):
        path = root / "var/lib/containers/storage/overlay-containers/containers.json"
        path.write_text(f'[{{"id": "{ID}", "names": ["db", "alias"]}}, {{"id": "x"}}, 7]')
        assert self.found(root, ("podman", ID)) == {("podman", ID): "db"}

    def test_kubernetes(self, root):
        (root / f"var/log/containers/web-1_shop_nginx-{ID}.log").touch()
        (root / "var/log/containers/odd.log").touch()
        assert self.found(root, ("containerd", ID)) == {("containerd", ID): "shop/web-1/nginx"}

    @pytest.mark.parametrize("text", ["", "[", "[]", '{"Name": 7}', "[" * 100_000, "\\xff"])
    def test_files_that_tell_nothing(self, root, text):
        (root / f"var/lib/docker/containers/{ID}/config.v2.json").write_text(text)
        (root / "var/lib/containers/storage/overlay-containers/containers.json").write_text(text)
        assert self.found(root, ("docker", ID), ("podman", ID)) == {}

    def test_the_saved_host(self):
        found = seen(of(tree("pve")))
        assert (
            found.of("steward_container_info", runtime="podman", container="ab12" * 3, name="ci-runner") == 1
        )


class TestHierarchies:
    def test_none_of_version_2(self):
        with pytest.raises(NoDataError):
            of(tree("server"))

    def test_one_without_units(self, tmp_path):
        root = tmp_path / "sys" / "fs" / "cgroup"
        (root / "group").mkdir(parents=True)
        (root / "cgroup.controllers").write_text("cpu\n")
        with pytest.raises(NoDataError):
            of(at(tmp_path))

    def test_a_folder_that_is_gone(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            read_values(str(tmp_path))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("cpu.stat", "user_usec many\n"),
            ("memory.current", "-\n"),
            ("io.stat", "8:0 rbytes=x\n"),
            ("io.pressure", "some avg10=0 total=x\n"),
        ],
    )
    def test_malformed_files(self, tmp_path, name, text):
        folder = shutil.copytree(FIXTURES / "pve" / "sys/fs/cgroup/init.scope", tmp_path / "a.service")
        (folder / name).write_text(text)
        with pytest.raises(SourceError):
            read_values(str(folder))

    @pytest.mark.parametrize("text", ["", "max\n", "8:0\n", "garbage\n"])
    def test_odd_files(self, tmp_path, text):
        (tmp_path / "cpu.stat").write_text("user_usec 5\n")
        (tmp_path / "io.stat").write_text(text)
        (tmp_path / "cpu.pressure").write_text("some\n")
        values = read_values(str(tmp_path))
        assert (values.cpu_user, values.cpu_system, values.read_bytes) == (5e-6, None, 0)
        assert values.cpu_waiting is None

    def test_a_loop_of_links_is_not_followed(self, tmp_path):
        root = tmp_path / "sys" / "fs" / "cgroup"
        shutil.copytree(FIXTURES / "pve" / "sys/fs/cgroup/init.scope", root / "a.service")
        (root / "cgroup.controllers").write_text("")
        (root / "loop").symlink_to(root)
        assert set(of(at(tmp_path)).used) == {Key("unit", ("a.service",))}


def weigh(numbers):
    return numbers[0] or 0


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("abcdef"), st.tuples(st.integers(0, 50), st.none() | st.integers(0, 9))
        ),
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_other_never_steps_back_and_nothing_is_lost(readings, most):
    """Counters grow by what each reading adds; a thing that goes and comes back begins anew."""
    chooser = TopList(most, (True, False), weigh)
    totals, last, passed = {}, None, 0
    for steps in readings:
        totals = {key: totals.get(key, 0) + step for key, (step, _) in steps.items()}
        used = {key: (totals[key], gauge) for key, (_, gauge) in steps.items()}
        shown_before = set(last.shown) if last else set()
        chosen = chooser.choose(used)
        assert len(chosen.shown) == min(most, len(used))
        passed += sum(step for key, (step, _) in steps.items() if key not in chosen.shown)
        assert (chosen.other[0] or 0) == passed
        gauges = [gauge for key, (_, gauge) in steps.items() if key not in chosen.shown and gauge is not None]
        assert chosen.other[1] == (sum(gauges) if gauges else None)
        for key in shown_before & set(used) - set(chosen.shown):
            assert any(totals[other] > 2 * totals[key] for other in chosen.shown)
        last = chosen


def test_a_restarted_unit_adds_what_it_has_used_since():
    chooser = TopList(1, (True,), weigh)
    for used, other in [({"a": (9,), "b": (5,)}, 5), ({"a": (9,), "b": (2,)}, 7), ({"a": (9,)}, 7)]:
        assert list(chooser.choose(used).other) == [other]


def test_no_more_series_than_allowed():
    raw = Raw({Key("unit", (f"u{i}.service",)): NOTHING._replace(tasks=1, memory=i) for i in range(5000)})
    found = seen(raw, most=100)
    assert len(found.values) == 2 * 101
    assert found.of("steward_unit_tasks", unit="other") == 4900
    assert found.of("steward_unit_memory_bytes", unit="u4999.service") == 4999


class TestControllers:
    """node_exporter's collector of the name that one would look for first."""

    async def test_the_same_as_node_exporter(self, tmp_path):
        found = await compare(tmp_path, ("cgroups",), FIXTURES / "pve")
        assert (found.missing(), found.extra(), found.other_kinds(), found.other_values()) == (
            set(),
            set(),
            {},
            {},
        )
        assert found.ours.of("node_cgroups_enabled", subsys_name="rdma") == 0

    @pytest.mark.parametrize("text", [b"cpu 1\n", b"cpu 1 x 1\n"])
    def test_malformed(self, text):
        with pytest.raises(SourceError):
            cgroups.collect(text)
