"""`REAL=1 make demo ONCE=1`: the same play, on a real Keycloak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.end_to_end.playing import assert_whole, left_running, play, steps
from tests.real.servers import real_server

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_plays_whole_on_a_real_keycloak_and_leaves_nothing_running(tmp_path: Path):
    real_server("keycloak")
    demo = play(tmp_path, REAL="1")
    output, _ = demo.communicate()
    assert_whole(demo, output, tmp_path)
    assert "Keycloak (real)" in output
    assert "--real-keycloak" in str(steps(tmp_path)[0]["command"])
    assert "Keycloak 26." in (tmp_path / ".demo/lab/keycloak.log").read_text()
    assert left_running(tmp_path) == []
