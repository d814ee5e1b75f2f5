from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from exporters.errors import StuckError
from exporters.lane import Job, Lane

SOON, LATE = 0.05, 30.0


@pytest.fixture
def gate():
    """An event that stuck jobs wait for; opened at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def values(outcomes):
    return {name: outcome.value for name, outcome in outcomes.items()}


def lane_threads(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_jobs_run_in_their_order_in_one_thread():
    lane, seen = Lane("order"), []

    def note(number):
        seen.append((number, threading.current_thread()))
        return number

    jobs = [Job(str(n), partial(note, n), LATE) for n in range(5)]
    assert values(lane.run(jobs, LATE)) == {str(n): n for n in range(5)}
    assert [n for n, _ in seen] == list(range(5))
    assert len({thread for _, thread in seen}) == 1
    lane.close()


def test_an_error_is_an_outcome():
    lane = Lane("errors")
    outcomes = lane.run([Job("bad", lambda: 1 // 0, LATE), Job("good", lambda: 1, LATE)], LATE)
    assert isinstance(outcomes["bad"].error, ZeroDivisionError)
    assert outcomes["good"].value == 1
    lane.close()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stuck_job_costs_itself_and_one_thread(gate, place):
    name = f"stuck-{place}"
    lane, starts = Lane(name), []

    def hang():
        starts.append(1)
        gate.wait()

    jobs = [Job("a", lambda: 1, LATE), Job("b", lambda: 2, LATE)]
    jobs.insert(place, Job("hung", hang, SOON))
    for _ in range(50):
        outcomes = lane.run(jobs, LATE)
        assert isinstance(outcomes["hung"].error, StuckError)
        assert values(outcomes) == {"a": 1, "b": 2, "hung": None}
    assert starts == [1]
    assert len(lane_threads(name)) == 2
    assert lane.stuck == {"hung"}
    lane.close()


def test_a_job_that_comes_back_is_asked_again(gate):
    lane = Lane("returns")
    back = threading.Event()

    def once():
        gate.wait()
        back.set()
        return "back"

    job = Job("hung", once, SOON)
    assert isinstance(lane.run([job], LATE)["hung"].error, StuckError)
    (old,) = [thread for thread in lane_threads("returns") if thread.is_alive()][:1]
    gate.set()
    old.join()
    assert lane.stuck == frozenset()
    assert lane.run([job], LATE)["hung"].value == "back"
    lane.close()


def test_many_stuck_jobs_share_the_budget(gate):
    lane = Lane("budget")
    jobs = [Job(str(n), gate.wait, LATE) for n in range(8)] + [Job("good", lambda: 1, LATE)]
    outcomes = lane.run(jobs, 0.4)
    assert outcomes["good"].value == 1
    assert len(lane.stuck) == 8
    assert sum(outcome.seconds for outcome in outcomes.values()) < LATE
    lane.close()


async def test_the_loop_stays_free_while_a_job_hangs(gate):
    lane, ticks = Lane("async"), []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    for _ in range(5):
        outcomes = await lane.run_async([Job("hung", gate.wait, SOON), Job("good", lambda: 1, LATE)])
        assert isinstance(outcomes["hung"].error, StuckError)
        assert outcomes["good"].value == 1
    ticking.cancel()
    assert ticks
    lane.close()


async def test_nothing_to_do_is_done_at_once():
    lane = Lane("empty")
    assert await lane.run_async([]) == {}
    assert lane.run([], LATE) == {}
