"""What tests of resources share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.controller.resources.proxmox_world import World, cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One simulated cluster with the controller's clients on it."""
    with cluster(tmp_path) as running:
        yield running
