"""Bells that are never missed: whoever took a ticket before a ring does not wait for the next."""

from __future__ import annotations

import asyncio

import pytest

from controller.api.wakeups import Wakeups

RINGS = {
    "its-own": lambda bells: bells.ring("web-01"),
    "all": lambda bells: bells.ring_all(),
}


@pytest.mark.parametrize("how", RINGS)
async def test_a_ring_between_the_look_and_the_wait_is_not_lost(how):
    bells = Wakeups()
    ticket = bells.ticket("web-01")
    RINGS[how](bells)
    assert await bells.wait("web-01", ticket, 60)


@pytest.mark.parametrize("how", RINGS)
async def test_who_waits_is_woken(how):
    bells = Wakeups()
    waiting = [asyncio.create_task(bells.wait("web-01", 0, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    RINGS[how](bells)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*waiting) == [True] * 3


async def test_another_bell_wakes_nobody():
    bells = Wakeups()
    bells.ring("db-01")
    assert not await bells.wait("web-01", 0, 0.01)


async def test_the_end_wakes_everybody_and_means_no_ring():
    bells = Wakeups()
    waiting = asyncio.create_task(bells.wait("web-01", 0, 60))
    await asyncio.sleep(0)
    bells.close()
    async with asyncio.timeout(10):
        assert not await waiting
    assert not await bells.wait("web-01", bells.ticket("web-01"), 60)
