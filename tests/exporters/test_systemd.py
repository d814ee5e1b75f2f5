"""The systemd and logind collectors, against systemd's answers over D-Bus and against node_exporter."""

from __future__ import annotations

import os
import threading

import pytest

from exporters.collector import Host
from exporters.errors import BusError, ExporterError, NoDataError, SourceError
from exporters.settings import Settings
from exporters.system import logind, systemctl, systemd
from exporters.system.dbus import Bus
from exporters.system.systemd_bus import Raw, Systemd, Unit, Wanted, parse_units
from exporters.system.tree import Tree
from exporters.text import Renderer
from tests.exporters.dbus_server import RefusedError, Server
from tests.exporters.exposition import parse
from tests.exporters.fake_systemd import ALL_BITS, FakeSystemd, FakeUnit, service, units
from tests.exporters.reference import theirs

INCLUDE_ALL = systemd.accepts(".+", "(?!)")
DEFAULT = systemd.accepts(systemd.INCLUDE.default, systemd.EXCLUDE.default)
EVERYTHING = Wanted(INCLUDE_ALL, tasks=True, restarts=True, start_times=True)
FLAGS = (
    "--collector.systemd.enable-task-metrics",
    "--collector.systemd.enable-restarts-metrics",
    "--collector.systemd.enable-start-time-metrics",
)


def ask(path, wanted=EVERYTHING, **others):
    return Systemd([(str(path), True)], wanted, booted="/nowhere", **others).read()


def text(families):
    return parse(Renderer().render(families))


def seen(fake, tmp_path, wanted=EVERYTHING):
    with Server(tmp_path / "bus", fake).running() as server:
        return text(systemd.Units(wanted).collect(ask(server.path, wanted)))


class TestSameAsNodeExporter:
    @pytest.mark.parametrize(
        "flags", [(), FLAGS, ("--collector.systemd.unit-include=ssh.*|.*timer",)], ids=len
    )
    @pytest.mark.parametrize(
        "version", ["252.22-1~deb12u1", "259", "v255.4-1ubuntu8", "239 (239-82.el8)", "211"]
    )
    def test_series_types_and_values(self, tmp_path, flags, version):
        fake = FakeSystemd(version=version, virtualization="" if version == "259" else "kvm")
        if version == "211":  # so old that it does not tell when a timer elapsed
            fake.units = [unit for unit in fake.units if not unit.name.endswith(".timer")]
        settings = Settings(
            {flag.partition("=")[0][2:]: (flag.partition("=")[2] or "true",) for flag in flags}
        )
        wanted = systemd.wanted(settings)
        with Server(tmp_path / "bus", fake).running() as server:
            environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={server.path}"}
            reference = theirs(tmp_path, ("systemd",), flags=flags, environment=environment)
            ours = text(systemd.Units(wanted).collect(ask(server.path, wanted)))
        if reference.of("node_scrape_collector_success", collector="systemd") != 1:
            pytest.skip("this node_exporter does not read systemd over a bus of ours")
        expected = {key: value for key, value in reference.values.items() if "_systemd_" in key[0]}
        assert ours.values == expected
        assert ours.kinds == {name: reference.kinds[name] for name in ours.kinds}

    def test_sessions(self, tmp_path):
        fake = FakeSystemd(sessions=SESSIONS)
        with Server(tmp_path / "bus", fake).running() as server:
            environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={server.path}"}
            reference = theirs(tmp_path, ("logind",), environment=environment)
            with Bus(str(server.path)) as bus:
                ours = text(logind.collect(logind.read(bus)))
        expected = {key: value for key, value in reference.values.items() if "_logind_" in key[0]}
        assert ours.values == expected
        assert sum(ours.values.values()) == len(SESSIONS)


SESSIONS = {
    "/org/freedesktop/login1/session/_31": ("seat0", False, "wayland", "user"),
    "/org/freedesktop/login1/session/_32": ("", True, "tty", "user"),
    "/org/freedesktop/login1/session/_33": ("", True, "tty", "user"),
    "/org/freedesktop/login1/session/c1": ("seat0", False, "hologram", "manager-early"),
}


