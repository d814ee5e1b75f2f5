"""The simulator answers as the real API code was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.proxmox.server import application_for, new_datacenter
from lab.serving import serve_in_thread
from tests.lab.proxmox_replay import Clock, Replay

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "proxmox"


def differences(recording: dict[str, Any]) -> list[str]:
    clock = Clock()
    center = new_datacenter(recording["environment"], clock=clock)
    delays: list[float] = []

    async def note(seconds: float) -> None:
        delays.append(seconds)

    with serve_in_thread(application_for(center, sleep=note)) as url:
        replay = Replay(url, center, clock, delays)
        found = []
        for number, step in enumerate(recording["steps"]):
            difference = replay.step(step)
            if difference:
                found.append(f"step {number}: {step['as']} {step['method']} {step['path']}: {difference}")
    return found


@pytest.mark.parametrize(("name", "steps"), [("access-transcript", 283), ("power-transcript", 162)])
def test_every_recorded_step_holds(name, steps, capsys):
    recording = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
    found = differences(recording)
    with capsys.disabled():
        print(f"\n{name}: {len(recording['steps']) - len(found)} of {len(recording['steps'])} steps hold")
    assert len(recording["steps"]) == steps
    assert not found, "\n".join(found)
