from __future__ import annotations

import threading
import traceback

import pytest

from exporters.background import Background
from exporters.errors import ExporterError, NoDataError
from exporters.samples import Kind, Metric

ONE = Metric("test_one", Kind.GAUGE, "One.")


class Source:
    """A source that a test leads by the hand: each reading waits until it is let through."""

    def __init__(self):
        self.now = 1000.0
        self.error = None
        self.runs = 0
        self._begun = threading.Semaphore(0)
        self._allowed = threading.Semaphore(0)

    def __call__(self):
        self._begun.release()
        self._allowed.acquire()
        self.runs += 1
        if self.error is not None:
            raise self.error
        return [ONE.one(self.runs)]

    def wait_for_reading(self):
        """Until a reading has begun, so that the one before it is stored."""
        self._begun.acquire()

    def let_through(self):
        """Let the reading that has begun, or begins next, come to its end."""
        self._allowed.release()


def background(source, **others):
    settings = {"interval_seconds": 0.001, "first_wait_seconds": 30.0, "steady": lambda: source.now, **others}
    return Background("test", source, **settings)


def test_the_first_reading_may_still_be_under_way():
    source = Source()
    under_test = background(source, first_wait_seconds=0.0)
    with pytest.raises(ExporterError):
        under_test.collect()
    assert under_test.age_seconds() is None
    source.wait_for_reading()
    source.let_through()
    source.wait_for_reading()
    assert under_test.collect() == (ONE.one(1),)
    under_test.close()
    source.let_through()


def test_the_age_grows_until_the_reading_is_too_old():
    source = Source()
    source.let_through()
    under_test = background(source, interval_seconds=10.0)
    assert under_test.collect() == (ONE.one(1),)
    source.now += under_test.stale_seconds
    assert under_test.age_seconds() == under_test.stale_seconds
    assert under_test.collect() == (ONE.one(1),)
    source.now += 0.1
    with pytest.raises(ExporterError):
        under_test.collect()
    under_test.close()


@pytest.mark.parametrize("error", [NoDataError("nothing"), OSError("broken")])
def test_what_the_reading_raised_is_raised(error):
    source = Source()
    source.error = error
    source.let_through()
    under_test = background(source, interval_seconds=10.0)
    for _ in range(100):
        with pytest.raises(type(error)):
            under_test.collect()
    depth = sum(1 for _ in traceback.walk_tb(error.__traceback__))
    assert depth < 5  # an error that is raised again and again must not grow
    under_test.close()


def test_it_reads_again_and_again():
    source = Source()
    source.let_through()
    under_test = background(source)
    assert under_test.collect() == (ONE.one(1),)
    source.wait_for_reading()  # the first
    for turn in range(2, 6):
        source.wait_for_reading()
        source.let_through()
        assert under_test.collect() in ((ONE.one(turn - 1),), (ONE.one(turn),))
    source.wait_for_reading()
    assert under_test.collect() == (ONE.one(5),)
    under_test.close()
    source.let_through()
