"""The Proxmox client as power sees it; the real one is built in controller/app.py alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.power_values import GuestAddress, GuestState, ProxmoxTask
    from controller.proxmox_values import ProxmoxResources, ProxmoxRights

__all__ = ["PowerReader", "PowerSwitch", "PoweredReader", "PoweredWriter"]


class PowerReader(Protocol):
    """What guests do now, and tasks."""

    @property
    def own_user(self) -> str:
        """Ourselves as tasks name us: user@realm!token."""
        ...

    def current(self, guest: GuestAddress) -> GuestState:
        """What a guest does now. Raises NotThere."""
        ...

    def running_tasks(self, node: str) -> Mapping[str, ProxmoxTask]:
        """The tasks of a node that have not ended, by identifier."""
        ...

    def tasks(self, node: str, *, since: int = 0) -> list[ProxmoxTask]:
        """The newest tasks of a node."""
        ...

    def task(self, node: str, upid: str) -> ProxmoxTask:
        """One task."""
        ...


class PowerSwitch(PowerReader, Protocol):
    """Starts and stops guests; each call gives the identifier of the task that does it."""

    def start(self, guest: GuestAddress) -> str:
        """Start it."""
        ...

    def shutdown(self, guest: GuestAddress, *, timeout_seconds: int, force: bool) -> str:
        """Ask it to end; stop it where it does not obey only with `force`."""
        ...

    def stop(self, guest: GuestAddress) -> str:
        """Pull the plug."""
        ...


class PoweredReader(Protocol):
    """One cluster, read only, with its tasks."""

    @property
    def power(self) -> PowerReader:
        """Tasks, and what single guests do now."""
        ...

    def resources(self) -> ProxmoxResources:
        """Guests, nodes, storages and pools that we may see."""
        ...

    def rights(self) -> ProxmoxRights:
        """Our own privileges."""
        ...


class PoweredWriter(PoweredReader, Protocol):
    """One cluster whose guests are started and stopped."""

    @property
    def switch(self) -> PowerSwitch:
        """Starts and stops guests."""
        ...
