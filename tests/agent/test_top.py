"""`steward-agent top`: what two readings say, how it is laid out, and how the terminal is given back."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.top.history import History, curve
from agent.top.reading import Reader, Reading, rates
from agent.top.screen import Look, draw, plain
from agent.top.view import Use, view
from exporters.collector import Collector
from exporters.errors import NoDataError, SourceError
from exporters.gpu.state import GpuState
from exporters.gpu.state import Use as GpuUse
from exporters.samples import Family, Kind, Metric

AGENT = Path(sys.executable).with_name("steward-agent")


def family(name, labels, series):
    return Family(Metric(name, Kind.UNTYPED, "x", labels), tuple(series), list(series.values()))


def reading(at, *families, **more):
    return Reading(at, {one.metric.name: one for one in families}, **more)


def cpu(**seconds):
    return family(
        "node_cpu_seconds_total",
        ("cpu", "mode"),
        {(name[1:2], name[3:]): value for name, value in seconds.items()},
    )


def shown(before, after, *, width=120, height=None, look=None):
    history = History()
    seen = view(before, after)
    history.add(seen)
    lines = draw(seen, history, look or Look(), head="web1", width=width, height=height)
    return [plain(line) for line in lines]


class TestNumbers:
    def test_a_rate_is_growth_by_time(self):
        before = reading(10.0, family("a_total", ("x",), {("1",): 5, ("2",): 7, ("3",): 9}))
        after = reading(12.0, family("a_total", ("x",), {("1",): 9, ("2",): 3, ("4",): 9}))
        assert rates(before, after, "a_total", "x") == {("1",): 2.0}  # one went back, one is gone, one is new

    def test_the_same_reading_twice_has_no_rates(self):
        one = reading(10.0, family("a_total", (), {(): 5}))
        assert rates(one, one, "a_total") == {}

    def test_a_cpu_that_waits_for_a_disk_is_not_busy(self):
        before = reading(0.0, cpu(c0_idle=0, c0_user=0, c0_iowait=0, c1_idle=0, c1_user=0))
        after = reading(2.0, cpu(c0_idle=1, c0_user=0.5, c0_iowait=0.5, c1_idle=0, c1_user=2))
        seen = view(before, after)
        assert seen.cores == (0.25, 1.0)
        assert seen.cpu == 0.625
        assert seen.cpu_modes["user"] == 0.625

    def test_cpus_stand_in_the_order_of_their_numbers(self):
        names = [str(number) for number in range(12)]
        modes = ("idle", "user")
        before = reading(
            0.0, family("node_cpu_seconds_total", ("cpu", "mode"), {(n, m): 0 for n in names for m in modes})
        )
        spent = {(n, m): (int(n) if m == "user" else 11 - int(n)) for n in names for m in modes}
        after = reading(11.0, family("node_cpu_seconds_total", ("cpu", "mode"), spent))
        assert view(before, after).cores == tuple(pytest.approx(number / 11) for number in range(12))

    def test_a_mount_that_hangs_is_told_first(self):
        labels = ("device", "device_error", "fstype", "mountpoint")
        seen = view(
            reading(0.0),
            reading(
                1.0,
                family("node_filesystem_size_bytes", labels, {("d", "", "ext4", "/"): 100}),
                family("node_filesystem_free_bytes", labels, {("d", "", "ext4", "/"): 40}),
                family(
                    "node_filesystem_device_error",
                    labels,
                    {("d", "", "ext4", "/"): 0, ("f", "mountpoint timeout", "nfs", "/mnt"): 1},
                ),
            ),
        )
        assert [(one.point, one.used, one.error) for one in seen.mounts] == [
            ("/mnt", 0, "mountpoint timeout"),
            ("/", 60, ""),
        ]

    def test_who_takes_most_comes_first(self):
        from agent.top.view import by_cpu, by_memory

        uses = [Use("a", 0.1, 30), Use("b", 0.2, 10), Use("c", 0.2, 20)]
        assert [use.name for use in by_cpu(uses)] == ["c", "b", "a"]
        assert [use.name for use in by_memory(uses)] == ["a", "c", "b"]

    def test_a_curve_is_as_wide_as_asked(self):
        assert curve((0.0, 0.5, 1.0), 5, 1.0) == "   ▄█"
        assert curve((), 3) == "   "
        assert curve((1.0,) * 9, 4) == "████"


GPU = GpuState(
    0,
    "GPU-1",
    "NVIDIA L40S",
    up=True,
    gpu_util=63,
    mem_used=32 << 30,
    mem_total=48 << 30,
    temperature=64,
    power=301.5,
    users=(GpuUse("alice", memory_bytes=30 << 30, sm_percent=60), GpuUse("unknown", memory_bytes=2 << 30)),
)


class TestGuests:
    def test_a_guest_has_its_number_and_its_name(self):
        seconds = "steward_container_cpu_seconds_total"
        labels = ("runtime", "container", "mode")
        row = ("qemu", "100", "user")
        info = family("pve_guest_info", ("id", "node", "name"), {("qemu/100", "pve1", "web"): 1})
        before = reading(0.0, family(seconds, labels, {row: 10.0}))
        after = reading(2.0, family(seconds, labels, {row: 13.0}), info)
        assert view(before, after).guests == (Use("qemu 100", 1.5, 0.0, detail="web"),)

    def test_without_control_groups_proxmox_tells(self):
        info = {("qemu/100", "pve1", "web"): 1, ("lxc/101", "pve1", "ct"): 1}
        values = {
            "pve_up": 1,
            "pve_cpu_usage_ratio": 0.5,
            "pve_cpu_usage_limit": 4,
            "pve_memory_usage_bytes": 7,
        }
        after = reading(
            1.0,
            family("pve_guest_info", ("id", "node", "name"), info),
            *(
                family(name, ("id",), {("qemu/100",): value, ("node/pve1",): 1})
                for name, value in values.items()
            ),
        )
        assert view(reading(0.0), after).guests == (Use("qemu 100", 2.0, 7.0, detail="web"),)


class TestReader:
    """What is read in the background is compared with what it said otherwise, not with what it says again."""

    def test_a_slow_collector_keeps_its_rate(self):
        metric = Metric("a_total", Kind.COUNTER, "x")
        said = [[metric.one(0)], [metric.one(30)]]
        ages = [0.0]
        turn = [0]
        slow = Collector(lambda: said[turn[0]], age_seconds=lambda: ages[0])
        reader = Reader({"slow": slow})
        reader.read(0.0)
        turn[0] = 1
        assert rates(*reader.read(15.0), "a_total") == {(): 2.0}
        ages[0] = 5.0
        assert rates(*reader.read(20.0), "a_total") == {(): 2.0}
        reader.close()

    def test_one_that_fails_says_why_and_keeps_nothing(self):
        def bad():
            raise SourceError("/proc/x", "odd")

        reader = Reader({"bad": Collector(bad), "none": Collector(absent)})
        _, after = reader.read(0.0)
        assert after.problems == {"bad": "/proc/x: odd"}
        reader.close()


def absent():
    raise NoDataError("none")


class TestScreen:
    def test_a_gpu_says_who_uses_it(self):
        lines = shown(reading(0.0), reading(1.0, gpus=(GPU,)))
        text = "\n".join(lines)
        assert "GPU 0  NVIDIA L40S" in text
        assert "63 %" in text
        assert "32.0 GiB of 48.0 GiB" in text
        assert re.search(r"alice +30\.0 GiB +60 %", text)
        assert re.search(r"unknown +2\.0 GiB *$", text, re.MULTILINE)
        assert "64 °C   302 W" in text

    def test_a_lost_gpu_says_so(self):
        lines = shown(reading(0.0), reading(1.0, gpus=(GpuState(1, "GPU-2", "A", up=False),)))
        assert any("lost" in line for line in lines)

    def test_names_cannot_reach_the_terminal(self):
        labels = ("device",)
        evil = {("\x1b]0;owned\x07\n\u202e",): 0}
        names = ("node_network_receive_bytes_total", "node_network_transmit_bytes_total")
        both = [reading(float(at), *(family(name, labels, evil) for name in names)) for at in (0, 1)]
        text = "".join(shown(*both))
        assert "]0;owned" in text
        assert all(character.isprintable() for character in text)

    def test_why_a_collector_has_nothing_is_told(self):
        lines = shown(reading(0.0), reading(1.0, problems={"filesystem": "no answer within 0.4 s"}))
        assert any("filesystem: no answer within 0.4 s" in line for line in lines)

    def test_what_does_not_fit_is_counted(self):
        labels = ("device",)
        many = {(f"eth{number}",): 0 for number in range(50)}
        names = ("node_network_receive_bytes_total", "node_network_transmit_bytes_total")
        both = [reading(float(at), *(family(name, labels, many) for name in names)) for at in (0, 1)]
        lines = shown(*both, width=80, height=20)
        assert len(lines) <= 20
        hidden = re.search(r"… (\d+) more", "\n".join(lines))
        assert hidden is not None
        assert int(hidden[1]) + sum("eth" in line for line in lines) == 50

    @given(st.integers(1, 200), st.integers(1, 60))
    def test_any_window_holds_it(self, width, height):
        labels = ("device",)
        names = ("node_network_receive_bytes_total", "node_network_transmit_bytes_total")
        wide = {("日本語" * 9,): 0, ("a",): 0}
        both = [
            reading(
                float(at),
                *(family(name, labels, wide) for name in names),
                cpu(c0_idle=at, c0_user=at),
                gpus=(GPU,),
            )
            for at in (0, 1)
        ]
        lines = shown(*both, width=width, height=height)
        assert len(lines) <= height
        assert all(
            sum(2 if ord(character) > 0x2E80 else 1 for character in line if character != "�") <= width
            for line in lines
        )


class TestCommand:
    def test_once_prints_a_screen_of_this_host(self):
        done = subprocess.run(
            [AGENT, "top", "--once", "--interval", "0.1"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert os.uname().nodename in done.stdout
        assert "Memory" in done.stdout
        assert "\x1b" not in done.stdout

    def test_without_a_terminal_it_says_what_to_do(self):
        done = subprocess.run(
            [AGENT, "top"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 1
        assert "--once" in done.stderr

    @pytest.mark.parametrize(
        "words", [["--interval", "0"], ["--interval", "x"], ["--no-such"], ["--collector.nope"]]
    )
    def test_wrong_usage(self, words):
        done = subprocess.run([AGENT, "top", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 64

    @pytest.mark.parametrize("no_colour", [False, True])
    def test_the_terminal_is_given_back(self, no_colour):
        screen, before, after = in_a_terminal(b" mq", {"NO_COLOR": "1"} if no_colour else {})
        assert screen.startswith("\x1b[?1049h\x1b[?25l")
        assert screen.endswith("\x1b[?25h\x1b[?1049l")
        assert "paused" in screen
        assert ("\x1b[1m" in screen) is not no_colour
        assert before == after

    def test_a_dumb_terminal_is_told(self):
        screen, before, after = in_a_terminal(b"", {"TERM": "dumb"}, status=1)
        assert "--once" in screen
        assert "\x1b" not in screen
        assert before == after

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_a_terminal_without_blocks(self, encoding):
        screen, _, _ = in_a_terminal(b"q", {"PYTHONIOENCODING": encoding})
        assert "CPU     " in screen
        assert re.search(r"[#.]{10}", re.sub(r"\x1b\[\d+m", "", screen))

    @pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
    def test_whatever_ends_it_the_terminal_is_given_back(self, number):
        screen, before, after = in_a_terminal([number], {})
        assert screen.endswith("\x1b[?25h\x1b[?1049l")
        assert before == after

    def test_while_it_is_stopped_the_shell_has_the_terminal(self):
        master, slave = pty.openpty()
        before = termios.tcgetattr(slave)
        words = [AGENT, "top", "--interval", "0.1"]
        environment = {**os.environ, "TERM": "xterm"}
        process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environment, process_group=0
        )
        until(master, b"\x1b[J")
        process.send_signal(signal.SIGTSTP)
        assert until(master, b"\x1b[?1049l")
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        assert termios.tcgetattr(slave) == before
        process.send_signal(signal.SIGCONT)
        until(master, b"\x1b[?1049h")
        until(master, b"\x1b[J")
        os.write(master, b"q")
        until(master, b"\x1b[?1049l")
        assert process.wait() == 0
        assert termios.tcgetattr(slave) == before
        os.close(slave)
        os.close(master)

    def test_closed_outputs_and_inputs(self):
        for redirection, status in ((">&-", 1), ("<&- >/dev/null", 0)):
            command = f"exec {AGENT} top --once --interval 0.1 {redirection}"
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
            assert (done.returncode, "Traceback" in done.stderr) == (status, False)
        done = subprocess.run(["sh", "-c", f"exec {AGENT} top <&-"], capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (1, False)


def until(master, end):
    """Read the screen until this was written."""
    screen = b""
    while end not in screen:
        screen += os.read(master, 65536)
    return screen


def in_a_terminal(keys, environment, status=0):
    """Run it in a terminal of 100 by 30; a key is pressed, or a signal sent, whenever it has drawn anew."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [AGENT, "top", "--interval", "0.1"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", **environment},
    )
    screen = b""
    waiting = list(keys)
    while process.poll() is None or select.select([master], [], [], 0)[0]:
        if not select.select([master], [], [], 0.05)[0]:
            continue
        screen += os.read(master, 65536)
        if screen.endswith(b"\x1b[J") and waiting:
            key = waiting.pop(0)
            if isinstance(key, signal.Signals):
                process.send_signal(key)
            else:
                os.write(master, bytes([key]))
    after = termios.tcgetattr(slave)
    os.close(slave)
    os.close(master)
    assert process.returncode == status
    return screen.decode(), before, after