class TestFamilies:
    def test_what_published_rules_ask_for(self, tmp_path):
        found = seen(FakeSystemd(), tmp_path)
        assert found.of("node_systemd_unit_state", name="backup.service", state="failed", type="oneshot") == 1
        assert found.of("node_systemd_units", state="failed") == 1
        assert found.of("node_systemd_system_running") == 1
        assert found.of("node_systemd_timer_last_trigger_seconds", name="apt.timer") == 1700000001.5
        assert found.of("node_systemd_socket_accepted_connections_total", name="dbus.socket") == 7

    def test_units_that_are_not_loaded_only_count(self, tmp_path):
        found = seen(FakeSystemd(), tmp_path)
        named = {dict(labels).get("name") for name, labels in found.values if name.endswith("unit_state")}
        assert named.isdisjoint({"gone.service", "masked.service"})
        assert found.of("node_systemd_units", state="inactive") == 3

    def test_states_that_systemd_invents_are_counted(self, tmp_path):
        assert seen(FakeSystemd(), tmp_path).of("node_systemd_units", state="reloading") == 1

    def test_unlimited_tasks_are_absent(self, tmp_path):
        found = seen(FakeSystemd(units=[service("a.service", TasksCurrent=3, TasksMax=ALL_BITS)]), tmp_path)
        assert found.of("node_systemd_unit_tasks_current", name="a.service") == 3
        assert "node_systemd_unit_tasks_max" not in found.names()

    def test_a_degraded_system_does_not_run(self, tmp_path):
        assert seen(FakeSystemd(state="degraded"), tmp_path).of("node_systemd_system_running") == 0

    def test_rows_stay_while_the_units_do(self):
        made = systemd.Units(Wanted(INCLUDE_ALL))
        one, two = [
            made.collect(
                Raw("252", "", "running", (Unit("a.service", "loaded", state),), {"a.service": "simple"})
            )
            for state in ("active", "failed")
        ]
        pairs = [(a, b) for a, b in zip(one, two, strict=True) if a.metric.name == "node_systemd_unit_state"]
        assert [a.rows is b.rows for a, b in pairs] == [True]
        assert [(list(a.values), list(b.values)) for a, b in pairs] == [([1, 0, 0, 0, 0], [0, 0, 0, 0, 1])]

    def test_a_name_that_comes_twice_is_one_unit(self):
        twice = (Unit("a.service", "loaded", "failed"), Unit("a.service", "loaded", "active"))
        found = text(systemd.Units(Wanted(INCLUDE_ALL)).collect(Raw("252", None, "", twice)))
        assert found.of("node_systemd_unit_state", name="a.service", state="active", type="") == 1
        assert found.of("node_systemd_virtualization_info", virtualization_type="unknown") == 1


class TestReading:
    def test_types_are_asked_for_once_in_a_while(self, tmp_path):
        now = 0.0
        with Server(tmp_path / "bus", FakeSystemd()).running() as server:
            reader = Systemd([(str(server.path), True)], Wanted(DEFAULT), steady=lambda: now)
            counts = []
            for now in (0.0, 15.0, 301.0):  # noqa: B007 - the clock of the reader
                server.calls.clear()
                assert reader.read().types["ssh.service"] == "notify"
                counts.append(sum(call[-1] == "Type" for call in server.calls))
        assert counts == [3, 0, 3]

    def test_a_bus_without_systemd_has_no_data(self, tmp_path):
        def handler(*_):
            raise RefusedError("org.freedesktop.DBus.Error.ServiceUnknown")

        with Server(tmp_path / "bus", handler).running() as server, pytest.raises(NoDataError):
            ask(server.path)

    def test_a_refusal_is_a_failure(self, tmp_path):
        def handler(*_):
            raise RefusedError("org.freedesktop.DBus.Error.AccessDenied")

        with (
            Server(tmp_path / "bus", handler).running() as server,
            pytest.raises(BusError, match="AccessDenied"),
        ):
            ask(server.path)

    @pytest.mark.parametrize(
        ("signature", "body"),
        [("s", ["x"]), ("a(ss)", [[("a", "b")]]), ("a(uuuuuuuuuu)", [[tuple(range(10))]]), ("", [])],
    )
    def test_a_list_of_another_type(self, tmp_path, signature, body):
        def handler(*_):
            return signature, body

        with Server(tmp_path / "bus", handler).running() as server, pytest.raises(SourceError):
            ask(server.path)

    def test_a_hung_systemd_costs_its_deadline(self, tmp_path):
        server = Server(tmp_path / "bus", FakeSystemd(), silent=threading.Event())
        with server.running(), pytest.raises(TimeoutError):
            ask(server.path, deadline_seconds=0.05)

    def test_the_second_way_is_taken_where_the_first_is_dead(self, tmp_path):
        with Server(tmp_path / "private", FakeSystemd()).running() as server:
            dead = tmp_path / "dead"
            dead.write_bytes(b"")
            raw = Systemd([(str(dead), True), (str(server.path), False)], EVERYTHING).read()
        assert len(raw.units) == len(units())
        assert not any(call[2] == "Hello" for call in server.calls)

    def test_thousands_of_units(self, tmp_path):
        many = [FakeUnit(f"unit-{i}.target", "inactive") for i in range(5000)]
        found = seen(FakeSystemd(units=many), tmp_path)
        assert found.of("node_systemd_units", state="inactive") == 5000

    def test_no_units_at_all(self):
        assert parse_units(([],)) == ()


