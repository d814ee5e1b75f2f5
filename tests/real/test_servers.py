"""A test whose real server is absent is skipped by name, or fails where real servers are required."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.real.processes import free_port, started
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


def test_a_server_that_ends_by_itself_shows_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('no disk left'); raise SystemExit(3)"]
    ready = f"http://127.0.0.1:{free_port()}/"
    with (
        pytest.raises(RuntimeError, match=r"ended with 3:\nno disk left"),
        started(argv, log=tmp_path / "log", ready=ready),
    ):
        pass


def test_a_server_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", tmp_path]
    with started(argv, log=tmp_path / "log", ready=f"http://127.0.0.1:{port}/") as process:
        assert process.poll() is None
    assert process.poll() is not None
