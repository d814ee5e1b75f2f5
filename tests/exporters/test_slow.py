"""What is read in the background, when, and what a scrape does about it; no test waits for a clock."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters import pace
from exporters.collector import Collector
from exporters.errors import BusyError
from exporters.lane import Job, Lane
from exporters.registry import Registry, Source
from exporters.samples import Kind, Metric
from exporters.text import Format
from tests.exporters.exposition import parse

GAUGES = {name: Metric(f"test_{name}", Kind.GAUGE, "A value.") for name in "abc"}


class Time:
    """A clock and a stopwatch that go where the test sends them."""

    def __init__(self):
        self.now = 1000.0
        self.worked = 0.0

    def steady(self):
        return self.now

    def stopwatch(self):
        return self.worked


class Worker:
    """A collector that takes as long as it is told, and says in which threads it ran."""

    def __init__(self, time, name):
        self.seconds = 0.001
        self.threads = []
        self.gate = None
        self._time, self._metric = time, GAUGES[name]

    def __call__(self):
        self.threads.append(threading.current_thread().name)
        if self.gate is not None:
            self.gate.wait()
        self._time.worked += self.seconds
        return [self._metric.one(len(self.threads))]


class House:
    def __init__(self):
        self.time = Time()
        self.workers = {name: Worker(self.time, name) for name in "abc"}
        self.registry = Registry(
            [Source(name, Collector(worker)) for name, worker in self.workers.items()],
            steady=self.time.steady,
            stopwatch=self.time.stopwatch,
        )

    async def scrape(self, after=15.0, **more):
        self.time.now += after
        return parse((await self.registry.scrape(**more)).text.decode())

    async def background(self):
        """Let the background read what is due."""
        self.registry._slow._read_due()
        await self.registry._slow.finish()

    @property
    def slow(self):
        return {report.name for report in self.registry.reports() if report.is_slow}


@pytest.fixture
async def house():
    made = House()
    yield made
    for worker in made.workers.values():
        if worker.gate is not None:
            worker.gate.set()
    made.registry.close()


async def test_quick_collectors_stay_in_the_scrape(house):
    for _ in range(5):
        await house.scrape()
    assert house.slow == set()
    assert all(worker.threads == ["exporters"] * 5 for worker in house.workers.values())


async def test_a_slow_collector_leaves_the_scrape_and_is_served_with_its_age(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    assert house.slow == {"b"}
    seen = await house.scrape()
    assert seen.of("test_a") == 2
    assert seen.of("test_b") == 1
    assert seen.of("steward_scrape_collector_age_seconds", collector="b") == 15
    assert seen.of("steward_scrape_collector_success", collector="b") == 1
    house.time.now += 14
    await house.background()
    seen = await house.scrape(after=1)
    assert seen.of("test_b") == 2
    assert seen.of("steward_scrape_collector_age_seconds", collector="b") == 1
    assert house.workers["b"].threads == ["exporters", "exporters-slow"]
    assert house.workers["a"].threads == ["exporters"] * 3


async def test_it_returns_when_it_is_quick_again(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    house.workers["b"].seconds = 0.001
    house.time.now += 60
    await house.background()
    await house.scrape()
    assert house.slow == set()
    await house.scrape()
    assert house.workers["b"].threads == ["exporters", "exporters-slow", "exporters"]


async def test_nobody_scrapes_nothing_is_read(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    house.time.now += 20
    for _ in range(10):
        await house.background()
        house.time.now += 1
    assert len(house.workers["b"].threads) <= 2


async def test_what_is_too_old_is_read_before_it_is_served(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    seen = await house.scrape(after=3600)
    assert seen.of("test_b") == 2
    assert seen.of("steward_scrape_collector_age_seconds", collector="b") == 0


async def test_what_stays_too_old_fails(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    house.workers["b"].gate = threading.Event()
    seen = await house.scrape(after=3600, budget_seconds=0.1)
    assert "test_b" not in seen.names()
    assert seen.of("steward_scrape_collector_success", collector="b") == 0
    assert seen.of("test_a") == 2
    seen = await house.scrape(budget_seconds=0.1)
    assert seen.of("test_a") == 3
    assert house.workers["b"].threads == ["exporters", "exporters-slow"]  # the one that hangs, no other


async def test_both_formats_come_from_one_background_reading(house):
    house.workers["b"].seconds = 0.5
    await house.scrape()
    house.time.now += 15
    text = (await house.registry.scrape(wanted=Format.OPENMETRICS)).text
    assert b"\ntest_b 1\n" in text
    assert len(house.workers["b"].threads) == 1


async def test_what_has_a_background_of_its_own_stays_in_the_scrape():
    time = Time()
    worker = Worker(time, "a")
    worker.seconds = 0.5
    registry = Registry(
        [Source("a", Collector(worker, age_seconds=lambda: 3.0))],
        steady=time.steady,
        stopwatch=time.stopwatch,
    )
    for _ in range(3):
        time.now += 15
        await registry.scrape()
    assert worker.threads == ["exporters"] * 3
    registry.close()


async def test_a_scrape_answers_within_its_budget_whatever_hangs():
    gate = threading.Event()
    hung = [Source(str(n), Collector(lambda: gate.wait() or []), deadline_seconds=60) for n in range(20)]
    registry = Registry([*hung, Source("last", Collector(lambda: [GAUGES["a"].one(1)]))])
    seen = parse((await registry.scrape(budget_seconds=0.3)).text.decode())
    assert seen.of("steward_scrape_collector_success", collector="0") == 0
    for _ in range(30):  # each scrape gives up a few more, until all that hang are known
        if parse((await registry.scrape(budget_seconds=0.3)).text.decode()).values.get(
            ("test_a", frozenset())
        ):
            break
    gate.set()
    registry.close()


async def test_a_scrape_that_never_has_its_turn_says_so():
    gate, entered = threading.Event(), threading.Event()

    def hang():
        entered.set()
        gate.wait()
        return []

    registry = Registry([Source("a", Collector(hang), deadline_seconds=60)])
    first = asyncio.create_task(registry.scrape(budget_seconds=60))
    await asyncio.to_thread(entered.wait)
    with pytest.raises(BusyError):
        await registry.scrape(budget_seconds=0.01)
    gate.set()
    await first
    registry.close()


async def test_a_batch_that_is_given_up_leaves_one_thread_in_the_job_that_hangs():
    gate, lane = threading.Event(), Lane("abandoned")
    jobs = [Job("hung", gate.wait, 60.0), Job("never begun", lambda: True, 60.0)]
    outcomes = await lane.run_async(jobs, 0.0)
    assert {name: outcome.value for name, outcome in outcomes.items()} == {"hung": None, "never begun": None}
    assert lane.stuck <= {"hung"}
    again = await lane.run_async([Job("other", lambda: True, 60.0)])
    assert again["other"].value is True
    gate.set()
    lane.close()


SECONDS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 3), min_size=1)


@given(SECONDS, st.frozensets(st.sampled_from("abcdefgh")))
def test_what_stays_in_the_scrape_fits_the_budget(seconds, slow):
    chosen = pace.slow_ones(seconds, slow & seconds.keys())
    left = sum(taken for name, taken in seconds.items() if name not in chosen)
    assert left <= pace.FOREGROUND_SECONDS + 1e-9
    assert pace.slow_ones(seconds, chosen) == chosen  # nothing goes to and fro


@given(gap=st.floats(0.1, 3600), seconds=st.floats(0.001, 60))
def test_the_background_takes_a_small_share_and_is_never_too_old(gap, seconds):
    due = pace.next_reading(1000.0, gap, 1000.0, seconds)
    assert due - 1000.0 >= seconds / pace.SHARE - 1e-6
    worst_age = (due - 1000.0) + seconds + min(gap, pace.LONGEST_GAP_SECONDS)
    assert worst_age <= pace.oldest_seconds(gap, seconds) + 1e-6


@pytest.mark.parametrize(
    ("gap", "seconds", "expected"),
    [(15.0, 0.1, 14.55), (15.0, 0.7, 14.0), (1.0, 0.1, 2.0), (15.0, 3.0, 60.0), (3600.0, 0.1, 59.55)],
)
def test_it_is_read_just_before_the_next_scrape(gap, seconds, expected):
    assert pace.next_reading(1000.0, gap, 1000.0, seconds) - 1000.0 == pytest.approx(expected)