class TestHere:
    def test_a_root_without_systemd_has_no_data(self, tmp_path):
        collector = systemd.build(Host(Tree(rootfs=tmp_path), Settings({}), "saved"))
        with pytest.raises(NoDataError):
            collector.collect()
        collector.close()

    def test_a_booted_root_whose_bus_is_gone_fails(self, tmp_path):
        (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)
        collector = systemd.build(Host(Tree(rootfs=tmp_path), Settings({}), "saved"))
        with pytest.raises(FileNotFoundError, match="no socket"):
            collector.collect()
        collector.close()

    def test_the_collector_reads_below_the_root(self, tmp_path):
        (tmp_path / "run" / "dbus").mkdir(parents=True)
        with Server(tmp_path / "run" / "dbus" / "system_bus_socket", FakeSystemd()).running():
            host = Host(Tree(rootfs=tmp_path), Settings({}), "saved")
            for module, metric in ((systemd, "node_systemd_unit_state"), (logind, "node_logind_sessions")):
                collector = module.build(host)
                assert metric in text(collector.collect()).names()
                collector.close()


class TestSystemctl:
    MANAGER = "Version=252.22\nVirtualization=kvm\nSystemState=running\n"
    UNITS = (
        "Type=notify\nNRestarts=2\nTasksCurrent=[not set]\nTasksMax=4915\nId=ssh.service\nLoadState=loaded\n"
        "ActiveState=active\nActiveEnterTimestamp=@1700000000\n\n"
        "LastTriggerUSec=@1700000001\nId=apt.timer\nLoadState=loaded\nActiveState=active\n\n"
        "LastTriggerUSec=n/a\nId=new.timer\nLoadState=loaded\nActiveState=inactive\n\n"
        "NAccepted=7\nNConnections=3\nNRefused=0\nId=dbus.socket\nLoadState=loaded\nActiveState=active\n"
        "ActiveEnterTimestamp=\n"
    )

    def test_it_gives_what_the_bus_gives(self):
        found = text(systemd.Units(EVERYTHING).collect(systemctl.parse(self.MANAGER, self.UNITS, EVERYTHING)))
        assert found.of("node_systemd_unit_state", name="ssh.service", state="active", type="notify") == 1
        assert found.of("node_systemd_unit_tasks_max", name="ssh.service") == 4915
        assert "node_systemd_unit_tasks_current" not in found.names()
        assert found.of("node_systemd_timer_last_trigger_seconds", name="apt.timer") == 1700000001
        assert found.of("node_systemd_unit_start_time_seconds", name="ssh.service") == 1700000000
        assert found.of("node_systemd_socket_current_connections", name="dbus.socket") == 3
        assert found.of("node_systemd_version", version="252.22") == 252.22

    def test_what_was_not_asked_for_is_left_out(self):
        raw = systemctl.parse(self.MANAGER, self.UNITS, Wanted(DEFAULT))
        assert set(raw.properties) == {"LastTriggerUSec", "NAccepted", "NConnections", "NRefused"}

    def test_a_unit_without_a_name(self):
        with pytest.raises(SourceError):
            systemctl.parse(self.MANAGER, "LoadState=loaded\n", EVERYTHING)

    def test_nothing_is_run_by_a_shell(self):
        assert systemctl.units_argv()[0] == "systemctl"
        assert all(isinstance(word, str) for word in systemctl.units_argv())

    def test_a_failing_program_is_a_failure(self, tmp_path):
        """Of systemd's own program where nothing runs it; elsewhere it answers."""
        if not systemctl.is_there() or Systemd.below(Tree(), EVERYTHING).is_running():
            pytest.skip("no systemctl here, or a systemd that answers it")
        with pytest.raises(ExporterError, match="systemctl"):
            systemctl.read(EVERYTHING)


class TestSessions:
    def test_a_session_that_ends_meanwhile_is_left_out(self, tmp_path):
        fake = FakeSystemd(sessions=dict(SESSIONS))

        def handler(path, interface, member, arguments):
            if path.endswith("_32") and arguments[-1] == "Class":
                raise RefusedError("org.freedesktop.DBus.Error.UnknownObject")
            return fake(path, interface, member, arguments)

        with Server(tmp_path / "bus", handler).running() as server, Bus(str(server.path)) as bus:
            raw = logind.read(bus)
        assert len(raw.sessions) == len(SESSIONS) - 1

    @pytest.mark.parametrize(("signature", "body"), [("u", [1]), ("a(ss)", [[("a", "b")]]), ("", [])])
    def test_an_answer_of_another_type(self, tmp_path, signature, body):
        def handler(_path, _interface, member, _arguments):
            return ("a(so)", [[]]) if member == "ListSeats" else (signature, body)

        with (
            Server(tmp_path / "bus", handler).running() as server,
            Bus(str(server.path)) as bus,
            pytest.raises(SourceError),
        ):
            logind.read(bus)
