"""A real Keycloak on loopback: database in memory, HTTPS by the lab's throw-away authority beside plain HTTP.

Source of the options: https://www.keycloak.org/server/all-config .
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.keycloak.real_distribution import built_keycloak, clean_environment
from lab.processes import Server, free_port, started
from lab.tls import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["RealKeycloak", "RealSwitch", "RunningKeycloak", "running_keycloak"]

_START_SECONDS = 180
_ADMINISTRATOR = "admin"
_QUICK = "-XX:TieredStopAtLevel=1"
"""Compile lightly: half the processor time of a start, and a lab does not live to gain from more."""


@dataclass(frozen=True)
class RunningKeycloak:
    """Where a Keycloak listens, and the account that may do everything in it."""

    url: str
    plain_url: str
    ca_file: Path
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class RealKeycloak(RunningKeycloak):
    """A real one, with its process."""

    process: Server


class RealSwitch:
    """The faults that a real server can be given: it is halted, so that it answers nobody, or goes on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._is_down = False

    def alter(self, *, is_down: bool | None = None, **others: object) -> None:
        """Halt it or let it go on. Raises `LabError` for what cannot be done to a real server."""
        if others.get("latency_seconds"):
            raise LabError("this lab's Keycloak is real: it cannot be made slow, only halted (keycloak-down)")
        if any(others.values()):
            raise LabError("this lab's Keycloak is real: it can only be halted (keycloak-down)")
        if is_down is not None:
            (self._server.halt if is_down else self._server.resume)()
            self._is_down = is_down

    def clear(self) -> None:
        """Let it go on."""
        self.alter(is_down=False)

    def status(self) -> dict[str, object]:
        """What `steward-lab status` shows of it."""
        return {"real": True, "down": self._is_down}


@contextmanager
def running_keycloak(
    source: Path,
    folder: Path,
    *,
    authority: Authority | None = None,
    port: int = 0,
    java_options: str = _QUICK,
    say: Callable[[str], None] | None = None,
) -> Iterator[RealKeycloak]:
    """Run a Keycloak until the block ends; `source` is what `find_keycloak` gives, its log goes to `folder`.

    Its certificate is by `authority`, or by a new one in `folder`; port 0 is a free one; the administrator's
    password is made up. Raises `LabError`.
    """
    home = built_keycloak(source, say=say)
    authority = authority or Authority.create(folder)
    https, plain, management = port or free_port(), free_port(), free_port()
    password = secrets.token_urlsafe(16)
    environment = clean_environment() | {
        "KC_BOOTSTRAP_ADMIN_USERNAME": _ADMINISTRATOR,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        "JAVA_OPTS_KC_HEAP": "-Xms256m -Xmx1g",
        "JAVA_OPTS_APPEND": java_options,
    }
    with started(
        _command(home, authority.issue("keycloak"), https, plain, management),
        log=folder / "keycloak.log",
        ready=f"http://127.0.0.1:{management}/health/ready",
        environment=environment,
        within_seconds=_START_SECONDS,
    ) as server:
        addresses = f"https://127.0.0.1:{https}", f"http://127.0.0.1:{plain}"
        yield RealKeycloak(*addresses, authority.ca_file, _ADMINISTRATOR, password, server)


def _command(home: Path, certificate: Path, https: int, plain: int, management: int) -> list[str | Path]:
    return [
        home / "bin" / "kc.sh",
        "start",
        "--optimized",
        "--cache=local",  # the clustered one listens on every interface
        "--hostname-strict=false",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={plain}",
        f"--https-port={https}",
        f"--https-certificate-file={certificate}",
        f"--https-certificate-key-file={certificate}",
        f"--http-management-port={management}",
        "--http-management-scheme=http",
    ]
