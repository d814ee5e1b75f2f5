"""A test whose real server is absent is skipped by name, or fails where real servers are required."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real.servers import KINDS, Kind, real_server, summary, used

NOWHERE = {"ghost": Kind(lambda: None, "nothing installs it")}


def test_absent_is_skipped_by_name() -> None:
    with pytest.raises(pytest.skip.Exception, match="no real ghost on this machine"):
        real_server("ghost", kinds=NOWHERE, required=False)


def test_absent_fails_where_it_is_required() -> None:
    with pytest.raises(pytest.fail.Exception, match="nothing installs it"):
        real_server("ghost", kinds=NOWHERE, required=True)


def test_present_is_named_in_the_summary() -> None:
    here = {"python": Kind(lambda: Path(sys.executable), "")}
    try:
        assert real_server("python", kinds=here) == Path(sys.executable)
        assert "python" in summary()[0]
    finally:
        used.discard("python")


def test_every_kind_is_used_or_named_absent() -> None:
    text = "\n".join(summary())
    for name, kind in KINDS.items():
        assert kind.find() is not None or f"absent: {name} " in text
