"""GPUs behind a scrape: in the background, by one thread, whatever the driver does; and as values."""

from __future__ import annotations

import gc
import json
import threading
import time
from pathlib import Path

import pytest

from exporters.build import source
from exporters.collector import Collector
from exporters.errors import ExporterError, SettingError
from exporters.gpu.build import build
from exporters.gpu.state import as_json, gpus
from exporters.registry import Registry, Source
from exporters.system.tree import Tree
from exporters.table import OTHERS
from exporters.text import Renderer
from tests.exporters.exposition import parse
from tests.exporters.nvml import GPM, VALUES, binding, by, gpu, machine, watched
from tests.exporters.trees import host

QUICK = {"collector.gpu.interval": "10ms", "collector.gpu.event-thread": "false"}


def the_gpus(flags=None):
    return Registry([Source("gpu", build(host(Tree(), flags), binding()))], fresh_seconds=0)


async def scrape(registry):
    return parse((await registry.scrape()).text.decode())


async def test_the_registry_reads_it_in_the_background_by_one_thread():
    lab = machine(gpu(0))
    registry = the_gpus()
    for _ in range(50):
        seen = await scrape(registry)
    assert by(seen, "steward_gpu_up", "uuid") == {"GPU-0": 1}
    assert seen.of("steward_scrape_collector_age_seconds", collector="gpu") >= 0
    assert lab.calls("nvmlDeviceGetPowerUsage") == 1
    assert lab.most_calls_at_once() == 1
    registry.close()


async def test_nvml_that_hangs_costs_the_gpu_series_and_one_thread():
    lab = machine(gpu(0, errors={"nvmlDeviceGetPowerUsage": "HANG"}))
    registry = the_gpus(QUICK)
    await registry.scrape()
    before = threading.active_count()
    for _ in range(50):
        seen = await scrape(registry)
        assert seen.of("steward_scrape_collector_success", collector="gpu") == 0
    assert threading.active_count() == before
    assert lab.calls("nvmlDeviceGetPowerUsage") == 1
    lab.change("GPU-0", errors={})
    registry.close()


async def test_without_a_driver_the_scrape_is_whole_and_says_so():
    machine(library="unloaded")
    registry = the_gpus()
    seen = await scrape(registry)
    assert seen.of("steward_scrape_collector_no_data", collector="gpu") == 1
    assert seen.of("steward_scrape_collector_success", collector="gpu") == 1
    registry.close()


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(SettingError, match=r"--collector\.gpu\.interval"):
        build(host(Tree(), {"collector.gpu.interval": "0s"}))


def test_the_table_builds_it():
    (row,) = (row for row in OTHERS if row.name == "gpu")
    assert source(row, host(Tree())).name == "gpu"


class TestValues:
    def test_are_those_of_the_metrics(self):
        processes = [{"pid": 2**31 - 1, "bytes": 1 << 30, "sm": 12}]
        machine(gpu(0, processes=processes), gpu(1, values={"temperature_celsius": 3, "fan_percent": 4}))
        collector = build(host(Tree()), binding())
        first, second = gpus(collector)
        assert (first.index, first.name, first.gpu_util, first.temperature) == (0, "NVIDIA H200", 37, 41)
        assert (first.mem_used, first.mem_total, first.power) == (4096 << 20, 143771 << 20, 84.123)
        assert [(use.user, use.memory_bytes, use.sm_percent) for use in first.users] == [
            ("unknown", 4096 << 20, 12)
        ]
        assert (second.gpu_util, second.power, second.mem_used) == (None, None, None)
        found = json.loads(json.dumps(as_json(first)))
        assert found["gpu_util"] == 37
        assert found["users"][0]["user"] == "unknown"
        collector.close()

    def test_of_a_lost_gpu_are_none(self):
        lab = machine(gpu(0))
        with watched() as seen:
            seen.read()
            lab.change("GPU-0", lost=True)
            seen.read()
            (state,) = seen.gpus.states
        assert (state.up, state.name, state.gpu_util, state.users) == (False, "NVIDIA H200", None, ())

    def test_without_a_driver_there_are_none(self):
        machine(library="unloaded")
        collector = build(host(Tree()), binding())
        assert gpus(collector) == ()
        collector.close()

    def test_a_driver_that_fails_is_an_error_and_no_empty_list(self):
        machine(gpu(0), errors={"nvmlInitWithFlags": "UNKNOWN"})
        collector = build(host(Tree()), binding())
        with pytest.raises(ExporterError):
            gpus(collector)
        collector.close()

    def test_another_collector_has_none(self):
        assert gpus(Collector(list)) == ()


def resident():
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError


def test_memory_stays_flat_over_many_readings(capsys):
    """Two GPUs that come and go, processes too: a thousand readings after a thousand to warm up."""
    lab = machine(gpu(0, values={**VALUES, **GPM}), gpu(1))
    renderer = Renderer()
    with watched() as seen:

        def some(count):
            for number in range(count):
                if number % 100 == 0:
                    processes = [{"pid": 10_000 + number, "bytes": 1 << 20, "sm": 1}]
                    lab.change("GPU-0", processes=(), lost=number % 200 == 0, errors={})
                    lab.play({"gpus": [gpu(0, values={**VALUES, **GPM}, processes=processes), gpu(1)]})
                renderer.render(seen.gpus.read())
                seen.clock.at += 10
            gc.collect()
            return resident()

        some(500)
        before = some(500)
        begun = time.process_time()
        after = some(1000)
        milliseconds = (time.process_time() - begun) / 1000 * 1e3
    with capsys.disabled():
        print(f"\ngpu: {milliseconds:.2f} ms CPU a reading of 2 GPUs, RSS {before} -> {after} kB")
    assert after - before < 512
