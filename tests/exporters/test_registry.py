from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from exporters.collector import Collector
from exporters.errors import NoDataError, SampleError, UnknownCollectorError
from exporters.registry import Registry, Source
from exporters.samples import Family, Kind, Metric
from tests.exporters.exposition import parse

ONE = Metric("test_one", Kind.GAUGE, "One.")
TWO = Metric("test_two", Kind.GAUGE, "Two.")
LABELLED = Metric("test_labelled", Kind.GAUGE, "Labelled.", ("who",))


class Steady:
    """A clock that goes where the test sends it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def of(name, collect, **more):
    return Source(name, Collector(collect), **more)


class Counting:
    """A collector that counts its runs and fails as it is told."""

    def __init__(self, metric=ONE):
        self.runs = 0
        self.error = None
        self._metric = metric

    def __call__(self):
        self.runs += 1
        if self.error is not None:
            raise self.error
        return [self._metric.one(self.runs)]


@pytest.fixture
def gate():
    event = threading.Event()
    yield event
    event.set()


async def read(registry, names=None):
    return parse((await registry.scrape(names)).text.decode())


async def test_each_collector_says_how_it_fared():
    steady = Steady()
    registry = Registry([of("good", Counting(), in_node_exporter=True)], clock=lambda: 1234.5, steady=steady)
    seen = await read(registry)
    assert seen.of("test_one") == 1
    for name in ("node_scrape_collector_success", "steward_scrape_collector_success"):
        assert seen.of(name, collector="good") == 1
    for name in ("node_scrape_collector_duration_seconds", "steward_scrape_collector_duration_seconds"):
        assert seen.of(name, collector="good") >= 0
    assert seen.of("steward_scrape_collector_last_success_timestamp_seconds", collector="good") == 1234.5
    assert seen.of("steward_scrape_collector_no_data", collector="good") == 0
    registry.close()


async def test_a_collector_that_raises_costs_its_own_series():
    bad = Counting(TWO)
    bad.error = RuntimeError("broken")
    registry = Registry([of("bad", bad, in_node_exporter=True), of("good", Counting())])
    seen = await read(registry)
    assert seen.of("test_one") == 1
    assert "test_two" not in seen.names()
    assert seen.of("steward_scrape_collector_success", collector="bad") == 0
    assert seen.of("node_scrape_collector_success", collector="bad") == 0
    assert seen.of("steward_scrape_collector_success", collector="good") == 1
    last = "steward_scrape_collector_last_success_timestamp_seconds"
    assert (last, frozenset({("collector", "bad")})) not in seen.values
    registry.close()


async def test_nothing_to_read_is_no_failure(caplog):
    absent = Counting(TWO)
    absent.error = NoDataError("no such hardware")
    registry = Registry([of("gpu", absent, in_node_exporter=True)])
    seen = await read(registry)
    assert seen.of("steward_scrape_collector_success", collector="gpu") == 1
    assert seen.of("steward_scrape_collector_no_data", collector="gpu") == 1
    assert seen.of("node_scrape_collector_success", collector="gpu") == 0  # as node_exporter counts it
    assert caplog.records == []
    registry.close()


async def test_what_is_not_there_is_looked_for_once_a_minute():
    steady = Steady()
    absent, there, asked = Counting(TWO), Counting(), []
    absent.error = NoDataError("no such hardware")
    silent = of("silent", lambda: asked.append(1) or [Family(LABELLED, (), ())])
    registry = Registry([of("absent", absent), of("there", there), silent], steady=steady)
    await read(registry)
    absent.error = None
    for _ in range(3):
        steady.now += 15
        seen = await read(registry)
        assert "test_two" not in seen.names()
        assert seen.of("steward_scrape_collector_no_data", collector="absent") == 1
    steady.now += 15
    seen = await read(registry)
    assert seen.of("test_two") == absent.runs == len(asked) == 2
    assert seen.of("steward_scrape_collector_no_data", collector="absent") == 0
    assert seen.of("test_one") == 5
    registry.close()


async def test_a_collector_that_hangs_costs_its_own_series_and_one_thread(gate):
    steady = Steady()
    hung = of("hung", lambda: gate.wait() or [], deadline_seconds=0.05)
    registry = Registry([hung, of("good", Counting())], steady=steady)
    await read(registry)
    before = threading.active_count()
    for turn in range(2, 200):
        steady.now += 2
        seen = await read(registry)
        assert seen.of("test_one") == turn
        assert seen.of("steward_scrape_collector_success", collector="hung") == 0
        assert seen.of("steward_scrape_collector_success", collector="good") == 1
    assert threading.active_count() == before
    registry.close()


BAD_FAMILIES = {
    "twice the same series": [Family(LABELLED, (("a",), ("a",)), (1, 2))],
    "too few labels": [Family(LABELLED, ((),), (1,))],
    "no number": [Family(ONE, ((),), ("1",))],
}


@pytest.mark.parametrize("families", BAD_FAMILIES.values(), ids=BAD_FAMILIES.keys())
async def test_families_that_cannot_be_rendered_are_a_failure_of_their_collector(families):
    registry = Registry([of("bad", lambda: families), of("good", Counting(TWO))])
    seen = await read(registry)
    assert seen.of("test_two") == 1
    assert seen.of("steward_scrape_collector_success", collector="bad") == 0
    registry.close()


async def test_a_metric_belongs_to_the_collector_that_had_it_first():
    registry = Registry([of("first", Counting()), of("second", Counting())])
    seen = await read(registry)
    assert seen.of("steward_scrape_collector_success", collector="first") == 1
    assert seen.of("steward_scrape_collector_success", collector="second") == 0
    registry.close()


async def test_scrapes_within_a_second_share_a_reading():
    steady, counting = Steady(), Counting()
    registry = Registry([of("a", counting)], steady=steady)
    first = await registry.scrape()
    steady.now += 0.9
    assert await registry.scrape() is first
    steady.now += 0.2
    assert (await read(registry)).of("test_one") == 2
    registry.close()


async def test_scrapes_that_overlap_share_a_reading(gate):
    counting, entered = Counting(), threading.Event()

    def slow():
        entered.set()
        gate.wait()
        return counting()

    registry = Registry([of("slow", slow, deadline_seconds=30)])
    scrapes = [asyncio.create_task(registry.scrape()) for _ in range(10)]
    await asyncio.to_thread(entered.wait)
    gate.set()
    assert len({id(reading) for reading in await asyncio.gather(*scrapes)}) == 1
    assert counting.runs == 1
    registry.close()


async def test_a_scrape_that_is_given_up_leaves_the_others_alone(gate):
    entered = threading.Event()

    def slow():
        entered.set()
        gate.wait()
        return [ONE.one(1)]

    registry = Registry([of("slow", slow, deadline_seconds=30)])
    doomed = asyncio.create_task(registry.scrape())
    waiting = asyncio.create_task(registry.scrape())
    await asyncio.to_thread(entered.wait)
    doomed.cancel()
    gate.set()
    assert b"test_one 1" in (await waiting).text
    registry.close()


async def test_a_part_of_the_collectors():
    one, two = Counting(), Counting(TWO)
    registry = Registry([of("a", one), of("b", two)])
    assert "test_two" not in (await read(registry, registry.select(["a"], []))).names()
    assert "test_one" not in (await read(registry, registry.select([], ["a"]))).names()
    assert (await read(registry)).names() >= {"test_one", "test_two"}
    assert (one.runs, two.runs) == (1, 1)
    registry.close()


@pytest.mark.parametrize(("collect", "exclude"), [(["nope"], []), ([], ["nope"]), (["a"], ["a"])])
def test_unknown_collectors_are_refused(collect, exclude):
    with pytest.raises(UnknownCollectorError):
        Registry([of("a", Counting())]).select(collect, exclude)


def test_a_name_is_in_the_table_once():
    with pytest.raises(SampleError):
        Registry([of("a", Counting()), of("a", Counting())])


async def test_the_log_says_once_that_a_collector_fails_and_once_that_it_is_well(caplog):
    caplog.set_level(logging.INFO)
    steady, moody = Steady(), Counting()
    registry = Registry([of("moody", moody)], steady=steady)
    for error in (None, OSError("a"), OSError("b"), OSError("c"), None, None):
        moody.error = error
        steady.now += 2
        await registry.scrape()
    assert [record.getMessage() for record in caplog.records] == [
        "collector failed",
        "collector is well again",
    ]
    registry.close()
